//! Exemplars: the newest ones of all series, as many as are allowed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use model::{Labels, Matcher};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use crate::error::AppendError;
use crate::stats::Sizes;

/// An exemplar may have so many characters of label names and values together, as OpenMetrics says.
const MAX_LABEL_CHARS: usize = 128;

/// One observation of a series, with labels that tell where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Its labels, a trace's number for example.
    pub labels: Labels,
    /// Milliseconds since the epoch.
    pub t: i64,
    /// The value.
    pub v: f64,
}

/// The newest exemplars of all series.
#[derive(Debug)]
pub(crate) struct Exemplars {
    /// How many are kept; 0: none are taken.
    limit: AtomicUsize,
    ring: RwLock<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    /// In the order in which they came.
    entries: VecDeque<(Arc<Labels>, Exemplar)>,
    /// The newest of each series, and how many it has.
    newest: FxHashMap<Arc<Labels>, (Exemplar, usize)>,
}

impl Ring {
    /// Whether an exemplar may come now: false where it is there already.
    fn check(&self, series: &Labels, e: &Exemplar) -> Result<bool, AppendError> {
        let Some((newest, _)) = self.newest.get(series) else { return Ok(true) };
        if newest.labels == e.labels && newest.t == e.t && newest.v.to_bits() == e.v.to_bits() {
            return Ok(false);
        }
        let follows = e.t > newest.t || e.t == newest.t && e.v >= newest.v;
        if follows { Ok(true) } else { Err(AppendError::OutOfOrderExemplar) }
    }

    fn push(&mut self, series: Labels, e: Exemplar, limit: usize) {
        let known = self.newest.get_key_value(&series).map(|(key, _)| key.clone());
        let series = known.unwrap_or_else(|| Arc::new(series));
        let count = self.newest.get(&series).map_or(0, |(_, count)| *count);
        self.newest.insert(series.clone(), (e.clone(), count + 1));
        self.entries.push_back((series, e));
        self.shrink(limit);
    }

    /// Drops the oldest beyond the limit.
    fn shrink(&mut self, limit: usize) {
        while self.entries.len() > limit {
            let Some((series, _)) = self.entries.pop_front() else { return };
            if let Some((_, count)) = self.newest.get_mut(&series) {
                *count -= 1;
                if *count == 0 {
                    self.newest.remove(&series);
                }
            }
        }
    }
}

