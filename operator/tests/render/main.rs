//! Resources, and the configuration and workloads that are made of them: `UPDATE_EXPECT=1` rewrites the outcomes.
#![allow(clippy::unwrap_used)] // a test ends where it fails

use crds::{Prometheus, ServiceMonitor};
use expect_test::{ExpectFile, expect_file};
use operator::render::{self, Inputs, Kind, Materials, Reference};
use operator::workload::{self, Images};
use std::collections::BTreeMap;
use std::sync::Arc;

struct Case {
    prometheus: Prometheus,
    monitors: BTreeMap<(String, String), Arc<ServiceMonitor>>,
    materials: Materials,
}

/// A Prometheus `shop/main` with this specification, and ServiceMonitors `shop/NAME` with theirs.
fn case(spec: &str, monitors: &[(&str, &str)]) -> Case {
    let mut prometheus = Prometheus::new("main", serde_yaml::from_str(spec).unwrap());
    prometheus.metadata.namespace = Some("shop".to_owned());
    prometheus.metadata.uid = Some("7".to_owned());
    let monitors = monitors.iter().map(|(name, spec)| {
        let mut monitor = ServiceMonitor::new(name, serde_yaml::from_str(spec).unwrap());
        monitor.metadata.namespace = Some("shop".to_owned());
        (("shop".to_owned(), (*name).to_owned()), Arc::new(monitor))
    });
    let reference = Reference { kind: Kind::Secret, namespace: "shop".to_owned(), name: "keys".to_owned() };
    let data = BTreeMap::from([("user".to_owned(), b"me".to_vec()), ("ca".to_owned(), b"PEM".to_vec())]);
    Case { prometheus, monitors: monitors.collect(), materials: Materials::from([(reference, Some(data))]) }
}

/// The jobs, and what was rejected, as text.
#[track_caller]
fn check(case: &Case, expected: ExpectFile) {
    let namespaces = BTreeMap::from([("shop".to_owned(), BTreeMap::new())]);
    let inputs = Inputs { namespaces: &namespaces, monitors: &case.monitors, materials: &case.materials };
    let rendered = render::prometheus(&case.prometheus, &inputs);
    assert_eq!(rendered.failure, None);
    let mut text = rendered.config.to_yaml();
    config::prometheus::Config::parse(&text, "rendered").unwrap();
    for rejection in &rendered.rejected {
        text.push_str(&format!("# rejected {}: {}\n", rejection.object.1, rejection.reason));
    }
    for file in rendered.tls_assets.keys() {
        text.push_str(&format!("# file {file}\n"));
    }
    expected.assert_eq(&text);
}

#[track_caller]
fn check_set(spec: &str, shard: u64, images: &Images, expected: ExpectFile) {
    let set = workload::stateful_set(&case(spec, &[]).prometheus, shard, images).unwrap();
    expected.assert_eq(&serde_yaml::to_string(&set).unwrap());
}

const SELECT: &str = "serviceMonitorSelector: {}";

fn images() -> Images {
    Images { pharos: "localhost/pharos:1".to_owned(), reloader: None }
}

#[test]
fn a_monitor_becomes_a_job() {
    let monitor = "{selector: {matchLabels: {app: cart}}, endpoints: [{port: web, interval: 15s}]}";
    check(&case(SELECT, &[("cart", monitor)]), expect_file!["cases/monitor.yaml"]);
}

#[test]
fn expressions_select_services() {
    let monitor = "{endpoints: [{targetPort: 8080}], selector: {matchExpressions: [
        {key: a, operator: In, values: [x, y]}, {key: b, operator: NotIn, values: [z]},
        {key: c, operator: Exists}, {key: d, operator: DoesNotExist}]}}";
    check(&case(SELECT, &[("m", monitor)]), expect_file!["cases/expressions.yaml"]);
    let by_api =
        monitor.replacen('{', "{selectorMechanism: RoleSelector, serviceDiscoveryRole: EndpointSlice, ", 1);
    check(&case(SELECT, &[("m", &by_api)]), expect_file!["cases/role_selector.yaml"]);
}

#[test]
fn bad_monitors_are_left_out_and_the_rest_is_rendered() {
    let monitors = [
        ("bad-regex", "{selector: {}, endpoints: [{port: web, relabelings: [{regex: '(('}]}]}"),
        ("bad-timeout", "{selector: {}, endpoints: [{port: web, interval: 5s, scrapeTimeout: 6s}]}"),
        (
            "good",
            "{selector: {}, endpoints: [{port: web, scheme: HTTPS, tlsConfig: {ca: {secret: {name: keys, key: ca}}}}]}",
        ),
        (
            "no-secret",
            "{selector: {}, endpoints: [{port: web, basicAuth: {username: {name: none, key: user}}}]}",
        ),
    ];
    check(&case(SELECT, &monitors), expect_file!["cases/rejected.yaml"]);
}

#[test]
fn without_selectors_the_configuration_is_empty() {
    check(
        &case("replicas: 1", &[("m", "{selector: {}, endpoints: []}")]),
        expect_file!["cases/nothing.yaml"],
    );
}

#[test]
fn equal_inputs_give_equal_bytes() {
    let prometheus = case("{replicas: 2, shards: 2}", &[]).prometheus;
    let set = |shard| workload::stateful_set(&prometheus, shard, &images()).unwrap().to_string();
    assert_eq!(set(0), set(0));
    assert_ne!(set(0), set(1));
}

#[test]
fn a_stateful_set_runs_the_server() {
    check_set("serviceAccountName: server", 0, &images(), expect_file!["cases/stateful_set.yaml"]);
    let spec = "{replicas: 2, shards: 2, routePrefix: /p, retention: 10d, retentionSize: 5GB,
        storage: {volumeClaimTemplate: {spec: {resources: {requests: {storage: 10Gi}}}}}, secrets: [a.b],
        containers: [{name: prometheus, env: [{name: A, value: b}]}, {name: side, image: 'x:1'}]}";
    check_set(spec, 1, &images(), expect_file!["cases/stateful_set_shard.yaml"]);
}

#[test]
fn a_stock_server_needs_a_reloader() {
    let spec = "image: example.org/prometheus:v3";
    let prometheus = case(spec, &[]).prometheus;
    let refused = workload::stateful_set(&prometheus, 0, &images()).unwrap_err();
    assert!(refused.to_string().contains("--prometheus-config-reloader"), "{refused}");
    let images = Images { reloader: Some("reloader:1".to_owned()), ..images() };
    check_set(spec, 0, &images, expect_file!["cases/stateful_set_stock.yaml"]);
}

#[test]
fn permissions_cover_one_secret() {
    let text = serde_yaml::to_string(&workload::permissions(&case("{}", &[]).prometheus)).unwrap();
    expect_file!["cases/permissions.yaml"].assert_eq(&text);
}
