//! How an HTTP client authenticates and connects: the fields that scrapes, discoveries and remote ends share.

use crate::Secret;
use indexmap::IndexMap;

section! {
    /// Authentication, TLS and proxy of an HTTP client. Its fields stand directly in the section that has it.
    pub struct HttpClientConfig {
        /// User and password.
        basic_auth: Option<BasicAuth>,
        /// The `Authorization` header.
        authorization: Option<Authorization>,
        /// OAuth 2.0 client credentials.
        oauth2: Option<OAuth2>,
        /// Older form of `authorization.credentials`.
        bearer_token: Option<Secret>,
        /// Older form of `authorization.credentials_file`.
        bearer_token_file: Option<String>,
        /// TLS to the server.
        tls_config: Option<TlsConfig>,
        /// Whether redirects are followed; true where unset.
        follow_redirects: Option<bool>,
        /// Whether HTTP/2 is offered; true where unset.
        enable_http2: Option<bool>,
        /// The proxy.
        #[serde(rename = "<inline>proxy")]
        proxy: ProxyConfig,
        /// Further request headers.
        http_headers: IndexMap<String, HttpHeader>,
    }
}

section! {
    /// User and password, each inline, from a file or by reference.
    pub struct BasicAuth {
        /// User.
        username: Option<String>,
        /// File with the user.
        username_file: Option<String>,
        /// Name of a secret with the user.
        username_ref: Option<String>,
        /// Password.
        password: Option<Secret>,
        /// File with the password.
        password_file: Option<String>,
        /// Name of a secret with the password.
        password_ref: Option<String>,
    }
}

section! {
    /// An `Authorization` header: type and credentials.
    pub struct Authorization {
        /// The scheme; `Bearer` where unset.
        #[serde(rename = "type")]
        type_: Option<String>,
        /// The credentials.
        credentials: Option<Secret>,
        /// File with the credentials.
        credentials_file: Option<String>,
        /// Name of a secret with the credentials.
        credentials_ref: Option<String>,
    }
}

section! {
    /// OAuth 2.0 client credentials.
    pub struct OAuth2 {
        /// Client.
        client_id: Option<String>,
        /// Its secret.
        client_secret: Option<Secret>,
        /// File with the secret.
        client_secret_file: Option<String>,
        /// Name of a secret with it.
        client_secret_ref: Option<String>,
        /// Id of the key that signs assertions.
        client_certificate_key_id: Option<String>,
        /// That key.
        client_certificate_key: Option<Secret>,
        /// File with that key.
        client_certificate_key_file: Option<String>,
        /// Name of a secret with that key.
        client_certificate_key_ref: Option<String>,
        /// `client_credentials` or the JWT bearer grant.
        grant_type: Option<String>,
        /// Algorithm of assertions, e.g. `RS256`.
        signature_algorithm: Option<String>,
        /// Issuer in assertions.
        iss: Option<String>,
        /// Audience in assertions.
        audience: Option<String>,
        /// Further claims.
        claims: IndexMap<String, crate::yaml::Raw>,
        /// Scopes.
        scopes: Vec<String>,
        /// Where tokens are got.
        token_url: Option<String>,
        /// Further parameters of that URL.
        endpoint_params: IndexMap<String, String>,
        /// TLS to that URL.
        tls_config: Option<TlsConfig>,
        /// Proxy to that URL.
        #[serde(rename = "<inline>proxy")]
        proxy: ProxyConfig,
    }
}

section! {
    /// TLS of a client.
    pub struct TlsConfig {
        /// Authorities, PEM.
        ca: Option<String>,
        /// Client certificate, PEM.
        cert: Option<String>,
        /// Client key, PEM.
        key: Option<Secret>,
        /// File with the authorities.
        ca_file: Option<String>,
        /// File with the client certificate.
        cert_file: Option<String>,
        /// File with the client key.
        key_file: Option<String>,
        /// Name of a secret with the authorities.
        ca_ref: Option<String>,
        /// Name of a secret with the client certificate.
        cert_ref: Option<String>,
        /// Name of a secret with the client key.
        key_ref: Option<String>,
        /// Name that the server's certificate must have.
        server_name: Option<String>,
        /// Whether the server's certificate is not verified.
        insecure_skip_verify: Option<bool>,
        /// Oldest version.
        min_version: Option<TlsVersion>,
        /// Newest version.
        max_version: Option<TlsVersion>,
    }
}

words! {
    /// A version of TLS.
    pub enum TlsVersion {
        Tls10 = "TLS10",
        Tls11 = "TLS11",
        Tls12 = "TLS12",
        Tls13 = "TLS13",
    }
}

section! {
    /// The proxy of a client.
    pub struct ProxyConfig {
        /// Its URL.
        proxy_url: Option<String>,
        /// Hosts that are reached without it, separated by commas.
        no_proxy: Option<String>,
        /// Whether the environment's proxy variables count.
        proxy_from_environment: Option<bool>,
        /// Headers of CONNECT requests.
        proxy_connect_header: IndexMap<String, Vec<Secret>>,
    }
}

section! {
    /// Values of a request header.
    pub struct HttpHeader {
        /// Values.
        values: Vec<String>,
        /// Values that are not shown.
        secrets: Vec<Secret>,
        /// Files with values.
        files: Vec<String>,
    }
}
