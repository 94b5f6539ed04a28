//! The Thanos sidecar of a Prometheus.

use crate::native::Native;
use crate::prometheus::Argument;
use crate::scalar::{Duration, LogFormat, LogLevel, TlsVersion};
use crate::select::{KeySelector, SecretOrConfigMap};
use k8s_openapi::api::core::v1::{ResourceRequirements, VolumeMount};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The Thanos sidecar.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Thanos {
    /// Further arguments of the sidecar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_args: Option<Vec<Argument>>,
    /// Image without tag (deprecated: use image).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_image: Option<String>,
    /// Length of the blocks that are uploaded.
    #[schemars(extend("default" = "2h"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_size: Option<Duration>,
    /// Time between reads of the server's configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub get_config_interval: Option<Duration>,
    /// Time after which reading the configuration has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub get_config_timeout: Option<Duration>,
    /// Whether gRPC listens on the loopback address only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_listen_local: Option<bool>,
    /// TLS of the gRPC server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc_server_tls_config: Option<GrpcTls>,
    /// Whether HTTP listens on the loopback address only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_listen_local: Option<bool>,
    /// Image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Whether all listen on the loopback address only (deprecated).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen_local: Option<bool>,
    /// Form of log lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// Level of logging.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevel>,
    /// Earliest time served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_time: Option<String>,
    /// Key of a Secret with the object storage's configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_storage_config: Option<KeySelector>,
    /// File with the object storage's configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_storage_config_file: Option<String>,
    /// Time that the server has to become ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_timeout: Option<Duration>,
    /// Compute resources of the sidecar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Native<ResourceRequirements>>,
    /// Digest of the image (deprecated: use image).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha: Option<String>,
    /// Tag of the image (deprecated: use image).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Key of a Secret with the tracing configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing_config: Option<KeySelector>,
    /// File with the tracing configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing_config_file: Option<String>,
    /// Version of Thanos.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Further mounts of the sidecar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_mounts: Option<Vec<Native<VolumeMount>>>,
}

/// TLS of the sidecar's gRPC server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GrpcTls {
    /// Certificate authority that clients' certificates are held against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretOrConfigMap>,
    /// File with the certificate authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Certificate of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<SecretOrConfigMap>,
    /// File with the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<String>,
    /// Cipher suites.
    #[schemars(length(min = 1), extend("x-kubernetes-list-type" = "set"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher_suites: Option<Vec<String>>,
    /// Elliptic curves.
    #[schemars(length(min = 1), extend("x-kubernetes-list-type" = "set"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curves: Option<Vec<String>>,
    /// Whether certificates are taken unseen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure_skip_verify: Option<bool>,
    /// File with the private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
    /// Key of a Secret with the private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_secret: Option<KeySelector>,
    /// Highest version of TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_version: Option<TlsVersion>,
    /// Lowest version of TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_version: Option<TlsVersion>,
    /// Name that certificates must bear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}
