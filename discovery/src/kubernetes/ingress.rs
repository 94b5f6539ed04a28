//! Role ingress: a target per host and path.

use super::meta::{self, Labels, set};
use super::ports;
use super::related::{self, Related};
use crate::{ADDRESS, TargetGroup};
use k8s_openapi::api::networking::v1::{Ingress, IngressRule};

/// The ingress as a group.
pub fn ingress_group(ingress: &Ingress, related: &dyn Related) -> TargetGroup {
    let (namespace, name) = ports::key(&ingress.metadata);
    let spec = ingress.spec.clone().unwrap_or_default();
    let mut labels = Labels::new();
    meta::set_object(&mut labels, "ingress", &ingress.metadata);
    set(&mut labels, "namespace", namespace);
    if let Some(class) = &spec.ingress_class_name {
        set(&mut labels, "ingress_class_name", class);
    }
    related::attach_namespace(&mut labels, namespace, related);
    let secured: Vec<String> =
        spec.tls.unwrap_or_default().into_iter().flat_map(|tls| tls.hosts.unwrap_or_default()).collect();
    let mut targets = Vec::new();
    for rule in spec.rules.unwrap_or_default() {
        let host = rule.host.clone().unwrap_or_default();
        let scheme = if secured.iter().any(|pattern| covers(pattern, &host)) { "https" } else { "http" };
        for path in paths(&rule) {
            let mut target = Labels::from([(ADDRESS.to_owned(), host.clone())]);
            set(&mut target, "ingress_scheme", scheme);
            set(&mut target, "ingress_host", &host);
            set(&mut target, "ingress_path", path);
            targets.push(target);
        }
    }
    TargetGroup { source: format!("ingress/{namespace}/{name}"), labels, targets }
}

/// Whether a host of the TLS section, maybe `*.domain`, covers a host: a star stands for one part.
fn covers(pattern: &str, host: &str) -> bool {
    match (pattern.strip_prefix("*."), host.split_once('.')) {
        (Some(domain), Some((_, rest))) => domain == rest,
        _ => pattern == host,
    }
}

fn paths(rule: &IngressRule) -> Vec<String> {
    let Some(http) = &rule.http else { return vec!["/".to_owned()] };
    let path =
        |path: &Option<String>| path.clone().filter(|p| !p.is_empty()).unwrap_or_else(|| "/".to_owned());
    http.paths.iter().map(|p| path(&p.path)).collect()
}

/// Drops what no label comes from.
pub(super) fn trim(ingress: &mut Ingress) {
    ingress.metadata.managed_fields = None;
    ingress.status = None;
}
