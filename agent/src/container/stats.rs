//! Figures of one cgroup, from either version's files. A file that is not there leaves its figures out: controllers
//! may be missing, and cgroups vanish between being listed and being read.

use super::cgroup::{Hierarchy, V1, join};
use std::path::Path;

/// Clock ticks a second in `cpuacct.stat`: fixed at 100 by the kernel's interface.
const TICKS: f64 = 100.0;
/// Limits beyond this many bytes mean that there is none.
const UNLIMITED: u64 = 1 << 62;

/// A cgroup's figures; times in seconds, sizes in bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stats {
    pub(crate) cpu: Cpu,
    pub(crate) memory: Option<Memory>,
    pub(crate) devices: Vec<Device>,
    pub(crate) threads: Option<u64>,
    /// 0: no limit.
    pub(crate) threads_max: Option<u64>,
    /// CPU, memory, IO; version 2 only.
    pub(crate) pressure: [Option<Pressure>; 3],
    pub(crate) spec: Spec,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cpu {
    pub(crate) usage: Option<f64>,
    pub(crate) user: Option<f64>,
    pub(crate) system: Option<f64>,
    pub(crate) periods: u64,
    pub(crate) throttled_periods: u64,
    pub(crate) throttled: f64,
    pub(crate) bursts: u64,
    pub(crate) burst: f64,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Memory {
    pub(crate) usage: u64,
    pub(crate) working_set: u64,
    pub(crate) max_usage: Option<u64>,
    pub(crate) failcnt: u64,
    pub(crate) cache: u64,
    pub(crate) rss: u64,
    pub(crate) swap: u64,
    pub(crate) mapped_file: u64,
    pub(crate) kernel: Option<u64>,
    pub(crate) active_file: u64,
    pub(crate) inactive_file: u64,
    /// Of the cgroup itself, and with its children.
    pub(crate) pgfault: [u64; 2],
    pub(crate) pgmajfault: [u64; 2],
    pub(crate) oom_kills: u64,
}

/// What a cgroup did to a block device.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Device {
    pub(crate) number: (u32, u32),
    /// Its file, as [`super::disks::device`] finds it.
    pub(crate) name: String,
    pub(crate) read_bytes: u64,
    pub(crate) written_bytes: u64,
    pub(crate) reads: u64,
    pub(crate) writes: u64,
}

/// Seconds in which some or all tasks waited.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Pressure {
    pub(crate) some: f64,
    pub(crate) full: f64,
}

/// What the cgroup may use.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Spec {
    pub(crate) shares: Option<u64>,
    pub(crate) period: Option<u64>,
    /// Microseconds a period; nothing without a limit.
    pub(crate) quota: Option<u64>,
    /// 0: no limit.
    pub(crate) memory: u64,
    pub(crate) memory_swap: u64,
    pub(crate) memory_reservation: u64,
}

/// Reads a cgroup.
pub(crate) fn read(hierarchy: &Hierarchy, path: &str) -> Stats {
    match hierarchy {
        Hierarchy::V1(v1) => read_v1(v1, path),
        Hierarchy::V2(root) => read_v2(&join(root, path)),
    }
}

fn text(dir: &Path, file: &str) -> Option<String> {
    runtime::file::read_to_string(dir.join(file)).ok()
}

fn number(dir: &Path, file: &str) -> Option<u64> {
    text(dir, file)?.trim().parse().ok()
}

/// A limit; `max` and what is beyond all memory are 0.
fn limit(dir: &Path, file: &str) -> u64 {
    number(dir, file).filter(|n| *n < UNLIMITED).unwrap_or(0)
}

/// Lines `key number`.
struct Fields(Option<String>);

impl Fields {
    fn read(dir: &Path, file: &str) -> Self {
        Fields(text(dir, file))
    }
    fn get(&self, key: &str) -> Option<u64> {
        let lines = self.0.as_deref()?.lines();
        let mut values = lines.filter_map(|l| l.strip_prefix(key)?.strip_prefix(' '));
        values.next()?.trim().parse().ok()
    }
    fn or_0(&self, key: &str) -> u64 {
        self.get(key).unwrap_or(0)
    }
}

