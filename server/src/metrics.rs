//! The server's own metrics, under the original's names so that its dashboards and alerts work.

use crate::gate::{Gate, Standing};
use parking_lot::Mutex;
use runtime::clock::SharedClock;
use runtime::metrics::{Counter, Gauge, Registry};
use runtime::room::Room;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What tells its figures when it is asked.
pub(crate) struct Parts<'a> {
    pub(crate) db: &'a Arc<tsdb::Db>,
    pub(crate) gate: &'a Arc<Gate>,
    pub(crate) bodies: &'a Room,
    pub(crate) engine: &'a Arc<promql::Engine>,
}

/// Metrics that handlers change.
pub(crate) struct Metrics {
    pub(crate) remote_write_requests: Counter,
    reload_ok: Gauge,
    reload_time: Gauge,
}

impl Metrics {
    /// Registers all, those of the database included.
    pub(crate) fn register(registry: &Registry, parts: &Parts<'_>, clock: &SharedClock) -> Self {
        registry
            .gauges(
                "prometheus_build_info",
                "A metric with a constant '1' value labeled by version and revision of the build.",
                &["version", "revision"],
            )
            .with(&[crate::api::COMPATIBLE_VERSION, option_env!("PHAROS_REVISION").unwrap_or("unknown")])
            .set(1.0);
        database(registry, parts.db, clock);
        memory(registry, parts);
        Metrics {
            remote_write_requests: registry
                .counter("pharos_remote_write_received_requests_total", "Remote write requests received."),
            reload_ok: registry.gauge(
                "prometheus_config_last_reload_successful",
                "Whether the last configuration reload attempt was successful.",
            ),
            reload_time: registry.gauge(
                "prometheus_config_last_reload_success_timestamp_seconds",
                "Timestamp of the last successful configuration reload.",
            ),
        }
    }

    pub(crate) fn config_loaded(&self, ok: bool, at_ms: i64) {
        self.reload_ok.set(f64::from(u8::from(ok)));
        if ok {
            self.reload_time.set(at_ms as f64 / 1000.0);
        }
    }
}

type Count = fn(&tsdb::Metrics) -> &AtomicU64;

/// Counters of samples, told apart by whether they are floats or histograms: of all, of histograms alone.
const SAMPLES: &[(&str, &str, Count, Count)] = &[
    (
        "prometheus_tsdb_head_samples_appended_total",
        "Total number of appended samples.",
        |m| &m.samples_appended,
        |m| &m.histograms.appended,
    ),
    (
        "prometheus_tsdb_head_out_of_order_samples_appended_total",
        "Samples taken that came out of order.",
        |m| &m.out_of_order_appended,
        |m| &m.histograms.out_of_order_appended,
    ),
    (
        "prometheus_tsdb_out_of_order_samples_total",
        "Samples refused as older than the newest of their series.",
        |m| &m.out_of_order,
        |m| &m.histograms.out_of_order,
    ),
    (
        "prometheus_tsdb_too_old_samples_total",
        "Samples refused as older than the out-of-order window.",
        |m| &m.too_old,
        |m| &m.histograms.too_old,
    ),
    (
        "prometheus_tsdb_out_of_bound_samples_total",
        "Samples refused as older than what the head takes.",
        |m| &m.out_of_bounds,
        |m| &m.histograms.out_of_bounds,
    ),
];

