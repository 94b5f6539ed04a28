//! Storage, tracing and OTLP.

use super::TlsConfig;
use crate::{Duration, Size};
use indexmap::IndexMap;

section! {
    /// Storage.
    pub struct StorageConfig {
        /// Series.
        tsdb: Option<TsdbConfig>,
        /// Exemplars.
        exemplars: Option<ExemplarsConfig>,
    }
}

section! {
    /// Storage of series.
    pub struct TsdbConfig {
        /// How old an out-of-order sample may be.
        out_of_order_time_window: Option<Duration>,
        /// Share of stale series at which the head is compacted early.
        stale_series_compaction_threshold: Option<f64>,
        /// Encodings of chunks.
        chunk_encoding: Option<ChunkEncodingConfig>,
        /// What is kept.
        retention: Option<RetentionConfig>,
    }
}

section! {
    /// Encodings of chunks.
    pub struct ChunkEncodingConfig {
        /// Of float samples.
        floats: Option<FloatChunkEncoding>,
    }
}

words! {
    /// An encoding of float chunks.
    pub enum FloatChunkEncoding {
        Xor = "xor",
        Xor2 = "xor2",
    }
}

section! {
    /// What is kept: the first limit reached counts.
    pub struct RetentionConfig {
        /// Age.
        time: Option<Duration>,
        /// Bytes.
        size: Option<Size>,
        /// Share of the disk, per cent.
        percentage: Option<f64>,
    }
}

section! {
    /// Storage of exemplars.
    pub struct ExemplarsConfig {
        /// Most exemplars; 100,000 where unset.
        max_exemplars: Option<i64>,
    }
}

section! {
    /// Traces of this server.
    pub struct TracingConfig {
        /// Protocol; gRPC where unset.
        client_type: Option<TracingClientType>,
        /// Where to.
        endpoint: Option<String>,
        /// Share of requests, 0 to 1.
        sampling_fraction: Option<f64>,
        /// Whether without TLS.
        insecure: Option<bool>,
        /// TLS.
        tls_config: Option<TlsConfig>,
        /// Further headers.
        headers: IndexMap<String, String>,
        /// `gzip` or none.
        compression: Option<String>,
        /// Time for one export; 10s where unset.
        timeout: Option<Duration>,
    }
}

words! {
    /// A protocol for traces.
    pub enum TracingClientType {
        Http = "http",
        Grpc = "grpc",
    }
}

section! {
    /// How OTLP metrics become series.
    pub struct OtlpConfig {
        /// Whether all resource attributes become labels.
        promote_all_resource_attributes: Option<bool>,
        /// Resource attributes that become labels.
        promote_resource_attributes: Vec<String>,
        /// Those that do not, where all do.
        ignore_resource_attributes: Vec<String>,
        /// How names are translated.
        translation_strategy: Option<TranslationStrategy>,
        /// Whether service name and instance stay attributes too.
        keep_identifying_resource_attributes: Option<bool>,
        /// Whether explicit histograms become native ones.
        convert_histograms_to_nhcb: Option<bool>,
        /// Whether scope metadata becomes labels.
        promote_scope_metadata: Option<bool>,
        /// Whether labels beginning with an underscore get a prefix; true where unset.
        label_name_underscore_sanitization: Option<bool>,
        /// Whether repeated underscores stay; true where unset.
        label_name_preserve_multiple_underscores: Option<bool>,
    }
}

words! {
    /// How OTLP names are translated.
    pub enum TranslationStrategy {
        UnderscoreEscapingWithSuffixes = "UnderscoreEscapingWithSuffixes",
        UnderscoreEscapingWithoutSuffixes = "UnderscoreEscapingWithoutSuffixes",
        NoUtf8EscapingWithSuffixes = "NoUTF8EscapingWithSuffixes",
        NoTranslation = "NoTranslation",
    }
}
