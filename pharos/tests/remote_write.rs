//! Remote write 1.0 in, as another server sends it.
#![allow(clippy::unwrap_used)] // a test that cannot go on ends here

mod support;

use support::Server;

const HEADERS: &str = "Content-Type: application/x-protobuf\r\nContent-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n";

fn field(out: &mut Vec<u8>, number: u8, content: &[u8]) {
    assert!(content.len() < 128, "one byte of length is enough here");
    out.push(number << 3 | 2);
    out.push(content.len() as u8);
    out.extend_from_slice(content);
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Vec<u8> {
    let mut series = Vec::new();
    for (name, value) in labels {
        let mut label = Vec::new();
        field(&mut label, 1, name.as_bytes());
        field(&mut label, 2, value.as_bytes());
        field(&mut series, 1, &label);
    }
    for (t, v) in samples {
        let mut sample = vec![1 << 3 | 1];
        sample.extend_from_slice(&v.to_le_bytes());
        sample.push(2 << 3);
        sample.extend(varint(*t as u64));
        field(&mut series, 2, &sample);
    }
    let mut request = vec![1 << 3 | 2];
    request.extend(varint(series.len() as u64));
    request.extend(series);
    request
}

fn send(server: &Server, request: &[u8]) -> (u16, String) {
    let body = snap::raw::Encoder::new().compress_vec(request).unwrap();
    server.post("/api/v1/write", HEADERS, &body)
}

#[test]
fn samples_arrive_and_refusals_harm_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "{}\n", &[]);
    let labels = [("__name__", "pushed"), ("job", "x")];
    let base = 1_700_000_000_000;
    assert_eq!(send(&server, &series(&labels, &[(base, 1.0), (base + 1000, 2.0)])), (204, String::new()));
    let at = |t: i64, q: &str| server.data(&format!("/api/v1/query?query={q}&time={}", t as f64 / 1000.0));
    assert_eq!(at(base + 1000, "pushed")["result"][0]["value"][1], "2");
    assert_eq!(at(base + 1000, "pushed")["result"][0]["metric"]["job"], "x");

    // the same again is no error; another value at the same time is, and so is going back
    assert_eq!(send(&server, &series(&labels, &[(base + 1000, 2.0)])).0, 204);
    let (status, why) = send(&server, &series(&labels, &[(base + 1000, 3.0)]));
    assert!(status == 400 && why.contains("duplicate sample") && why.contains("pushed"), "{status} {why}");
    let mut mixed = series(&labels, &[(base, 9.0)]);
    mixed.extend(series(&[("__name__", "other")], &[(base + 2000, 7.0)]));
    let (status, why) = send(&server, &mixed);
    assert!(status == 400 && why.contains("out of order"), "{status} {why}");
    assert_eq!(at(base + 2000, "other")["result"][0]["value"][1], "7");

    let (status, why) = send(&server, &series(&[("__name__", "a"), ("x", "1"), ("x", "2")], &[(base, 1.0)]));
    assert!(status == 400 && why.contains("\"x\""), "{status} {why}");
    assert_eq!(send(&server, &[0xff; 40]).0, 400);
    assert_eq!(server.post("/api/v1/write", HEADERS, b"not snappy").0, 400);
    assert_eq!(server.post("/api/v1/write", "Content-Encoding: gzip\r\n", b"x").0, 415);
    let v2 = HEADERS.replace("protobuf", "protobuf;proto=io.prometheus.write.v2.Request");
    let (status, why) = server.post("/api/v1/write", &v2, &[0]);
    assert!(status == 415 && why.contains("only prometheus.WriteRequest"), "{status} {why}");
    let bomb = snap::raw::Encoder::new().compress_vec(&vec![0; 200 << 20]).unwrap();
    let (status, why) = server.post("/api/v1/write", HEADERS, &bomb);
    assert!(status == 400 && why.contains("limit"), "{status} {why}");
    assert_eq!(at(base + 1000, "pushed")["result"][0]["value"][1], "2");
}

