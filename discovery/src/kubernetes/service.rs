//! Role service: a target per port, at the service's DNS name.

use super::meta::{self, Labels, join, set};
use super::related::{self, Related};
use crate::{ADDRESS, TargetGroup};
use k8s_openapi::api::core::v1::Service;

/// The service as a group.
pub fn service_group(service: &Service, related: &dyn Related) -> TargetGroup {
    let (namespace, name) = (meta::namespace(&service.metadata), meta::name(&service.metadata));
    let mut labels = Labels::new();
    meta::set_object(&mut labels, "service", &service.metadata);
    set(&mut labels, "namespace", namespace);
    related::attach_namespace(&mut labels, namespace, related);
    let spec = service.spec.clone().unwrap_or_default();
    let type_ = spec.type_.unwrap_or_default();
    let targets = spec.ports.unwrap_or_default().into_iter().map(|port| {
        let mut target =
            Labels::from([(ADDRESS.to_owned(), join(&format!("{name}.{namespace}.svc"), port.port))]);
        set(&mut target, "service_port_name", port.name.unwrap_or_default());
        set(&mut target, "service_port_number", port.port.to_string());
        set(&mut target, "service_port_protocol", port.protocol.unwrap_or_default());
        set(&mut target, "service_type", &type_);
        if type_ == "ExternalName" {
            set(&mut target, "service_external_name", spec.external_name.clone().unwrap_or_default());
        } else {
            set(&mut target, "service_cluster_ip", spec.cluster_ip.clone().unwrap_or_default());
        }
        if type_ == "LoadBalancer" {
            set(&mut target, "service_loadbalancer_ip", spec.load_balancer_ip.clone().unwrap_or_default());
        }
        target
    });
    TargetGroup { source: format!("svc/{namespace}/{name}"), labels, targets: targets.collect() }
}

/// Drops what no label comes from.
pub(super) fn trim(service: &mut Service) {
    service.metadata.managed_fields = None;
    service.status = None;
}
