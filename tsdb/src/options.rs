//! How a database is run.

use crate::wal::Compression;

/// Two hours: the range of a block cut from the head, in milliseconds.
pub const DEFAULT_BLOCK_DURATION_MS: i64 = 2 * 60 * 60 * 1000;

/// How a database is run. Durations in milliseconds, sizes in bytes.
#[derive(Clone, Debug)]
pub struct Options {
    /// The range of the blocks that are cut from the head.
    pub min_block_duration_ms: i64,
    /// The longest range that compaction makes; none: a tenth of the retention, as Prometheus, at least
    /// `min_block_duration_ms`, at most 31 days.
    pub max_block_duration_ms: Option<i64>,
    /// How long samples are kept; none: for ever.
    pub retention_ms: Option<i64>,
    /// How many bytes blocks, log and head chunks may have together; none: any.
    pub retention_bytes: Option<u64>,
    /// Bytes of a segment of the write-ahead log.
    pub wal_segment_size: u64,
    /// How records of the write-ahead log are compressed.
    pub wal_compression: Compression,
    /// Samples after which a chunk is cut.
    pub samples_per_chunk: u16,
    /// How much older than the newest sample of its series a sample may be. Only 0 is supported: none may.
    pub out_of_order_window_ms: i64,
    /// Whether compaction may run at all (off when Thanos compacts instead).
    pub compaction: bool,
    /// Whether replay, syncing and maintenance run on threads of their own. Off, the caller does them ([`crate::Db::replay`],
    /// [`crate::Db::sync`], [`crate::Db::maintain`]), and the order of all system calls is the same in each run: for simulations.
    pub background: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            min_block_duration_ms: DEFAULT_BLOCK_DURATION_MS,
            max_block_duration_ms: None,
            retention_ms: Some(15 * 24 * 60 * 60 * 1000),
            retention_bytes: None,
            wal_segment_size: 128 << 20,
            wal_compression: Compression::Snappy,
            samples_per_chunk: crate::chunk::SAMPLES_PER_CHUNK,
            out_of_order_window_ms: 0,
            compaction: true,
            background: true,
        }
    }
}

impl Options {
    /// The longest range that compaction makes, in milliseconds.
    pub fn max_block_duration(&self) -> i64 {
        const MONTH: i64 = 31 * 24 * 60 * 60 * 1000;
        let derived = self.retention_ms.map_or(MONTH, |r| (r / 10).min(MONTH));
        self.max_block_duration_ms.unwrap_or(derived).max(self.min_block_duration_ms)
    }
}
