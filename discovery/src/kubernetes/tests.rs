//! Groups of objects: what the API gives, and the labels that come of it.

use super::*;
use crate::TargetGroup;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use serde_json::{Value, json};

fn object<K: serde::de::DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).unwrap()
}

struct World(Arc<Pod>, Arc<Service>, Arc<Node>);

impl Related for World {
    fn pod(&self, _: &str, name: &str) -> Option<Arc<Pod>> {
        (name == "web-0").then(|| self.0.clone())
    }
    fn service(&self, _: &str, name: &str) -> Option<Arc<Service>> {
        (name == "web").then(|| self.1.clone())
    }
    fn node(&self, name: &str) -> Option<Arc<Node>> {
        (name == "n1").then(|| self.2.clone())
    }
}

fn pod() -> Pod {
    object(json!({
        "metadata": {"namespace": "shop", "name": "web-0", "uid": "u1", "labels": {"app.kubernetes.io/name": "web"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "x", "controller": true}]},
        "spec": {"nodeName": "n1", "containers": [
            {"name": "app", "image": "app:1", "ports": [{"name": "http", "containerPort": 80, "protocol": "TCP"}, {"name": "admin", "containerPort": 81, "protocol": "TCP"}]},
            {"name": "side", "image": "side:1"}]},
        "status": {"podIP": "10.0.0.9", "hostIP": "10.0.0.1", "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True"}],
            "containerStatuses": [{"name": "app", "containerID": "containerd://c1", "image": "", "imageID": "", "ready": true, "restartCount": 0}]}
    }))
}

fn service() -> Service {
    object(json!({"metadata": {"namespace": "shop", "name": "web", "labels": {"tier": "front"}},
        "spec": {"type": "ClusterIP", "clusterIP": "10.1.1.1", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}}))
}

