//! Blocks: immutable directories of two hours and more, as in `docs/block.md` and `docs/index.md`.

pub mod meta;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::labels::Labels;

pub use meta::{BlockDesc, BlockMeta, BlockStats, Compaction};

use crate::chunk::Encoding;
use crate::disk::{self, Disk};

/// What can go wrong with a block.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// Bytes that no writer wrote.
    #[error("damaged block: `{}`, offset {offset}: {reason}", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Offset in bytes.
        offset: u64,
        /// What is wrong there.
        reason: String,
    },
    /// Series came out of order, or the index would grow beyond the format's limits.
    #[error("cannot write block `{}`: {reason}", .path.display())]
    Unwritable {
        /// The block's directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// A series' number within one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef(pub u32);

/// Where a chunk lies: segment index in the upper four bytes, offset in the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkRef(pub u64);

/// A chunk of a series, as the index tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkMeta {
    /// Its first sample, milliseconds.
    pub mint: i64,
    /// Its last sample, milliseconds.
    pub maxt: i64,
    /// Where it lies.
    pub ref_: ChunkRef,
}

/// A chunk to be written.
#[derive(Clone, Copy, Debug)]
pub struct ChunkData<'a> {
    /// Its first sample, milliseconds.
    pub mint: i64,
    /// Its last sample, milliseconds.
    pub maxt: i64,
    /// How it is encoded.
    pub encoding: Encoding,
    /// Its data.
    pub bytes: &'a [u8],
}

/// An open block. Cheap to share in an `Arc`; its directory may be removed while it is open.
#[derive(Debug)]
pub struct Block {
    _disk: Arc<dyn Disk>,
}

/// A list of series, read from the mapped index as it goes.
#[derive(Clone, Copy, Debug)]
pub struct Postings<'a> {
    bytes: &'a [u8],
}

impl<'a> Postings<'a> {
    /// How many series.
    pub fn len(&self) -> usize {
        self.bytes.len() / 4
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
    /// Drops what is below `ref_` (galloping search), for intersections.
    pub fn seek(&mut self, _ref: SeriesRef) {
        todo!()
    }
    /// The first, without taking it.
    pub fn peek(&self) -> Option<SeriesRef> {
        self.bytes.first_chunk().map(|b| SeriesRef(u32::from_be_bytes(*b)))
    }
}

impl Iterator for Postings<'_> {
    type Item = SeriesRef;
    fn next(&mut self) -> Option<SeriesRef> {
        let (first, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(SeriesRef(u32::from_be_bytes(*first)))
    }
}

/// A deleted interval, both ends inclusive, milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval {
    /// From.
    pub mint: i64,
    /// To.
    pub maxt: i64,
}

impl Block {
    /// Opens a block's directory: checks headers, table of contents and the tables' checksums.
    pub fn open(_disk: Arc<dyn Disk>, _dir: &Path) -> Result<Self, Error> {
        todo!()
    }
    /// What meta.json says.
    pub fn meta(&self) -> &BlockMeta {
        todo!()
    }
    /// Its directory.
    pub fn dir(&self) -> &Path {
        todo!()
    }
    /// Bytes on disk of all its files.
    pub fn size(&self) -> u64 {
        todo!()
    }
    /// The series that have this label with this value, rising; empty where there are none.
    pub fn postings(&self, _name: &str, _value: &str) -> Result<Postings<'_>, Error> {
        todo!()
    }
    /// All series, rising: in order of their labels.
    pub fn all_postings(&self) -> Result<Postings<'_>, Error> {
        todo!()
    }
    /// Names of labels, sorted.
    pub fn label_names(&self) -> Result<Vec<String>, Error> {
        todo!()
    }
    /// Values of a label, sorted.
    pub fn label_values(&self, _name: &str) -> Result<Vec<String>, Error> {
        todo!()
    }
    /// Calls `each(value, postings)` for the values of a label in order, until it returns false.
    pub fn for_each_value<'a>(
        &'a self,
        _name: &str,
        _each: impl FnMut(&'a str, Postings<'a>) -> bool,
    ) -> Result<(), Error> {
        todo!()
    }
    /// A series' labels; its chunks replace what `chunks` holds, in order of time.
    pub fn series(&self, _ref: SeriesRef, _chunks: &mut Vec<ChunkMeta>) -> Result<Labels, Error> {
        todo!()
    }
    /// Only a series' chunks.
    pub fn series_chunks(&self, _ref: SeriesRef, _chunks: &mut Vec<ChunkMeta>) -> Result<(), Error> {
        todo!()
    }
    /// One label's value of a series, "" where it is missing (label values of a selection, without building the set).
    pub fn series_label_value(&self, _ref: SeriesRef, _name: &str) -> Result<&str, Error> {
        todo!()
    }
    /// A chunk's data, from the mapped file, its checksum verified.
    pub fn chunk(&self, _ref: ChunkRef) -> Result<(Encoding, &[u8]), Error> {
        todo!()
    }
    /// The deleted intervals of a series, sorted, apart from each other.
    pub fn tombstones(&self, _ref: SeriesRef) -> Vec<Interval> {
        todo!()
    }
    /// Whether anything is deleted.
    pub fn has_tombstones(&self) -> bool {
        todo!()
    }
    /// Adds deleted intervals, durably (the file is replaced as a whole).
    pub fn add_tombstones(&self, _deleted: &[(SeriesRef, Interval)]) -> Result<(), Error> {
        todo!()
    }
}

/// Writes a block: series in order of their labels, then [`BlockWriter::finish`].
#[derive(Debug)]
pub struct BlockWriter {
    _disk: Arc<dyn Disk>,
}

impl BlockWriter {
    /// Begins `<parent>/<ulid>.tmp-for-creation`.
    pub fn create(_disk: Arc<dyn Disk>, _parent: &Path, _ulid: ulid::Ulid) -> Result<Self, Error> {
        todo!()
    }
    /// Adds a series. Labels must rise from call to call; chunks must be in order of time and not overlap.
    pub fn add_series(&mut self, _labels: &Labels, _chunks: &[ChunkData<'_>]) -> Result<(), Error> {
        todo!()
    }
    /// Writes index and meta.json, syncs all, and renames the directory to its name. `maxt` is exclusive. None where nothing was added: no
    /// directory is left then.
    pub fn finish(
        self,
        _mint: i64,
        _maxt: i64,
        _compaction: Compaction,
    ) -> Result<Option<BlockMeta>, Error> {
        todo!()
    }
    /// Gives up: removes what was written.
    pub fn abort(self) -> Result<(), Error> {
        todo!()
    }
}