impl Exemplars {
    pub(super) fn new(limit: usize) -> Self {
        Exemplars { limit: AtomicUsize::new(limit), ring: RwLock::default() }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Relaxed)
    }

    /// Changes how many are kept.
    pub(crate) fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Relaxed);
        let mut ring = self.ring.write();
        ring.shrink(limit);
        ring.entries.shrink_to_fit();
    }

    /// Whether an exemplar may be appended: false where there is nothing to do.
    pub(super) fn check(&self, series: &Labels, e: &Exemplar) -> Result<bool, AppendError> {
        if self.limit() == 0 {
            return Ok(false);
        }
        let chars: usize = e.labels.iter().map(|(n, v)| n.chars().count() + v.chars().count()).sum();
        if chars > MAX_LABEL_CHARS {
            return Err(AppendError::ExemplarLabelsTooLong);
        }
        self.ring.read().check(series, e)
    }

    /// Adds exemplars that were checked before they were logged; those that others overtook meanwhile are left out.
    pub(super) fn add(&self, all: impl IntoIterator<Item = (Labels, Exemplar)>) {
        let limit = self.limit();
        let mut ring = self.ring.write();
        for (series, e) in all {
            if let Ok(true) = ring.check(&series, &e) {
                ring.push(series, e, limit);
            }
        }
    }

    /// Puts those of the run before in front.
    pub(super) fn prepend(&self, older: impl IntoIterator<Item = (Labels, Exemplar)>) {
        let limit = self.limit();
        let mut ring = self.ring.write();
        let newer = std::mem::take(&mut *ring).entries;
        for (series, e) in older {
            if let Ok(true) = ring.check(&series, &e) {
                ring.push(series, e, limit);
            }
        }
        for (series, e) in newer {
            ring.push((*series).clone(), e, limit);
        }
    }

    /// All of them, in the order in which they came.
    pub(super) fn all(&self) -> Vec<(Arc<Labels>, Exemplar)> {
        self.ring.read().entries.iter().cloned().collect()
    }

    /// How many there are, and how many there may be.
    pub(crate) fn sizes(&self) -> Sizes {
        let ring = self.ring.read();
        Sizes {
            exemplars: ring.entries.len() as u64,
            series_with_exemplars: ring.newest.len() as u64,
            newest_exemplar: ring.newest.values().map(|(e, _)| e.t).max(),
            exemplar_limit: self.limit() as u64,
            ..Sizes::default()
        }
    }

    /// Those with `mint <= t <= maxt` (milliseconds) of the series that satisfy all matchers of some set: in order of the labels, then of time.
    pub(crate) fn select(
        &self,
        matcher_sets: &[Vec<Matcher>],
        mint: i64,
        maxt: i64,
    ) -> Vec<(Labels, Vec<Exemplar>)> {
        let ring = self.ring.read();
        let mut found: BTreeMap<&Labels, Vec<Exemplar>> = BTreeMap::new();
        let mut wanted: FxHashMap<*const Labels, bool> = FxHashMap::default();
        for (series, e) in ring.entries.iter().filter(|(_, e)| mint <= e.t && e.t <= maxt) {
            let matches = |set: &Vec<Matcher>| set.iter().all(|m| m.matches(series.get(&m.name)));
            // each series is asked once
            if *wanted.entry(Arc::as_ptr(series)).or_insert_with(|| matcher_sets.iter().any(matches)) {
                found.entry(series).or_default().push(e.clone());
            }
        }
        found
            .into_iter()
            .map(|(series, mut all)| {
                all.sort_by_key(|e| e.t);
                (series.clone(), all)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exemplar(t: i64, v: f64) -> Exemplar {
        Exemplar { labels: Labels::from_pairs([("trace_id", format!("t{t}"))]), t, v }
    }

    #[test]
    fn the_oldest_make_room() {
        let all = Exemplars::new(3);
        let series = |n: &str| Labels::from_pairs([("__name__", n)]);
        for (name, t) in [("a", 1), ("b", 2), ("a", 3), ("b", 4)] {
            assert_eq!(all.check(&series(name), &exemplar(t, 0.5)), Ok(true));
            all.add([(series(name), exemplar(t, 0.5))]);
        }
        assert_eq!(all.check(&series("b"), &exemplar(4, 0.5)), Ok(false), "it is there");
        assert_eq!(all.check(&series("b"), &exemplar(3, 0.5)), Err(AppendError::OutOfOrderExemplar));
        let long = Exemplar { labels: Labels::from_pairs([("x", "y".repeat(128))]), t: 9, v: 1.0 };
        assert_eq!(all.check(&series("b"), &long), Err(AppendError::ExemplarLabelsTooLong));
        let times = |name: &str| -> Vec<i64> {
            let found = all.select(&[vec![Matcher::equal("__name__", name)]], 0, 10);
            found.iter().flat_map(|(_, all)| all).map(|e| e.t).collect()
        };
        assert_eq!((times("a"), times("b")), (vec![3], vec![2, 4]));
        all.prepend([(series("a"), exemplar(0, 0.5))]);
        assert_eq!((times("a"), times("b")), (vec![3], vec![2, 4]), "older ones have no room");
        all.set_limit(1);
        assert_eq!((times("a"), times("b")), (vec![], vec![4]));
        assert_eq!(Exemplars::new(0).check(&series("b"), &long), Ok(false));
    }
}
