//! A scrape job with all defaults filled in: what `config` says, ready for use.

use config::prometheus::{
    EscapingScheme, GlobalConfig, HttpClientConfig, ScrapeConfig, ScrapeJob, ScrapeLimits, ScrapeProtocol,
    TlsConfig, TlsVersion as ConfigTlsVersion,
};
use model::relabel;
use runtime::http_client::{Auth, HttpClient, Options, Text, TlsOptions, TlsVersion};

/// Why a job cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("scrape job {job:?}: {cause}")]
pub struct Error {
    /// Its name.
    pub job: String,
    /// The field, and what is wrong with it.
    pub cause: Unusable,
}

/// A field that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", if field.is_empty() { String::new() } else { format!("{field}: ") })]
pub struct Unusable {
    /// Its path within the section; empty for the section as a whole.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

fn unusable<T>(field: &str, reason: &str) -> Result<T, Unusable> {
    Err(Unusable { field: field.to_owned(), reason: reason.to_owned() })
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
    /// Bounds; 0 is none.
    pub limits: ScrapeLimits,
    /// Changes labels of targets.
    pub relabel: Vec<relabel::Config>,
    /// Changes labels of samples.
    pub metric_relabel: Vec<relabel::Config>,
    /// Fetches.
    pub client: HttpClient,
    /// The configuration with the global values filled in.
    effective: ScrapeJob,
}

impl Job {
    /// A job from its section and the global one.
    ///
    /// # Errors
    /// Names the field that cannot be used.
    pub fn new(config: &ScrapeConfig, global: &GlobalConfig) -> Result<Self, Error> {
        let error = |cause: Unusable| Error { job: config.job_name.clone(), cause };
        let c = config.job(global).map_err(|p| error(Unusable { field: p.path, reason: p.message }))?;
        let (interval_ms, timeout_ms) = (c.interval.as_ms(), c.timeout.as_ms());
        if timeout_ms > interval_ms {
            return unusable("scrape_timeout", "is greater than scrape_interval").map_err(error);
        }
        let mut params: Vec<_> = c.params.iter().map(|(n, v)| (n.clone(), v.clone())).collect();
        params.sort();
        let options = client_options(&c.http).map_err(error)?;
        Ok(Job {
            name: c.name.clone(),
            interval_ms,
            timeout_ms,
            scheme: c.scheme.clone(),
            metrics_path: c.metrics_path.clone(),
            params,
            honor_labels: c.honor_labels,
            honor_timestamps: c.honor_timestamps,
            track_timestamps_staleness: c.track_timestamps_staleness,
            enable_compression: c.enable_compression,
            extra_scrape_metrics: c.extra_scrape_metrics,
            protocols: c.protocols.clone(),
            fallback: c.fallback_protocol,
            legacy_names: c.legacy_names,
            escaping: c.escaping,
            limits: c.limits,
            relabel: c.relabel.clone(),
            metric_relabel: c.metric_relabel.clone(),
            client: HttpClient::new(options)
                .map_err(|e| error(Unusable { field: String::new(), reason: e.to_string() }))?,
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

    /// Whether loops of this job may go on under the other: all is equal but who the targets are.
    pub(crate) fn scrapes_as(&self, other: &Job) -> bool {
        let scraping = |job: &Job| ScrapeJob {
            sd: Default::default(),
            relabel: Vec::new(),
            limits: ScrapeLimits { targets: 0, keep_dropped_targets: 0, ..job.limits },
            ..job.effective.clone()
        };
        scraping(self) == scraping(other)
    }

    /// Whether a line gives the same series in both, so that what is known of series stays true.
    pub(crate) fn labels_as(&self, other: &Job) -> bool {
        let of = |job: &Job| {
            let limits = &job.limits;
            let limits = (limits.labels, limits.label_name_length, limits.label_value_length);
            (job.honor_labels, job.legacy_names, limits)
        };
        of(self) == of(other) && self.metric_relabel == other.metric_relabel
    }
}

/// The client's options from the section's fields.
///
/// # Errors
/// Names the field that the client cannot serve.
pub fn client_options(http: &HttpClientConfig) -> Result<Options, Unusable> {
    if http.oauth2.is_some() {
        return unusable("oauth2", "is not supported yet");
    }
    if http.proxy.proxy_from_environment == Some(true) {
        return unusable("proxy_from_environment", "is not supported yet: set proxy_url");
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

fn auth(http: &HttpClientConfig) -> Result<Option<Auth>, Unusable> {
    let text = |inline: Option<&str>, file: Option<&String>| match (inline, file) {
        (_, Some(file)) => Some(Text::File(file.into())),
        (inline, None) => inline.map(Text::from),
    };
    if let Some(basic) = &http.basic_auth {
        if basic.username_ref.is_some() || basic.password_ref.is_some() {
            return unusable("basic_auth", "references to secrets are not supported");
        }
        let password = text(basic.password.as_ref().map(|s| s.reveal()), basic.password_file.as_ref());
        return Ok(Some(Auth::Basic {
            username: text(basic.username.as_deref(), basic.username_file.as_ref()).unwrap_or("".into()),
            password: password.unwrap_or("".into()),
        }));
    }
    if let Some(auth) = &http.authorization {
        if auth.credentials_ref.is_some() {
            return unusable("authorization.credentials_ref", "references to secrets are not supported");
        }
        let scheme = auth.type_.clone().unwrap_or_else(|| "Bearer".to_owned());
        let credentials = text(auth.credentials.as_ref().map(|s| s.reveal()), auth.credentials_file.as_ref());
        return Ok(credentials.map(|credentials| Auth::Scheme { scheme, credentials }));
    }
    let token = text(http.bearer_token.as_ref().map(|s| s.reveal()), http.bearer_token_file.as_ref());
    Ok(token.map(|credentials| Auth::Scheme { scheme: "Bearer".to_owned(), credentials }))
}

fn tls_options(tls: &TlsConfig) -> Result<TlsOptions, Unusable> {
    if tls.ca_ref.is_some() || tls.cert_ref.is_some() || tls.key_ref.is_some() {
        return unusable("tls_config", "references to secrets are not supported");
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
        return unusable("tls_config.max_version", "versions below TLS12 are not supported");
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
