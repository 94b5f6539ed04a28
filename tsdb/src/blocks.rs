//! The blocks of a database: opening all, names for new ones.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use crate::block::{self, Block};
use crate::disk::{self, Disk};
use crate::error::Error;
use crate::stats::Metrics;

/// Opens all blocks of a directory, by their first time. A damaged block is set aside, one that cannot be read is left
/// alone; both are logged and counted. What an interrupted compaction or removal left is removed: half-written blocks, and
/// blocks of which another one was made, damaged or not.
pub(crate) fn open_all(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    metrics: &Metrics,
) -> Result<Vec<Arc<Block>>, Error> {
    block::remove_leftovers(&**disk, dir)?;
    let dirs = block::list(&**disk, dir)?;
    for (_, dir) in &dirs {
        if let Err(error) = remove_half_written(&**disk, dir) {
            tracing::warn!(%error, block = %dir.display(), "cannot look for half-written files");
        }
    }
    let opened: Vec<_> = dirs.par_iter().map(|(_, dir)| Block::open(disk.clone(), dir)).collect();
    let mut blocks = Vec::new();
    let mut failed = Vec::new();
    for ((ulid, dir), block) in dirs.iter().zip(opened) {
        match block {
            Ok(block) => blocks.push(Arc::new(block)),
            Err(error) => failed.push((*ulid, dir, error)),
        }
    }
    let replaced: HashSet<ulid::Ulid> =
        blocks.iter().flat_map(|b| b.meta().compaction.parents.iter().map(|p| p.ulid)).collect();
    for (ulid, dir, error) in failed {
        if replaced.contains(&ulid) {
            block::remove(&**disk, dir)?;
            continue;
        }
        metrics.blocks_damaged.fetch_add(1, Relaxed);
        tracing::error!(%error, block = %dir.display(), "cannot open a block: its samples are missing");
        if matches!(error, block::Error::Corrupt { .. }) {
            let aside = block::set_aside(&**disk, dir)?;
            tracing::error!(aside = %aside.display(), "set a damaged block aside");
        }
    }
    let is_done = |b: &Block| b.meta().compaction.deletable || replaced.contains(&b.meta().ulid);
    for block in blocks.iter().filter(|b| is_done(b)) {
        block::remove(&**disk, block.dir())?;
    }
    blocks.retain(|b| !is_done(b));
    blocks.sort_by_key(|b| (b.meta().min_time, b.meta().ulid));
    Ok(blocks)
}

/// Removes what a deletion wrote that was interrupted: its files get their names when they are complete.
fn remove_half_written(disk: &dyn Disk, dir: &Path) -> Result<(), disk::Error> {
    for entry in disk.list(dir)?.iter().filter(|e| !e.is_dir && e.name.ends_with(".tmp")) {
        disk.remove_file(&dir.join(&entry.name))?;
    }
    Ok(())
}

/// A name for a new block, made at that time (milliseconds since the epoch).
pub fn new_ulid(disk: &dyn Disk, now_ms: i64) -> ulid::Ulid {
    let random = u128::from(disk.random()) << 64 | u128::from(disk.random());
    ulid::Ulid::from_parts(now_ms.max(0) as u64, random)
}
