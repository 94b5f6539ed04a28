//! Compaction: several blocks become one, level by level.

use std::path::Path;
use std::sync::Arc;

use crate::block::{self, Block, BlockMeta};
use crate::disk::Disk;

/// The ranges of the levels in milliseconds: two hours, and each three times the one before, up to `max`.
pub fn ranges(_min: i64, _max: i64) -> Vec<i64> {
    todo!()
}

/// Which blocks should be compacted next: overlapping ones first, else the oldest that fill a range. Empty where there is nothing to do. The
/// blocks' `min_time`s need no order.
pub fn plan(_blocks: &[&BlockMeta], _ranges: &[i64], _allow_overlapping: bool) -> Vec<ulid::Ulid> {
    todo!()
}

/// Merges blocks into a new one in `parent`; samples with equal timestamps are taken once, deleted ones are left out. The
/// parents stay: the caller removes them when this has returned. None where no sample is left.
pub fn compact(
    _disk: &Arc<dyn Disk>,
    _parent: &Path,
    _ulid: ulid::Ulid,
    _blocks: &[Arc<Block>],
) -> Result<Option<BlockMeta>, block::Error> {
    todo!()
}
