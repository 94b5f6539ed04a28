//! What the database says of itself: counters, and the cardinality of the head.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};

use runtime::metrics::Value;

use crate::db::Db;
use crate::spreads::Spreads;
use crate::wal::WalCounters;

/// How many of some samples were native histograms; the others were floats.
#[derive(Debug, Default)]
pub struct Histograms {
    /// Of those made visible.
    pub appended: AtomicU64,
    /// Of those taken out of order.
    pub out_of_order_appended: AtomicU64,
    /// Of those refused as older than the newest of their series.
    pub out_of_order: AtomicU64,
    /// Of those refused as older than the out-of-order window.
    pub too_old: AtomicU64,
    /// Of those refused as older than what the head takes.
    pub out_of_bounds: AtomicU64,
}

/// Counters since the start; all only grow, but for those that say so.
#[derive(Debug, Default)]
pub struct Metrics {
    /// Durations and sizes.
    pub spreads: Spreads,
    /// What was written to the log of samples that came in order.
    pub wal: Arc<WalCounters>,
    /// What was written to the log of samples that came out of order.
    pub wbl: Arc<WalCounters>,
    /// Times that log was to be truncated.
    pub wbl_truncations: AtomicU64,
    /// Times that failed.
    pub wbl_truncations_failed: AtomicU64,
    /// Whether no lock of an earlier process stood in the directory: it had come to its end.
    pub clean_start: AtomicBool,
    /// Seconds that replaying the log took; 0 until that is done.
    pub replay_seconds: Value,
    /// Batches that are open now.
    pub active_appenders: AtomicU64,
    /// Blocks that are being written now.
    pub blocks_in_writing: AtomicU64,
    /// Chunks that left the head.
    pub chunks_removed: AtomicU64,
    /// Most chunks that were known to have been made: those that left and those that were there.
    chunks_created: AtomicU64,
    /// Chunks moved from memory to head chunk files.
    pub chunks_mapped: AtomicU64,
    /// Samples made visible.
    pub samples_appended: AtomicU64,
    /// Samples read back from the log at the start.
    pub samples_replayed: AtomicU64,
    /// Samples refused as older than the newest of their series.
    pub out_of_order: AtomicU64,
    /// Samples refused as older than the out-of-order window.
    pub too_old: AtomicU64,
    /// Samples taken out of order.
    pub out_of_order_appended: AtomicU64,
    /// Exemplars taken.
    pub exemplars_appended: AtomicU64,
    /// Exemplars refused as older than the newest of their series.
    pub out_of_order_exemplars: AtomicU64,
    /// Samples refused as another value at the same time.
    pub duplicates: AtomicU64,
    /// Samples refused as older than what the head takes.
    pub out_of_bounds: AtomicU64,
    /// How many of all those samples were native histograms.
    pub histograms: Histograms,
    /// Series made in the head.
    pub series_created: AtomicU64,
    /// Series that left the head.
    pub series_removed: AtomicU64,
    /// Damaged, unreadable or missing parts of the log.
    pub wal_corruptions: AtomicU64,
    /// Samples in the log whose series no record names.
    pub wal_unknown_samples: AtomicU64,
    /// Damaged chunks met in head chunk files when a block was cut.
    pub head_chunk_corruptions: AtomicU64,
    /// Snapshots of the memory that were read in the place of the log.
    pub snapshots_used: AtomicU64,
    /// Snapshots of the memory that could not be used at the start.
    pub snapshots_failed: AtomicU64,
    /// Times the log was synced.
    pub wal_fsyncs: AtomicU64,
    /// Times syncing the log failed.
    pub wal_fsync_failures: AtomicU64,
    /// Batches that could not be written to the log.
    pub wal_writes_failed: AtomicU64,
    /// Times segments of the log were to be replaced by a checkpoint.
    pub wal_truncations: AtomicU64,
    /// Times that failed.
    pub wal_truncations_failed: AtomicU64,
    /// Checkpoints written.
    pub checkpoints: AtomicU64,
    /// Checkpoints that could not be written.
    pub checkpoints_failed: AtomicU64,
    /// Times checkpoints were to be removed for a newer one.
    pub checkpoint_deletions: AtomicU64,
    /// Times that failed.
    pub checkpoint_deletions_failed: AtomicU64,
    /// Times a range of samples left the head.
    pub head_truncations: AtomicU64,
    /// Times that failed.
    pub head_truncations_failed: AtomicU64,
    /// Times the list of blocks was read or changed.
    pub reloads: AtomicU64,
    /// Times a block could not be put into that list.
    pub reloads_failed: AtomicU64,
    /// Blocks cut from the head.
    pub head_compactions: AtomicU64,
    /// Compactions of blocks.
    pub compactions: AtomicU64,
    /// Rounds that looked for something to compact.
    pub compactions_triggered: AtomicU64,
    /// Those of them that left it, as compaction is switched off.
    pub compactions_skipped: AtomicU64,
    /// Compactions of blocks that overlapped.
    pub vertical_compactions: AtomicU64,
    /// Compactions, of head or blocks, that failed.
    pub compactions_failed: AtomicU64,
    /// Blocks removed because of their age.
    pub retention_time_deletions: AtomicU64,
    /// Blocks removed because of the size limit.
    pub retention_size_deletions: AtomicU64,
    /// Blocks that could not be opened, or only without what is deleted of them.
    pub blocks_damaged: AtomicU64,
}

