//! Targets from the objects of a Kubernetes cluster.
//!
//! Watches are shared: a thousand jobs that follow the same kind in the same scope cost one.

mod client;
mod endpoints;
mod endpointslice;
mod ingress;
mod meta;
mod node;
mod pod;
mod ports;
mod reflector;
mod related;
mod scope;
pub mod secret;
mod service;
#[cfg(test)]
mod tests;

pub use client::Error as ClientError;
pub use endpoints::endpoints_group;
pub use endpointslice::endpointslice_group;
pub use ingress::ingress_group;
pub use node::node_group;
pub use pod::pod_group;
pub use related::{Nothing, Related};
pub use service::service_group;

use crate::manager::Output;
use client::Connection;
use config::prometheus::{HttpClientConfig, KubernetesRole, KubernetesSdConfig};
use kube::Api;
use kube::runtime::watcher;
use parking_lot::Mutex;
use reflector::{Object, Reflector};
use runtime::{CancellationToken, Stage};
use scope::Scope;
use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// Pause after a client that could not be made: files and credentials appear late while a pod starts.
const CONNECT_RETRY: Duration = Duration::from_secs(5);
/// Events that arrive within this time after a change are answered together.
const SETTLE: Duration = Duration::from_millis(20);

/// What a discovery follows, for people.
pub(crate) fn name(config: &KubernetesSdConfig) -> String {
    let role = config.role.map_or("", KubernetesRole::as_str);
    let namespaces = config.namespaces.clone().unwrap_or_default();
    let place = match (namespaces.own_namespace == Some(true), namespaces.names.is_empty()) {
        (true, true) => "own namespace".to_owned(),
        (true, false) => format!("own namespace, {}", namespaces.names.join(", ")),
        (false, true) => "all namespaces".to_owned(),
        (false, false) => namespaces.names.join(", "),
    };
    format!("kubernetes {role} in {place}")
}

/// Shares clients and watches among discoveries.
pub(crate) struct Hub {
    stage: Stage,
    connections: tokio::sync::Mutex<Vec<(ClientKey, Connection)>>,
    reflectors: Mutex<HashMap<(TypeId, String), Weak<dyn Any + Send + Sync>>>,
}

/// What tells one client from another.
type ClientKey = (Option<String>, Option<String>, HttpClientConfig);

impl Hub {
    pub(crate) fn new(stage: Stage) -> Arc<Self> {
        Arc::new(Hub { stage, connections: tokio::sync::Mutex::default(), reflectors: Mutex::default() })
    }

    /// The client of a discovery and its number.
    async fn connect(&self, config: &KubernetesSdConfig) -> Result<(usize, Connection), ClientError> {
        let key = (config.api_server.clone(), config.kubeconfig_file.clone(), config.http.clone());
        let mut connections = self.connections.lock().await;
        if let Some(at) = connections.iter().position(|(k, _)| *k == key) {
            let connection = connections.get(at).map(|(_, c)| c.clone());
            if let Some(connection) = connection {
                return Ok((at, connection));
            }
        }
        let connection = client::connect(config).await?;
        connections.push((key, connection.clone()));
        Ok((connections.len() - 1, connection))
    }

    /// The watch of a kind in a scope, running already or begun now.
    fn reflector<K: Object>(
        &self,
        client: usize,
        scope: &str,
        api: Api<K>,
        config: watcher::Config,
    ) -> Arc<Reflector<K>> {
        let selectors = (&config.label_selector, &config.field_selector);
        let key = (TypeId::of::<K>(), format!("{client} {scope} {selectors:?}"));
        let mut reflectors = self.reflectors.lock();
        let running = reflectors.get(&key).and_then(Weak::upgrade).and_then(|any| any.downcast().ok());
        if let Some(running) = running {
            return running;
        }
        reflectors.retain(|_, weak| weak.strong_count() > 0);
        let name = format!("{} {scope}", K::plural(&()));
        let started = Arc::new(Reflector::start(api, config, name, &self.stage));
        let any: Arc<dyn Any + Send + Sync> = started.clone();
        reflectors.insert(key, Arc::downgrade(&any));
        started
    }
}

/// Follows what the configuration asks for until the token is cancelled.
pub(crate) async fn run(
    config: KubernetesSdConfig,
    hub: Arc<Hub>,
    output: Arc<Output>,
    token: CancellationToken,
) {
    token.run_until_cancelled(follow(config, hub, output)).await;
}

async fn follow(config: KubernetesSdConfig, hub: Arc<Hub>, output: Arc<Output>) {
    let (client, connection) = loop {
        match hub.connect(&config).await {
            Ok(connected) => break connected,
            Err(error) => {
                let reason = reflector::reason(&error);
                tracing::warn!(
                    discovery = name(&config),
                    error = reason,
                    "no connection to the API server, trying again"
                );
                output.set_error("connection", Some(reason));
                tokio::time::sleep(CONNECT_RETRY).await;
            }
        }
    };
    output.set_error("connection", None);
    let changed = Arc::new(Notify::new());
    let mut scopes: Vec<Scope> = Scope::namespaces(&config, &connection.namespace)
        .into_iter()
        .map(|namespace| Scope::new(&config, &hub, client, &connection.client, namespace, &changed))
        .collect();
    loop {
        let mut groups = Vec::new();
        for scope in &mut scopes {
            for (part, error) in scope.errors() {
                output.set_error(&part, error);
            }
            groups.extend(scope.groups());
        }
        // before the first list is complete there is nothing to say: targets of an earlier run must not vanish
        if scopes.iter().any(Scope::is_ready) {
            output.set(groups);
        }
        changed.notified().await;
        tokio::time::sleep(SETTLE).await;
    }
}
