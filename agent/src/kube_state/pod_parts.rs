//! What the families of pods look up in a pod.

use super::family::Samples;
use super::meta::{controller, resources, scaled, text, unix};
use k8s_openapi::api::core::v1::{
    Container, ContainerState, ContainerStateTerminated, ContainerStatus, Pod, PodCondition, PodSpec,
    PodStatus, ResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use std::collections::BTreeMap;

/// What a time that was never set is in Unix seconds: the first second of year 1.
pub(crate) const ZERO_TIME: f64 = -62_135_596_800.0;

/// Which containers of a pod.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Sort {
    Regular,
    Init,
}

/// 1 or 0.
pub(crate) fn flag(on: bool) -> f64 {
    f64::from(u8::from(on))
}

/// A text of the specification.
pub(crate) fn spec(pod: &Pod, field: impl Fn(&PodSpec) -> &str) -> &str {
    pod.spec.as_ref().map_or("", field)
}

/// A text of the status.
pub(crate) fn status(pod: &Pod, field: impl Fn(&PodStatus) -> &Option<String>) -> &str {
    pod.status.as_ref().map_or("", |t| text(field(t)))
}

pub(crate) fn statuses(pod: &Pod, sort: Sort) -> &[ContainerStatus] {
    let Some(status) = &pod.status else { return &[] };
    let list = match sort {
        Sort::Regular => &status.container_statuses,
        Sort::Init => &status.init_container_statuses,
    };
    list.as_deref().unwrap_or_default()
}

fn containers(pod: &Pod, sort: Sort) -> &[Container] {
    match (&pod.spec, sort) {
        (Some(p), Sort::Regular) => &p.containers,
        (Some(p), Sort::Init) => p.init_containers.as_deref().unwrap_or_default(),
        (None, _) => &[],
    }
}

/// A state of a container, where it is in it.
pub(crate) fn state<T>(c: &ContainerStatus, which: impl Fn(&ContainerState) -> Option<&T>) -> Option<&T> {
    c.state.as_ref().and_then(which)
}

pub(crate) fn last_terminated(c: &ContainerStatus) -> Option<&ContainerStateTerminated> {
    c.last_state.as_ref()?.terminated.as_ref()
}

/// When the container was started, also where it has ended since.
pub(crate) fn started(c: &ContainerStatus) -> Option<f64> {
    let state = c.state.as_ref()?;
    match (&state.running, &state.terminated) {
        (Some(running), _) => running.started_at.as_ref().map(unix),
        (None, Some(terminated)) => terminated.started_at.as_ref().map(unix),
        (None, None) => None,
    }
}

/// When its last container ended.
pub(crate) fn completion(pod: &Pod) -> Option<f64> {
    let ends = statuses(pod, Sort::Regular)
        .iter()
        .filter_map(|c| state(c, |s| s.terminated.as_ref())?.finished_at.as_ref().map(unix));
    ends.reduce(f64::max).filter(|end| *end > 0.0)
}

pub(crate) fn info(pod: &Pod, s: &mut Samples<'_>) {
    let owner = controller(&pod.metadata);
    let host_network = pod.spec.as_ref().and_then(|p| p.host_network).unwrap_or(false);
    let labels = [
        ("host_ip", status(pod, |t| &t.host_ip)),
        ("pod_ip", status(pod, |t| &t.pod_ip)),
        ("node", spec(pod, |p| text(&p.node_name))),
        ("created_by_kind", owner.map_or("", |o| &o.kind)),
        ("created_by_name", owner.map_or("", |o| &o.name)),
        ("priority_class", spec(pod, |p| text(&p.priority_class_name))),
        ("host_network", if host_network { "true" } else { "false" }),
    ];
    s.add(&labels, 1.0);
}

pub(crate) fn container_info(pod: &Pod, sort: Sort, s: &mut Samples<'_>) {
    for status in statuses(pod, sort) {
        let container = containers(pod, sort).iter().find(|c| c.name == status.name);
        let mut labels = vec![
            ("container", status.name.as_str()),
            ("image_spec", container.map_or("", |c| text(&c.image))),
            ("image", &status.image),
            ("image_id", &status.image_id),
            ("container_id", text(&status.container_id)),
        ];
        if sort == Sort::Init {
            labels.push(("restart_policy", container.map_or("", |c| text(&c.restart_policy))));
        }
        s.add(&labels, 1.0);
    }
}

pub(crate) fn container_resources(
    pod: &Pod,
    sort: Sort,
    which: impl Fn(&ResourceRequirements) -> Option<&BTreeMap<String, Quantity>>,
    s: &mut Samples<'_>,
) {
    let node = spec(pod, |p| text(&p.node_name));
    for container in containers(pod, sort) {
        for (resource, unit, value) in resources(container.resources.as_ref().and_then(&which)) {
            let labels = [
                ("container", container.name.as_str()),
                ("node", node),
                ("resource", &resource),
                ("unit", unit),
            ];
            s.add(&labels, value);
        }
    }
}