/// The size of the storage now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Series in the head.
    pub head_series: u64,
    /// Chunks in the head.
    pub head_chunks: u64,
    /// Chunks made in the head, replayed ones included. While some leave it may lag behind, but never goes back.
    pub head_chunks_created: u64,
    /// Chunks that left the head.
    pub head_chunks_removed: u64,
    /// Oldest time in the head, milliseconds; none where it is empty.
    pub head_min_time: Option<i64>,
    /// Newest time in the head, milliseconds; none where it is empty.
    pub head_max_time: Option<i64>,
    /// Oldest time anywhere, milliseconds.
    pub lowest_time: Option<i64>,
    /// Blocks.
    pub blocks: u64,
    /// Bytes of the blocks.
    pub block_bytes: u64,
    /// Bytes of memory that the blocks' symbols take.
    pub symbol_bytes: u64,
    /// Series in the head that ended with a staleness mark.
    pub stale_series: u64,
    /// Commits so far.
    pub commits: u64,
    /// Commits that the oldest open querier sees.
    pub oldest_seen: u64,
    /// Bytes of the log, checkpoints included.
    pub wal_bytes: u64,
    /// Bytes of the log of samples that came out of order.
    pub wbl_bytes: u64,
    /// The segment of that log that is being written.
    pub wbl_segment: u32,
    /// The segment of the log that is being written.
    pub wal_segment: u32,
    /// Bytes of the head chunk files.
    pub head_chunk_bytes: u64,
    /// Exemplars held.
    pub exemplars: u64,
    /// Series that have some of them.
    pub series_with_exemplars: u64,
    /// The newest one's time, milliseconds.
    pub newest_exemplar: Option<i64>,
    /// How many are kept.
    pub exemplar_limit: u64,
}

/// A name and a figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// What is counted.
    pub name: String,
    /// How much of it there is.
    pub value: u64,
}

/// The cardinality of the head, as `/api/v1/status/tsdb` tells it. Lists begin with the greatest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeadStats {
    /// Series.
    pub num_series: u64,
    /// Distinct pairs of name and value.
    pub num_label_pairs: u64,
    /// Chunks.
    pub chunk_count: u64,
    /// Oldest time, milliseconds; where the head is empty, the end of the blocks, or `i64::MAX` without any.
    pub min_time: i64,
    /// Newest time, milliseconds; where the head is empty, the end of the blocks, or `i64::MIN` without any.
    pub max_time: i64,
    /// Series of each metric.
    pub series_count_by_metric_name: Vec<Stat>,
    /// Values of each label.
    pub label_value_count_by_label_name: Vec<Stat>,
    /// Bytes that each label would take if every series had its own copy of name and value: how Prometheus holds them.
    pub memory_in_bytes_by_label_name: Vec<Stat>,
    /// Series of each `name=value`.
    pub series_count_by_label_value_pair: Vec<Stat>,
}

/// The greatest of a stream, in a list that never grows beyond twice its limit.
struct Top {
    limit: usize,
    list: Vec<Stat>,
    least: u64,
}

impl Top {
    fn new(limit: usize) -> Self {
        Top { limit, list: Vec::new(), least: 0 }
    }

    fn offer(&mut self, value: u64, name: impl FnOnce() -> String) {
        if self.limit == 0 || (self.list.len() >= self.limit && value <= self.least) {
            return;
        }
        self.list.push(Stat { name: name(), value });
        if self.list.len() >= self.limit.saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        self.list.sort_by(|a, b| b.value.cmp(&a.value).then_with(|| a.name.cmp(&b.name)));
        self.list.truncate(self.limit);
        if self.list.len() == self.limit {
            self.least = self.list.last().map_or(0, |s| s.value);
        }
    }

    fn finish(mut self) -> Vec<Stat> {
        self.cut();
        self.list
    }
}

/// Bytes of a name or value in a series of Prometheus' memory: its length, in one byte or four, before the text.
fn label_size(text: &str) -> u64 {
    (if text.len() < 255 { 1 } else { 4 }) + text.len() as u64
}

