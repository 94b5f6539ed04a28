//! The figures of the database, one a row: under the original's names where it has them.

use parking_lot::Mutex;
use runtime::clock::SharedClock;
use runtime::metrics::{Histogram, Registry, Summary};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Where a figure comes from.
enum Source {
    /// Counts.
    Counter(fn(&tsdb::Metrics) -> u64),
    /// Counts of samples, told apart by whether they are floats or histograms: of all, of histograms alone.
    Samples(fn(&tsdb::Metrics) -> &AtomicU64, fn(&tsdb::Metrics) -> &AtomicU64),
    Gauge(fn(&tsdb::Metrics) -> f64),
    /// Asked for together, as counting goes over all series.
    Size(fn(&tsdb::Sizes) -> f64),
    /// Those that only grow.
    SizeCounter(fn(&tsdb::Sizes) -> u64),
    Limit(fn(&tsdb::Retention) -> f64),
    Histogram(fn(&tsdb::Spreads) -> &Histogram),
    Summary(fn(&tsdb::Spreads) -> &Summary),
}

use Source::{Counter, Gauge, Limit, Samples, Size};

/// What stands where there is nothing, so that others (Thanos' sidecar) know it as that.
fn oldest(time: Option<i64>) -> f64 {
    time.unwrap_or(i64::MAX) as f64
}

