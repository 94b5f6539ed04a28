//! Objects that a group's labels come from beside its own.

use super::meta::{self, Labels};
use k8s_openapi::api::core::v1::{Namespace, Node, Pod, Service};
use std::sync::Arc;

/// Finds other objects. What is not to be attached is not found.
pub trait Related {
    /// A pod by namespace and name.
    fn pod(&self, _namespace: &str, _name: &str) -> Option<Arc<Pod>> {
        None
    }
    /// A service by namespace and name.
    fn service(&self, _namespace: &str, _name: &str) -> Option<Arc<Service>> {
        None
    }
    /// A node by name, where nodes' labels are attached.
    fn node(&self, _name: &str) -> Option<Arc<Node>> {
        None
    }
    /// A namespace by name, where namespaces' labels are attached.
    fn namespace(&self, _name: &str) -> Option<Arc<Namespace>> {
        None
    }
}

/// No other objects.
pub struct Nothing;
impl Related for Nothing {}

/// Attaches labels of the node.
pub(super) fn attach_node(labels: &mut Labels, name: &str, related: &dyn Related) {
    if let Some(node) = related.node(name) {
        meta::set_object(labels, "node", &node.metadata);
    }
}

/// Attaches labels of the namespace.
pub(super) fn attach_namespace(labels: &mut Labels, name: &str, related: &dyn Related) {
    if let Some(namespace) = related.namespace(name) {
        meta::set_labels_and_annotations(labels, "namespace", &namespace.metadata);
    }
}

/// Attaches labels of the service.
pub(super) fn attach_service(labels: &mut Labels, namespace: &str, name: &str, related: &dyn Related) {
    if let Some(service) = related.service(namespace, name) {
        meta::set_object(labels, "service", &service.metadata);
    }
}
