//! CustomResourceDefinitions from the types.

use crate::amend::amend;
use crate::native::{MARK, MARK_PREFIX};
use crate::{Prometheus, ServiceMonitor};
use kube::CustomResourceExt;
use serde_json::{Map, Value, json};

/// Longest description of a field that belongs to Kubernetes itself, in bytes: with it the largest definition stays
/// well below the 262,144 bytes that `kubectl apply` can take.
const NATIVE_DESCRIPTION: usize = 70;

/// A generated CustomResourceDefinition.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Name of its file.
    pub file: String,
    /// The object.
    pub object: Value,
}

/// The definitions of all kinds, sorted by file name.
///
/// # Errors
/// Where a definition cannot be written as JSON, which the types rule out.
pub fn manifests() -> Result<Vec<Manifest>, serde_json::Error> {
    let definitions = [Prometheus::crd(), ServiceMonitor::crd()];
    definitions
        .iter()
        .map(|definition| {
            let mut object = serde_json::to_value(definition)?;
            object["spec"]["names"]["listKind"] = format!("{}List", definition.spec.names.kind).into();
            for version in object["spec"]["versions"].as_array_mut().into_iter().flatten() {
                let root = &mut version["schema"]["openAPIV3Schema"];
                tidy(root, None);
                add_object_fields(root);
            }
            let plural = definition.spec.names.plural.clone();
            Ok(Manifest { file: format!("{}_{plural}.yaml", crate::GROUP), object })
        })
        .collect()
}

/// What every object has beside its specification and status.
fn add_object_fields(root: &mut Value) {
    for (name, description) in [("apiVersion", "Version of the API."), ("kind", "Kind of the object.")] {
        root["properties"][name] = json!({ "type": "string", "description": description });
    }
    // the API server takes nothing else about metadata, not even a description
    root["properties"]["metadata"] = json!({ "type": "object" });
}

/// Turns a schema, as derived, into the form that the API server takes. `path` is set within Kubernetes' own types.
fn tidy(schema: &mut Value, path: Option<&str>) {
    let Some(map) = schema.as_object_mut() else { return };
    // a null is no value: the API server refuses it, as for the original's types
    map.remove("nullable");
    if let Some(words) = map.get_mut("enum").and_then(Value::as_array_mut) {
        words.retain(|word| !word.is_null());
    }
    let title = map.remove(MARK);
    let marked = title.as_ref().and_then(|title| title.as_str()?.strip_prefix(MARK_PREFIX));
    let path = marked.or(path);
    // bounds of whole numbers are written as such
    for bound in ["minimum", "maximum"] {
        if let Some(whole) = map.get(bound).and_then(Value::as_f64).filter(|v| v.fract() == 0.0) {
            map.insert(bound.to_owned(), (whole as i64).into());
        }
    }
    if map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) {
        map.insert("anyOf".to_owned(), json!([{ "type": "integer" }, { "type": "string" }]));
    }
    if let Some(path) = path {
        amend(path, map);
    }
    shorten(map, path.is_some());
    for (name, child) in map.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        tidy(child, path.map(|path| format!("{path}.{name}")).as_deref());
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(child) = map.get_mut(key) {
            tidy(child, path.map(|path| format!("{path}{suffix}")).as_deref());
        }
    }
}

/// Leaves one line of the description: all of ours, the first sentence of Kubernetes' own where it is short.
fn shorten(map: &mut Map<String, Value>, native: bool) {
    let Some(text) = map.get("description").and_then(Value::as_str) else { return };
    let line = text.lines().next().unwrap_or_default();
    let sentence = if native { line.split_inclusive(". ").next().unwrap_or_default().trim() } else { line };
    if sentence.is_empty() || (native && sentence.len() > NATIVE_DESCRIPTION) {
        map.remove("description");
    } else {
        let sentence = sentence.to_owned();
        map.insert("description".to_owned(), sentence.into());
    }
}
