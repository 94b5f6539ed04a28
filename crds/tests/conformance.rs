//! Every field, type, enum, default and validation of the original's definitions is in ours.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Keywords that must be equal where the original has them.
const KEYWORDS: &[&str] = &[
    "type",
    "enum",
    "default",
    "format",
    "pattern",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "anyOf",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-map-type",
    "x-kubernetes-validations",
];

fn conformance() -> Option<PathBuf> {
    let dir = std::env::var_os("CRDS_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance/crds"),
        PathBuf::from,
    );
    dir.is_dir().then_some(dir)
}

/// Keywords by path of the field.
fn flatten(schema: &Value, path: String, out: &mut BTreeMap<String, BTreeMap<String, Value>>) {
    let mut keywords: BTreeMap<String, Value> = KEYWORDS
        .iter()
        .filter_map(|keyword| Some(((*keyword).to_owned(), schema.get(*keyword)?.clone())))
        .collect();
    let mut required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    required.sort_unstable();
    keywords.insert("required".to_owned(), required.into());
    if schema["type"] == "array" {
        keywords.entry("x-kubernetes-list-type".to_owned()).or_insert_with(|| "atomic".into());
    }
    for (name, child) in schema["properties"].as_object().into_iter().flatten() {
        flatten(child, format!("{path}.{name}"), out);
    }
    for (key, suffix) in [("items", "[]"), ("additionalProperties", "{}")] {
        if let Some(child) = schema.get(key) {
            flatten(child, format!("{path}{suffix}"), out);
        }
    }
    out.insert(path, keywords);
}

fn fields(definition: &Value) -> BTreeMap<String, BTreeMap<String, Value>> {
    let mut out = BTreeMap::new();
    for version in definition["spec"]["versions"].as_array().expect("versions") {
        let name = version["name"].as_str().expect("a version's name");
        flatten(&version["schema"]["openAPIV3Schema"], name.to_owned(), &mut out);
    }
    out
}

#[test]
fn every_field_of_the_original_is_there() {
    let Some(dir) = conformance() else {
        println!("skipped: no conformance data");
        return;
    };
    for manifest in crds::manifests().unwrap() {
        let text = std::fs::read_to_string(dir.join(&manifest.file)).unwrap();
        let original: Value = serde_yaml::from_str(&text).unwrap();
        let ours = fields(&manifest.object);
        let mut wrong = Vec::new();
        for (path, keywords) in fields(&original) {
            let Some(found) = ours.get(&path) else {
                wrong.push(format!("{path}: missing"));
                continue;
            };
            for (keyword, value) in keywords {
                if found.get(&keyword) != Some(&value) {
                    wrong.push(format!("{path}: {keyword} is {:?}, not {value}", found.get(&keyword)));
                }
            }
        }
        assert!(wrong.is_empty(), "{}:\n{}", manifest.file, wrong.join("\n"));
        assert_eq!(manifest.object["spec"]["names"], original["spec"]["names"]);
        for keyword in ["additionalPrinterColumns", "subresources", "served", "storage"] {
            assert_eq!(
                manifest.object["spec"]["versions"][0][keyword], original["spec"]["versions"][0][keyword],
                "{keyword} of {}",
                manifest.file
            );
        }
    }
}
