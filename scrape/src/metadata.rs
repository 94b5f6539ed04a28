//! Type, help and unit of a target's metrics.

use crate::status::MetricMetadata;
use exposition::MetricType;
use rustc_hash::FxHashMap;

/// Metadata that so many scrapes did not bring is forgotten.
const FORGET_AFTER: u32 = 10;

#[derive(Debug)]
struct Meta {
    kind: MetricType,
    help: Box<str>,
    unit: Box<str>,
    seen: u32,
}

/// The metadata of a target.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    metrics: FxHashMap<Box<str>, Meta>,
    iteration: u32,
}

impl Metadata {
    /// Begins a scrape.
    pub(crate) fn begin(&mut self) {
        self.iteration = self.iteration.wrapping_add(1);
        if self.iteration.is_multiple_of(FORGET_AFTER) {
            let now = self.iteration;
            self.metrics.retain(|_, m| now.wrapping_sub(m.seen) <= FORGET_AFTER);
        }
    }

    fn of(&mut self, metric: &str) -> &mut Meta {
        let iteration = self.iteration;
        // the entry interface would need a boxed name each time
        if !self.metrics.contains_key(metric) {
            let empty = Meta { kind: MetricType::Unknown, help: "".into(), unit: "".into(), seen: iteration };
            self.metrics.insert(metric.into(), empty);
        }
        let meta = self.metrics.get_mut(metric).unwrap_or_else(|| unreachable!("inserted above"));
        meta.seen = iteration;
        meta
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
        self.of(metric).kind = kind;
    }

    pub(crate) fn set_help(&mut self, metric: &str, help: &str) {
        let meta = self.of(metric);
        if *meta.help != *help {
            meta.help = help.into();
        }
    }

    pub(crate) fn set_unit(&mut self, metric: &str, unit: &str) {
        let meta = self.of(metric);
        if *meta.unit != *unit {
            meta.unit = unit.into();
        }
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
