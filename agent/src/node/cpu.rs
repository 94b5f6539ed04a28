//! cpu: where the processors' time goes, and how often they were throttled.

use super::files::{Reread, names, read_number, read_trimmed};
use super::shared::SharedFile;
use super::{Collector, Error, Host, SetupError, Text, pattern};
use crate::options::NodeOptions;
use regex::Regex;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Clock ticks a second in `/proc/stat`: fixed at 100 by the kernel's interface.
const TICKS: f64 = 100.0;
/// Modes in the order of the file's columns.
const MODES: [&str; 8] = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];
const IDLE: usize = 3;
/// Idle time that jumps back by more ticks than this is a processor that was away and starts anew (3 s);
/// smaller steps back are the kernel's rounding and are not shown.
const JUMP_BACK: u64 = 300;

/// Ticks of one processor: the eight modes, then guest and guest_nice.
type Ticks = [u64; 10];

pub(crate) struct Cpu {
    stat: SharedFile,
    sys: PathBuf,
    isolated: Reread,
    cpuinfo: Option<CpuInfo>,
    guest: bool,
    /// The highest figures seen of each processor.
    seen: BTreeMap<u32, (String, Ticks)>,
    throttles: Option<Vec<Throttle>>,
}

struct CpuInfo {
    file: Reread,
    all: bool,
    flags: Option<Regex>,
    bugs: Option<Regex>,
}

/// Throttle counters of one core.
struct Throttle {
    package: String,
    core: String,
    core_count: Reread,
    package_count: Reread,
}

impl Cpu {
    pub(crate) fn new(host: &Host, options: &NodeOptions, stat: SharedFile) -> Result<Self, SetupError> {
        let regex = |flag, p: &Option<String>| p.as_deref().map(|p| pattern(flag, p)).transpose();
        let flags = regex("collector.cpu.info.flags-include", &options.cpu_flags_include)?;
        let bugs = regex("collector.cpu.info.bugs-include", &options.cpu_bugs_include)?;
        let wanted = !options.no_cpu_info && (options.cpu_info || flags.is_some() || bugs.is_some());
        let sys = host.sys.join("devices/system/cpu");
        Ok(Cpu {
            stat,
            isolated: Reread::new(sys.join("isolated")),
            cpuinfo: wanted.then(|| CpuInfo {
                file: Reread::new(host.proc.join("cpuinfo")),
                all: true,
                flags,
                bugs,
            }),
            sys,
            guest: !options.no_cpu_guest,
            seen: BTreeMap::new(),
            throttles: None,
        })
    }

    fn times(&mut self, out: &mut Text) -> Result<(), Error> {
        let seen = &mut self.seen;
        self.stat.read(out.scrape(), |text| {
            let mut present = 0;
            for (cpu, ticks) in text.lines().filter_map(parse) {
                present += 1;
                let entry = seen.entry(cpu).or_insert_with(|| (cpu.to_string(), ticks));
                advance(&mut entry.1, &ticks);
            }
            if present < seen.len() {
                let online: Vec<u32> = text.lines().filter_map(parse).map(|(cpu, _)| cpu).collect();
                seen.retain(|cpu, _| online.contains(cpu));
            }
        })?;
        if self.guest {
            let name = "node_cpu_guest_seconds_total";
            out.counters(name, "Seconds the CPUs spent in guests (VMs) for each mode.");
            for (cpu, ticks) in self.seen.values() {
                out.sample(name, [("cpu", cpu), ("mode", "nice")], ticks[9] as f64 / TICKS);
                out.sample(name, [("cpu", cpu), ("mode", "user")], ticks[8] as f64 / TICKS);
            }
        }
        let name = "node_cpu_seconds_total";
        out.counters(name, "Seconds the CPUs spent in each mode.");
        for (cpu, ticks) in self.seen.values() {
            for (mode, ticks) in MODES.iter().zip(ticks) {
                out.sample(name, [("cpu", cpu), ("mode", mode)], *ticks as f64 / TICKS);
            }
        }
        Ok(())
    }

