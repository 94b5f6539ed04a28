//! The scraper's own metrics, named as the original's.

use runtime::metrics::{Counter, Family, Gauge, Histogram, Registry};

/// The metrics.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) pool_targets: Family<Gauge>,
    pub(crate) pool_target_limit: Family<Gauge>,
    pub(crate) pool_syncs: Family<Counter>,
    pub(crate) pool_exceeded_target_limit: Counter,
    pub(crate) pools: Counter,
    pub(crate) pool_reloads: Counter,
    pub(crate) interval_length: Family<Histogram>,
    pub(crate) exceeded_body_size: Counter,
    pub(crate) exceeded_samples: Counter,
    pub(crate) out_of_order: Counter,
    pub(crate) duplicate: Counter,
    pub(crate) out_of_bounds: Counter,
    pub(crate) too_old: Counter,
    pub(crate) refused_series: Counter,
}

impl Metrics {
    /// Registers them.
    pub(crate) fn new(r: &Registry) -> Self {
        Metrics {
            pool_targets: r.gauges(
                "prometheus_target_scrape_pool_targets",
                "Current number of targets in this scrape pool.",
                &["scrape_job"],
            ),
            pool_target_limit: r.gauges(
                "prometheus_target_scrape_pool_target_limit",
                "Maximum number of targets allowed in this scrape pool.",
                &["scrape_job"],
            ),
            pool_syncs: r.counters(
                "prometheus_target_scrape_pool_sync_total",
                "Total number of syncs that were executed on a scrape pool.",
                &["scrape_job"],
            ),
            pool_exceeded_target_limit: r.counter(
                "prometheus_target_scrape_pool_exceeded_target_limit_total",
                "Total number of times scrape pools hit the target limit, during sync or config reload.",
            ),
            pools: r.counter(
                "prometheus_target_scrape_pools_total",
                "Total number of scrape pool creation attempts.",
            ),
            pool_reloads: r.counter(
                "prometheus_target_scrape_pool_reloads_total",
                "Total number of scrape pool reloads.",
            ),
            // sum and count are what is looked at: no buckets
            interval_length: r.histograms(
                "prometheus_target_interval_length_seconds",
                "Actual intervals between scrapes.",
                &["interval"],
                &[],
            ),
            exceeded_body_size: r.counter(
                "prometheus_target_scrapes_exceeded_body_size_limit_total",
                "Total number of scrapes that hit the body size limit",
            ),
            exceeded_samples: r.counter(
                "prometheus_target_scrapes_exceeded_sample_limit_total",
                "Total number of scrapes that hit the sample limit and were rejected.",
            ),
            out_of_order: r.counter(
                "prometheus_target_scrapes_sample_out_of_order_total",
                "Total number of samples rejected due to not being out of the expected order.",
            ),
            duplicate: r.counter(
                "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                "Total number of samples rejected due to duplicate timestamps but different values.",
            ),
            out_of_bounds: r.counter(
                "prometheus_target_scrapes_sample_out_of_bounds_total",
                "Total number of samples rejected due to timestamp falling outside of the time bounds.",
            ),
            too_old: r.counter(
                "prometheus_target_scrapes_sample_too_old_total",
                "Total number of samples rejected for being older than the out-of-order window.",
            ),
            refused_series: r.counter(
                "pharos_target_scrapes_series_refused_total",
                "Series of scrapes that were new and refused, as the head is over its memory budget; again with each scrape.",
            ),
        }
    }
}
