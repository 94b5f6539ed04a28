//! diskstats: what block devices did, and what udev knows of them.

use super::files::{Reread, read_number};
use super::{Collector, Error, Host, NameFilter, SetupError, Text};
use crate::options::NodeOptions;
use rustc_hash::FxHashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

const DEFAULT_EXCLUDE: &str = r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$";
/// A sector of `/proc/diskstats`, whatever the disk's own are.
const SECTOR: f64 = 512.0;
/// Milliseconds to seconds.
const MS: f64 = 0.001;

/// A column: name, help, counter or not, what a unit is worth. In the order of the file.
const COLUMNS: [(&str, &str, bool, f64); 17] = [
    ("node_disk_reads_completed_total", "The total number of reads completed successfully.", true, 1.0),
    ("node_disk_reads_merged_total", "The total number of reads merged.", true, 1.0),
    ("node_disk_read_bytes_total", "The total number of bytes read successfully.", true, SECTOR),
    ("node_disk_read_time_seconds_total", "The total number of seconds spent by all reads.", true, MS),
    ("node_disk_writes_completed_total", "The total number of writes completed successfully.", true, 1.0),
    ("node_disk_writes_merged_total", "The number of writes merged.", true, 1.0),
    ("node_disk_written_bytes_total", "The total number of bytes written successfully.", true, SECTOR),
    (
        "node_disk_write_time_seconds_total",
        "This is the total number of seconds spent by all writes.",
        true,
        MS,
    ),
    ("node_disk_io_now", "The number of I/Os currently in progress.", false, 1.0),
    ("node_disk_io_time_seconds_total", "Total seconds spent doing I/Os.", true, MS),
    ("node_disk_io_time_weighted_seconds_total", "The weighted # of seconds spent doing I/Os.", true, MS),
    ("node_disk_discards_completed_total", "The total number of discards completed successfully.", true, 1.0),
    ("node_disk_discards_merged_total", "The total number of discards merged.", true, 1.0),
    ("node_disk_discarded_sectors_total", "The total number of sectors discarded successfully.", true, 1.0),
    (
        "node_disk_discard_time_seconds_total",
        "This is the total number of seconds spent by all discards.",
        true,
        MS,
    ),
    (
        "node_disk_flush_requests_total",
        "The total number of flush requests completed successfully",
        true,
        1.0,
    ),
    (
        "node_disk_flush_requests_time_seconds_total",
        "This is the total number of seconds spent by all flush requests.",
        true,
        MS,
    ),
];

pub(crate) struct Diskstats {
    file: Reread,
    sys: PathBuf,
    udev: PathBuf,
    filter: NameFilter,
    disks: Vec<Disk>,
    known: FxHashMap<String, Known>,
}

#[derive(Debug, Default, PartialEq)]
struct Disk {
    major: u32,
    minor: u32,
    name: String,
    /// How many columns the kernel gives: 11, since 4.18 15, since 5.5 17.
    columns: usize,
    values: [u64; 17],
}

/// What does not change at each scrape.
#[derive(Default)]
struct Known {
    number: (u32, u32),
    rotational: u64,
    udev: Udev,
    /// When udev last wrote about it.
    written: Option<SystemTime>,
}

/// Properties of a device, from lines `E:KEY=value`.
#[derive(Debug, Default)]
struct Udev(FxHashMap<String, String>);

impl Udev {
    fn parse(text: &str) -> Self {
        let pairs = text.lines().filter_map(|l| l.strip_prefix("E:")?.split_once('='));
        Udev(pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }
    /// The property, or nothing.
    fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }
    /// The first of these that says something.
    fn first(&self, keys: &[&str]) -> &str {
        keys.iter().map(|k| self.get(k)).find(|v| !v.is_empty()).unwrap_or_default()
    }
}

