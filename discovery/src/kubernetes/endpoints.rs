//! Role endpoints: a target per address and port, and per further port of the pods behind them.

use super::meta::{self, Labels, join, set};
use super::ports::{self, SeenPods};
use super::related::{self, Related};
use crate::{ADDRESS, TargetGroup};
use k8s_openapi::api::core::v1::{EndpointAddress, EndpointPort, Endpoints};

/// The endpoints as a group.
pub fn endpoints_group(endpoints: &Endpoints, related: &dyn Related) -> TargetGroup {
    let (namespace, name) = ports::key(&endpoints.metadata);
    let mut labels = Labels::new();
    meta::set_object(&mut labels, "endpoints", &endpoints.metadata);
    set(&mut labels, "namespace", namespace);
    related::attach_service(&mut labels, namespace, name, related);
    related::attach_namespace(&mut labels, namespace, related);
    let mut seen = SeenPods::default();
    let mut targets = Vec::new();
    for subset in endpoints.subsets.iter().flatten() {
        for port in subset.ports.iter().flatten() {
            for (addresses, ready) in [(&subset.addresses, true), (&subset.not_ready_addresses, false)] {
                for address in addresses.iter().flatten() {
                    let mut target = target(address, port, ready, related);
                    let reference = address.target_ref.as_ref();
                    seen.attach(&mut target, reference, namespace, Some(port.port), related);
                    targets.push(target);
                }
            }
        }
    }
    targets.extend(seen.other_ports());
    TargetGroup { source: format!("endpoints/{namespace}/{name}"), labels, targets }
}

fn target(address: &EndpointAddress, port: &EndpointPort, ready: bool, related: &dyn Related) -> Labels {
    let mut target = Labels::from([(ADDRESS.to_owned(), join(&address.ip, port.port))]);
    set(&mut target, "endpoint_port_name", port.name.as_deref().unwrap_or_default());
    set(&mut target, "endpoint_port_protocol", port.protocol.as_deref().unwrap_or_default());
    set(&mut target, "endpoint_ready", ready.to_string());
    ports::set_reference(&mut target, "endpoint", address.target_ref.as_ref());
    if let Some(node) = &address.node_name {
        set(&mut target, "endpoint_node_name", node);
    }
    if let Some(hostname) = address.hostname.as_ref().filter(|h| !h.is_empty()) {
        set(&mut target, "endpoint_hostname", hostname);
    }
    if let Some(node) = ports::node_of(address.node_name.as_deref(), address.target_ref.as_ref()) {
        related::attach_node(&mut target, node, related);
    }
    target
}

/// Drops what no label comes from.
pub(super) fn trim(endpoints: &mut Endpoints) {
    endpoints.metadata.managed_fields = None;
}
