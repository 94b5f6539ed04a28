//! Strings that the API server holds against a pattern or a list of words.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Declares a string type with the schema keywords that follow its name.
macro_rules! text {
    ($($(#[$doc:meta])* $name:ident { $($key:literal: $value:expr),* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", $($key: $value),* })
            }
        }

        impl std::ops::Deref for $name {
            type Target = str;
            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                $name(text.to_owned())
            }
        }
    )*};
}

text! {
    /// A string that is not empty.
    NonEmpty { "minLength": 1 }
    /// A duration in Prometheus' form, such as `1h30m`.
    Duration { "pattern": "^(0|(([0-9]+)y)?(([0-9]+)w)?(([0-9]+)d)?(([0-9]+)h)?(([0-9]+)m)?(([0-9]+)s)?(([0-9]+)ms)?)$" }
    /// A number of bytes with a unit, such as `512MB`.
    ByteSize { "pattern": "(^0|([0-9]*[.])?[0-9]+((K|M|G|T|E|P)i?)?B)$" }
    /// An HTTP or HTTPS URL.
    HttpUrl { "pattern": "^(http|https)://.+$" }
    /// The URL of a proxy.
    ProxyUrl { "pattern": "^(http|https|socks5)://.+$" }
    /// HTTP or HTTPS.
    Scheme { "enum": ["http", "https", "HTTP", "HTTPS"] }
    /// A version of TLS.
    TlsVersion { "enum": ["TLS10", "TLS11", "TLS12", "TLS13"] }
    /// A format in which targets expose metrics.
    ScrapeProtocol { "enum": [
        "PrometheusProto", "OpenMetricsText0.0.1", "OpenMetricsText1.0.0", "PrometheusText0.0.4", "PrometheusText1.0.0"
    ] }
    /// What a relabelling rule does.
    RelabelAction { "enum": [
        "replace", "Replace", "keep", "Keep", "drop", "Drop", "hashmod", "HashMod", "labelmap", "LabelMap",
        "labeldrop", "LabelDrop", "labelkeep", "LabelKeep", "lowercase", "Lowercase", "uppercase", "Uppercase",
        "keepequal", "KeepEqual", "dropequal", "DropEqual"
    ], "default": "replace" }
    /// Which objects tell where targets are.
    DiscoveryRole { "enum": ["Endpoints", "EndpointSlice"] }
    /// How a monitor's selector is carried out.
    SelectorMechanism { "enum": ["RelabelConfig", "RoleSelector"] }
    /// A level of logging.
    LogLevel { "enum": ["", "debug", "info", "warn", "error"] }
    /// A form of log lines.
    LogFormat { "enum": ["", "logfmt", "json"] }
    /// A version of the remote write message.
    MessageVersion { "enum": ["V1.0", "V2.0"] }
    /// How a pod's names are resolved.
    DnsPolicy { "enum": ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"] }
    /// When an image is pulled.
    PullPolicy { "enum": ["", "Always", "Never", "IfNotPresent"] }
    /// How names outside of the legacy alphabet are written.
    NameEscaping { "enum": ["AllowUTF8", "Underscores", "Dots", "Values"] }
    /// Which names are valid.
    NameValidation { "enum": ["UTF8", "Legacy"] }
    /// How names of OTLP metrics are translated.
    TranslationStrategy { "enum": [
        "NoUTF8EscapingWithSuffixes", "UnderscoreEscapingWithSuffixes", "NoTranslation",
        "UnderscoreEscapingWithoutSuffixes"
    ] }
    /// The order in which pods are started.
    PodManagementPolicy { "enum": ["OrderedReady", "Parallel"] }
    /// How a process is told to reload.
    ReloadStrategy { "enum": ["HTTP", "ProcessSignal"] }
    /// What becomes of a shard that is scaled away.
    WhenScaled { "enum": ["Retain", "Delete"] }
    /// What targets are divided by.
    ShardingMode { "enum": ["Address", "Topology"] }
    /// Which labels are added to a spread constraint's selector.
    SpreadLabels { "enum": ["OnResource", "OnShard"] }
    /// How samples are encoded in chunks.
    FloatEncoding { "enum": ["Xor", "Xor2"] }
    /// How a StatefulSet is rolled out.
    UpdateStrategyType { "enum": ["OnDelete", "RollingUpdate"] }
    /// A version of Alertmanager's API.
    AlertmanagerApi { "enum": ["v1", "V1", "v2", "V2"] }
    /// An Azure cloud.
    AzureCloud { "enum": ["AzureChina", "AzureGovernment", "AzurePublic"] }
    /// An Azure tenant.
    AzureTenant { "pattern": "^[0-9a-zA-Z-.]+$" }
    /// An Azure tenant that must be named.
    RequiredAzureTenant { "minLength": 1, "pattern": "^[0-9a-zA-Z-.]+$" }
    /// The scope of an Azure token.
    AzureScope { "pattern": r"^[\w\s:/.\\-]+$" }
    /// A protocol by which traces are sent.
    TracingClient { "enum": ["http", "grpc", "HTTP", "GRPC"] }
    /// A compression of traces.
    TracingCompression { "enum": ["gzip", "Gzip"] }
    /// The value of `X-Content-Type-Options`.
    ContentTypeOptions { "enum": ["", "NoSniff"] }
    /// The value of `X-Frame-Options`.
    FrameOptions { "enum": ["", "Deny", "SameOrigin"] }
    /// The group that a reference may name.
    MonitoringGroup { "enum": ["monitoring.coreos.com"] }
    /// The kinds that a reference may name.
    MonitorResource { "enum": ["prometheusrules", "servicemonitors", "podmonitors", "probes", "scrapeconfigs"] }
    /// The kinds that select others.
    WorkloadResource { "enum": ["prometheuses", "prometheusagents", "thanosrulers", "alertmanagers"] }
    /// The condition of a binding.
    BindingConditionType { "enum": ["Accepted"], "minLength": 1 }
}

/// A number as Kubernetes writes quantities: an integer, or text such as `500m`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Quantity {
    /// An integer.
    Integer(i64),
    /// Text, with a fraction or a suffix.
    Text(String),
}

/// What a quantity must look like.
pub(crate) const QUANTITY: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";

impl JsonSchema for Quantity {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Quantity".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [{ "type": "integer" }, { "type": "string" }],
            "pattern": QUANTITY,
            "x-kubernetes-int-or-string": true,
        })
    }
}
