//! What the types of `k8s-openapi` leave out of their schemas: defaults, kinds of lists and maps, and fields that are
//! newer than the version they are made for.

use crate::scalar::QUANTITY;
use serde_json::{Map, Value, json};

/// Amends the schema at `path`, such as `Container.env[].valueFrom`, within a type of Kubernetes.
pub(crate) fn amend(path: &str, schema: &mut Map<String, Value>) {
    if is_quantity(schema) {
        schema.insert("pattern".to_owned(), QUANTITY.into());
    }
    if path.ends_with("volumeClaimTemplate.metadata") {
        // metadata within a pod's specification is not looked into, as in the original
        schema.remove("properties");
    }
    if schema.contains_key("items") {
        schema.entry("x-kubernetes-list-type").or_insert("atomic".into());
    }
    if is_atomic_map(path, schema) {
        schema.insert("x-kubernetes-map-type".to_owned(), "atomic".into());
    }
    if is_reference(path, schema) {
        schema["properties"]["name"]["default"] = "".into();
        if let Some(required) = schema.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|field| field != "name");
        }
    }
    for (suffix, amendment) in table() {
        if path == suffix || path.ends_with(&format!(".{suffix}")) {
            merge(schema, amendment);
        }
    }
}

fn is_quantity(schema: &Map<String, Value>) -> bool {
    let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    schema.contains_key("x-kubernetes-int-or-string")
        && (description.starts_with("Quantity is a fixed-point") || !description.contains("int32"))
        && !description.to_lowercase().contains("port")
}

fn has(schema: &Map<String, Value>, fields: &[&str]) -> bool {
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.is_some_and(|properties| fields.iter().all(|field| properties.contains_key(*field)))
}

fn ends(path: &str, names: &[&str]) -> bool {
    names.iter().any(|name| path.rsplit('.').next() == Some(name))
}

/// Selectors and references are replaced as a whole when two parties apply them.
fn is_atomic_map(path: &str, schema: &Map<String, Value>) -> bool {
    has(schema, &["matchExpressions", "matchLabels"])
        || has(schema, &["matchExpressions", "matchFields"])
        || has(schema, &["nodeSelectorTerms"])
        || is_reference(path, schema)
        || ends(path, &["fieldRef", "resourceFieldRef", "dataSource"])
}

/// Whether this names a Secret or ConfigMap of the same namespace.
fn is_reference(path: &str, schema: &Map<String, Value>) -> bool {
    if !has(schema, &["name"]) || has(schema, &["namespace"]) {
        return path.ends_with(".scaleIO.secretRef");
    }
    let named = ["configMapKeyRef", "secretKeyRef", "configMapRef", "secretRef", "nodePublishSecretRef"];
    ends(path, &named) || ends(path, &["configMap", "secret"])
}

fn list_map(keys: &[&str]) -> Value {
    json!({ "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys })
}

fn default(value: impl Into<Value>) -> Value {
    json!({ "default": value.into() })
}

/// Ends of paths, and what is merged into the schema there.
fn table() -> Vec<(&'static str, Value)> {
    let key = json!({ "type": "string" });
    vec![
        ("Container.env", list_map(&["name"])),
        ("Container.ports", list_map(&["containerPort", "protocol"])),
        ("Container.volumeDevices", list_map(&["devicePath"])),
        ("Container.volumeMounts", list_map(&["mountPath"])),
        ("Container.resources.claims", list_map(&["name"])),
        ("ResourceRequirements.claims", list_map(&["name"])),
        ("PersistentVolumeClaimStatus.conditions", list_map(&["type"])),
        (
            "PersistentVolumeClaimStatus.allocatedResourceStatuses",
            json!({ "x-kubernetes-map-type": "granular" }),
        ),
        ("PodDNSConfig.options", list_map(&["name"])),
        ("PodDNSConfig.options[]", json!({ "required": ["name"] })),
        ("PodDNSConfig.options[].name", json!({ "minLength": 1 })),
        ("PodDNSConfig.nameservers", json!({ "x-kubernetes-list-type": "set" })),
        ("PodDNSConfig.nameservers[]", json!({ "minLength": 1 })),
        ("PodDNSConfig.searches", json!({ "x-kubernetes-list-type": "set" })),
        ("PodDNSConfig.searches[]", json!({ "minLength": 1 })),
        ("HostAlias", json!({ "required": ["hostnames", "ip"] })),
        ("Container.ports[].protocol", default("TCP")),
        ("grpc.service", default("")),
        ("Volume.rbd.keyring", default("/etc/ceph/keyring")),
        ("Volume.rbd.pool", default("rbd")),
        ("Volume.rbd.user", default("admin")),
        ("Volume.scaleIO.storageMode", default("ThinProvisioned")),
        ("Volume.scaleIO.fsType", default("xfs")),
        ("Volume.iscsi.iscsiInterface", default("default")),
        ("Volume.azureDisk.fsType", default("ext4")),
        ("Volume.azureDisk.readOnly", default(false)),
        // newer than the types
        (
            "Container",
            json!({ "properties": { "restartPolicyRules": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["action"],
                    "properties": {
                        "action": key,
                        "exitCodes": {
                            "type": "object",
                            "required": ["operator"],
                            "properties": {
                                "operator": key,
                                "values": {
                                    "type": "array",
                                    "items": { "type": "integer", "format": "int32" },
                                    "x-kubernetes-list-type": "set",
                                },
                            },
                        },
                    },
                },
            } } }),
        ),
        (
            "Container.env[].valueFrom",
            json!({ "properties": { "fileKeyRef": {
                "type": "object",
                "required": ["key", "path", "volumeName"],
                "x-kubernetes-map-type": "atomic",
                "properties": {
                    "key": key,
                    "optional": { "type": "boolean", "default": false },
                    "path": key,
                    "volumeName": key,
                },
            } } }),
        ),
        (
            "Volume.projected.sources[]",
            json!({ "properties": { "podCertificate": {
                "type": "object",
                "required": ["keyType", "signerName"],
                "properties": {
                    "certificateChainPath": key,
                    "credentialBundlePath": key,
                    "keyPath": key,
                    "keyType": key,
                    "maxExpirationSeconds": { "type": "integer", "format": "int32" },
                    "signerName": key,
                    "userAnnotations": { "type": "object", "additionalProperties": key },
                },
            } } }),
        ),
    ]
}

fn merge(into: &mut Map<String, Value>, from: Value) {
    let Value::Object(from) = from else { return };
    for (key, value) in from {
        match (into.get_mut(&key), value) {
            (Some(Value::Object(known)), value @ Value::Object(_)) => merge(known, value),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}
