//! What endpoints and endpoint slices share: the pods behind addresses, and their ports that no endpoint names.

use super::meta::{self, Labels, join, set};
use super::pod;
use super::related::Related;
use crate::ADDRESS;
use k8s_openapi::api::core::v1::{ObjectReference, Pod};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Pods behind the addresses, and which of their ports have a target.
#[derive(Default)]
pub(super) struct SeenPods(BTreeMap<(String, String), (Arc<Pod>, Vec<i32>)>);

impl SeenPods {
    /// Adds the labels of the pod that the address refers to, and of its container with the port.
    pub(super) fn attach(
        &mut self,
        target: &mut Labels,
        reference: Option<&ObjectReference>,
        namespace: &str,
        port: Option<i32>,
        related: &dyn Related,
    ) {
        let Some(reference) = reference.filter(|r| r.kind.as_deref() == Some("Pod")) else { return };
        let namespace = reference.namespace.as_deref().unwrap_or(namespace);
        let name = reference.name.as_deref().unwrap_or_default();
        let Some(pod) = related.pod(namespace, name) else { return };
        target.extend(pod::labels(&pod));
        let container = pod::containers(&pod).find_map(|(container, is_init)| {
            let ports = container.ports.as_deref().unwrap_or_default();
            let found = ports.iter().find(|p| Some(p.container_port) == port)?;
            Some((container, found, is_init))
        });
        if let Some((container, found, is_init)) = container {
            set(target, "pod_container_name", &container.name);
            set(target, "pod_container_image", container.image.as_deref().unwrap_or_default());
            set(target, "pod_container_init", is_init.to_string());
            pod::set_port(target, found);
        }
        let seen = self.0.entry((namespace.to_owned(), name.to_owned())).or_insert((pod.clone(), Vec::new()));
        seen.1.extend(port);
    }

    /// Targets for the pods' ports that no endpoint names.
    pub(super) fn other_ports(self) -> Vec<Labels> {
        let mut targets = Vec::new();
        for (pod, served) in self.0.into_values() {
            let ip = pod::ip(&pod);
            if ip.is_empty() {
                continue;
            }
            for (container, is_init) in pod::containers(&pod) {
                for port in container.ports.iter().flatten().filter(|p| !served.contains(&p.container_port)) {
                    let mut target = pod::labels(&pod);
                    target.insert(ADDRESS.to_owned(), join(ip, port.container_port));
                    set(&mut target, "pod_container_name", &container.name);
                    set(&mut target, "pod_container_image", container.image.as_deref().unwrap_or_default());
                    set(&mut target, "pod_container_init", is_init.to_string());
                    pod::set_port(&mut target, port);
                    targets.push(target);
                }
            }
        }
        targets
    }
}

/// Kind and name of what an address refers to, as labels.
pub(super) fn set_reference(target: &mut Labels, role: &str, reference: Option<&ObjectReference>) {
    if let Some(reference) = reference {
        set(target, &format!("{role}_address_target_kind"), reference.kind.as_deref().unwrap_or_default());
        set(target, &format!("{role}_address_target_name"), reference.name.as_deref().unwrap_or_default());
    }
}

/// The node of an address: told, or referred to.
pub(super) fn node_of<'a>(told: Option<&'a str>, reference: Option<&'a ObjectReference>) -> Option<&'a str> {
    let referred = reference.filter(|r| r.kind.as_deref() == Some("Node"));
    told.or_else(|| referred.and_then(|r| r.name.as_deref()))
}

/// Namespace and name of an object.
pub(super) fn key(metadata: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> (&str, &str) {
    (meta::namespace(metadata), meta::name(metadata))
}
