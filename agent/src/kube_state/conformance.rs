//! Every family of our kinds against what kube-state-metrics says about the same objects. Lies beside the code, since
//! it feeds objects past the API.

use super::*;
use std::collections::BTreeMap;
use std::path::PathBuf;

fn data() -> Option<PathBuf> {
    let root = std::env::var_os("SHARED_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let dir = root.join("conformance/kube-state-metrics");
    if dir.exists() {
        return Some(dir);
    }
    eprintln!("skipped: {} is absent", dir.display());
    None
}

fn feed<K: Kind>(dir: &std::path::Path, kind: &str, store: &Arc<Store<K>>) {
    let text = std::fs::read_to_string(dir.join(format!("objects/{kind}.json"))).unwrap();
    let list: serde_json::Value = serde_json::from_str(&text).unwrap();
    for item in list["items"].as_array().unwrap() {
        Sink::listed(store, &serde_json::from_value::<K>(item.clone()).unwrap());
    }
    store.complete();
}

/// Name, head lines, and samples by object.
type Parsed = Vec<(String, Vec<String>, BTreeMap<String, Vec<String>>)>;

/// Families in their order: head lines, and for each object (its labels up to the family's own) its samples in order.
fn parse(text: &str) -> Parsed {
    let mut families = Parsed::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let name = rest.split(' ').next().unwrap().to_owned();
            families.push((name, vec![line.to_owned()], BTreeMap::new()));
        } else if line.starts_with('#') {
            families.last_mut().unwrap().1.push(line.to_owned());
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let value: f64 = value.parse().unwrap();
            let object = series.split("\",").take(2).collect::<Vec<_>>().join(",");
            let samples = &mut families.last_mut().unwrap().2;
            samples.entry(object).or_default().push(format!("{series} {value:?}"));
        }
    }
    for (name, _, objects) in &mut families {
        // resources come from a Go map, in no order
        if name.ends_with("resource_limits")
            || name.ends_with("resource_requests")
            || name.starts_with("kube_node_status_")
        {
            objects.values_mut().for_each(|s| s.sort());
        }
    }
    families
}

#[test]
fn families_are_equal() {
    let Some(dir) = data() else { return };
    let state = KubeState::new();
    feed(&dir, "DaemonSet", &state.daemonsets);
    feed(&dir, "Deployment", &state.deployments);
    feed(&dir, "Job", &state.jobs);
    feed(&dir, "Namespace", &state.namespaces);
    feed(&dir, "Node", &state.nodes);
    feed(&dir, "Pod", &state.pods);
    feed(&dir, "ReplicaSet", &state.replicasets);
    feed(&dir, "Service", &state.services);
    feed(&dir, "StatefulSet", &state.statefulsets);
    state.leads(true);
    let text: Vec<u8> = state.scrape().unwrap().flatten().collect();
    let ours = parse(&String::from_utf8(text).unwrap());
    let theirs = parse(&std::fs::read_to_string(dir.join("default.txt")).unwrap());
    let prefixes = [
        "kube_daemonset_",
        "kube_deployment_",
        "kube_job_",
        "kube_namespace_",
        "kube_node_",
        "kube_pod_",
        "kube_replicaset_",
        "kube_service_",
        "kube_statefulset_",
    ];
    let theirs: Vec<_> = theirs.into_iter().filter(|f| prefixes.iter().any(|p| f.0.starts_with(p))).collect();
    let names = |families: &Parsed| families.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs), "families and their order");
    let mut failures = Vec::new();
    for (ours, theirs) in ours.iter().zip(&theirs) {
        if ours != theirs {
            let lines = |f: &BTreeMap<String, Vec<String>>| f.values().flatten().cloned().collect::<Vec<_>>();
            let (mine, yours) = (lines(&ours.2), lines(&theirs.2));
            let only =
                |a: &[String], b: &[String]| a.iter().filter(|l| !b.contains(l)).cloned().collect::<Vec<_>>();
            failures.push(format!(
                "{}: only ours {:#?}, only theirs {:#?}, heads {:?} {:?}",
                ours.0,
                only(&mine, &yours),
                only(&yours, &mine),
                ours.1,
                theirs.1
            ));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} families differ:\n{}",
        failures.len(),
        ours.len(),
        failures.join("\n")
    );
    println!("{} families equal", ours.len());
}
