//! The machine's metrics, with the names of node_exporter: one collector, one file.

mod conntrack;
mod cpu;
mod diskstats;
mod entropy;
mod filefd;
mod files;
mod filesystem;
mod loadavg;
mod meminfo;
mod netclass;
mod netdev;
mod netstat;
mod pressure;
mod shared;
mod sockstat;
mod stat;
mod statfs;
mod time;
mod tzif;
mod uname;
mod vmstat;

pub(crate) use cpu::cpu_dirs;
pub(crate) use files::{read_number, read_trimmed};
pub(crate) use filesystem::parse_mount;
pub(crate) use netdev::parse as parse_netdev;
pub(crate) use pressure::parse as parse_pressure;

use self::shared::SharedFile;
use crate::options::{Collectors, Options};
use crate::worker::{Stopping, Worker};
use exposition::encode::{MetricType, TextEncoder};
use regex::Regex;
use runtime::Stage;
use runtime::clock::SharedClock;
use runtime::metrics::Registry;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Why the collectors cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A flag's regular expression is none.
    #[error("--{flag}: {source}")]
    Regex {
        /// The flag's name.
        flag: &'static str,
        /// What is wrong with it.
        source: regex::Error,
    },
    /// Two flags that say opposite things about the same.
    #[error("--{0} and --{1} exclude each other")]
    Exclusive(&'static str, &'static str),
    /// A flag's value is no duration.
    #[error("--{flag}: bad duration {value:?}")]
    Duration {
        /// The flag's name.
        flag: &'static str,
        /// What it was given.
        value: String,
    },
}

/// Why a collector has nothing to show.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The kernel or machine does not have what it reads: not worth a log line at each scrape.
    #[error("collector returned no data")]
    NoData,
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file says something else than expected.
    #[error("cannot understand {path}: {what}")]
    Parse {
        /// Which one.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
}

impl Error {
    fn read(path: &Path, source: std::io::Error) -> Self {
        Error::Read { path: path.to_owned(), source }
    }
    /// A file that need not exist: its absence is no data, anything else an error.
    fn absent_is_no_data(path: &Path, source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::NotFound => Error::NoData,
            _ => Error::read(path, source),
        }
    }
    fn parse(path: &Path, what: impl std::fmt::Display) -> Self {
        Error::Parse { path: path.to_owned(), what: what.to_string() }
    }
}

/// Where the host's file systems are, and what is the time.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) proc: PathBuf,
    pub(crate) sys: PathBuf,
    pub(crate) rootfs: PathBuf,
    pub(crate) udev: PathBuf,
    pub(crate) clock: SharedClock,
}

/// One source of metrics.
pub(crate) trait Collector: Send {
    /// Appends its families.
    fn collect(&mut self, out: &mut Text) -> Result<(), Error>;
}

/// The text under way.
pub(crate) struct Text {
    encoder: TextEncoder,
    scrape: u64,
}

impl Text {
    /// Which scrape this is, counting from 1.
    pub(crate) fn scrape(&self) -> u64 {
        self.scrape
    }
    /// Begins a family of gauges.
    pub(crate) fn gauges(&mut self, name: &str, help: &str) {
        self.encoder.family(name, help, MetricType::Gauge);
    }
    /// Begins a family of counters.
    pub(crate) fn counters(&mut self, name: &str, help: &str) {
        self.encoder.family(name, help, MetricType::Counter);
    }
    /// Begins a family whose type the kernel does not say.
    pub(crate) fn untyped(&mut self, name: &str, help: &str) {
        self.encoder.family(name, help, MetricType::Unknown);
    }
    /// A sample of the family begun last. Labels come sorted by name.
    pub(crate) fn sample<const N: usize>(&mut self, name: &str, labels: [(&str, &str); N], value: f64) {
        self.encoder.sample(name, labels, value, None);
    }
    /// A family of one gauge without labels.
    pub(crate) fn gauge(&mut self, name: &str, help: &str, value: f64) {
        self.gauges(name, help);
        self.sample(name, [], value);
    }
    /// A family of one counter without labels.
    pub(crate) fn counter(&mut self, name: &str, help: &str, value: f64) {
        self.counters(name, help);
        self.sample(name, [], value);
    }
}

