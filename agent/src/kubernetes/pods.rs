//! Which pod and container a cgroup belongs to, as the API knows it.

use super::watch::Sink;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use parking_lot::RwLock;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// A static pod's cgroups bear the hash of its file, not the uid of its mirror in the API.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";

/// A pod of this node.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct PodRef {
    pub(crate) namespace: String,
    pub(crate) name: String,
    containers: Vec<ContainerRef>,
}

#[derive(Clone, Debug, PartialEq)]
struct ContainerRef {
    id: String,
    name: String,
    image: String,
}

impl PodRef {
    fn new(pod: &Pod) -> Self {
        let status = pod.status.as_ref();
        let lists = status
            .map(|s| [&s.container_statuses, &s.init_container_statuses, &s.ephemeral_container_statuses]);
        let containers = lists.into_iter().flatten().flatten().flatten();
        PodRef {
            namespace: pod.metadata.namespace.clone().unwrap_or_default(),
            name: pod.metadata.name.clone().unwrap_or_default(),
            containers: containers.filter_map(ContainerRef::new).collect(),
        }
    }

    /// Name and image of the container with this runtime id.
    pub(crate) fn container(&self, id: &str) -> Option<(&str, &str)> {
        self.containers.iter().find(|c| c.id == id).map(|c| (c.name.as_str(), c.image.as_str()))
    }
}

impl ContainerRef {
    /// From a status: `containerd://ID`.
    fn new(status: &ContainerStatus) -> Option<Self> {
        let (_, id) = status.container_id.as_deref()?.split_once("://")?;
        Some(ContainerRef { id: id.to_owned(), name: status.name.clone(), image: status.image.clone() })
    }
}

/// The pods of this node by the uid in their cgroups' names.
#[derive(Default)]
pub(crate) struct PodIndex {
    pods: RwLock<FxHashMap<String, Arc<PodRef>>>,
    next: RwLock<FxHashMap<String, Arc<PodRef>>>,
}

impl PodIndex {
    /// The pod with this uid.
    pub(crate) fn get(&self, uid: &str) -> Option<Arc<PodRef>> {
        self.pods.read().get(uid).cloned()
    }
}

fn uid(pod: &Pod) -> Option<&str> {
    let hash = pod.metadata.annotations.as_ref().and_then(|a| a.get(CONFIG_HASH));
    hash.or(pod.metadata.uid.as_ref()).map(String::as_str)
}

impl Sink<Pod> for Arc<PodIndex> {
    fn restart(&self) {
        self.next.write().clear();
    }
    fn listed(&self, pod: &Pod) {
        if let Some(uid) = uid(pod) {
            self.next.write().insert(uid.to_owned(), Arc::new(PodRef::new(pod)));
        }
    }
    fn complete(&self) {
        *self.pods.write() = std::mem::take(&mut *self.next.write());
    }
    fn changed(&self, pod: &Pod) {
        if let Some(uid) = uid(pod) {
            self.pods.write().insert(uid.to_owned(), Arc::new(PodRef::new(pod)));
        }
    }
    fn gone(&self, pod: &Pod) {
        if let Some(uid) = uid(pod) {
            self.pods.write().remove(uid);
        }
    }
    fn stopped(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(json: serde_json::Value) -> Pod {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn containers_are_found_by_runtime_id() {
        let index = Arc::new(PodIndex::default());
        let web = pod(serde_json::json!({
            "metadata": {"namespace": "shop", "name": "web", "uid": "u-1"},
            "status": {"containerStatuses": [{
                "name": "nginx", "image": "nginx:1", "imageID": "", "ready": true, "restartCount": 0,
                "containerID": "containerd://abc"
            }]}
        }));
        index.changed(&web);
        let found = index.get("u-1").unwrap();
        assert_eq!((found.namespace.as_str(), found.container("abc")), ("shop", Some(("nginx", "nginx:1"))));
        assert_eq!(found.container("def"), None);
        index.restart();
        index.complete();
        assert_eq!(index.get("u-1"), None, "a new list without it");
    }

    #[test]
    fn static_pods_are_known_by_the_hash_of_their_file() {
        let index = Arc::new(PodIndex::default());
        index.changed(&pod(serde_json::json!({
            "metadata": {"name": "etcd", "uid": "mirror", "annotations": {"kubernetes.io/config.hash": "hash"}}
        })));
        assert!(index.get("hash").is_some() && index.get("mirror").is_none());
    }
}
