//! A process's own metrics: counters, gauges and histograms, rendered as the text exposition format 0.0.4.

use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::SharedClock;

/// A number that is read and written without a lock.
#[derive(Clone, Debug, Default)]
pub struct Value(Arc<AtomicU64>);

impl Value {
    /// The value now.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
    /// Replaces it (gauges).
    pub fn set(&self, v: f64) {
        self.0.store(v.to_bits(), Ordering::Relaxed);
    }
    /// Adds to it (for a counter: never below 0).
    pub fn add(&self, v: f64) {
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |bits| {
            Some((f64::from_bits(bits) + v).to_bits())
        });
    }
    /// Adds one.
    pub fn inc(&self) {
        self.add(1.0);
    }
    /// Takes one away (gauges).
    pub fn dec(&self) {
        self.add(-1.0);
    }
}

/// A metric that only rises.
pub type Counter = Value;
/// A metric that goes up and down.
pub type Gauge = Value;

/// Observations in buckets.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<HistogramInner>);

#[derive(Debug)]
struct HistogramInner {
    bounds: Vec<f64>,
    counts: Vec<AtomicU64>,
    sum: Value,
}

impl Histogram {
    /// One with these upper bounds, for [`Registry::show_histogram`].
    pub fn new(bounds: &[f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram(Arc::new(HistogramInner { bounds: bounds.to_vec(), counts, sum: Value::default() }))
    }
    /// Counts a value.
    pub fn observe(&self, v: f64) {
        let at = self.0.bounds.iter().position(|b| v <= *b).unwrap_or(self.0.bounds.len());
        self.0.counts[at].fetch_add(1, Ordering::Relaxed);
        self.0.sum.add(v);
    }
    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.0.counts.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }
    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.0.sum.get()
    }

    fn render(&self, name: &str, pairs: &[(&str, &str)], out: &mut String) {
        let mut below = 0;
        for (i, count) in self.0.counts.iter().enumerate() {
            below += count.load(Ordering::Relaxed);
            let bound = self.0.bounds.get(i).copied().unwrap_or(f64::INFINITY);
            let le = model::float::format_short(bound);
            let mut pairs = pairs.to_vec();
            pairs.push(("le", &le));
            line(out, name, "_bucket", &pairs, below as f64);
        }
        line(out, name, "_sum", pairs, self.0.sum.get());
        line(out, name, "_count", pairs, below as f64);
    }
}

/// Observations summed up, and quantiles of the newest.
#[derive(Clone, Debug)]
pub struct Summary(Arc<SummaryInner>);

#[derive(Debug)]
struct SummaryInner {
    quantiles: &'static [f64],
    /// The newest observations and when they came, the oldest first; none where no quantile is shown.
    newest: Mutex<VecDeque<(Duration, f64)>>,
    count: AtomicU64,
    sum: Value,
}

impl Summary {
    /// Quantiles are those of so long, as far as so many observations reach.
    const WINDOW: Duration = Duration::from_secs(600);
    const KEPT: usize = 1024;

