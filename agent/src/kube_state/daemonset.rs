//! kube_daemonset_*.

use super::family::{Family, gauge};
use super::meta::{created, deleted, text};
use k8s_openapi::api::apps::v1::{DaemonSet, DaemonSetStatus};

/// The families of this kind, in the order in which they are exposed. Labels and annotations become labels only where
/// they are allowed by name, so without such a list those families have no samples.
pub(crate) const FAMILIES: &[Family<DaemonSet>] = &[
    gauge("kube_daemonset_created", "[STABLE] Unix creation timestamp", |o, s| s.maybe(created(&o.metadata))),
    gauge(
        "kube_daemonset_status_current_number_scheduled",
        "[STABLE] The number of nodes running at least one daemon pod and are supposed to.",
        |o, s| s.value(o.status.as_ref().map_or(0.0, |t| t.current_number_scheduled.into())),
    ),
    gauge(
        "kube_daemonset_status_desired_number_scheduled",
        "[STABLE] The number of nodes that should be running the daemon pod.",
        |o, s| s.value(o.status.as_ref().map_or(0.0, |t| t.desired_number_scheduled.into())),
    ),
    gauge(
        "kube_daemonset_status_number_available",
        "[STABLE] The number of nodes that should be running the daemon pod and have one or more of the daemon pod running and available",
        |o, s| s.value(status(o, |t| t.number_available)),
    ),
    gauge(
        "kube_daemonset_status_number_misscheduled",
        "[STABLE] The number of nodes running a daemon pod but are not supposed to.",
        |o, s| s.value(o.status.as_ref().map_or(0.0, |t| t.number_misscheduled.into())),
    ),
    gauge(
        "kube_daemonset_status_number_ready",
        "[STABLE] The number of nodes that should be running the daemon pod and have one or more of the daemon pod running and ready.",
        |o, s| s.value(o.status.as_ref().map_or(0.0, |t| t.number_ready.into())),
    ),
    gauge(
        "kube_daemonset_status_number_unavailable",
        "[STABLE] The number of nodes that should be running the daemon pod and have none of the daemon pod running and available",
        |o, s| s.value(status(o, |t| t.number_unavailable)),
    ),
    gauge(
        "kube_daemonset_status_observed_generation",
        "[STABLE] The most recent generation observed by the daemon set controller.",
        |o, s| s.value(o.status.as_ref().and_then(|t| t.observed_generation).unwrap_or(0) as f64),
    ),
    gauge(
        "kube_daemonset_status_updated_number_scheduled",
        "[STABLE] The total number of nodes that are running updated daemon pod",
        |o, s| s.value(status(o, |t| t.updated_number_scheduled)),
    ),
    gauge(
        "kube_daemonset_metadata_generation",
        "[STABLE] Sequence number representing a specific generation of the desired state.",
        |o, s| s.value(o.metadata.generation.unwrap_or(0) as f64),
    ),
    gauge("kube_daemonset_deletion_timestamp", "Unix deletion timestamp", |o, s| {
        s.maybe(deleted(&o.metadata))
    }),
    gauge("kube_daemonset_annotations", "Kubernetes annotations converted to Prometheus labels.", |_, _| {}),
    gauge("kube_daemonset_labels", "[STABLE] Kubernetes labels converted to Prometheus labels.", |_, _| {}),
];

/// The labels that all its series begin with.
pub(crate) fn common(o: &DaemonSet) -> Vec<(&'static str, &str)> {
    vec![("namespace", text(&o.metadata.namespace)), ("daemonset", text(&o.metadata.name))]
}

/// A figure of the status; 0 where it has none.
fn status<T: Into<f64>>(o: &DaemonSet, figure: impl Fn(&DaemonSetStatus) -> Option<T>) -> f64 {
    o.status.as_ref().and_then(figure).map_or(0.0, Into::into)
}
