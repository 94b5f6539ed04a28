//! prometheus.yml, as Prometheus 3.14 reads it.

mod alerting;
mod check;
mod check_discovery;
mod check_other;
mod discovery;
mod global;
mod http;
mod job;
mod paths;
mod relabel;
mod remote;
mod resolved;
mod scrape;
mod storage;

use crate::Error;
use crate::yaml::Node;
pub use alerting::*;
pub use discovery::*;
pub use global::*;
pub use http::*;
pub use job::*;
pub use relabel::*;
pub use remote::*;
pub use scrape::*;
pub use storage::*;

section! {
    /// A whole prometheus.yml: what stands in the file, defaults not filled in.
    pub struct Config {
        /// What holds for all jobs.
        global: GlobalConfig,
        /// The process.
        runtime: RuntimeConfig,
        /// Where alerts are sent.
        alerting: AlertingConfig,
        /// Files with rules; patterns.
        rule_files: Vec<String>,
        /// Files with further scrape jobs; patterns.
        scrape_config_files: Vec<String>,
        /// Scrape jobs.
        scrape_configs: Vec<ScrapeConfig>,
        /// Storage.
        storage: StorageConfig,
        /// Traces.
        tracing: TracingConfig,
        /// Places to send samples to.
        remote_write: Vec<RemoteWriteConfig>,
        /// Places to read samples from.
        remote_read: Vec<RemoteReadConfig>,
        /// OTLP.
        otlp: OtlpConfig,
    }
}

impl Config {
    /// Reads a whole file's text; `file_name` names it in errors.
    ///
    /// # Errors
    /// Where the text is no YAML, or a field is unknown, missing or wrong: file, line and path of the field.
    pub fn parse(text: &str, file_name: &str) -> Result<Config, Error> {
        let node = Node::parse(text).map_err(|e| located(e, file_name))?;
        let config: Config = crate::yaml::from_node(&node).map_err(|e| located(e, file_name))?;
        config.check().map_err(|p| at_line(p, &node, file_name))?;
        Ok(config)
    }

    /// Adds the jobs of a file that `scrape_config_files` names.
    ///
    /// # Errors
    /// Where the file cannot be used, or one of its jobs is there already.
    pub fn add_scrape_config_file(&mut self, text: &str, file_name: &str) -> Result<(), Error> {
        let node = Node::parse(text).map_err(|e| located(e, file_name))?;
        let more: ScrapeConfigFile = crate::yaml::from_node(&node).map_err(|e| located(e, file_name))?;
        for (i, scrape) in more.scrape_configs.into_iter().enumerate() {
            let here = format!("scrape_configs[{i}]");
            check::within(&here, scrape.check(&self.global)).map_err(|p| at_line(p, &node, file_name))?;
            if self.scrape_configs.iter().any(|s| s.job_name == scrape.job_name) {
                let message = format!("found multiple scrape configs with job name {:?}", scrape.job_name);
                return Err(at_line(Problem::new(here + ".job_name", message), &node, file_name));
            }
            self.scrape_configs.push(scrape);
        }
        Ok(())
    }

    /// Replaces `$VAR` and `${VAR}` in values of external labels by what `variable` gives, nothing where it gives none;
    /// `$$` is a dollar sign.
    pub fn expand_external_labels(&mut self, variable: impl Fn(&str) -> Option<String>) {
        for value in self.global.external_labels.values_mut() {
            *value = expand(value, &variable);
        }
    }

