//! The HTTP client of a job: who it is, whom it trusts, by what proxy it goes.

use super::Context;
use config::Secret;
use config::prometheus as out;
use crds::auth as api;
use crds::select::{KeySelector, SecretOrConfigMap};

/// HTTP basic authentication.
pub(crate) fn basic(
    context: &Context<'_>,
    namespace: &str,
    auth: &api::BasicAuth,
) -> Result<out::BasicAuth, String> {
    let none = KeySelector::default();
    let value = |what: &str, selector: &Option<KeySelector>| {
        context
            .materials
            .secret(namespace, selector.as_ref().unwrap_or(&none))
            .map_err(|e| format!("basicAuth: failed to get basic auth {what}: {e}"))
    };
    Ok(out::BasicAuth {
        username: Some(value("username", &auth.username)?),
        password: Some(value("password", &auth.password)?.into()),
        ..out::BasicAuth::default()
    })
}

/// The Authorization header, from a Secret or, where one is given, a file.
pub(crate) fn authorization(
    context: &Context<'_>,
    namespace: &str,
    kind: Option<&str>,
    credentials: Option<&KeySelector>,
    file: Option<&str>,
) -> Result<out::Authorization, String> {
    let given = kind.unwrap_or_default();
    let wrong = |e: String| format!("authorization: {e}");
    if given.trim().eq_ignore_ascii_case("basic") {
        return Err(wrong("type \"Basic\" is not allowed: use basicAuth".to_owned()));
    }
    let mut header = out::Authorization {
        type_: Some(if given.trim().is_empty() { "Bearer" } else { given.trim() }.to_owned()),
        ..out::Authorization::default()
    };
    match (credentials.filter(|c| !c.name.is_empty()), file.filter(|f| !f.is_empty())) {
        (Some(credentials), None) => {
            let token = context
                .materials
                .secret(namespace, credentials)
                .map_err(|e| wrong(format!("failed to get authorization token of type {given:?}: {e}")))?;
            header.credentials = Some(token.into());
        }
        (None, Some(file)) => header.credentials_file = Some(file.to_owned()),
        (Some(_), Some(_)) => return Err(wrong("both credentials and credentialsFile are set".to_owned())),
        (None, None) => return Err(wrong("'authorization' credentials are required".to_owned())),
    }
    Ok(header)
}

/// OAuth 2.0 client credentials.
pub(crate) fn oauth2(
    context: &Context<'_>,
    namespace: &str,
    auth: &api::OAuth2,
) -> Result<out::OAuth2, String> {
    let wrong = |what: &str, e: String| format!("oauth2: failed to get {what}: {e}");
    let id = context.materials.either(namespace, &auth.client_id).map_err(|e| wrong("client ID", e))?;
    let secret =
        context.materials.secret(namespace, &auth.client_secret).map_err(|e| wrong("client secret", e))?;
    let tls = auth.tls_config.as_ref().map(|tls| self::tls(context, namespace, &Tls::from(tls)));
    Ok(out::OAuth2 {
        client_id: Some(id),
        client_secret: Some(secret.into()),
        token_url: Some(auth.token_url.0.clone()),
        scopes: auth.scopes.clone().unwrap_or_default(),
        endpoint_params: auth.endpoint_params.clone().unwrap_or_default().into_iter().collect(),
        tls_config: tls
            .transpose()
            .and_then(|tls| tls.as_ref().map_or(Ok(()), check_pair).map(|()| tls))
            .map_err(|e| format!("oauth2: {e}"))?,
        proxy: proxy(
            context,
            namespace,
            &Proxy {
                url: auth.proxy_url.as_deref(),
                none: auth.no_proxy.as_deref(),
                environment: auth.proxy_from_environment,
                headers: auth.proxy_connect_header.as_ref(),
            },
        )
        .map_err(|e| format!("oauth2: {e}"))?,
        ..out::OAuth2::default()
    })
}

/// The fields of both kinds of TLS settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tls {
    pub(crate) ca: Option<SecretOrConfigMap>,
    pub(crate) ca_file: Option<String>,
    pub(crate) cert: Option<SecretOrConfigMap>,
    pub(crate) cert_file: Option<String>,
    pub(crate) key_file: Option<String>,
    pub(crate) key_secret: Option<KeySelector>,
    pub(crate) insecure_skip_verify: Option<bool>,
    pub(crate) max_version: Option<crds::scalar::TlsVersion>,
    pub(crate) min_version: Option<crds::scalar::TlsVersion>,
    pub(crate) server_name: Option<String>,
}

