//! What a configuration must fulfil beyond the types of its fields.

use super::job::{Problem, compile};
use super::*;
use std::collections::HashSet;

type Checked = Result<(), Problem>;

/// Headers that the client itself sets.
const CLIENT_HEADERS: [&str; 9] = [
    "authorization",
    "host",
    "content-encoding",
    "content-length",
    "content-type",
    "user-agent",
    "connection",
    "keep-alive",
    "x-prometheus-remote-write-version",
];
/// The same for remote read.
const READ_HEADERS: [&str; 5] = [
    "x-prometheus-remote-read-version",
    "accept-encoding",
    "proxy-authenticate",
    "proxy-authorization",
    "www-authenticate",
];

fn fail<T>(path: impl Into<String>, message: impl Into<String>) -> Result<T, Problem> {
    Err(Problem::new(path, message))
}

/// Puts a section's path before a problem's.
pub(super) fn within<T>(section: &str, result: Result<T, Problem>) -> Result<T, Problem> {
    result.map_err(|p| {
        let dot = if p.path.is_empty() { "" } else { "." };
        Problem { path: format!("{section}{dot}{}", p.path), message: p.message }
    })
}

fn each<'a, T>(field: &str, items: &'a [T], mut check: impl FnMut(&'a T) -> Checked) -> Checked {
    items.iter().enumerate().try_for_each(|(i, item)| within(&format!("{field}[{i}]"), check(item)))
}

impl Config {
    /// Checks all that types alone do not.
    ///
    /// # Errors
    /// The first field that cannot be used.
    pub fn check(&self) -> Result<(), Problem> {
        within("global", self.global.check())?;
        for (field, patterns) in
            [("rule_files", &self.rule_files), ("scrape_config_files", &self.scrape_config_files)]
        {
            each(field, patterns, |p| check_pattern(p))?;
        }
        let legacy = self.global.metric_name_validation_scheme == Some(ValidationScheme::Legacy);
        within("alerting", self.alerting.check(legacy))?;
        let mut jobs = HashSet::new();
        each("scrape_configs", &self.scrape_configs, |scrape| {
            scrape.check(&self.global)?;
            if jobs.insert(&scrape.job_name) {
                Ok(())
            } else {
                fail("job_name", format!("found multiple scrape configs with job name {:?}", scrape.job_name))
            }
        })?;
        within("storage", self.storage.check())?;
        within("tracing", self.tracing.check())?;
        let mut names = HashSet::new();
        each("remote_write", &self.remote_write, |w| {
            w.check(legacy).and_then(|()| unique(&w.name, &mut names))
        })?;
        let mut names = HashSet::new();
        each("remote_read", &self.remote_read, |r| r.check().and_then(|()| unique(&r.name, &mut names)))?;
        within("otlp", self.otlp.check(legacy))
    }
}

fn unique<'a>(name: &'a Option<String>, seen: &mut HashSet<&'a str>) -> Checked {
    match name {
        Some(name) if !name.is_empty() && !seen.insert(name) => {
            fail("name", format!("{name:?} is already in use"))
        }
        _ => Ok(()),
    }
}

/// A path whose last element alone may be a pattern.
fn check_pattern(pattern: &str) -> Checked {
    let star = pattern.find('*');
    if star.is_some_and(|at| pattern[at..].contains('/')) {
        return fail(
            "",
            format!("{pattern:?} is not a valid path pattern: only the last element may have a `*`"),
        );
    }
    Ok(())
}

impl GlobalConfig {
    fn check(&self) -> Checked {
        if self.effective_scrape_timeout() > self.effective_scrape_interval() {
            return fail("scrape_timeout", "global scrape timeout greater than scrape interval");
        }
        for name in self.external_labels.keys() {
            if name.is_empty() {
                return fail("external_labels", "a label name must not be empty");
            }
        }
        check_protocols(&self.scrape_protocols)?;
        check_scheme_pair(self.metric_name_validation_scheme, self.metric_name_escaping_scheme)
    }
}

fn check_scheme_pair(validation: Option<ValidationScheme>, escaping: Option<EscapingScheme>) -> Checked {
    if validation == Some(ValidationScheme::Legacy) && escaping == Some(EscapingScheme::AllowUtf8) {
        return fail(
            "metric_name_escaping_scheme",
            "`allow-utf-8` contradicts metric_name_validation_scheme `legacy`",
        );
    }
    Ok(())
}

