//! ServiceMonitor: which services are scraped, and how.

use crate::auth::{BasicAuth, OAuth2, ProxyHeaders, SafeAuthorization, TlsConfig};
use crate::scalar::{
    ByteSize, DiscoveryRole, Duration, NonEmpty, ProxyUrl, Quantity, Scheme, ScrapeProtocol,
    SelectorMechanism,
};
use crate::scrape::{AttachMetadata, RelabelConfig};
use crate::select::{KeySelector, LabelSelector, NamespaceSelector};
use crate::status::ConfigResourceStatus;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which services are scraped, and how.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "monitoring.coreos.com",
    version = "v1",
    kind = "ServiceMonitor",
    namespaced,
    shortname = "smon",
    category = "prometheus-operator",
    status = "ConfigResourceStatus",
    derive = "PartialEq",
    doc = "Which services are scraped, and how."
)]
#[serde(rename_all = "camelCase")]
pub struct ServiceMonitorSpec {
    /// Metadata of further objects on discovered targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attach_metadata: Option<AttachMetadata>,
    /// Largest uncompressed response accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_size_limit: Option<ByteSize>,
    /// Whether classic histograms become native ones with custom buckets.
    #[serde(rename = "convertClassicHistogramsToNHCB", skip_serializing_if = "Option::is_none")]
    pub convert_classic_histograms_to_nhcb: Option<bool>,
    /// Endpoints of the services.
    pub endpoints: Vec<Endpoint>,
    /// Format assumed when a target sends no valid content type.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback_scrape_protocol: Option<ScrapeProtocol>,
    /// Label of the service whose value becomes the job label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job_label: Option<String>,
    /// Number of dropped targets kept in memory; 0 means no limit.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_dropped_targets: Option<i64>,
    /// Most labels of a sample.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_limit: Option<i64>,
    /// Longest name of a label.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_name_length_limit: Option<i64>,
    /// Longest value of a label.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_value_length_limit: Option<i64>,
    /// Namespaces in which services are looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<NamespaceSelector>,
    /// Most buckets of a native histogram.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_histogram_bucket_limit: Option<i64>,
    /// Smallest growth factor between buckets of a native histogram.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_histogram_min_bucket_factor: Option<Quantity>,
    /// Labels of the pod that are put on its metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_target_labels: Option<Vec<String>>,
    /// Most samples of a scrape.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_limit: Option<i64>,
    /// Scrape class to apply.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_class: Option<NonEmpty>,
    /// Whether classic histograms are kept beside native ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_classic_histograms: Option<bool>,
    /// Whether native histograms are scraped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_native_histograms: Option<bool>,
    /// Formats offered to the target, most wanted first.
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_protocols: Option<Vec<ScrapeProtocol>>,
    /// Labels of the services.
    pub selector: LabelSelector,
    /// Whether the selector is carried out by relabelling or by the API server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector_mechanism: Option<SelectorMechanism>,
    /// Which objects tell where targets are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_discovery_role: Option<DiscoveryRole>,
    /// Labels of the service that are put on its metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_labels: Option<Vec<String>>,
    /// Most targets of an endpoint.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_limit: Option<i64>,
}

/// One port of the services, and how it is scraped.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// The Authorization header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<SafeAuthorization>,
    /// HTTP basic authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// File with a bearer token (deprecated: use authorization).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token_file: Option<String>,
    /// Key of a Secret with a bearer token (deprecated: use authorization).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token_secret: Option<KeySelector>,
    /// Whether HTTP/2 is spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_http2: Option<bool>,
    /// Whether pods that have ended are left out; true when not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_running: Option<bool>,
    /// Whether redirects are followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_redirects: Option<bool>,
    /// Whether labels of the metrics win over those of the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub honor_labels: Option<bool>,
    /// Whether timestamps that the target sends are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub honor_timestamps: Option<bool>,
    /// Time between scrapes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<Duration>,
    /// Relabelling of samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_relabelings: Option<Vec<RelabelConfig>>,
    /// Comma-separated hosts that are reached without the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<String>,
    /// OAuth 2.0 client credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2>,
    /// Parameters of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub params: Option<BTreeMap<String, Vec<String>>>,
    /// Path of the metrics; /metrics when empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Name of the service's port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<String>,
    /// Headers sent to the proxy's CONNECT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_connect_header: Option<ProxyHeaders>,
    /// Whether the proxy is taken from the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_from_environment: Option<bool>,
    /// URL of the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<ProxyUrl>,
    /// Relabelling of targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relabelings: Option<Vec<RelabelConfig>>,
    /// HTTP or HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// Time after which a scrape has failed; no more than the interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_timeout: Option<Duration>,
    /// Name or number of the pods' port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_port: Option<IntOrString>,
    /// TLS of scrapes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
    /// Whether samples with timestamps of their own go stale.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub track_timestamps_staleness: Option<bool>,
}