impl Db {
    /// The cardinality of the head; lists of at most `limit` entries.
    pub fn stats(&self, limit: usize) -> HeadStats {
        let head = self.head();
        let chunk_count = head.num_chunks();
        let (min_time, max_time) = head.times().unwrap_or_else(|| match head.held_from() {
            i64::MIN => (i64::MAX, i64::MIN),
            from => (from, from),
        });
        let index = head.index.read();
        let (mut metrics, mut values, mut bytes, mut pairs) =
            (Top::new(limit), Top::new(limit), Top::new(limit), Top::new(limit));
        let mut current: Option<(String, u64, u64)> = None;
        let mut end_name = |name: &str, count: u64, size: u64| {
            values.offer(count, || name.to_owned());
            bytes.offer(size, || name.to_owned());
        };
        index.for_each_pair(|name, value, series| {
            let count = series.len() as u64;
            let size = (label_size(name) + label_size(value)) * count;
            if name == model::labels::METRIC_NAME {
                metrics.offer(count, || value.to_owned());
            }
            pairs.offer(count, || format!("{name}={value}"));
            match &mut current {
                Some((n, values, bytes)) if n == name => {
                    *values += 1;
                    *bytes += size;
                }
                _ => {
                    if let Some((n, values, bytes)) = current.take() {
                        end_name(&n, values, bytes);
                    }
                    current = Some((name.to_owned(), 1, size));
                }
            }
        });
        if let Some((name, values, bytes)) = current {
            end_name(&name, values, bytes);
        }
        HeadStats {
            num_series: index.len() as u64,
            num_label_pairs: index.num_pairs() as u64,
            chunk_count,
            min_time,
            max_time,
            series_count_by_metric_name: metrics.finish(),
            label_value_count_by_label_name: values.finish(),
            memory_in_bytes_by_label_name: bytes.finish(),
            series_count_by_label_value_pair: pairs.finish(),
        }
    }

    /// The counters.
    pub fn metrics(&self) -> &Metrics {
        &self.head().metrics
    }

    /// All before this time (milliseconds) has left the head for blocks; `i64::MIN` where nothing has.
    pub fn cut(&self) -> i64 {
        self.head().held_from()
    }

    /// The size of the storage now.
    pub fn sizes(&self) -> Sizes {
        let head = self.head();
        let blocks = self.inner().blocks.load();
        let times = head.times();
        // First: what leaves while the others are counted is missing once, and never there twice.
        let head_chunks_removed = head.metrics.chunks_removed.load(Relaxed);
        let (head_chunks, stale_series) = head.num_chunks_and_stale();
        let made = head_chunks_removed + head_chunks;
        let head_chunks_created = head.metrics.chunks_created.fetch_max(made, Relaxed).max(made);
        let (commits, oldest_seen) = head.watermarks();
        // each lock is given back before the next is taken: a reader that waits behind a writer must not be one already
        let head_series = head.index.read().len() as u64;
        let head_chunk_bytes = head.chunks.lock().size();
        let (segment_bytes, wal_segment, wbl_bytes, wbl_segment) = {
            let log = head.log.lock();
            let late = log.wbl.as_ref().map_or((0, 0), |wbl| (wbl.size(), wbl.last_segment()));
            (log.wal.size(), log.wal.last_segment(), late.0, late.1)
        };
        // With checkpoints, which only the directory tells; where it cannot be read, the segments are better than nothing.
        let wal_bytes = self.inner().log_bytes().unwrap_or(segment_bytes);
        Sizes {
            head_series,
            head_chunks,
            head_chunks_created,
            head_chunks_removed,
            stale_series,
            commits,
            oldest_seen,
            head_min_time: times.map(|t| t.0),
            head_max_time: times.map(|t| t.1),
            lowest_time: blocks.iter().map(|b| b.meta().min_time).chain(times.map(|t| t.0)).min(),
            blocks: blocks.len() as u64,
            block_bytes: blocks.iter().map(|b| b.size()).sum(),
            symbol_bytes: blocks.iter().map(|b| b.symbol_table_size() as u64).sum(),
            wal_bytes,
            wal_segment,
            wbl_bytes,
            wbl_segment,
            head_chunk_bytes,
            ..head.exemplars.sizes()
        }
    }

    /// Samples appended since the start.
    pub fn samples_appended(&self) -> u64 {
        self.metrics().samples_appended.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greatest_stay() {
        let mut top = Top::new(3);
        for i in 0..100u64 {
            top.offer(i * 37 % 101, || format!("n{i}"));
        }
        let mut all: Vec<u64> = (0..100).map(|i| i * 37 % 101).collect();
        all.sort_by(|a, b| b.cmp(a));
        assert_eq!(top.finish().iter().map(|s| s.value).collect::<Vec<_>>(), all[..3]);
    }
}