    /// What stands in the configuration and is not acted on: path and reason, one a line of the log.
    pub fn unsupported(&self) -> Vec<String> {
        let mut found = Vec::new();
        let tsdb = |is_set: fn(&TsdbConfig) -> bool| self.storage.tsdb.as_ref().is_some_and(is_set);
        let sections = [
            ("alerting", self.alerting != AlertingConfig::default(), "alerts are not sent yet"),
            ("rule_files", !self.rule_files.is_empty(), "rules are not evaluated yet"),
            (
                "storage.tsdb.stale_series_compaction_threshold",
                tsdb(|t| t.stale_series_compaction_threshold.is_some_and(|share| share > 0.0)),
                "stale series are not compacted early yet",
            ),
            ("tracing", self.tracing != TracingConfig::default(), "traces are not sent yet"),
            ("remote_write", !self.remote_write.is_empty(), "samples are not sent on yet"),
            ("remote_read", !self.remote_read.is_empty(), "remote samples are not read yet"),
            ("otlp", self.otlp != OtlpConfig::default(), "OTLP is not received yet"),
            ("runtime.gogc", self.runtime.gogc.is_some(), "there is no garbage collector to tune"),
            (
                "global.scrape_failure_log_file",
                self.global.scrape_failure_log_file.is_some(),
                "failed scrapes are not logged to a file yet",
            ),
            (
                "global.scrape_native_histograms",
                self.global.scrape_native_histograms == Some(true),
                "native histograms are not scraped yet",
            ),
            (
                "global.convert_classic_histograms_to_nhcb",
                self.global.convert_classic_histograms_to_nhcb == Some(true),
                "classic histograms stay as they are",
            ),
            (
                "global.scrape_protocols",
                self.global.scrape_protocols.contains(&ScrapeProtocol::PrometheusProto),
                "PrometheusProto is not asked for yet",
            ),
            (
                "global.query_log_file",
                self.global.query_log_file.is_some(),
                "queries are not logged to a file yet",
            ),
        ];
        for (section, _, why) in sections.iter().filter(|(_, set, _)| *set) {
            found.push(format!("{section}: {why}"));
        }
        for (i, scrape) in self.scrape_configs.iter().enumerate() {
            let job = &scrape.job_name;
            for (name, _) in scrape.sd.other.present() {
                found.push(format!(
                    "scrape_configs[{i}].{name}: job {job:?} gets no targets from this discovery yet"
                ));
            }
            for (k, kubernetes) in scrape.sd.kubernetes_sd_configs.iter().enumerate() {
                let attach = kubernetes.attach_metadata.clone().unwrap_or_default();
                for (field, set) in
                    [("deployment", attach.deployment), ("job", attach.job), ("cronjob", attach.cronjob)]
                {
                    if set == Some(true) {
                        let path =
                            format!("scrape_configs[{i}].kubernetes_sd_configs[{k}].attach_metadata.{field}");
                        found.push(format!("{path}: job {job:?} gets no such labels yet"));
                    }
                }
            }
            for field in scrape.unsupported() {
                found.push(format!("scrape_configs[{i}].{field}: job {job:?} is scraped without it"));
            }
        }
        found
    }

    /// The file's text with secrets in clear, for a server to read.
    ///
    /// Fields stand in the original's order; unset ones are left out, so equal configurations give equal bytes.
    pub fn to_yaml(&self) -> String {
        crate::secret::reveal(|| crate::yaml::to_string(self))
    }

    /// The file's text with secrets masked, for display.
    pub fn to_yaml_redacted(&self) -> String {
        crate::yaml::to_string(self)
    }
}

impl ScrapeConfig {
    /// Fields that scraping does not act on.
    fn unsupported(&self) -> Vec<&'static str> {
        let fields = [
            ("scrape_failure_log_file", self.scrape_failure_log_file.is_some()),
            ("scrape_native_histograms", self.scrape_native_histograms == Some(true)),
            ("convert_classic_histograms_to_nhcb", self.convert_classic_histograms_to_nhcb == Some(true)),
            ("scrape_protocols", self.scrape_protocols.contains(&ScrapeProtocol::PrometheusProto)),
            ("extra_scrape_metrics", self.extra_scrape_metrics == Some(true)),
        ];
        fields.into_iter().filter(|(_, set)| *set).map(|(name, _)| name).collect()
    }
}

section! {
    /// A file that `scrape_config_files` names.
    pub struct ScrapeConfigFile {
        /// Scrape jobs.
        scrape_configs: Vec<ScrapeConfig>,
    }
}

/// The line of a field in a text, or of the part of its path that stands there; none where the text is no YAML.
pub fn line_of(text: &str, path: &str) -> Option<usize> {
    Node::parse(text).ok().map(|node| node.line_of(path))
}

fn located(error: crate::yaml::Error, file: &str) -> Error {
    Error { file: file.to_owned(), line: Some(error.line), field: error.path, message: error.message }
}

fn at_line(problem: Problem, node: &Node, file: &str) -> Error {
    let line = Some(node.line_of(&problem.path));
    Error { file: file.to_owned(), line, field: problem.path, message: problem.message }
}

/// Replaces references to variables, by the syntax of Go's `os.Expand`.
fn expand(text: &str, variable: impl Fn(&str) -> Option<String>) -> String {
    let (mut out, mut rest) = (String::new(), text);
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let (name, following) = if let Some(following) = after.strip_prefix('$') {
            out.push('$');
            ("", following)
        } else if let Some((name, following)) = after.strip_prefix('{').and_then(|a| a.split_once('}')) {
            (name, following)
        } else {
            let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
            after.split_at(end)
        };
        if !name.is_empty() {
            out.push_str(&variable(name).unwrap_or_default());
        }
        rest = following;
    }
    out + rest
}