impl Diskstats {
    pub(crate) fn new(host: &Host, options: &NodeOptions) -> Result<Self, SetupError> {
        let filter = NameFilter::new(
            ("collector.diskstats.device-include", options.diskstats_device_include.as_deref()),
            ("collector.diskstats.device-exclude", options.diskstats_device_exclude.as_deref()),
            Some(DEFAULT_EXCLUDE),
        )?;
        Ok(Diskstats {
            file: Reread::new(host.proc.join("diskstats")),
            sys: host.sys.join("block"),
            udev: host.udev.clone(),
            filter,
            disks: Vec::new(),
            known: FxHashMap::default(),
        })
    }

    fn refresh(&mut self) {
        for disk in &self.disks {
            let number = (disk.major, disk.minor);
            let rotational = self.sys.join(&disk.name).join("queue/rotational");
            let known = self.known.entry(disk.name.clone()).or_default();
            if known.number != number {
                *known =
                    Known { number, rotational: read_number(&rotational).unwrap_or(0), ..Known::default() };
            }
            let path = self.udev.join(format!("b{}:{}", disk.major, disk.minor));
            let written = modified(&path);
            if written.is_none() || written != known.written {
                known.udev = runtime::file::read(&path)
                    .map(|bytes| Udev::parse(&String::from_utf8_lossy(&bytes)))
                    .unwrap_or_default();
                known.written = written;
            }
        }
        if self.known.len() > self.disks.len() {
            let disks = &self.disks;
            self.known.retain(|name, _| disks.iter().any(|d| d.name == *name));
        }
    }

    fn info(&self, out: &mut Text) {
        let name = "node_disk_info";
        out.gauges(name, "Info of /sys/block/<block_device>.");
        for disk in &self.disks {
            let Some(known) = self.known.get(&disk.name) else { continue };
            let udev = &known.udev;
            let labels = [
                ("device", disk.name.as_str()),
                ("major", &disk.major.to_string()),
                ("minor", &disk.minor.to_string()),
                ("model", udev.get("ID_MODEL")),
                ("path", udev.get("ID_PATH")),
                ("revision", udev.get("ID_REVISION")),
                ("rotational", &known.rotational.to_string()),
                ("serial", udev.first(&["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"])),
                ("wwn", udev.get("ID_WWN")),
            ];
            out.sample(name, labels, 1.0);
        }
        self.family(
            out,
            "node_disk_filesystem_info",
            "Info about disk filesystem.",
            "ID_FS_TYPE",
            |disk, udev| {
                [
                    ("device", disk),
                    ("type", udev.get("ID_FS_TYPE")),
                    ("usage", udev.get("ID_FS_USAGE")),
                    ("uuid", udev.get("ID_FS_UUID")),
                    ("version", udev.get("ID_FS_VERSION")),
                ]
            },
        );
        self.family(
            out,
            "node_disk_device_mapper_info",
            "Info about disk device mapper.",
            "DM_NAME",
            |disk, udev| {
                [
                    ("device", disk),
                    ("lv_layer", udev.get("DM_LV_LAYER")),
                    ("lv_name", udev.get("DM_LV_NAME")),
                    ("name", udev.get("DM_NAME")),
                    ("uuid", udev.get("DM_UUID")),
                    ("vg_name", udev.get("DM_VG_NAME")),
                ]
            },
        );
    }

    /// A family of ones for the disks of which udev knows `key`.
    fn family<const N: usize>(
        &self,
        out: &mut Text,
        name: &str,
        help: &str,
        key: &str,
        labels: impl for<'a> Fn(&'a str, &'a Udev) -> [(&'a str, &'a str); N],
    ) {
        let mut begun = false;
        for disk in &self.disks {
            let Some(known) = self.known.get(&disk.name).filter(|k| !k.udev.get(key).is_empty()) else {
                continue;
            };
            if !std::mem::replace(&mut begun, true) {
                out.gauges(name, help);
            }
            out.sample(name, labels(&disk.name, &known.udev), 1.0);
        }
    }

