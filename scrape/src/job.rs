//! A scrape job with all defaults filled in: what `config` says, ready for use.

use config::prometheus::{
    EscapingScheme, GlobalConfig, HttpClientConfig, RelabelConfig, ScrapeConfig, ScrapeProtocol, TlsConfig,
    TlsVersion as ConfigTlsVersion, ValidationScheme,
};
use model::relabel;
use runtime::http_client::{Auth, HttpClient, Options, Text, TlsOptions, TlsVersion};

/// Prometheus' defaults.
const DEFAULT_INTERVAL_MS: i64 = 60_000;
const DEFAULT_TIMEOUT_MS: i64 = 10_000;
/// Asked for where nothing is configured, the preferred first.
const DEFAULT_PROTOCOLS: [ScrapeProtocol; 4] = [
    ScrapeProtocol::OpenMetricsText1_0_0,
    ScrapeProtocol::OpenMetricsText0_0_1,
    ScrapeProtocol::PrometheusText1_0_0,
    ScrapeProtocol::PrometheusText0_0_4,
];

/// Why a job cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("scrape job {job:?}: {reason}")]
pub struct Error {
    /// Its name.
    pub job: String,
    /// The field, and what is wrong with it.
    pub reason: String,
}

/// Bounds of a scrape; 0 is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of an answer, decompressed.
    pub body_size: u64,
    /// Samples after relabelling.
    pub samples: u64,
    /// Targets of the job.
    pub targets: u64,
    /// Labels of a series.
    pub labels: u64,
    /// Bytes of a label's name.
    pub label_name_length: u64,
    /// Bytes of a label's value.
    pub label_value_length: u64,
}

/// A scrape job.
#[derive(Debug)]
pub struct Job {
    /// Its name, and the default of the label `job`.
    pub name: String,
    /// Time between scrapes, milliseconds.
    pub interval_ms: i64,
    /// Time for one scrape, milliseconds.
    pub timeout_ms: i64,
    /// `http` or `https`.
    pub scheme: String,
    /// Path.
    pub metrics_path: String,
    /// Query parameters, sorted by name.
    pub params: Vec<(String, Vec<String>)>,
    /// Whether labels of the target win.
    pub honor_labels: bool,
    /// Whether timestamps of the target count.
    pub honor_timestamps: bool,
    /// Whether series with timestamps of their own are marked stale too.
    pub track_timestamps_staleness: bool,
    /// Whether gzip is offered.
    pub enable_compression: bool,
    /// Whether further samples about the scrape are stored.
    pub extra_scrape_metrics: bool,
    /// Formats to ask for, the preferred first.
    pub protocols: Vec<ScrapeProtocol>,
    /// Format of answers that do not name one.
    pub fallback: Option<ScrapeProtocol>,
    /// Whether only `[a-zA-Z_:][a-zA-Z0-9_:]*` is a name.
    pub legacy_names: bool,
    /// How names are escaped that a format cannot carry.
    pub escaping: EscapingScheme,
    /// Bounds.
    pub limits: Limits,
    /// Most dropped targets that are remembered; 0 is no limit.
    pub keep_dropped_targets: u64,
    /// Changes labels of targets.
    pub relabel: Vec<relabel::Config>,
    /// Changes labels of samples.
    pub metric_relabel: Vec<relabel::Config>,
    /// Fetches.
    pub client: HttpClient,
    /// The configuration with the global values filled in.
    effective: ScrapeConfig,
}

