//! Prometheus: a server, its storage, and which monitors it follows.
#![allow(clippy::duplicated_attributes)] // printer columns are alike in parts

use crate::native::Native;
use crate::remote::{Alerting, ApiServerConfig, RemoteRead, RemoteWrite};
use crate::scalar::{
    ByteSize, DiscoveryRole, DnsPolicy, Duration, LogFormat, LogLevel, MessageVersion, MonitorResource,
    MonitoringGroup, NameEscaping, NameValidation, NonEmpty, PodManagementPolicy, PullPolicy, ReloadStrategy,
    ScrapeProtocol, TranslationStrategy,
};
use crate::scrape::ScrapeClass;
use crate::select::{KeySelector, LabelSelector, LocalReference};
use crate::status::PrometheusStatus;
use crate::thanos::Thanos;
use crate::web::Web;
use crate::workload::{
    ShardRetentionPolicy, ShardingStrategy, SpreadConstraint, Storage, Tracing, Tsdb, UpdateStrategy,
};
use k8s_openapi::api::apps::v1::StatefulSetPersistentVolumeClaimRetentionPolicy;
use k8s_openapi::api::core::v1::{
    Affinity, Container, HostAlias, PodDNSConfig, PodSecurityContext, ResourceRequirements, Toleration,
    Volume, VolumeMount,
};
use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A server, its storage, and which monitors it follows.
#[derive(CustomResource, Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "monitoring.coreos.com",
    version = "v1",
    kind = "Prometheus",
    plural = "prometheuses",
    namespaced,
    shortname = "prom",
    category = "prometheus-operator",
    status = "PrometheusStatus",
    derive = "PartialEq",
    doc = "A server, its storage, and which monitors it follows.",
    scale(
        spec_replicas_path = ".spec.shards",
        status_replicas_path = ".status.shards",
        label_selector_path = ".status.selector"
    ),
    printcolumn(
        name = "Version",
        type_ = "string",
        json_path = ".spec.version",
        description = "The version of Prometheus"
    ),
    printcolumn(
        name = "Desired",
        type_ = "integer",
        json_path = ".spec.replicas",
        description = "The number of desired replicas"
    ),
    printcolumn(
        name = "Ready",
        type_ = "integer",
        json_path = ".status.availableReplicas",
        description = "The number of ready replicas"
    ),
    printcolumn(
        name = "Reconciled",
        type_ = "string",
        json_path = ".status.conditions[?(@.type == 'Reconciled')].status"
    ),
    printcolumn(
        name = "Available",
        type_ = "string",
        json_path = ".status.conditions[?(@.type == 'Available')].status"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Paused",
        type_ = "boolean",
        json_path = ".status.paused",
        priority = 1,
        description = "Whether the resource reconciliation is paused or not"
    )
)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "message": "shards must be greater than or equal to the number of topology values when sharding strategy mode is Topology",
    "rule": "!has(self.shardingStrategy) || !has(self.shardingStrategy.mode) || self.shardingStrategy.mode != 'Topology' || !has(self.shardingStrategy.topology) || !has(self.shardingStrategy.topology.values) || self.shardingStrategy.topology.values.size() == 0 || (has(self.shards) ? self.shards : 1) >= self.shardingStrategy.topology.values.size()",
}]))]
pub struct PrometheusSpec {
    /// Key of a Secret with further Alertmanager configurations, in Prometheus' form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_alert_manager_configs: Option<KeySelector>,
    /// Key of a Secret with further alert relabelling, in Prometheus' form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_alert_relabel_configs: Option<KeySelector>,
    /// Further arguments of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_args: Option<Vec<Argument>>,
    /// Key of a Secret with further scrape configurations, in Prometheus' form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub additional_scrape_configs: Option<KeySelector>,
    /// On which nodes the pods may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Native<Affinity>>,
    /// Where alerts are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alerting: Option<Alerting>,
    /// Not used (deprecated).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_overlapping_blocks: Option<bool>,
    /// The API server, where it is not the pod's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apiserver_config: Option<ApiServerConfig>,
    /// Whether monitors may name files of the server's container.
    #[serde(rename = "arbitraryFSAccessThroughSMs", skip_serializing_if = "Option::is_none")]
    pub arbitrary_fs_access_through_sms: Option<ArbitraryFsAccess>,
    /// Whether the service account's token is mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub automount_service_account_token: Option<bool>,
    /// Image without tag (deprecated: use image).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_image: Option<String>,
    /// Largest uncompressed response accepted from a target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body_size_limit: Option<ByteSize>,
    /// ConfigMaps mounted under /etc/prometheus/configmaps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_maps: Option<Vec<String>>,
    /// Further containers, and changes to those that the operator makes, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub containers: Option<Vec<Native<Container>>>,
    /// Whether classic histograms become native ones with custom buckets.
    #[serde(rename = "convertClassicHistogramsToNHCB", skip_serializing_if = "Option::is_none")]
    pub convert_classic_histograms_to_nhcb: Option<bool>,
    /// Whether blocks are left uncompacted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_compaction: Option<bool>,
    /// DNS settings of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_config: Option<Native<PodDNSConfig>>,
    /// How names are resolved in the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns_policy: Option<DnsPolicy>,
    /// Whether the API to delete series and take snapshots is served.
    #[serde(rename = "enableAdminAPI", skip_serializing_if = "Option::is_none")]
    pub enable_admin_api: Option<bool>,
    /// Features turned on by flag.
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_features: Option<Vec<NonEmpty>>,
    /// Whether OTLP metrics are received.
    #[serde(rename = "enableOTLPReceiver", skip_serializing_if = "Option::is_none")]
    pub enable_otlp_receiver: Option<bool>,
    /// Whether remote write is received.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_remote_write_receiver: Option<bool>,
    /// Whether services show as environment variables in the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_service_links: Option<bool>,
    /// Upper bound of the monitors' body size limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforced_body_size_limit: Option<ByteSize>,
    /// Upper bound of the monitors' dropped targets kept.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforced_keep_dropped_targets: Option<i64>,
    /// Upper bound of the monitors' label limits.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforced_label_limit: Option<i64>,
    /// Upper bound of the monitors' label name length limits.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforced_label_name_length_limit: Option<i64>,
    /// Upper bound of the monitors' label value length limits.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforced_label_value_length_limit: Option<i64>,
    /// Label that holds the namespace of the monitor on all its metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforced_namespace_label: Option<String>,
    /// Upper bound of the monitors' sample limits.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforced_sample_limit: Option<i64>,
    /// Upper bound of the monitors' target limits.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enforced_target_limit: Option<i64>,
    /// Time between evaluations of rules.
    #[schemars(extend("default" = "30s"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_interval: Option<Duration>,
    /// Resources that enforcement leaves out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excluded_from_enforcement: Option<Vec<ObjectReference>>,
    /// Storage of exemplars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exemplars: Option<Exemplars>,
    /// Labels added to samples and alerts that leave the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_labels: Option<BTreeMap<String, String>>,
    /// URL under which the server is reached from outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_url: Option<String>,
    /// Lines added to the pods' /etc/hosts.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["ip"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_aliases: Option<Vec<Native<HostAlias>>>,
    /// Whether pods use the node's network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_network: Option<bool>,
    /// Whether pods use the node's user namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_users: Option<bool>,
    /// Whether monitors select in their own namespace only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_namespace_selectors: Option<bool>,
    /// Image of the server; Pharos' own when not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// When images are pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_policy: Option<PullPolicy>,
    /// Secrets with which images are pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_pull_secrets: Option<Vec<LocalReference>>,
    /// Further init containers, and changes to those that the operator makes, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_containers: Option<Vec<Native<Container>>>,
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
    /// Whether the server listens on the loopback address only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen_local: Option<bool>,
    /// Form of log lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_format: Option<LogFormat>,
    /// Level of logging.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_level: Option<LogLevel>,
    /// Time that the server has to start.
    #[schemars(range(min = 60))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum_startup_duration_seconds: Option<i32>,
    /// Time that a pod must be ready before it counts as available.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ready_seconds: Option<i32>,
    /// How names outside of the legacy alphabet are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_escaping_scheme: Option<NameEscaping>,
    /// Which names are valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_validation_scheme: Option<NameValidation>,
    /// Labels of the nodes on which pods may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_selector: Option<BTreeMap<String, String>>,
    /// How OTLP metrics are translated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub otlp: Option<Otlp>,
    /// Whether all scrapes treat labels of the metrics as if honorLabels were false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_honor_labels: Option<bool>,
    /// Whether all scrapes treat timestamps as if honorTimestamps were false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub override_honor_timestamps: Option<bool>,
    /// Whether the operator leaves the resource alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// What becomes of volume claims when the StatefulSet shrinks or goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim_retention_policy:
        Option<Native<StatefulSetPersistentVolumeClaimRetentionPolicy>>,
    /// The order in which pods are started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_management_policy: Option<PodManagementPolicy>,
    /// Labels and annotations of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_metadata: Option<EmbeddedMetadata>,
    /// Namespaces of PodMonitors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_monitor_namespace_selector: Option<LabelSelector>,
    /// Labels of PodMonitors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_monitor_selector: Option<LabelSelector>,
    /// Labels of pods that all monitors put on the metrics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod_target_labels: Option<Vec<String>>,
    /// Name of the web port.
    #[schemars(extend("default" = "web"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_name: Option<String>,
    /// Priority class of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority_class_name: Option<String>,
    /// Namespaces of Probes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_namespace_selector: Option<LabelSelector>,
    /// Labels of Probes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probe_selector: Option<LabelSelector>,
    /// External label that names the Prometheus; prometheus when not set, none when empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prometheus_external_label_name: Option<String>,
    /// Rules that enforcement leaves out (deprecated: use excludedFromEnforcement).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prometheus_rules_excluded_from_enforce: Option<Vec<RuleReference>>,
    /// Limits of queries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<Query>,
    /// File to which queries are logged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query_log_file: Option<String>,
    /// How the server is told to reload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reload_strategy: Option<ReloadStrategy>,
    /// Endpoints that samples are read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_read: Option<Vec<RemoteRead>>,
    /// Endpoints that samples are sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_write: Option<Vec<RemoteWrite>>,
    /// Versions of remote write that are received.
    #[schemars(length(min = 1), extend("x-kubernetes-list-type" = "set"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_write_receiver_message_versions: Option<Vec<MessageVersion>>,
    /// External label that names the replica; prometheus_replica when not set, none when empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica_external_label_name: Option<String>,
    /// Pods of each shard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<i32>,
    /// Compute resources of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Native<ResourceRequirements>>,
    /// How long data is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention: Option<Duration>,
    /// How many bytes of blocks are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_size: Option<ByteSize>,
    /// Prefix of the web paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route_prefix: Option<String>,
    /// Namespaces of PrometheusRules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_namespace_selector: Option<LabelSelector>,
    /// How far in the past rules are evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_query_offset: Option<Duration>,
    /// Labels of PrometheusRules.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_selector: Option<LabelSelector>,
    /// How rules are evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rules: Option<Rules>,
    /// Settings of the language runtime.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<Runtime>,
    /// Most samples of a scrape.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_limit: Option<i64>,
    /// Scheduler of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduler_name: Option<NonEmpty>,
    /// Settings that monitors take over by naming the class.
    #[schemars(extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"]))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_classes: Option<Vec<ScrapeClass>>,
    /// Whether classic histograms are kept beside native ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_classic_histograms: Option<bool>,
    /// Namespaces of ScrapeConfigs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_config_namespace_selector: Option<LabelSelector>,
    /// Labels of ScrapeConfigs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_config_selector: Option<LabelSelector>,
    /// File to which failed scrapes are logged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_failure_log_file: Option<NonEmpty>,
    /// Time between scrapes.
    #[schemars(extend("default" = "30s"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_interval: Option<Duration>,
    /// Whether native histograms are scraped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_native_histograms: Option<bool>,
    /// Formats offered to targets, most wanted first.
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_protocols: Option<Vec<ScrapeProtocol>>,
    /// Time after which a scrape has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scrape_timeout: Option<Duration>,
    /// Secrets mounted under /etc/prometheus/secrets.
    #[schemars(extend("x-kubernetes-list-type" = "set"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Vec<String>>,
    /// Security settings of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub security_context: Option<Native<PodSecurityContext>>,
    /// Service account of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_name: Option<String>,
    /// Which objects tell where targets are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_discovery_role: Option<DiscoveryRole>,
    /// Namespaces of ServiceMonitors; the resource's own when not set, all when empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_monitor_namespace_selector: Option<LabelSelector>,
    /// Labels of ServiceMonitors; none when not set, all when empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_monitor_selector: Option<LabelSelector>,
    /// Governing service that exists already; prometheus-operated when not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_name: Option<NonEmpty>,
    /// Digest of the image (deprecated: use image).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha: Option<String>,
    /// What becomes of shards that are scaled away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shard_retention_policy: Option<ShardRetentionPolicy>,
    /// What targets are divided by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sharding_strategy: Option<ShardingStrategy>,
    /// Number of shards that targets are divided among.
    #[schemars(extend("default" = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shards: Option<i32>,
    /// Storage of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage: Option<Storage>,
    /// Tag of the image (deprecated: use image).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Most targets of a scrape configuration.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_limit: Option<i64>,
    /// Time that a pod has to stop.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub termination_grace_period_seconds: Option<i64>,
    /// The Thanos sidecar.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thanos: Option<Thanos>,
    /// Taints that the pods tolerate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerations: Option<Vec<Native<Toleration>>>,
    /// How pods are spread over the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topology_spread_constraints: Option<Vec<SpreadConstraint>>,
    /// Where traces of the server are sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracing_config: Option<Tracing>,
    /// Storage of samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tsdb: Option<Tsdb>,
    /// How the StatefulSet is rolled out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub update_strategy: Option<UpdateStrategy>,
    /// Version of Prometheus whose configuration is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Further mounts of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_mounts: Option<Vec<Native<VolumeMount>>>,
    /// Further volumes of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volumes: Option<Vec<Native<Volume>>>,
    /// Whether the write-ahead log is compressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wal_compression: Option<bool>,
    /// The web interface.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub web: Option<Web>,
}

