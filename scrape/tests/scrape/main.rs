//! Scrapes real exporters on loopback into a storage that remembers.
#![allow(clippy::unwrap_used)] // a test may panic

mod descriptions;
mod loops;
mod memory;
mod support;

use config::prometheus::Config;
use discovery::TargetGroup;
use expect_test::{Expect, expect};
use runtime::Stage;
use runtime::clock::ManualClock;
use runtime::metrics::Registry;
use runtime::room::Room;
use scrape::status::{ActiveTarget, Health};
use scrape::{Job, ScrapeManager};
use std::collections::HashMap;
use std::sync::Arc;
use support::{Answer, Exporter, Storage, pairs};

/// A manager whose loops rest, so that only the test scrapes.
struct World {
    manager: ScrapeManager,
    storage: Storage,
    exporter: Exporter,
    registry: Registry,
}

fn jobs(job: &str) -> Vec<Job> {
    let indented: String = job.lines().map(|l| format!("    {l}\n")).collect();
    let text = format!("scrape_configs:\n  - job_name: j\n{indented}");
    let config = Config::parse(&text, "test.yml").unwrap();
    Job::all(&config.scrape_configs, &config.global).unwrap()
}

impl World {
    async fn new(job: &str, text: &str) -> Self {
        World::within(job, text, Room::new(0)).await
    }

    async fn within(job: &str, text: &str, bodies: Room) -> Self {
        let exporter = Exporter::new(text).await;
        let (storage, registry) = (Storage::default(), Registry::default());
        let stage = Stage::detached("scrape");
        stage.token().cancel();
        let manager = ScrapeManager::new(
            stage,
            Arc::new(storage.clone()),
            ManualClock::at(1_000_000),
            &registry,
            bodies,
        );
        manager.apply(jobs(job));
        let world = World { manager, storage, exporter, registry };
        world.discover(&[("team", "infra")]);
        world
    }

    fn discover(&self, labels: &[(&str, &str)]) {
        let target = pairs(&[("__address__", &self.exporter.address), ("instance", "i")]);
        let group = TargetGroup { source: "s".into(), labels: pairs(labels), targets: vec![target] };
        self.manager.update_targets(HashMap::from([("j".to_owned(), vec![Arc::new(group)])]));
    }

    /// Scrapes at `t`; the samples without the report.
    async fn scrape(&self, t: i64) -> String {
        self.manager.scrape_once(t).await;
        self.storage.at(t, false)
    }

    fn target(&self) -> ActiveTarget {
        self.manager.targets().active.remove(0)
    }

    /// Scrapes at `t`, expects it to fail, and gives the reason with the address left out.
    async fn failure(&self, t: i64) -> String {
        self.manager.scrape_once(t).await;
        let target = self.target();
        assert_eq!((target.health, self.storage.report("up", t)), (Health::Down, Some(0.0)));
        target.last_error.replace(&self.exporter.address, "ADDRESS")
    }
}

fn check(actual: &str, expected: Expect) {
    expected.assert_eq(actual);
}