impl Job {
    /// A job from its section and the global one.
    ///
    /// # Errors
    /// Names the field that cannot be used.
    pub fn new(config: &ScrapeConfig, global: &GlobalConfig) -> Result<Self, Error> {
        let error = |reason: String| Error { job: config.job_name.clone(), reason };
        let c = effective(config, global);
        let interval_ms = c.scrape_interval.map_or(DEFAULT_INTERVAL_MS, config::Duration::as_ms);
        let timeout_ms = match (config.scrape_timeout, c.scrape_timeout) {
            (Some(own), _) => own.as_ms(),
            // a global timeout is cut to the job's interval
            (None, inherited) => {
                inherited.map_or(DEFAULT_TIMEOUT_MS, config::Duration::as_ms).min(interval_ms)
            }
        };
        if interval_ms <= 0 {
            return Err(error("scrape_interval must not be 0".to_owned()));
        }
        if timeout_ms > interval_ms {
            return Err(error("scrape_timeout is greater than scrape_interval".to_owned()));
        }
        let legacy_names = c.metric_name_validation_scheme == Some(ValidationScheme::Legacy);
        let rules = |field: &str, rules: &[RelabelConfig]| -> Result<Vec<relabel::Config>, Error> {
            let compile = |(i, rule): (usize, &RelabelConfig)| {
                rule.compile(legacy_names).map_err(|e| error(format!("{field}[{i}]: {e}")))
            };
            rules.iter().enumerate().map(compile).collect()
        };
        let mut params: Vec<_> = c.params.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        params.sort();
        let options = client_options(&c.http).map_err(error)?;
        let protocols = c.scrape_protocols.clone();
        Ok(Job {
            name: c.job_name.clone(),
            interval_ms,
            timeout_ms,
            scheme: c.scheme.clone().unwrap_or_else(|| "http".to_owned()),
            metrics_path: c.metrics_path.clone().unwrap_or_else(|| "/metrics".to_owned()),
            params,
            honor_labels: c.honor_labels.unwrap_or(false),
            honor_timestamps: c.honor_timestamps.unwrap_or(true),
            track_timestamps_staleness: c.track_timestamps_staleness.unwrap_or(false),
            enable_compression: c.enable_compression.unwrap_or(true),
            extra_scrape_metrics: c.extra_scrape_metrics.unwrap_or(false),
            protocols: if protocols.is_empty() { DEFAULT_PROTOCOLS.to_vec() } else { protocols },
            fallback: c.fallback_scrape_protocol,
            legacy_names,
            escaping: c.metric_name_escaping_scheme.unwrap_or(if legacy_names {
                EscapingScheme::Underscores
            } else {
                EscapingScheme::AllowUtf8
            }),
            limits: limits(&c),
            keep_dropped_targets: c.keep_dropped_targets.unwrap_or(0),
            relabel: rules("relabel_configs", &c.relabel_configs)?,
            metric_relabel: rules("metric_relabel_configs", &c.metric_relabel_configs)?,
            client: HttpClient::new(options).map_err(|e| error(e.to_string()))?,
            effective: c,
        })
    }

    /// All jobs of a configuration.
    ///
    /// # Errors
    /// The first job that cannot be used.
    pub fn all(configs: &[ScrapeConfig], global: &GlobalConfig) -> Result<Vec<Job>, Error> {
        configs.iter().map(|c| Job::new(c, global)).collect()
    }

    /// Fields that are set but do nothing here: native histograms come by the protobuf format, which is not read.
    pub(crate) fn without_effect(&self) -> Vec<&'static str> {
        let c = &self.effective;
        [
            ("scrape_native_histograms", c.scrape_native_histograms == Some(true)),
            ("convert_classic_histograms_to_nhcb", c.convert_classic_histograms_to_nhcb == Some(true)),
            ("scrape_failure_log_file", c.scrape_failure_log_file.is_some()),
            (
                "scrape_protocols: PrometheusProto",
                c.scrape_protocols.contains(&ScrapeProtocol::PrometheusProto),
            ),
        ]
        .into_iter()
        .filter_map(|(field, set)| set.then_some(field))
        .collect()
    }

    /// Whether loops of this job may go on under the other: all is equal but who the targets are.
    pub(crate) fn scrapes_as(&self, other: &Job) -> bool {
        let scraping = |job: &Job| ScrapeConfig {
            sd: Default::default(),
            relabel_configs: Vec::new(),
            target_limit: None,
            keep_dropped_targets: None,
            ..job.effective.clone()
        };
        scraping(self) == scraping(other)
    }

    /// Whether a line gives the same series in both, so that what is known of series stays true.
    pub(crate) fn labels_as(&self, other: &Job) -> bool {
        let labels = |job: &Job| {
            let limits = Limits { body_size: 0, samples: 0, targets: 0, ..job.limits };
            (job.honor_labels, job.legacy_names, limits, job.effective.metric_relabel_configs.clone())
        };
        labels(self) == labels(other)
    }
}

/// The section with the global values where it sets none.
fn effective(config: &ScrapeConfig, global: &GlobalConfig) -> ScrapeConfig {
    let mut c = config.clone();
    macro_rules! inherit {
        ($($field:ident),*) => { $(c.$field = c.$field.or(global.$field);)* };
    }
    inherit!(
        scrape_interval,
        scrape_timeout,
        body_size_limit,
        sample_limit,
        target_limit,
        label_limit,
        label_name_length_limit,
        label_value_length_limit,
        keep_dropped_targets,
        metric_name_validation_scheme,
        metric_name_escaping_scheme,
        scrape_native_histograms,
        convert_classic_histograms_to_nhcb,
        extra_scrape_metrics
    );
    if c.scrape_failure_log_file.is_none() {
        c.scrape_failure_log_file.clone_from(&global.scrape_failure_log_file);
    }
    if c.scrape_protocols.is_empty() {
        c.scrape_protocols.clone_from(&global.scrape_protocols);
    }
    c
}

fn limits(c: &ScrapeConfig) -> Limits {
    Limits {
        body_size: c.body_size_limit.map_or(0, config::Size::as_bytes),
        samples: c.sample_limit.unwrap_or(0),
        targets: c.target_limit.unwrap_or(0),
        labels: c.label_limit.unwrap_or(0),
        label_name_length: c.label_name_length_limit.unwrap_or(0),
        label_value_length: c.label_value_length_limit.unwrap_or(0),
    }
}