const COUNTERS: &[(&str, &str, Count)] = &[
    ("prometheus_tsdb_head_series_created_total", "Total number of series created in the head.", |m| {
        &m.series_created
    }),
    ("prometheus_tsdb_head_series_removed_total", "Total number of series removed in the head.", |m| {
        &m.series_removed
    }),
    ("prometheus_tsdb_exemplar_exemplars_appended_total", "Exemplars taken.", |m| &m.exemplars_appended),
    (
        "prometheus_tsdb_exemplar_out_of_order_exemplars_total",
        "Exemplars refused as older than the newest of their series.",
        |m| &m.out_of_order_exemplars,
    ),
    ("pharos_tsdb_duplicate_samples_total", "Samples refused as another value at the same time.", |m| {
        &m.duplicates
    }),
    (
        "prometheus_tsdb_wal_corruptions_total",
        "Damaged, unreadable or missing parts of the write-ahead log.",
        |m| &m.wal_corruptions,
    ),
    (
        "prometheus_tsdb_mmap_chunk_corruptions_total",
        "Damaged chunks met in head chunk files when a block was cut, and what of their directory could not be used.",
        |m| &m.head_chunk_corruptions,
    ),
    (
        "prometheus_tsdb_snapshot_replay_error_total",
        "Snapshots of the memory that could not be used: the whole log was replayed.",
        |m| &m.snapshots_failed,
    ),
    (
        "pharos_tsdb_memory_snapshots_read_total",
        "Snapshots of the memory that were read in the place of the log.",
        |m| &m.snapshots_used,
    ),
    ("pharos_tsdb_wal_fsyncs_total", "Times the write-ahead log was synced.", |m| &m.wal_fsyncs),
    ("pharos_tsdb_wal_fsync_failures_total", "Times syncing the write-ahead log failed.", |m| {
        &m.wal_fsync_failures
    }),
    ("prometheus_tsdb_wal_writes_failed_total", "Batches that could not be written to the log.", |m| {
        &m.wal_writes_failed
    }),
    ("prometheus_tsdb_wal_truncations_total", "Times segments of the log were to be dropped.", |m| {
        &m.wal_truncations
    }),
    ("prometheus_tsdb_wal_truncations_failed_total", "Times that failed.", |m| &m.wal_truncations_failed),
    ("prometheus_tsdb_checkpoint_creations_failed_total", "Checkpoints that could not be written.", |m| {
        &m.checkpoints_failed
    }),
    ("prometheus_tsdb_head_truncations_failed_total", "Times samples could not leave the head.", |m| {
        &m.head_truncations_failed
    }),
    ("prometheus_tsdb_reloads_total", "Times the list of blocks was read or changed.", |m| &m.reloads),
    ("prometheus_tsdb_reloads_failures_total", "Times a new block could not be opened.", |m| {
        &m.reloads_failed
    }),
    ("prometheus_tsdb_compactions_triggered_total", "Rounds that looked for blocks to compact.", |m| {
        &m.compactions_triggered
    }),
    (
        "prometheus_tsdb_compactions_skipped_total",
        "Rounds that left them, as compaction is switched off.",
        |m| &m.compactions_skipped,
    ),
    ("prometheus_tsdb_vertical_compactions_total", "Compactions of blocks that overlapped.", |m| {
        &m.vertical_compactions
    }),
    ("prometheus_tsdb_checkpoint_creations_total", "Checkpoints written.", |m| &m.checkpoints),
    ("prometheus_tsdb_head_truncations_total", "Times a range of samples left the head.", |m| {
        &m.head_truncations
    }),
    ("pharos_tsdb_head_compactions_total", "Blocks cut from the head.", |m| &m.head_compactions),
    ("prometheus_tsdb_compactions_total", "Compactions of blocks.", |m| &m.compactions),
    ("prometheus_tsdb_compactions_failed_total", "Compactions, of head or blocks, that failed.", |m| {
        &m.compactions_failed
    }),
    ("prometheus_tsdb_time_retentions_total", "Blocks removed because of their age.", |m| {
        &m.retention_time_deletions
    }),
    ("prometheus_tsdb_size_retentions_total", "Blocks removed because of the size limit.", |m| {
        &m.retention_size_deletions
    }),
    (
        "pharos_tsdb_blocks_damaged_total",
        "Blocks that could not be opened, or only without what is deleted of them.",
        |m| &m.blocks_damaged,
    ),
];

type Size = fn(&tsdb::Sizes) -> f64;

const GAUGES: &[(&str, &str, Size)] = &[
    ("prometheus_tsdb_head_series", "Total number of series in the head.", |s| s.head_series as f64),
    ("prometheus_tsdb_head_chunks", "Total number of chunks in the head.", |s| s.head_chunks as f64),
    ("prometheus_tsdb_head_min_time", "Oldest time in the head, in milliseconds.", |s| {
        oldest(s.head_min_time)
    }),
    ("prometheus_tsdb_head_min_time_seconds", "Oldest time in the head, in seconds.", |s| {
        oldest(s.head_min_time) / 1000.0
    }),
    ("prometheus_tsdb_head_max_time", "Newest time in the head, in milliseconds.", |s| {
        newest(s.head_max_time)
    }),
    ("prometheus_tsdb_head_max_time_seconds", "Newest time in the head, in seconds.", |s| {
        newest(s.head_max_time) / 1000.0
    }),
    ("prometheus_tsdb_lowest_timestamp", "Oldest time stored, in milliseconds.", |s| oldest(s.lowest_time)),
    ("prometheus_tsdb_lowest_timestamp_seconds", "Oldest time stored, in seconds.", |s| {
        oldest(s.lowest_time) / 1000.0
    }),
    ("prometheus_tsdb_exemplar_exemplars_in_storage", "Number of exemplars held.", |s| s.exemplars as f64),
    ("prometheus_tsdb_exemplar_series_with_exemplars_in_storage", "Number of series that have some.", |s| {
        s.series_with_exemplars as f64
    }),
    ("prometheus_tsdb_exemplar_max_exemplars", "Number of exemplars that are kept.", |s| {
        s.exemplar_limit as f64
    }),
    (
        "prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds",
        "Time of the newest exemplar, in seconds.",
        |s| s.newest_exemplar.unwrap_or(0) as f64 / 1000.0,
    ),
    ("prometheus_tsdb_blocks_loaded", "Number of blocks.", |s| s.blocks as f64),
    ("prometheus_tsdb_storage_blocks_bytes", "Bytes of all blocks.", |s| s.block_bytes as f64),
    ("prometheus_tsdb_wal_storage_size_bytes", "Bytes of the write-ahead log.", |s| s.wal_bytes as f64),
    ("prometheus_tsdb_wal_segment_current", "The segment of the log that is being written.", |s| {
        f64::from(s.wal_segment)
    }),
    ("prometheus_tsdb_head_chunks_storage_size_bytes", "Bytes of the head chunk files.", |s| {
        s.head_chunk_bytes as f64
    }),
];