/// Which names of a kind are shown: all but those that a pattern excludes, or only those that one includes.
#[derive(Clone, Debug)]
pub(crate) struct NameFilter {
    include: Option<Regex>,
    exclude: Option<Regex>,
}

impl NameFilter {
    fn new(
        (include_flag, include): (&'static str, Option<&str>),
        (exclude_flag, exclude): (&'static str, Option<&str>),
        default_exclude: Option<&str>,
    ) -> Result<Self, SetupError> {
        let (include, exclude) = (include.filter(|p| !p.is_empty()), exclude.filter(|p| !p.is_empty()));
        if include.is_some() && exclude.is_some() {
            return Err(SetupError::Exclusive(include_flag, exclude_flag));
        }
        let exclude = if include.is_some() { None } else { exclude.or(default_exclude) };
        Ok(NameFilter {
            include: include.map(|p| pattern(include_flag, p)).transpose()?,
            exclude: exclude.map(|p| pattern(exclude_flag, p)).transpose()?,
        })
    }

    /// Whether the name is left out.
    pub(crate) fn ignores(&self, name: &str) -> bool {
        self.exclude.as_ref().is_some_and(|e| e.is_match(name))
            || self.include.as_ref().is_some_and(|i| !i.is_match(name))
    }
}

fn pattern(flag: &'static str, pattern: &str) -> Result<Regex, SetupError> {
    Regex::new(pattern).map_err(|source| SetupError::Regex { flag, source })
}

/// Which collectors one scrape asks for: `collect[]` or `exclude[]` in its query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    only: Vec<String>,
    not: Vec<String>,
}

impl Filter {
    /// From a query string.
    pub(crate) fn parse(query: &str) -> Result<Self, String> {
        let mut filter = Filter::default();
        for pair in query.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            match key.replace("%5B", "[").replace("%5b", "[").replace("%5D", "]").replace("%5d", "]").as_str()
            {
                "collect[]" => filter.only.push(value.to_owned()),
                "exclude[]" => filter.not.push(value.to_owned()),
                _ => {}
            }
        }
        if !filter.only.is_empty() && !filter.not.is_empty() {
            return Err("Combined collect and exclude queries are not allowed.".to_owned());
        }
        Ok(filter)
    }

    fn check(&self, enabled: &Collectors) -> Result<(), String> {
        match self.only.iter().chain(&self.not).find(|name| !enabled.has(name)) {
            None => Ok(()),
            Some(name) => Err(format!("couldn't create filtered metrics handler: missing collector: {name}")),
        }
    }

    fn takes(&self, name: &str) -> bool {
        (self.only.is_empty() || self.only.iter().any(|n| n == name)) && !self.not.iter().any(|n| n == name)
    }
}

/// All collectors that run, in a thread of their own.
pub(crate) struct NodeMetrics {
    worker: Worker<Collecting>,
    enabled: Collectors,
}

/// Why a scrape has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatherError {
    /// It asks for what is not there.
    #[error("{0}")]
    Filter(String),
    /// Too late.
    #[error(transparent)]
    Stopping(#[from] Stopping),
}

impl NodeMetrics {
    /// `own`: the agent's own metrics, shown with those of the node.
    pub(crate) fn new(
        options: &Options,
        clock: SharedClock,
        stage: &Stage,
        own: Registry,
    ) -> Result<Self, SetupError> {
        let host = Host {
            proc: options.procfs.clone(),
            sys: options.sysfs.clone(),
            rootfs: options.rootfs.clone(),
            udev: options.udev.clone(),
            clock,
        };
        let collecting = Collecting::new(options, host, own)?;
        Ok(NodeMetrics { worker: Worker::start(stage, collecting), enabled: options.collectors.clone() })
    }

    pub(crate) async fn gather(&self, filter: Filter) -> Result<String, GatherError> {
        filter.check(&self.enabled).map_err(GatherError::Filter)?;
        Ok(self.worker.call(move |collecting| collecting.gather(&filter)).await?)
    }
}

