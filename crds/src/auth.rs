//! How a client proves who it is, by what proxy it goes, and whom it trusts.

use crate::scalar::{
    AzureCloud, AzureScope, AzureTenant, HttpUrl, NonEmpty, ProxyUrl, RequiredAzureTenant, TlsVersion,
};
use crate::select::{KeySelector, SecretOrConfigMap};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Headers sent to a proxy's CONNECT, their values from Secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline, extend("x-kubernetes-map-type" = "atomic"))]
pub struct ProxyHeaders(pub BTreeMap<String, Vec<KeySelector>>);

/// HTTP basic authentication.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BasicAuth {
    /// Key of a Secret with the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<KeySelector>,
    /// Key of a Secret with the user name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<KeySelector>,
}

/// The Authorization header, its credentials from a Secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SafeAuthorization {
    /// Key of a Secret with the credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<KeySelector>,
    /// Type of authentication, Bearer when empty; Basic is refused.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// The Authorization header, its credentials from a Secret or a file of the server's container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Authorization {
    /// Key of a Secret with the credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<KeySelector>,
    /// File with the credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_file: Option<String>,
    /// Type of authentication, Bearer when empty; Basic is refused.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// OAuth 2.0 client credentials.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OAuth2 {
    /// Key of a Secret or ConfigMap with the client's id.
    pub client_id: SecretOrConfigMap,
    /// Key of a Secret with the client's secret.
    pub client_secret: KeySelector,
    /// Parameters added to the token request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint_params: Option<BTreeMap<String, String>>,
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
    /// Scopes asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// TLS towards the token URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<SafeTlsConfig>,
    /// URL from which tokens are fetched.
    pub token_url: HttpUrl,
}

/// TLS of a client, all material from Secrets and ConfigMaps.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SafeTlsConfig {
    /// Certificate authority that the server's certificate is held against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretOrConfigMap>,
    /// Certificate of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<SecretOrConfigMap>,
    /// Whether the server's certificate is taken unseen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure_skip_verify: Option<bool>,
    /// Key of a Secret with the client's private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_secret: Option<KeySelector>,
    /// Highest version of TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_version: Option<TlsVersion>,
    /// Lowest version of TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_version: Option<TlsVersion>,
    /// Name that the server's certificate must bear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// TLS of a client, material from Secrets, ConfigMaps or files of the server's container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TlsConfig {
    /// Certificate authority that the server's certificate is held against.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<SecretOrConfigMap>,
    /// File with the certificate authority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<String>,
    /// Certificate of the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<SecretOrConfigMap>,
    /// File with the client's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<String>,
    /// Whether the server's certificate is taken unseen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub insecure_skip_verify: Option<bool>,
    /// File with the client's private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
    /// Key of a Secret with the client's private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_secret: Option<KeySelector>,
    /// Highest version of TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_version: Option<TlsVersion>,
    /// Lowest version of TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_version: Option<TlsVersion>,
    /// Name that the server's certificate must bear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
}

/// AWS Signature Version 4.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [{
    "message": "externalId can only be used when roleArn is specified",
    "rule": "!has(self.externalId) || has(self.roleArn)",
}]))]
pub struct Sigv4 {
    /// Key of a Secret with the access key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key: Option<KeySelector>,
    /// External id given when the role is assumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<NonEmpty>,
    /// Named profile of the AWS configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// AWS region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Role to assume.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_arn: Option<String>,
    /// Key of a Secret with the secret key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key: Option<KeySelector>,
    /// Whether the FIPS endpoint of STS is used.
    #[serde(rename = "useFIPSSTSEndpoint", skip_serializing_if = "Option::is_none")]
    pub use_fips_sts_endpoint: Option<bool>,
}

/// Azure AD authentication of remote write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureAd {
    /// The Azure cloud.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud: Option<AzureCloud>,
    /// By managed identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub managed_identity: Option<ManagedIdentity>,
    /// By OAuth client credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oauth: Option<AzureOAuth>,
    /// Scope of the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<AzureScope>,
    /// By the Azure SDK.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sdk: Option<AzureSdk>,
    /// By workload identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<WorkloadIdentity>,
}

/// A managed identity of Azure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManagedIdentity {
    /// Client id; the system-assigned identity when not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<NonEmpty>,
}

/// OAuth towards Azure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureOAuth {
    /// Client id.
    pub client_id: NonEmpty,
    /// Key of a Secret with the client's secret.
    pub client_secret: KeySelector,
    /// Tenant.
    pub tenant_id: RequiredAzureTenant,
}

/// The Azure SDK's own ways.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureSdk {
    /// Tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<AzureTenant>,
}

/// A workload identity of Azure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WorkloadIdentity {
    /// Client id.
    pub client_id: NonEmpty,
    /// Tenant.
    pub tenant_id: NonEmpty,
}
