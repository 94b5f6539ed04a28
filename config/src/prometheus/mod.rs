//! prometheus.yml, as Prometheus 3.14 reads it.

mod alerting;
mod discovery;
mod global;
mod http;
mod relabel;
mod remote;
mod scrape;
mod storage;

pub use alerting::*;
pub use discovery::*;
pub use global::*;
pub use http::*;
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
    pub fn parse(text: &str, file_name: &str) -> Result<Config, crate::Error> {
        let locate = |e: crate::yaml::Error| crate::Error {
            file: file_name.to_owned(),
            line: Some(e.line),
            field: e.path,
            message: e.message,
        };
        let node = crate::yaml::Node::parse(text).map_err(locate)?;
        crate::yaml::from_node(&node).map_err(locate)
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
