//! netclass: what the network devices are, and whether they are up.

use super::files::{names, read_trimmed};
use super::{Collector, Error, Host, SetupError, Text, pattern};
use crate::options::NodeOptions;
use regex::Regex;
use std::path::PathBuf;

/// A file of a device's directory, the name it is shown with, and whether it only rises. Sorted by name.
const PROPERTIES: [(&str, &str, bool); 16] = [
    ("addr_assign_type", "address_assign_type", false),
    ("carrier", "carrier", false),
    ("carrier_changes", "carrier_changes_total", true),
    ("carrier_down_count", "carrier_down_changes_total", true),
    ("carrier_up_count", "carrier_up_changes_total", true),
    ("dev_id", "device_id", false),
    ("dormant", "dormant", false),
    ("flags", "flags", false),
    ("ifindex", "iface_id", false),
    ("iflink", "iface_link", false),
    ("link_mode", "iface_link_mode", false),
    ("mtu", "mtu_bytes", false),
    ("name_assign_type", "name_assign_type", false),
    ("netdev_group", "net_dev_group", false),
    ("type", "protocol_type", false),
    ("tx_queue_len", "transmit_queue_length", false),
];

pub(crate) struct Netclass {
    dir: PathBuf,
    ignored: Regex,
    ignore_invalid_speed: bool,
}

impl Netclass {
    pub(crate) fn new(host: &Host, options: &NodeOptions) -> Result<Self, SetupError> {
        Ok(Netclass {
            dir: host.sys.join("class/net"),
            ignored: pattern("collector.netclass.ignored-devices", &options.netclass_ignored_devices)?,
            ignore_invalid_speed: options.netclass_ignore_invalid_speed,
        })
    }

    /// A number from a device's file; the driver may refuse to tell.
    fn number(&self, device: &str, file: &str) -> Option<i64> {
        parse(&read_trimmed(&self.dir.join(device).join(file))?)
    }

    fn text(&self, device: &str, file: &str) -> String {
        read_trimmed(&self.dir.join(device).join(file)).unwrap_or_default()
    }
}

/// Decimal, or hexadecimal after `0x`.
fn parse(text: &str) -> Option<i64> {
    text.strip_prefix("0x").map_or_else(|| text.parse().ok(), |hex| i64::from_str_radix(hex, 16).ok())
}

impl Collector for Netclass {
    fn collect(&mut self, out: &mut Text) -> Result<(), Error> {
        let devices = names(&self.dir);
        // a file among the directories lists bonds
        let devices = devices.iter().filter(|d| !self.ignored.is_match(d) && self.dir.join(d).is_dir());
        let devices: Vec<(&str, String)> = devices.map(|d| (d.as_str(), self.text(d, "operstate"))).collect();
        if devices.is_empty() {
            return Err(Error::NoData);
        }
        out.gauges("node_network_up", "Value is 1 if operstate is 'up', 0 otherwise.");
        for (device, state) in &devices {
            out.sample("node_network_up", [("device", device)], f64::from(u8::from(state == "up")));
        }
        let name = "node_network_info";
        out.gauges(name, "Non-numeric data from /sys/class/net/<iface>, value is always 1.");
        for (device, state) in &devices {
            let up = self.number(device, "flags").is_some_and(|flags| flags & 1 == 1);
            let labels = [
                ("address", &*self.text(device, "address")),
                ("adminstate", if up { "up" } else { "down" }),
                ("broadcast", &*self.text(device, "broadcast")),
                ("device", device),
                ("duplex", &*self.text(device, "duplex")),
                ("ifalias", &*self.text(device, "ifalias")),
                ("operstate", state),
            ];
            out.sample(name, labels, 1.0);
        }
        for (file, property, counter) in PROPERTIES {
            let values: Vec<(&str, i64)> =
                devices.iter().filter_map(|(d, _)| Some((*d, self.number(d, file)?))).collect();
            show(out, property, counter, &values, 1.0);
        }
        let speed = |d: &str| self.number(d, "speed").filter(|s| *s >= 0 || !self.ignore_invalid_speed);
        let speeds: Vec<(&str, i64)> = devices.iter().filter_map(|(d, _)| Some((*d, speed(d)?))).collect();
        // megabits
        show(out, "speed_bytes", false, &speeds, 1e6 / 8.0);
        Ok(())
    }
}

fn show(out: &mut Text, property: &str, counter: bool, values: &[(&str, i64)], unit: f64) {
    if values.is_empty() {
        return;
    }
    let (name, help) = (format!("node_network_{property}"), format!("Network device property: {property}"));
    if counter {
        out.counters(&name, &help);
    } else {
        out.gauges(&name, &help);
    }
    for (device, value) in values {
        out.sample(&name, [("device", device)], *value as f64 * unit);
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn parses_both_bases() {
        assert_eq!(parse("0x1303"), Some(0x1303));
        assert_eq!(parse("-1"), Some(-1));
        assert_eq!(parse(""), None);
    }
}
