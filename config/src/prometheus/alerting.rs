//! Where alerts are sent.

use super::{HttpClientConfig, RelabelConfig, ServiceDiscoveryConfigs, SigV4Config};
use crate::Duration;

section! {
    /// Sending of alerts.
    pub struct AlertingConfig {
        /// Changes labels of alerts.
        alert_relabel_configs: Vec<RelabelConfig>,
        /// Alertmanagers.
        alertmanagers: Vec<AlertmanagerConfig>,
    }
}

section! {
    /// A set of Alertmanagers.
    pub struct AlertmanagerConfig {
        /// The HTTP client.
        #[serde(rename = "<inline>http")]
        http: HttpClientConfig,
        /// AWS signatures.
        sigv4: Option<SigV4Config>,
        /// `http` or `https`.
        scheme: Option<String>,
        /// Prefix of the API's path.
        path_prefix: Option<String>,
        /// Time for one request; 10s where unset.
        timeout: Option<Duration>,
        /// Version of the API.
        api_version: Option<AlertmanagerApiVersion>,
        /// Changes labels of Alertmanagers.
        relabel_configs: Vec<RelabelConfig>,
        /// Changes labels of alerts for these.
        alert_relabel_configs: Vec<RelabelConfig>,
        /// Where they are found.
        #[serde(rename = "<inline>sd")]
        sd: ServiceDiscoveryConfigs,
    }
}

words! {
    /// A version of Alertmanager's API.
    pub enum AlertmanagerApiVersion {
        V2 = "v2",
    }
}
