//! Deletion by matchers and time, and the rewriting of blocks that makes its room free.

use std::sync::Arc;

use model::Matcher;

use crate::block::{Block, Interval, SeriesRef};
use crate::db::{Db, Inner};
use crate::error::Error;
use crate::query::block_source::BlockSource;
use crate::query::matchers;
use crate::spreads::timed;

impl Db {
    /// Deletes the samples with `mint <= t <= maxt` (milliseconds) of the series that satisfy all matchers: what is stored
    /// now, not what comes later (but for samples that come out of order into the range of a series before its block is cut:
    /// they count as deleted, as with Prometheus). Queries that begin after it see none of them, and it is durable when this returns. Their
    /// room becomes free with the next compaction, or [`Db::clean_tombstones`].
    ///
    /// # Errors
    /// Where replay still goes on, or something could not be read or written: part may be deleted then, and another call
    /// deletes the rest.
    pub fn delete(&self, matchers: &[Matcher], mint: i64, maxt: i64) -> Result<(), Error> {
        let inner = self.inner();
        // No block may be made meanwhile of samples that are still to be deleted.
        let _blocks_stay = inner.maintenance.lock();
        if !inner.head.replay.is_done() {
            return Err(Error::Replaying);
        }
        let reaches = |b: &Block| b.meta().min_time <= maxt && mint < b.meta().max_time;
        for block in inner.blocks.load().iter().filter(|b| reaches(b)) {
            delete_from_block(block, matchers, (mint, maxt))?;
        }
        inner.head.delete(matchers, mint, maxt)
    }

    /// Rewrites the blocks in which something is deleted without it; returns how many there were.
    ///
    /// # Errors
    /// Where a block could not be rewritten: it stays as it was, and those before it are done.
    pub fn clean_tombstones(&self) -> Result<usize, Error> {
        let inner = self.inner();
        let _one_at_a_time = inner.maintenance.lock();
        let blocks = inner.blocks.load_full();
        let touched: Vec<_> = blocks.iter().filter(|b| b.has_tombstones()).cloned().collect();
        let note = |_, took| inner.head.metrics.spreads.tombstone_cleanup_seconds.observe(took);
        timed(&*inner.clock, note, || touched.iter().try_for_each(|block| inner.clean_block(block)))?;
        Ok(touched.len())
    }
}

/// Adds one interval to each series that has a chunk in the range, no longer than its chunks are.
fn delete_from_block(block: &Block, matchers: &[Matcher], (mint, maxt): (i64, i64)) -> Result<(), Error> {
    let mut deleted = Vec::new();
    let mut chunks = Vec::new();
    for series in matchers::resolve(&BlockSource(block), matchers)?.into_iter().map(SeriesRef) {
        block.series_chunks(series, &mut chunks)?;
        let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else { continue };
        if chunks.iter().any(|c| c.mint <= maxt && mint <= c.maxt) {
            deleted.push((series, Interval { mint: mint.max(first.mint), maxt: maxt.min(last.maxt) }));
        }
    }
    if !deleted.is_empty() {
        block.add_tombstones(&deleted)?;
    }
    Ok(())
}

impl Inner {
    fn clean_block(&self, block: &Arc<Block>) -> Result<(), Error> {
        let encodings = self.options.encodings;
        let write = |ulid| crate::compact::rewrite(&self.disk, &self.dir, ulid, block, encodings);
        let made = self.write_block(write)?;
        self.put_in_place_of(std::slice::from_ref(block), made.as_ref())?;
        tracing::info!(parent = %block.meta().ulid, block = ?made.map(|m| m.ulid.to_string()), "rewrote a block without what is deleted");
        Ok(())
    }
}
