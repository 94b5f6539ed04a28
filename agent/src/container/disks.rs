//! The machine's disks, as the families of the root container show them.

use crate::node::parse_mount;
use std::collections::BTreeMap;
use std::path::Path;

/// A mounted block device.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Filesystem {
    pub(crate) device: String,
    pub(crate) limit: f64,
    pub(crate) usage: f64,
    pub(crate) inodes: f64,
    pub(crate) inodes_free: f64,
    pub(crate) reads: f64,
    pub(crate) reads_merged: f64,
    pub(crate) sectors_read: f64,
    pub(crate) writes: f64,
    pub(crate) writes_merged: f64,
    pub(crate) sectors_written: f64,
    pub(crate) io_current: f64,
}

/// The mounted block devices, each once. Only disks are asked: they answer, unlike servers.
pub(crate) fn read(proc: &Path, rootfs: &Path) -> Vec<Filesystem> {
    let mounts = runtime::file::read_to_string(proc.join("1/mountinfo"))
        .or_else(|_| runtime::file::read_to_string(proc.join("self/mountinfo")))
        .unwrap_or_default();
    let disks = runtime::file::read_to_string(proc.join("diskstats")).unwrap_or_default();
    let mut found: BTreeMap<String, Filesystem> = BTreeMap::new();
    for (device, mount_point) in mounts.lines().filter_map(parse_mount) {
        if !device.starts_with("/dev/") || found.contains_key(&device) {
            continue;
        }
        let Ok(s) = rustix::fs::statfs(rootfs.join(mount_point.trim_start_matches('/'))) else { continue };
        let block = s.f_bsize as f64;
        let mut filesystem = Filesystem {
            limit: s.f_blocks as f64 * block,
            usage: s.f_blocks.saturating_sub(s.f_bfree) as f64 * block,
            inodes: s.f_files as f64,
            inodes_free: s.f_ffree as f64,
            device: device.clone(),
            ..Filesystem::default()
        };
        if let Some(line) =
            disks.lines().find(|l| l.split_ascii_whitespace().nth(2) == device.strip_prefix("/dev/"))
        {
            disk(line, &mut filesystem);
        }
        found.insert(device, filesystem);
    }
    found.into_values().collect()
}

/// The figures of a line of `/proc/diskstats`.
fn disk(line: &str, into: &mut Filesystem) {
    let v: Vec<f64> = line.split_ascii_whitespace().skip(3).filter_map(|w| w.parse().ok()).collect();
    if let [reads, reads_merged, sectors_read, _, writes, writes_merged, sectors_written, _, io_current, ..] =
        v[..]
    {
        *into = Filesystem {
            reads,
            reads_merged,
            sectors_read,
            writes,
            writes_merged,
            sectors_written,
            io_current,
            ..std::mem::take(into)
        };
    }
}

/// The file of a block device: `/dev/sda`; its numbers where the kernel does not say its name.
pub(crate) fn device(sys: &Path, (major, minor): (u32, u32)) -> String {
    let link = std::fs::read_link(sys.join(format!("dev/block/{major}:{minor}")));
    let name = link.ok().and_then(|l| Some(l.file_name()?.to_string_lossy().into_owned()));
    name.map_or_else(|| format!("{major}:{minor}"), |n| format!("/dev/{n}"))
}
