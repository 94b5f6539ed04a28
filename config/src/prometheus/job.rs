//! Effective values: what holds for a job once global section and defaults have filled what it leaves open.

use super::*;
use crate::Duration;
use crate::Size;
use indexmap::IndexMap;

/// Formats asked for where none are set, the preferred first.
pub const DEFAULT_SCRAPE_PROTOCOLS: [ScrapeProtocol; 4] = [
    ScrapeProtocol::OpenMetricsText1_0_0,
    ScrapeProtocol::OpenMetricsText0_0_1,
    ScrapeProtocol::PrometheusText1_0_0,
    ScrapeProtocol::PrometheusText0_0_4,
];

/// Time between scrapes and between evaluations where none is set.
pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);
/// Time for one scrape where none is set.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// One scrape job, ready to run.
#[derive(Clone, Debug, PartialEq)]
pub struct ScrapeJob {
    /// Name.
    pub name: String,
    /// Time between scrapes.
    pub interval: Duration,
    /// Time for one scrape; at most the interval.
    pub timeout: Duration,
    /// Formats to ask for, the preferred first.
    pub protocols: Vec<ScrapeProtocol>,
    /// Format of an answer whose content type says none.
    pub fallback_protocol: Option<ScrapeProtocol>,
    /// Whether labels of the target win.
    pub honor_labels: bool,
    /// Whether timestamps of the target count.
    pub honor_timestamps: bool,
    /// Whether series with timestamps of their own become stale too.
    pub track_timestamps_staleness: bool,
    /// Query parameters.
    pub params: IndexMap<String, Vec<String>>,
    /// Path.
    pub metrics_path: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Whether compression is offered.
    pub enable_compression: bool,
    /// Whether native histograms are stored.
    pub native_histograms: bool,
    /// Whether a histogram's classic form is stored too.
    pub always_classic_histograms: bool,
    /// Whether classic histograms become native ones with custom buckets.
    pub convert_classic_histograms: bool,
    /// Whether further samples about the scrape are stored.
    pub extra_scrape_metrics: bool,
    /// Limits.
    pub limits: ScrapeLimits,
    /// Whether names are restricted to ASCII letters, digits and underscores (and colons in metric names).
    pub legacy_names: bool,
    /// How names are escaped that the target's format cannot carry.
    pub escaping: EscapingScheme,
    /// File for failed scrapes.
    pub failure_log_file: Option<String>,
    /// The HTTP client.
    pub http: HttpClientConfig,
    /// Changes labels of targets.
    pub relabel: Vec<model::relabel::Config>,
    /// Changes labels of samples.
    pub metric_relabel: Vec<model::relabel::Config>,
    /// Where targets come from.
    pub sd: ServiceDiscoveryConfigs,
}

/// Limits of a scrape; 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ScrapeLimits {
    /// Bytes of an answer, uncompressed.
    pub body_size: u64,
    /// Samples after relabelling.
    pub samples: u64,
    /// Targets of the job.
    pub targets: u64,
    /// Labels of a series.
    pub labels: u64,
    /// Bytes of a label name.
    pub label_name_length: u64,
    /// Bytes of a label value.
    pub label_value_length: u64,
    /// Buckets of a native histogram.
    pub native_histogram_buckets: u64,
    /// Least growth factor of a native histogram's buckets.
    pub native_histogram_min_bucket_factor: f64,
    /// Dropped targets that are remembered.
    pub keep_dropped_targets: u64,
}

/// A field that cannot be used: path and reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Path of the field.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl Problem {
    pub(super) fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Problem { path: path.into(), message: message.into() }
    }
}

impl GlobalConfig {
    /// Effective time between scrapes.
    pub fn effective_scrape_interval(&self) -> Duration {
        nonzero(self.scrape_interval).unwrap_or(DEFAULT_INTERVAL)
    }

    /// Effective time for one scrape.
    pub fn effective_scrape_timeout(&self) -> Duration {
        nonzero(self.scrape_timeout).unwrap_or(DEFAULT_TIMEOUT.min(self.effective_scrape_interval()))
    }

    /// Effective time between evaluations.
    pub fn effective_evaluation_interval(&self) -> Duration {
        nonzero(self.evaluation_interval).unwrap_or(DEFAULT_INTERVAL)
    }
}

fn nonzero(duration: Option<Duration>) -> Option<Duration> {
    duration.filter(|d| d.as_ms() != 0)
}

impl ScrapeConfig {
    /// Whether the job's names are restricted.
    pub fn legacy_names(&self, global: &GlobalConfig) -> bool {
        self.metric_name_validation_scheme.or(global.metric_name_validation_scheme)
            == Some(ValidationScheme::Legacy)
    }

    /// The effective formats to ask for.
    pub fn effective_protocols(&self, global: &GlobalConfig) -> Vec<ScrapeProtocol> {
        if !self.scrape_protocols.is_empty() {
            return self.scrape_protocols.clone();
        }
        if !global.scrape_protocols.is_empty() {
            return global.scrape_protocols.clone();
        }
        let native = self.scrape_native_histograms.or(global.scrape_native_histograms) == Some(true);
        // only protobuf carries native histograms
        native
            .then_some(ScrapeProtocol::PrometheusProto)
            .into_iter()
            .chain(DEFAULT_SCRAPE_PROTOCOLS)
            .collect()
    }

