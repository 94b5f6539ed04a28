//! Retention: blocks that are too old or too many leave.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::block::{Block, BlockMeta};
use crate::db::Inner;
use crate::error::Error;

/// Blocks that end more than `retention_ms` before the newest one's end, or before the head's newest sample where there is
/// one. `metas` in any order.
fn too_old(metas: &[&BlockMeta], newest: i64, retention_ms: i64) -> Vec<ulid::Ulid> {
    metas.iter().filter(|m| newest.saturating_sub(m.max_time) >= retention_ms).map(|m| m.ulid).collect()
}

/// The oldest blocks, as many as must go so that the others and `used` bytes fit into `limit`.
fn too_many(blocks: &[(ulid::Ulid, i64, u64)], used: u64, limit: u64) -> Vec<ulid::Ulid> {
    let mut newest_first = blocks.to_vec();
    newest_first.sort_by_key(|&(ulid, max_time, _)| (std::cmp::Reverse(max_time), ulid));
    let mut sum = used;
    let mut fits = true;
    let mut out = Vec::new();
    for (ulid, _, size) in newest_first {
        sum = sum.saturating_add(size);
        fits &= sum <= limit; // once one does not fit, older ones do not stay either
        if !fits {
            out.push(ulid);
        }
    }
    out
}

impl Inner {
    /// Removes blocks by age and by size.
    pub(crate) fn apply_retention(&self) -> Result<(), Error> {
        let blocks = self.blocks.load_full();
        let metas: Vec<&BlockMeta> = blocks.iter().map(|b| b.meta()).collect();
        let metrics = &self.head.metrics;
        if let (Some(retention), Some(newest)) =
            (self.options.retention_ms, metas.iter().map(|m| m.max_time).max())
        {
            let out = too_old(&metas, newest, retention);
            metrics.retention_time_deletions.fetch_add(out.len() as u64, Relaxed);
            self.drop_blocks(&blocks, &out)?;
        }
        if let Some(limit) = self.options.retention_bytes {
            let blocks = self.blocks.load_full();
            let sizes: Vec<_> = blocks.iter().map(|b| (b.meta().ulid, b.meta().max_time, b.size())).collect();
            let used = self.head.log.lock().wal.size() + self.head.chunks.lock().size();
            let out = too_many(&sizes, used, limit);
            metrics.retention_size_deletions.fetch_add(out.len() as u64, Relaxed);
            self.drop_blocks(&blocks, &out)?;
        }
        Ok(())
    }

    fn drop_blocks(&self, blocks: &[Arc<Block>], out: &[ulid::Ulid]) -> Result<(), Error> {
        if out.is_empty() {
            return Ok(());
        }
        self.replace_blocks(out, None);
        for block in blocks.iter().filter(|b| out.contains(&b.meta().ulid)) {
            tracing::info!(block = %block.meta().ulid, "retention removes a block");
            crate::block::remove(&*self.disk, block.dir())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_size_the_oldest_go() {
        let ulids: Vec<ulid::Ulid> = (1..=4).map(|i| ulid::Ulid::from_parts(i, 0)).collect();
        let blocks: Vec<_> = ulids.iter().enumerate().map(|(i, &u)| (u, i as i64 * 10, 100)).collect();
        assert_eq!(too_many(&blocks, 50, 1000), []);
        assert_eq!(too_many(&blocks, 50, 260), [ulids[1], ulids[0]]);
        assert_eq!(too_many(&blocks, 500, 260).len(), 4);
    }
}
