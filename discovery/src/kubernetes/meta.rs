//! Meta labels that all roles share.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use std::collections::BTreeMap;

/// Labels of a target or group.
pub(super) type Labels = BTreeMap<String, String>;

/// What all labels of this discovery begin with.
pub(super) const PREFIX: &str = "__meta_kubernetes_";

/// Sets `__meta_kubernetes_NAME`.
pub(super) fn set(labels: &mut Labels, name: &str, value: impl Into<String>) {
    labels.insert(format!("{PREFIX}{name}"), value.into());
}

/// A label name of letters, digits and underscores.
pub(super) fn sanitize(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

/// Labels and annotations of an object, and that they are present.
pub(super) fn set_labels_and_annotations(labels: &mut Labels, role: &str, meta: &ObjectMeta) {
    for (kind, entries) in [("label", &meta.labels), ("annotation", &meta.annotations)] {
        for (name, value) in entries.iter().flatten() {
            let name = sanitize(name);
            set(labels, &format!("{role}_{kind}_{name}"), value);
            set(labels, &format!("{role}_{kind}present_{name}"), "true");
        }
    }
}

/// Name, labels and annotations of an object.
pub(super) fn set_object(labels: &mut Labels, role: &str, meta: &ObjectMeta) {
    set(labels, &format!("{role}_name"), name(meta));
    set_labels_and_annotations(labels, role, meta);
}

/// The object's name.
pub(super) fn name(meta: &ObjectMeta) -> &str {
    meta.name.as_deref().unwrap_or_default()
}

/// The object's namespace, empty for those of the cluster.
pub(super) fn namespace(meta: &ObjectMeta) -> &str {
    meta.namespace.as_deref().unwrap_or_default()
}

/// `host:port`, with brackets around IPv6.
pub(super) fn join(host: &str, port: impl std::fmt::Display) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
