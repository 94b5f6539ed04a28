//! The agent: one process per node that serves node, container and cluster-state metrics.
//!
//! | path | what | names and labels of |
//! | --- | --- | --- |
//! | `/metrics` | the machine, from `/proc` and `/sys` | node_exporter |
//! | `/metrics/cadvisor` | its containers, from the cgroup tree | a kubelet's cAdvisor endpoint |
//! | `/metrics/kube-state` | the cluster's objects, from the Kubernetes API | kube-state-metrics |
//!
//! Invariant: stores no sample; writes nothing to the API server but its own election lease.

pub mod options;

mod container;
mod http;
mod kube_state;
mod kubernetes;
mod node;
mod worker;

pub use node::SetupError;
pub use options::Options;

use runtime::Stage;
use runtime::clock::SharedClock;
use runtime::metrics::Registry;
use std::sync::Arc;

/// Why an agent cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node collectors refuse their options.
    #[error(transparent)]
    Node(#[from] SetupError),
}

/// The agent of one node. Clones share.
#[derive(Clone)]
pub struct Agent {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    node: node::NodeMetrics,
    kubernetes: kubernetes::Kubernetes,
    containers: container::ContainerMetrics,
}

impl Agent {
    /// An agent; its long-lived threads and watches run in `stage`. Must be called within a tokio runtime.
    ///
    /// Nothing is read and nobody is called before the first scrape, but for the watches of the Kubernetes API,
    /// which start at once where there is access to one.
    ///
    /// # Errors
    /// Where an option cannot be used: a bad regular expression, two options that exclude each other.
    pub fn new(options: Options, clock: SharedClock, stage: Stage) -> Result<Self, Error> {
        let own = Registry::with_process();
        let kubernetes = kubernetes::Kubernetes::start(&options, clock.clone(), &stage);
        let state = kubernetes.state.clone();
        own.gauge_fn(
            "pharos_agent_kube_state_bytes",
            "Memory that the rendered samples of the cluster's objects occupy in bytes.",
            move || state.size() as f64,
        );
        let containers =
            container::ContainerMetrics::new(&options, clock.clone(), &stage, kubernetes.pods.clone());
        let node = node::NodeMetrics::new(&options, clock, &stage, own)?;
        Ok(Agent { inner: Arc::new(Inner { options, node, kubernetes, containers }) })
    }

    /// All paths of the agent, the landing page included.
    pub fn router(&self) -> axum::Router {
        http::router(self.clone())
    }

    /// The text that `/metrics` answers with.
    ///
    /// # Errors
    /// Where the agent is stopping.
    pub async fn gather_node(&self) -> Result<String, String> {
        self.inner.node.gather(node::Filter::default()).await.map_err(|e| e.to_string())
    }

    /// What the agent was started with.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }
}
