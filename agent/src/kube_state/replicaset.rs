//! kube_replicaset_*.

use super::family::{Family, gauge};
use super::meta::{created, owners, text};
use k8s_openapi::api::apps::v1::{ReplicaSet, ReplicaSetStatus};

/// The families of this kind, in the order in which they are exposed. Labels and annotations become labels only where
/// they are allowed by name, so without such a list those families have no samples.
pub(crate) const FAMILIES: &[Family<ReplicaSet>] = &[
    gauge("kube_replicaset_created", "[STABLE] Unix creation timestamp", |o, s| {
        s.maybe(created(&o.metadata))
    }),
    gauge("kube_replicaset_status_replicas", "[STABLE] The number of replicas per ReplicaSet.", |o, s| {
        s.value(o.status.as_ref().map_or(0.0, |t| t.replicas.into()))
    }),
    gauge(
        "kube_replicaset_status_fully_labeled_replicas",
        "[STABLE] The number of fully labeled replicas per ReplicaSet.",
        |o, s| s.value(status(o, |t| t.fully_labeled_replicas)),
    ),
    gauge(
        "kube_replicaset_status_ready_replicas",
        "[STABLE] The number of ready replicas per ReplicaSet.",
        |o, s| s.value(status(o, |t| t.ready_replicas)),
    ),
    gauge(
        "kube_replicaset_status_terminating_replicas",
        "The number of terminating replicas per ReplicaSet.",
        |o, s| s.maybe(o.status.as_ref().and_then(|t| t.terminating_replicas).map(f64::from)),
    ),
    gauge(
        "kube_replicaset_status_observed_generation",
        "[STABLE] The generation observed by the ReplicaSet controller.",
        |o, s| s.value(o.status.as_ref().and_then(|t| t.observed_generation).unwrap_or(0) as f64),
    ),
    gauge("kube_replicaset_spec_replicas", "[STABLE] Number of desired pods for a ReplicaSet.", |o, s| {
        s.maybe(o.spec.as_ref().and_then(|spec| spec.replicas).map(f64::from))
    }),
    gauge(
        "kube_replicaset_metadata_generation",
        "[STABLE] Sequence number representing a specific generation of the desired state.",
        |o, s| s.value(o.metadata.generation.unwrap_or(0) as f64),
    ),
    gauge("kube_replicaset_owner", "[STABLE] Information about the ReplicaSet's owner.", |o, s| {
        for (kind, name, controller) in owners(&o.metadata) {
            s.add(&[("owner_kind", kind), ("owner_name", name), ("owner_is_controller", controller)], 1.0);
        }
    }),
    gauge("kube_replicaset_annotations", "Kubernetes annotations converted to Prometheus labels.", |_, _| {}),
    gauge("kube_replicaset_labels", "[STABLE] Kubernetes labels converted to Prometheus labels.", |_, _| {}),
];

/// The labels that all its series begin with.
pub(crate) fn common(o: &ReplicaSet) -> Vec<(&'static str, &str)> {
    vec![("namespace", text(&o.metadata.namespace)), ("replicaset", text(&o.metadata.name))]
}

/// A figure of the status; 0 where it has none.
fn status<T: Into<f64>>(o: &ReplicaSet, figure: impl Fn(&ReplicaSetStatus) -> Option<T>) -> f64 {
    o.status.as_ref().and_then(figure).map_or(0.0, Into::into)
}