    /// One with these quantiles (or none), for [`Registry::show_summary`].
    pub fn new(quantiles: &'static [f64]) -> Self {
        let (newest, count, sum) = Default::default();
        Summary(Arc::new(SummaryInner { quantiles, newest, count, sum }))
    }
    /// Counts a value that was seen at `now`, a clock's monotonic time.
    pub fn observe(&self, now: Duration, v: f64) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
        self.0.sum.add(v);
        if !self.0.quantiles.is_empty() {
            let mut newest = self.0.newest.lock();
            newest.push_back((now, v));
            let is_old = |(at, _): &(Duration, f64)| now.saturating_sub(*at) > Self::WINDOW;
            while newest.len() > Self::KEPT || newest.front().is_some_and(is_old) {
                newest.pop_front();
            }
        }
    }
    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.0.count.load(Ordering::Relaxed)
    }
    /// Their sum.
    pub fn sum(&self) -> f64 {
        self.0.sum.get()
    }
    /// The value below which that share of the newest lies; not a number where there are none.
    fn quantile(sorted: &[f64], share: f64) -> f64 {
        let at = (share * sorted.len() as f64).ceil() as usize;
        sorted.get(at.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    fn render(&self, now: Duration, name: &str, out: &mut String) {
        let mut sorted: Vec<f64> = {
            let newest = self.0.newest.lock();
            newest.iter().filter(|(at, _)| now.saturating_sub(*at) <= Self::WINDOW).map(|(_, v)| *v).collect()
        };
        sorted.sort_by(f64::total_cmp);
        for &share in self.0.quantiles {
            let text = model::float::format_short(share);
            line(out, name, "", &[("quantile", &text)], Self::quantile(&sorted, share));
        }
        line(out, name, "_sum", &[], self.sum());
        line(out, name, "_count", &[], self.count() as f64);
    }
}

/// The metrics of one name, told apart by label values.
#[derive(Clone, Debug)]
pub struct Family<M> {
    labels: &'static [&'static str],
    members: Arc<Mutex<BTreeMap<Vec<String>, M>>>,
    make: fn(&[f64]) -> M,
    bounds: &'static [f64],
}

impl<M: Clone> Family<M> {
    fn new(labels: &'static [&'static str], bounds: &'static [f64], make: fn(&[f64]) -> M) -> Self {
        Family { labels, members: Arc::default(), make, bounds }
    }
    /// The member with these values, one for each label name; made at the first call.
    pub fn with(&self, values: &[&str]) -> M {
        assert_eq!(values.len(), self.labels.len(), "values for {:?}", self.labels);
        let key: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
        self.members.lock().entry(key).or_insert_with(|| (self.make)(self.bounds)).clone()
    }
    /// Forgets a member: it is no longer shown.
    pub fn remove(&self, values: &[&str]) {
        let key: Vec<String> = values.iter().map(|v| (*v).to_owned()).collect();
        self.members.lock().remove(&key);
    }
}

type Lines = Box<dyn Fn(&str, &mut String) + Send + Sync>;

struct Entry {
    name: &'static str,
    help: &'static str,
    kind: &'static str,
    render: Lines,
}

/// All metrics of a process. Clones share.
#[derive(Clone, Default)]
pub struct Registry(Arc<Mutex<Vec<Entry>>>);

impl Registry {
    /// A registry with the process' own figures (`process_…`).
    pub fn with_process() -> Self {
        let registry = Registry::default();
        process::register(&registry);
        registry.counter_fn(
            "pharos_log_lines_dropped_total",
            "Log lines that were dropped, as nobody read the log.",
            || crate::logs::dropped() as f64,
        );
        registry
    }

    fn add(&self, name: &'static str, help: &'static str, kind: &'static str, render: Lines) {
        let mut entries = self.0.lock();
        assert!(entries.iter().all(|e| e.name != name), "metric {name} registered twice");
        entries.push(Entry { name, help, kind, render });
    }

