//! What the processes of a container hold: descriptors, sockets, limits, and their network's devices.

use std::path::{Path, PathBuf};

/// Sums over the processes of a cgroup.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Processes {
    pub(crate) count: u64,
    pub(crate) descriptors: u64,
    pub(crate) sockets: u64,
    /// Of the first process; `None`: not known. -1: no limit.
    pub(crate) max_open_files: Option<i64>,
}

impl Processes {
    /// Looks at each process; those that end meanwhile are left out.
    pub(crate) fn read(proc: &Path, pids: &[u32]) -> Self {
        let mut all = Processes { count: pids.len() as u64, ..Processes::default() };
        for pid in pids {
            let Ok(entries) = std::fs::read_dir(proc.join(pid.to_string()).join("fd")) else { continue };
            for entry in entries.filter_map(Result::ok) {
                all.descriptors += 1;
                let target = std::fs::read_link(entry.path());
                let socket = target.is_ok_and(|t| t.as_os_str().as_encoded_bytes().starts_with(b"socket:"));
                all.sockets += u64::from(socket);
            }
        }
        let limits = pids
            .first()
            .and_then(|p| runtime::file::read_to_string(proc.join(p.to_string()).join("limits")).ok());
        all.max_open_files = limits.as_deref().and_then(max_open_files);
        all
    }
}

/// The soft limit from the table in `/proc/PID/limits`.
fn max_open_files(limits: &str) -> Option<i64> {
    let rest = limits.lines().find_map(|l| l.strip_prefix("Max open files"))?;
    match rest.split_ascii_whitespace().next()? {
        "unlimited" => Some(-1),
        number => number.parse().ok(),
    }
}

/// What went through a network device.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// Bytes, packets, errors, drops received; then sent.
    pub(crate) values: [u64; 8],
}

/// Devices that are a pod's own end of the line, or the loop: what goes through them is counted elsewhere.
const IGNORED: [&str; 4] = ["lo", "veth", "docker", "nerdctl"];

/// The devices of a process' network namespace.
pub(crate) fn interfaces(proc: &Path, pid: u32) -> Vec<Interface> {
    let path: PathBuf = proc.join(pid.to_string()).join("net/dev");
    let text = runtime::file::read_to_string(path).unwrap_or_default();
    text.lines().filter_map(interface).collect()
}

fn interface(line: &str) -> Option<Interface> {
    let (name, v) = crate::node::parse_netdev(line)?;
    if IGNORED.iter().any(|prefix| name.starts_with(prefix)) {
        return None;
    }
    Some(Interface { name: name.to_owned(), values: [v[0], v[1], v[2], v[3], v[8], v[9], v[10], v[11]] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_limits() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
                    Max processes             99                   99                   processes \n\
                    Max open files            1024                 4096                 files     \n";
        assert_eq!(max_open_files(text), Some(1024));
        assert_eq!(
            max_open_files("Max open files            unlimited            unlimited  files"),
            Some(-1)
        );
        assert_eq!(max_open_files(""), None);
    }

    #[test]
    fn leaves_out_loops_and_other_ends() {
        let line = |name: &str| format!("{name}: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16");
        let eth0 = Interface { name: "eth0".to_owned(), values: [1, 2, 3, 4, 9, 10, 11, 12] };
        assert_eq!(interface(&line("eth0")), Some(eth0));
        assert_eq!(interface(&line("lo")), None);
        assert_eq!(interface(&line("veth12ab")), None);
    }

    #[test]
    fn counts_what_this_process_holds() {
        let own = Processes::read(Path::new("/proc"), &[std::process::id(), u32::MAX]);
        assert!(own.count == 2 && own.descriptors > 2 && own.max_open_files.is_some());
    }
}
