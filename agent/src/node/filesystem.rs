//! filesystem: how full the mounted file systems are. A mount that does not answer holds up nothing but itself.

use super::files::Reread;
use super::statfs::{Answer, Asker};
use super::{Collector, Error, Host, NameFilter, SetupError, Text};
use crate::options::NodeOptions;
use std::collections::BTreeSet;
use std::path::PathBuf;

const DEFAULT_MOUNT_POINTS_EXCLUDE: &str =
    "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
const DEFAULT_FS_TYPES_EXCLUDE: &str = "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|\
    hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|\
    tracefs)$";

pub(crate) struct Filesystem {
    /// Mounts of the first process: the host's, also where the agent's own are a container's.
    init_mounts: Reread,
    own_mounts: Reread,
    rootfs: PathBuf,
    mount_points: NameFilter,
    fs_types: NameFilter,
    asker: Asker,
}

/// A line of `mountinfo`.
#[derive(Clone, Debug, PartialEq)]
struct Mount {
    major: String,
    minor: String,
    mount_point: String,
    read_only: bool,
    fs_type: String,
    device: String,
}

impl Filesystem {
    pub(crate) fn new(host: &Host, options: &NodeOptions) -> Result<Self, SetupError> {
        let timeout = &options.filesystem_mount_timeout;
        let parsed = model::duration::parse_ms(timeout).map_err(|_| SetupError::Duration {
            flag: "collector.filesystem.mount-timeout",
            value: timeout.clone(),
        })?;
        Ok(Filesystem {
            init_mounts: Reread::new(host.proc.join("1/mountinfo")),
            own_mounts: Reread::new(host.proc.join("self/mountinfo")),
            rootfs: host.rootfs.clone(),
            mount_points: NameFilter::new(
                (
                    "collector.filesystem.mount-points-include",
                    options.filesystem_mount_points_include.as_deref(),
                ),
                (
                    "collector.filesystem.mount-points-exclude",
                    options.filesystem_mount_points_exclude.as_deref(),
                ),
                Some(DEFAULT_MOUNT_POINTS_EXCLUDE),
            )?,
            fs_types: NameFilter::new(
                ("collector.filesystem.fs-types-include", options.filesystem_fs_types_include.as_deref()),
                ("collector.filesystem.fs-types-exclude", options.filesystem_fs_types_exclude.as_deref()),
                Some(DEFAULT_FS_TYPES_EXCLUDE),
            )?,
            asker: Asker::new(std::time::Duration::from_millis(parsed.unsigned_abs())),
        })
    }

    fn mounts(&mut self) -> Result<Vec<Mount>, Error> {
        let text = match self.init_mounts.read() {
            Ok(text) => text,
            Err(_) => match self.own_mounts.read() {
                Ok(text) => text,
                Err(e) => return Err(Error::read(self.own_mounts.path(), e)),
            },
        };
        let rootfs = self.rootfs.to_string_lossy();
        let mut seen = BTreeSet::new();
        let mounts = text.lines().filter_map(parse).filter_map(|mut mount| {
            if rootfs != "/"
                && let Some(rest) = mount.mount_point.strip_prefix(&*rootfs)
                && (rest.is_empty() || rest.starts_with('/'))
            {
                mount.mount_point = if rest.is_empty() { "/".to_owned() } else { rest.to_owned() };
            }
            let shown = !self.mount_points.ignores(&mount.mount_point)
                && !self.fs_types.ignores(&mount.fs_type)
                && seen.insert((mount.device.clone(), mount.mount_point.clone()));
            shown.then_some(mount)
        });
        Ok(mounts.collect())
    }
}

/// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`: see proc_pid_mountinfo(5).
fn parse(line: &str) -> Option<Mount> {
    let (own, fs) = line.split_once(" - ")?;
    let mut own = own.split(' ');
    let (major, minor) = own.nth(2)?.split_once(':')?;
    let mount_point = unescape(own.nth(1)?);
    let options = own.next()?;
    let mut fs = fs.split(' ');
    let (fs_type, device) = (fs.next()?.to_owned(), unescape(fs.next()?));
    let read_only = options.split(',').chain(fs.next().unwrap_or_default().split(',')).any(|o| o == "ro");
    Some(Mount { major: major.to_owned(), minor: minor.to_owned(), mount_point, read_only, fs_type, device })
}