    fn ata(&self, out: &mut Text) {
        let families = [
            ("node_disk_ata_write_cache", "ATA disk has a write cache.", "ID_ATA_WRITE_CACHE"),
            (
                "node_disk_ata_write_cache_enabled",
                "ATA disk has its write cache enabled.",
                "ID_ATA_WRITE_CACHE_ENABLED",
            ),
            (
                "node_disk_ata_rotation_rate_rpm",
                "ATA disk rotation rate in RPMs (0 for SSDs).",
                "ID_ATA_ROTATION_RATE_RPM",
            ),
        ];
        for (name, help, key) in families {
            let mut begun = false;
            for disk in &self.disks {
                let Some(udev) = self.known.get(&disk.name).map(|k| &k.udev) else { continue };
                let Ok(value) = udev.get(key).parse::<f64>() else { continue };
                if udev.get("ID_ATA").is_empty() {
                    continue;
                }
                if !std::mem::replace(&mut begun, true) {
                    out.gauges(name, help);
                }
                out.sample(name, [("device", &disk.name)], value);
            }
        }
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).ok()?.modified().ok()
}

/// A line of `/proc/diskstats`, into a slot that is used again.
fn parse(line: &str, filter: &NameFilter, into: &mut Disk) -> Option<()> {
    let mut words = line.split_ascii_whitespace();
    let (major, minor) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let name = words.next()?;
    if filter.ignores(name) {
        return None;
    }
    (into.major, into.minor, into.columns) = (major, minor, 0);
    name.clone_into(&mut into.name);
    for (value, word) in into.values.iter_mut().zip(words) {
        *value = word.parse().ok()?;
        into.columns += 1;
    }
    Some(())
}

impl Collector for Diskstats {
    fn collect(&mut self, out: &mut Text) -> Result<(), Error> {
        let text = match self.file.read() {
            Ok(text) => text,
            Err(e) => return Err(Error::read(self.file.path(), e)),
        };
        let mut count = 0;
        for line in text.lines() {
            if count == self.disks.len() {
                self.disks.push(Disk::default());
            }
            count += usize::from(parse(line, &self.filter, &mut self.disks[count]).is_some());
        }
        self.disks.truncate(count);
        self.refresh();
        self.info(out);
        self.ata(out);
        for (column, (name, help, counter, unit)) in COLUMNS.into_iter().enumerate() {
            if self.disks.iter().all(|d| d.columns <= column) {
                continue;
            }
            if counter {
                out.counters(name, help);
            } else {
                out.gauges(name, help);
            }
            for disk in self.disks.iter().filter(|d| d.columns > column) {
                out.sample(name, [("device", &disk.name)], disk.values[column] as f64 * unit);
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
        let filter = NameFilter::new(("i", None), ("e", None), Some(DEFAULT_EXCLUDE)).unwrap();
        let mut disk = Disk::default();
        let line = "   8       0 sda 1 2 3 4 5 6 7 8 9 10 11";
        assert!(parse(line, &filter, &mut disk).is_some());
        assert_eq!((disk.name.as_str(), disk.major, disk.minor, disk.columns), ("sda", 8, 0, 11));
        assert_eq!(disk.values[..11], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        for partition in ["sda1", "nvme0n1p2", "loop7", "ram0", "zram1"] {
            assert!(parse(&format!("8 1 {partition} 1 2 3"), &filter, &mut disk).is_none(), "{partition}");
        }
        assert!(parse("8 0 sda 1 x", &filter, &mut disk).is_none());
    }

    #[test]
    fn udev_prefers_the_printed_serial() {
        let udev = Udev::parse("S:disk/by-id/x\nE:ID_SERIAL=long\nE:ID_SERIAL_SHORT=short\nE:ID_MODEL=M=1\n");
        assert_eq!(udev.first(&["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"]), "short");
        assert_eq!(udev.get("ID_MODEL"), "M=1");
    }
}
