//! kube_service_*.

use super::family::{Family, gauge};
use super::meta::{created, deleted, text};
use k8s_openapi::api::core::v1::{Service, ServiceSpec};

/// The families of this kind, in the order in which they are exposed. Labels and annotations become labels only where
/// they are allowed by name, so without such a list those families have no samples.
pub(crate) const FAMILIES: &[Family<Service>] = &[
    gauge("kube_service_info", "[STABLE] Information about service.", |o, s| {
        s.add(
            &[
                ("cluster_ip", spec(o, |p| text(&p.cluster_ip))),
                ("external_name", spec(o, |p| text(&p.external_name))),
                ("load_balancer_ip", spec(o, |p| text(&p.load_balancer_ip))),
                ("external_traffic_policy", spec(o, |p| text(&p.external_traffic_policy))),
            ],
            1.0,
        );
    }),
    gauge("kube_service_created", "[STABLE] Unix creation timestamp", |o, s| s.maybe(created(&o.metadata))),
    gauge("kube_service_spec_type", "[STABLE] Type about service.", |o, s| {
        s.add(&[("type", spec(o, |p| text(&p.type_)))], 1.0)
    }),
    gauge("kube_service_annotations", "Kubernetes annotations converted to Prometheus labels.", |_, _| {}),
    gauge("kube_service_labels", "[STABLE] Kubernetes labels converted to Prometheus labels.", |_, _| {}),
    gauge(
        "kube_service_spec_external_ip",
        "[STABLE] Service external ips. One series for each ip",
        |o, s| {
            for ip in o.spec.iter().flat_map(|p| p.external_ips.iter().flatten()) {
                s.add(&[("external_ip", ip)], 1.0);
            }
        },
    ),
    gauge(
        "kube_service_status_load_balancer_ingress",
        "[STABLE] Service load balancer ingress status",
        |o, s| {
            let balancer = o.status.as_ref().and_then(|t| t.load_balancer.as_ref());
            for i in balancer.iter().flat_map(|b| b.ingress.iter().flatten()) {
                s.add(&[("ip", text(&i.ip)), ("hostname", text(&i.hostname))], 1.0);
            }
        },
    ),
    gauge("kube_service_deletion_timestamp", "Unix deletion timestamp", |o, s| s.maybe(deleted(&o.metadata))),
];

/// The labels that all its series begin with.
pub(crate) fn common(o: &Service) -> Vec<(&'static str, &str)> {
    vec![
        ("namespace", text(&o.metadata.namespace)),
        ("service", text(&o.metadata.name)),
        ("uid", text(&o.metadata.uid)),
    ]
}

/// A text of the specification.
fn spec(o: &Service, field: impl Fn(&ServiceSpec) -> &str) -> &str {
    o.spec.as_ref().map_or("", field)
}