    fn throttles(&mut self, out: &mut Text) {
        let throttles = self.throttles.get_or_insert_with(|| find_throttles(&self.sys));
        let read = |file: &mut Reread| file.read().ok()?.trim().parse::<u64>().ok();
        let mut cores: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        let mut packages: BTreeMap<&str, u64> = BTreeMap::new();
        for t in throttles {
            // hyperthreads of a core share its counter, as do the cores of a package: the first one speaks
            if !cores.contains_key(&(t.core.as_str(), t.package.as_str()))
                && let Some(count) = read(&mut t.core_count)
            {
                cores.insert((&t.core, &t.package), count);
            }
            if !packages.contains_key(t.package.as_str())
                && let Some(count) = read(&mut t.package_count)
            {
                packages.insert(&t.package, count);
            }
        }
        if !cores.is_empty() {
            let name = "node_cpu_core_throttles_total";
            out.counters(name, "Number of times this CPU core has been throttled.");
            for ((core, package), count) in &cores {
                out.sample(name, [("core", core), ("package", package)], *count as f64);
            }
        }
        if !packages.is_empty() {
            let name = "node_cpu_package_throttles_total";
            out.counters(name, "Number of times this CPU package has been throttled.");
            for (package, count) in &packages {
                out.sample(name, [("package", package)], *count as f64);
            }
        }
    }

    fn isolated(&mut self, out: &mut Text) {
        let Ok(list) = self.isolated.read() else { return };
        let isolated = parse_list(list);
        if isolated.is_empty() {
            return;
        }
        let name = "node_cpu_isolated";
        out.gauges(name, "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.");
        for cpu in isolated {
            out.sample(name, [("cpu", &cpu.to_string())], 1.0);
        }
    }

    fn online(&mut self, out: &mut Text) {
        let online: Vec<(String, u8)> = cpu_dirs(&self.sys)
            .filter_map(|(cpu, dir)| Some((cpu, read_number(&dir.join("online"))?)))
            .collect();
        if online.is_empty() {
            return;
        }
        let name = "node_cpu_online";
        out.gauges(name, "CPUs that are online and being scheduled.");
        for (cpu, on) in online {
            out.sample(name, [("cpu", &cpu)], f64::from(on));
        }
    }
}

/// A line `cpuN …` as the processor's number and its ticks; older kernels have fewer columns.
fn parse(line: &str) -> Option<(u32, Ticks)> {
    let mut words = line.strip_prefix("cpu")?.split_ascii_whitespace();
    if !line.as_bytes().get(3)?.is_ascii_digit() {
        return None;
    }
    let cpu = words.next()?.parse().ok()?;
    let mut ticks = Ticks::default();
    for slot in &mut ticks {
        let Some(word) = words.next() else { break };
        *slot = word.parse().ok()?;
    }
    Some((cpu, ticks))
}

/// Takes over new figures, so that no counter goes back unless the processor began anew.
fn advance(seen: &mut Ticks, now: &Ticks) {
    if now[IDLE] + JUMP_BACK < seen[IDLE] {
        *seen = *now;
        return;
    }
    for (seen, now) in seen.iter_mut().zip(now) {
        *seen = (*seen).max(*now);
    }
}

/// A list such as `1,3-5`.
pub(crate) fn parse_list(list: &str) -> Vec<u32> {
    let mut all = Vec::new();
    for part in list.trim().split(',').filter(|p| !p.is_empty()) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(from), Ok(to)) = (from.parse(), to.parse::<u32>()) {
            all.extend(from..=to);
        }
    }
    all
}

/// The directories `cpuN`, in the order of their numbers.
pub(crate) fn cpu_dirs(sys: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    let mut cpus: Vec<u32> = names(sys).iter().filter_map(|n| n.strip_prefix("cpu")?.parse().ok()).collect();
    cpus.sort_unstable();
    cpus.into_iter().map(move |cpu| (cpu.to_string(), sys.join(format!("cpu{cpu}"))))
}

fn find_throttles(sys: &Path) -> Vec<Throttle> {
    let throttle = |dir: PathBuf| {
        let counts = dir.join("thermal_throttle");
        counts.exists().then_some(())?;
        Some(Throttle {
            package: read_trimmed(&dir.join("topology/physical_package_id"))?,
            core: read_trimmed(&dir.join("topology/core_id"))?,
            core_count: Reread::new(counts.join("core_throttle_count")),
            package_count: Reread::new(counts.join("package_throttle_count")),
        })
    };
    cpu_dirs(sys).filter_map(|(_, dir)| throttle(dir)).collect()
}