    /// A counter.
    pub fn counter(&self, name: &'static str, help: &'static str) -> Counter {
        self.counters(name, help, &[]).with(&[])
    }
    /// A gauge.
    pub fn gauge(&self, name: &'static str, help: &'static str) -> Gauge {
        self.gauges(name, help, &[]).with(&[])
    }
    /// A histogram with these upper bounds.
    pub fn histogram(&self, name: &'static str, help: &'static str, bounds: &'static [f64]) -> Histogram {
        self.histograms(name, help, &[], bounds).with(&[])
    }
    /// Counters told apart by labels.
    pub fn counters(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Family<Counter> {
        self.values(name, help, "counter", labels)
    }
    /// Gauges told apart by labels.
    pub fn gauges(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
    ) -> Family<Gauge> {
        self.values(name, help, "gauge", labels)
    }
    /// A gauge that is asked when metrics are rendered.
    pub fn gauge_fn(
        &self,
        name: &'static str,
        help: &'static str,
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.value_fn(name, help, "gauge", value);
    }
    /// A counter that is asked when metrics are rendered.
    pub fn counter_fn(
        &self,
        name: &'static str,
        help: &'static str,
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.value_fn(name, help, "counter", value);
    }

    /// Counters told apart by one label, that are asked when metrics are rendered: each value of the label, and its count.
    pub fn counters_fn<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        label: &'static str,
        counts: impl Fn() -> [(&'static str, f64); N] + Send + Sync + 'static,
    ) {
        let render = move |name: &str, out: &mut String| {
            counts().iter().for_each(|(value, count)| line(out, name, "", &[(label, value)], *count));
        };
        self.add(name, help, "counter", Box::new(render));
    }

    fn value_fn(
        &self,
        name: &'static str,
        help: &'static str,
        kind: &'static str,
        value: impl Fn() -> f64 + Send + Sync + 'static,
    ) {
        self.add(name, help, kind, Box::new(move |name, out| line(out, name, "", &[], value())));
    }

    fn values(
        &self,
        name: &'static str,
        help: &'static str,
        kind: &'static str,
        labels: &'static [&'static str],
    ) -> Family<Value> {
        let family = Family::new(labels, &[], |_| Value::default());
        let shown = family.clone();
        self.add(
            name,
            help,
            kind,
            Box::new(move |name, out| {
                for (values, member) in shown.members.lock().iter() {
                    let pairs: Vec<(&str, &str)> =
                        shown.labels.iter().copied().zip(values.iter().map(String::as_str)).collect();
                    line(out, name, "", &pairs, member.get());
                }
            }),
        );
        family
    }

    /// Histograms told apart by labels.
    pub fn histograms(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        bounds: &'static [f64],
    ) -> Family<Histogram> {
        let family = Family::new(labels, bounds, Histogram::new);
        let shown = family.clone();
        self.add(
            name,
            help,
            "histogram",
            Box::new(move |name, out| {
                for (values, member) in shown.members.lock().iter() {
                    let pairs: Vec<(&str, &str)> =
                        shown.labels.iter().copied().zip(values.iter().map(String::as_str)).collect();
                    member.render(name, &pairs, out);
                }
            }),
        );
        family
    }

    /// A histogram that is kept elsewhere.
    pub fn show_histogram(&self, name: &'static str, help: &'static str, shown: Histogram) {
        self.add(name, help, "histogram", Box::new(move |name, out| shown.render(name, &[], out)));
    }
    /// A summary that is kept elsewhere; its observations are of this clock's time.
    pub fn show_summary(&self, name: &'static str, help: &'static str, shown: Summary, clock: SharedClock) {
        let render = move |name: &str, out: &mut String| shown.render(clock.monotonic(), name, out);
        self.add(name, help, "summary", Box::new(render));
    }

    /// All metrics, sorted by name.
    pub fn render(&self) -> String {
        let mut entries = self.0.lock();
        entries.sort_by_key(|e| e.name);
        let mut out = String::with_capacity(16 << 10);
        for entry in entries.iter() {
            let _ = writeln!(
                out,
                "# HELP {} {}",
                entry.name,
                entry.help.replace('\\', "\\\\").replace('\n', "\\n")
            );
            let _ = writeln!(out, "# TYPE {} {}", entry.name, entry.kind);
            (entry.render)(entry.name, &mut out);
        }
        out
    }
}

fn line(out: &mut String, name: &str, suffix: &str, labels: &[(&str, &str)], value: f64) {
    out.push_str(name);
    out.push_str(suffix);
    for (i, (label, text)) in labels.iter().enumerate() {
        out.push(if i == 0 { '{' } else { ',' });
        let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let _ = write!(out, "{label}=\"{escaped}\"");
    }
    if !labels.is_empty() {
        out.push('}');
    }
    out.push(' ');
    out.push_str(&model::float::format_general(value));
    out.push('\n');
}

mod process {
    //! What the system says of this process: `/proc/self`.
    use super::Registry;