fn read_v1(v1: &V1, path: &str) -> Stats {
    let (cpu, cpuacct, memory) = (join(&v1.cpu, path), join(&v1.cpuacct, path), join(&v1.memory, path));
    let throttling = Fields::read(&cpu, "cpu.stat");
    let times = Fields::read(&cpuacct, "cpuacct.stat");
    let seconds = |ns: u64| ns as f64 / 1e9;
    let quota = text(&cpu, "cpu.cfs_quota_us").and_then(|t| t.trim().parse::<i64>().ok());
    let pids = join(&v1.pids, path);
    Stats {
        cpu: Cpu {
            usage: number(&cpuacct, "cpuacct.usage").map(seconds),
            user: times.get("user").map(|t| t as f64 / TICKS),
            system: times.get("system").map(|t| t as f64 / TICKS),
            periods: throttling.or_0("nr_periods"),
            throttled_periods: throttling.or_0("nr_throttled"),
            throttled: seconds(throttling.or_0("throttled_time")),
            bursts: throttling.or_0("nr_bursts"),
            burst: seconds(throttling.or_0("burst_time")),
        },
        memory: memory_v1(&memory),
        devices: devices_v1(&join(&v1.blkio, path)),
        threads: number(&pids, "pids.current"),
        threads_max: text(&pids, "pids.max").map(|t| t.trim().parse().unwrap_or(0)),
        pressure: [None; 3],
        spec: Spec {
            shares: number(&cpu, "cpu.shares"),
            period: number(&cpu, "cpu.cfs_period_us"),
            quota: quota.and_then(|q| u64::try_from(q).ok()).filter(|q| *q > 0),
            memory: limit(&memory, "memory.limit_in_bytes"),
            memory_swap: limit(&memory, "memory.memsw.limit_in_bytes"),
            memory_reservation: limit(&memory, "memory.soft_limit_in_bytes"),
        },
    }
}

fn memory_v1(dir: &Path) -> Option<Memory> {
    let usage = number(dir, "memory.usage_in_bytes")?;
    let stat = Fields::read(dir, "memory.stat");
    let inactive_file = stat.or_0("total_inactive_file");
    Some(Memory {
        usage,
        working_set: usage.saturating_sub(inactive_file),
        max_usage: number(dir, "memory.max_usage_in_bytes"),
        failcnt: number(dir, "memory.failcnt").unwrap_or(0),
        cache: stat.or_0("total_cache"),
        rss: stat.or_0("total_rss"),
        swap: stat.or_0("total_swap"),
        mapped_file: stat.or_0("total_mapped_file"),
        kernel: number(dir, "memory.kmem.usage_in_bytes"),
        active_file: stat.or_0("total_active_file"),
        inactive_file,
        pgfault: [stat.or_0("pgfault"), stat.or_0("total_pgfault")],
        pgmajfault: [stat.or_0("pgmajfault"), stat.or_0("total_pgmajfault")],
        oom_kills: Fields::read(dir, "memory.oom_control").or_0("oom_kill"),
    })
}

/// `8:0 Read 4096` lines: bytes and counts, with the children's where the kernel adds them up.
fn devices_v1(dir: &Path) -> Vec<Device> {
    let mut devices: Vec<Device> = Vec::new();
    let files = ["blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_serviced_recursive"];
    for (count, file) in files.into_iter().enumerate() {
        for line in text(dir, file).unwrap_or_default().lines() {
            let mut words = line.split(' ');
            let Some(number) = words.next().and_then(device_number) else { continue };
            let (Some(operation), Some(Ok(value))) = (words.next(), words.next().map(str::parse::<u64>))
            else {
                continue;
            };
            let device = slot(&mut devices, number);
            match (operation, count) {
                ("Read", 0) => device.read_bytes = value,
                ("Write", 0) => device.written_bytes = value,
                ("Read", _) => device.reads = value,
                ("Write", _) => device.writes = value,
                _ => {}
            }
        }
    }
    devices
}

