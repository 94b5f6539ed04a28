//! Directories that go from Pharos to the real Prometheus and back. The programs come from the environment: `PROMETHEUS` and
//! `PROMTOOL` name them; without them these tests say so and do nothing.
#![allow(clippy::unwrap_used)] // a test ends where it fails

mod dump;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use dump::{Samples, Shown, assert_same, ours, parse};
use model::{Labels, Matcher};
use runtime::clock::ManualClock;
use tsdb::{Db, Options, Retention};

const HOUR: i64 = 3_600_000;
/// A multiple of 54 hours.
const START: i64 = 1_600_000_000_000 / (54 * HOUR) * (54 * HOUR);

fn program(variable: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    match &path {
        Some(path) => assert!(path.exists(), "{variable} names {}, which is not there", path.display()),
        None => println!("skipped: the environment does not name {variable}"),
    }
    path
}

fn open(dir: &Path) -> Arc<Db> {
    let options = Options { retention: Retention::default(), background: false, ..Options::default() };
    let db = Db::open(dir, options, ManualClock::at(START)).unwrap();
    db.replay();
    db
}

fn run(program: &Path, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} {args:?}: {error}", program.display());
    String::from_utf8(output.stdout).unwrap()
}

/// All samples of a directory as promtool reads them, log included.
fn dump(promtool: &Path, dir: &Path) -> Samples {
    let sandbox = tempfile::tempdir().unwrap();
    let sandbox = format!("--sandbox-dir-root={}", sandbox.path().display());
    parse(&run(promtool, &["tsdb", "dump", &sandbox, dir.to_str().unwrap()]))
}

fn labels(i: usize) -> Labels {
    Labels::from_pairs([
        ("__name__", if i.is_multiple_of(2) { "even" } else { "odd" }.to_owned()),
        ("i", i.to_string()),
        ("größe.in m", format!("ü\"{}", i % 3)),
    ])
}

/// A sample a minute in 20 series, from `from` to `to` minutes since the start.
fn append(db: &Db, from: i64, to: i64) {
    for minute in from..to {
        let mut appender = db.appender();
        for i in 0..20 {
            let v = match i {
                3 => f64::INFINITY,
                4 => minute as f64,
                _ => ((minute * (i as i64 + 1)) as f64 / 7.0).sin(),
            };
            appender.append(0, &labels(i), START + minute * 60_000, v).unwrap();
        }
        appender.commit().unwrap();
        if minute % 120 == 0 {
            db.maintain().unwrap();
        }
    }
    db.maintain().unwrap();
}

#[test]
fn promtool_agrees_on_what_pharos_writes() {
    let Some(promtool) = program("PROMTOOL") else { return };
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    append(&db, 0, 20 * 60);
    assert!(db.blocks().iter().any(|b| b.compaction.level > 1), "{:?}", db.blocks());
    let whole = ours(&db);
    assert_same(&whole, &dump(&promtool, dir.path()));
    // In blocks of both levels, and in the head.
    let odd = [Matcher::equal("__name__", "odd")];
    db.delete(&odd, START + 5 * HOUR, START + 7 * HOUR).unwrap();
    db.delete(&[Matcher::equal("i", "4")], START + 17 * HOUR, i64::MAX).unwrap();
    let deleted = ours(&db);
    let count = |s: &Samples| s.values().map(BTreeMap::len).sum::<usize>();
    assert_eq!(count(&whole) - count(&deleted), 10 * 121 + 180);
    assert_same(&deleted, &dump(&promtool, dir.path()));
    drop(db);
    assert_same(&deleted, &dump(&promtool, dir.path()));
    let db = open(dir.path());
    assert_same(&deleted, &ours(&db));
    assert!(db.clean_tombstones().unwrap() > 0);
    append(&db, 20 * 60, 26 * 60); // the deleted part of the head becomes a block
    assert_same(&ours(&db), &dump(&promtool, dir.path()));
    let data = dir.path().to_str().unwrap();
    let list = run(&promtool, &["tsdb", "list", data]);
    let listed: Vec<Vec<&str>> = list.lines().skip(1).map(|l| l.split_whitespace().collect()).collect();
    let mut blocks = db.blocks();
    blocks.sort_by_key(|b| b.min_time);
    assert_eq!(listed.len(), blocks.len());
    for (listed, block) in listed.iter().zip(&blocks) {
        let size: u64 = db_files(&dir.path().join(block.ulid.to_string()));
        let expected = [
            block.ulid.to_string(),
            block.min_time.to_string(),
            block.max_time.to_string(),
            block.stats.num_samples.to_string(),
            block.stats.num_chunks.to_string(),
            block.stats.num_series.to_string(),
            size.to_string(),
        ];
        let shown = [listed[0], listed[1], listed[2], listed[4], listed[5], listed[6], listed[7]];
        assert_eq!(shown, expected.each_ref().map(String::as_str));
        let analysis = run(&promtool, &["tsdb", "analyze", data, listed[0]]);
        for line in [
            &format!("Total Series: {}", block.stats.num_series),
            "Label names: 3",
            &format!("Block ID: {}", block.ulid),
        ] {
            assert!(analysis.lines().any(|l| l == line), "{line} is missing in {analysis}");
        }
    }
    drop(db);
}

