//! What can go wrong with the database as a whole, and with one sample.

use std::path::PathBuf;

use crate::{block, chunk, disk, wal};

/// Why the database could not be opened, read or maintained.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The disk refused.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// The write-ahead log is unusable.
    #[error(transparent)]
    Wal(#[from] wal::Error),
    /// A block is damaged or cannot be written.
    #[error(transparent)]
    Block(#[from] block::Error),
    /// A head chunk file is damaged or cannot be written.
    #[error(transparent)]
    HeadChunks(#[from] chunk::head_file::Error),
    /// A chunk's data is damaged.
    #[error("damaged chunk of series {series}, {mint} to {maxt}: {source}")]
    Chunk {
        /// The series' labels.
        series: String,
        /// The chunk's first millisecond.
        mint: i64,
        /// The chunk's last millisecond.
        maxt: i64,
        /// What is wrong with it.
        source: chunk::Error,
    },
    /// Only floats were asked for.
    #[error("series {series} has native histograms where floats are expected")]
    Histogram {
        /// The series' labels.
        series: String,
    },
    /// Another process has the directory.
    #[error("cannot lock `{}`: another process uses this directory", .path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// The system refused something that is not a file operation.
    #[error("cannot {action}: {source}")]
    System {
        /// What was attempted.
        action: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Replay still goes on: what was asked needs its end.
    #[error("the write-ahead log is still being replayed")]
    Replaying,
    /// An option that this version does not support.
    #[error("unsupported option: {0}")]
    Option(String),
}

/// Why a sample or a batch was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Older than the newest of its series.
    #[error("out of order sample")]
    OutOfOrder,
    /// Another value at the same time.
    #[error("duplicate sample for timestamp")]
    Duplicate,
    /// Older than what the head still takes.
    #[error("out of bounds")]
    OutOfBounds,
    /// Older than the out-of-order window.
    #[error("too old sample")]
    TooOld,
    /// The labels are none.
    #[error("invalid labels: {0}")]
    InvalidLabels(String),
    /// A native histogram that contradicts itself.
    #[error(transparent)]
    InvalidHistogram(#[from] model::histogram::Invalid),
    /// An exemplar older than the newest of its series.
    #[error("out of order exemplar")]
    OutOfOrderExemplar,
    /// An exemplar with more than 128 characters in its labels.
    #[error("label length for exemplar exceeds maximum of 128 UTF-8 characters")]
    ExemplarLabelsTooLong,
    /// An exemplar or metadata of a series that has no samples.
    #[error("unknown series")]
    UnknownSeries,
    /// The storage cannot take it now (full disk, …).
    #[error("storage: {0}")]
    Storage(String),
}
