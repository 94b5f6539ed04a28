//! The node metrics against what node_exporter says about a copied `/proc` and `/sys`.

mod support;

use agent::{Agent, Options};
use std::collections::BTreeSet;

/// Families whose values are the moment's or the program's own, or that come from the running kernel.
fn volatile(family: &str) -> bool {
    ["node_scrape_collector_", "node_exporter_build_info", "node_time_seconds", "node_time_zone", "node_uname_info"]
        .iter()
        .any(|prefix| family.starts_with(prefix))
        // the data set's figures came over netlink from the machine it was made on
        || (family.starts_with("node_network_") && (family.contains("receive_") || family.contains("transmit_")) && family.ends_with("_total"))
}

#[tokio::test]
async fn families_of_our_collectors_are_equal() {
    let Some(data) = support::shared("conformance/node_exporter") else { return };
    let Some(catalog) = support::shared("catalog/node_exporter_metrics.tsv") else { return };
    let dir = tempfile::tempdir().unwrap();
    for archive in ["sys.ttar", "udev.ttar"] {
        support::unpack_ttar(&std::fs::read_to_string(data.join(archive)).unwrap(), dir.path());
    }
    let mut options =
        Options { procfs: data.join("proc"), sysfs: dir.path().join("sys"), ..Options::default() };
    options.udev = dir.path().join("udev/data");
    options.disable_exporter_metrics = true;
    options.kubernetes = "off".to_owned();
    options.node.cpu_flags_include = Some("^(aes|avx.?|constant_tsc)$".to_owned());
    options.node.cpu_bugs_include = Some("^(cpu_meltdown|spectre_.*|mds)$".to_owned());
    options.node.stat_softirq = true;
    options.node.netclass_ignore_invalid_speed = true;
    options.node.netclass_ignored_devices = "(dmz|int)".to_owned();
    let collectors: BTreeSet<&str> =
        options.collectors.names().filter(|c| !["filesystem", "netdev"].contains(c)).collect();
    options.collectors = agent::options::Collectors::only(&collectors.iter().copied().collect::<Vec<_>>());
    let clock = runtime::clock::SystemClock::shared();
    let agent = Agent::new(options, clock, runtime::Stage::detached("test")).unwrap();
    let ours = support::parse(&agent.gather_node().await.unwrap());
    let theirs = support::parse(&std::fs::read_to_string(data.join("e2e-output.txt")).unwrap());

    let mut compared = 0;
    let mut failures = Vec::new();
    let catalog = std::fs::read_to_string(catalog).unwrap();
    let expected =
        catalog.lines().map(|l| l.split('\t').collect::<Vec<_>>()).filter(|l| collectors.contains(l[3]));
    let expected: BTreeSet<&str> = expected.map(|l| l[0]).filter(|name| theirs.contains_key(*name)).collect();
    for name in ours.keys().map(String::as_str).chain(expected).collect::<BTreeSet<_>>() {
        if volatile(name) {
            continue;
        }
        compared += 1;
        let (ours, theirs) = (ours.get(name), theirs.get(name));
        if ours != theirs {
            failures.push(format!("{name}:\n  ours   {ours:?}\n  theirs {theirs:?}"));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {compared} families differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
    assert!(compared > 80, "only {compared} families compared");
    println!("{compared} families equal");
}
