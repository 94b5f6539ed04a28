//! The state of the cluster's objects, with the names of kube-state-metrics: one kind, one file.

mod daemonset;
mod deployment;
mod family;
mod job;
mod meta;
mod namespace;
mod node;
mod pod;
mod pod_parts;
mod replicaset;
mod service;
mod statefulset;

use crate::kubernetes::Sink;
pub(crate) use family::Scrape;
use family::{Family, Head, Rendered};
use k8s_openapi::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Service};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A kind of object: its table of families.
pub(crate) trait Kind:
    kube::Resource<DynamicType = ()>
    + Clone
    + serde::de::DeserializeOwned
    + std::fmt::Debug
    + Send
    + Sync
    + 'static
{
    /// As in resource names.
    const NAME: &'static str;
    /// In the order in which they are exposed.
    const FAMILIES: &'static [Family<Self>];
    /// Labels that all series of an object begin with.
    fn common(&self) -> Vec<(&'static str, &str)>;
}

macro_rules! kinds {
    ($($kind:ty => $module:ident, $name:literal;)*) => {
        $(impl Kind for $kind {
            const NAME: &'static str = $name;
            const FAMILIES: &'static [Family<Self>] = $module::FAMILIES;
            fn common(&self) -> Vec<(&'static str, &str)> {
                $module::common(self)
            }
        })*
    };
}

kinds! {
    DaemonSet => daemonset, "daemonsets";
    Deployment => deployment, "deployments";
    Job => job, "jobs";
    Namespace => namespace, "namespaces";
    Node => node, "nodes";
    Pod => pod, "pods";
    ReplicaSet => replicaset, "replicasets";
    Service => service, "services";
    StatefulSet => statefulset, "statefulsets";
}

type Objects = BTreeMap<Box<str>, Arc<Rendered>>;

/// The rendered objects of one kind.
pub(crate) struct Store<K> {
    objects: Mutex<Objects>,
    /// A list under way.
    next: Mutex<Objects>,
    listed: AtomicBool,
    kind: std::marker::PhantomData<fn(K)>,
}

impl<K> Default for Store<K> {
    fn default() -> Self {
        Store {
            objects: Mutex::default(),
            next: Mutex::default(),
            listed: AtomicBool::new(false),
            kind: std::marker::PhantomData,
        }
    }
}

impl<K: Kind> Store<K> {
    /// The families of the kind, and the objects now.
    fn snapshot(&self) -> (Vec<Head>, Vec<Arc<Rendered>>) {
        let heads = K::FAMILIES.iter().map(|f| Head { name: f.name, help: f.help, counter: f.counter });
        (heads.collect(), self.objects.lock().values().cloned().collect())
    }

    /// The same, once the kind has been listed.
    fn shown(&self) -> Option<(Vec<Head>, Vec<Arc<Rendered>>)> {
        self.is_listed().then(|| self.snapshot())
    }

    fn is_listed(&self) -> bool {
        self.listed.load(Ordering::Acquire)
    }

    fn size(&self) -> usize {
        self.objects.lock().iter().map(|(key, object)| key.len() + object.size()).sum()
    }
}

fn key<K: Kind>(object: &K) -> Box<str> {
    let meta = object.meta();
    let part = |p: &Option<String>| p.clone().unwrap_or_default();
    format!("{}/{}", part(&meta.namespace), part(&meta.name)).into()
}

fn render<K: Kind>(object: &K) -> Arc<Rendered> {
    Arc::new(Rendered::new(K::FAMILIES, &object.common(), object))
}

impl<K: Kind> Sink<K> for Arc<Store<K>> {
    fn restart(&self) {
        self.next.lock().clear();
    }
    fn listed(&self, object: &K) {
        self.next.lock().insert(key(object), render(object));
    }
    fn complete(&self) {
        *self.objects.lock() = std::mem::take(&mut *self.next.lock());
        self.listed.store(true, Ordering::Release);
    }
    fn changed(&self, object: &K) {
        self.objects.lock().insert(key(object), render(object));
    }
    fn gone(&self, object: &K) {
        self.objects.lock().remove(&key(object));
    }
    fn stopped(&self) {
        self.listed.store(false, Ordering::Release);
        self.objects.lock().clear();
    }
}

/// All kinds this agent covers.
pub(crate) struct KubeState {
    pub(crate) daemonsets: Arc<Store<DaemonSet>>,
    pub(crate) deployments: Arc<Store<Deployment>>,
    pub(crate) jobs: Arc<Store<Job>>,
    pub(crate) namespaces: Arc<Store<Namespace>>,
    pub(crate) nodes: Arc<Store<Node>>,
    /// The pods of this node.
    pub(crate) pods: Arc<Store<Pod>>,
    /// Pods without a node; where this agent has no node, all pods. The elected agent's.
    pub(crate) unassigned: Arc<Store<Pod>>,
    pub(crate) replicasets: Arc<Store<ReplicaSet>>,
    pub(crate) services: Arc<Store<Service>>,
    pub(crate) statefulsets: Arc<Store<StatefulSet>>,
    /// Why there is nothing to show, while there is not.
    reason: Mutex<String>,
    leads: AtomicBool,
}

impl KubeState {
    pub(crate) fn new() -> Self {
        KubeState {
            daemonsets: Arc::default(),
            deployments: Arc::default(),
            jobs: Arc::default(),
            namespaces: Arc::default(),
            nodes: Arc::default(),
            pods: Arc::default(),
            unassigned: Arc::default(),
            replicasets: Arc::default(),
            services: Arc::default(),
            statefulsets: Arc::default(),
            reason: Mutex::default(),
            leads: AtomicBool::new(false),
        }
    }

    /// Says why there is nothing to show yet.
    pub(crate) fn unavailable(&self, why: &str) {
        why.clone_into(&mut self.reason.lock());
    }

    /// Says that a kind cannot be followed.
    pub(crate) fn failed(&self, kind: &str, why: &str) {
        *self.reason.lock() = format!("cannot follow {kind}: {why}");
    }

    /// Whether this agent is the elected one.
    pub(crate) fn leads(&self, leads: bool) {
        self.leads.store(leads, Ordering::Release);
    }

    /// What a scrape shows, kinds in the order of the alphabet.
    ///
    /// # Errors
    /// Where nothing has been listed: says why.
    pub(crate) fn scrape(&self) -> Result<Scrape, String> {
        let mut kinds = Vec::new();
        if self.leads.load(Ordering::Acquire) {
            kinds.extend([self.daemonsets.shown(), self.deployments.shown(), self.jobs.shown()]);
            kinds.extend([self.namespaces.shown(), self.nodes.shown()]);
        }
        kinds.push(self.all_pods());
        if self.leads.load(Ordering::Acquire) {
            kinds.extend([self.replicasets.shown(), self.services.shown(), self.statefulsets.shown()]);
        }
        let kinds: Vec<_> = kinds.into_iter().flatten().collect();
        if kinds.is_empty() {
            return Err(self.reason.lock().clone());
        }
        Ok(Scrape::new(kinds))
    }

    fn all_pods(&self) -> Option<(Vec<Head>, Vec<Arc<Rendered>>)> {
        if !self.pods.is_listed() && !self.unassigned.is_listed() {
            return None;
        }
        let (heads, mut pods) = self.pods.snapshot();
        pods.extend(self.unassigned.snapshot().1);
        Some((heads, pods))
    }

    /// Bytes of all rendered objects.
    pub(crate) fn size(&self) -> usize {
        let workloads =
            self.daemonsets.size() + self.deployments.size() + self.jobs.size() + self.replicasets.size();
        let rest =
            self.namespaces.size() + self.nodes.size() + self.services.size() + self.statefulsets.size();
        workloads + rest + self.pods.size() + self.unassigned.size()
    }
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;
