//! Deletion of samples that are not in a block yet: intervals of series, in the log and in memory. Readers and new blocks
//! leave out what lies in them; the samples themselves go with their chunks.

use std::sync::atomic::{AtomicBool, Ordering::Acquire, Ordering::Release};

use model::Matcher;
use parking_lot::RwLock;
use rustc_hash::FxHashMap;

use super::Head;
use super::read::HeadPart;
use crate::block::{Interval, tombstones};
use crate::error::Error;
use crate::wal::records::{TombstoneRecord, encode_tombstones};

/// Series in one record of the log: some 200 KiB.
pub(super) const SERIES_PER_RECORD: usize = 8192;

/// What is deleted, by series.
#[derive(Debug, Default)]
pub(crate) struct Deleted {
    /// Whether anything is: all that readers pay for where nothing is.
    any: AtomicBool,
    intervals: RwLock<FxHashMap<u32, Vec<Interval>>>,
}

impl Deleted {
    /// Whether anything is deleted.
    pub(super) fn any(&self) -> bool {
        self.any.load(Acquire)
    }

    /// Notes in what was taken from a series what is deleted of it; none where nothing is left.
    #[inline]
    pub(super) fn mark(&self, id: u32, part: HeadPart) -> Option<HeadPart> {
        if self.any.load(Acquire) { self.mark_some(id, part) } else { Some(part) }
    }

    fn mark_some(&self, id: u32, mut part: HeadPart) -> Option<HeadPart> {
        if let Some(deleted) = self.intervals.read().get(&id) {
            part.deleted.clone_from(deleted);
            part.newest = part.newest.filter(|(t, _)| !deleted.iter().any(|d| d.covers(*t, *t)));
            for chunks in [&mut part.chunks, &mut part.out_of_order] {
                chunks.retain(|c| !deleted.iter().any(|d| d.covers(c.mint, c.maxt)));
            }
        }
        (part.newest.is_some() || !part.chunks.is_empty() || !part.out_of_order.is_empty()).then_some(part)
    }

    /// Whether all of an interval of a series is deleted.
    pub(super) fn covers(&self, id: u32, interval: Interval) -> bool {
        self.any.load(Acquire)
            && self
                .intervals
                .read()
                .get(&id)
                .is_some_and(|all| all.iter().any(|d| d.covers(interval.mint, interval.maxt)))
    }

    /// All of them, by series.
    pub(super) fn all(&self) -> Vec<(u32, Interval)> {
        let all = self.intervals.read();
        let mut all: Vec<_> = all.iter().flat_map(|(&id, some)| some.iter().map(move |d| (id, *d))).collect();
        all.sort_unstable();
        all
    }

    /// Adds an interval.
    pub(super) fn add(&self, id: u32, interval: Interval) {
        tombstones::add(self.intervals.write().entry(id).or_default(), interval);
        self.any.store(true, Release);
    }

    /// Forgets what ends before `mint`, but for series that `keep` names, and forgets series that were removed.
    pub(super) fn truncate(&self, mint: i64, removed: &[u32], keep: impl Fn(u32) -> bool) {
        if !self.any.load(Acquire) {
            return;
        }
        let mut all = self.intervals.write();
        for id in removed {
            all.remove(id);
        }
        all.retain(|id, intervals| {
            if !keep(*id) {
                intervals.retain(|d| d.maxt >= mint);
            }
            !intervals.is_empty()
        });
        if all.is_empty() {
            *all = FxHashMap::default();
            self.any.store(false, Release);
        }
    }
}

impl Head {
    /// Deletes the samples with `mint <= t <= maxt` of the series that satisfy all matchers: what is there now, not what comes
    /// later. It is durable when this returns.
    ///
    /// # Errors
    /// Where the log could not be written or synced: part of it may be deleted then.
    pub(crate) fn delete(&self, matchers: &[Matcher], mint: i64, maxt: i64) -> Result<(), Error> {
        let ids = crate::query::matchers::resolve(&*self.index.read(), matchers)?;
        let mut found: Vec<(u32, Interval)> = Vec::new();
        self.with_series(&ids, |id, page, slot| {
            let Some(series) = page.series(slot) else { return };
            let state = series.state.lock();
            let chains = || state.chains().filter(|c| !c.is_empty());
            let late = self.out_of_order.times(id);
            let first = chains().filter_map(|c| c.min_time()).chain(late.map(|l| l.0)).min();
            let last = chains().filter_map(|c| c.last()).map(|(t, _)| t).chain(late.map(|l| l.1)).max();
            if let (Some(first), Some(last)) = (first, last) {
                let interval = Interval { mint: mint.max(first), maxt: maxt.min(last) };
                if interval.mint <= interval.maxt {
                    found.push((id, interval));
                }
            }
        });
        for some in found.chunks(SERIES_PER_RECORD) {
            self.log_deletions(some)?;
            for &(id, interval) in some {
                self.deleted.add(id, interval);
            }
        }
        if found.is_empty() { Ok(()) } else { self.sync() }
    }

    /// Logs the series that this run's log does not know yet, then the intervals.
    pub(super) fn log_deletions(&self, deleted: &[(u32, Interval)]) -> Result<(), Error> {
        let ids: Vec<u32> = deleted.iter().map(|d| d.0).collect();
        let mut log = self.log.lock();
        self.prepare_log(&mut log)?;
        self.log_series(&mut log, &ids)?;
        let stones: Vec<TombstoneRecord> = deleted
            .iter()
            .map(|(id, d)| TombstoneRecord { ref_: self.numbers.of(*id), mint: d.mint, maxt: d.maxt })
            .collect();
        let mut record = Vec::new();
        encode_tombstones(&stones, &mut record);
        Ok(log.wal.log(&[&record])?)
    }
}
