//! The block directories of a database: opening all, names for new ones, removal.

use std::hash::{BuildHasher, Hasher};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rayon::prelude::*;

use crate::block::Block;
use crate::disk::{self, Disk};
use crate::error::Error;
use crate::stats::Metrics;

/// Directories of blocks that were being removed, or written, when the process ended.
const LEFTOVERS: [&str; 3] = [".tmp-for-deletion", ".tmp-for-creation", ".tmp"];

/// Opens all blocks of a directory, by their first time. A block that cannot be opened is logged, counted and left alone;
/// what an interrupted compaction or removal left is removed.
pub(crate) fn open_all(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    metrics: &Metrics,
) -> Result<Vec<Arc<Block>>, Error> {
    let mut dirs = Vec::new();
    for entry in disk.list(dir)? {
        let (name, leftover) = LEFTOVERS
            .iter()
            .find_map(|suffix| entry.name.strip_suffix(suffix))
            .map_or((entry.name.as_str(), false), |name| (name, true));
        if !entry.is_dir || ulid::Ulid::from_string(name).is_err() {
            continue;
        }
        if leftover {
            disk.remove_dir_all(&dir.join(&entry.name))?;
        } else {
            dirs.push(dir.join(&entry.name));
        }
    }
    let opened: Vec<_> = dirs.par_iter().map(|dir| (dir, Block::open(disk.clone(), dir))).collect();
    let mut blocks = Vec::new();
    for (dir, block) in opened {
        match block {
            Ok(block) => blocks.push(Arc::new(block)),
            Err(error) => {
                metrics.blocks_damaged.fetch_add(1, Relaxed);
                tracing::error!(%error, block = %dir.display(), "cannot open a block: it is left alone, its samples are missing");
            }
        }
    }
    // A compaction that ended just before its parents could be removed.
    let replaced: Vec<ulid::Ulid> =
        blocks.iter().flat_map(|b| b.meta().compaction.parents.iter().map(|p| p.ulid)).collect();
    for block in blocks.iter().filter(|b| replaced.contains(&b.meta().ulid)) {
        remove(&**disk, block.dir())?;
    }
    blocks.retain(|b| !replaced.contains(&b.meta().ulid));
    blocks.sort_by_key(|b| (b.meta().min_time, b.meta().ulid));
    Ok(blocks)
}

/// Removes a block's directory so that a crash in between leaves no half block. Readers that have it open are not harmed.
pub(crate) fn remove(disk: &dyn Disk, dir: &Path) -> Result<(), disk::Error> {
    let mut name = dir.as_os_str().to_owned();
    name.push(LEFTOVERS[0]);
    let leftover = Path::new(&name);
    disk.rename(dir, leftover)?;
    disk.remove_dir_all(leftover)
}

/// A name for a new block.
pub(crate) fn new_ulid(now_ms: i64) -> ulid::Ulid {
    let random = u128::from(random()) << 64 | u128::from(random());
    ulid::Ulid::from_parts(now_ms.max(0) as u64, random)
}

/// A random number: the standard library seeds its hashers from the system.
pub(crate) fn random() -> u64 {
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}