fn device_number(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn slot(devices: &mut Vec<Device>, number: (u32, u32)) -> &mut Device {
    let at = devices.iter().position(|d| d.number == number).unwrap_or_else(|| {
        devices.push(Device { number, ..Device::default() });
        devices.len() - 1
    });
    &mut devices[at]
}

fn read_v2(dir: &Path) -> Stats {
    let cpu = Fields::read(dir, "cpu.stat");
    let seconds = |us: u64| us as f64 / 1e6;
    let max = text(dir, "cpu.max").unwrap_or_default();
    let mut max = max.split_ascii_whitespace();
    let (quota, period) = (max.next().and_then(|q| q.parse().ok()), max.next().and_then(|p| p.parse().ok()));
    Stats {
        cpu: Cpu {
            usage: cpu.get("usage_usec").map(seconds),
            user: cpu.get("user_usec").map(seconds),
            system: cpu.get("system_usec").map(seconds),
            periods: cpu.or_0("nr_periods"),
            throttled_periods: cpu.or_0("nr_throttled"),
            throttled: seconds(cpu.or_0("throttled_usec")),
            bursts: cpu.or_0("nr_bursts"),
            burst: seconds(cpu.or_0("burst_usec")),
        },
        memory: memory_v2(dir),
        devices: devices_v2(&text(dir, "io.stat").unwrap_or_default()),
        threads: number(dir, "pids.current"),
        threads_max: text(dir, "pids.max").map(|t| t.trim().parse().unwrap_or(0)),
        pressure: ["cpu", "memory", "io"].map(|resource| pressure(dir, resource)),
        spec: Spec {
            shares: number(dir, "cpu.weight").map(shares),
            period,
            quota,
            memory: limit(dir, "memory.max"),
            memory_swap: limit(dir, "memory.swap.max"),
            memory_reservation: limit(dir, "memory.min"),
        },
    }
}

/// The shares of version 1 (2 to 262144) that the runtimes turn into a weight (1 to 10000).
fn shares(weight: u64) -> u64 {
    2 + weight.saturating_sub(1) * 262_142 / 9999
}

fn memory_v2(dir: &Path) -> Option<Memory> {
    let stat = Fields::read(dir, "memory.stat");
    // the root has no figure of its own: what its processes and files use is what the statistics add up to
    let usage = number(dir, "memory.current")
        .or_else(|| Some(stat.get("anon")? + stat.get("file")? + stat.or_0("kernel")))?;
    let events = Fields::read(dir, "memory.events");
    let inactive_file = stat.or_0("inactive_file");
    let both = |key: &str| [stat.or_0(key); 2];
    Some(Memory {
        usage,
        working_set: usage.saturating_sub(inactive_file),
        max_usage: number(dir, "memory.peak"),
        failcnt: events.or_0("max"),
        cache: stat.or_0("file"),
        rss: stat.or_0("anon"),
        swap: number(dir, "memory.swap.current").unwrap_or(0),
        mapped_file: stat.or_0("file_mapped"),
        kernel: stat.get("kernel"),
        active_file: stat.or_0("active_file"),
        inactive_file,
        pgfault: both("pgfault"),
        pgmajfault: both("pgmajfault"),
        oom_kills: events.or_0("oom_kill"),
    })
}

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0` lines.
fn devices_v2(text: &str) -> Vec<Device> {
    let device = |line: &str| {
        let (number, rest) = line.split_once(' ')?;
        let mut device = Device { number: device_number(number)?, ..Device::default() };
        for (key, value) in rest.split(' ').filter_map(|w| w.split_once('=')) {
            let Ok(value) = value.parse() else { continue };
            match key {
                "rbytes" => device.read_bytes = value,
                "wbytes" => device.written_bytes = value,
                "rios" => device.reads = value,
                "wios" => device.writes = value,
                _ => {}
            }
        }
        Some(device)
    };
    text.lines().filter_map(device).collect()
}

fn pressure(dir: &Path, resource: &str) -> Option<Pressure> {
    let (some, full) = crate::node::parse_pressure(&text(dir, &format!("{resource}.pressure"))?);
    let seconds = |us: Option<u64>| us.unwrap_or(0) as f64 / 1e6;
    Some(Pressure { some: seconds(some), full: seconds(full) })
}
