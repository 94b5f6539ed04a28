//! Type, help and unit of a target's metrics.

use crate::status::MetricMetadata;
use exposition::MetricType;
use rustc_hash::FxHashMap;

/// Metadata that so many scrapes did not bring is forgotten.
const FORGET_AFTER: u32 = 10;

#[derive(Debug)]
pub(crate) struct Meta {
    pub(crate) kind: MetricType,
    pub(crate) help: Box<str>,
    pub(crate) unit: Box<str>,
    seen: u32,
    changed: u32,
}

/// The metadata of a target.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    metrics: FxHashMap<Box<str>, Meta>,
    iteration: u32,
    /// The last scrape that was stored.
    stored: u32,
    /// Whether the storage wants to know: only then the present metric is followed.
    wanted: bool,
    /// The metric that was described last: the series behind it are its own.
    present: String,
    /// Whether something of it has changed since a scrape was stored.
    present_changed: bool,
}

impl Metadata {
    /// Begins a scrape.
    pub(crate) fn begin(&mut self, wanted: bool) {
        self.iteration = self.iteration.wrapping_add(1);
        self.wanted = wanted;
        self.present.clear();
        self.present_changed = false;
        if self.iteration.is_multiple_of(FORGET_AFTER) {
            let now = self.iteration;
            self.metrics.retain(|_, m| now.wrapping_sub(m.seen) <= FORGET_AFTER);
        }
    }

    /// The scrape was stored.
    pub(crate) fn commit(&mut self) {
        self.stored = self.iteration;
    }

    fn update(&mut self, metric: &str, update: impl FnOnce(&mut Meta) -> bool) {
        let now = self.iteration;
        // the entry interface would need a boxed name each time
        if !self.metrics.contains_key(metric) {
            let (kind, text) = (MetricType::Unknown, Box::<str>::default());
            let empty = Meta { kind, help: text.clone(), unit: text, seen: now, changed: now };
            self.metrics.insert(metric.into(), empty);
        }
        let meta = self.metrics.get_mut(metric).unwrap_or_else(|| unreachable!("inserted above"));
        meta.seen = now;
        if update(meta) {
            meta.changed = now;
        }
        if self.wanted {
            self.present_changed = now.wrapping_sub(meta.changed) < now.wrapping_sub(self.stored);
            self.present.clear();
            self.present.push_str(metric);
        }
    }

    /// Whether the storage should be told again what the series of the present metric are.
    #[inline]
    pub(crate) fn present_changed(&self) -> bool {
        self.present_changed
    }

    /// What is known of the present metric, where a series of that name is of it.
    pub(crate) fn present_of(&self, series: &str) -> Option<&Meta> {
        let meta = self.metrics.get(self.present.as_str())?;
        is_of(series, &self.present, meta.kind).then_some(meta)
    }

    /// Whether the storage wants to know what series are.
    #[inline]
    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Whether anything is known of the metric.
    pub(crate) fn has(&self, metric: &str) -> bool {
        self.metrics.contains_key(metric)
    }

    /// Bytes of memory, about: most metrics say as much of themselves as they have names.
    pub(crate) fn bytes(&self) -> usize {
        self.metrics.capacity() * (size_of::<(Box<str>, Meta)>() + 1) + self.metrics.len() * 100
    }

    pub(crate) fn set_type(&mut self, metric: &str, kind: MetricType) {
        self.update(metric, |meta| std::mem::replace(&mut meta.kind, kind) != kind);
    }

    pub(crate) fn set_help(&mut self, metric: &str, help: &str) {
        self.update(metric, |meta| replace(&mut meta.help, help));
    }

    pub(crate) fn set_unit(&mut self, metric: &str, unit: &str) {
        self.update(metric, |meta| replace(&mut meta.unit, unit));
    }

    /// All of it, sorted by metric.
    pub(crate) fn snapshot(&self) -> Vec<MetricMetadata> {
        let mut all: Vec<MetricMetadata> = self
            .metrics
            .iter()
            .map(|(metric, m)| MetricMetadata {
                metric: metric.to_string(),
                kind: m.kind,
                help: m.help.to_string(),
                unit: m.unit.to_string(),
            })
            .collect();
        all.sort_by(|a, b| a.metric.cmp(&b.metric));
        all
    }
}

/// Changes a text; true where it was another one.
fn replace(text: &mut Box<str>, new: &str) -> bool {
    let differs = **text != *new;
    if differs {
        *text = new.into();
    }
    differs
}

/// Whether a series with this name is one of a metric: metrics of several series give them endings, and the formats differ in whether a
/// counter's and an info's own ending belongs to the metric's name.
fn is_of(series: &str, metric: &str, kind: MetricType) -> bool {
    let endings: &[&str] = match kind {
        MetricType::Counter => &["_total"],
        MetricType::Histogram => &["_bucket", "_sum", "_count"],
        MetricType::GaugeHistogram => &["_bucket", "_gsum", "_gcount"],
        MetricType::Summary => &["_sum", "_count"],
        MetricType::Info => &["_info"],
        MetricType::Gauge | MetricType::Stateset | MetricType::Unknown => &[],
    };
    series.strip_prefix(metric).is_some_and(|ending| ending.is_empty() || endings.contains(&ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_of_the_metric_whose_name_it_has() {
        use MetricType::{Counter, Gauge, Histogram, Info, Summary};
        for (series, metric, kind, expected) in [
            ("a", "a", Gauge, true),
            ("a_total", "a", Gauge, false),
            ("a_total", "a", Counter, true),
            ("a_total", "a_total", Counter, true),
            ("ab_total", "a", Counter, false),
            ("a_bucket", "a", Histogram, true),
            ("a_bucket", "a", Summary, false),
            ("a_count", "a", Summary, true),
            ("a_info", "a", Info, true),
            ("b", "a", Gauge, false),
        ] {
            assert_eq!(is_of(series, metric, kind), expected, "{series} of {metric}");
        }
    }

    #[test]
    fn what_changed_is_told_until_it_is_stored() {
        let mut metadata = Metadata::default();
        let mut scrape = |help: &str, stored: bool| {
            metadata.begin(true);
            metadata.set_help("a", help);
            metadata.set_type("a", MetricType::Gauge);
            let changed = metadata.present_changed();
            if stored {
                metadata.commit();
            }
            changed
        };
        assert!(scrape("x", true));
        assert!(!scrape("x", true));
        assert!(scrape("y", false));
        assert!(scrape("y", true));
        assert!(!scrape("y", false));
        assert!(!scrape("y", true));
    }
}