fn check_protocols(protocols: &[ScrapeProtocol]) -> Checked {
    let mut seen = HashSet::new();
    match protocols.iter().find(|p| !seen.insert(**p)) {
        Some(twice) => fail("scrape_protocols", format!("duplicated protocol {twice}")),
        None => Ok(()),
    }
}

impl ScrapeConfig {
    /// Checks the job against the global section.
    ///
    /// # Errors
    /// The first field that cannot be used; the path begins at the job.
    pub fn check(&self, global: &GlobalConfig) -> Result<(), Problem> {
        if self.job_name.is_empty() {
            return fail("job_name", "job_name is empty");
        }
        let (interval, timeout) = (self.effective_interval(global), self.effective_timeout(global));
        if timeout > interval {
            return fail(
                "scrape_timeout",
                format!("scrape timeout {timeout} greater than scrape interval {interval}"),
            );
        }
        check_protocols(&self.scrape_protocols)?;
        check_scheme_pair(
            self.metric_name_validation_scheme.or(global.metric_name_validation_scheme),
            self.metric_name_escaping_scheme.or(global.metric_name_escaping_scheme),
        )?;
        if self.native_histogram_min_bucket_factor.is_some_and(|f| f < 0.0) {
            return fail("native_histogram_min_bucket_factor", "must not be negative");
        }
        if !matches!(self.scheme.as_deref(), None | Some("" | "http" | "https")) {
            return fail("scheme", "expected `http` or `https`");
        }
        self.http.check()?;
        let legacy = self.legacy_names(global);
        compile(&self.relabel_configs, "relabel_configs", legacy)?;
        compile(&self.metric_relabel_configs, "metric_relabel_configs", legacy)?;
        self.sd.check(!self.relabel_configs.is_empty())
    }
}

/// At most one of the fields may be set.
pub(super) fn at_most_one(fields: &[(&str, bool)]) -> Checked {
    let set: Vec<&str> = fields.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect();
    match set.as_slice() {
        [_, second, ..] => fail(*second, format!("at most one of {} must be configured", set.join(", "))),
        _ => Ok(()),
    }
}

impl HttpClientConfig {
    /// Checks what goes together.
    pub(super) fn check(&self) -> Checked {
        let token = self.bearer_token.is_some() || self.bearer_token_file.is_some();
        at_most_one(&[
            ("bearer_token", self.bearer_token.is_some()),
            ("bearer_token_file", self.bearer_token_file.is_some()),
        ])?;
        at_most_one(&[
            ("basic_auth", self.basic_auth.is_some()),
            ("oauth2", self.oauth2.is_some()),
            ("authorization", self.authorization.is_some()),
            (if self.bearer_token.is_some() { "bearer_token" } else { "bearer_token_file" }, token),
        ])?;
        self.basic_auth.as_ref().map_or(Ok(()), |a| within("basic_auth", a.check()))?;
        self.authorization.as_ref().map_or(Ok(()), |a| within("authorization", a.check()))?;
        self.oauth2.as_ref().map_or(Ok(()), |a| within("oauth2", a.check()))?;
        self.tls_config.as_ref().map_or(Ok(()), |t| within("tls_config", t.check()))?;
        self.proxy.check()?;
        match self.http_headers.keys().find(|name| is_client_header(name)) {
            Some(name) => fail(format!("http_headers.{name}"), "setting this header is not allowed"),
            None => Ok(()),
        }
    }
}

/// Headers that `http_headers` must not set, for the client sets them itself.
fn is_client_header(name: &str) -> bool {
    const RESERVED: [&str; 27] = [
        "accept-charset",
        "accept-encoding",
        "access-control-request-headers",
        "access-control-request-method",
        "authorization",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "cookie2",
        "date",
        "dnt",
        "expect",
        "host",
        "keep-alive",
        "origin",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "via",
        "www-authenticate",
        "x-prometheus-scrape-timeout-seconds",
    ];
    RESERVED.iter().any(|r| name.eq_ignore_ascii_case(r))
}

