//! Series in memory, for the engine alone: reading them costs a copy.

use model::histogram::{CounterReset, Span};
use model::{FloatHistogram, Labels, Matcher};
use promql::storage::{Queryable, SampleBuffer, SelectHints, Selection, Series, StorageError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Milliseconds between samples.
pub const SCRAPE_MS: i64 = 15_000;

/// Series in memory, by metric name, sorted by labels.
#[derive(Default)]
pub struct Memory {
    metrics: BTreeMap<String, Vec<Arc<dyn Series>>>,
}

struct Column {
    labels: Labels,
    samples: SampleBuffer,
}

impl Memory {
    /// Adds a metric: `count` series with `samples` samples each, from time 0 on, every [`SCRAPE_MS`].
    pub fn add(
        &mut self,
        name: &str,
        count: usize,
        samples: usize,
        labels: impl Fn(usize) -> Vec<(&'static str, String)>,
        value: impl Fn(usize, usize) -> f64,
    ) {
        let series = (0..count).map(|i| {
            let mut buffer = SampleBuffer::default();
            (0..samples).for_each(|k| buffer.push_float(k as i64 * SCRAPE_MS, value(i, k)));
            (i, buffer)
        });
        self.put(name, series.collect(), labels);
    }

    /// Adds a metric of native histograms that grow: 40 buckets each.
    pub fn add_native(
        &mut self,
        name: &str,
        count: usize,
        samples: usize,
        labels: impl Fn(usize) -> Vec<(&'static str, String)>,
    ) {
        let series = (0..count).map(|i| {
            let mut buffer = SampleBuffer::default();
            (0..samples).for_each(|k| buffer.push_histogram(k as i64 * SCRAPE_MS, native(i, k)));
            (i, buffer)
        });
        self.put(name, series.collect(), labels);
    }

    fn put(
        &mut self,
        name: &str,
        series: Vec<(usize, SampleBuffer)>,
        labels: impl Fn(usize) -> Vec<(&'static str, String)>,
    ) {
        let mut all: Vec<Arc<dyn Series>> = Vec::new();
        for (i, samples) in series {
            let pairs = labels(i).into_iter().chain([("__name__", name.to_owned())]);
            all.push(Arc::new(Column { labels: Labels::from_pairs(pairs), samples }));
        }
        all.sort_by(|a, b| a.labels().cmp(b.labels()));
        self.metrics.insert(name.to_owned(), all);
    }
}

/// A histogram of the exponential kind at its `k`th scrape.
fn native(i: usize, k: usize) -> Arc<FloatHistogram> {
    let buckets: Vec<f64> = (0..40).map(|b| ((k + 1) * ((b * 7 + i) % 11 + 1)) as f64).collect();
    let count = buckets.iter().sum();
    Arc::new(FloatHistogram {
        counter_reset: CounterReset::NotReset,
        schema: 3,
        zero_threshold: 1e-128,
        count,
        sum: count * 0.25,
        positive_spans: vec![Span { offset: -20, length: 40 }],
        positive_buckets: buckets,
        ..FloatHistogram::default()
    })
}

impl Queryable for Memory {
    fn select(&self, matchers: &[Matcher], _: &SelectHints) -> Result<Selection, StorageError> {
        let named = |(name, _): &(&String, &Vec<Arc<dyn Series>>)| {
            matchers.iter().filter(|m| m.name == "__name__").all(|m| m.matches(name))
        };
        let others: Vec<&Matcher> = matchers.iter().filter(|m| m.name != "__name__").collect();
        let series = self.metrics.iter().filter(named).flat_map(|(_, series)| series);
        let found = series.filter(|s| others.iter().all(|m| m.matches(s.labels().get(&m.name))));
        Ok(Selection { series: found.cloned().collect(), warnings: Vec::new() })
    }
}

impl Series for Column {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn read(&self, mint: i64, maxt: i64, out: &mut SampleBuffer) -> Result<(), StorageError> {
        let times = &self.samples.timestamps;
        let (from, to) = (times.partition_point(|t| *t < mint), times.partition_point(|t| *t <= maxt));
        if from >= to {
            return Ok(());
        }
        let at = out.len();
        out.timestamps.extend_from_slice(&times[from..to]);
        out.values.extend_from_slice(&self.samples.values[from..to]);
        let within = self.samples.histograms.iter().filter(|(k, _)| (from..to).contains(k));
        out.histograms.extend(within.map(|(k, h)| (k - from + at, h.clone())));
        Ok(())
    }
}