/// One argument of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Argument {
    /// Name without leading dashes.
    pub name: NonEmpty,
    /// Value; a flag without one when not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// Whether monitors may name files of the server's container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArbitraryFsAccess {
    /// True refuses monitors that do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deny: Option<bool>,
}

/// A monitor or rule, or all of its kind in a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectReference {
    /// API group.
    #[schemars(extend("default" = "monitoring.coreos.com"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<MonitoringGroup>,
    /// Name; all objects of the namespace when empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Namespace.
    pub namespace: NonEmpty,
    /// Plural of the kind.
    pub resource: MonitorResource,
}

/// A PrometheusRule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleReference {
    /// Name.
    pub rule_name: String,
    /// Namespace.
    pub rule_namespace: String,
}

/// Storage of exemplars.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exemplars {
    /// Most exemplars kept; 0 turns the storage off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_size: Option<i64>,
}

/// How OTLP metrics are translated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Otlp {
    /// Whether explicit histograms become native ones with custom buckets.
    #[serde(rename = "convertHistogramsToNHCB", skip_serializing_if = "Option::is_none")]
    pub convert_histograms_to_nhcb: Option<bool>,
    /// Resource attributes that are not promoted.
    #[schemars(length(min = 1), extend("x-kubernetes-list-type" = "set"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore_resource_attributes: Option<Vec<NonEmpty>>,
    /// Whether target_info keeps the identifying attributes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_identifying_resource_attributes: Option<bool>,
    /// Whether runs of underscores are kept in label names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_name_preserve_multiple_underscores: Option<bool>,
    /// Whether label names that begin with an underscore get a prefix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_name_underscore_sanitization: Option<bool>,
    /// Whether all resource attributes become labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promote_all_resource_attributes: Option<bool>,
    /// Resource attributes that become labels.
    #[schemars(length(min = 1), extend("x-kubernetes-list-type" = "set"))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promote_resource_attributes: Option<Vec<NonEmpty>>,
    /// Whether the scope's metadata becomes labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promote_scope_metadata: Option<bool>,
    /// How names are translated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub translation_strategy: Option<TranslationStrategy>,
}

/// Metadata of objects that the operator makes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EmbeddedMetadata {
    /// Annotations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
    /// Labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Limits of queries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Query {
    /// How far back the latest sample is looked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lookback_delta: Option<String>,
    /// Most queries at a time.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrency: Option<i32>,
    /// Most samples of a query in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_samples: Option<i32>,
    /// Time after which a query is given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

/// How rules are evaluated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rules {
    /// How alerts are handled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alert: Option<RulesAlert>,
}

/// How alerts are handled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RulesAlert {
    /// Shortest wait before an alert with "for" fires after a restart.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_grace_period: Option<String>,
    /// Longest outage after which the state of "for" is restored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub for_outage_tolerance: Option<String>,
    /// Shortest wait before an alert is sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resend_delay: Option<String>,
}

/// Settings of the language runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Runtime {
    /// Garbage collection target of Go, in percent.
    #[serde(rename = "goGC", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -1))]
    pub go_gc: Option<i32>,
}
