//! Two days of data go from Prometheus to Pharos, and the other way: native histograms, samples out of order, deletions and a log that a
//! killed process left. Both answer the same queries alike, and both tools say the same of the directory.
//!
//! `PROMETHEUS=/path/prometheus PROMTOOL=/path/promtool cargo test -p pharos --test two_days`; `make test-peers` builds both and runs it.
#![allow(clippy::unwrap_used)] // a test ends where it fails
#![allow(clippy::disallowed_methods)] // real processes are waited for by the real clock

#[path = "../../tsdb/tests/both_ways/data.rs"]
#[allow(dead_code)] // each test program uses its part
mod data;
#[path = "../../tsdb/tests/both_ways/peer.rs"]
#[allow(dead_code)]
mod peer;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use data::{START, STEP};
use peer::{Prometheus, program};
use serde_json::Value as Json;

/// A sample a minute for two days.
const COUNT: i64 = 2 * 24 * 60;
/// Samples that come when all others are there: so many of the last hours, some of the minutes.
const LATE_FROM: i64 = COUNT - 20 * 60;
/// What is written while the process lives on, and then is killed: the log has it.
const LAST: i64 = COUNT - 30;
const CONFIG: &str = "storage: {tsdb: {out_of_order_time_window: 30h}}\n";
const FLAGS: [&str; 1] = ["--web.enable-admin-api"];
/// Nothing here takes longer on the slowest machine, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(120);

/// Queries at the end of the two days.
const INSTANT: &[&str] = &[
    "{__name__=~\".+\"}",
    "{__name__=~\".+\"}[3d]",
    "last_over_time({__name__=~\".+\"}[3d])",
    "count by (__name__) ({__name__=~\".+\"})",
    "a_float_total offset 1d",
    "b_ends @ 1700012000",
    "rate(a_float_total[1h])",
    "increase(a_float_total[2d])",
    "sum(rate(c_integer[2h]))",
    "resets(c_integer[2d])",
    "changes(a_float_total[2d])",
    "histogram_count(e_gauge)",
    "histogram_avg(f_custom)",
    "histogram_fraction(0, 8, d_float)",
    "histogram_quantile(0.9, rate(d_float[6h]))",
    "max_over_time(a_float_total[2d])",
    "stddev_over_time(a_float_total[1d])",
    "quantile_over_time(0.25, a_float_total[1d])",
    "predict_linear(a_float_total[3h], 3600)",
    "sum_over_time(g_custom_float[3h])",
    "absent(nothing)",
    "topk(1, a_float_total)",
    "max_over_time(rate(a_float_total[10m])[1d:1h])",
    "label_replace(a_float_total, \"new\", \"$1\", \"job\", \"(b).*\")",
];

/// Queries over the two days, a point every 20 minutes.
const RANGE: &[&str] = &[
    "{__name__=~\".+\"}",
    "rate(a_float_total[7m])",
    "rate(c_integer[10m])",
    "increase(d_float[1h])",
    "histogram_quantile(0.5, rate(c_integer[15m]))",
    "histogram_sum(g_custom_float)",
    "delta(e_gauge[20m])",
    "avg_over_time(h_both[30m])",
    "count_over_time(h_both[90m])",
    "count({__name__=~\".+\"})",
    "a_float_total - a_float_total offset 2h",
    "count by (job) (last_over_time({__name__=~\".+\"}[5m]))",
    "present_over_time(b_ends[5m])",
];

fn escape(query: &str) -> String {
    url::form_urlencoded::byte_serialize(query.as_bytes()).collect()
}

