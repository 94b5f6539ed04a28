//! kube_deployment_*.

use super::family::{Family, gauge};
use super::meta::{created, deleted, owners, share, text};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus, RollingUpdateDeployment};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

/// The families of this kind, in the order in which they are exposed. Labels and annotations become labels only where
/// they are allowed by name, so without such a list those families have no samples.
pub(crate) const FAMILIES: &[Family<Deployment>] = &[
    gauge("kube_deployment_owner", "Information about the Deployment's owner.", |o, s| {
        for (kind, name, _) in owners(&o.metadata) {
            s.add(&[("owner_kind", kind), ("owner_name", name)], 1.0);
        }
    }),
    gauge("kube_deployment_created", "[STABLE] Unix creation timestamp", |o, s| {
        s.maybe(created(&o.metadata))
    }),
    gauge("kube_deployment_status_replicas", "[STABLE] The number of replicas per deployment.", |o, s| {
        s.value(status(o, |t| t.replicas))
    }),
    gauge(
        "kube_deployment_status_replicas_ready",
        "[STABLE] The number of ready replicas per deployment.",
        |o, s| s.value(status(o, |t| t.ready_replicas)),
    ),
    gauge(
        "kube_deployment_status_replicas_available",
        "[STABLE] The number of available replicas per deployment.",
        |o, s| s.value(status(o, |t| t.available_replicas)),
    ),
    gauge(
        "kube_deployment_status_replicas_unavailable",
        "[STABLE] The number of unavailable replicas per deployment.",
        |o, s| s.value(status(o, |t| t.unavailable_replicas)),
    ),
    gauge(
        "kube_deployment_status_replicas_updated",
        "[STABLE] The number of updated replicas per deployment.",
        |o, s| s.value(status(o, |t| t.updated_replicas)),
    ),
    gauge(
        "kube_deployment_status_terminating_replicas",
        "The number of terminating replicas per deployment.",
        |o, s| s.maybe(o.status.as_ref().and_then(|t| t.terminating_replicas).map(f64::from)),
    ),
    gauge(
        "kube_deployment_status_observed_generation",
        "[STABLE] The generation observed by the deployment controller.",
        |o, s| s.value(o.status.as_ref().and_then(|t| t.observed_generation).unwrap_or(0) as f64),
    ),
    gauge(
        "kube_deployment_status_condition",
        "[STABLE] The current status conditions of a deployment.",
        |o, s| {
            for c in o.status.iter().flat_map(|t| t.conditions.iter().flatten()) {
                let reason = text(&c.reason);
                let reason = if REASONS.contains(&reason) { reason } else { "unknown" };
                s.condition(&[("reason", reason), ("condition", &c.type_)], "status", &c.status);
            }
        },
    ),
    gauge("kube_deployment_spec_replicas", "[STABLE] Number of desired pods for a deployment.", |o, s| {
        s.value(replicas(o).into())
    }),
    gauge(
        "kube_deployment_spec_paused",
        "[STABLE] Whether the deployment is paused and will not be processed by the deployment controller.",
        |o, s| s.value(paused(o)),
    ),
    gauge(
        "kube_deployment_spec_strategy_rollingupdate_max_unavailable",
        "[STABLE] Maximum number of unavailable replicas during a rolling update of a deployment.",
        |o, s| s.maybe(rolling(o, |r| r.max_unavailable.as_ref(), false)),
    ),
    gauge(
        "kube_deployment_spec_strategy_rollingupdate_max_surge",
        "[STABLE] Maximum number of replicas that can be scheduled above the desired number of replicas during a rolling update of a deployment.",
        |o, s| s.maybe(rolling(o, |r| r.max_surge.as_ref(), true)),
    ),
    gauge(
        "kube_deployment_metadata_generation",
        "[STABLE] Sequence number representing a specific generation of the desired state.",
        |o, s| s.value(o.metadata.generation.unwrap_or(0) as f64),
    ),
    gauge("kube_deployment_deletion_timestamp", "Unix deletion timestamp", |o, s| {
        s.maybe(deleted(&o.metadata))
    }),
    gauge("kube_deployment_annotations", "Kubernetes annotations converted to Prometheus labels.", |_, _| {}),
    gauge("kube_deployment_labels", "[STABLE] Kubernetes labels converted to Prometheus labels.", |_, _| {}),
];

/// The labels that all its series begin with.
pub(crate) fn common(o: &Deployment) -> Vec<(&'static str, &str)> {
    vec![("namespace", text(&o.metadata.namespace)), ("deployment", text(&o.metadata.name))]
}

/// A figure of the status; 0 where it has none.
fn status<T: Into<f64>>(o: &Deployment, figure: impl Fn(&DeploymentStatus) -> Option<T>) -> f64 {
    o.status.as_ref().and_then(figure).map_or(0.0, Into::into)
}

/// The reasons that the deployment controller gives; others are shown as `unknown`, so that there are not more series
/// than these.
const REASONS: [&str; 8] = [
    "ReplicaSetUpdated",
    "NewReplicaSetCreated",
    "FoundNewReplicaSet",
    "NewReplicaSetAvailable",
    "ProgressDeadlineExceeded",
    "MinimumReplicasAvailable",
    "MinimumReplicasUnavailable",
    "ReplicaSetCreateError",
];

fn replicas(o: &Deployment) -> i32 {
    o.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(0)
}

fn paused(o: &Deployment) -> f64 {
    f64::from(u8::from(o.spec.as_ref().and_then(|spec| spec.paused).unwrap_or(false)))
}

/// A bound of a rolling update in pods; nothing for other strategies.
fn rolling(
    o: &Deployment,
    bound: fn(&RollingUpdateDeployment) -> Option<&IntOrString>,
    up: bool,
) -> Option<f64> {
    let strategy = o.spec.as_ref()?.strategy.as_ref()?;
    share(bound(strategy.rolling_update.as_ref()?)?, replicas(o), up)
}