/// What the thread owns.
struct Collecting {
    clock: SharedClock,
    collectors: Vec<(&'static str, Box<dyn Collector>)>,
    own: Option<Registry>,
    /// Size of the last text: the next one will be much the same.
    size: usize,
    took: Vec<(&'static str, Duration, bool)>,
    scrapes: u64,
}

impl Collecting {
    fn new(options: &Options, host: Host, own: Registry) -> Result<Self, SetupError> {
        let stat = SharedFile::new(host.proc.join("stat"));
        let mut collectors = Vec::new();
        for name in options.collectors.names() {
            collectors.push((name, make(name, options, &host, &stat)?));
        }
        let own = (!options.disable_exporter_metrics).then_some(own);
        Ok(Collecting { clock: host.clock, collectors, own, size: 16 << 10, took: Vec::new(), scrapes: 0 })
    }

    fn gather(&mut self, filter: &Filter) -> String {
        self.scrapes += 1;
        let room = String::with_capacity(self.size + self.size / 8);
        let mut out = Text { encoder: TextEncoder::new(room), scrape: self.scrapes };
        self.took.clear();
        for (name, collector) in self.collectors.iter_mut().filter(|(name, _)| filter.takes(name)) {
            let began = self.clock.monotonic();
            let result = collector.collect(&mut out);
            let took = self.clock.monotonic().saturating_sub(began);
            match &result {
                Ok(()) => {}
                Err(Error::NoData) => tracing::debug!(collector = name, "collector returned no data"),
                Err(e) => tracing::error!(collector = name, error = %e, "collector failed"),
            }
            self.took.push((name, took, result.is_ok()));
        }
        self.about_collectors(&mut out);
        let mut text = out.encoder.finish();
        if let Some(own) = &self.own {
            text.push_str(&own.render());
        }
        self.size = text.len();
        text
    }

    fn about_collectors(&self, out: &mut Text) {
        let name = "node_scrape_collector_duration_seconds";
        out.gauges(name, "node_exporter: Duration of a collector scrape.");
        for (collector, took, _) in &self.took {
            out.sample(name, [("collector", collector)], took.as_secs_f64());
        }
        let name = "node_scrape_collector_success";
        out.gauges(name, "node_exporter: Whether a collector succeeded.");
        for (collector, _, ok) in &self.took {
            out.sample(name, [("collector", collector)], f64::from(u8::from(*ok)));
        }
        let version = env!("CARGO_PKG_VERSION");
        let name = "node_exporter_build_info";
        out.gauges(
            name,
            "A metric with a constant '1' value labeled by version, revision, branch, goversion from which \
             node_exporter was built, and the goos and goarch for the build.",
        );
        let (os, arch) = (std::env::consts::OS, goarch());
        let labels = [
            ("branch", ""),
            ("goarch", arch),
            ("goos", os),
            ("goversion", ""),
            ("revision", ""),
            ("tags", ""),
            ("version", version),
        ];
        out.sample(name, labels, 1.0);
    }
}

/// A collector, by the name of its flag. `/proc/stat` is shared by those that read it.
fn make(
    name: &str,
    options: &Options,
    host: &Host,
    stat: &SharedFile,
) -> Result<Box<dyn Collector>, SetupError> {
    let node = &options.node;
    Ok(match name {
        "conntrack" => Box::new(conntrack::Conntrack::new(host)),
        "entropy" => Box::new(entropy::Entropy::new(host)),
        "netclass" => Box::new(netclass::Netclass::new(host, node)?),
        "netstat" => Box::new(netstat::Netstat::new(host, &node.netstat_fields)?),
        "sockstat" => Box::new(sockstat::Sockstat::new(host)),
        "cpu" => Box::new(cpu::Cpu::new(host, node, stat.clone())?),
        "diskstats" => Box::new(diskstats::Diskstats::new(host, node)?),
        "filefd" => Box::new(filefd::Filefd::new(host)),
        "filesystem" => Box::new(filesystem::Filesystem::new(host, node)?),
        "loadavg" => Box::new(loadavg::Loadavg::new(host)),
        "meminfo" => Box::new(meminfo::Meminfo::new(host)),
        "netdev" => Box::new(netdev::Netdev::new(host, node)?),
        "pressure" => Box::new(pressure::Pressure::new(host)),
        "stat" => Box::new(stat::Stat::new(stat.clone(), node.stat_softirq)),
        "time" => Box::new(time::Time::new(host)),
        "uname" => Box::new(uname::Uname),
        "vmstat" => Box::new(vmstat::Vmstat::new(host, &node.vmstat_fields)?),
        other => unreachable!("the table of collectors lists {other}, but there is none"),
    })
}

/// The architecture, in the words of the label `goarch`.
fn goarch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
