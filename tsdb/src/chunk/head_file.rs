//! Head chunk files (`chunks_head/`): full chunks of the head, off the heap.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Encoding;
use crate::disk::{self, Disk};

/// Where a chunk lies: file number in the upper four bytes, offset in the lower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HeadChunkRef(pub u64);

/// What can go wrong with head chunk files.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// Bytes that no writer wrote.
    #[error("damaged head chunk file `{}`, offset {offset}: {reason}", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the chunk begins.
        offset: u64,
        /// What is wrong.
        reason: &'static str,
    },
}

/// One chunk, as found in a file.
#[derive(Clone, Copy, Debug)]
pub struct HeadChunk<'a> {
    /// Where it lies.
    pub ref_: HeadChunkRef,
    /// The series' number.
    pub series: u64,
    /// Its first sample, milliseconds.
    pub mint: i64,
    /// Its last sample, milliseconds.
    pub maxt: i64,
    /// How it is encoded.
    pub encoding: Encoding,
    /// Whether it came out of order.
    pub out_of_order: bool,
    /// The data.
    pub data: &'a [u8],
}

/// Writes and reads head chunk files. Writing takes `&mut self`; reading handles are taken with [`HeadChunks::reader`].
#[derive(Debug)]
pub struct HeadChunks {
    _disk: Arc<dyn Disk>,
}

/// Reads chunks; a cheap clone that sees all that was written before it was taken and, after a refresh, later ones.
#[derive(Clone, Debug)]
pub struct HeadChunkReader {
    _disk: Arc<dyn Disk>,
}

impl HeadChunks {
    /// Opens a directory (made if missing). A damaged or torn file is an error from [`HeadChunks::for_each`], not here.
    pub fn open(_disk: Arc<dyn Disk>, _dir: &Path) -> Result<Self, Error> {
        todo!()
    }
    /// Goes through all chunks in order of their references, with checked sums; stops at the first damage with an error. Call it
    /// once before the first write.
    pub fn for_each(&mut self, _each: impl FnMut(HeadChunk<'_>)) -> Result<(), Error> {
        todo!()
    }
    /// Sets the damaged file and those behind it aside, keeping their good part. Nothing is deleted.
    pub fn repair(&mut self, _error: &Error) -> Result<Vec<PathBuf>, Error> {
        todo!()
    }
    /// Writes one chunk. It can be read at once; it is durable after [`HeadChunks::sync`].
    pub fn write(
        &mut self,
        _series: u64,
        _mint: i64,
        _maxt: i64,
        _encoding: Encoding,
        _data: &[u8],
    ) -> Result<HeadChunkRef, Error> {
        todo!()
    }
    /// Makes what was written durable.
    pub fn sync(&mut self) -> Result<(), Error> {
        todo!()
    }
    /// Reads a chunk's data, checked against its sum; appends it to `out`.
    pub fn read(&self, _ref: HeadChunkRef, _out: &mut Vec<u8>) -> Result<Encoding, Error> {
        todo!()
    }
    /// A reader for other threads.
    pub fn reader(&self) -> HeadChunkReader {
        todo!()
    }
    /// Removes whole files all of whose chunks end before `mint`.
    pub fn truncate(&mut self, _mint: i64) -> Result<(), Error> {
        todo!()
    }
    /// Bytes of all files.
    pub fn size(&self) -> u64 {
        todo!()
    }
}

impl HeadChunkReader {
    /// Reads a chunk's data; appends it to `out`.
    pub fn read(&self, _ref: HeadChunkRef, _out: &mut Vec<u8>) -> Result<Encoding, Error> {
        todo!()
    }
}