    /// Clock ticks a second in `/proc/self/stat`: fixed at 100 by the kernel's interface.
    const TICKS: f64 = 100.0;
    const PAGE: f64 = 4096.0;

    fn stat(field: usize) -> f64 {
        std::fs::read_to_string("/proc/self/stat")
            .ok()
            .and_then(|s| s.rsplit(')').next()?.split_whitespace().nth(field - 3)?.parse().ok())
            .unwrap_or(0.0)
    }

    fn boot_time() -> f64 {
        std::fs::read_to_string("/proc/stat")
            .ok()
            .and_then(|s| s.lines().find_map(|l| l.strip_prefix("btime "))?.parse().ok())
            .unwrap_or(0.0)
    }

    pub(super) fn register(r: &Registry) {
        r.counter_fn("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", || {
            (stat(14) + stat(15)) / TICKS
        });
        r.gauge_fn("process_resident_memory_bytes", "Resident memory size in bytes.", || stat(24) * PAGE);
        r.gauge_fn("process_virtual_memory_bytes", "Virtual memory size in bytes.", || stat(23));
        r.gauge_fn("process_open_fds", "Number of open file descriptors.", || {
            std::fs::read_dir("/proc/self/fd").map_or(0.0, |d| d.count() as f64)
        });
        let start = boot_time() + stat(22) / TICKS;
        r.gauge_fn(
            "process_start_time_seconds",
            "Start time of the process since unix epoch in seconds.",
            move || start,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_all_kinds() {
        let r = Registry::default();
        r.counter("b_total", "Counts.").add(2.0);
        r.gauges("a", "Line\nbreak.", &["x"]).with(&["q\"\\"]).set(1.5);
        let h = r.histogram("h", "Spread.", &[0.1, 1.0]);
        h.observe(0.1);
        h.observe(5.0);
        let expected = "# HELP a Line\\nbreak.\n# TYPE a gauge\na{x=\"q\\\"\\\\\"} 1.5\n\
            # HELP b_total Counts.\n# TYPE b_total counter\nb_total 2\n\
            # HELP h Spread.\n# TYPE h histogram\nh_bucket{le=\"0.1\"} 1\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\n\
            h_sum 5.1\nh_count 2\n";
        assert_eq!(r.render(), expected);
    }

    #[test]
    fn quantiles_are_those_of_ten_minutes() {
        let clock = crate::clock::ManualClock::at(0);
        let (r, summary) = (Registry::default(), Summary::new(&[0.5, 0.99]));
        r.show_summary("s", "Takes.", summary.clone(), clock.clone());
        let text = |half: &str, most: &str, sum: &str, count: u32| {
            format!(
                "# HELP s Takes.\n# TYPE s summary\ns{{quantile=\"0.5\"}} {half}\ns{{quantile=\"0.99\"}} {most}\n\
                s_sum {sum}\ns_count {count}\n"
            )
        };
        assert_eq!(r.render(), text("NaN", "NaN", "0", 0));
        for v in 1..=100 {
            summary.observe(Duration::from_secs(1), f64::from(v));
        }
        assert_eq!(r.render(), text("50", "99", "5050", 100));
        clock.set(601_000);
        summary.observe(Duration::from_secs(601), 7.0);
        assert_eq!(r.render(), text("50", "99", "5057", 101));
        clock.set(602_000);
        assert_eq!(r.render(), text("7", "7", "5057", 101));
        for _ in 0..3000 {
            summary.observe(Duration::from_secs(602), 1.0);
        }
        assert_eq!(summary.0.newest.lock().len(), Summary::KEPT);
        let none = Summary::new(&[]);
        none.observe(Duration::ZERO, 1.0);
        assert!(none.0.newest.lock().is_empty() && none.count() == 1 && none.sum() == 1.0);
    }
}
