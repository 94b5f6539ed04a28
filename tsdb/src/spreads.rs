//! How long things took, and how large they were: with the buckets and quantiles of Prometheus' own.

use std::time::Duration;

use runtime::clock::Clock;
use runtime::metrics::{Histogram, Summary};

use crate::block::ChunkData;

/// Bounds of how long the writing of a block takes, in seconds.
const COMPACTION_SECONDS: &[f64] =
    &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0];
/// From 32 bytes on, each half as much more.
const CHUNK_BYTES: &[f64] =
    &[32.0, 48.0, 72.0, 108.0, 162.0, 243.0, 364.5, 546.75, 820.125, 1230.1875, 1845.28125, 2767.921875];
/// From four samples on, each half as many more.
const CHUNK_SAMPLES: &[f64] = &[
    4.0,
    6.0,
    9.0,
    13.5,
    20.25,
    30.375,
    45.5625,
    68.34375,
    102.515625,
    153.7734375,
    230.66015625,
    345.990234375,
];
/// From 100 milliseconds on, each four times as long.
const CHUNK_RANGE_MS: &[f64] =
    &[100.0, 400.0, 1600.0, 6400.0, 25600.0, 102400.0, 409600.0, 1638400.0, 6553600.0, 26214400.0];
/// Ten minutes to twelve hours, in seconds.
const LATE_SECONDS: &[f64] = &[600.0, 1800.0, 3600.0, 7200.0, 10800.0, 21600.0, 43200.0];

/// Durations in seconds, and sizes.
#[derive(Debug)]
pub struct Spreads {
    /// How long writing a block took, from the head or from other blocks.
    pub compaction_seconds: Histogram,
    /// Bytes of the chunks in blocks that were cut from the head.
    pub chunk_bytes: Histogram,
    /// Samples in them.
    pub chunk_samples: Histogram,
    /// From their first sample to their last, milliseconds.
    pub chunk_range_ms: Histogram,
    /// How much older than the newest sample of all those were that came out of order, taken or not.
    pub late_seconds: Histogram,
    /// How long rewriting all blocks in which something was deleted took.
    pub tombstone_cleanup_seconds: Histogram,
    /// How long syncing the log took.
    pub wal_fsync_seconds: Summary,
    /// How long syncing the log of samples that came out of order took.
    pub wbl_fsync_seconds: Summary,
    /// How long it took to replace segments of the log by a checkpoint.
    pub wal_truncate_seconds: Summary,
    /// How long it took a range of samples to leave the head.
    pub head_gc_seconds: Summary,
}

impl Default for Spreads {
    fn default() -> Self {
        Spreads {
            compaction_seconds: Histogram::new(COMPACTION_SECONDS),
            chunk_bytes: Histogram::new(CHUNK_BYTES),
            chunk_samples: Histogram::new(CHUNK_SAMPLES),
            chunk_range_ms: Histogram::new(CHUNK_RANGE_MS),
            late_seconds: Histogram::new(LATE_SECONDS),
            tombstone_cleanup_seconds: Histogram::new(&[]),
            wal_fsync_seconds: Summary::new(&[0.5, 0.9, 0.99]),
            wbl_fsync_seconds: Summary::new(&[0.5, 0.9, 0.99]),
            wal_truncate_seconds: Summary::new(&[]),
            head_gc_seconds: Summary::new(&[]),
        }
    }
}

impl Spreads {
    /// Notes the chunks of a series in a block that is cut from the head.
    pub(crate) fn note_chunks(&self, chunks: &[ChunkData<'_>]) {
        for chunk in chunks {
            self.chunk_bytes.observe(chunk.bytes.len() as f64);
            self.chunk_samples.observe(f64::from(chunk.encoding.num_samples(chunk.bytes)));
            self.chunk_range_ms.observe((chunk.maxt - chunk.mint) as f64);
        }
    }
}

/// Runs something; `note` gets the time when it was over, and the seconds that it took.
pub(crate) fn timed<T>(clock: &dyn Clock, note: impl FnOnce(Duration, f64), work: impl FnOnce() -> T) -> T {
    let began = clock.monotonic();
    let done = work();
    let now = clock.monotonic();
    note(now, now.saturating_sub(began).as_secs_f64());
    done
}
