//! The operator's own metrics; names as prometheus-operator's where it has them.

use runtime::metrics::{Counter, Family, Gauge, Histogram, Registry};

/// Bounds of the time that one reconciliation takes, in seconds.
const SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// All metrics of the operator.
#[derive(Clone)]
pub(crate) struct Metrics {
    pub(crate) registry: Registry,
    pub(crate) operations: Family<Counter>,
    pub(crate) errors: Family<Counter>,
    pub(crate) duration: Histogram,
    pub(crate) syncs: Family<Gauge>,
    pub(crate) managed: Family<Gauge>,
    pub(crate) changes: Family<Counter>,
    pub(crate) writes: Family<Counter>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::with_process();
        Metrics {
            operations: registry.counters(
                "prometheus_operator_reconcile_operations_total",
                "Total number of reconcile operations.",
                &["controller"],
            ),
            errors: registry.counters(
                "prometheus_operator_reconcile_errors_total",
                "Number of errors that occurred during reconcile operations.",
                &["controller"],
            ),
            duration: registry.histogram(
                "prometheus_operator_reconcile_duration_seconds",
                "Time that reconcile operations took.",
                SECONDS,
            ),
            syncs: registry.gauges(
                "prometheus_operator_syncs",
                "Number of resources by the outcome of their last reconciliation.",
                &["controller", "status"],
            ),
            managed: registry.gauges(
                "prometheus_operator_managed_resources",
                "Number of resources that a Prometheus selects, by whether they can be used.",
                &["namespace", "name", "resource", "state"],
            ),
            changes: registry.counters(
                "pharos_operator_changes_total",
                "Number of changes of objects that were looked at.",
                &["kind"],
            ),
            writes: registry.counters(
                "pharos_operator_writes_total",
                "Number of requests that wrote objects, by kind and result.",
                &["kind", "result"],
            ),
            registry,
        }
    }
}
