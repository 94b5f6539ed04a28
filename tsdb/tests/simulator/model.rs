//! What must be there, what may be there, and what must not: a plain map.

use std::collections::{BTreeMap, BTreeSet};

use model::Labels;
use testkit::Loss;

/// Samples of series: time in milliseconds, bits of the value.
pub(crate) type Samples = BTreeMap<i64, u64>;
/// What a database shows.
pub(crate) type Shown = BTreeMap<Labels, Samples>;
/// Samples that were committed together.
pub(crate) type Batch = Vec<(Labels, i64, u64)>;

/// How safe an acknowledged sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Safety {
    /// A killed process does not lose it.
    Logged,
    /// Logged, and then syncing failed: a power cut may lose it, however often syncing succeeds later.
    SyncFailed,
    /// A power cut does not lose it.
    Synced,
}

/// An acknowledged sample.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) bits: u64,
    pub(crate) safety: Safety,
    /// A deletion failed half-way: it may be gone.
    pub(crate) doubtful: bool,
    /// Segments of the log in which the sample may lie, and those in which its series may (first, last).
    pub(crate) segments: (u32, u32),
    pub(crate) series_segments: (u32, u32),
}

/// An exemplar that was given to a database.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) series: Labels,
    pub(crate) id: String,
    pub(crate) t: i64,
    /// How safe it is; none where it may be missing.
    pub(crate) safety: Option<Safety>,
}

/// The plain map.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) series: BTreeMap<Labels, BTreeMap<i64, Cell>>,
    /// Batches since the last sync, in order.
    unsynced: Vec<Batch>,
    /// Batches whose commit failed: not visible now; after a restart whole or not at all.
    pub(crate) refused: Vec<Batch>,
    /// So many of these came before a sync that failed: no later one makes them durable.
    refused_before_failure: usize,
    /// Samples that went with a deletion that was never acknowledged: a power cut may bring them back.
    ghosts: Batch,
    /// Samples before it may have been removed by retention.
    pub(crate) floor: i64,
    /// Times at which something was given to a series, taken or not.
    pub(crate) given: BTreeMap<Labels, BTreeSet<i64>>,
    /// Samples that were given some time after theirs: some of them out of order.
    pub(crate) past: BTreeSet<(Labels, i64)>,
    /// Ranges in which something was deleted.
    pub(crate) deleted: Vec<(i64, i64)>,
    /// All exemplars that were given, in order.
    pub(crate) exemplars: Vec<Given>,
    /// Where this run of the database logged each series.
    logged: BTreeMap<Labels, Logged>,
}

/// Where a run of the database named a series in its log.
#[derive(Debug)]
struct Logged {
    /// First and last segment that it may be.
    within: (u32, u32),
    /// It may have left the head since: then the next commit names it anew.
    anew: bool,
}

impl Model {
    pub(crate) fn new() -> Self {
        Model { floor: i64::MIN, ..Model::default() }
    }

    /// Notes a committed batch; `segments` are the first and last one in which it may lie.
    pub(crate) fn commit(&mut self, batch: Batch, segments: (u32, u32)) {
        for (labels, t, bits) in &batch {
            let logged =
                self.logged.entry(labels.clone()).or_insert(Logged { within: segments, anew: false });
            if std::mem::take(&mut logged.anew) {
                logged.within.1 = logged.within.1.max(segments.1);
            }
            let series_segments = logged.within;
            let cell =
                Cell { bits: *bits, safety: Safety::Logged, doubtful: false, segments, series_segments };
            let old = self.series.entry(labels.clone()).or_default().insert(*t, cell);
            assert!(old.is_none_or(|old| old.bits == *bits), "{labels} at {t} was acknowledged twice");
        }
        self.unsynced.push(batch);
    }

