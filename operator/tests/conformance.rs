//! Configurations that prometheus-operator 0.93 makes of known resources, against ours.
#![allow(clippy::unwrap_used)] // a test ends where it fails

use crds::{Prometheus, ServiceMonitor};
use operator::render::{self, Inputs, Kind, Materials, Reference};
use serde::Deserialize as _;
use serde_yaml::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Cases that need only the kinds that are rendered so far: these must be equal.
const EQUAL: &[&str] = &[
    "001-smallest",
    "002-service-monitor-defaults",
    "003-nil-selectors",
    "008-two-prometheuses",
    "011-endpoint-everything",
    "013-auth-kinds",
    "015-files-from-pod",
    "016-file-access-denied",
    "017-rejected-monitors",
    "019-external-labels-and-names",
    "021-enforced-limits",
    "035-rules",
    "046-storage-and-pod",
    "047-containers-merged",
    "080-pod-parts-prometheus",
];

fn conformance() -> Option<PathBuf> {
    let dir = std::env::var_os("OPERATOR_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance/operator"),
        PathBuf::from,
    );
    dir.is_dir().then_some(dir)
}

#[derive(Default)]
struct Cluster {
    namespaces: BTreeMap<String, BTreeMap<String, String>>,
    monitors: BTreeMap<(String, String), Arc<ServiceMonitor>>,
    materials: Materials,
    prometheuses: Vec<Prometheus>,
}

fn read(text: &str) -> Cluster {
    let mut cluster = Cluster::default();
    for document in serde_yaml::Deserializer::from_str(text) {
        let object = Value::deserialize(document).unwrap();
        let meta = |field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let key = (meta("namespace"), meta("name"));
        match object["kind"].as_str().unwrap_or_default() {
            "Namespace" => {
                let labels = serde_yaml::from_value(object["metadata"]["labels"].clone()).unwrap_or_default();
                cluster.namespaces.insert(key.1, labels);
            }
            "Prometheus" => cluster.prometheuses.push(serde_yaml::from_value(object).unwrap()),
            "ServiceMonitor" => {
                cluster.monitors.insert(key, Arc::new(serde_yaml::from_value(object).unwrap()));
            }
            kind @ ("Secret" | "ConfigMap") => {
                let field = if kind == "Secret" { "stringData" } else { "data" };
                let kind = if kind == "Secret" { Kind::Secret } else { Kind::ConfigMap };
                let data: BTreeMap<String, String> =
                    serde_yaml::from_value(object[field].clone()).unwrap_or_default();
                let data = data.into_iter().map(|(k, v)| (k, v.into_bytes())).collect();
                let reference = Reference { kind, namespace: key.0, name: key.1 };
                cluster.materials.insert(reference, Some(data));
            }
            _ => {}
        }
    }
    cluster
}

/// The configuration as typed: numbers and durations may be written in more than one way.
fn typed(text: &str) -> config::prometheus::Config {
    if text.trim().is_empty() {
        return config::prometheus::Config::default();
    }
    config::yaml::from_str(text).unwrap()
}

/// Where ours differs, if it does.
fn compare(dir: &Path) -> Result<(), String> {
    let cluster = read(&std::fs::read_to_string(dir.join("input.yaml")).unwrap());
    if cluster.prometheuses.is_empty() {
        return Err("no Prometheus: another kind".to_owned());
    }
    for prometheus in &cluster.prometheuses {
        let name = prometheus.metadata.name.clone().unwrap_or_default();
        let file = ["prometheus.yaml".to_owned(), format!("prometheus.prometheus-{name}.yaml")];
        let file = file.iter().map(|file| dir.join(file)).find(|path| path.exists());
        let expected = typed(&std::fs::read_to_string(file.ok_or("no configuration")?).unwrap());
        let inputs = Inputs {
            namespaces: &cluster.namespaces,
            monitors: &cluster.monitors,
            materials: &cluster.materials,
        };
        let rendered = render::prometheus(prometheus, &inputs);
        if let Some(failure) = rendered.failure {
            return Err(failure);
        }
        if rendered.config != expected {
            return Err(first_difference(&expected.to_yaml(), &rendered.config.to_yaml()));
        }
    }
    Ok(())
}

fn first_difference(expected: &str, ours: &str) -> String {
    let lines = expected.lines().zip(ours.lines()).enumerate();
    match lines.into_iter().find(|(_, (a, b))| a != b) {
        Some((i, (a, b))) => format!("line {}: expected {a:?}, ours {b:?}", i + 1),
        None => format!("expected {} lines, ours {}", expected.lines().count(), ours.lines().count()),
    }
}

#[test]
fn configurations_are_those_of_the_original() {
    let Some(dir) = conformance() else {
        println!("skipped: no conformance data");
        return;
    };
    let mut cases: Vec<PathBuf> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    cases.sort();
    let (mut passed, mut failed, mut broken) = (0, 0, Vec::new());
    for case in cases {
        let name = case.file_name().unwrap().to_string_lossy().into_owned();
        match compare(&case) {
            Ok(()) => passed += 1,
            Err(why) => {
                failed += 1;
                println!("{name}: {why}");
                if EQUAL.contains(&name.as_str()) {
                    broken.push(format!("{name}: {why}"));
                }
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
