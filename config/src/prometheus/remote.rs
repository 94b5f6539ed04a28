//! Remote write and remote read.

use super::{HttpClientConfig, RelabelConfig};
use crate::{Duration, Secret};
use indexmap::IndexMap;

section! {
    /// A place to send samples to.
    pub struct RemoteWriteConfig {
        /// Where to.
        url: String,
        /// Time for one request; 30s where unset.
        remote_timeout: Option<Duration>,
        /// Further request headers.
        headers: IndexMap<String, String>,
        /// Changes labels of samples before they are sent.
        write_relabel_configs: Vec<RelabelConfig>,
        /// Name in metrics and logs; unique.
        name: Option<String>,
        /// Whether exemplars are sent.
        send_exemplars: Option<bool>,
        /// Whether native histograms are sent.
        send_native_histograms: Option<bool>,
        /// Whether connections go round the addresses of the host.
        round_robin_dns: Option<bool>,
        /// Version of the protocol.
        protobuf_message: Option<WriteMessage>,
        /// Whether the body of a failed request is logged.
        failed_request_logging: Option<bool>,
        /// The HTTP client.
        #[serde(rename = "<inline>http")]
        http: HttpClientConfig,
        /// The queue.
        queue_config: Option<QueueConfig>,
        /// Sending of metadata.
        metadata_config: Option<MetadataConfig>,
        /// AWS signatures.
        sigv4: Option<SigV4Config>,
        /// Azure identities.
        azuread: Option<AzureAdConfig>,
        /// Google identities.
        google_iam: Option<GoogleIamConfig>,
    }
}

words! {
    /// A version of the remote write message.
    pub enum WriteMessage {
        V1 = "prometheus.WriteRequest",
        V2 = "io.prometheus.write.v2.Request",
    }
}

section! {
    /// The queue before a remote end.
    pub struct QueueConfig {
        /// Samples that a shard holds; 10,000 where unset.
        capacity: Option<i64>,
        /// Most shards; 50 where unset.
        max_shards: Option<i64>,
        /// Fewest shards; 1 where unset.
        min_shards: Option<i64>,
        /// Most samples in a request; 2,000 where unset.
        max_samples_per_send: Option<i64>,
        /// Longest wait for a full request; 5s where unset.
        batch_send_deadline: Option<Duration>,
        /// First pause after a failure; 30ms where unset.
        min_backoff: Option<Duration>,
        /// Longest pause; 5s where unset.
        max_backoff: Option<Duration>,
        /// Whether status 429 is tried again.
        retry_on_http_429: Option<bool>,
        /// Age at which a sample is given up.
        sample_age_limit: Option<Duration>,
    }
}

section! {
    /// Sending of metadata.
    pub struct MetadataConfig {
        /// Whether it is sent; true where unset.
        send: Option<bool>,
        /// How often; 1m where unset.
        send_interval: Option<Duration>,
        /// Most entries in a request; 2,000 where unset.
        max_samples_per_send: Option<i64>,
    }
}

section! {
    /// AWS Signature Version 4.
    pub struct SigV4Config {
        /// Region.
        region: Option<String>,
        /// Key's id.
        access_key: Option<String>,
        /// Key.
        secret_key: Option<Secret>,
        /// Profile.
        profile: Option<String>,
        /// Role to take on.
        role_arn: Option<String>,
        /// External id of that role.
        external_id: Option<String>,
        /// Whether the FIPS endpoint gives tokens.
        use_fips_sts_endpoint: Option<bool>,
        /// Service to sign for.
        service_name: Option<String>,
    }
}

section! {
    /// Azure Entra identities: exactly one of them.
    pub struct AzureAdConfig {
        /// Managed identity.
        managed_identity: Option<AzureIdentity>,
        /// Workload identity.
        workload_identity: Option<AzureWorkloadIdentity>,
        /// OAuth client.
        oauth: Option<AzureOAuth>,
        /// What the SDK finds.
        sdk: Option<AzureSdk>,
        /// Certificate.
        certificate: Option<AzureCertificate>,
        /// Cloud; `AzurePublic` where unset.
        cloud: Option<String>,
        /// Scope of the token.
        scope: Option<String>,
    }
}

section! {
    /// A managed identity.
    pub struct AzureIdentity {
        /// Client.
        client_id: Option<String>,
    }
}

section! {
    /// A workload identity.
    pub struct AzureWorkloadIdentity {
        /// Client.
        client_id: Option<String>,
        /// Tenant.
        tenant_id: Option<String>,
        /// File with the token.
        token_file_path: Option<String>,
    }
}

section! {
    /// An OAuth client.
    pub struct AzureOAuth {
        /// Client.
        client_id: Option<String>,
        /// Its secret.
        client_secret: Option<Secret>,
        /// Tenant.
        tenant_id: Option<String>,
    }
}

section! {
    /// The SDK's default chain.
    pub struct AzureSdk {
        /// Tenant.
        tenant_id: Option<String>,
    }
}

section! {
    /// A client certificate.
    pub struct AzureCertificate {
        /// Client.
        client_id: Option<String>,
        /// Tenant.
        tenant_id: Option<String>,
        /// File with the certificate.
        certificate_path: Option<String>,
        /// File with its key.
        certificate_key_path: Option<String>,
        /// Password of that file.
        certificate_password: Option<Secret>,
        /// Whether the chain is sent.
        send_certificate_chain: Option<bool>,
    }
}

section! {
    /// Google identities.
    pub struct GoogleIamConfig {
        /// File with credentials.
        credentials_file: Option<String>,
    }
}

section! {
    /// A place to read samples from.
    pub struct RemoteReadConfig {
        /// Where from.
        url: String,
        /// Time for one request; 1m where unset.
        remote_timeout: Option<Duration>,
        /// Most bytes of a frame.
        chunked_read_limit: Option<u64>,
        /// Further request headers.
        headers: IndexMap<String, String>,
        /// Whether times that this server holds are asked for too.
        read_recent: Option<bool>,
        /// Name in metrics and logs; unique.
        name: Option<String>,
        /// The HTTP client.
        #[serde(rename = "<inline>http")]
        http: HttpClientConfig,
        /// Matchers that a query must have.
        required_matchers: IndexMap<String, String>,
        /// Whether external labels are added to queries; true where unset.
        filter_external_labels: Option<bool>,
    }
}
