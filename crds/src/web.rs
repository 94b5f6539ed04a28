//! The server's own web interface.

use crate::scalar::{ContentTypeOptions, FrameOptions};
use crate::select::{KeySelector, SecretOrConfigMap};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The web interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Web {
    /// HTTP settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_config: Option<WebHttp>,
    /// Most connections at a time; 0 means no limit.
    #[schemars(range(min = 0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<i32>,
    /// Title of the pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub page_title: Option<String>,
    /// TLS of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_config: Option<WebTls>,
}

/// HTTP settings of the web interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebHttp {
    /// Headers of responses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<WebHeaders>,
    /// Whether HTTP/2 is spoken; needs TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http2: Option<bool>,
}

/// Headers of responses.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebHeaders {
    /// Content-Security-Policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_security_policy: Option<String>,
    /// Strict-Transport-Security.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strict_transport_security: Option<String>,
    /// X-Content-Type-Options.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x_content_type_options: Option<ContentTypeOptions>,
    /// X-Frame-Options.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x_frame_options: Option<FrameOptions>,
    /// X-XSS-Protection.
    #[serde(rename = "xXSSProtection", skip_serializing_if = "Option::is_none")]
    pub x_xss_protection: Option<String>,
}

/// TLS of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebTls {
    /// Certificate of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<SecretOrConfigMap>,
    /// File with the server's certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert_file: Option<String>,
    /// Cipher suites of TLS 1.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cipher_suites: Option<Vec<String>>,
    /// Certificate authority that clients' certificates are held against.
    #[serde(rename = "client_ca", skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<SecretOrConfigMap>,
    /// Whether clients must show a certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_auth_type: Option<String>,
    /// File with the clients' certificate authority.
    #[serde(rename = "clientCAFile", skip_serializing_if = "Option::is_none")]
    pub client_ca_file: Option<String>,
    /// Elliptic curves, most wanted first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub curve_preferences: Option<Vec<String>>,
    /// File with the server's private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<String>,
    /// Key of a Secret with the server's private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_secret: Option<KeySelector>,
    /// Highest version of TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_version: Option<String>,
    /// Lowest version of TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_version: Option<String>,
    /// Whether the server's order of cipher suites counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefer_server_cipher_suites: Option<bool>,
}