fn newest(time: Option<i64>) -> f64 {
    time.unwrap_or(i64::MIN) as f64
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Name, help, source.
#[rustfmt::skip]
const FIGURES: &[(&str, &str, Source)] = &[
    ("prometheus_tsdb_clean_start", "Whether the process before came to its end: 1, or 0 where it left its lock.", Gauge(|m| f64::from(u8::from(m.clean_start.load(Ordering::Relaxed))))),
    // the head
    ("prometheus_tsdb_head_series", "Total number of series in the head.", Size(|s| s.head_series as f64)),
    ("prometheus_tsdb_head_stale_series", "Series in the head that ended with a staleness mark.", Size(|s| s.stale_series as f64)),
    ("prometheus_tsdb_head_chunks", "Total number of chunks in the head.", Size(|s| s.head_chunks as f64)),
    ("prometheus_tsdb_head_min_time", "Oldest time in the head, in milliseconds.", Size(|s| oldest(s.head_min_time))),
    ("prometheus_tsdb_head_min_time_seconds", "Oldest time in the head, in seconds.", Size(|s| oldest(s.head_min_time) / 1000.0)),
    ("prometheus_tsdb_head_max_time", "Newest time in the head, in milliseconds.", Size(|s| newest(s.head_max_time))),
    ("prometheus_tsdb_head_max_time_seconds", "Newest time in the head, in seconds.", Size(|s| newest(s.head_max_time) / 1000.0)),
    ("prometheus_tsdb_head_chunks_storage_size_bytes", "Bytes of the head chunk files.", Size(|s| s.head_chunk_bytes as f64)),
    ("prometheus_tsdb_head_chunks_created_total", "Chunks made in the head.", Source::SizeCounter(|s| s.head_chunks_created)),
    ("prometheus_tsdb_head_chunks_removed_total", "Chunks that left the head.", Source::SizeCounter(|s| s.head_chunks_removed)),
    ("prometheus_tsdb_head_series_created_total", "Total number of series created in the head.", Counter(|m| get(&m.series_created))),
    ("prometheus_tsdb_head_series_removed_total", "Total number of series removed in the head.", Counter(|m| get(&m.series_removed))),
    ("prometheus_tsdb_head_active_appenders", "Batches that are open.", Gauge(|m| get(&m.active_appenders) as f64)),
    ("prometheus_tsdb_head_truncations_total", "Times a range of samples was to leave the head.", Counter(|m| get(&m.head_truncations) + get(&m.head_truncations_failed))),
    ("prometheus_tsdb_head_truncations_failed_total", "Times samples could not leave the head.", Counter(|m| get(&m.head_truncations_failed))),
    ("prometheus_tsdb_head_gc_duration_seconds", "How long it took samples to leave the head.", Source::Summary(|s| &s.head_gc_seconds)),
    ("prometheus_tsdb_mmap_chunks_total", "Chunks moved from memory to head chunk files.", Counter(|m| get(&m.chunks_mapped))),
    ("prometheus_tsdb_mmap_chunk_corruptions_total", "Damaged chunks met in head chunk files when a block was cut, and what of their directory could not be used.", Counter(|m| get(&m.head_chunk_corruptions))),
    ("prometheus_tsdb_isolation_high_watermark", "Commits so far.", Size(|s| s.commits as f64)),
    ("prometheus_tsdb_isolation_low_watermark", "Commits that the oldest open reader sees.", Size(|s| s.oldest_seen as f64)),
    ("prometheus_tsdb_data_replay_duration_seconds", "How long replaying the log took, once that is done.", Gauge(|m| m.replay_seconds.get())),
    ("prometheus_tsdb_snapshot_replay_error_total", "Snapshots of the memory that could not be used: the whole log was replayed.", Counter(|m| get(&m.snapshots_failed))),
    ("pharos_tsdb_memory_snapshots_read_total", "Snapshots of the memory that were read in the place of the log.", Counter(|m| get(&m.snapshots_used))),
    // samples
    ("prometheus_tsdb_head_samples_appended_total", "Total number of appended samples.", Samples(|m| &m.samples_appended, |m| &m.histograms.appended)),
    ("prometheus_tsdb_head_out_of_order_samples_appended_total", "Samples taken that came out of order.", Samples(|m| &m.out_of_order_appended, |m| &m.histograms.out_of_order_appended)),
    ("prometheus_tsdb_out_of_order_samples_total", "Samples refused as older than the newest of their series.", Samples(|m| &m.out_of_order, |m| &m.histograms.out_of_order)),
    ("prometheus_tsdb_too_old_samples_total", "Samples refused as older than the out-of-order window.", Samples(|m| &m.too_old, |m| &m.histograms.too_old)),
    ("prometheus_tsdb_out_of_bound_samples_total", "Samples refused as older than what the head takes.", Samples(|m| &m.out_of_bounds, |m| &m.histograms.out_of_bounds)),
    ("prometheus_tsdb_sample_ooo_delta", "By how many seconds samples were out of order, taken or not.", Source::Histogram(|s| &s.late_seconds)),
    ("pharos_tsdb_duplicate_samples_total", "Samples refused as another value at the same time.", Counter(|m| get(&m.duplicates))),
    ("prometheus_tsdb_exemplar_exemplars_appended_total", "Exemplars taken.", Counter(|m| get(&m.exemplars_appended))),
    ("prometheus_tsdb_exemplar_out_of_order_exemplars_total", "Exemplars refused as older than the newest of their series.", Counter(|m| get(&m.out_of_order_exemplars))),
    ("prometheus_tsdb_exemplar_exemplars_in_storage", "Number of exemplars held.", Size(|s| s.exemplars as f64)),
    ("prometheus_tsdb_exemplar_series_with_exemplars_in_storage", "Number of series that have some.", Size(|s| s.series_with_exemplars as f64)),
    ("prometheus_tsdb_exemplar_max_exemplars", "Number of exemplars that are kept.", Size(|s| s.exemplar_limit as f64)),
    ("prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds", "Time of the newest exemplar, in seconds.", Size(|s| s.newest_exemplar.unwrap_or(0) as f64 / 1000.0)),
    // the log
    ("prometheus_tsdb_wal_fsync_duration_seconds", "How long syncing the write-ahead log took.", Source::Summary(|s| &s.wal_fsync_seconds)),
    ("prometheus_tsdb_wal_page_flushes_total", "Pages of the log written to, in whole or in part.", Counter(|m| get(&m.wal.page_flushes))),
    ("prometheus_tsdb_wal_completed_pages_total", "Pages of the log that are full.", Counter(|m| get(&m.wal.completed_pages))),
    ("prometheus_tsdb_wal_record_part_writes_total", "Pieces of records written to the log.", Counter(|m| get(&m.wal.parts))),
    ("prometheus_tsdb_wal_record_parts_bytes_written_total", "Bytes of them, with headers.", Counter(|m| get(&m.wal.part_bytes))),
    ("prometheus_tsdb_wal_writes_failed_total", "Batches that could not be written to the log.", Counter(|m| get(&m.wal_writes_failed))),
    ("prometheus_tsdb_wal_truncations_total", "Times segments of the log were to be dropped.", Counter(|m| get(&m.wal_truncations))),
    ("prometheus_tsdb_wal_truncations_failed_total", "Times that failed.", Counter(|m| get(&m.wal_truncations_failed))),
    ("prometheus_tsdb_wal_truncate_duration_seconds", "How long that took.", Source::Summary(|s| &s.wal_truncate_seconds)),
    ("prometheus_tsdb_wal_corruptions_total", "Damaged, unreadable or missing parts of the write-ahead log.", Counter(|m| get(&m.wal_corruptions))),
    ("prometheus_tsdb_wal_segment_current", "The segment of the log that is being written.", Size(|s| f64::from(s.wal_segment))),
    ("prometheus_tsdb_wal_storage_size_bytes", "Bytes of the write-ahead log.", Size(|s| s.wal_bytes as f64)),
    ("pharos_tsdb_wal_fsyncs_total", "Times the write-ahead log was synced.", Counter(|m| get(&m.wal_fsyncs))),
    ("pharos_tsdb_wal_fsync_failures_total", "Times syncing the write-ahead log failed.", Counter(|m| get(&m.wal_fsync_failures))),
    ("prometheus_tsdb_checkpoint_creations_total", "Times a checkpoint was to be written.", Counter(|m| get(&m.checkpoints) + get(&m.checkpoints_failed))),
    ("prometheus_tsdb_checkpoint_creations_failed_total", "Checkpoints that could not be written.", Counter(|m| get(&m.checkpoints_failed))),
    ("prometheus_tsdb_checkpoint_deletions_total", "Times older checkpoints were to be removed.", Counter(|m| get(&m.checkpoint_deletions))),
    ("prometheus_tsdb_checkpoint_deletions_failed_total", "Times that failed.", Counter(|m| get(&m.checkpoint_deletions_failed))),
    // the log of samples that came out of order
    ("prometheus_tsdb_out_of_order_wbl_fsync_duration_seconds", "How long syncing the log of out-of-order samples took.", Source::Summary(|s| &s.wbl_fsync_seconds)),
    ("prometheus_tsdb_out_of_order_wbl_page_flushes_total", "Pages of that log written to, in whole or in part.", Counter(|m| get(&m.wbl.page_flushes))),
    ("prometheus_tsdb_out_of_order_wbl_completed_pages_total", "Pages of that log that are full.", Counter(|m| get(&m.wbl.completed_pages))),
    ("prometheus_tsdb_out_of_order_wbl_record_part_writes_total", "Pieces of records written to that log.", Counter(|m| get(&m.wbl.parts))),
    ("prometheus_tsdb_out_of_order_wbl_record_parts_bytes_written_total", "Bytes of them, with headers.", Counter(|m| get(&m.wbl.part_bytes))),
    ("prometheus_tsdb_out_of_order_wbl_truncations_total", "Times segments of that log were to be dropped.", Counter(|m| get(&m.wbl_truncations))),
    ("prometheus_tsdb_out_of_order_wbl_truncations_failed_total", "Times that failed.", Counter(|m| get(&m.wbl_truncations_failed))),
    ("prometheus_tsdb_out_of_order_wbl_segment_current", "The segment of that log that is being written.", Size(|s| f64::from(s.wbl_segment))),
    ("prometheus_tsdb_out_of_order_wbl_storage_size_bytes", "Bytes of that log.", Size(|s| s.wbl_bytes as f64)),
    // blocks
    ("prometheus_tsdb_blocks_loaded", "Number of blocks.", Size(|s| s.blocks as f64)),
    ("prometheus_tsdb_storage_blocks_bytes", "Bytes of all blocks.", Size(|s| s.block_bytes as f64)),
    ("prometheus_tsdb_symbol_table_size_bytes", "Bytes of memory that the blocks' symbols take.", Size(|s| s.symbol_bytes as f64)),
    ("prometheus_tsdb_lowest_timestamp", "Oldest time stored, in milliseconds.", Size(|s| oldest(s.lowest_time))),
    ("prometheus_tsdb_lowest_timestamp_seconds", "Oldest time stored, in seconds.", Size(|s| oldest(s.lowest_time) / 1000.0)),
    ("prometheus_tsdb_reloads_total", "Times the list of blocks was read or changed.", Counter(|m| get(&m.reloads))),
    ("prometheus_tsdb_reloads_failures_total", "Times a new block could not be opened.", Counter(|m| get(&m.reloads_failed))),
    ("prometheus_tsdb_compactions_triggered_total", "Rounds that looked for blocks to compact.", Counter(|m| get(&m.compactions_triggered))),
    ("prometheus_tsdb_compactions_skipped_total", "Rounds that left them, as compaction is switched off.", Counter(|m| get(&m.compactions_skipped))),
    ("prometheus_tsdb_compactions_total", "Blocks written, from the head or from other blocks.", Counter(|m| m.spreads.compaction_seconds.count())),
    ("prometheus_tsdb_compactions_failed_total", "Rounds of compaction, of head or blocks, that failed.", Counter(|m| get(&m.compactions_failed))),
    ("prometheus_tsdb_vertical_compactions_total", "Compactions of blocks that overlapped.", Counter(|m| get(&m.vertical_compactions))),
    ("pharos_tsdb_head_compactions_total", "Blocks cut from the head.", Counter(|m| get(&m.head_compactions))),
    ("prometheus_tsdb_compaction_populating_block", "Blocks that are being written.", Gauge(|m| get(&m.blocks_in_writing) as f64)),
    ("prometheus_tsdb_compaction_duration_seconds", "How long writing a block took.", Source::Histogram(|s| &s.compaction_seconds)),
    ("prometheus_tsdb_compaction_chunk_size_bytes", "Bytes of the chunks in blocks cut from the head.", Source::Histogram(|s| &s.chunk_bytes)),
    ("prometheus_tsdb_compaction_chunk_samples", "Samples in them.", Source::Histogram(|s| &s.chunk_samples)),
    ("prometheus_tsdb_compaction_chunk_range_seconds", "From their first sample to the last, in milliseconds, as the original has it.", Source::Histogram(|s| &s.chunk_range_ms)),
    ("prometheus_tsdb_tombstone_cleanup_seconds", "How long rewriting blocks without what is deleted took.", Source::Histogram(|s| &s.tombstone_cleanup_seconds)),
    ("prometheus_tsdb_time_retentions_total", "Blocks removed because of their age.", Counter(|m| get(&m.retention_time_deletions))),
    ("prometheus_tsdb_size_retentions_total", "Blocks removed because of the size limit.", Counter(|m| get(&m.retention_size_deletions))),
    ("prometheus_tsdb_retention_limit_seconds", "How long samples are kept; 0: no limit.", Limit(|r| r.time_ms.unwrap_or(0) as f64 / 1000.0)),
    ("prometheus_tsdb_retention_limit_bytes", "How many bytes are kept; 0: no limit.", Limit(|r| r.bytes.unwrap_or(0) as f64)),
    ("prometheus_tsdb_retention_limit_percentage", "How much of the disk is used; 0: no limit.", Limit(|r| r.percentage.unwrap_or(0.0))),
    ("pharos_tsdb_blocks_damaged_total", "Blocks that could not be opened, or only without what is deleted of them.", Counter(|m| get(&m.blocks_damaged))),
];

/// Longer than rendering all metrics takes, shorter than any scrape interval.
const SIZES_STAY: Duration = Duration::from_millis(500);

/// Registers all.
pub(super) fn register(registry: &Registry, db: &Arc<tsdb::Db>, clock: &SharedClock) {
    let (log, compression) = (db.clone(), db.wal_compression().as_str());
    registry.counters_fn(
        "prometheus_tsdb_wal_record_bytes_saved_total",
        "Bytes that compressing records of the log has spared.",
        "compression",
        move || [(compression, get(&log.metrics().wal.saved_bytes) as f64)],
    );
    let last: Arc<Mutex<Option<(Duration, tsdb::Sizes)>>> = Arc::default();
    for (name, help, source) in FIGURES {
        let db = db.clone();
        match *source {
            Counter(count) => registry.counter_fn(name, help, move || count(db.metrics()) as f64),
            Gauge(value) => registry.gauge_fn(name, help, move || value(db.metrics())),
            Limit(limit) => registry.gauge_fn(name, help, move || limit(&db.retention())),
            Source::Histogram(spread) => {
                registry.show_histogram(name, help, spread(&db.metrics().spreads).clone());
            }
            Source::Summary(spread) => {
                registry.show_summary(name, help, spread(&db.metrics().spreads).clone(), clock.clone());
            }
            Samples(all, histograms) => registry.counters_fn(name, help, "type", move || {
                // histograms first: what comes in between may not make the floats fewer than none
                let histograms = get(histograms(db.metrics()));
                let all = get(all(db.metrics()));
                [("float", all.saturating_sub(histograms) as f64), ("histogram", histograms as f64)]
            }),
            Source::SizeCounter(count) => {
                let (last, clock) = (last.clone(), clock.clone());
                let now = move || count(&sizes(&db, &mut last.lock(), &*clock)) as f64;
                registry.counter_fn(name, help, now);
            }
            Size(size) => {
                let (last, clock) = (last.clone(), clock.clone());
                registry.gauge_fn(name, help, move || size(&sizes(&db, &mut last.lock(), &*clock)));
            }
        }
    }
}

/// The sizes, counted once for all gauges of a scrape.
fn sizes(
    db: &tsdb::Db,
    last: &mut Option<(Duration, tsdb::Sizes)>,
    clock: &dyn runtime::clock::Clock,
) -> tsdb::Sizes {
    let now = clock.monotonic();
    match last {
        Some((at, sizes)) if now.saturating_sub(*at) < SIZES_STAY => *sizes,
        _ => last.insert((now, db.sizes())).1,
    }
}