/// Device and mount point of a line of `mountinfo`.
pub(crate) fn parse_mount(line: &str) -> Option<(String, String)> {
    parse(line).map(|mount| (mount.device, mount.mount_point))
}

/// The kernel writes blanks and backslashes as `\` and three octal digits.
fn unescape(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let code = tail
            .get(..3)
            .filter(|_| byte == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        out.push(code.unwrap_or(byte));
        rest = if code.is_some() { &tail[3..] } else { tail };
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Families of sizes: name, help, and which figure.
type Size = (&'static str, &'static str, fn(&super::statfs::Space) -> f64);
const SIZES: [Size; 6] = [
    ("node_filesystem_avail_bytes", "Filesystem space available to non-root users in bytes.", |s| {
        s.available
    }),
    ("node_filesystem_files", "Filesystem total file nodes.", |s| s.files),
    ("node_filesystem_files_free", "Filesystem total free file nodes.", |s| s.files_free),
    ("node_filesystem_free_bytes", "Filesystem free space in bytes.", |s| s.free),
    (
        "node_filesystem_purgeable_bytes",
        "Filesystem space available including purgeable space (MacOS specific).",
        |_| 0.0,
    ),
    ("node_filesystem_size_bytes", "Filesystem size in bytes.", |s| s.size),
];

impl Mount {
    fn labels<'a>(&'a self, error: &'a str) -> [(&'a str, &'a str); 4] {
        [
            ("device", &self.device),
            ("device_error", error),
            ("fstype", &self.fs_type),
            ("mountpoint", &self.mount_point),
        ]
    }
}

impl Collector for Filesystem {
    fn collect(&mut self, out: &mut Text) -> Result<(), Error> {
        let mounts = self.mounts()?;
        let paths = mounts.iter().map(|m| self.rootfs.join(m.mount_point.trim_start_matches('/'))).collect();
        let answers = self.asker.ask(paths);
        let both: Vec<(&Mount, &Answer)> = mounts.iter().zip(&answers).collect();
        let good = || both.iter().filter_map(|(mount, answer)| Some((*mount, answer.as_ref().ok()?)));
        let name = "node_filesystem_device_error";
        out.gauges(name, "Whether an error occurred while getting statistics for the given device.");
        for (mount, answer) in &both {
            let (error, value) = answer.as_ref().map_or_else(|e| (e.as_str(), 1.0), |_| ("", 0.0));
            out.sample(name, mount.labels(error), value);
        }
        let name = "node_filesystem_readonly";
        out.gauges(name, "Filesystem read-only status.");
        for (mount, answer) in &both {
            let error = answer.as_ref().err().map_or("", String::as_str);
            out.sample(name, mount.labels(error), f64::from(u8::from(mount.read_only)));
        }
        for (name, help, value) in SIZES {
            out.gauges(name, help);
            for (mount, space) in good() {
                out.sample(name, mount.labels(""), value(space));
            }
        }
        let name = "node_filesystem_mount_info";
        out.gauges(name, "Filesystem mount information.");
        for (mount, _) in good() {
            let labels = [
                ("device", mount.device.as_str()),
                ("major", &mount.major),
                ("minor", &mount.minor),
                ("mountpoint", &mount.mount_point),
            ];
            out.sample(name, labels, 1.0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses() {
        let line =
            r"3148 3003 260:0 / /var/my\040disk ro,relatime shared:31 - ext4 /dev/sd\134a rw,data=ordered";
        let expected = Mount {
            major: "260".into(),
            minor: "0".into(),
            mount_point: "/var/my disk".into(),
            read_only: true,
            fs_type: "ext4".into(),
            device: r"/dev/sd\a".into(),
        };
        assert_eq!(parse(line), Some(expected));
        let bare = parse("26 29 0:5 / /data rw - tmpfs tmpfs ro,size=1k").unwrap();
        assert!(bare.read_only, "the file system itself is read-only");
        assert_eq!(parse("26 29 0:5 / /data rw"), None);
    }
}
