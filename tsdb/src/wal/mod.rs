//! The write-ahead log: numbered segments of 32 KiB pages of records, as in `docs/wal.md`.

pub mod checkpoint;
mod counters;
pub mod read;
pub mod records;
mod tail;
mod write;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use counters::WalCounters;
pub use write::Wal;
pub(crate) use write::fill;

use crate::disk::{self, Disk};

/// Bytes of a page: fragments never cross its end.
pub const PAGE_SIZE: usize = 32 * 1024;
/// Bytes before a fragment's data: type, length, checksum.
pub const FRAGMENT_HEADER: usize = 7;
/// Bytes of a segment if nothing else is asked for.
pub const DEFAULT_SEGMENT_SIZE: u64 = 128 << 20;
const _: () =
    assert!(DEFAULT_SEGMENT_SIZE.is_multiple_of(PAGE_SIZE as u64) && PAGE_SIZE <= u16::MAX as usize);

/// Which part of a record a fragment is: the low three bits of its first byte.
mod part {
    /// No fragment: the rest of the page is zero.
    pub(super) const PADDING: u8 = 0;
    pub(super) const FULL: u8 = 1;
    pub(super) const FIRST: u8 = 2;
    pub(super) const MIDDLE: u8 = 3;
    pub(super) const LAST: u8 = 4;
    pub(super) const MASK: u8 = 0b111;
    /// The record is compressed with snappy.
    pub(super) const SNAPPY: u8 = 0b1000;
    /// The record is compressed with zstd.
    pub(super) const ZSTD: u8 = 0b1_0000;
}

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

impl Compression {
    /// Its name in flags and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Snappy => "snappy",
            Compression::Zstd => "zstd",
        }
    }
}

/// How a log is written.
#[derive(Clone, Debug)]
pub struct WalOptions {
    /// Bytes of a segment; rounded up to whole pages. A record that is larger gets a larger segment of its own.
    pub segment_size: u64,
    /// How records are compressed.
    pub compression: Compression,
    /// Where what is written is counted.
    pub counters: Arc<WalCounters>,
}

impl Default for WalOptions {
    fn default() -> Self {
        WalOptions {
            segment_size: DEFAULT_SEGMENT_SIZE,
            compression: Compression::Snappy,
            counters: Arc::default(),
        }
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
        /// Offset in bytes of the fragment that cannot be used.
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
    /// Segments that must have been there are not.
    #[error("segments {first} to {last} of `{}` are missing", .dir.display())]
    Missing {
        /// The log's directory.
        dir: PathBuf,
        /// The first of them.
        first: u32,
        /// The last of them that is known of.
        last: u32,
    },
    /// A record that cannot be compressed.
    #[error("cannot compress a record of {len} bytes: {reason}")]
    Compress {
        /// The record's length in bytes.
        len: usize,
        /// Why.
        reason: String,
    },
}

/// Numbers of the segments in a directory, rising; some may be missing in between. A missing directory has none.
pub fn segments(disk: &dyn Disk, dir: &Path) -> Result<Vec<u32>, Error> {
    Ok(segments_with_len(disk, dir)?.into_iter().map(|(segment, _)| segment).collect())
}

/// Numbers and lengths in bytes of the segments. Files of other names (set-aside ones, say) do not count.
pub(crate) fn segments_with_len(disk: &dyn Disk, dir: &Path) -> Result<Vec<(u32, u64)>, Error> {
    let entries = match disk.list(dir) {
        Ok(entries) => entries,
        Err(e) if e.is_not_found() => return Ok(Vec::new()),
        Err(e) => return Err(e.into()),
    };
    let mut found: Vec<(u32, u64)> = entries
        .iter()
        .filter(|e| !e.is_dir && e.name.bytes().all(|b| b.is_ascii_digit()))
        .filter_map(|e| Some((e.name.parse().ok()?, e.len)))
        .collect();
    found.sort_unstable();
    Ok(found)
}

/// Says where a number is missing among rising ones.
pub(crate) fn check_sequential(dir: &Path, segments: &[(u32, u64)]) -> Result<(), Error> {
    match segments.windows(2).find(|pair| pair[0].0 + 1 != pair[1].0) {
        Some(pair) => Err(Error::Gap { dir: dir.to_owned(), before: pair[0].0, after: pair[1].0 }),
        None => Ok(()),
    }
}

/// The file of a segment: eight digits.
pub fn segment_path(dir: &Path, segment: u32) -> PathBuf {
    dir.join(format!("{segment:08}"))
}

#[cfg(test)]
mod tests;