/// What stands where there is nothing, so that others (Thanos' sidecar) know it as that.
fn oldest(time: Option<i64>) -> f64 {
    time.unwrap_or(i64::MAX) as f64
}

fn newest(time: Option<i64>) -> f64 {
    time.unwrap_or(i64::MIN) as f64
}

type Memory = fn(&Standing) -> f64;

const MEMORY: &[(&str, &str, Memory)] = &[
    ("pharos_tsdb_head_memory_bytes", "Memory of the head, and of what is remembered of its series.", |s| {
        s.bytes as f64
    }),
    ("pharos_tsdb_head_memory_budget_bytes", "What that may be; 0: no bound.", |s| s.budget as f64),
    (
        "pharos_tsdb_head_memory_exceeded",
        "Whether new series are refused, as the head is over its budget.",
        |s| f64::from(u8::from(s.full)),
    ),
];

/// What the budgets of the head, of bodies and of queries say of themselves.
fn memory(registry: &Registry, Parts { gate, bodies, engine, .. }: &Parts<'_>) {
    for (name, help, figure) in MEMORY {
        let gate = Arc::clone(gate);
        registry.gauge_fn(name, help, move || figure(&gate.standing()));
    }
    let gate = Arc::clone(gate);
    let help = "Times a new series was refused, of scrapes and remote writes; again with each attempt.";
    registry
        .counter_fn("pharos_tsdb_head_series_refused_total", help, move || gate.standing().refused as f64);
    let (taken, total) = (Room::clone(bodies), bodies.total().unwrap_or(0));
    let help = "Memory of bodies of scrapes and remote writes that are under way, where it is bounded.";
    registry.gauge_fn("pharos_bodies_memory_bytes", help, move || taken.taken() as f64);
    let help = "What that may be; 0: no bound.";
    registry.gauge_fn("pharos_bodies_memory_budget_bytes", help, move || total as f64);
    let (held, total) = (Arc::clone(engine), engine.options().memory_budget);
    let help = "Memory of running queries, and of their answers until they are read.";
    registry.gauge_fn("pharos_queries_memory_bytes", help, move || held.held_bytes() as f64);
    let help = "What that may be; 0: no bound.";
    registry.gauge_fn("pharos_queries_memory_budget_bytes", help, move || total as f64);
}

type Limit = fn(&tsdb::Retention) -> f64;

const LIMITS: &[(&str, &str, Limit)] = &[
    ("prometheus_tsdb_retention_limit_seconds", "How long samples are kept; 0: no limit.", |r| {
        r.time_ms.unwrap_or(0) as f64 / 1000.0
    }),
    ("prometheus_tsdb_retention_limit_bytes", "How many bytes are kept; 0: no limit.", |r| {
        r.bytes.unwrap_or(0) as f64
    }),
    ("prometheus_tsdb_retention_limit_percentage", "How much of the disk is used; 0: no limit.", |r| {
        r.percentage.unwrap_or(0.0)
    }),
];

/// Longer than rendering all metrics takes, shorter than any scrape interval.
const SIZES_STAY: Duration = Duration::from_millis(500);

fn database(registry: &Registry, db: &Arc<tsdb::Db>, clock: &SharedClock) {
    for (name, help, all, histograms) in SAMPLES {
        let db = db.clone();
        registry.counters_fn(name, help, "type", move || {
            // histograms first: what comes in between may not make the floats fewer than none
            let histograms = histograms(db.metrics()).load(Ordering::Relaxed);
            let all = all(db.metrics()).load(Ordering::Relaxed);
            [("float", all.saturating_sub(histograms) as f64), ("histogram", histograms as f64)]
        });
    }
    for (name, help, limit) in LIMITS {
        let db = db.clone();
        registry.gauge_fn(name, help, move || limit(&db.retention()));
    }
    for (name, help, count) in COUNTERS {
        let db = db.clone();
        registry.counter_fn(name, help, move || count(db.metrics()).load(Ordering::Relaxed) as f64);
    }
    // counting goes over all series: once for all gauges of a scrape
    let last: Arc<Mutex<Option<(Duration, tsdb::Sizes)>>> = Arc::default();
    for (name, help, size) in GAUGES {
        let (db, last, clock) = (db.clone(), last.clone(), clock.clone());
        registry.gauge_fn(name, help, move || {
            let now = clock.monotonic();
            let mut last = last.lock();
            match &*last {
                Some((at, sizes)) if now.saturating_sub(*at) < SIZES_STAY => size(sizes),
                _ => {
                    let sizes = db.sizes();
                    *last = Some((now, sizes));
                    size(&sizes)
                }
            }
        });
    }
}
