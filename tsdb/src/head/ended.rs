//! Series that ended leave the head before the next block of everything is cut: their samples go into a block of their own,
//! whose meta.json says so, as Prometheus' early compaction of stale series does.
//!
//! Where a restart replays the log, it meets these samples again; a deletion in the log, written once the block is durable,
//! says that they are not the head's any more.

use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use ulid::Ulid;

use super::Head;
use super::delete::SERIES_PER_RECORD;
use super::series::{Chain, State};
use crate::block::{BlockMeta, Interval};
use crate::compact::HINT_STALE_SERIES;
use crate::error::Error;

/// How long a series stays behind its end, milliseconds of sample time: a target that only failed for a while marks its
/// series stale, and goes on with them.
const GRACE_MS: i64 = 3 * 60 * 1000;
/// Between two such blocks, milliseconds of sample time: there are at most two dozen of them in the two hours of a block.
const GAP_MS: i64 = 5 * 60 * 1000;
/// Fewer ended series than one in so many do not leave early: they take less memory than it is worth.
const ONE_IN: usize = 50;

/// Series (by number, rising) that ended, and from when to when they have samples.
pub(crate) type Ended = Vec<(u32, Interval)>;

/// Where a series ended with a mark of staleness, the time of its samples.
fn ended(state: &State) -> Option<Interval> {
    let (maxt, v) = state.chain.last()?;
    let ended = model::is_stale(v) && state.pending == 0 && !state.dead && state.replayed.is_none();
    Some(Interval { mint: state.chain.min_time().filter(|_| ended)?, maxt })
}

impl Head {
    /// The series that should leave now; none while they are few, or the last ones left a short time ago.
    pub(crate) fn ended_due(&self) -> Ended {
        // The deletion in the log would hide samples that come out of order into the same time.
        if self.out_of_order.is_open() || self.out_of_order.any() {
            return Ended::new();
        }
        let newest = self.times().map_or(i64::MIN, |(_, maxt)| maxt);
        let before = self.ended_left.load(Relaxed);
        if before != i64::MIN && newest.saturating_sub(before) < GAP_MS {
            return Vec::new();
        }
        let ids: Vec<u32> = self.index.read().ids().to_vec();
        let mut found = Vec::new();
        self.with_series(&ids, |id, page, slot| {
            let interval = page.series(slot).and_then(|series| ended(&series.state.lock()));
            let long_ago = |i: &Interval| newest.saturating_sub(i.maxt) >= GRACE_MS;
            if let Some(interval) = interval.filter(|i| long_ago(i) && !self.out_of_order.has(id)) {
                found.push((id, interval));
            }
        });
        if found.is_empty() || found.len() * ONE_IN < ids.len() {
            return Vec::new();
        }
        self.ended_left.store(newest, Relaxed);
        found
    }

    /// Writes all samples of ended series as a block under `parent`; none where they are deleted. Nothing leaves the head.
    pub(crate) fn write_ended(
        &self,
        parent: &Path,
        ulid: Ulid,
        ended: &[(u32, Interval)],
    ) -> Result<Option<BlockMeta>, Error> {
        let ids: Vec<u32> = ended.iter().map(|(id, _)| *id).collect();
        let mint = ended.iter().map(|(_, i)| i.mint).min().unwrap_or(0);
        let maxt = ended.iter().map(|(_, i)| i.maxt).max().unwrap_or(0);
        self.write_block_of(
            parent,
            ulid,
            &ids,
            (mint, maxt.saturating_add(1)),
            vec![HINT_STALE_SERIES.into()],
        )
    }

    /// Forgets ended series, which a block has that queries see and that is durable. One that went on meanwhile stays.
    pub(crate) fn forget_ended(&self, ended: &[(u32, Interval)]) -> Result<(), Error> {
        // after a restart the log says so already
        let told = |&&(id, interval): &&(u32, Interval)| self.deleted.covers(id, interval);
        let untold: Vec<(u32, Interval)> = ended.iter().filter(|e| !told(e)).copied().collect();
        for some in untold.chunks(SERIES_PER_RECORD) {
            self.log_deletions(some)?;
        }
        let of = |id: u32| ended.binary_search_by_key(&id, |(id, _)| *id).ok().map(|at| ended[at].1);
        let ids: Vec<u32> = ended.iter().map(|(id, _)| *id).collect();
        let gone = self.remove_where(&ids, |id, state| {
            let same = self::ended(state).zip(of(id)).is_some_and(|(now, then)| now.maxt == then.maxt);
            if same {
                state.chain = Chain::default();
            }
            same
        });
        self.deleted.truncate(i64::MIN, &gone, |_| false);
        let segment = self.log.lock().wal.last_segment();
        self.left.lock().extend(gone.into_iter().map(|id| (id, segment)));
        Ok(())
    }
}
