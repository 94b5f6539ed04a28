//! Clients of API servers.

use base64::Engine as _;
use config::prometheus::{HttpClientConfig, KubernetesSdConfig};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Map, Value, json};

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not in a pod with a service account.
    #[error("no in-cluster configuration: {0}")]
    InCluster(#[source] kube::config::InClusterError),
    /// The kubeconfig cannot be used.
    #[error("kubeconfig: {0}")]
    Kubeconfig(#[source] kube::config::KubeconfigError),
    /// The client cannot be made.
    #[error("cannot connect: {0}")]
    Client(#[source] Box<kube::Error>),
    /// A field that discovery through the API does not act on.
    #[error("`{0}` is not supported for kubernetes_sd_configs")]
    Unsupported(&'static str),
    /// A file with credentials.
    #[error("cannot read `{path}`: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// Neither in a cluster nor with a kubeconfig.
    #[error("no cluster: {0}")]
    Infer(#[source] Box<kube::config::InferConfigError>),
}

/// A client and the namespace that it counts as its own.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) client: kube::Client,
    pub(super) namespace: String,
}

/// The client of a discovery.
pub(super) async fn connect(config: &KubernetesSdConfig) -> Result<Connection, Error> {
    let kube_config = match (&config.api_server, &config.kubeconfig_file) {
        (Some(server), _) if !server.is_empty() => {
            let kubeconfig = kubeconfig(server, &config.http).await?;
            let made = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
            made.map_err(Error::Kubeconfig)?
        }
        (_, Some(file)) if !file.is_empty() => {
            let kubeconfig = Kubeconfig::read_from(file).map_err(Error::Kubeconfig)?;
            let made = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
            made.map_err(Error::Kubeconfig)?
        }
        _ => kube::Config::incluster().map_err(Error::InCluster)?,
    };
    open(kube_config)
}

/// The client of this process: in-cluster, else by the user's kubeconfig.
pub(super) async fn connect_default() -> Result<Connection, Error> {
    let config = kube::Config::infer().await.map_err(|e| Error::Infer(Box::new(e)))?;
    open(config)
}

fn open(config: kube::Config) -> Result<Connection, Error> {
    let namespace = config.default_namespace.clone();
    let client = kube::Client::try_from(config).map_err(|e| Error::Client(Box::new(e)))?;
    Ok(Connection { client, namespace })
}

/// Fields of a client as a kubeconfig, so that one path builds all clients.
async fn kubeconfig(server: &str, http: &HttpClientConfig) -> Result<Kubeconfig, Error> {
    if http.oauth2.is_some() {
        return Err(Error::Unsupported("oauth2"));
    }
    if !http.http_headers.is_empty() {
        return Err(Error::Unsupported("http_headers"));
    }
    if http.proxy.proxy_from_environment == Some(true) || !http.proxy.proxy_connect_header.is_empty() {
        return Err(Error::Unsupported("proxy_from_environment"));
    }
    let (mut cluster, mut user) = (Map::new(), Map::new());
    cluster.insert("server".into(), server.into());
    put(&mut cluster, "proxy-url", http.proxy.proxy_url.as_deref());
    set_tls(&mut cluster, &mut user, http);
    set_auth(&mut user, http).await?;
    let value = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "c", "user": user}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    });
    serde_json::from_value(value).map_err(|_| Error::Unsupported("api_server"))
}

fn put(map: &mut Map<String, Value>, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        map.insert(key.to_owned(), value.into());
    }
}

fn set_tls(cluster: &mut Map<String, Value>, user: &mut Map<String, Value>, http: &HttpClientConfig) {
    let Some(tls) = &http.tls_config else { return };
    let encoded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    put(cluster, "certificate-authority", tls.ca_file.as_deref());
    put(cluster, "certificate-authority-data", tls.ca.as_deref().map(encoded).as_deref());
    put(cluster, "tls-server-name", tls.server_name.as_deref());
    if tls.insecure_skip_verify == Some(true) {
        cluster.insert("insecure-skip-tls-verify".into(), true.into());
    }
    put(user, "client-certificate", tls.cert_file.as_deref());
    put(user, "client-key", tls.key_file.as_deref());
    put(user, "client-certificate-data", tls.cert.as_deref().map(encoded).as_deref());
    put(user, "client-key-data", tls.key.as_ref().map(|k| encoded(k.reveal())).as_deref());
}

async fn set_auth(user: &mut Map<String, Value>, http: &HttpClientConfig) -> Result<(), Error> {
    if let Some(basic) = &http.basic_auth {
        let name = match (&basic.username, &basic.username_file) {
            (None, Some(file)) => Some(read(file).await?),
            (name, _) => name.clone(),
        };
        let password = match (&basic.password, &basic.password_file) {
            (None, Some(file)) => Some(read(file).await?),
            (password, _) => password.as_ref().map(|p| p.reveal().to_owned()),
        };
        put(user, "username", name.as_deref());
        put(user, "password", password.as_deref());
    }
    put(user, "token", http.bearer_token.as_ref().map(config::Secret::reveal));
    put(user, "tokenFile", http.bearer_token_file.as_deref());
    if let Some(authorization) = &http.authorization {
        if !matches!(authorization.type_.as_deref(), None | Some("" | "Bearer")) {
            return Err(Error::Unsupported("authorization.type"));
        }
        put(user, "token", authorization.credentials.as_ref().map(config::Secret::reveal));
        put(user, "tokenFile", authorization.credentials_file.as_deref());
    }
    Ok(())
}

async fn read(path: &str) -> Result<String, Error> {
    let text = tokio::fs::read_to_string(path).await;
    text.map(|t| t.trim_end().to_owned()).map_err(|source| Error::Read { path: path.to_owned(), source })
}