    /// Notes a deletion, or one that failed half-way.
    pub(crate) fn delete(&mut self, is_meant: impl Fn(&Labels) -> bool, mint: i64, maxt: i64, done: bool) {
        self.deleted.push((mint, maxt));
        // a series of which nothing is left may leave the log
        self.exemplars.iter_mut().filter(|e| is_meant(&e.series)).for_each(|e| e.safety = None);
        for (labels, samples) in self.series.iter_mut().filter(|(labels, _)| mint <= maxt && is_meant(labels))
        {
            for batch in &mut self.unsynced {
                batch.retain(|(l, t, _)| l != labels || !(mint..=maxt).contains(t));
            }
            if done {
                samples.retain(|t, _| !(mint..=maxt).contains(t));
            } else {
                samples.range_mut(mint..=maxt).for_each(|(_, cell)| cell.doubtful = true);
            }
        }
        self.series.retain(|_, samples| !samples.is_empty());
    }

    /// Notes that series may have left the head.
    pub(crate) fn truncated(&mut self) {
        self.logged.values_mut().for_each(|logged| logged.anew = true);
    }

    /// Notes the end of a process: the next one logs its series anew.
    pub(crate) fn ended(&mut self) {
        self.logged.clear();
    }

    /// Takes over what damage left; how much it cost.
    pub(crate) fn damaged(&mut self, shown: &Shown) -> usize {
        let (mut cost, floor) = (0, self.floor);
        self.series.retain(|labels, samples| {
            let found = shown.get(labels);
            samples.retain(|t, cell| {
                let is_there = found.is_some_and(|found| found.contains_key(t));
                // the others may be gone anyway
                cost += usize::from(!is_there && *t >= floor && !cell.doubtful);
                is_there
            });
            !samples.is_empty()
        });
        cost
    }

    /// Notes a sync that succeeded.
    pub(crate) fn synced(&mut self) {
        self.unsynced.clear();
        for e in self.exemplars.iter_mut().filter(|e| e.safety == Some(Safety::Logged)) {
            e.safety = Some(Safety::Synced);
        }
        for cell in self.series.values_mut().flat_map(BTreeMap::values_mut) {
            if cell.safety == Safety::Logged {
                cell.safety = Safety::Synced;
            }
        }
    }

    /// Notes that some call failed, which may have been a sync.
    pub(crate) fn sync_failed(&mut self) {
        self.refused_before_failure = self.refused.len();
        for e in self.exemplars.iter_mut().filter(|e| e.safety == Some(Safety::Logged)) {
            e.safety = Some(Safety::SyncFailed);
        }
        for cell in self.series.values_mut().flat_map(BTreeMap::values_mut) {
            if cell.safety == Safety::Logged {
                cell.safety = Safety::SyncFailed;
            }
        }
    }

    /// The newest acknowledged time of a series.
    pub(crate) fn newest_of(&self, labels: &Labels) -> Option<(i64, u64)> {
        self.series.get(labels)?.last_key_value().map(|(t, cell)| (*t, cell.bits))
    }

    /// Whether samples of a series that are newer than `t` were deleted.
    pub(crate) fn was_deleted_after(&self, labels: &Labels, t: i64) -> bool {
        let is_deleted = |t: &i64| self.deleted.iter().any(|(mint, maxt)| mint <= t && t <= maxt);
        self.given.get(labels).is_some_and(|times| times.range(t + 1..).any(is_deleted))
    }

    /// The newest acknowledged time.
    pub(crate) fn newest(&self) -> Option<i64> {
        self.series.values().filter_map(|samples| samples.keys().next_back()).max().copied()
    }

    /// What must be shown of the samples with `mint <= t <= maxt`; none of what retention may have removed.
    pub(crate) fn expected(&self, mint: i64, maxt: i64) -> Shown {
        let mint = mint.max(self.floor);
        let mut expected = Shown::new();
        for (labels, samples) in self.series.iter().filter(|_| mint <= maxt) {
            let sure = samples.range(mint..=maxt).filter(|(_, cell)| !cell.doubtful);
            let within: Samples = sure.map(|(t, cell)| (*t, cell.bits)).collect();
            if !within.is_empty() {
                expected.insert(labels.clone(), within);
            }
        }
        expected
    }

