//! The write-ahead log: numbered segments of 32 KiB pages of records, as in `docs/wal.md`.

pub mod checkpoint;
pub mod read;
pub mod records;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{self, Disk, Syncer};

/// How records are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// Snappy's block format.
    #[default]
    Snappy,
    /// A zstd frame.
    Zstd,
}

/// How a log is written.
#[derive(Clone, Debug)]
pub struct WalOptions {
    /// Bytes of a segment, a multiple of 32 KiB.
    pub segment_size: u64,
    /// How records are compressed.
    pub compression: Compression,
}

impl Default for WalOptions {
    fn default() -> Self {
        WalOptions { segment_size: 128 << 20, compression: Compression::Snappy }
    }
}

/// What can go wrong with a log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// A segment holds bytes that no writer wrote, or a record that was not written to its end.
    #[error("damaged log: segment `{}`, offset {offset}: {reason}", .path.display())]
    Corrupt {
        /// The segment's file.
        path: PathBuf,
        /// Its number.
        segment: u32,
        /// Offset in bytes of the page fragment that cannot be used.
        offset: u64,
        /// What is wrong there.
        reason: &'static str,
    },
    /// A number is missing among the segments.
    #[error("segments of `{}` are not sequential: {after} follows {before}", .dir.display())]
    Gap {
        /// The log's directory.
        dir: PathBuf,
        /// The last segment before the gap.
        before: u32,
        /// The first behind it.
        after: u32,
    },
}

/// A log that is being written.
#[derive(Debug)]
pub struct Wal {
    _disk: Arc<dyn Disk>,
}

impl Wal {
    /// Opens a log's directory (made if it is missing) and begins a NEW segment behind the last one, so that a torn tail is never
    /// appended to.
    pub fn open(_disk: Arc<dyn Disk>, _dir: &Path, _options: WalOptions) -> Result<Self, Error> {
        todo!()
    }
    /// Writes a batch of records with one write(2), or one per segment where it crosses into the next. What it wrote survives
    /// kill -9 once it returned; a power cut only after [`Wal::sync`]. After an error nothing of the batch counts as written.
    pub fn log(&mut self, _records: &[&[u8]]) -> Result<(), Error> {
        todo!()
    }
    /// Makes all that was logged durable.
    pub fn sync(&mut self) -> Result<(), Error> {
        todo!()
    }
    /// Makes all that has been logged durable without holding the log meanwhile: call its `sync` from another thread.
    pub fn syncer(&self) -> Arc<dyn Syncer> {
        todo!()
    }
    /// Ends the present segment (synced) and begins the next; returns the new one's number.
    pub fn next_segment(&mut self) -> Result<u32, Error> {
        todo!()
    }
    /// Removes the segments below the given number.
    pub fn truncate(&mut self, _before: u32) -> Result<(), Error> {
        todo!()
    }
    /// The oldest segment that is there.
    pub fn first_segment(&self) -> u32 {
        todo!()
    }
    /// The segment that is being written.
    pub fn last_segment(&self) -> u32 {
        todo!()
    }
    /// Bytes of all segments.
    pub fn size(&self) -> u64 {
        todo!()
    }
    /// The log's directory.
    pub fn dir(&self) -> &Path {
        todo!()
    }
}

/// Numbers of the segments in a directory, rising. A missing directory has none.
pub fn segments(_disk: &dyn Disk, _dir: &Path) -> Result<Vec<u32>, Error> {
    todo!()
}

/// The file of a segment: eight digits.
pub fn segment_path(dir: &Path, segment: u32) -> PathBuf {
    dir.join(format!("{segment:08}"))
}