fn node() -> Node {
    object(json!({"metadata": {"name": "n1", "labels": {"zone": "z"}}, "spec": {"providerID": "p://1"},
        "status": {"addresses": [{"type": "Hostname", "address": "n1"}, {"type": "InternalIP", "address": "fd00::1"}, {"type": "InternalIP", "address": "10.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}}))
}

fn world() -> World {
    let (mut pod, mut service, mut node) = (pod(), service(), node());
    // what is kept must suffice
    reflector::Object::trim(&mut pod);
    reflector::Object::trim(&mut service);
    reflector::Object::trim(&mut node);
    World(Arc::new(pod), Arc::new(service), Arc::new(node))
}

/// The labels named, without `__meta_kubernetes_`, of the group and then of each target, missing ones as `-`.
#[track_caller]
fn check(group: &TargetGroup, names: &[&str], expected: &[&[&str]]) {
    let of = |labels: &std::collections::BTreeMap<String, String>| -> Vec<String> {
        let full = |name: &str| {
            if name.starts_with("__") { name.to_owned() } else { format!("__meta_kubernetes_{name}") }
        };
        names.iter().map(|name| labels.get(&full(name)).cloned().unwrap_or_else(|| "-".to_owned())).collect()
    };
    let found: Vec<Vec<String>> = std::iter::once(&group.labels).chain(&group.targets).map(of).collect();
    assert_eq!(found, expected, "{group:#?}");
}

#[test]
fn nodes() {
    let group = node_group(&node());
    assert_eq!(group.source, "node/n1");
    check(
        &group,
        &[
            "__address__",
            "node_name",
            "node_provider_id",
            "node_label_zone",
            "node_labelpresent_zone",
            "node_address_InternalIP",
        ],
        &[&["-", "n1", "p://1", "z", "true", "-"], &["[fd00::1]:10250", "-", "-", "-", "-", "fd00::1"]],
    );
}

#[test]
fn pods() {
    let group = pod_group(&pod(), &world());
    check(
        &group,
        &[
            "__address__",
            "pod_container_name",
            "pod_container_port_name",
            "pod_container_id",
            "pod_container_init",
        ],
        &[
            &["-", "-", "-", "-", "-"],
            &["10.0.0.9:80", "app", "http", "containerd://c1", "false"],
            &["10.0.0.9:81", "app", "admin", "containerd://c1", "false"],
            &["10.0.0.9", "side", "-", "", "false"],
        ],
    );
    let common: Vec<&str> = [
        "namespace",
        "pod_ready",
        "pod_phase",
        "pod_controller_kind",
        "pod_label_app_kubernetes_io_name",
        "node_label_zone",
    ]
    .iter()
    .map(|name| group.labels[&format!("__meta_kubernetes_{name}")].as_str())
    .collect();
    assert_eq!(common, ["shop", "true", "Running", "StatefulSet", "web", "z"]);
    let mut pending = pod();
    pending.status = None;
    assert!(pod_group(&pending, &Nothing).targets.is_empty());
}

#[test]
fn services() {
    check(
        &service_group(&service(), &Nothing),
        &["__address__", "service_name", "service_type", "service_cluster_ip", "service_port_number"],
        &[&["-", "web", "-", "-", "-"], &["web.shop.svc:80", "-", "ClusterIP", "10.1.1.1", "80"]],
    );
}

#[test]
fn endpoints_and_the_other_ports_of_their_pods() {
    let endpoints = object(json!({"metadata": {"namespace": "shop", "name": "web"}, "subsets": [{
        "addresses": [{"ip": "10.0.0.9", "nodeName": "n1", "targetRef": {"kind": "Pod", "namespace": "shop", "name": "web-0"}}],
        "notReadyAddresses": [{"ip": "10.0.0.8"}], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}]}));
    check(
        &endpoints_group(&endpoints, &world()),
        &[
            "__address__",
            "endpoints_name",
            "service_label_tier",
            "endpoint_ready",
            "pod_name",
            "pod_container_port_name",
            "node_name",
        ],
        &[
            &["-", "web", "front", "-", "-", "-", "-"],
            &["10.0.0.9:80", "-", "-", "true", "web-0", "http", "n1"],
            &["10.0.0.8:80", "-", "-", "false", "-", "-", "-"],
            &["10.0.0.9:81", "-", "-", "-", "web-0", "admin", "-"],
        ],
    );
}

#[test]
fn endpointslices() {
    let slice = object(
        json!({"metadata": {"namespace": "shop", "name": "web-x", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4", "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["10.0.0.9"], "conditions": {"ready": true}, "nodeName": "n1", "zone": "z",
            "targetRef": {"kind": "Pod", "namespace": "shop", "name": "web-0"}}]}),
    );
    check(
        &endpointslice_group(&slice, &world()),
        &[
            "__address__",
            "service_name",
            "endpointslice_address_type",
            "endpointslice_port_name",
            "endpointslice_endpoint_conditions_ready",
            "endpointslice_address_target_name",
            "pod_name",
        ],
        &[
            &["-", "web", "IPv4", "-", "-", "-", "-"],
            &["10.0.0.9:80", "-", "-", "http", "true", "web-0", "web-0"],
            &["10.0.0.9:81", "-", "-", "-", "-", "-", "web-0"],
        ],
    );
}

#[test]
fn ingresses() {
    let ingress = object(
        json!({"metadata": {"namespace": "shop", "name": "i"}, "spec": {"ingressClassName": "nginx",
        "tls": [{"hosts": ["*.example.com"]}], "rules": [
            {"host": "a.example.com", "http": {"paths": [{"path": "/x", "pathType": "Prefix", "backend": {}}]}}, {"host": "b.a.example.com"}]}}),
    );
    check(
        &ingress_group(&ingress, &Nothing),
        &["__address__", "ingress_class_name", "ingress_scheme", "ingress_path"],
        &[
            &["-", "nginx", "-", "-"],
            &["a.example.com", "-", "https", "/x"],
            &["b.a.example.com", "-", "http", "/"],
        ],
    );
}
