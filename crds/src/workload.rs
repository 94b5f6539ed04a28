//! How the pods of a Prometheus are divided, stored, spread and rolled out, and how samples are kept.

use crate::auth::TlsConfig;
use crate::native::{EmbeddedClaim, Native};
use crate::scalar::{
    Duration, FloatEncoding, NonEmpty, Quantity, ShardingMode, SpreadLabels, TracingClient,
    TracingCompression, UpdateStrategyType, WhenScaled,
};
use crate::select::LabelSelector;
use k8s_openapi::api::core::v1::{EmptyDirVolumeSource, EphemeralVolumeSource};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What becomes of shards that are scaled away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ShardRetentionPolicy {
    /// For how long they are retained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain: Option<Retain>,
    /// Retained or deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when_scaled: Option<WhenScaled>,
}

/// For how long shards are retained.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Retain {
    /// The time.
    pub retention_period: Duration,
}

/// What targets are divided by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "message": "topology can only be defined when mode is set to 'Topology'",
    "rule": "!has(self.topology) || (has(self.mode) && self.mode == 'Topology')",
}]))]
pub struct ShardingStrategy {
    /// Address or topology.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<ShardingMode>,
    /// The topology.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology: Option<Topology>,
}

/// Targets divided by where they run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Topology {
    /// External label that names the topology value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_label_name: Option<String>,
    /// The topology values.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
}

/// Storage of the pods.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Storage {
    /// Whether the volume is mounted without a directory of its own (deprecated).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_mount_sub_path: Option<bool>,
    /// Lost with the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<Native<EmptyDirVolumeSource>>,
    /// A claim that lives as long as the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<Native<EphemeralVolumeSource>>,
    /// A claim that outlives the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_claim_template: Option<EmbeddedClaim>,
}

/// How pods are spread over the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SpreadConstraint {
    /// Which labels are added to the selector: those of the resource, or of the shard too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_label_selectors: Option<SpreadLabels>,
    /// Pods that are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
    /// Labels whose values select the pods that are counted.
    #[schemars(extend("x-kubernetes-list-type" = "atomic"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub match_label_keys: Option<Vec<String>>,
    /// Largest difference between domains.
    pub max_skew: i32,
    /// Fewest domains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_domains: Option<i32>,
    /// Whether the pod's node selector counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_affinity_policy: Option<String>,
    /// Whether taints of nodes count.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_taints_policy: Option<String>,
    /// Label of nodes whose values are the domains.
    pub topology_key: String,
    /// DoNotSchedule or ScheduleAnyway.
    pub when_unsatisfiable: String,
}

/// Where traces of the server are sent.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tracing {
    /// HTTP or gRPC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_type: Option<TracingClient>,
    /// Compression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<TracingCompression>,
    /// Host and port.
    pub endpoint: NonEmpty,
    /// Headers added to each request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
    /// Whether TLS is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure: Option<bool>,
    /// Share of the requests that are traced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sampling_fraction: Option<Quantity>,
    /// Time after which sending has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<TlsConfig>,
}

/// Storage of samples.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Tsdb {
    /// How samples are encoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub chunk_encoding: Option<ChunkEncoding>,
    /// How old a sample out of order may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub out_of_order_time_window: Option<Duration>,
    /// Share of stale series at which the head is compacted early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale_series_compaction_threshold: Option<Quantity>,
}

/// How samples are encoded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChunkEncoding {
    /// Encoding of floats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub floats: Option<FloatEncoding>,
}

/// How the StatefulSet is rolled out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "message": "rollingUpdate requires type to be RollingUpdate",
    "rule": "!(self.type != 'RollingUpdate' && has(self.rollingUpdate))",
}]))]
pub struct UpdateStrategy {
    /// Settings of RollingUpdate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rolling_update: Option<RollingUpdate>,
    /// OnDelete or RollingUpdate.
    #[serde(rename = "type")]
    pub kind: UpdateStrategyType,
}

/// Settings of a rolling update.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RollingUpdate {
    /// Most pods that are down at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_unavailable: Option<IntOrString>,
}
