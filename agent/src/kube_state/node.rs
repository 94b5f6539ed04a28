//! kube_node_*.

use super::family::{Family, Samples, gauge};
use super::meta::{address, created, deleted, resources, text};
use k8s_openapi::api::core::v1::Node;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::BTreeMap;

/// The families of this kind, in the order in which they are exposed. Labels and annotations become labels only where
/// they are allowed by name, so without such a list those families have no samples.
pub(crate) const FAMILIES: &[Family<Node>] = &[
    gauge("kube_node_annotations", "Kubernetes annotations converted to Prometheus labels.", |_, _| {}),
    gauge("kube_node_created", "[STABLE] Unix creation timestamp", |o, s| s.maybe(created(&o.metadata))),
    gauge("kube_node_deletion_timestamp", "Unix deletion timestamp", |o, s| s.maybe(deleted(&o.metadata))),
    gauge("kube_node_info", "[STABLE] Information about a cluster node.", info),
    gauge("kube_node_labels", "[STABLE] Kubernetes labels converted to Prometheus labels.", |_, _| {}),
    gauge("kube_node_role", "The role of a cluster node.", |o, s| {
        for label in o.metadata.labels.iter().flatten().map(|(name, _)| name) {
            if let Some(role) = label.strip_prefix("node-role.kubernetes.io/") {
                s.add(&[("role", role)], 1.0);
            }
        }
    }),
    gauge("kube_node_spec_pod_cidrs", "The pod CIDRs of a cluster node.", |o, s| {
        for cidr in o.spec.iter().flat_map(|p| p.pod_cidrs.iter().flatten()) {
            s.add(&[("pod_cidr", cidr)], 1.0);
        }
    }),
    gauge("kube_node_spec_taint", "[STABLE] The taint of a cluster node.", |o, s| {
        for t in o.spec.iter().flat_map(|p| p.taints.iter().flatten()) {
            s.add(&[("key", &t.key), ("value", text(&t.value)), ("effect", &t.effect)], 1.0);
        }
    }),
    gauge("kube_node_spec_unschedulable", "[STABLE] Whether a node can schedule new pods.", |o, s| {
        let unschedulable = o.spec.as_ref().and_then(|p| p.unschedulable).unwrap_or(false);
        s.value(f64::from(u8::from(unschedulable)));
    }),
    gauge(
        "kube_node_status_allocatable",
        "[STABLE] The allocatable for different resources of a node that are available for scheduling.",
        |o, s| add_resources(o.status.as_ref().and_then(|t| t.allocatable.as_ref()), s),
    ),
    gauge("kube_node_status_capacity", "[STABLE] The capacity for different resources of a node.", |o, s| {
        add_resources(o.status.as_ref().and_then(|t| t.capacity.as_ref()), s)
    }),
    gauge("kube_node_status_condition", "[STABLE] The condition of a cluster node.", |o, s| {
        for c in o.status.iter().flat_map(|t| t.conditions.iter().flatten()) {
            s.condition(&[("condition", &c.type_)], "status", &c.status);
        }
    }),
    gauge("kube_node_status_addresses", "Node address information.", |o, s| {
        for a in o.status.iter().flat_map(|t| t.addresses.iter().flatten()) {
            s.add(&[("type", &a.type_), ("address", &a.address)], 1.0);
        }
    }),
];

/// The labels that all its series begin with.
pub(crate) fn common(o: &Node) -> Vec<(&'static str, &str)> {
    vec![("node", text(&o.metadata.name))]
}

fn info(o: &Node, s: &mut Samples<'_>) {
    let system = o.status.as_ref().and_then(|t| t.node_info.as_ref());
    let addresses = o.status.as_ref().and_then(|t| t.addresses.as_deref()).unwrap_or_default();
    let spec = o.spec.as_ref();
    let labels = [
        ("kernel_version", system.map_or("", |i| &i.kernel_version)),
        ("os_image", system.map_or("", |i| &i.os_image)),
        ("container_runtime_version", system.map_or("", |i| &i.container_runtime_version)),
        ("kubelet_version", system.map_or("", |i| &i.kubelet_version)),
        ("kubeproxy_version", "deprecated"),
        ("provider_id", spec.map_or("", |p| text(&p.provider_id))),
        ("pod_cidr", spec.map_or("", |p| text(&p.pod_cidr))),
        ("system_uuid", system.map_or("", |i| &i.system_uuid)),
        ("internal_ip", address(addresses, "InternalIP")),
    ];
    s.add(&labels, 1.0);
}

fn add_resources(list: Option<&BTreeMap<String, Quantity>>, s: &mut Samples<'_>) {
    for (resource, unit, value) in resources(list) {
        s.add(&[("resource", &resource), ("unit", unit)], value);
    }
}
