//! Checkpoints: what is still needed of segments that are dropped, rewritten as a small log of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Compression, Error};
use crate::disk::Disk;

/// What a checkpoint kept and dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckpointStats {
    /// Series kept, dropped.
    pub series: (u64, u64),
    /// Samples (of all kinds) kept, dropped.
    pub samples: (u64, u64),
    /// Tombstones kept, dropped.
    pub tombstones: (u64, u64),
    /// Exemplars kept, dropped.
    pub exemplars: (u64, u64),
    /// Metadata kept, dropped.
    pub metadata: (u64, u64),
    /// Records of unknown types, which are kept as they are.
    pub unknown_records: u64,
}

/// The last checkpoint: its directory and the last segment it covers.
pub fn last(_disk: &dyn Disk, _wal_dir: &Path) -> Result<Option<(PathBuf, u32)>, Error> {
    todo!()
}

/// Writes `checkpoint.<last>` from the previous checkpoint and the segments `first..=last`: series for which `keep` says so, samples,
/// exemplars and tombstones not older than `mint` (milliseconds). Durable when it returns; the caller then truncates the log.
pub fn write(
    _disk: &Arc<dyn Disk>,
    _wal_dir: &Path,
    _first: u32,
    _last: u32,
    _keep: impl FnMut(u64) -> bool,
    _mint: i64,
    _compression: Compression,
) -> Result<CheckpointStats, Error> {
    todo!()
}

/// Removes the checkpoints below a segment.
pub fn remove_before(_disk: &dyn Disk, _wal_dir: &Path, _segment: u32) -> Result<(), Error> {
    todo!()
}