/// What `/proc/cpuinfo` says of one processor.
fn parse_info(block: &str) -> BTreeMap<&str, &str> {
    block.lines().filter_map(|l| l.split_once(':')).map(|(k, v)| (k.trim(), v.trim())).collect()
}

impl CpuInfo {
    fn collect(&mut self, out: &mut Text) -> Result<(), Error> {
        let text = match self.file.read() {
            Ok(text) => text.to_owned(),
            Err(e) => return Err(Error::read(self.file.path(), e)),
        };
        let cpus: Vec<_> =
            text.split("\n\n").map(parse_info).filter(|c| c.contains_key("processor")).collect();
        if self.all {
            info(out, &cpus);
        }
        let Some(first) = cpus.first() else { return Ok(()) };
        let words = [("flags", "flag", &self.flags), ("bugs", "bug", &self.bugs)];
        for (field, label, wanted) in words {
            let Some(wanted) = wanted else { continue };
            let name = format!("node_cpu_{label}_info");
            out.gauges(
                &name,
                &format!(
                    "The `{field}` field of CPU information from /proc/cpuinfo taken from the first core."
                ),
            );
            for word in first.get(field).copied().unwrap_or_default().split_ascii_whitespace() {
                if wanted.is_match(word) {
                    out.sample(&name, [(label, word)], 1.0);
                }
            }
        }
        Ok(())
    }
}

fn info(out: &mut Text, cpus: &[BTreeMap<&str, &str>]) {
    let get = |cpu: &BTreeMap<&'_ str, &'_ str>, key: &str| {
        cpu.get(key).map_or_else(String::new, |v| (*v).to_owned())
    };
    let name = "node_cpu_info";
    out.gauges(name, "CPU information from /proc/cpuinfo.");
    for cpu in cpus {
        let labels = [
            ("cachesize", "cache size"),
            ("core", "core id"),
            ("cpu", "processor"),
            ("family", "cpu family"),
            ("microcode", "microcode"),
            ("model", "model"),
            ("model_name", "model name"),
            ("package", "physical id"),
            ("stepping", "stepping"),
            ("vendor", "vendor_id"),
        ]
        .map(|(label, key)| (label, get(cpu, key)));
        out.sample(name, labels.each_ref().map(|(label, value)| (*label, value.as_str())), 1.0);
    }
    let name = "node_cpu_frequency_hertz";
    out.gauges(name, "CPU frequency in hertz from /proc/cpuinfo.");
    for cpu in cpus {
        let Ok(mhz) = get(cpu, "cpu MHz").parse::<f64>() else { continue };
        let (core, id, package) = (get(cpu, "core id"), get(cpu, "processor"), get(cpu, "physical id"));
        out.sample(name, [("core", &core), ("cpu", &id), ("package", &package)], mhz * 1e6);
    }
}

impl Collector for Cpu {
    fn collect(&mut self, out: &mut Text) -> Result<(), Error> {
        if let Some(info) = &mut self.cpuinfo {
            info.collect(out)?;
        }
        self.times(out)?;
        self.throttles(out);
        self.isolated(out);
        self.online(out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_lines_of_single_cpus() {
        assert_eq!(parse("cpu  1 2 3 4"), None);
        assert_eq!(parse("cpu12 1 2 3 4"), Some((12, [1, 2, 3, 4, 0, 0, 0, 0, 0, 0])));
        assert_eq!(parse("cpu0 1 2 3 4 5 6 7 8 9 10"), Some((0, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])));
        assert_eq!(parse("ctxt 7"), None);
    }

    #[test]
    fn counters_go_back_only_with_a_cpu_that_began_anew() {
        let mut seen = [10, 0, 0, 1000, 50, 0, 0, 0, 0, 0];
        advance(&mut seen, &[11, 0, 0, 999, 40, 0, 0, 0, 0, 0]);
        assert_eq!(seen, [11, 0, 0, 1000, 50, 0, 0, 0, 0, 0]);
        advance(&mut seen, &[1, 0, 0, 2, 0, 0, 0, 0, 0, 0]);
        assert_eq!(seen, [1, 0, 0, 2, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn parses_lists() {
        assert_eq!(parse_list("1,3-5,9\n"), [1, 3, 4, 5, 9]);
        assert_eq!(parse_list("\n"), [0u32; 0]);
    }
}
