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
    let bomb = snap::raw::Encoder::new().compress_vec(&vec![0; 200 << 20]).unwrap();
    let (status, why) = server.post("/api/v1/write", HEADERS, &bomb);
    assert!(status == 400 && why.contains("limit"), "{status} {why}");
    assert_eq!(at(base + 1000, "pushed")["result"][0]["value"][1], "2");
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