/// What a server answers to all queries: the parts of the answers that do not depend on when it was asked, with series in order.
fn answers(server: &Prometheus) -> BTreeMap<String, Json> {
    let (from, to) = (START / 1000, (START + COUNT * STEP) / 1000);
    let mut paths: Vec<String> =
        INSTANT.iter().map(|q| format!("/api/v1/query?time={to}&query={}", escape(q))).collect();
    let range = |q: &&str| format!("/api/v1/query_range?start={from}&end={to}&step=20m&query={}", escape(q));
    paths.extend(RANGE.iter().map(range));
    // Of a part of the time these tell what the blocks that reach into it have, and the two cut series that ended into other blocks.
    paths.push(format!("/api/v1/series?match[]={{job=\"both\"}}&start={from}&end={to}"));
    paths.push(format!("/api/v1/labels?start={from}&end={to}"));
    paths.push(format!("/api/v1/label/__name__/values?start={from}&end={to}"));
    let ask = |path: String| {
        let (status, body) = server.get(&path);
        let mut answer: Json = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path}: {e}: {body}"));
        assert_eq!(status, 200, "{path}: {body}");
        if let Some(result) = answer["data"].get_mut("result").and_then(Json::as_array_mut) {
            result.sort_by_key(|series| series["metric"].to_string());
        }
        (path, answer)
    };
    paths.into_iter().map(ask).collect()
}

/// Waits until the server says so.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

fn json(server: &Prometheus, path: &str) -> Json {
    let (status, body) = server.get(path);
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str::<Json>(&body).unwrap()["data"].take()
}

/// Writes two days into a directory and dies.
fn write(writer: &Path, dir: &Path) {
    let series = data::floats_and_histograms(COUNT);
    let is_late = |i: i64| (LATE_FROM..LAST - 60).contains(&i) && i % 7 > 4;
    let (late, in_time) = data::split(&series, is_late);
    let (before, last) = data::split(&in_time, |i| i < LAST);
    let server = Prometheus::start(writer, dir, CONFIG, &FLAGS);
    server.write(&before);
    until("blocks are cut", || {
        let head = json(&server, "/api/v1/status/tsdb")["headStats"].take();
        let blocks = json(&server, "/api/v1/status/tsdb/blocks")["blocks"].as_array().map_or(0, Vec::len);
        blocks > 0 && head["minTime"].as_i64() > Some(START + 40 * 3_600_000)
    });
    server.write(&late);
    let at = |i: i64| (START + i * STEP) / 1000;
    for (selector, from, to) in [
        ("a_float_total", at(100), at(260)),                   // in blocks
        ("c_integer", at(COUNT - 900), at(LAST)), // from blocks into the head, with what came out of order
        ("{__name__=~\"d.*\"}", at(LAST - 20), at(LAST - 10)), // in the head
        ("e_gauge", at(0), at(10)),
    ] {
        let query = format!("match[]={}&start={from}&end={to}", escape(selector));
        let (status, answer) = server.form(&format!("/api/v1/admin/tsdb/delete_series?{query}"));
        assert_eq!(status, 204, "{selector}: {answer}");
    }
    server.write(&last);
    server.kill();
    let has =
        |name: &str| std::fs::read_dir(dir.join(name)).is_ok_and(|mut entries| entries.next().is_some());
    assert!(has("wal") && has("wbl") && has("chunks_head"), "a live log, samples out of order, head chunks");
    assert!(blocks(dir).len() > 2, "{:?}", blocks(dir));
    let deleted = |b: &PathBuf| std::fs::metadata(b.join("tombstones")).is_ok_and(|m| m.len() > 9);
    assert!(blocks(dir).iter().any(deleted), "deletions in blocks");
}

fn blocks(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries.filter(|p| p.join("meta.json").exists()).collect()
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").args([from, to]).status().unwrap();
    assert!(done.success());
}

/// What a tool prints.
fn run(tool: &Tool, args: &[&str]) -> String {
    let output = Command::new(&tool.program).args(&tool.first).args(args).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {args:?}: {said}", tool.program.display());
    String::from_utf8(output.stdout).unwrap()
}

struct Tool {
    program: PathBuf,
    first: Vec<&'static str>,
}

/// Lists of equal entries have no order in the original.
fn lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

