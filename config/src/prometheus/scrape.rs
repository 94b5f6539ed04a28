//! One scrape job: who is scraped, how, and what becomes of the samples.

use super::{HttpClientConfig, RelabelConfig, ServiceDiscoveryConfigs};
use crate::{Duration, Size};
use indexmap::IndexMap;

section! {
    /// One scrape job. Unset fields take the global section's values, then the defaults.
    pub struct ScrapeConfig {
        /// Name of the job; unique.
        job_name: String,
        /// Whether labels of the target win over labels of the discovery.
        honor_labels: Option<bool>,
        /// Whether timestamps of the target count; true where unset.
        honor_timestamps: Option<bool>,
        /// Whether series with timestamps of their own become stale too.
        track_timestamps_staleness: Option<bool>,
        /// Query parameters.
        params: IndexMap<String, Vec<String>>,
        /// Time between scrapes.
        scrape_interval: Option<Duration>,
        /// Time for one scrape.
        scrape_timeout: Option<Duration>,
        /// Formats to ask for, the preferred first.
        scrape_protocols: Vec<ScrapeProtocol>,
        /// Format of an answer whose content type says none.
        fallback_scrape_protocol: Option<ScrapeProtocol>,
        /// Whether native histograms are stored.
        scrape_native_histograms: Option<bool>,
        /// Whether a histogram's classic form is stored too.
        always_scrape_classic_histograms: Option<bool>,
        /// Whether classic histograms become native ones with custom buckets.
        convert_classic_histograms_to_nhcb: Option<bool>,
        /// File for failed scrapes.
        scrape_failure_log_file: Option<String>,
        /// Path; `/metrics` where unset.
        metrics_path: Option<String>,
        /// `http` or `https`.
        scheme: Option<String>,
        /// Whether compression is offered; true where unset.
        enable_compression: Option<bool>,
        /// Largest answer.
        body_size_limit: Option<Size>,
        /// Most samples in a scrape.
        sample_limit: Option<u64>,
        /// Most targets.
        target_limit: Option<u64>,
        /// Most labels of a series.
        label_limit: Option<u64>,
        /// Longest label name, bytes.
        label_name_length_limit: Option<u64>,
        /// Longest label value, bytes.
        label_value_length_limit: Option<u64>,
        /// Most buckets of a native histogram.
        native_histogram_bucket_limit: Option<u64>,
        /// Least growth factor of a native histogram's buckets.
        native_histogram_min_bucket_factor: Option<f64>,
        /// Most dropped targets that are remembered; 0 is no limit.
        keep_dropped_targets: Option<u64>,
        /// Which names are valid.
        metric_name_validation_scheme: Option<ValidationScheme>,
        /// How names are escaped that the target's format cannot carry.
        metric_name_escaping_scheme: Option<EscapingScheme>,
        /// Whether further samples about the scrape are stored.
        extra_scrape_metrics: Option<bool>,
        /// The HTTP client.
        #[serde(rename = "<inline>http")]
        http: HttpClientConfig,
        /// Changes labels of targets.
        relabel_configs: Vec<RelabelConfig>,
        /// Changes labels of samples.
        metric_relabel_configs: Vec<RelabelConfig>,
        /// Where targets come from.
        #[serde(rename = "<inline>sd")]
        sd: ServiceDiscoveryConfigs,
    }
}

words! {
    /// An exposition format.
    pub enum ScrapeProtocol {
        PrometheusProto = "PrometheusProto",
        PrometheusText0_0_4 = "PrometheusText0.0.4",
        PrometheusText1_0_0 = "PrometheusText1.0.0",
        OpenMetricsText0_0_1 = "OpenMetricsText0.0.1",
        OpenMetricsText1_0_0 = "OpenMetricsText1.0.0",
    }
}

words! {
    /// Which metric and label names are valid.
    pub enum ValidationScheme {
        Legacy = "legacy",
        Utf8 = "utf8",
    }
}

words! {
    /// How names are escaped.
    pub enum EscapingScheme {
        AllowUtf8 = "allow-utf-8",
        Underscores = "underscores",
        Dots = "dots",
        Values = "values",
    }
}
