//! What happens once samples are in a block: they leave memory, head chunk files and the log.

use std::path::Path;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use super::series::{PAGE_SLOTS, State};
use super::{Head, WAL_DIR};
use crate::error::Error;
use crate::spreads::timed;
use crate::wal::{self, checkpoint};

impl Head {
    /// From now on samples before `mint` are refused; waits for commits under way.
    pub(crate) fn refuse_before(&self, mint: i64) {
        let _log = self.log.lock();
        self.min_valid.fetch_max(mint, SeqCst);
    }

    /// Drops the samples before `mint`, which a block has, and the series that have nothing else.
    pub(crate) fn truncate(&self, mint: i64) -> Result<(), Error> {
        let note = |now, took| self.metrics.spreads.head_gc_seconds.observe(now, took);
        timed(&*self.clock, note, || self.try_truncate(mint))
    }

    fn try_truncate(&self, mint: i64) -> Result<(), Error> {
        self.refuse_before(mint);
        self.held_from.fetch_max(mint, SeqCst);
        // Commits that come meanwhile lower it again by their own times.
        self.min_time.store(i64::MAX, SeqCst);
        let mut idle = Vec::new();
        let ids: Vec<u32> = self.index.read().ids().to_vec();
        self.with_series(&ids, |id, page, slot| {
            let Some(series) = page.series(slot) else { return };
            let mut state = series.state.lock();
            let before = state.num_chunks();
            for chain in state.chains_mut() {
                chain.truncate(mint);
            }
            self.metrics.chunks_removed.fetch_add(before - state.num_chunks(), Relaxed);
            if let Some(oldest) = state.chains().filter_map(|c| c.min_time()).min() {
                self.min_time.fetch_min(oldest.max(mint), SeqCst);
            } else if state.is_idle() && !self.out_of_order.has(id) {
                idle.push(id);
            }
        });
        self.remove_idle(&idle);
        // What came out of order is older, and still here.
        self.deleted.truncate(mint, &idle, |id| self.out_of_order.has(id));
        if self.min_time.load(SeqCst) == i64::MAX {
            // Nothing is left; what comes next may be of any time from `mint` on.
            let _log = self.log.lock();
            if self.min_time.load(SeqCst) == i64::MAX {
                self.max_time.store(i64::MIN, SeqCst);
            }
        }
        self.chunks.lock().cut_file()?;
        *self.unneeded.lock() = Some((mint, self.isolation.mark()));
        self.metrics.head_truncations.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Removes head chunk files that lie before the last truncation, once no querier from before it is open.
    pub(crate) fn remove_unneeded_files(&self) -> Result<(), Error> {
        let mut unneeded = self.unneeded.lock();
        if let Some((mint, mark)) = *unneeded
            && self.isolation.is_past(mark)
        {
            let needed = self.out_of_order.first_file().unwrap_or(u32::MAX);
            self.chunks.lock().truncate_before(mint, needed)?;
            *unneeded = None;
        }
        Ok(())
    }

    /// Removes those of these series (rising) that are still idle.
    fn remove_idle(&self, candidates: &[u32]) {
        self.remove_where(candidates, |_, state| state.is_idle());
    }

    /// Removes those of these series (rising) for which `may_go` says so, with the samples they have; returns them.
    pub(super) fn remove_where(
        &self,
        candidates: &[u32],
        mut may_go: impl FnMut(u32, &mut State) -> bool,
    ) -> Vec<u32> {
        // Under the index's lock nobody can find a series by its labels; who found it before sees that it is dead.
        let mut index = self.index.write();
        let mut dead = Vec::new();
        let mut empty_pages = Vec::new();
        self.with_series(candidates, |id, page, slot| {
            let Some(series) = page.series(slot) else { return };
            let mut state = series.state.lock();
            let chunks = state.num_chunks();
            if state.dead || self.out_of_order.has(id) || !may_go(id, &mut state) {
                return;
            }
            self.metrics.chunks_removed.fetch_add(chunks, Relaxed);
            state.dead = true;
            dead.push(id);
            if page.retire() {
                empty_pages.push(id / PAGE_SLOTS as u32);
            }
        });
        if dead.is_empty() {
            return dead;
        }
        index.remove(&dead);
        self.described.write().remove(&dead);
        let mut pages = self.pages.write();
        for number in empty_pages {
            pages.remove(&number);
        }
        let left = pages.len();
        pages.shrink_to(left * 2);
        self.metrics.series_removed.fetch_add(dead.len() as u64, Relaxed);
        dead
    }

    /// How many chunks are held.
    pub(crate) fn num_chunks(&self) -> u64 {
        self.num_chunks_and_stale().0
    }

    /// The same, and how many series ended with a staleness mark.
    pub(crate) fn num_chunks_and_stale(&self) -> (u64, u64) {
        let ids: Vec<u32> = self.index.read().ids().to_vec();
        let (mut chunks, mut stale) = (self.out_of_order.num_chunks(), 0);
        self.with_series(&ids, |_, page, slot| {
            if let Some(series) = page.series(slot) {
                let state = series.state.lock();
                chunks += state.num_chunks();
                stale += u64::from(state.chain.last().is_some_and(|(_, v)| model::is_stale(v)));
            }
        });
        (chunks, stale)
    }

    /// Ends the open chunks of series that ended with a staleness mark: their room is given back.
    pub(crate) fn close_ended(&self) {
        let ids: Vec<u32> = self.index.read().ids().to_vec();
        let mut full = Vec::new();
        self.with_series(&ids, |id, page, slot| {
            let Some(series) = page.series(slot) else { return };
            let mut state = series.state.lock();
            let ended = state.pending == 0 && state.chain.last().is_some_and(|(_, v)| model::is_stale(v));
            if ended && state.chain.cut() {
                state.chain.shrink();
                full.push(id);
            }
        });
        self.queue_full(full);
    }

    /// Rewrites the older two thirds of the log as a checkpoint of what is still needed, and drops them.
    pub(crate) fn truncate_log(&self, mint: i64) -> Result<(), Error> {
        self.metrics.wal_truncations.fetch_add(1, Relaxed);
        let note = |now, took| self.metrics.spreads.wal_truncate_seconds.observe(now, took);
        timed(&*self.clock, note, || self.try_truncate_log(mint)).inspect_err(|_| {
            self.metrics.wal_truncations_failed.fetch_add(1, Relaxed);
        })
    }

    /// Sets damage aside that a checkpoint has met, so that the next one comes through; gives the error back.
    fn repair_log(&self, error: wal::Error) -> wal::Error {
        self.metrics.checkpoints_failed.fetch_add(1, Relaxed);
        let wal::Error::Corrupt { path, segment, offset, reason } = &error else { return error };
        self.metrics.wal_corruptions.fetch_add(1, Relaxed);
        let damage = wal::Error::Corrupt { path: path.clone(), segment: *segment, offset: *offset, reason };
        let dir = path.parent().unwrap_or(Path::new(""));
        if let Err(error) = wal::read::repair(&self.disk, dir, damage) {
            tracing::error!(%error, "cannot set damage of the log aside");
        }
        error
    }

    fn try_truncate_log(&self, mint: i64) -> Result<(), Error> {
        let wal_dir = self.dir.join(WAL_DIR);
        let (first, last) = {
            let mut log = self.log.lock();
            self.carry_metadata(&mut log)?;
            let current = log.wal.next_segment()?;
            (log.wal.first_segment(), current.saturating_sub(1))
        };
        self.sync()?;
        if last <= first {
            return Ok(());
        }
        let last = first + (last - first) * 2 / 3;
        let old_refs = self.old_refs.lock();
        let index = self.index.read();
        let mut live: rustc_hash::FxHashSet<u32> = index.ids().iter().copied().collect();
        drop(index);
        // later segments have samples of series that left early
        self.left.lock().retain(|(_, segment)| *segment > last);
        live.extend(self.left.lock().iter().map(|(id, _)| *id));
        let keep = |reference: u64| {
            let id = old_refs.ids.get(&reference).copied().or_else(|| self.numbers.series(reference));
            id.map_or(old_refs.may_be_more, |id| live.contains(&id))
        };
        let compression = self.options.wal_compression;
        checkpoint::write(&self.disk, &wal_dir, first, last, keep, mint, compression)
            .map_err(|error| self.repair_log(error))?;
        drop(old_refs);
        self.metrics.checkpoints.fetch_add(1, Relaxed);
        self.log.lock().wal.truncate(last + 1)?;
        self.metrics.checkpoint_deletions.fetch_add(1, Relaxed);
        checkpoint::remove_before(&*self.disk, &wal_dir, last).inspect_err(|_| {
            self.metrics.checkpoint_deletions_failed.fetch_add(1, Relaxed);
        })?;
        let mut old_refs = self.old_refs.lock();
        if old_refs.newest < mint && self.replay.status().max <= last && !self.out_of_order.any() {
            // No sample under an old number is left anywhere.
            old_refs.ids = Default::default();
            old_refs.may_be_more = false;
        }
        Ok(())
    }
}