impl BasicAuth {
    fn check(&self) -> Checked {
        at_most_one(&[
            ("username", self.username.is_some()),
            ("username_file", self.username_file.is_some()),
            ("username_ref", self.username_ref.is_some()),
        ])?;
        at_most_one(&[
            ("password", self.password.is_some()),
            ("password_file", self.password_file.is_some()),
            ("password_ref", self.password_ref.is_some()),
        ])
    }
}

impl Authorization {
    fn check(&self) -> Checked {
        if self.type_.as_ref().is_some_and(|t| t.trim().eq_ignore_ascii_case("basic")) {
            return fail("type", "cannot be \"basic\": use basic_auth instead");
        }
        at_most_one(&[
            ("credentials", self.credentials.is_some()),
            ("credentials_file", self.credentials_file.is_some()),
            ("credentials_ref", self.credentials_ref.is_some()),
        ])
    }
}

impl OAuth2 {
    fn check(&self) -> Checked {
        if self.client_id.as_deref().unwrap_or("").is_empty() {
            return fail("client_id", "must be configured");
        }
        if self.token_url.as_deref().unwrap_or("").is_empty() {
            return fail("token_url", "must be configured");
        }
        at_most_one(&[
            ("client_secret", self.client_secret.is_some()),
            ("client_secret_file", self.client_secret_file.is_some()),
            ("client_secret_ref", self.client_secret_ref.is_some()),
        ])?;
        self.tls_config.as_ref().map_or(Ok(()), |t| within("tls_config", t.check()))?;
        self.proxy.check()
    }
}

impl TlsConfig {
    fn check(&self) -> Checked {
        let (cert, key) = (
            [
                ("cert", self.cert.is_some()),
                ("cert_file", self.cert_file.is_some()),
                ("cert_ref", self.cert_ref.is_some()),
            ],
            [
                ("key", self.key.is_some()),
                ("key_file", self.key_file.is_some()),
                ("key_ref", self.key_ref.is_some()),
            ],
        );
        at_most_one(&[
            ("ca", self.ca.is_some()),
            ("ca_file", self.ca_file.is_some()),
            ("ca_ref", self.ca_ref.is_some()),
        ])?;
        at_most_one(&cert)?;
        at_most_one(&key)?;
        match (cert.iter().any(|c| c.1), key.iter().any(|k| k.1)) {
            (true, false) => fail("", "a client certificate needs key, key_file or key_ref"),
            (false, true) => fail("", "a client key needs cert, cert_file or cert_ref"),
            _ => Ok(()),
        }
    }
}

impl ProxyConfig {
    fn check(&self) -> Checked {
        let environment = self.proxy_from_environment == Some(true);
        let url = self.proxy_url.as_deref().is_some_and(|u| !u.is_empty());
        let no_proxy = self.no_proxy.as_deref().is_some_and(|n| !n.is_empty());
        if environment && url {
            return fail("proxy_url", "cannot be set together with proxy_from_environment");
        }
        if environment && no_proxy {
            return fail("no_proxy", "cannot be set together with proxy_from_environment");
        }
        if no_proxy && !url {
            return fail("no_proxy", "needs proxy_url");
        }
        if !self.proxy_connect_header.is_empty() && !url && !environment {
            return fail("proxy_connect_header", "needs proxy_url or proxy_from_environment");
        }
        Ok(())
    }
}

impl AlertingConfig {
    fn check(&self, legacy: bool) -> Checked {
        compile(&self.alert_relabel_configs, "alert_relabel_configs", legacy)?;
        each("alertmanagers", &self.alertmanagers, |a| {
            a.http.check()?;
            if a.sigv4.is_some() {
                exclusive_of_auth("sigv4", &a.http)?;
            }
            compile(&a.relabel_configs, "relabel_configs", legacy)?;
            compile(&a.alert_relabel_configs, "alert_relabel_configs", legacy)?;
            a.sd.check(!a.relabel_configs.is_empty())
        })
    }
}

/// Clouds' identities take the place of all other authentication.
fn exclusive_of_auth(field: &str, http: &HttpClientConfig) -> Checked {
    at_most_one(&[
        ("basic_auth", http.basic_auth.is_some()),
        ("authorization", http.authorization.is_some()),
        ("oauth2", http.oauth2.is_some()),
        ("bearer_token", http.bearer_token.is_some() || http.bearer_token_file.is_some()),
        (field, true),
    ])
}

