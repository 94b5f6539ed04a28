//! Role pod: a target per container port, or per container without ports.

use super::meta::{self, Labels, join, set};
use super::related::{self, Related};
use crate::{ADDRESS, TargetGroup};
use k8s_openapi::api::core::v1::{Container, ContainerPort, ContainerStatus, Pod, PodSpec, PodStatus};

/// The pod as a group; without targets while it has no address.
pub fn pod_group(pod: &Pod, related: &dyn Related) -> TargetGroup {
    let (namespace, name) = (meta::namespace(&pod.metadata), meta::name(&pod.metadata));
    let mut group = TargetGroup { source: format!("pod/{namespace}/{name}"), ..Default::default() };
    let ip = ip(pod);
    if ip.is_empty() {
        return group;
    }
    group.labels = labels(pod);
    set(&mut group.labels, "namespace", namespace);
    related::attach_node(&mut group.labels, node_name(pod), related);
    related::attach_namespace(&mut group.labels, namespace, related);
    for (container, is_init) in containers(pod) {
        let id = container_id(pod, &container.name, is_init);
        let ports = container.ports.as_deref().unwrap_or_default();
        let mut target = Labels::new();
        set(&mut target, "pod_container_name", &container.name);
        set(&mut target, "pod_container_id", id);
        set(&mut target, "pod_container_image", container.image.as_deref().unwrap_or_default());
        set(&mut target, "pod_container_init", is_init.to_string());
        if ports.is_empty() {
            target.insert(ADDRESS.to_owned(), ip.to_owned());
            group.targets.push(target);
            continue;
        }
        for port in ports {
            let mut target = target.clone();
            target.insert(ADDRESS.to_owned(), join(ip, port.container_port));
            set_port(&mut target, port);
            group.targets.push(target);
        }
    }
    group
}

/// Address of the pod, empty while it has none.
pub(super) fn ip(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|s| s.pod_ip.as_deref()).unwrap_or_default()
}

fn node_name(pod: &Pod) -> &str {
    pod.spec.as_ref().and_then(|s| s.node_name.as_deref()).unwrap_or_default()
}

/// Containers and whether they are init containers.
pub(super) fn containers(pod: &Pod) -> impl Iterator<Item = (&Container, bool)> {
    let spec = pod.spec.as_ref();
    let init = spec.and_then(|s| s.init_containers.as_deref()).unwrap_or_default();
    let main = spec.map(|s| s.containers.as_slice()).unwrap_or_default();
    main.iter().map(|c| (c, false)).chain(init.iter().map(|c| (c, true)))
}

fn container_id<'a>(pod: &'a Pod, name: &str, is_init: bool) -> &'a str {
    let status = pod.status.as_ref();
    let statuses = status.and_then(|s| {
        if is_init { s.init_container_statuses.as_ref() } else { s.container_statuses.as_ref() }
    });
    let found = statuses.into_iter().flatten().find(|s| s.name == name);
    found.and_then(|s| s.container_id.as_deref()).unwrap_or_default()
}

/// Name, number and protocol of a container's port.
pub(super) fn set_port(target: &mut Labels, port: &ContainerPort) {
    set(target, "pod_container_port_name", port.name.as_deref().unwrap_or_default());
    set(target, "pod_container_port_number", port.container_port.to_string());
    set(target, "pod_container_port_protocol", port.protocol.as_deref().unwrap_or_default());
}

/// Labels that tell of the pod, without its namespace.
pub(super) fn labels(pod: &Pod) -> Labels {
    let mut labels = Labels::new();
    meta::set_object(&mut labels, "pod", &pod.metadata);
    let status = pod.status.as_ref();
    let text =
        |of: fn(&PodStatus) -> &Option<String>| status.and_then(|s| of(s).as_deref()).unwrap_or_default();
    let ready = status.and_then(|s| s.conditions.as_ref()?.iter().find(|c| c.type_ == "Ready"));
    set(&mut labels, "pod_ip", ip(pod));
    set(&mut labels, "pod_ready", ready.map_or_else(|| "unknown".to_owned(), |c| c.status.to_lowercase()));
    set(&mut labels, "pod_phase", text(|s| &s.phase));
    set(&mut labels, "pod_node_name", node_name(pod));
    set(&mut labels, "pod_host_ip", text(|s| &s.host_ip));
    set(&mut labels, "pod_uid", pod.metadata.uid.as_deref().unwrap_or_default());
    let owners = pod.metadata.owner_references.as_deref().unwrap_or_default();
    if let Some(controller) = owners.iter().find(|o| o.controller == Some(true)) {
        set(&mut labels, "pod_controller_kind", &controller.kind);
        set(&mut labels, "pod_controller_name", &controller.name);
    }
    labels
}

/// Drops what no label comes from.
pub(super) fn trim(pod: &mut Pod) {
    pod.metadata.managed_fields = None;
    let containers = |containers: &mut Vec<Container>| {
        let slim = containers.drain(..).map(|c| Container {
            name: c.name,
            image: c.image,
            ports: c.ports,
            ..Default::default()
        });
        slim.collect()
    };
    if let Some(spec) = &mut pod.spec {
        *spec = PodSpec {
            containers: containers(&mut spec.containers),
            init_containers: spec.init_containers.as_mut().map(containers),
            node_name: spec.node_name.take(),
            ..Default::default()
        };
    }
    let statuses = |statuses: Option<Vec<ContainerStatus>>| {
        let slim = |s: ContainerStatus| ContainerStatus {
            name: s.name,
            container_id: s.container_id,
            ..Default::default()
        };
        statuses.map(|all| all.into_iter().map(slim).collect())
    };
    if let Some(status) = &mut pod.status {
        *status = PodStatus {
            pod_ip: status.pod_ip.take(),
            host_ip: status.host_ip.take(),
            phase: status.phase.take(),
            conditions: status
                .conditions
                .take()
                .map(|all| all.into_iter().filter(|c| c.type_ == "Ready").collect()),
            container_statuses: statuses(status.container_statuses.take()),
            init_container_statuses: statuses(status.init_container_statuses.take()),
            ..Default::default()
        };
    }
}
