//! The blocks of a database: opening all, names for new ones.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use crate::block::{self, Block};
use crate::disk::{self, Disk};
use crate::error::Error;
use crate::head::start::or_without;
use crate::stats::Metrics;

/// What a block's file of deletions is called.
const TOMBSTONES: &str = "tombstones";

/// Opens all blocks of a directory, by their first time. A damaged block is set aside, and what has a block's name and is none; one that
/// cannot be read is left alone; all are logged and counted. What an interrupted compaction or removal left is removed: half-written blocks, and
/// blocks of which another one was made, damaged or not.
pub(crate) fn open_all(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    metrics: &Metrics,
) -> Result<Vec<Arc<Block>>, Error> {
    or_without(block::remove_leftovers(&**disk, dir), "remove unfinished blocks");
    set_impostors_aside(&**disk, dir, metrics);
    let dirs = block::list(&**disk, dir)?;
    for (_, dir) in &dirs {
        if let Err(error) = remove_half_written(&**disk, dir) {
            tracing::warn!(%error, block = %dir.display(), "cannot look for half-written files");
        }
    }
    let opened: Vec<_> = dirs.par_iter().map(|(_, dir)| open(disk, dir, metrics)).collect();
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
            or_without(block::remove(&**disk, dir), "remove a block of which another was made");
            continue;
        }
        metrics.blocks_damaged.fetch_add(1, Relaxed);
        tracing::error!(%error, block = %dir.display(), "cannot open a block: its samples are missing");
        if error.is_damage() {
            set_aside(&**disk, dir);
        }
    }
    let is_done = |b: &Block| b.meta().compaction.deletable || replaced.contains(&b.meta().ulid);
    for block in blocks.iter().filter(|b| is_done(b)) {
        or_without(block::remove(&**disk, block.dir()), "remove a block that is done with");
    }
    blocks.retain(|b| !is_done(b));
    blocks.sort_by_key(|b| (b.meta().min_time, b.meta().ulid));
    Ok(blocks)
}

fn set_aside(disk: &dyn Disk, dir: &Path) {
    match block::set_aside(disk, dir) {
        Ok(aside) => tracing::error!(aside = %aside.display(), "set a damaged block aside"),
        Err(error) => tracing::error!(%error, "cannot set a damaged block aside"),
    }
}

/// Sets aside what is no directory where a block belongs.
fn set_impostors_aside(disk: &dyn Disk, dir: &Path, metrics: &Metrics) {
    for (_, path) in or_without(block::list_impostors(disk, dir), "look for what only has a block's name") {
        metrics.blocks_damaged.fetch_add(1, Relaxed);
        tracing::error!(block = %path.display(), "this is no block but has the name of one: it is no directory");
        set_aside(disk, &path);
    }
}

/// Opens a block. Tombstones that are damaged or cannot be read are set aside, beside the block: all it holds can be read then, what was
/// deleted of it too.
fn open(disk: &Arc<dyn Disk>, dir: &Path, metrics: &Metrics) -> Result<Block, block::Error> {
    let error = match Block::open(disk.clone(), dir) {
        Err(error) if error.path() == Some(&dir.join(TOMBSTONES)) => error,
        result => return result,
    };
    metrics.blocks_damaged.fetch_add(1, Relaxed);
    let mut name = dir.as_os_str().to_owned();
    name.push(format!(".{TOMBSTONES}"));
    let aside = disk::free_name(&**disk, Path::new(&name), "corrupt");
    disk.rename(&dir.join(TOMBSTONES), &aside)?;
    for dir in std::iter::once(dir).chain(dir.parent()) {
        or_without(disk.sync_dir(dir), "make the directory durable");
    }
    let block = Block::open(disk.clone(), dir)?;
    let deletions = block.meta().stats.num_tombstones;
    tracing::error!(
        %error, block = %dir.display(), aside = %aside.display(), deletions,
        "set damaged tombstones aside: what was deleted of this block is visible again until it is deleted anew"
    );
    Ok(block)
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
