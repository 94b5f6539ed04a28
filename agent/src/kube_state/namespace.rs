//! kube_namespace_*.

use super::family::{Family, gauge};
use super::meta::{created, text};
use k8s_openapi::api::core::v1::Namespace;

/// The families of this kind, in the order in which they are exposed. Labels and annotations become labels only where
/// they are allowed by name, so without such a list those families have no samples.
pub(crate) const FAMILIES: &[Family<Namespace>] = &[
    gauge("kube_namespace_created", "[STABLE] Unix creation timestamp", |o, s| s.maybe(created(&o.metadata))),
    gauge("kube_namespace_annotations", "Kubernetes annotations converted to Prometheus labels.", |_, _| {}),
    gauge("kube_namespace_labels", "[STABLE] Kubernetes labels converted to Prometheus labels.", |_, _| {}),
    gauge("kube_namespace_status_phase", "[STABLE] kubernetes namespace status phase.", |o, s| {
        let phase = o.status.as_ref().map_or("", |t| text(&t.phase));
        for known in ["Active", "Terminating"] {
            s.add(&[("phase", known)], f64::from(u8::from(phase == known)));
        }
    }),
    gauge("kube_namespace_status_condition", "The condition of a namespace.", |o, s| {
        for c in o.status.iter().flat_map(|t| t.conditions.iter().flatten()) {
            s.condition(&[("condition", &c.type_)], "status", &c.status);
        }
    }),
];

/// The labels that all its series begin with.
pub(crate) fn common(o: &Namespace) -> Vec<(&'static str, &str)> {
    vec![("namespace", text(&o.metadata.name))]
}
