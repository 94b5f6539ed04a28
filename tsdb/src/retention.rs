//! Retention: blocks that are too old or too many leave.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::block::{Block, BlockMeta};
use crate::db::{Db, Inner};
use crate::disk::{self, Disk};
use crate::error::Error;
use crate::options::Retention;

/// Where the log of out-of-order samples lies in the database's directory.
const WBL_DIR: &str = "wbl";

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

/// Bytes of all files in a directory and those in it; 0 where it is not there.
fn dir_bytes(disk: &dyn Disk, dir: &Path) -> Result<u64, disk::Error> {
    let entries = match disk.list(dir) {
        Ok(entries) => entries,
        Err(e) if e.is_not_found() => return Ok(0),
        Err(e) => return Err(e),
    };
    let sizes =
        entries.iter().map(|e| if e.is_dir { dir_bytes(disk, &dir.join(&e.name)) } else { Ok(e.len) });
    sizes.sum()
}

impl Db {
    /// Changes what is kept, from the next round of maintenance on.
    pub fn set_retention(&self, retention: Retention) {
        *self.inner().retention.lock() = retention;
    }

    /// What is kept.
    pub fn retention(&self) -> Retention {
        *self.inner().retention.lock()
    }
}

impl Inner {
    /// Removes blocks by age and by size.
    pub(crate) fn apply_retention(&self) -> Result<(), Error> {
        let retention = *self.retention.lock();
        let blocks = self.blocks.load_full();
        let metas: Vec<&BlockMeta> = blocks.iter().map(|b| b.meta()).collect();
        let metrics = &self.head.metrics;
        if let (Some(age), Some(newest)) = (retention.time_ms, metas.iter().map(|m| m.max_time).max()) {
            let out = too_old(&metas, newest, age);
            metrics.retention_time_deletions.fetch_add(out.len() as u64, Relaxed);
            self.drop_blocks(&blocks, &out)?;
        }
        if let Some(limit) = self.size_limit(retention)? {
            let blocks = self.blocks.load_full();
            let sizes: Vec<_> = blocks.iter().map(|b| (b.meta().ulid, b.meta().max_time, b.size())).collect();
            let out = too_many(&sizes, self.head_bytes()?, limit);
            metrics.retention_size_deletions.fetch_add(out.len() as u64, Relaxed);
            self.drop_blocks(&blocks, &out)?;
        }
        Ok(())
    }

    /// How many bytes may be held; none: any.
    fn size_limit(&self, retention: Retention) -> Result<Option<u64>, Error> {
        let Some(share) = retention.percentage.filter(|p| *p > 0.0) else { return Ok(retention.bytes) };
        match self.disk.capacity(&self.dir)? {
            Some(capacity) => Ok(Some((capacity as f64 * share / 100.0) as u64)),
            None => Ok(retention.bytes),
        }
    }

    /// Bytes on disk that the head needs: logs with their checkpoints, and head chunks.
    fn head_bytes(&self) -> Result<u64, Error> {
        Ok(self.log_bytes()?
            + dir_bytes(&*self.disk, &self.dir.join(WBL_DIR))?
            + self.head.chunks.lock().size())
    }

    /// Bytes of the write-ahead log and its checkpoints.
    pub(crate) fn log_bytes(&self) -> Result<u64, disk::Error> {
        dir_bytes(&*self.disk, &self.dir.join(crate::head::WAL_DIR))
    }

    fn drop_blocks(&self, blocks: &[Arc<Block>], out: &[ulid::Ulid]) -> Result<(), Error> {
        if out.is_empty() {
            return Ok(());
        }
        let newest = |blocks: &mut dyn Iterator<Item = &Arc<Block>>| {
            blocks.map(|b| b.meta()).filter(|m| !crate::compact::is_early(m)).map(|m| m.max_time).max()
        };
        if newest(&mut blocks.iter().filter(|b| !out.contains(&b.meta().ulid))) < newest(&mut blocks.iter()) {
            self.head.note_cut()?;
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
