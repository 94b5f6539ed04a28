//! Remote write, remote read and Alertmanagers: where a server sends to and reads from.

use crate::auth::{
    Authorization, AzureAd, BasicAuth, OAuth2, ProxyHeaders, SafeAuthorization, Sigv4, TlsConfig,
};
use crate::scalar::{AlertmanagerApi, Duration, HttpUrl, MessageVersion, NonEmpty, ProxyUrl, Scheme};
use crate::scrape::RelabelConfig;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An endpoint that samples are sent to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemoteWrite {
    /// The Authorization header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// Azure AD authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure_ad: Option<AzureAd>,
    /// HTTP basic authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// Bearer token in plain text (deprecated: use authorization).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<String>,
    /// File with a bearer token (deprecated: use authorization).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token_file: Option<String>,
    /// Whether HTTP/2 is spoken.
    #[serde(rename = "enableHTTP2", skip_serializing_if = "Option::is_none")]
    pub enable_http2: Option<bool>,
    /// Whether redirects are followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_redirects: Option<bool>,
    /// Headers added to each request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
    /// Version of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_version: Option<MessageVersion>,
    /// How metadata of metrics is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metadata_config: Option<MetadataConfig>,
    /// Name in metrics and logs; must be unique.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Comma-separated hosts that are reached without the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<String>,
    /// OAuth 2.0 client credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2>,
    /// Headers sent to the proxy's CONNECT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_connect_header: Option<ProxyHeaders>,
    /// Whether the proxy is taken from the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_from_environment: Option<bool>,
    /// URL of the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<ProxyUrl>,
    /// The queue in front of the endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_config: Option<QueueConfig>,
    /// Time after which a request has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_timeout: Option<Duration>,
    /// Whether the addresses of the endpoint's name are used in turn.
    #[serde(rename = "roundRobinDNS", skip_serializing_if = "Option::is_none")]
    pub round_robin_dns: Option<bool>,
    /// Whether exemplars are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_exemplars: Option<bool>,
    /// Whether native histograms are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_native_histograms: Option<bool>,
    /// AWS Signature Version 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigv4: Option<Sigv4>,
    /// TLS of requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
    /// URL of the endpoint.
    pub url: HttpUrl,
    /// Relabelling of samples before they are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_relabel_configs: Option<Vec<RelabelConfig>>,
}

/// How metadata of metrics is sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct MetadataConfig {
    /// Most entries of a request.
    #[schemars(range(min = -1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_samples_per_send: Option<i32>,
    /// Whether metadata is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send: Option<bool>,
    /// Time between requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_interval: Option<Duration>,
}

/// The queue in front of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct QueueConfig {
    /// Longest time that a sample waits in the buffer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_send_deadline: Option<Duration>,
    /// Samples buffered per shard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<i64>,
    /// Longest wait before a retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_backoff: Option<Duration>,
    /// Most retries of a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<i64>,
    /// Most samples of a request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_samples_per_send: Option<i64>,
    /// Most shards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_shards: Option<i64>,
    /// Shortest wait before a retry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_backoff: Option<Duration>,
    /// Fewest shards.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_shards: Option<i64>,
    /// Whether a request is sent again after status 429.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_on_rate_limit: Option<bool>,
    /// Age above which samples are given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_age_limit: Option<Duration>,
}

/// An endpoint that samples are read from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RemoteRead {
    /// The Authorization header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// HTTP basic authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// Bearer token in plain text (deprecated: use authorization).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<String>,
    /// File with a bearer token (deprecated: use authorization).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token_file: Option<String>,
    /// Whether external labels select on the remote side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_external_labels: Option<bool>,
    /// Whether redirects are followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub follow_redirects: Option<bool>,
    /// Headers added to each request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
    /// Name in metrics and logs; must be unique.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Comma-separated hosts that are reached without the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<String>,
    /// OAuth 2.0 client credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth2: Option<OAuth2>,
    /// Headers sent to the proxy's CONNECT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_connect_header: Option<ProxyHeaders>,
    /// Whether the proxy is taken from the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_from_environment: Option<bool>,
    /// URL of the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<ProxyUrl>,
    /// Whether times that local storage has in full are read too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_recent: Option<bool>,
    /// Time after which a request has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_timeout: Option<Duration>,
    /// Matchers that a selector must have for the endpoint to be asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_matchers: Option<BTreeMap<String, String>>,
    /// TLS of requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
    /// URL of the endpoint.
    pub url: HttpUrl,
}

/// Where alerts are sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Alerting {
    /// Services of Alertmanagers.
    pub alertmanagers: Vec<AlertmanagerEndpoints>,
}

/// A service of Alertmanagers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AlertmanagerEndpoints {
    /// Relabelling of alerts for these Alertmanagers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert_relabelings: Option<Vec<RelabelConfig>>,
    /// Version of the API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_version: Option<AlertmanagerApi>,
    /// The Authorization header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<SafeAuthorization>,
    /// HTTP basic authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// File with a bearer token (deprecated: use authorization).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token_file: Option<String>,
    /// Whether HTTP/2 is spoken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_http2: Option<bool>,
    /// Name of the service.
    pub name: NonEmpty,
    /// Namespace of the service; the Prometheus' own when not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<NonEmpty>,
    /// Comma-separated hosts that are reached without the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<String>,
    /// Prefix of the paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path_prefix: Option<NonEmpty>,
    /// Name or number of the port.
    pub port: IntOrString,
    /// Headers sent to the proxy's CONNECT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_connect_header: Option<ProxyHeaders>,
    /// Whether the proxy is taken from the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_from_environment: Option<bool>,
    /// URL of the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<ProxyUrl>,
    /// Relabelling of the discovered Alertmanagers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relabelings: Option<Vec<RelabelConfig>>,
    /// HTTP or HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// AWS Signature Version 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sigv4: Option<Sigv4>,
    /// Time after which a request has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// TLS of requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
}

/// The API server, where it is not the one that the pod's service account leads to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ApiServerConfig {
    /// The Authorization header.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Authorization>,
    /// HTTP basic authentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
    /// Bearer token in plain text (deprecated: use authorization).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<String>,
    /// File with a bearer token (deprecated: use authorization).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bearer_token_file: Option<String>,
    /// Address of the API server, with or without scheme and port.
    pub host: String,
    /// Comma-separated hosts that are reached without the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_proxy: Option<String>,
    /// Headers sent to the proxy's CONNECT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_connect_header: Option<ProxyHeaders>,
    /// Whether the proxy is taken from the environment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_from_environment: Option<bool>,
    /// URL of the proxy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_url: Option<ProxyUrl>,
    /// TLS of requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
}
