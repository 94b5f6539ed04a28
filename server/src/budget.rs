//! How much memory queries, the head and bodies in flight may hold: shares of what the machine or the container has.
//!
//! What is left of it is for the program itself, the allocator's slack, and the buffers of compactions.

use crate::flags::{Bytes, Options};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Of the memory that there is, this share is for all queries together.
const ALL_QUERIES: u64 = 40;
/// This one for a single query: it fails alone while there is room for others.
const ONE_QUERY: u64 = 20;
/// This one for the head: Prometheus would need all of the memory for as many series.
const HEAD: u64 = 35;
/// This one for the bodies of scrapes and remote writes.
const BODIES: u64 = 15;

/// Most bytes; 0 means no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budgets {
    pub(crate) query: usize,
    pub(crate) all: usize,
    pub(crate) head: usize,
    pub(crate) bodies: usize,
}

impl Budgets {
    /// As the flags say; what they leave open is a share of the memory that there is.
    pub(crate) fn new(options: &Options, memory: Option<u64>) -> Budgets {
        let flag = |bytes: Option<Bytes>| bytes.map(|b| b.0);
        let (query, all) = (flag(options.query_memory_budget), flag(options.query_total_memory_budget));
        let (head, bodies) = (flag(options.head_memory_budget), flag(options.scrape_memory_budget));
        let share = |percent: u64| memory.map_or(0, |bytes| bytes / 100 * percent);
        let all = all.unwrap_or_else(|| share(ALL_QUERIES));
        let query = query.unwrap_or_else(|| match (all, share(ONE_QUERY)) {
            (0, share) => share,
            (all, 0) => all,
            (all, share) => share.min(all),
        });
        let bytes = |b: u64| usize::try_from(b).unwrap_or(usize::MAX);
        let (head, bodies) = (head.unwrap_or_else(|| share(HEAD)), bodies.unwrap_or_else(|| share(BODIES)));
        Budgets { query: bytes(query), all: bytes(all), head: bytes(head), bodies: bytes(bodies) }
    }

    /// Says them in the log.
    pub(crate) fn report(&self) {
        let Budgets { query, all, head, bodies } = *self;
        tracing::info!(head, queries = all, one_query = query, bodies, "memory budgets in bytes, 0 for none");
    }

    /// What they come to, in the place of the flags' own values.
    pub(crate) fn tell(&self, flags: &mut BTreeMap<String, String>) {
        let all = [
            ("query.memory-budget", self.query),
            ("query.total-memory-budget", self.all),
            ("storage.tsdb.memory-budget", self.head),
            ("scrape.memory-budget", self.bodies),
        ];
        for (name, bytes) in all {
            // bytes alone: as the flag would take it
            flags.insert(name.to_owned(), if bytes == 0 { "0".to_owned() } else { format!("{bytes}B") });
        }
    }
}

/// Bytes of memory that this process may have: the least of its control groups' limits and the machine's memory.
pub(crate) fn memory() -> Option<u64> {
    memory_of(Path::new("/"))
}

fn memory_of(root: &Path) -> Option<u64> {
    let machine = fs::read_to_string(root.join("proc/meminfo")).ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kib| kib * 1024)
    });
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().filter_map(|line| {
        // `0::/path` in version 2, `7:memory:/path` in version 1
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        let fs = root.join("sys/fs/cgroup");
        match controllers {
            "" => least(&fs, path, "memory.max"),
            c if c.split(',').any(|c| c == "memory") => {
                least(&fs.join("memory"), path, "memory.limit_in_bytes")
            }
            _ => None,
        }
    });
    limits.chain(machine).min()
}

/// The least limit of a group and those around it. Within a container the path may be one of the host's: then the mount's own
/// root counts.
fn least(mount: &Path, path: &str, file: &str) -> Option<u64> {
    let mut at: PathBuf = mount.join(path.trim_start_matches('/'));
    let mut least = None;
    loop {
        let limit = fs::read_to_string(at.join(file)).ok().and_then(|text| text.trim().parse::<u64>().ok());
        least = least.into_iter().chain(limit).min();
        if at == mount || !at.pop() {
            return least;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_count_more_than_shares() {
        let gib = 1 << 30;
        let of = |flags: &[&str], memory| {
            let options = crate::CommandLine::parse(flags).unwrap().options;
            let Budgets { query, all, head, bodies } = Budgets::new(&options, memory);
            (query, all, head, bodies)
        };
        assert_eq!(of(&[], Some(100 << 30)), (20 * gib, 40 * gib, 35 * gib, 15 * gib));
        assert_eq!(of(&["--query.memory-budget=5B"], Some(100 << 30)), (5, 40 * gib, 35 * gib, 15 * gib));
        assert_eq!(of(&["--query.total-memory-budget=7B"], Some(100 << 30)), (7, 7, 35 * gib, 15 * gib));
        assert_eq!(of(&[], None), (0, 0, 0, 0));
        let none = ["--query.memory-budget=0", "--query.total-memory-budget=0"];
        assert_eq!(of(&none, Some(100 << 30)), (0, 0, 35 * gib, 15 * gib));
        let flags = ["--storage.tsdb.memory-budget=3MB", "--scrape.memory-budget=0"];
        assert_eq!(of(&flags, Some(100 << 30)), (20 * gib, 40 * gib, 3 << 20, 0));
    }

    #[test]
    fn the_least_limit_counts() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(memory_of(dir.path()), None);
        write("proc/meminfo", "MemTotal:       2048 kB\nMemFree: 1 kB\n");
        assert_eq!(memory_of(dir.path()), Some(2 << 20));
        write("proc/self/cgroup", "0::/pods/one\n");
        write("sys/fs/cgroup/pods/one/memory.max", "max\n");
        assert_eq!(memory_of(dir.path()), Some(2 << 20));
        write("sys/fs/cgroup/pods/memory.max", "1048576\n");
        assert_eq!(memory_of(dir.path()), Some(1 << 20));
        write("proc/self/cgroup", "4:cpu,memory:/x\n3:pids:/x\n");
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "4096\n");
        assert_eq!(memory_of(dir.path()), Some(4096));
    }
}
