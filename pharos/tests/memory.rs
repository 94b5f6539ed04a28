//! A server that is given little memory says so, and keeps what it has.
#![allow(clippy::unwrap_used)] // a test that cannot go on ends here

mod support;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::{Server, jobs, target, text};

/// A metric of the server itself.
fn metric(server: &Server, name: &str) -> f64 {
    let (_, text) = server.get("/metrics");
    let line = text
        .lines()
        .find(|l| l.split([' ', '{']).next() == Some(name))
        .unwrap_or_else(|| panic!("no {name}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

fn last_error(server: &Server, job: &str) -> (String, String) {
    let targets = server.data("/api/v1/targets");
    let all = targets["activeTargets"].as_array().unwrap();
    let of = all.iter().find(|t| t["scrapePool"] == job).unwrap();
    (of["health"].as_str().unwrap().to_owned(), of["lastError"].as_str().unwrap().to_owned())
}

#[test]
fn a_full_head_keeps_its_series_and_refuses_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let series = Arc::new(AtomicUsize::new(100));
    let asked = series.clone();
    let grows = target(move |stream| {
        // new series stand before the known ones, too
        let n = asked.load(Ordering::SeqCst);
        text(stream, &(0..n).rev().map(|i| format!("grows{{i=\"{i}\"}} {n}\n")).collect::<String>())
    });
    let config = jobs(&[("grows", grows)]);
    let server = Server::start(dir.path(), &config, &["--storage.tsdb.memory-budget=2MB"]);
    server.until("the first series", |s| s.value("count(grows)"), |v| *v == Some(100.0));
    assert_eq!(last_error(&server, "grows"), ("up".to_owned(), String::new()));

    series.store(20_000, Ordering::SeqCst);
    server.until("new values of known series", |s| s.value("grows{i=\"7\"}"), |v| *v == Some(20_000.0));
    let (health, why) = last_error(&server, "grows");
    assert!(
        health == "up"
            && why.contains(" new series refused: ")
            && why.contains("--storage.tsdb.memory-budget"),
        "{why}"
    );
    let held = server.value("count(grows)").unwrap();
    assert!((100.0..15_000.0).contains(&held), "{held}");
    assert_eq!(server.value("count(grows{i=~\"[0-9]{1,2}\"} == 20000)"), Some(100.0));
    assert_eq!(server.value("up{job=\"grows\"}"), Some(1.0));
    assert_eq!(metric(&server, "pharos_tsdb_head_memory_exceeded"), 1.0);
    assert!(metric(&server, "pharos_target_scrapes_series_refused_total") >= 20_000.0 - held);
    let memory = &server.data("/api/v1/status/tsdb")["headMemory"];
    assert_eq!(
        (&memory["refusesNewSeries"], &memory["budgetBytes"]),
        (&true.into(), &(2 << 20).into()),
        "{memory}"
    );
    // what is used may be far from the budget: it is refused for what it will grow by
    let (used, growth) = (memory["bytes"].as_u64().unwrap(), memory["expectedGrowthBytes"].as_u64().unwrap());
    assert!(used + growth > (2 << 20) * 8 / 10 && growth > 0, "{memory}");
    assert_eq!(metric(&server, "pharos_tsdb_head_memory_expected_growth_bytes") > 0.0, growth > 0);
    assert!(why.contains("bytes of memory and will grow by"), "{why}");

    // fewer again: known ones stay, and the refusal is over
    series.store(100, Ordering::SeqCst);
    server.until("no refusal", |s| last_error(s, "grows").1, String::is_empty);
    // after the kill the same ones are taken from the log
    server.kill();
    series.store(20_000, Ordering::SeqCst);
    let server = Server::restart(dir.path(), &["--storage.tsdb.memory-budget=2MB"]);
    server.until("known series after a restart", |s| s.value("grows{i=\"7\"}"), |v| *v == Some(20_000.0));
}

#[test]
fn a_body_beyond_its_memory_fails_alone() {
    let dir = tempfile::tempdir().unwrap();
    let long = target(|stream| text(stream, &"long 1\n".repeat(1 << 18)));
    let config = jobs(&[("long", long), ("short", target(|stream| text(stream, "short 1\n")))]);
    let server = Server::start(dir.path(), &config, &["--scrape.memory-budget=512KB"]);
    server.until("the short one", |s| s.value("short"), |v| *v == Some(1.0));
    server.until("the long one fails", |s| s.value("up{job=\"long\"}"), |v| *v == Some(0.0));
    let (health, why) = last_error(&server, "long");
    assert!(
        health == "down" && why.contains("524288 bytes") && why.contains("--scrape.memory-budget"),
        "{why}"
    );
    // and so does a write that is as long, and one that unfolds to as much
    let headers = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n";
    let unfolds = snap::raw::Encoder::new().compress_vec(&vec![0; 2 << 20]).unwrap();
    let budget = "--scrape.memory-budget";
    for (body, because) in
        [(vec![7; 2 << 20], budget), (unfolds, budget), (vec![7; 40 << 20], "exceed the limit")]
    {
        let (status, why) = server.post("/api/v1/write", headers, &body);
        assert!(status == 400 && why.contains(because), "{status} {why}");
    }
}

/// A remote write of one sample of each of some series.
fn write(server: &Server, series: impl Iterator<Item = String>, t: i64) -> (u16, String) {
    let field = |out: &mut Vec<u8>, number: u8, content: &[u8]| {
        out.push(number << 3 | 2);
        let mut len = content.len();
        while len >= 0x80 {
            out.push(len as u8 | 0x80);
            len >>= 7;
        }
        out.push(len as u8);
        out.extend_from_slice(content);
    };
    let mut request = Vec::new();
    for name in series {
        let (mut label, mut series) = (Vec::new(), Vec::new());
        field(&mut label, 1, b"__name__");
        field(&mut label, 2, b"pushed");
        field(&mut series, 1, &label);
        label.clear();
        field(&mut label, 1, b"i");
        field(&mut label, 2, name.as_bytes());
        field(&mut series, 1, &label);
        let mut sample = vec![1 << 3 | 1];
        sample.extend_from_slice(&1.5f64.to_le_bytes());
        sample.push(2 << 3);
        let mut rest = t as u64;
        while rest >= 0x80 {
            sample.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        sample.push(rest as u8);
        field(&mut series, 2, &sample);
        field(&mut request, 1, &series);
    }
    let body = snap::raw::Encoder::new().compress_vec(&request).unwrap();
    server.post(
        "/api/v1/write",
        "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\n",
        &body,
    )
}

const T: i64 = 1_700_000_000_000;

#[test]
fn a_write_stores_known_series_where_the_head_is_full() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "{}\n", &["--storage.tsdb.memory-budget=2MB"]);
    let known = || (0..50).map(|i| i.to_string());
    assert_eq!(write(&server, known(), T).0, 204);
    let (status, why) = write(&server, (1000..30_000).map(|i| i.to_string()).chain(known()), T + 1000);
    assert!(
        status == 400 && why.contains("new series refused") && why.contains("memory-budget"),
        "{status} {why}"
    );
    let at = |q: &str| server.data(&format!("/api/v1/query?query={q}&time={}", (T + 1000) / 1000));
    let count = |q: &str| at(q)["result"][0]["value"][1].as_str().unwrap().parse::<f64>().unwrap();
    assert_eq!(count("sum(count_over_time(pushed%7Bi=~%22%5B0-9%5D%7B1,2%7D%22%7D%5B1m%5D))"), 100.0);
    assert!((50.0..20_000.0).contains(&count("count(pushed)")));
    assert_eq!(write(&server, known(), T + 2000).0, 204);
}

#[test]
fn answers_that_nobody_reads_are_counted_and_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let flags = ["--query.total-memory-budget=40MB", "--query.memory-budget=40MB", "--web.write-timeout=4s"];
    let server = Server::start(dir.path(), "{}\n", &flags);
    assert_eq!(write(&server, (0..2000).map(|i| i.to_string()), T).0, 204);
    // six hundred thousand points: twelve megabytes, more than sockets take
    let query = format!("/api/v1/query_range?query=pushed&start={}&end={}&step=1", T / 1000, T / 1000 + 298);
    let mut lazy = TcpStream::connect(server.address).unwrap();
    write!(lazy, "GET {query} HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let held = |s: &Server| metric(s, "pharos_queries_memory_bytes");
    lazy.read_exact(&mut [0; 1000]).unwrap();
    assert!(held(&server) > 1e7, "{}", held(&server));
    let (status, why) = server.get(&query);
    assert!(status == 422 && why.contains("all queries together"), "{status} {:.200}", why);
    // the client is given up, and what it held is free again
    server.until("the answer is dropped", held, |bytes| *bytes == 0.0);
    let (status, body) = server.get(&query);
    assert_eq!((status, body.matches("\"1.5\"").count()), (200, 2000 * 299));
    server.until("read answers are not held", held, |bytes| *bytes == 0.0);
}

#[test]
fn a_log_that_nobody_reads_holds_up_nothing() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("prometheus.yml"), "{}\n").unwrap();
    let mut server = Server::with_unread_log(dir.path());
    assert_eq!(write(&server, ["a".to_owned()].into_iter(), T).0, 204);
    // each refusal is a line with the series' name
    let long = "x".repeat(100_000);
    for _ in 0..30 {
        assert_eq!(write(&server, [long.clone()].into_iter(), T - 86_400_000).0, 400);
    }
    assert_eq!(server.get("/-/healthy").0, 200);
    let dropped = metric(&server, "pharos_log_lines_dropped_total");
    assert!((1.0..30.0).contains(&dropped), "{dropped}");
    // once it is read again, it says how much is missing
    let said = server.wait_for_log("log lines dropped");
    assert!(said.contains(&format!("dropped={dropped}")), "{said}");
}

#[test]
fn connections_are_no_more_than_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "{}\n", &["--web.max-connections=2"]);
    let open = || {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        stream
    };
    let answered = |stream: &mut TcpStream| {
        let mut some = [0; 20];
        stream.read(&mut some).map(|n| n > 0)
    };
    let (mut first, mut second) = (open(), open());
    assert!(answered(&mut first).unwrap() && answered(&mut second).unwrap());
    let mut third = open();
    third.set_read_timeout(Some(std::time::Duration::from_millis(300))).unwrap();
    assert!(answered(&mut third).is_err(), "a third connection is served");
    drop(first);
    third.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    assert!(answered(&mut third).unwrap());
}