#[tokio::test]
async fn stores_samples_and_report() {
    let text = "# HELP a Help.\n# TYPE a counter\na{x=\"1\"} 1\na{x=\"2\",job=\"own\"} 2.5 500000\nb NaN";
    let w = World::new("scrape_interval: 5s\nscrape_timeout: 3s", text).await;
    w.manager.scrape_once(1000).await;
    check(
        &w.storage.at(1000, true),
        expect![[r#"
            {__name__="a", instance="i", job="j", team="infra", x="1"} 1
            {__name__="b", instance="i", job="j", team="infra"} NaN
            {__name__="scrape_samples_post_metric_relabeling", instance="i", job="j", team="infra"} 3
            {__name__="scrape_samples_scraped", instance="i", job="j", team="infra"} 3
            {__name__="scrape_series_added", instance="i", job="j", team="infra"} 3
            {__name__="up", instance="i", job="j", team="infra"} 1
        "#]],
    );
    check(
        &w.storage.at(500_000, true),
        expect![[r#"
            {__name__="a", exported_job="own", instance="i", job="j", team="infra", x="2"} 2.5
        "#]],
    );
    assert_eq!(w.storage.commits(), 1);
    let asked = w.exporter.asked().replace(&w.exporter.address, "ADDRESS");
    check(
        &asked.replace("\r\n", "\n").replace(env!("CARGO_PKG_VERSION"), "VERSION"),
        expect![[r#"
            GET /metrics HTTP/1.1
            accept: application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2
            accept-encoding: gzip
            user-agent: Pharos/VERSION
            x-prometheus-scrape-timeout-seconds: 3
            host: ADDRESS

        "#]],
    );
    let target = w.target();
    assert_eq!(
        (target.health, target.last_error.as_str(), target.last_scrape_ms),
        (Health::Up, "", Some(1000))
    );
    let metadata = w.manager.metadata().remove(0);
    assert_eq!(metadata.target.get("instance"), "i");
    assert_eq!((metadata.metrics[0].metric.as_str(), metadata.metrics[0].help.as_str()), ("a", "Help."));
}

#[tokio::test]
async fn known_series_are_not_looked_up_again() {
    let w = World::new("", "a 1\nb 2\nc{x=\"1\"} 3\n").await;
    w.scrape(1000).await;
    let first = w.storage.looked_up();
    w.exporter.text("a 1\nnew 5\nc{x=\"1\"} 3\nb 2\n");
    check(
        &w.scrape(2000).await,
        expect![[r#"
            {__name__="a", instance="i", job="j", team="infra"} 1
            {__name__="b", instance="i", job="j", team="infra"} 2
            {__name__="c", instance="i", job="j", team="infra", x="1"} 3
            {__name__="new", instance="i", job="j", team="infra"} 5
        "#]],
    );
    assert_eq!(w.storage.looked_up(), first + 1);
    assert_eq!(w.storage.report("scrape_series_added", 2000), Some(1.0));
}

#[tokio::test]
async fn vanished_series_become_stale_once() {
    let w = World::new("", "a 1\nb 2\nt 3 900\n").await;
    w.scrape(1000).await;
    w.exporter.text("b 2\n");
    let gone = expect![[r#"
        {__name__="a", instance="i", job="j", team="infra"} stale
        {__name__="b", instance="i", job="j", team="infra"} 2
    "#]];
    check(&w.scrape(2000).await, gone);
    check(
        &w.scrape(3000).await,
        expect![[r#"
        {__name__="b", instance="i", job="j", team="infra"} 2
    "#]],
    );
}

#[tokio::test]
async fn a_failed_scrape_makes_all_stale_and_the_next_one_good() {
    let w = World::new("", "a 1\nb 2\n").await;
    w.scrape(1000).await;
    w.exporter.set(Answer::Raw(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec()));
    assert_eq!(w.failure(2000).await, "server returned HTTP status 503 Service Unavailable");
    check(
        &w.storage.at(2000, false),
        expect![[r#"
        {__name__="a", instance="i", job="j", team="infra"} stale
        {__name__="b", instance="i", job="j", team="infra"} stale
    "#]],
    );
    w.failure(3000).await;
    assert_eq!(w.storage.at(3000, false), "");
    w.exporter.text("a 1\n");
    check(
        &w.scrape(4000).await,
        expect![[r#"
        {__name__="a", instance="i", job="j", team="infra"} 1
    "#]],
    );
    assert_eq!(w.target().health, Health::Up);
}

#[tokio::test]
async fn garbage_is_refused_as_a_whole_with_its_line() {
    let w = World::new("", "a 1\n").await;
    w.scrape(1000).await;
    w.exporter.text("a 2\nnew 1\n<html>\n");
    assert_eq!(w.failure(2000).await, "line 3: expected a metric name or a comment, got \"<html>\"");
    check(
        &w.storage.at(2000, false),
        expect![[r#"
        {__name__="a", instance="i", job="j", team="infra"} stale
    "#]],
    );
    for (text, why) in [
        ("a 1\nb{x=\"\n", "line 2: unclosed quote"),
        ("a 1\nb{x=\"1\",x=\"2\"} 1\n", "line 2: label name \"x\" is not unique"),
        ("{x=\"1\"} 1\n", "line 1: missing metric name (__name__ label)"),
        ("a one\n", "line 1: invalid value \"one\""),
    ] {
        w.exporter.text(text);
        assert_eq!(w.failure(3000).await, why);
    }
}

#[tokio::test]
async fn content_type_decides_and_falls_back() {
    let answer = |kind: &str, body: &str| {
        Answer::Raw(format!("HTTP/1.1 200 OK\r\n{kind}Content-Length: {}\r\n\r\n{body}", body.len()).into())
    };
    let w = World::new("", "").await;
    w.exporter.set(answer(
        "Content-Type: application/openmetrics-text\r\n",
        "a_total 1 1.5 # {t=\"x\"} 2\n# EOF\n",
    ));
    w.scrape(1000).await;
    check(
        &w.storage.at(1500, false),
        expect![[r#"
        {__name__="a_total", instance="i", job="j", team="infra"} 1
    "#]],
    );
    w.exporter.set(answer("Content-Type: application/openmetrics-text\r\n", "a_total 1\n"));
    assert_eq!(w.failure(2000).await, "line 2: data does not end with # EOF");
    w.exporter.set(answer("Content-Type: text/html\r\n", "a 1\n"));
    let why = "received unsupported Content-Type \"text/html\", and fallback_scrape_protocol is not set";
    assert_eq!(w.failure(3000).await, why);
    w.exporter.set(answer("", "a 1\n"));
    assert_eq!(
        w.failure(4000).await,
        "target sends no Content-Type, and fallback_scrape_protocol is not set"
    );
    w.manager.apply(jobs("fallback_scrape_protocol: PrometheusText0.0.4"));
    check(
        &w.scrape(5000).await,
        expect![[r#"
        {__name__="a", instance="i", job="j", team="infra"} 1
    "#]],
    );
}

#[tokio::test]
async fn endless_and_compressed_answers_meet_the_limit() {
    let w = World::new("body_size_limit: 100KB", "").await;
    w.exporter.set(Answer::Gzip("a 1\n".repeat(100)));
    w.scrape(1000).await;
    assert_eq!(w.storage.report("scrape_samples_scraped", 1000), Some(100.0));
    for answer in [Answer::Endless, Answer::EndlessGzip, Answer::Gzip("a 1\n".repeat(100_000))] {
        w.exporter.set(answer);
        assert_eq!(w.failure(2000).await, "body size limit exceeded (102400 bytes)");
    }
    assert!(w.registry.render().contains("prometheus_target_scrapes_exceeded_body_size_limit_total 3\n"));
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n";
    w.exporter.set(Answer::Raw(format!("{head}abc").into()));
    assert!(w.failure(3000).await.starts_with("decompressing the body: "));
}

#[tokio::test(start_paused = true)]
async fn a_target_that_says_nothing_is_down() {
    let w = World::new("scrape_timeout: 3s", "").await;
    w.exporter.set(Answer::Hang);
    let why = "GET \"http://ADDRESS/metrics\": context deadline exceeded (scrape_timeout 3s)";
    assert_eq!(w.failure(1000).await, why);
}

#[tokio::test]
async fn relabels_and_drops() {
    let job = r#"
metric_relabel_configs:
  - source_labels: [__name__]
    regex: secret_.*
    action: drop
  - source_labels: [x]
    regex: (.*)
    target_label: y
    replacement: v$1
  - regex: team|x
    action: labeldrop
"#;
    let w = World::new(job, "secret_a 1\nb{x=\"1\"} 2\n").await;
    for t in [1000, 2000] {
        let samples = w.scrape(t).await;
        assert_eq!(samples, "{__name__=\"b\", instance=\"i\", job=\"j\", y=\"v1\"} 2\n");
        assert_eq!(w.storage.report("scrape_samples_scraped", t), Some(2.0));
        assert_eq!(w.storage.report("scrape_samples_post_metric_relabeling", t), Some(1.0));
    }
}

#[tokio::test]
async fn honours_labels_and_timestamps_as_told() {
    let text = "a{job=\"own\",team=\"\",exported_job=\"x\"} 1 500\n";
    let w = World::new("honor_labels: true\nhonor_timestamps: false", text).await;
    check(
        &w.scrape(1000).await,
        expect![[r#"
        {__name__="a", exported_job="x", instance="i", job="own"} 1
    "#]],
    );
    let w = World::new("track_timestamps_staleness: true", text).await;
    w.scrape(1000).await;
    check(
        &w.storage.at(500, false),
        expect![[r#"
        {__name__="a", exported_exported_job="own", exported_job="x", instance="i", job="j", team="infra"} 1
    "#]],
    );
    w.exporter.text("");
    check(
        &w.scrape(2000).await,
        expect![[r#"
        {__name__="a", exported_exported_job="own", exported_job="x", instance="i", job="j", team="infra"} stale
    "#]],
    );
}

/// A time far ahead is not stored: storage would take nothing of now any more.
#[tokio::test]
async fn times_far_ahead_are_refused() {
    let w = World::new("", "far 1 9223372036854775807\nahead 1 601001\nsoon 1 600999\nnow 1\n").await;
    check(
        &w.scrape(1000).await,
        expect![[r#"
        {__name__="now", instance="i", job="j", team="infra"} 1
    "#]],
    );
    assert!(w.storage.at(600_999, false).contains("soon"));
    assert_eq!(w.storage.at(601_001, false) + &w.storage.at(i64::MAX, false), "");
    assert_eq!(w.target().health, Health::Up);
}

#[tokio::test]
async fn limits_fail_the_scrape() {
    for (limit, text, why) in [
        ("sample_limit: 2", "a 1\nb 1\nc 1\n", "sample limit exceeded (3 samples, limit: 2)"),
        (
            "label_limit: 5",
            "a 1\nb{x=\"1\",y=\"2\"} 1\n",
            "line 2: label_limit exceeded (metric: b, number of labels: 6, limit: 5)",
        ),
        (
            "label_name_length_limit: 8",
            "a{abcdefghi=\"1\"} 1\n",
            "line 1: label_name_length_limit exceeded (metric: a, label: abcdefghi, length: 9 bytes, limit: 8)",
        ),
        (
            "label_value_length_limit: 8",
            "a{x=\"abcdefghi\"} 1\n",
            "line 1: label_value_length_limit exceeded (metric: a, label: x, length: 9 bytes, limit: 8)",
        ),
    ] {
        let w = World::new(&format!("{limit}\nextra_scrape_metrics: true"), text).await;
        assert_eq!(w.failure(1000).await, why);
        assert_eq!(w.storage.at(1000, false), "");
        let limit = if limit.starts_with("sample") { 2.0 } else { 0.0 };
        assert_eq!(w.storage.report("scrape_sample_limit", 1000), Some(limit));
    }
}

#[tokio::test]
async fn refused_samples_are_counted_and_harm_no_others() {
    let w = World::new("", "a 1\na 2\nb 3\nc 1 900\nc 1 800\n").await;
    check(
        &w.scrape(1000).await,
        expect![[r#"
        {__name__="a", instance="i", job="j", team="infra"} 1
        {__name__="b", instance="i", job="j", team="infra"} 3
    "#]],
    );
    assert_eq!(w.target().health, Health::Up);
    let metrics = w.registry.render();
    assert!(metrics.contains("prometheus_target_scrapes_sample_duplicate_timestamp_total 1\n"));
    assert!(metrics.contains("prometheus_target_scrapes_sample_out_of_order_total 1\n"));
}

#[tokio::test]
async fn a_full_storage_fails_the_scrape_and_recovers() {
    let w = World::new("", "a 1\n").await;
    w.scrape(1000).await;
    w.storage.set_full(true);
    w.manager.scrape_once(2000).await;
    assert_eq!(w.target().last_error, "storage: no space left on device");
    w.storage.set_full(false);
    check(
        &w.scrape(3000).await,
        expect![[r#"
        {__name__="a", instance="i", job="j", team="infra"} 1
    "#]],
    );
}

#[tokio::test]
async fn a_reload_keeps_what_is_known() {
    let w = World::new("", "a 1\nb 1\n").await;
    w.scrape(1000).await;
    let known = w.storage.looked_up();
    // other ways to fetch: series stay what they are, the report's are looked up anew
    w.manager.apply(jobs("sample_limit: 10"));
    w.scrape(2000).await;
    assert_eq!(w.storage.looked_up(), known + 5);
    assert_eq!(w.storage.report("scrape_series_added", 2000), Some(0.0));
    // another place: the second value of a parameter is in no label
    w.manager.apply(jobs("params: {x: ['1', '2']}"));
    w.manager.apply(jobs("params: {x: ['1', '3']}"));
    w.scrape(2500).await;
    assert!(w.exporter.asked().starts_with("GET /metrics?x=1&x=3 HTTP/1.1\r\n"));
    assert_eq!(w.storage.report("scrape_series_added", 2500), Some(2.0));
    w.manager.apply(jobs("sample_limit: 10"));
    w.scrape(2700).await;
    // other labels: what is not there any more becomes stale
    w.manager.apply(jobs("metric_relabel_configs:\n  - {source_labels: [__name__], regex: a, action: drop}"));
    check(
        &w.scrape(3000).await,
        expect![[r#"
        {__name__="a", instance="i", job="j", team="infra"} stale
        {__name__="b", instance="i", job="j", team="infra"} 1
    "#]],
    );
    assert_eq!(w.target().last_scrape_ms, Some(3000));
}

#[tokio::test]
async fn other_targets_go_on_beside_a_bad_one() {
    let w = World::new("", "a 1\n").await;
    let bad = Exporter::new("<garbage>").await;
    let target = |address: &str| pairs(&[("__address__", address)]);
    let targets = vec![target(&bad.address), target(&w.exporter.address), target(&w.exporter.address)];
    let group = TargetGroup { source: "s".into(), labels: pairs(&[]), targets };
    w.manager.update_targets(HashMap::from([("j".to_owned(), vec![Arc::new(group)])]));
    w.manager.scrape_once(1000).await;
    let mut seen: Vec<_> = w.manager.targets().active.into_iter().map(|t| (t.scrape_url, t.health)).collect();
    seen.sort_by_key(|(_, health)| health.as_str());
    let url = |address: &str| format!("http://{address}/metrics");
    assert_eq!(seen, [(url(&bad.address), Health::Down), (url(&w.exporter.address), Health::Up)]);
}

#[tokio::test]
async fn tells_of_dropped_and_bad_targets() {
    let job =
        "keep_dropped_targets: 3\nrelabel_configs:\n  - {source_labels: [drop], regex: '1', action: drop}";
    let w = World::new(job, "").await;
    let group = |source: &str| {
        let dropped = |i: usize| pairs(&[("__address__", &format!("h{i}")), ("drop", "1")]);
        let mut targets: Vec<_> = (0..2).map(dropped).collect();
        targets.push(pairs(&[("x", source)]));
        Arc::new(TargetGroup { source: source.into(), labels: pairs(&[]), targets })
    };
    let groups = vec![group("one"), group("two")];
    for _ in 0..2 {
        w.manager.update_targets(HashMap::from([("j".to_owned(), groups.clone())]));
        let told = w.manager.targets();
        assert_eq!((told.dropped.len(), told.dropped_counts["j"], told.active.len()), (3, 4, 0));
        let reasons: Vec<_> =
            told.rejected.iter().map(|r| (r.discovered.get("x"), r.reason.as_str())).collect();
        assert_eq!(reasons, [("one", "no address"), ("two", "no address")]);
    }
}
