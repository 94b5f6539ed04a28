//! Blocks: immutable directories of two hours and more, as in `docs/block.md` and `docs/index.md`.
//!
//! ```text
//! 01HZ…/            ULID
//! ├── meta.json     what, when, from what
//! ├── index         symbols, series, postings
//! ├── chunks/000001 the samples, in segments of at most 512 MiB
//! └── tombstones    deleted intervals
//! ```

mod chunks;
mod dirs;
mod index;
pub mod meta;
mod open;
pub(crate) mod tombstones;
mod write;

use std::path::{Path, PathBuf};

pub use dirs::{list, list_impostors, remove, remove_leftovers, set_aside};
pub use index::postings::Postings;
pub(crate) use index::symbols::SymbolCache;
pub use meta::{BlockDesc, BlockMeta, BlockStats, Compaction};
pub use open::Block;
pub use tombstones::Interval;
pub use write::BlockWriter;

pub use crate::blocks::new_ulid;

use crate::chunk::Encoding;
use crate::disk;
use crate::encoding;

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
    /// Series came out of order, or the block would grow beyond the format's limits.
    #[error("cannot write block `{}`: {reason}", .path.display())]
    Unwritable {
        /// The block's directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

impl Error {
    /// The file that cannot be used; none where it is not one file.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Error::Disk(e) => Some(&e.path),
            Error::Corrupt { path, .. } => Some(path),
            Error::Unwritable { .. } => None,
        }
    }

    /// Whether the block cannot be used, however often it is tried.
    pub(crate) fn is_damage(&self) -> bool {
        match self {
            Error::Disk(e) => e.is_wrong_kind(),
            Error::Corrupt { .. } => true,
            Error::Unwritable { .. } => false,
        }
    }

    #[cold]
    fn corrupt(path: &Path, offset: u64, reason: impl Into<String>) -> Self {
        Error::Corrupt { path: path.to_owned(), offset, reason: reason.into() }
    }

    /// A decoder's error, whose position counts from `base`.
    #[cold]
    fn decoding(path: &Path, base: u64, error: encoding::Error) -> Self {
        let (offset, reason) = match error {
            encoding::Error::Short { what, offset } => (offset, format!("the bytes end within {what}")),
            encoding::Error::Invalid { what, offset } => (offset, format!("invalid {what}")),
        };
        Error::corrupt(path, base + offset as u64, reason)
    }
}

/// A series' number within one block: the offset of its entry in the index, in units of 16 bytes (of one byte in index version 1).
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

#[cfg(test)]
mod tests;
