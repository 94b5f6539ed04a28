//! kube_statefulset_*.

use super::family::{Family, gauge};
use super::meta::{created, deleted, text};
use k8s_openapi::api::apps::v1::{StatefulSet, StatefulSetSpec, StatefulSetStatus};

/// The families of this kind, in the order in which they are exposed. Labels and annotations become labels only where
/// they are allowed by name, so without such a list those families have no samples.
pub(crate) const FAMILIES: &[Family<StatefulSet>] = &[
    gauge("kube_statefulset_created", "[STABLE] Unix creation timestamp", |o, s| {
        s.maybe(created(&o.metadata))
    }),
    gauge("kube_statefulset_status_replicas", "[STABLE] The number of replicas per StatefulSet.", |o, s| {
        s.value(o.status.as_ref().map_or(0.0, |t| t.replicas.into()))
    }),
    gauge(
        "kube_statefulset_status_replicas_available",
        "[STABLE] The number of available replicas per StatefulSet.",
        |o, s| s.value(status(o, |t| t.available_replicas)),
    ),
    gauge(
        "kube_statefulset_status_replicas_current",
        "[STABLE] The number of current replicas per StatefulSet.",
        |o, s| s.value(status(o, |t| t.current_replicas)),
    ),
    gauge(
        "kube_statefulset_status_replicas_ready",
        "[STABLE] The number of ready replicas per StatefulSet.",
        |o, s| s.value(status(o, |t| t.ready_replicas)),
    ),
    gauge(
        "kube_statefulset_status_replicas_updated",
        "[STABLE] The number of updated replicas per StatefulSet.",
        |o, s| s.value(status(o, |t| t.updated_replicas)),
    ),
    gauge(
        "kube_statefulset_status_observed_generation",
        "[STABLE] The generation observed by the StatefulSet controller.",
        |o, s| s.value(o.status.as_ref().and_then(|t| t.observed_generation).unwrap_or(0) as f64),
    ),
    gauge("kube_statefulset_replicas", "[STABLE] Number of desired pods for a StatefulSet.", |o, s| {
        s.maybe(spec(o, |p| p.replicas))
    }),
    gauge("kube_statefulset_ordinals_start", "[STABLE] Start ordinal of the StatefulSet.", |o, s| {
        s.maybe(spec(o, |p| p.ordinals.as_ref()?.start))
    }),
    gauge(
        "kube_statefulset_metadata_generation",
        "[STABLE] Sequence number representing a specific generation of the desired state for the StatefulSet.",
        |o, s| s.value(o.metadata.generation.unwrap_or(0) as f64),
    ),
    gauge(
        "kube_statefulset_persistentvolumeclaim_retention_policy",
        "[STABLE] Count of retention policy for StatefulSet template PVCs",
        |o, s| {
            if let Some(p) = o.spec.as_ref().and_then(|p| p.persistent_volume_claim_retention_policy.as_ref())
            {
                s.add(&[("when_deleted", text(&p.when_deleted)), ("when_scaled", text(&p.when_scaled))], 1.0);
            }
        },
    ),
    gauge(
        "kube_statefulset_annotations",
        "[STABLE] Kubernetes annotations converted to Prometheus labels.",
        |_, _| {},
    ),
    gauge("kube_statefulset_labels", "[STABLE] Kubernetes labels converted to Prometheus labels.", |_, _| {}),
    gauge(
        "kube_statefulset_status_current_revision",
        "[STABLE] Indicates the version of the StatefulSet used to generate Pods in the sequence [0,currentReplicas).",
        |o, s| s.add(&[("revision", revision(o, |t| &t.current_revision))], 1.0),
    ),
    gauge(
        "kube_statefulset_status_update_revision",
        "[STABLE] Indicates the version of the StatefulSet used to generate Pods in the sequence [replicas-updatedReplicas,replicas)",
        |o, s| s.add(&[("revision", revision(o, |t| &t.update_revision))], 1.0),
    ),
    gauge("kube_statefulset_deletion_timestamp", "[STABLE] Unix deletion timestamp", |o, s| {
        s.maybe(deleted(&o.metadata))
    }),
];

/// The labels that all its series begin with.
pub(crate) fn common(o: &StatefulSet) -> Vec<(&'static str, &str)> {
    vec![("namespace", text(&o.metadata.namespace)), ("statefulset", text(&o.metadata.name))]
}

/// A figure of the status; 0 where it has none.
fn status<T: Into<f64>>(o: &StatefulSet, figure: impl Fn(&StatefulSetStatus) -> Option<T>) -> f64 {
    o.status.as_ref().and_then(figure).map_or(0.0, Into::into)
}

/// A figure of the specification.
fn spec(o: &StatefulSet, figure: impl Fn(&StatefulSetSpec) -> Option<i32>) -> Option<f64> {
    o.spec.as_ref().and_then(figure).map(f64::from)
}

fn revision(o: &StatefulSet, which: impl Fn(&StatefulSetStatus) -> &Option<String>) -> &str {
    o.status.as_ref().map_or("", |t| text(which(t)))
}