    /// Takes over samples from before `cut` that came back.
    pub(crate) fn take_back(&mut self, shown: &Shown, cut: i64) {
        for (labels, t, bits) in samples(shown).filter(|(_, t, _)| *t < cut) {
            let (segments, series_segments) = ((0, u32::MAX), (0, u32::MAX));
            let cell = Cell { bits, safety: Safety::Synced, doubtful: true, segments, series_segments };
            self.series.entry(labels.clone()).or_default().entry(t).or_insert(cell);
        }
    }

    /// Takes over what is shown of a block that has lost its deletions, in place of what was appended after them.
    pub(crate) fn take_back_deleted(&mut self, shown: &Shown) {
        for (labels, t, bits) in samples(shown) {
            let cells = self.series.entry(labels.clone()).or_default();
            if cells.get(&t).is_none_or(|cell| cell.bits != bits) {
                let (segments, series_segments) = ((0, u32::MAX), (0, u32::MAX));
                let cell = Cell { bits, safety: Safety::Synced, doubtful: true, segments, series_segments };
                cells.insert(t, cell);
            }
        }
    }

    /// Compares with what a running database shows.
    pub(crate) fn compare(&self, shown: &Shown, expected: &Shown) {
        for (labels, samples) in expected {
            let found = shown.get(labels);
            for (t, bits) in samples {
                let found = found.and_then(|samples| samples.get(t));
                assert_eq!(found, Some(bits), "{labels} at {t} (floor {})", self.floor);
            }
        }
        for (labels, t, bits) in samples(shown) {
            let known = self.series.get(labels).and_then(|samples| samples.get(&t));
            assert_eq!(known.map(|cell| cell.bits), Some(bits), "{labels} at {t} was never acknowledged");
        }
    }

    /// Compares with what a database shows after a restart, and takes over what is there. `cut_from`: before it all is in
    /// blocks, where a batch may have been split.
    /// `all_known`: whether the log named the series of all samples.
    /// `all_durable`: whether nothing was committed since the power failed.
    pub(crate) fn restarted(
        &mut self,
        shown: &Shown,
        loss: Loss,
        cut_from: i64,
        (all_known, all_durable): (bool, bool),
    ) {
        let power_cut = loss != Loss::Nothing;
        let has = |labels: &Labels, t: &i64| shown.get(labels).and_then(|samples| samples.get(t)).copied();
        for (labels, samples) in &self.series {
            for (t, cell) in samples.range(self.floor..) {
                let found = has(labels, t);
                let must = !cell.doubtful && (!power_cut || cell.safety == Safety::Synced);
                if found.is_some() || must {
                    assert_eq!(
                        found,
                        Some(cell.bits),
                        "{labels} at {t} after {loss:?}: {cell:?}, floor {}",
                        self.floor
                    );
                }
            }
        }
        // Samples of each kind are one record of the log; of those out of order there is another log.
        let kinds = ["m", "hi", "hf"];
        let batches = self.unsynced.iter().map(|b| (b, false)).chain(self.refused.iter().map(|b| (b, true)));
        for ((batch, refused), kind) in batches.flat_map(|b| kinds.map(|kind| (b, kind))) {
            let from = cut_from.max(self.floor);
            let of_kind = batch.iter().filter(|(labels, t, _)| {
                *t >= from
                    && labels.get("__name__").starts_with(kind)
                    && !self.past.contains(&(labels.clone(), *t))
            });
            let whole: Vec<bool> = of_kind.map(|(labels, t, _)| has(labels, t).is_some()).collect();
            let part = whole.contains(&true) && whole.contains(&false);
            // A power cut may take the segment that names a series and leave the next one with its samples. A checkpoint
            // leaves out series that have no samples but refused ones.
            assert!(
                !part || (power_cut || refused) && !all_known,
                "after {loss:?} a part of a batch is there: {batch:?}, {kind}: {whole:?}"
            );
        }
        for (labels, t, bits) in samples(shown) {
            let known = self.series.get(labels).and_then(|samples| samples.get(&t)).map(|cell| cell.bits);
            let refused =
                || self.refused.iter().flatten().any(|(l, rt, rb)| l == labels && *rt == t && *rb == bits);
            assert!(
                known == Some(bits) || known.is_none() && (refused() || self.is_ghost(labels, t, bits)),
                "{labels} at {t} was never appended"
            );
        }
        self.exemplars_restarted(power_cut, cut_from);
        self.take_over(shown, power_cut, all_durable);
    }

