//! Reads a log's records back, and sets damaged parts aside.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Error;
use crate::disk::Disk;

/// One record, borrowed from the reader's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The segment in which it ends.
    pub segment: u32,
    /// Offset in bytes of its first fragment in its segment.
    pub offset: u64,
    /// The record, decompressed.
    pub record: &'a [u8],
}

/// Reads the records of several segments, in order, in memory bounded by the largest record.
#[derive(Debug)]
pub struct SegmentsReader {
    _disk: Arc<dyn Disk>,
}

impl SegmentsReader {
    /// All segments of a log from number `first` on (0: all). A record torn at the very end of the last segment ends the log
    /// without an error (see [`SegmentsReader::torn_tail`]).
    pub fn open(_disk: Arc<dyn Disk>, _dir: &Path, _first: u32) -> Result<Self, Error> {
        todo!()
    }
    /// Only the segments `first..=last`.
    pub fn range(_disk: Arc<dyn Disk>, _dir: &Path, _first: u32, _last: u32) -> Result<Self, Error> {
        todo!()
    }
    /// The next record; none at the end. After an error the reader is at its end.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Entry<'_>>, Error> {
        todo!()
    }
    /// Where a record torn by a crash at the end of the last segment began: (segment, offset).
    pub fn torn_tail(&self) -> Option<(u32, u64)> {
        todo!()
    }
    /// Bytes read so far (progress).
    pub fn bytes_read(&self) -> u64 {
        todo!()
    }
    /// Bytes of all the segments at the time of opening.
    pub fn bytes_total(&self) -> u64 {
        todo!()
    }
}

/// What [`repair`] did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    /// The damaged segment, as it was.
    pub set_aside: PathBuf,
    /// Segments behind it that were set aside too: their samples may miss their series.
    pub also_set_aside: Vec<PathBuf>,
    /// Bytes of the good part that stay in the log.
    pub kept: u64,
    /// Bytes that were set aside.
    pub lost: u64,
}

/// Repairs a log after [`Error::Corrupt`]: the damaged segment and those behind it are renamed to `<segment>.corrupt` (with a number
/// behind it where that name is taken) and the good part before the damage is written anew under the old name. Nothing is deleted.
pub fn repair(_disk: &dyn Disk, _dir: &Path, _error: &Error) -> Result<Repaired, Error> {
    todo!()
}