pub(crate) fn overhead(pod: &Pod, resource: &str, scale: i32) -> Option<f64> {
    scaled(pod.spec.as_ref()?.overhead.as_ref()?.get(resource)?, scale)
}

pub(crate) fn conditions(pod: &Pod) -> impl Iterator<Item = &PodCondition> {
    pod.status.iter().flat_map(|t| t.conditions.iter().flatten())
}

pub(crate) fn condition(pod: &Pod, kind: &str, s: &mut Samples<'_>) {
    for c in conditions(pod).filter(|c| c.type_ == kind) {
        s.condition(&[], "condition", &c.status);
    }
}

/// When a condition took a status.
pub(crate) fn since(pod: &Pod, kind: &str, status: &str) -> Option<f64> {
    let condition = conditions(pod).find(|c| c.type_ == kind && c.status == status)?;
    condition.last_transition_time.as_ref().map(unix)
}

/// Volumes that are claims, their own or made for the pod (`ephemeral`).
pub(crate) fn claims(pod: &Pod, value: impl Fn(bool) -> f64, s: &mut Samples<'_>) {
    for volume in pod.spec.iter().flat_map(|p| p.volumes.iter().flatten()) {
        let (claim, ephemeral, read_only) = if let Some(claim) = &volume.persistent_volume_claim {
            (claim.claim_name.clone(), "false", claim.read_only.unwrap_or(false))
        } else if volume.ephemeral.is_some() {
            (format!("{}-{}", text(&pod.metadata.name), volume.name), "true", false)
        } else {
            continue;
        };
        let labels =
            [("volume", volume.name.as_str()), ("persistentvolumeclaim", &claim), ("ephemeral", ephemeral)];
        s.add(&labels, value(read_only));
    }
}

pub(crate) fn resource_claims(pod: &Pod, s: &mut Samples<'_>) {
    let made = || pod.status.iter().flat_map(|t| t.resource_claim_statuses.iter().flatten());
    for claim in pod.spec.iter().flat_map(|p| p.resource_claims.iter().flatten()) {
        let name = match text(&claim.resource_claim_name) {
            "" => made().find(|m| m.name == claim.name).map_or("", |m| text(&m.resource_claim_name)),
            name => name,
        };
        let labels = [
            ("claim_name", claim.name.as_str()),
            ("resourceclaim_name", name),
            ("resourceclaim_template_name", text(&claim.resource_claim_template_name)),
        ];
        s.add(&labels, 1.0);
    }
}

pub(crate) fn tolerations(pod: &Pod, s: &mut Samples<'_>) {
    let mut seen = Vec::new();
    for t in pod.spec.iter().flat_map(|p| p.tolerations.iter().flatten()) {
        if seen.contains(&t) {
            continue;
        }
        seen.push(t);
        let seconds = t.toleration_seconds.map_or_else(String::new, |n| n.to_string());
        let labels = [
            ("key", text(&t.key)),
            ("operator", text(&t.operator)),
            ("value", text(&t.value)),
            ("effect", text(&t.effect)),
            ("toleration_seconds", &seconds),
        ];
        s.add(&labels, 1.0);
    }
}

/// Why a pod is to be disrupted, as its condition `DisruptionTarget` says.
const DISRUPTIONS: [&str; 5] = [
    "PreemptionByScheduler",
    "DeletionByTaintManager",
    "EvictionByEvictionAPI",
    "DeletionByPodGC",
    "TerminationByKubelet",
];

pub(crate) fn disruption_reason(pod: &Pod, s: &mut Samples<'_>) {
    for c in conditions(pod).filter(|c| c.type_ == "DisruptionTarget") {
        let reason = text(&c.reason);
        s.add(&[("reason", if DISRUPTIONS.contains(&reason) { reason } else { "Other" })], 1.0);
    }
}

/// The reasons of a pod's status that are told apart.
const REASONS: [&str; 8] = [
    "Evicted",
    "NodeAffinity",
    "NodeLost",
    "PreemptionByScheduler",
    "SchedulingGated",
    "Shutdown",
    "TerminationByKubelet",
    "UnexpectedAdmissionError",
];

/// Known reasons that the pod, one of its conditions or an ended container gives; `Other` for a pod's own reason that
/// is none of them.
pub(crate) fn status_reason(pod: &Pod, s: &mut Samples<'_>) {
    let own = status(pod, |t| &t.reason);
    let gives = |reason: &str| {
        own == reason
            || conditions(pod).any(|c| text(&c.reason) == reason)
            || statuses(pod, Sort::Regular)
                .iter()
                .any(|c| state(c, |s| s.terminated.as_ref()).is_some_and(|t| text(&t.reason) == reason))
    };
    for reason in REASONS.into_iter().filter(|r| gives(r)) {
        s.add(&[("reason", reason)], 1.0);
    }
    if !own.is_empty() && !REASONS.contains(&own) {
        s.add(&[("reason", "Other")], 1.0);
    }
}