/// A sample far ahead of the clock would move the window of what can be written away from now.
#[test]
fn the_far_future_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "{}\n", &[]);
    let labels = [("__name__", "pushed")];
    let now = runtime::SystemClock::shared().now_ms();
    for ahead in [3_600_000, 10 * 365 * 86_400_000, i64::MAX - now] {
        let (status, why) = send(&server, &series(&labels, &[(now, 1.0), (now + ahead, 2.0)]));
        assert!(status == 400 && why.contains("out of bounds") && why.contains("pushed"), "{status} {why}");
    }
    assert_eq!(send(&server, &series(&labels, &[(now + 1000, 3.0)])).0, 204);
    let query = format!("/api/v1/query?query=count_over_time(pushed[1m])&time={}", now as f64 / 1000.0 + 1.0);
    assert_eq!(server.data(&query)["result"][0]["value"][1], "2");
}

#[test]
fn a_snapshot_holds_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), "{}\n", &[]);
    let base = 1_700_000_000_000;
    let samples: Vec<(i64, f64)> = (0..4).map(|i| (base + i * 1000, i as f64)).collect();
    assert_eq!(send(&server, &series(&[("__name__", "kept")], &samples)).0, 204);
    let (status, body) = server.post("/api/v1/admin/tsdb/snapshot", "", b"");
    assert_eq!(status, 200, "{body}");
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    let snapshot = dir.path().join("data/snapshots").join(answer["data"]["name"].as_str().unwrap());
    let mut held = 0;
    for block in std::fs::read_dir(snapshot).unwrap() {
        let meta = std::fs::read(block.unwrap().path().join("meta.json")).unwrap();
        let meta: serde_json::Value = serde_json::from_slice(&meta).unwrap();
        held += meta["stats"]["numSamples"].as_u64().unwrap();
    }
    assert_eq!(held, 4);
}

#[test]
fn histograms_and_exemplars_arrive() {
    let dir = tempfile::tempdir().unwrap();
    let config = "storage: {tsdb: {out_of_order_time_window: 1h}}\n";
    let server = Server::start(dir.path(), config, &["--enable-feature=exemplar-storage"]);
    let base = 1_700_000_000_000i64;
    let message = |samples: &[(u8, Vec<u8>)]| {
        let mut series = Vec::new();
        let mut label = Vec::new();
        field(&mut label, 1, b"__name__");
        field(&mut label, 2, b"latency_seconds");
        field(&mut series, 1, &label);
        samples.iter().for_each(|(number, content)| field(&mut series, *number, content));
        let mut request = vec![1 << 3 | 2];
        request.extend(varint(series.len() as u64));
        request.extend(series);
        request
    };
    // count 6, sum 7.5, schema 0, one positive span of two buckets at 1: 2 and 4
    let histogram = |t: i64| {
        let mut h = vec![8, 6, 25];
        h.extend_from_slice(&7.5f64.to_le_bytes());
        h.extend_from_slice(&[90, 4, 8, 2, 16, 2, 98, 2, 4, 4, 120]);
        h.extend(varint(t as u64));
        (4, h)
    };
    let exemplar = |t: i64| {
        let mut e = Vec::new();
        let mut label = Vec::new();
        field(&mut label, 1, b"trace_id");
        field(&mut label, 2, b"abc");
        field(&mut e, 1, &label);
        e.push(17);
        e.extend_from_slice(&0.5f64.to_le_bytes());
        e.push(24);
        e.extend(varint(t as u64));
        (3, e)
    };
    assert_eq!(send(&server, &message(&[histogram(base + 60_000)])), (204, String::new()));
    // out of order, and an exemplar in a message of its own
    assert_eq!(send(&server, &message(&[histogram(base)])), (204, String::new()));
    assert_eq!(send(&server, &message(&[exemplar(base)])), (204, String::new()));
    let at = |q: &str| server.data(&format!("/api/v1/query?query={q}&time={}", base / 1000 + 60));
    let found = at("histogram_count(latency_seconds)");
    assert_eq!(found["result"][0]["value"][1], "6", "{found}");
    let found = at("count_over_time(latency_seconds%5B5m%5D)");
    assert_eq!(found["result"][0]["value"][1], "2", "{found}");
    let found = at("latency_seconds");
    let buckets = &found["result"][0]["histogram"][1]["buckets"];
    assert_eq!(buckets[1], serde_json::json!([0, "2", "4", "4"]), "{found}");
    let url = format!(
        "/api/v1/query_exemplars?query=rate(latency_seconds%5B5m%5D)&start={}&end={}",
        base / 1000 - 1,
        base / 1000 + 1
    );
    let found = server.data(&url);
    assert_eq!(found[0]["exemplars"][0]["labels"]["trace_id"], "abc", "{found}");
    assert_eq!(found[0]["seriesLabels"]["__name__"], "latency_seconds");
}
