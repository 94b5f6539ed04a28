//! How a database is run.

use std::path::PathBuf;

use crate::chunk::Encodings;
use crate::wal::Compression;

/// Two hours: the range of a block cut from the head, in milliseconds.
pub const DEFAULT_BLOCK_DURATION_MS: i64 = 2 * 60 * 60 * 1000;

/// What is kept: the first limit that is reached counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Retention {
    /// How long samples are kept, milliseconds; none: for ever.
    pub time_ms: Option<i64>,
    /// How many bytes blocks, logs and head chunks may have together; none: any.
    pub bytes: Option<u64>,
    /// How much of the file system they may have, per cent; in place of `bytes` where it is given.
    pub percentage: Option<f64>,
}

/// When the write-ahead log is made to survive a power cut. It survives the death of the process at once, either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WalSync {
    /// Once a second: a power cut loses what was appended within the last second.
    #[default]
    EverySecond,
    /// Before a commit returns.
    Always,
}

/// How a database is run. Durations in milliseconds, sizes in bytes.
#[derive(Clone, Debug)]
pub struct Options {
    /// The range of the blocks that are cut from the head.
    pub min_block_duration_ms: i64,
    /// The longest range that compaction makes; none: a tenth of the retention, as Prometheus, at least
    /// `min_block_duration_ms`, at most 31 days.
    pub max_block_duration_ms: Option<i64>,
    /// What is kept; [`crate::Db::set_retention`] changes it.
    pub retention: Retention,
    /// When the write-ahead log is made to survive a power cut.
    pub wal_sync: WalSync,
    /// Bytes of a segment of the write-ahead log.
    pub wal_segment_size: u64,
    /// How records of the write-ahead log are compressed.
    pub wal_compression: Compression,
    /// Samples after which a chunk is cut.
    pub samples_per_chunk: u16,
    /// Which encodings new chunks get. Those that were there before stay what they are.
    pub encodings: Encodings,
    /// Whether start timestamps are stored: in the log in any case, in chunks where their encoding has room.
    pub start_timestamps: bool,
    /// How much older than the newest sample of all a sample may be that is older than the newest of its series; 0: none may.
    /// [`crate::Db::set_out_of_order_window`] changes it.
    pub out_of_order_window_ms: i64,
    /// Bytes of answers to matchers that are kept for when they are asked again; 0: none.
    pub selection_cache_bytes: usize,
    /// Whether the log says what series are, as far as [`crate::Appender::describe`] is told.
    pub metadata_records: bool,
    /// How many exemplars are kept; 0: none. [`crate::Db::set_exemplar_limit`] changes it.
    pub exemplar_limit: usize,
    /// Whether blocks may be compacted at all (off where another program compacts them instead). Blocks are cut from the
    /// head either way.
    pub compaction: bool,
    /// Whether blocks that overlap may be merged.
    pub overlapping_compaction: bool,
    /// A file that lists the blocks that were uploaded elsewhere, as Thanos writes it: blocks that were never compacted are
    /// not compacted before they stand in it.
    pub delay_compact_file: Option<PathBuf>,
    /// Whether a clean end leaves a snapshot of the memory, so that the next start need not replay the log.
    pub memory_snapshot: bool,
    /// Whether replay, syncing and maintenance run on threads of their own. Off, the caller does them ([`crate::Db::replay`],
    /// [`crate::Db::sync`], [`crate::Db::maintain`]), and the order of all system calls is the same in each run: for simulations.
    pub background: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            min_block_duration_ms: DEFAULT_BLOCK_DURATION_MS,
            max_block_duration_ms: None,
            retention: Retention { time_ms: Some(15 * 24 * 60 * 60 * 1000), ..Retention::default() },
            wal_sync: WalSync::default(),
            wal_segment_size: 128 << 20,
            wal_compression: Compression::Snappy,
            samples_per_chunk: crate::chunk::SAMPLES_PER_CHUNK,
            encodings: Encodings::default(),
            start_timestamps: false,
            out_of_order_window_ms: 0,
            selection_cache_bytes: 24 << 20,
            metadata_records: false,
            exemplar_limit: 0,
            compaction: true,
            overlapping_compaction: true,
            memory_snapshot: false,
            background: true,
            delay_compact_file: None,
        }
    }
}

impl Options {
    /// The longest range that compaction makes, in milliseconds.
    pub fn max_block_duration(&self) -> i64 {
        const MONTH: i64 = 31 * 24 * 60 * 60 * 1000;
        let derived = self.retention.time_ms.map_or(MONTH, |r| (r / 10).min(MONTH));
        self.max_block_duration_ms.unwrap_or(derived).max(self.min_block_duration_ms)
    }
}