/// Both tools say the same of a directory.
fn assert_tools_agree(promtool: &Path, dir: &Path) {
    let theirs = Tool { program: promtool.to_owned(), first: vec![] };
    let ours = Tool { program: env!("CARGO_BIN_EXE_pharos").into(), first: vec!["promtool"] };
    let path = dir.to_str().unwrap();
    let sandbox = tempfile::tempdir().unwrap();
    let sandbox = format!("--sandbox-dir-root={}", sandbox.path().display());
    let both = |args: &[&str]| (run(&ours, args), run(&theirs, args));
    let (found, expected) = both(&["tsdb", "list", path]);
    assert_eq!(found, expected);
    let (found, expected) = both(&["tsdb", "list", "-r", path]);
    assert_eq!(found, expected);
    for command in ["dump", "dump-openmetrics"] {
        let (found, expected) = both(&["tsdb", command, &sandbox, path]);
        assert_dumps_agree(command, &found, &expected);
    }
    for block in blocks(dir) {
        let name = block.file_name().unwrap().to_str().unwrap();
        for more in [&[][..], &["--extended"]] {
            let args = [&["tsdb", "analyze", "--limit=1000"], more, &[path, name]].concat();
            let (found, expected) = both(&args);
            assert_eq!(lines(&found), lines(&expected), "{args:?}");
        }
    }
}

/// The original passes over some samples wherever floats and histograms follow each other, or a series begins with a histogram, and
/// does not read the log of late samples: what it prints must be here, in the same order, and of a series of floats without late
/// ones it prints all.
fn assert_dumps_agree(command: &str, found: &str, expected: &str) {
    let mut rest = found.lines();
    for line in expected.lines() {
        assert!(rest.any(|l| l == line), "{command}: {line} is missing, or not in this order");
    }
    let floats = |text: &str| -> Vec<String> {
        let of_floats = |l: &&str| l.contains("b_ends");
        text.lines().filter(of_floats).map(str::to_owned).collect()
    };
    assert!(floats(found) == floats(expected), "{command}: floats");
    assert!(floats(found).len() > 200 && expected.lines().count() > floats(found).len());
    assert!(command != "dump" || found.lines().filter(|l| l.contains("{count:")).count() > 10_000);
}

/// What `writer` writes, `reader` reads as `writer` itself does.
fn reads_alike(writer: &Path, reader: &Path, promtool: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let (own, other) = (dir.path().join("own"), dir.path().join("other"));
    write(writer, &own);
    let untouched = dir.path().join("untouched");
    copy(&own, &other);
    copy(&own, &untouched);
    let ask = |program: &Path, dir: &Path| {
        let server = Prometheus::start(program, dir, CONFIG, &FLAGS);
        answers(&server)
    };
    let (expected, found) = (ask(writer, &own), ask(reader, &other));
    for (path, expected) in &expected {
        let found = &found[path];
        assert!(same(expected, found), "{path}\nexpected {expected}\n   found {found}");
    }
    let all = &expected[&format!(
        "/api/v1/query?time={}&query={}",
        (START + COUNT * STEP) / 1000,
        escape("{__name__=~\".+\"}[3d]")
    )];
    let samples = |kind: &str| {
        let series = all["data"]["result"].as_array().unwrap();
        series.iter().map(|s| s[kind].as_array().map_or(0, Vec::len)).sum::<usize>()
    };
    assert!(samples("values") > 3000 && samples("histograms") > 10_000, "all of it was compared");
    assert_tools_agree(promtool, &untouched);
    // and what the reader has made of it since
    assert_tools_agree(promtool, &other);
}

/// Whether two answers are the same. Sums over many samples may differ in the last digits: the originals' own order of adding is no promise.
fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::String(a), Json::String(b)) if a != b => match (a.parse::<f64>(), b.parse::<f64>()) {
            (Ok(a), Ok(b)) => (a - b).abs() <= 1e-12 * a.abs().max(b.abs()),
            _ => false,
        },
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

/// The programs that the environment names, or the test ends with a word.
fn originals() -> Option<(PathBuf, PathBuf)> {
    let both = program("PROMETHEUS").zip(program("PROMTOOL"));
    if both.is_none() {
        println!("skipped: the environment does not name PROMETHEUS and PROMTOOL");
    }
    both
}

/// Pharos under the name whose flags it takes then.
fn pharos() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("prometheus");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_pharos"), &link).unwrap();
    (dir, link)
}

#[test]
fn pharos_reads_two_days_of_prometheus() {
    let Some((prometheus, promtool)) = originals() else { return };
    let (_link, pharos) = pharos();
    reads_alike(&prometheus, &pharos, &promtool);
}

#[test]
fn prometheus_reads_two_days_of_pharos() {
    let Some((prometheus, promtool)) = originals() else { return };
    let (_link, pharos) = pharos();
    reads_alike(&pharos, &prometheus, &promtool);
}
