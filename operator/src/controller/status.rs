//! What the operator says about resources: conditions of a Prometheus, bindings of a ServiceMonitor.

use crate::render::Key;
use crate::workload;
use crds::Prometheus;
use crds::status::{Binding, BindingCondition, Condition, PrometheusStatus, ShardStatus};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use std::sync::Arc;

/// How a reconciliation ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Why it failed, if it did.
    pub(crate) failure: Option<String>,
    /// What is worth knowing though it did not fail.
    pub(crate) note: String,
}

/// A moment as the API writes it.
pub(crate) fn time(now_ms: i64) -> Time {
    // the API keeps whole seconds
    Time(k8s_openapi::jiff::Timestamp::from_second(now_ms.div_euclid(1000)).unwrap_or_default())
}

/// The status of a Prometheus, from its StatefulSets, one a shard in order.
pub(crate) fn prometheus(
    prometheus: &Prometheus,
    shards: &[Option<Arc<StatefulSet>>],
    outcome: &Outcome,
    now_ms: i64,
) -> PrometheusStatus {
    let desired = prometheus.spec.replicas.unwrap_or(1).max(0);
    let statuses: Vec<ShardStatus> =
        shards.iter().enumerate().map(|(i, set)| shard(i, set.as_deref())).collect();
    let sum = |figure: fn(&ShardStatus) -> i32| statuses.iter().map(figure).sum::<i32>();
    let available = sum(|s| s.available_replicas);
    let wanted = desired * i32::try_from(shards.len()).unwrap_or(i32::MAX);
    let (up, reason, message) = if available >= wanted {
        ("True", "", String::new())
    } else if available == 0 {
        ("False", "NoPodReady", waiting(&statuses, desired))
    } else {
        ("Degraded", "SomePodsNotReady", waiting(&statuses, desired))
    };
    let paused = prometheus.spec.paused == Some(true);
    let (reconciled, why, text) = match &outcome.failure {
        _ if paused => (
            "Unknown",
            "ReconciliationPaused",
            "the resource is paused, no reconciliation will happen".to_owned(),
        ),
        Some(failure) => ("False", "ReconciliationFailed", failure.clone()),
        None => ("True", "", outcome.note.clone()),
    };
    let old = prometheus.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    let generation = prometheus.metadata.generation;
    let condition = |kind: &str, status: &str, reason: &str, message: String| {
        let before = old.iter().find(|c| &c.kind[..] == kind && &c.status[..] == status);
        Condition {
            last_transition_time: before.map_or_else(|| time(now_ms), |c| c.last_transition_time.clone()),
            message: Some(message),
            observed_generation: generation,
            reason: Some(reason.to_owned()),
            status: status.into(),
            kind: kind.into(),
        }
    };
    PrometheusStatus {
        available_replicas: Some(available),
        conditions: Some(vec![
            condition("Available", up, reason, message),
            condition("Reconciled", reconciled, why, text),
        ]),
        paused: Some(paused),
        replicas: Some(sum(|s| s.replicas)),
        selector: Some(workload::selector_text(prometheus)),
        shards: i32::try_from(shards.len()).ok(),
        unavailable_replicas: Some(sum(|s| s.unavailable_replicas)),
        updated_replicas: Some(sum(|s| s.updated_replicas)),
        shard_statuses: Some(statuses),
    }
}

fn shard(index: usize, set: Option<&StatefulSet>) -> ShardStatus {
    let status = set.and_then(|set| set.status.clone()).unwrap_or_default();
    let available = status.available_replicas.unwrap_or_default();
    ShardStatus {
        available_replicas: available,
        replicas: status.replicas,
        shard_id: index.to_string(),
        unavailable_replicas: (status.replicas - available).max(0),
        updated_replicas: status.updated_replicas.unwrap_or_default(),
    }
}

/// Which shards wait for pods.
fn waiting(shards: &[ShardStatus], desired: i32) -> String {
    let lines = shards.iter().filter(|shard| shard.available_replicas < desired).map(|shard| {
        format!("shard {}: {} of {desired} pods ready", shard.shard_id, shard.available_replicas)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// What one Prometheus says about a monitor: accepted, with a note, or rejected for a reason.
pub(crate) fn binding(
    prometheus: &Key,
    verdict: Result<Option<&str>, &str>,
    generation: Option<i64>,
    old: Option<&Binding>,
    now_ms: i64,
) -> Binding {
    let (status, reason, message) = match verdict {
        Ok(note) => ("True", None, note.map(str::to_owned)),
        Err(reason) => ("False", Some("InvalidConfiguration".to_owned()), Some(reason.to_owned())),
    };
    let before = old.and_then(|binding| binding.conditions.as_deref()).unwrap_or_default();
    let before = before.iter().find(|condition| &condition.status[..] == status);
    Binding {
        conditions: Some(vec![BindingCondition {
            last_transition_time: before.map_or_else(|| time(now_ms), |c| c.last_transition_time.clone()),
            message,
            observed_generation: generation,
            reason,
            status: status.into(),
            kind: "Accepted".into(),
        }]),
        group: crds::GROUP.into(),
        name: prometheus.1.as_str().into(),
        namespace: prometheus.0.as_str().into(),
        resource: "prometheuses".into(),
    }
}

/// Whether a binding is that of this Prometheus.
pub(crate) fn is_of(binding: &Binding, prometheus: &Key) -> bool {
    &binding.resource[..] == "prometheuses"
        && binding.namespace.0 == prometheus.0
        && binding.name.0 == prometheus.1
}
