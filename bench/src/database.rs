//! A database as the engine reads it, and a history to put into one.

use anyhow::Context as _;
use model::{Labels, Matcher};
use promql::storage::{Queryable, SampleBuffer, SelectHints, Selection, Series, StorageError};
use std::sync::Arc;

/// Samples that are committed at once.
const BATCH: usize = 5000;

/// A database, for the engine.
pub struct Database(pub Arc<tsdb::Db>);

struct Entry(tsdb::SeriesEntry);

impl Queryable for Database {
    fn select(&self, matchers: &[Matcher], hints: &SelectHints) -> Result<Selection, StorageError> {
        let querier = self.0.querier();
        let found = match hints.latest {
            true => querier.select_latest(matchers, hints.start, hints.end),
            false => querier.select(matchers, hints.start, hints.end),
        };
        let found = found.map_err(|e| StorageError(e.to_string()))?;
        let series = found.into_iter().map(|entry| Arc::new(Entry(entry)) as Arc<dyn Series>).collect();
        Ok(Selection { series, warnings: Vec::new() })
    }
}

impl Series for Entry {
    fn labels(&self) -> &Labels {
        self.0.labels()
    }

    fn read(&self, mint: i64, maxt: i64, out: &mut SampleBuffer) -> Result<(), StorageError> {
        let mut columns = tsdb::FloatColumns {
            ts: std::mem::take(&mut out.timestamps),
            vs: std::mem::take(&mut out.values),
            histograms: std::mem::take(&mut out.histograms),
            starts: std::mem::take(&mut out.starts),
        };
        let read = self.0.read_columns(mint, maxt, &mut columns);
        let tsdb::FloatColumns { ts, vs, histograms, starts } = columns;
        *out = SampleBuffer { timestamps: ts, values: vs, histograms, starts };
        read.map_err(|e| StorageError(e.to_string()))
    }
}

/// Labels of the `i`th series of a cluster: five containers a pod, twenty metrics a container.
pub fn labels(i: usize) -> Labels {
    let (metric, container) = (i % 20, i / 20);
    let (pod, namespace) = (container / 5, container / 100);
    Labels::from_pairs([
        ("__name__", format!("container_metric_{metric:02}_total")),
        ("container", format!("container-{}", container % 5)),
        ("instance", format!("10.0.{}.{}:9100", pod / 250 % 250, pod % 250)),
        ("job", "kubelet".to_owned()),
        ("namespace", format!("namespace-{namespace}")),
        ("node", format!("node-{}", pod % 50)),
        ("pod", format!("deployment-{}-7c5ddbdf54-{pod:05}", pod % 40)),
    ])
}

/// The value of the `i`th series at its `k`th sample: counters with whole and with broken steps, gauges, constants.
pub fn value(i: usize, k: usize) -> f64 {
    match i % 4 {
        0 => (k * (i % 50 + 1)) as f64,
        1 => k as f64 * 0.37 + i as f64,
        2 => ((i * 31 + k * 17) % 1000) as f64 / 7.0,
        _ => i as f64,
    }
}

/// Appends `samples` samples of `series` series, from `start` on, every `step` milliseconds.
///
/// # Errors
/// Where the database refuses.
pub fn fill(db: &tsdb::Db, series: usize, samples: usize, start: i64, step: i64) -> anyhow::Result<()> {
    let sets: Vec<Labels> = (0..series).map(labels).collect();
    let mut refs = vec![0u64; series];
    for k in 0..samples {
        for from in (0..series).step_by(BATCH) {
            let mut appender = db.appender();
            for i in from..(from + BATCH).min(series) {
                refs[i] = appender
                    .append(refs[i], &sets[i], start + k as i64 * step, value(i, k))
                    .with_context(|| format!("appending to {}", sets[i]))?;
            }
            appender.commit()?;
        }
    }
    Ok(())
}
