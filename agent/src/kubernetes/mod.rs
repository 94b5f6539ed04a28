//! Access to the Kubernetes API: connected when it can be had, watched from then on; the agent works without.

mod lease;
mod pods;
mod watch;

pub(crate) use pods::PodIndex;
pub(crate) use watch::Sink;

use crate::kube_state::{self, KubeState, Store};
use crate::options::Options;
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Service};
use kube::runtime::watcher;
use kube::{Api, Client};
use lease::Election;
use runtime::Stage;
use runtime::clock::SharedClock;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// First and longest pause between attempts to connect.
const CONNECT_PAUSE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// Pods of a list that are in memory at the same time, decoded: some ten KiB each.
const PAGE: u32 = 100;

/// Everything the agent has from the API.
pub(crate) struct Kubernetes {
    pub(crate) state: Arc<KubeState>,
    pub(crate) pods: Arc<PodIndex>,
}

/// What the tasks need.
struct Access {
    state: Arc<KubeState>,
    pods: Arc<PodIndex>,
    stage: Stage,
    clock: SharedClock,
    node: Option<String>,
    serve_state: bool,
    lease: (String, Option<String>, Option<String>),
}

impl Kubernetes {
    /// Starts the tasks that connect and watch, where the options want them.
    pub(crate) fn start(options: &Options, clock: SharedClock, stage: &Stage) -> Self {
        let (state, pods) = (Arc::new(KubeState::new()), Arc::new(PodIndex::default()));
        if options.kubernetes == "off" || !(options.kube_state || options.cadvisor) {
            state.unavailable("Kubernetes is turned off");
            return Kubernetes { state, pods };
        }
        let access = Access {
            state: state.clone(),
            pods: pods.clone(),
            stage: stage.clone(),
            clock,
            node: options.node_name(),
            serve_state: options.kube_state,
            lease: (options.lease_name.clone(), options.lease_namespace(), options.identity()),
        };
        let token = stage.token();
        stage.spawn(async move {
            tokio::select! {
                () = token.cancelled() => {}
                client = connect(&access.state) => access.watch(client),
            }
        });
        Kubernetes { state, pods }
    }
}

/// Waits until there is a configuration to connect with.
async fn connect(state: &KubeState) -> Client {
    let (mut pause, longest) = CONNECT_PAUSE;
    loop {
        match Client::try_default().await {
            Ok(client) => return client,
            Err(e) => {
                tracing::debug!(error = %e, "no access to Kubernetes");
                state.unavailable(&format!("no access to Kubernetes: {e}"));
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

impl Access {
    fn watch(self, client: Client) {
        self.state.unavailable("the pods of this node have not been listed yet");
        let token = self.stage.token();
        match &self.node {
            Some(node) => self.own_pods(&client, node),
            None => tracing::warn!(
                "no node name: containers are shown without pod names (set --node-name or NODE_NAME)"
            ),
        }
        if !self.serve_state {
            return;
        }
        let (name, namespace, identity) = self.lease.clone();
        let namespace = namespace.unwrap_or_else(|| client.default_namespace().to_owned());
        let identity =
            identity.unwrap_or_else(|| rustix::system::uname().nodename().to_string_lossy().into_owned());
        let election = Election::new(client.clone(), &namespace, name, identity, self.clock.clone());
        let stage = self.stage.clone();
        stage.spawn(async move {
            let mut watching: Option<CancellationToken> = None;
            election
                .run(token, |leads| {
                    if let Some(old) = watching.take() {
                        old.cancel();
                    }
                    self.state.leads(leads);
                    if leads {
                        let child = self.stage.token().child_token();
                        self.cluster(&client, &child);
                        watching = Some(child);
                    }
                })
                .await;
        });
    }

    /// The pods of this node: their state, and the names of their containers.
    fn own_pods(&self, client: &Client, node: &str) {
        let config = watcher::Config::default().fields(&format!("spec.nodeName={node}")).page_size(PAGE);
        let mut sinks: Vec<Box<dyn watch::Sink<Pod>>> = vec![Box::new(self.pods.clone())];
        if self.serve_state {
            sinks.push(Box::new(self.state.pods.clone()));
        }
        self.start(&self.stage.token(), Api::<Pod>::all(client.clone()), config, sinks);
    }

    /// The objects that belong to no node, while this agent is elected.
    fn cluster(&self, client: &Client, token: &CancellationToken) {
        let state = &self.state;
        // without a node name there are no own pods, and nobody else reads those of the nodes
        let fields = if self.node.is_some() { "spec.nodeName=" } else { "" };
        let config = watcher::Config::default().fields(fields).page_size(PAGE);
        self.start(token, Api::<Pod>::all(client.clone()), config, vec![Box::new(state.unassigned.clone())]);
        self.all::<DaemonSet>(token, client, &state.daemonsets);
        self.all::<Deployment>(token, client, &state.deployments);
        self.all::<Job>(token, client, &state.jobs);
        self.all::<Namespace>(token, client, &state.namespaces);
        self.all::<Node>(token, client, &state.nodes);
        self.all::<ReplicaSet>(token, client, &state.replicasets);
        self.all::<Service>(token, client, &state.services);
        self.all::<StatefulSet>(token, client, &state.statefulsets);
    }

    fn all<K>(&self, token: &CancellationToken, client: &Client, store: &Arc<Store<K>>)
    where
        K: kube_state::Kind,
    {
        let config = watcher::Config::default().page_size(PAGE);
        self.start(token, Api::<K>::all(client.clone()), config, vec![Box::new(store.clone())]);
    }

    fn start<K>(
        &self,
        token: &CancellationToken,
        api: Api<K>,
        config: watcher::Config,
        sinks: Vec<Box<dyn watch::Sink<K>>>,
    ) where
        K: kube_state::Kind,
    {
        let (token, state) = (token.clone(), self.state.clone());
        self.stage.spawn(async move {
            watch::run(token, api, config, sinks, &state).await;
        });
    }
}