fn check_headers<'a>(names: impl Iterator<Item = &'a String>, reserved: &[&str]) -> Checked {
    for name in names {
        if reserved.iter().any(|r| name.eq_ignore_ascii_case(r)) {
            return fail(format!("headers.{name}"), "is set by the client itself and cannot be changed");
        }
    }
    Ok(())
}

impl RemoteWriteConfig {
    fn check(&self, legacy: bool) -> Checked {
        if self.url.is_empty() {
            return fail("url", "url for remote_write is empty");
        }
        check_headers(self.headers.keys(), &CLIENT_HEADERS)?;
        self.http.check()?;
        compile(&self.write_relabel_configs, "write_relabel_configs", legacy)?;
        for (field, set) in [
            ("sigv4", self.sigv4.is_some()),
            ("azuread", self.azuread.is_some()),
            ("google_iam", self.google_iam.is_some()),
        ] {
            if set {
                exclusive_of_auth(field, &self.http)?;
            }
        }
        at_most_one(&[
            ("sigv4", self.sigv4.is_some()),
            ("azuread", self.azuread.is_some()),
            ("google_iam", self.google_iam.is_some()),
        ])?;
        let Some(queue) = &self.queue_config else { return Ok(()) };
        for (field, value) in [
            ("capacity", queue.capacity),
            ("max_shards", queue.max_shards),
            ("min_shards", queue.min_shards),
            ("max_samples_per_send", queue.max_samples_per_send),
        ] {
            if value.is_some_and(|v| v <= 0) {
                return fail(format!("queue_config.{field}"), "must be greater than zero");
            }
        }
        Ok(())
    }
}

impl RemoteReadConfig {
    fn check(&self) -> Checked {
        if self.url.is_empty() {
            return fail("url", "url for remote_read is empty");
        }
        let reserved: Vec<&str> = CLIENT_HEADERS.iter().chain(&READ_HEADERS).copied().collect();
        check_headers(self.headers.keys(), &reserved)?;
        self.http.check()
    }
}

impl StorageConfig {
    fn check(&self) -> Checked {
        let percentage = self.tsdb.as_ref().and_then(|t| t.retention.as_ref()).and_then(|r| r.percentage);
        if percentage.is_some_and(|p| !(0.0..=100.0).contains(&p)) {
            return fail("tsdb.retention.percentage", "must be between 0 and 100");
        }
        Ok(())
    }
}

impl TracingConfig {
    fn check(&self) -> Checked {
        if *self != TracingConfig::default() && self.endpoint.as_deref().unwrap_or("").is_empty() {
            return fail("endpoint", "tracing endpoint must be set");
        }
        if !matches!(self.compression.as_deref(), None | Some("" | "gzip")) {
            return fail("compression", "expected `gzip` or nothing");
        }
        check_headers(self.headers.keys(), &["authorization"])?;
        self.tls_config.as_ref().map_or(Ok(()), |t| within("tls_config", t.check()))
    }
}

impl OtlpConfig {
    fn check(&self, legacy: bool) -> Checked {
        let all = self.promote_all_resource_attributes == Some(true);
        if all && !self.promote_resource_attributes.is_empty() {
            return fail(
                "promote_resource_attributes",
                "cannot be set together with promote_all_resource_attributes",
            );
        }
        if !all && !self.ignore_resource_attributes.is_empty() {
            return fail("ignore_resource_attributes", "needs promote_all_resource_attributes");
        }
        check_attributes("promote_resource_attributes", &self.promote_resource_attributes)?;
        check_attributes("ignore_resource_attributes", &self.ignore_resource_attributes)?;
        let keeps_utf8 = matches!(
            self.translation_strategy,
            Some(TranslationStrategy::NoTranslation | TranslationStrategy::NoUtf8EscapingWithSuffixes)
        );
        if legacy && keeps_utf8 {
            return fail("translation_strategy", "needs metric_name_validation_scheme `utf8`");
        }
        Ok(())
    }
}

fn check_attributes(field: &str, attributes: &[String]) -> Checked {
    let mut seen = HashSet::new();
    each(field, attributes, |attribute| match attribute.trim() {
        "" => fail("", "empty attribute"),
        name if seen.insert(name.to_owned()) => Ok(()),
        name => fail("", format!("duplicated attribute {name:?}")),
    })
}