/// The client's options from the section's fields.
///
/// # Errors
/// Names the field that the client cannot serve.
pub fn client_options(http: &HttpClientConfig) -> Result<Options, String> {
    if http.oauth2.is_some() {
        return Err("oauth2 is not supported".to_owned());
    }
    if http.proxy.proxy_from_environment == Some(true) {
        return Err("proxy_from_environment is not supported: set proxy_url".to_owned());
    }
    let headers = http.http_headers.iter().map(|(name, header)| {
        let values = header.values.iter().map(|v| v.as_str().into());
        let secrets = header.secrets.iter().map(|s| s.reveal().into());
        let files = header.files.iter().map(|f| Text::File(f.into()));
        (name.clone(), values.chain(secrets).chain(files).collect())
    });
    let connect_headers = http.proxy.proxy_connect_header.iter();
    let connect_headers =
        connect_headers.flat_map(|(name, values)| values.iter().map(|v| (name.clone(), v.reveal().into())));
    let no_proxy = http.proxy.no_proxy.as_deref().unwrap_or_default();
    Ok(Options {
        tls: http.tls_config.as_ref().map_or_else(|| Ok(TlsOptions::default()), tls_options)?,
        auth: auth(http)?,
        headers: headers.collect(),
        follow_redirects: http.follow_redirects.unwrap_or(true),
        proxy_url: http.proxy.proxy_url.clone().filter(|url| !url.is_empty()),
        no_proxy: no_proxy.split(',').map(str::to_owned).collect(),
        proxy_connect_headers: connect_headers.collect(),
        connect_timeout: None,
    })
}

fn auth(http: &HttpClientConfig) -> Result<Option<Auth>, String> {
    let text = |inline: Option<&str>, file: Option<&String>| match (inline, file) {
        (_, Some(file)) => Some(Text::File(file.into())),
        (inline, None) => inline.map(Text::from),
    };
    if let Some(basic) = &http.basic_auth {
        if basic.username_ref.is_some() || basic.password_ref.is_some() {
            return Err("basic_auth: references to secrets are not supported".to_owned());
        }
        let password = text(basic.password.as_ref().map(|s| s.reveal()), basic.password_file.as_ref());
        return Ok(Some(Auth::Basic {
            username: text(basic.username.as_deref(), basic.username_file.as_ref()).unwrap_or("".into()),
            password: password.unwrap_or("".into()),
        }));
    }
    if let Some(auth) = &http.authorization {
        if auth.credentials_ref.is_some() {
            return Err("authorization: references to secrets are not supported".to_owned());
        }
        let scheme = auth.type_.clone().unwrap_or_else(|| "Bearer".to_owned());
        let credentials = text(auth.credentials.as_ref().map(|s| s.reveal()), auth.credentials_file.as_ref());
        return Ok(credentials.map(|credentials| Auth::Scheme { scheme, credentials }));
    }
    let token = text(http.bearer_token.as_ref().map(|s| s.reveal()), http.bearer_token_file.as_ref());
    Ok(token.map(|credentials| Auth::Scheme { scheme: "Bearer".to_owned(), credentials }))
}

fn tls_options(tls: &TlsConfig) -> Result<TlsOptions, String> {
    if tls.ca_ref.is_some() || tls.cert_ref.is_some() || tls.key_ref.is_some() {
        return Err("tls_config: references to secrets are not supported".to_owned());
    }
    let set = |text: &Option<String>| text.clone().filter(|t| !t.is_empty());
    let text = |inline: Option<String>, file: &Option<String>| match set(file) {
        Some(file) => Some(Text::File(file.into())),
        None => inline.map(Text::Inline),
    };
    // versions below 1.2 are not spoken: as a lower bound they mean 1.2
    let version = |v: ConfigTlsVersion| match v {
        ConfigTlsVersion::Tls13 => TlsVersion::Tls13,
        _ => TlsVersion::Tls12,
    };
    if matches!(tls.max_version, Some(ConfigTlsVersion::Tls10 | ConfigTlsVersion::Tls11)) {
        return Err("tls_config.max_version: versions below TLS12 are not supported".to_owned());
    }
    Ok(TlsOptions {
        ca: text(set(&tls.ca), &tls.ca_file),
        cert: text(set(&tls.cert), &tls.cert_file),
        key: text(tls.key.as_ref().map(|k| k.reveal().to_owned()).filter(|k| !k.is_empty()), &tls.key_file),
        server_name: set(&tls.server_name),
        insecure_skip_verify: tls.insecure_skip_verify.unwrap_or(false),
        min_version: tls.min_version.map(version),
        max_version: tls.max_version.map(version),
    })
}
