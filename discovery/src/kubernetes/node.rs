//! Role node: a target per node, at its kubelet's port.

use super::meta::{self, Labels, join, set};
use crate::{ADDRESS, TargetGroup};
use k8s_openapi::api::core::v1::Node;

/// The kubelet's port where the node tells none.
const KUBELET_PORT: i32 = 10250;

/// Which address counts, the first that the node has.
const ADDRESS_TYPES: [&str; 6] =
    ["InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname"];

/// The node as a group of one target; of none while it has no address.
pub fn node_group(node: &Node) -> TargetGroup {
    let name = meta::name(&node.metadata);
    let mut labels = Labels::new();
    meta::set_object(&mut labels, "node", &node.metadata);
    let provider = node.spec.as_ref().and_then(|s| s.provider_id.as_deref()).unwrap_or_default();
    set(&mut labels, "node_provider_id", provider);
    let status = node.status.as_ref();
    let addresses = status.and_then(|s| s.addresses.as_deref()).unwrap_or_default();
    let port = status
        .and_then(|s| s.daemon_endpoints.as_ref()?.kubelet_endpoint.as_ref())
        .map_or(KUBELET_PORT, |e| e.port);
    let chosen = ADDRESS_TYPES.iter().find_map(|type_| addresses.iter().find(|a| a.type_ == *type_));
    let targets = chosen.map(|address| {
        let mut target = Labels::from([
            (ADDRESS.to_owned(), join(&address.address, port)),
            ("instance".to_owned(), name.to_owned()),
        ]);
        // the first address of a type counts
        for address in addresses.iter().rev() {
            set(&mut target, &format!("node_address_{}", meta::sanitize(&address.type_)), &address.address);
        }
        target
    });
    TargetGroup { source: format!("node/{name}"), labels, targets: targets.into_iter().collect() }
}

/// Drops what no label comes from.
pub(super) fn trim(node: &mut Node) {
    node.metadata.managed_fields = None;
    if let Some(spec) = &mut node.spec {
        *spec = k8s_openapi::api::core::v1::NodeSpec {
            provider_id: spec.provider_id.take(),
            ..Default::default()
        };
    }
    if let Some(status) = &mut node.status {
        *status = k8s_openapi::api::core::v1::NodeStatus {
            addresses: status.addresses.take(),
            daemon_endpoints: status.daemon_endpoints.take(),
            ..Default::default()
        };
    }
}
