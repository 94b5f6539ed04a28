//! netdev: what went through the network devices.

use super::files::Reread;
use super::{Collector, Error, Host, NameFilter, SetupError, Text};
use crate::options::NodeOptions;
use rustc_hash::FxHashMap;
use std::path::PathBuf;

/// The columns of `/proc/net/dev`.
const COLUMNS: [&str; 16] = [
    "receive_bytes",
    "receive_packets",
    "receive_errs",
    "receive_drop",
    "receive_fifo",
    "receive_frame",
    "receive_compressed",
    "receive_multicast",
    "transmit_bytes",
    "transmit_packets",
    "transmit_errs",
    "transmit_drop",
    "transmit_fifo",
    "transmit_colls",
    "transmit_carrier",
    "transmit_compressed",
];
const NOHANDLER: &str = "receive_nohandler";

pub(crate) struct Netdev {
    file: Reread,
    sys: PathBuf,
    filter: NameFilter,
    /// Name and help of each column's family.
    families: Vec<(String, String)>,
    devices: Vec<Device>,
    /// Packets nobody wanted are not in `/proc/net/dev`: a file a device.
    nohandler: FxHashMap<String, Reread>,
}

#[derive(Debug, Default, PartialEq)]
struct Device {
    name: String,
    values: [u64; 16],
    nohandler: Option<u64>,
}

impl Netdev {
    pub(crate) fn new(host: &Host, options: &NodeOptions) -> Result<Self, SetupError> {
        let filter = NameFilter::new(
            ("collector.netdev.device-include", options.netdev_device_include.as_deref()),
            ("collector.netdev.device-exclude", options.netdev_device_exclude.as_deref()),
            None,
        )?;
        let family = |c: &&str| (format!("node_network_{c}_total"), format!("Network device statistic {c}."));
        Ok(Netdev {
            file: Reread::new(host.proc.join("net/dev")),
            sys: host.sys.join("class/net"),
            filter,
            families: COLUMNS.iter().chain(std::iter::once(&NOHANDLER)).map(family).collect(),
            devices: Vec::new(),
            nohandler: FxHashMap::default(),
        })
    }
}

/// A line `name: 16 numbers`; the two lines of headings are none.
pub(crate) fn parse(line: &str) -> Option<(&str, [u64; 16])> {
    let (name, rest) = line.rsplit_once(':')?;
    let mut values = [0; 16];
    let mut words = rest.split_ascii_whitespace();
    for value in &mut values {
        *value = words.next()?.parse().ok()?;
    }
    Some((name.trim(), values))
}

impl Collector for Netdev {
    fn collect(&mut self, out: &mut Text) -> Result<(), Error> {
        let text = match self.file.read() {
            Ok(text) => text,
            Err(e) => return Err(Error::read(self.file.path(), e)),
        };
        let mut count = 0;
        for (name, values) in text.lines().filter_map(parse).filter(|(n, _)| !self.filter.ignores(n)) {
            // slots of the last scrape are used again: the same devices are there most of the time
            if count == self.devices.len() {
                self.devices.push(Device::default());
            }
            let device = &mut self.devices[count];
            name.clone_into(&mut device.name);
            device.values = values;
            count += 1;
        }
        self.devices.truncate(count);
        for device in &mut self.devices {
            if !self.nohandler.contains_key(&device.name) {
                let file = self.sys.join(&device.name).join("statistics/rx_nohandler");
                self.nohandler.insert(device.name.clone(), Reread::new(file));
            }
            let file = self.nohandler.get_mut(&device.name);
            device.nohandler = file.and_then(|f| f.read().ok()?.trim().parse().ok());
        }
        if self.nohandler.len() > self.devices.len() {
            let devices = &self.devices;
            self.nohandler.retain(|name, _| devices.iter().any(|d| d.name == *name));
        }
        for (column, (name, help)) in self.families.iter().enumerate() {
            out.counters(name, help);
            for device in &self.devices {
                let value = device.values.get(column).copied().or(device.nohandler);
                if let Some(value) = value {
                    out.sample(name, [("device", &device.name)], value as f64);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses() {
        let line = "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16";
        let values = std::array::from_fn(|i| i as u64 + 1);
        assert_eq!(parse(line), Some(("eth0", values)));
        assert_eq!(parse("eth0:0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16"), Some(("eth0:0", values)));
        assert_eq!(parse(" face |bytes    packets"), None);
        assert_eq!(parse("lo: 1 2"), None);
    }
}