    /// The effective escaping of names.
    pub fn effective_escaping(&self, global: &GlobalConfig) -> EscapingScheme {
        let default =
            if self.legacy_names(global) { EscapingScheme::Underscores } else { EscapingScheme::AllowUtf8 };
        self.metric_name_escaping_scheme.or(global.metric_name_escaping_scheme).unwrap_or(default)
    }

    /// The effective time between scrapes.
    pub fn effective_interval(&self, global: &GlobalConfig) -> Duration {
        nonzero(self.scrape_interval).unwrap_or(global.effective_scrape_interval())
    }

    /// The effective time for one scrape.
    pub fn effective_timeout(&self, global: &GlobalConfig) -> Duration {
        let inherited = global.effective_scrape_timeout().min(self.effective_interval(global));
        nonzero(self.scrape_timeout).unwrap_or(inherited)
    }

    pub(super) fn limits(&self, global: &GlobalConfig) -> ScrapeLimits {
        let of = |own: Option<u64>, global: Option<u64>| own.filter(|v| *v != 0).or(global).unwrap_or(0);
        let bytes = |size: Option<Size>| size.map(Size::as_bytes);
        ScrapeLimits {
            body_size: of(bytes(self.body_size_limit), bytes(global.body_size_limit)),
            samples: of(self.sample_limit, global.sample_limit),
            targets: of(self.target_limit, global.target_limit),
            labels: of(self.label_limit, global.label_limit),
            label_name_length: of(self.label_name_length_limit, global.label_name_length_limit),
            label_value_length: of(self.label_value_length_limit, global.label_value_length_limit),
            native_histogram_buckets: self.native_histogram_bucket_limit.unwrap_or(0),
            native_histogram_min_bucket_factor: self.native_histogram_min_bucket_factor.unwrap_or(0.0),
            keep_dropped_targets: of(self.keep_dropped_targets, global.keep_dropped_targets),
        }
    }

    /// The job with all that the global section and the defaults fill in.
    ///
    /// # Errors
    /// Where a relabelling rule cannot be used; the path begins at the job.
    pub fn job(&self, global: &GlobalConfig) -> Result<ScrapeJob, Problem> {
        let legacy_names = self.legacy_names(global);
        let flag = |own: Option<bool>, global: Option<bool>| own.or(global).unwrap_or(false);
        Ok(ScrapeJob {
            name: self.job_name.clone(),
            interval: self.effective_interval(global),
            timeout: self.effective_timeout(global),
            protocols: self.effective_protocols(global),
            fallback_protocol: self.fallback_scrape_protocol,
            honor_labels: self.honor_labels.unwrap_or(false),
            honor_timestamps: self.honor_timestamps.unwrap_or(true),
            track_timestamps_staleness: self.track_timestamps_staleness.unwrap_or(false),
            params: self.params.clone(),
            metrics_path: self.metrics_path.clone().unwrap_or_else(|| "/metrics".to_owned()),
            scheme: self.scheme.clone().unwrap_or_else(|| "http".to_owned()),
            enable_compression: self.enable_compression.unwrap_or(true),
            native_histograms: flag(self.scrape_native_histograms, global.scrape_native_histograms),
            always_classic_histograms: flag(
                self.always_scrape_classic_histograms,
                global.always_scrape_classic_histograms,
            ),
            convert_classic_histograms: flag(
                self.convert_classic_histograms_to_nhcb,
                global.convert_classic_histograms_to_nhcb,
            ),
            extra_scrape_metrics: flag(self.extra_scrape_metrics, global.extra_scrape_metrics),
            limits: self.limits(global),
            legacy_names,
            escaping: self.effective_escaping(global),
            failure_log_file: self
                .scrape_failure_log_file
                .clone()
                .or_else(|| global.scrape_failure_log_file.clone()),
            http: self.http.clone(),
            relabel: compile(&self.relabel_configs, "relabel_configs", legacy_names)?,
            metric_relabel: compile(&self.metric_relabel_configs, "metric_relabel_configs", legacy_names)?,
            sd: self.sd.clone(),
        })
    }
}

/// Compiles rules; the path of a refused one begins with `field`.
pub(super) fn compile(
    rules: &[RelabelConfig],
    field: &str,
    legacy_names: bool,
) -> Result<Vec<model::relabel::Config>, Problem> {
    let compiled = rules.iter().enumerate().map(|(i, rule)| {
        rule.compile(legacy_names).map_err(|e| Problem::new(format!("{field}[{i}].{}", e.field), e.message))
    });
    compiled.collect()
}

impl Config {
    /// All scrape jobs, ready to run.
    ///
    /// # Errors
    /// Where a relabelling rule cannot be used. A configuration that [`Config::parse`] gave has none.
    pub fn jobs(&self) -> Result<Vec<ScrapeJob>, Problem> {
        let jobs = self.scrape_configs.iter().enumerate().map(|(i, scrape)| {
            scrape
                .job(&self.global)
                .map_err(|p| Problem::new(format!("scrape_configs[{i}].{}", p.path), p.message))
        });
        jobs.collect()
    }
}
