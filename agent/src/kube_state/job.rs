//! kube_job_*.

use super::family::{Family, Samples, gauge};
use super::meta::{created, owners, text, unix};
use k8s_openapi::api::batch::v1::{Job, JobSpec, JobStatus};

/// The families of this kind, in the order in which they are exposed. Labels and annotations become labels only where
/// they are allowed by name, so without such a list those families have no samples.
pub(crate) const FAMILIES: &[Family<Job>] = &[
    gauge("kube_job_annotations", "Kubernetes annotations converted to Prometheus labels.", |_, _| {}),
    gauge("kube_job_labels", "[STABLE] Kubernetes labels converted to Prometheus labels.", |_, _| {}),
    gauge("kube_job_info", "[STABLE] Information about job.", |_, s| s.value(1.0)),
    gauge("kube_job_created", "[STABLE] Unix creation timestamp", |o, s| s.maybe(created(&o.metadata))),
    gauge(
        "kube_job_spec_parallelism",
        "[STABLE] The maximum desired number of pods the job should run at any given time.",
        |o, s| s.maybe(spec(o, |p| p.parallelism.map(f64::from))),
    ),
    gauge(
        "kube_job_spec_completions",
        "[STABLE] The desired number of successfully finished pods the job should be run with.",
        |o, s| s.maybe(spec(o, |p| p.completions.map(f64::from))),
    ),
    gauge(
        "kube_job_spec_active_deadline_seconds",
        "[STABLE] The duration in seconds relative to the startTime that the job may be active before the system tries to terminate it.",
        |o, s| s.maybe(spec(o, |p| p.active_deadline_seconds.map(|n| n as f64))),
    ),
    gauge(
        "kube_job_status_succeeded",
        "[STABLE] The number of pods which reached Phase Succeeded.",
        |o, s| s.value(status(o, |t| t.succeeded)),
    ),
    gauge(
        "kube_job_status_failed",
        "[STABLE] The number of pods which reached Phase Failed and the reason for failure.",
        failed,
    ),
    gauge("kube_job_status_active", "[STABLE] The number of actively running pods.", |o, s| {
        s.value(status(o, |t| t.active))
    }),
    gauge("kube_job_status_ready", "The number of ready pods that belong to this Job.", |o, s| {
        s.value(status(o, |t| t.ready))
    }),
    gauge("kube_job_complete", "[STABLE] The job has completed its execution.", |o, s| {
        finished(o, "Complete", s)
    }),
    gauge("kube_job_failed", "[STABLE] The job has failed its execution.", |o, s| finished(o, "Failed", s)),
    gauge(
        "kube_job_status_start_time",
        "[STABLE] StartTime represents time when the job was acknowledged by the Job Manager.",
        |o, s| s.maybe(o.status.as_ref().and_then(|t| t.start_time.as_ref()).map(unix)),
    ),
    gauge(
        "kube_job_status_completion_time",
        "[STABLE] CompletionTime represents time when the job was completed.",
        |o, s| s.maybe(o.status.as_ref().and_then(|t| t.completion_time.as_ref()).map(unix)),
    ),
    gauge("kube_job_status_suspended", "The number of pods which reached Phase Suspended.", |o, s| {
        let suspended =
            o.status.iter().flat_map(|t| t.conditions.iter().flatten()).find(|c| c.type_ == "Suspended");
        s.maybe(suspended.map(|c| f64::from(u8::from(c.status == "True"))));
    }),
    gauge("kube_job_owner", "[STABLE] Information about the Job's owner.", |o, s| {
        for (kind, name, controller) in owners(&o.metadata) {
            s.add(&[("owner_kind", kind), ("owner_name", name), ("owner_is_controller", controller)], 1.0);
        }
    }),
];

/// The labels that all its series begin with.
pub(crate) fn common(o: &Job) -> Vec<(&'static str, &str)> {
    vec![("namespace", text(&o.metadata.namespace)), ("job_name", text(&o.metadata.name))]
}

/// A figure of the status; 0 where it has none.
fn status<T: Into<f64>>(o: &Job, figure: impl Fn(&JobStatus) -> Option<T>) -> f64 {
    o.status.as_ref().and_then(figure).map_or(0.0, Into::into)
}

/// A figure of the specification.
fn spec(o: &Job, figure: impl Fn(&JobSpec) -> Option<f64>) -> Option<f64> {
    o.spec.as_ref().and_then(figure)
}

/// The reasons for which a job fails, as its conditions name them.
const FAILURES: [&str; 3] = ["BackoffLimitExceeded", "DeadlineExceeded", "Evicted"];

/// Failed pods: 1 at the reason why the job failed; their number without a reason where the job has none of the known
/// ones (or goes on).
fn failed(o: &Job, s: &mut Samples<'_>) {
    let count = status(o, |t| t.failed);
    if count == 0.0 {
        s.value(0.0);
        return;
    }
    let conditions = || o.status.iter().flat_map(|t| t.conditions.iter().flatten());
    if !conditions().any(|c| c.type_ == "Failed") {
        s.add(&[("reason", "")], count);
        return;
    }
    let mut known = false;
    for reason in FAILURES {
        let hit = conditions().any(|c| c.type_ == "Failed" && text(&c.reason) == reason);
        known |= hit;
        s.add(&[("reason", reason)], f64::from(u8::from(hit)));
    }
    if !known {
        s.add(&[("reason", "")], count);
    }
}

/// The state of the condition with which a job ends.
fn finished(o: &Job, kind: &str, s: &mut Samples<'_>) {
    for c in o.status.iter().flat_map(|t| t.conditions.iter().flatten()).filter(|c| c.type_ == kind) {
        s.condition(&[], "condition", &c.status);
    }
}
