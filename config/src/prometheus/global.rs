//! What holds for all jobs and rules, and for the process.

use super::{EscapingScheme, ScrapeProtocol, ValidationScheme};
use crate::{Duration, Size};
use indexmap::IndexMap;

section! {
    /// Values that jobs and rule groups take where they set none.
    pub struct GlobalConfig {
        /// Time between scrapes; 1m where unset.
        scrape_interval: Option<Duration>,
        /// Time for one scrape; 10s where unset, at most the interval.
        scrape_timeout: Option<Duration>,
        /// Formats to ask for, the preferred first.
        scrape_protocols: Vec<ScrapeProtocol>,
        /// Time between evaluations of a rule group; 1m where unset.
        evaluation_interval: Option<Duration>,
        /// How far in the past rules are evaluated.
        rule_query_offset: Option<Duration>,
        /// File for queries.
        query_log_file: Option<String>,
        /// File for failed scrapes.
        scrape_failure_log_file: Option<String>,
        /// Labels for everything that leaves this server.
        external_labels: IndexMap<String, String>,
        /// Largest answer to a scrape.
        body_size_limit: Option<Size>,
        /// Most samples in a scrape.
        sample_limit: Option<u64>,
        /// Most targets of a job.
        target_limit: Option<u64>,
        /// Most labels of a series.
        label_limit: Option<u64>,
        /// Longest label name, bytes.
        label_name_length_limit: Option<u64>,
        /// Longest label value, bytes.
        label_value_length_limit: Option<u64>,
        /// Most dropped targets of a job that are remembered.
        keep_dropped_targets: Option<u64>,
        /// Which names are valid.
        metric_name_validation_scheme: Option<ValidationScheme>,
        /// How names are escaped that a target's format cannot carry.
        metric_name_escaping_scheme: Option<EscapingScheme>,
        /// Whether native histograms are stored.
        scrape_native_histograms: Option<bool>,
        /// Whether classic histograms become native ones with custom buckets.
        convert_classic_histograms_to_nhcb: Option<bool>,
        /// Whether a histogram's classic form is stored too.
        always_scrape_classic_histograms: Option<bool>,
        /// Whether further samples about scrapes are stored.
        extra_scrape_metrics: Option<bool>,
    }
}

section! {
    /// The process.
    pub struct RuntimeConfig {
        /// Go's garbage collection target; of no effect here.
        gogc: Option<i64>,
    }
}
