//! Series in memory, for tests and for rule unit tests.

use crate::storage::{Queryable, SampleBuffer, SelectHints, Selection, Series, StorageError};
use model::{FloatHistogram, Labels, Matcher};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A sample as scripts write it.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// A number.
    Float(f64),
    /// A histogram.
    Histogram(Arc<FloatHistogram>),
}

/// Series in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    series: BTreeMap<Labels, Arc<MemorySeries>>,
}

#[derive(Clone, Debug, Default)]
struct MemorySeries {
    labels: Labels,
    /// Each with its start timestamp, 0 where that is not known.
    samples: BTreeMap<i64, (Item, i64)>,
}

impl MemoryStorage {
    /// Forgets everything.
    pub fn clear(&mut self) {
        self.series.clear();
    }

    /// Puts a sample at its time (milliseconds since the epoch); one that is there already is replaced.
    pub fn append(&mut self, labels: &Labels, t: i64, item: Item) {
        self.append_started(labels, t, item, 0);
    }

    /// The same with the time at which the sample's count began; 0: unknown.
    pub fn append_started(&mut self, labels: &Labels, t: i64, item: Item, start: i64) {
        let series = self
            .series
            .entry(labels.clone())
            .or_insert_with(|| Arc::new(MemorySeries { labels: labels.clone(), samples: BTreeMap::new() }));
        Arc::make_mut(series).samples.insert(t, (item, start));
    }
}

impl Queryable for MemoryStorage {
    fn select(&self, matchers: &[Matcher], _hints: &SelectHints) -> Result<Selection, StorageError> {
        let found = self
            .series
            .values()
            .filter(|s| matchers.iter().all(|m| m.matches(s.labels.get(&m.name))))
            .map(|s| s.clone() as Arc<dyn Series>)
            .collect();
        Ok(Selection { series: found, warnings: Vec::new() })
    }

    fn label_values(&self, name: &str, matchers: &[Matcher]) -> Result<Option<Vec<String>>, StorageError> {
        let found =
            self.series.values().filter(|s| matchers.iter().all(|m| m.matches(s.labels.get(&m.name))));
        let values = found.map(|s| s.labels.get(name).to_owned()).filter(|v| !v.is_empty());
        Ok(Some(values.collect::<std::collections::BTreeSet<String>>().into_iter().collect()))
    }
}

impl Series for MemorySeries {
    fn labels(&self) -> &Labels {
        &self.labels
    }

    fn read(&self, mint: i64, maxt: i64, out: &mut SampleBuffer) -> Result<(), StorageError> {
        if mint > maxt {
            return Ok(());
        }
        for (t, (item, start)) in self.samples.range(mint..=maxt) {
            match item {
                Item::Float(v) => out.push_float(*t, *v),
                Item::Histogram(h) => out.push_histogram(*t, h.clone()),
            }
            out.set_start(*start);
        }
        Ok(())
    }
}