impl From<&api::SafeTlsConfig> for Tls {
    fn from(tls: &api::SafeTlsConfig) -> Self {
        Tls {
            ca: tls.ca.clone(),
            cert: tls.cert.clone(),
            key_secret: tls.key_secret.clone(),
            insecure_skip_verify: tls.insecure_skip_verify,
            max_version: tls.max_version.clone(),
            min_version: tls.min_version.clone(),
            server_name: tls.server_name.clone(),
            ..Tls::default()
        }
    }
}

impl From<&api::TlsConfig> for Tls {
    fn from(tls: &api::TlsConfig) -> Self {
        Tls {
            ca: tls.ca.clone(),
            ca_file: set(&tls.ca_file),
            cert: tls.cert.clone(),
            cert_file: set(&tls.cert_file),
            key_file: set(&tls.key_file),
            key_secret: tls.key_secret.clone(),
            insecure_skip_verify: tls.insecure_skip_verify,
            max_version: tls.max_version.clone(),
            min_version: tls.min_version.clone(),
            server_name: tls.server_name.clone(),
        }
    }
}

fn set(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| !text.is_empty())
}

impl Tls {
    /// Whether a file of the server's container is named.
    pub(crate) fn names_files(&self) -> bool {
        self.ca_file.is_some() || self.cert_file.is_some() || self.key_file.is_some()
    }
}

/// Takes the authority and the client's certificate and key from `other` where `tls` has none.
pub(crate) fn complete(tls: &mut out::TlsConfig, other: &out::TlsConfig) {
    for (own, given) in [
        (&mut tls.ca_file, &other.ca_file),
        (&mut tls.cert_file, &other.cert_file),
        (&mut tls.key_file, &other.key_file),
    ] {
        if own.is_none() {
            own.clone_from(given);
        }
    }
}

/// A client's certificate is of no use without its key, and the other way about.
pub(crate) fn check_pair(tls: &out::TlsConfig) -> Result<(), String> {
    match (&tls.cert_file, &tls.key_file) {
        (Some(_), None) => Err("tlsConfig: cannot specify client cert without client key".to_owned()),
        (None, Some(_)) => Err("tlsConfig: cannot specify client key without client cert".to_owned()),
        _ => Ok(()),
    }
}

/// TLS of a client; material from Secrets and ConfigMaps becomes files.
pub(crate) fn tls(context: &Context<'_>, namespace: &str, tls: &Tls) -> Result<out::TlsConfig, String> {
    let file = |what: &str, source: &Option<SecretOrConfigMap>, file: &Option<String>| {
        let from_object = match source {
            Some(source) => {
                context.materials.asset(namespace, source).map_err(|e| format!("tlsConfig: {what}: {e}"))?
            }
            None => None,
        };
        Ok::<_, String>(from_object.or_else(|| file.clone()))
    };
    let key =
        tls.key_secret.clone().map(|secret| SecretOrConfigMap { secret: Some(secret), config_map: None });
    let version = |version: &Option<crds::scalar::TlsVersion>| {
        version
            .as_ref()
            .map(|v| v.parse::<out::TlsVersion>())
            .transpose()
            .map_err(|e| format!("tlsConfig: {e}"))
    };
    Ok(out::TlsConfig {
        ca_file: file("ca", &tls.ca, &tls.ca_file)?,
        cert_file: file("cert", &tls.cert, &tls.cert_file)?,
        key_file: file("keySecret", &key, &tls.key_file)?,
        server_name: tls.server_name.clone().filter(|name| !name.is_empty()),
        insecure_skip_verify: tls.insecure_skip_verify,
        min_version: version(&tls.min_version)?,
        max_version: version(&tls.max_version)?,
        ..out::TlsConfig::default()
    })
}

/// The fields of a proxy.
pub(crate) struct Proxy<'a> {
    pub(crate) url: Option<&'a str>,
    pub(crate) none: Option<&'a str>,
    pub(crate) environment: Option<bool>,
    pub(crate) headers: Option<&'a api::ProxyHeaders>,
}

/// The proxy of a client.
pub(crate) fn proxy(
    context: &Context<'_>,
    namespace: &str,
    proxy: &Proxy<'_>,
) -> Result<out::ProxyConfig, String> {
    let mut headers = indexmap::IndexMap::new();
    for (name, values) in proxy.headers.iter().flat_map(|headers| &headers.0) {
        let values: Result<Vec<Secret>, String> =
            values.iter().map(|selector| Ok(context.materials.secret(namespace, selector)?.into())).collect();
        headers.insert(name.clone(), values.map_err(|e| format!("proxyConnectHeader: {e}"))?);
    }
    Ok(out::ProxyConfig {
        proxy_url: proxy.url.map(str::to_owned),
        no_proxy: proxy.none.map(str::to_owned),
        proxy_from_environment: proxy.environment,
        proxy_connect_header: headers,
    })
}