fn db_files(dir: &Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries.map(|p| if p.is_dir() { db_files(&p) } else { p.metadata().unwrap().len() }).sum()
}

/// A running Prometheus, killed when dropped.
struct Prometheus {
    process: Child,
    address: String,
}

impl Prometheus {
    /// Starts on a port that is free, and waits until it is ready.
    fn start(program: &Path, data: &Path, config: &str, flags: &[&str]) -> Self {
        let file = data.parent().unwrap().join("prometheus.yml");
        let address = {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            free.local_addr().unwrap().to_string()
        };
        std::fs::write(&file, config.replace("ADDRESS", &address)).unwrap();
        let mut process = Command::new(program)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address={address}"))
            .args(["--web.enable-admin-api", "--storage.tsdb.retention.time=100y"])
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        let mut lines = log.lines().map_while(Result::ok);
        let ready = lines.by_ref().any(|l| l.contains("Server is ready to receive web requests"));
        assert!(ready, "Prometheus ended before it was ready");
        std::thread::spawn(move || lines.for_each(drop)); // it must not wait for a reader
        Prometheus { process, address }
    }

    /// Status and body of a request.
    fn request(&self, method: &str, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!("{method} {path} HTTP/1.0\r\nHost: {}\r\nContent-Length: 0\r\n\r\n", self.address);
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    fn json(&self, path: &str) -> serde_json::Value {
        let (status, body) = self.request("GET", path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str::<serde_json::Value>(&body).unwrap()["data"].clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Text that `promtool tsdb create-blocks-from openmetrics` reads.
fn openmetrics(series: std::ops::Range<usize>, minutes: std::ops::Range<i64>, offset: i64) -> String {
    let mut text = "# TYPE m gauge\n".to_owned();
    for i in series {
        for minute in minutes.clone() {
            let t = (START + offset) / 1000 + minute * 60;
            let v = (minute as f64 + i as f64).cos();
            text += &format!("m{{i=\"{i}\",\"key.with.dots\"=\"v{}\"}} {v} {t}\n", i % 3);
        }
    }
    text + "# EOF\n"
}

/// Blocks that overlap, some of their samples deleted, and a live log with deletions.
#[test]
fn what_prometheus_wrote_deleted_and_left_reads_the_same_here() {
    let (Some(promtool), Some(prometheus)) = (program("PROMTOOL"), program("PROMETHEUS")) else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    for (n, text) in
        [openmetrics(0..15, 0..7 * 60, 0), openmetrics(10..20, 30..300, 30_000)].iter().enumerate()
    {
        let file = dir.path().join(format!("{n}.txt"));
        std::fs::write(&file, text).unwrap();
        let paths = [file.to_str().unwrap(), data.to_str().unwrap()];
        run(&promtool, &["tsdb", "create-blocks-from", "openmetrics", paths[0], paths[1]]);
    }
    let config = "global: {scrape_interval: 200ms, scrape_timeout: 200ms, scrape_native_histograms: true}\nscrape_configs: [{job_name: self, static_configs: [{targets: [ADDRESS]}]}]\n";
    let apart = ["--no-storage.tsdb.allow-overlapping-compaction"];
    let server = Prometheus::start(&prometheus, &data, config, &apart);
    while server.json("/api/v1/query?query=count_over_time(up%5B1m%5D)%3E5")["result"]
        == serde_json::json!([])
    {
        std::thread::yield_now();
    }
    let delete = |selector: &str, range: &str| {
        let path = format!("/api/v1/admin/tsdb/delete_series?match%5B%5D={selector}{range}");
        assert_eq!(server.request("POST", &path).0, 204);
    };
    let at = |minute: i64| START / 1000 + minute * 60;
    delete("m%7Bi%3D~%221.%22%7D", &format!("&start={}&end={}", at(100), at(170)));
    delete("m%7Bi%3D%222%22%7D", "");
    delete("%7B__name__%3D~%22go_gc.*%22%7D", "");
    delete("prometheus_http_request_duration_seconds%7Bhandler%3D~%22%2Fm.*%22%7D", "");
    drop(server); // killed: the log is as it was
    let theirs = dump(&promtool, &data);
    assert!(theirs.len() > 500, "{} series", theirs.len());
    let all = theirs.values().flat_map(BTreeMap::values);
    assert!(all.filter(|v| matches!(v, Shown::Histogram { .. })).count() > 20, "histograms");
    let db = open(&data);
    assert!(db.blocks().len() > 4, "overlapping blocks are still apart");
    let before = ours(&db);
    assert_same(&before, &theirs);
    db.maintain().unwrap();
    assert!(db.blocks().iter().any(|b| b.compaction.level > 1), "merged here");
    assert_same(&ours(&db), &theirs);
    drop(db);
    assert_same(&theirs, &dump(&promtool, &data));
}

/// The real server opens what Pharos left, and answers alike; the figures of `status/tsdb` are those of Pharos.
#[test]
fn prometheus_goes_on_with_what_pharos_left() {
    let (Some(promtool), Some(prometheus)) = (program("PROMTOOL"), program("PROMETHEUS")) else { return };
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let db = open(&data);
    append(&db, 0, 9 * 60);
    let mut appender = db.appender();
    for (name, len) in [("short", 130), ("longer", 254), ("longest", 255), ("very_long", 300)] {
        let labels = Labels::from_pairs([("__name__", "m".to_owned()), (name, "x".repeat(len))]);
        appender.append(0, &labels, START + 9 * HOUR, 1.0).unwrap();
    }
    appender.commit().unwrap();
    db.delete(&[Matcher::equal("i", "7")], START + 2 * HOUR, i64::MAX).unwrap();
    let before = ours(&db);
    let (stats, blocks) = (db.stats(10), db.blocks());
    drop(db);
    let server = Prometheus::start(&prometheus, &data, "scrape_configs: []\n", &[]);
    let status = server.json("/api/v1/status/tsdb");
    let head = &status["headStats"];
    let figures =
        [&head["numSeries"], &head["numLabelPairs"], &head["chunkCount"], &head["minTime"], &head["maxTime"]];
    let expected = [
        stats.num_series as i64,
        stats.num_label_pairs as i64,
        stats.chunk_count as i64,
        stats.min_time,
        stats.max_time,
    ];
    assert_eq!(figures.map(|v| v.as_i64().unwrap()), expected);
    for (name, ours) in [
        ("seriesCountByMetricName", &stats.series_count_by_metric_name),
        ("labelValueCountByLabelName", &stats.label_value_count_by_label_name),
        ("memoryInBytesByLabelName", &stats.memory_in_bytes_by_label_name),
        ("seriesCountByLabelValuePair", &stats.series_count_by_label_value_pair),
    ] {
        // Equal figures come in any order there.
        let values: Vec<u64> =
            status[name].as_array().unwrap().iter().map(|s| s["value"].as_u64().unwrap()).collect();
        assert_eq!(values, ours.iter().map(|s| s.value).collect::<Vec<_>>(), "{name}");
    }
    let shown = server.json("/api/v1/status/tsdb/blocks");
    assert_eq!(shown["blocks"], serde_json::to_value(&blocks).unwrap());
    assert_eq!(server.request("POST", "/api/v1/admin/tsdb/clean_tombstones").0, 204);
    drop(server);
    assert_same(&before, &dump(&promtool, &data));
    assert_same(&before, &ours(&open(&data)));
}
