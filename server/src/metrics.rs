//! The server's own metrics, under the original's names so that its dashboards and alerts work.

mod storage;

use crate::gate::{Gate, Standing};
use runtime::clock::SharedClock;
use runtime::metrics::{Counter, Gauge, Registry};
use runtime::room::Room;
use std::sync::Arc;

/// What tells its figures when it is asked.
pub(crate) struct Parts<'a> {
    pub(crate) db: &'a Arc<tsdb::Db>,
    pub(crate) gate: &'a Arc<Gate>,
    pub(crate) bodies: &'a Room,
    pub(crate) engine: &'a Arc<promql::Engine>,
    pub(crate) most_queries: usize,
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
            .with(&[crate::api::COMPATIBLE_VERSION, crate::api::REVISION])
            .set(1.0);
        storage::register(registry, parts.db, clock);
        // it can be asked once it is
        registry.gauge("prometheus_ready", "Whether the server is ready.").set(1.0);
        registry
            .gauge("prometheus_engine_queries_concurrent_max", "Most queries at once.")
            .set(parts.most_queries as f64);
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

type Memory = fn(&Standing) -> f64;

const MEMORY: &[(&str, &str, Memory)] = &[
    ("pharos_tsdb_head_memory_bytes", "Memory of the head, and of what is remembered of its series.", |s| {
        s.bytes as f64
    }),
    (
        "pharos_tsdb_head_memory_expected_growth_bytes",
        "What the head's series will still grow by: new ones are refused where this and the former are over the budget.",
        |s| s.growth as f64,
    ),
    ("pharos_tsdb_head_memory_budget_bytes", "What both may be; 0: no bound.", |s| s.budget as f64),
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