    /// What the log has of exemplars is there again: not what lies before the blocks' end, nor what belongs to series that ended.
    fn exemplars_restarted(&mut self, power_cut: bool, cut_from: i64) {
        for e in &mut self.exemplars {
            let goes_on = self.series.get(&e.series).is_some_and(|samples| {
                samples.range(e.t..).all(|(_, cell)| cell.bits != model::STALE_NAN.to_bits())
            });
            if e.t < cut_from || !goes_on || power_cut && e.safety != Some(Safety::Synced) {
                e.safety = None;
            }
        }
    }

    /// Compares exemplars: series, id, time.
    pub(crate) fn compare_exemplars(&self, shown: &BTreeSet<(Labels, String, i64)>, limit: usize) {
        assert!(shown.len() <= limit, "{} exemplars, {limit} allowed", shown.len());
        let newest = self.exemplars.len().saturating_sub(limit);
        for e in self.exemplars[newest..].iter().filter(|e| e.safety.is_some()) {
            let is_there = shown.contains(&(e.series.clone(), e.id.clone(), e.t));
            assert!(is_there, "an exemplar is missing: {e:?}");
        }
        for (series, id, t) in shown {
            let is_known = self.exemplars.iter().any(|e| e.id == *id && e.series == *series && e.t == *t);
            assert!(is_known, "exemplar {id} of {series} at {t} was never given");
        }
    }

    fn is_ghost(&self, labels: &Labels, t: i64, bits: u64) -> bool {
        self.ghosts.iter().any(|(l, gt, gb)| l == labels && *gt == t && *gb == bits)
    }

    fn take_over(&mut self, shown: &Shown, power_cut: bool, all_durable: bool) {
        for (labels, samples) in &mut self.series {
            let found = shown.get(labels);
            samples.retain(|t, cell| {
                let is_there = found.is_some_and(|found| found.contains_key(t));
                if cell.doubtful && !is_there {
                    self.ghosts.push((labels.clone(), *t, cell.bits));
                }
                !power_cut && !cell.doubtful || is_there
            });
        }
        for (labels, t, bits) in samples(shown) {
            let anywhere = (0, u32::MAX);
            let mut in_doubt = self.refused[..self.refused_before_failure].iter().flatten();
            let in_doubt = in_doubt.any(|(l, rt, _)| l == labels && *rt == t);
            let cell = self.series.entry(labels.clone()).or_default().entry(t).or_insert(Cell {
                bits,
                safety: if in_doubt { Safety::SyncFailed } else { Safety::Logged },
                doubtful: false,
                segments: anywhere,
                series_segments: anywhere,
            });
            cell.doubtful = false;
            if power_cut && all_durable {
                cell.safety = Safety::Synced;
            }
        }
        if power_cut {
            self.unsynced.clear();
        }
        self.series.retain(|_, samples| !samples.is_empty());
        // a start that reads the log may still find them where this one had a snapshot of the memory
        let is_shown = |labels: &Labels, t: &i64| shown.get(labels).is_some_and(|of| of.contains_key(t));
        self.refused.iter_mut().for_each(|batch| batch.retain(|(labels, t, _)| !is_shown(labels, t)));
        self.refused.retain(|batch| !batch.is_empty());
        self.refused_before_failure = self.refused.len();
    }

    /// Notes that a start has read all of the log: what it has not found of refused batches is not there.
    pub(crate) fn read_the_log(&mut self) {
        self.refused.clear();
        self.refused_before_failure = 0;
    }
}

/// All samples, one by one.
pub(crate) fn samples(shown: &Shown) -> impl Iterator<Item = (&Labels, i64, u64)> {
    shown.iter().flat_map(|(labels, samples)| samples.iter().map(move |(t, bits)| (labels, *t, *bits)))
}
