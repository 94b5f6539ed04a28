//! Parts that several kinds of monitors share.

use crate::auth::{Authorization, TlsConfig};
use crate::scalar::{NonEmpty, RelabelAction, ScrapeProtocol};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One relabelling rule, as in Prometheus' configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RelabelConfig {
    /// What to do when the regular expression matches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<RelabelAction>,
    /// Modulus of the hash of the source labels' values.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modulus: Option<i64>,
    /// Regular expression that the joined source labels are held against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    /// What is written when it matches; groups as $1, $2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    /// Joins the values of the source labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    /// Labels whose values are looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_labels: Option<Vec<String>>,
    /// Label that is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_label: Option<String>,
}

/// Metadata of further objects on discovered targets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AttachMetadata {
    /// Labels of the node that a pod runs on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<bool>,
}

/// Settings that monitors take over by naming the class.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScrapeClass {
    /// Metadata of further objects on discovered targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attach_metadata: Option<AttachMetadata>,
    /// The Authorization header of scrapes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// Whether monitors that name no class use this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<bool>,
    /// Format assumed when a target sends no valid content type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_scrape_protocol: Option<ScrapeProtocol>,
    /// Relabelling of samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_relabelings: Option<Vec<RelabelConfig>>,
    /// Name by which monitors refer to the class.
    pub name: NonEmpty,
    /// Relabelling of targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relabelings: Option<Vec<RelabelConfig>>,
    /// TLS of scrapes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
}
