//! Role endpointslice: a target per address and port, and per further port of the pods behind them.

use super::meta::{self, Labels, join, set};
use super::ports::{self, SeenPods};
use super::related::{self, Related};
use crate::{ADDRESS, TargetGroup};
use k8s_openapi::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};

/// The label that names the service of a slice.
const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The slice as a group.
pub fn endpointslice_group(slice: &EndpointSlice, related: &dyn Related) -> TargetGroup {
    let (namespace, name) = ports::key(&slice.metadata);
    let mut labels = Labels::new();
    meta::set_object(&mut labels, "endpointslice", &slice.metadata);
    set(&mut labels, "namespace", namespace);
    set(&mut labels, "endpointslice_address_type", &slice.address_type);
    if let Some(service) = slice.metadata.labels.as_ref().and_then(|l| l.get(SERVICE_NAME)) {
        related::attach_service(&mut labels, namespace, service, related);
    }
    related::attach_namespace(&mut labels, namespace, related);
    let mut seen = SeenPods::default();
    let mut targets = Vec::new();
    for endpoint in &slice.endpoints {
        for port in slice.ports.iter().flatten() {
            for address in &endpoint.addresses {
                let mut target = target(address, endpoint, port, related);
                seen.attach(&mut target, endpoint.target_ref.as_ref(), namespace, port.port, related);
                targets.push(target);
            }
        }
    }
    targets.extend(seen.other_ports());
    TargetGroup { source: format!("endpointslice/{namespace}/{name}"), labels, targets }
}

fn target(address: &str, endpoint: &Endpoint, port: &EndpointPort, related: &dyn Related) -> Labels {
    let joined = port.port.map_or_else(|| address.to_owned(), |port| join(address, port));
    let mut target = Labels::from([(ADDRESS.to_owned(), joined)]);
    if let Some(number) = port.port {
        set(&mut target, "endpointslice_port", number.to_string());
    }
    for (name, value) in [
        ("port_name", &port.name),
        ("port_protocol", &port.protocol),
        ("port_app_protocol", &port.app_protocol),
        ("endpoint_hostname", &endpoint.hostname),
        ("endpoint_node_name", &endpoint.node_name),
        ("endpoint_zone", &endpoint.zone),
    ] {
        if let Some(value) = value {
            set(&mut target, &format!("endpointslice_{name}"), value);
        }
    }
    let conditions = endpoint.conditions.clone().unwrap_or_default();
    for (name, value) in [
        ("ready", conditions.ready),
        ("serving", conditions.serving),
        ("terminating", conditions.terminating),
    ] {
        if let Some(value) = value {
            set(&mut target, &format!("endpointslice_endpoint_conditions_{name}"), value.to_string());
        }
    }
    for (name, value) in endpoint.deprecated_topology.iter().flatten() {
        let name = meta::sanitize(name);
        set(&mut target, &format!("endpointslice_endpoint_topology_{name}"), value);
        set(&mut target, &format!("endpointslice_endpoint_topology_present_{name}"), "true");
    }
    ports::set_reference(&mut target, "endpointslice", endpoint.target_ref.as_ref());
    if let Some(node) = ports::node_of(endpoint.node_name.as_deref(), endpoint.target_ref.as_ref()) {
        related::attach_node(&mut target, node, related);
    }
    target
}

/// Drops what no label comes from.
pub(super) fn trim(slice: &mut EndpointSlice) {
    slice.metadata.managed_fields = None;
}
