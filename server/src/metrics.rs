//! The server's own metrics, under the original's names so that its dashboards and alerts work.

use runtime::metrics::{Counter, Gauge, Registry};
use std::sync::Arc;

/// Metrics that handlers change.
pub(crate) struct Metrics {
    pub(crate) remote_write_requests: Counter,
    reload_ok: Gauge,
    reload_time: Gauge,
}

impl Metrics {
    /// Registers all, those of the database included.
    pub(crate) fn register(registry: &Registry, db: &Arc<tsdb::Db>) -> Self {
        registry
            .gauges(
                "prometheus_build_info",
                "A metric with a constant '1' value labeled by version and revision of the build.",
                &["version", "revision"],
            )
            .with(&[crate::api::COMPATIBLE_VERSION, option_env!("PHAROS_REVISION").unwrap_or("unknown")])
            .set(1.0);
        database(registry, db);
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

type Read = fn(&tsdb::Metrics) -> f64;

const COUNTERS: &[(&str, &str, Read)] = &[];

const GAUGES: &[(&str, &str, Read)] = &[];

fn database(registry: &Registry, db: &Arc<tsdb::Db>) {
    for (name, help, read) in COUNTERS {
        let db = db.clone();
        registry.counter_fn(name, help, move || read(&db.metrics()));
    }
    for (name, help, read) in GAUGES {
        let db = db.clone();
        registry.gauge_fn(name, help, move || read(&db.metrics()));
    }
}
