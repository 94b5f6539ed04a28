//! What was shown stays: kill -9, a torn log, a clean stop.
#![allow(clippy::unwrap_used)] // a test that cannot go on ends here

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use support::{Server, jobs, target, text};

fn counting() -> std::net::SocketAddr {
    static SCRAPES: AtomicU64 = AtomicU64::new(0);
    target(|stream| {
        let n = SCRAPES.fetch_add(1, Ordering::SeqCst);
        text(
            stream,
            &format!("# TYPE scrapes_total counter\nscrapes_total{{path=\"/a b\"}} {n}\nconstant 42\n"),
        )
    })
}

/// All samples of a series as text, oldest first.
fn history(server: &Server, name: &str) -> Vec<(String, String)> {
    let data = server.data(&format!("/api/v1/query?query={name}[1h]"));
    let values = data["result"][0]["values"].as_array().cloned().unwrap_or_default();
    values.iter().map(|pair| (pair[0].to_string(), pair[1].as_str().unwrap().to_owned())).collect()
}

#[test]
fn what_a_query_showed_survives_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), &jobs(&[("app", counting())]), &[]);
    for _ in 0..3 {
        let before = history(&server, "scrapes_total").len();
        let shown =
            server.until("two more samples", |s| history(s, "scrapes_total"), |h| h.len() >= before + 2);
        server.kill();
        server = Server::restart(dir.path(), &[]);
        let kept =
            server.until("the log is replayed", |s| history(s, "scrapes_total"), |h| h.len() >= shown.len());
        assert_eq!(kept[..shown.len()], shown[..]);
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn a_torn_log_costs_only_what_was_torn() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &jobs(&[("app", counting())]), &[]);
    let shown = server.until("three samples", |s| history(s, "constant"), |h| h.len() >= 3);
    server.kill();
    let wal = dir.path().join("data/wal");
    let mut segments: Vec<_> = std::fs::read_dir(&wal)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.file_name().unwrap().to_str().unwrap().bytes().all(|b| b.is_ascii_digit()))
        .collect();
    segments.sort();
    let last = segments.last().unwrap();
    let mut bytes = std::fs::read(last).unwrap();
    bytes.extend_from_slice(&[1, 0, 200, 9, 9, 9, 9, b't', b'o', b'r', b'n']);
    std::fs::write(last, bytes).unwrap();
    let server = Server::restart(dir.path(), &[]);
    let kept = server.until("the log is replayed", |s| history(s, "constant"), |h| h.len() >= shown.len());
    assert_eq!(kept[..shown.len()], shown[..]);
}

#[test]
fn a_clean_stop_keeps_everything() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &jobs(&[("app", counting())]), &[]);
    let shown = server.until("two samples", |s| history(s, "constant"), |h| h.len() >= 2);
    assert_eq!(server.stop(), Some(0));
    let server = Server::restart(dir.path(), &[]);
    let kept = server.until("the log is replayed", |s| history(s, "constant"), |h| h.len() >= shown.len());
    assert_eq!(kept[..shown.len()], shown[..]);
}

#[test]
fn a_start_says_what_it_found_and_whether_the_end_before_was_clean() {
    let dir = tempfile::tempdir().unwrap();
    let lock = dir.path().join("data/lock");
    let clean = |server: &Server| {
        let (_, metrics) = server.get("/metrics");
        let line = metrics.lines().find(|line| line.starts_with("prometheus_tsdb_clean_start ")).unwrap();
        line.ends_with(" 1")
    };
    let server = Server::start(dir.path(), &jobs(&[("app", counting())]), &[]);
    server.until("two samples", |s| history(s, "constant"), |h| h.len() >= 2);
    assert!(clean(&server) && lock.exists());
    server.kill();
    let mut server = Server::restart(dir.path(), &["--storage.tsdb.memory-budget=64MB"]);
    assert!(!clean(&server), "the lock of a killed process");
    let address = server.address.to_string();
    let data = dir.path().join("data").display().to_string();
    for (line, parts) in [
        ("msg=starting", &["version=", "revision="][..]),
        ("memory budgets", &["head=67108864 ", "queries=", "bodies="]),
        ("read the configuration", &["prometheus.yml", "jobs=1"]),
        ("opened the storage", &[data.as_str(), "retention=15d", "clean_start=false"]),
        ("msg=listening", &[address.as_str()]),
        ("replayed the log", &["seconds=0.", "series=", "samples="]),
    ] {
        let said = server.find_in_log(line);
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
    let replayed = server.find_in_log("replayed the log");
    assert!(!replayed.contains("samples=0 ") && !replayed.contains("series=0 "), "{replayed}");
    assert_eq!(server.stop(), Some(0));
    assert!(!lock.exists(), "a clean end takes it away");
    assert!(clean(&Server::restart(dir.path(), &[])));
}

#[test]
fn what_would_never_end_in_the_data_directory_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &jobs(&[("app", counting())]), &[]);
    server.until("two samples", |s| history(s, "constant"), |h| h.len() >= 2);
    server.kill();
    let data = dir.path().join("data");
    let put = |program: &str, arguments: &[&std::ffi::OsStr]| {
        assert!(std::process::Command::new(program).args(arguments).status().unwrap().success());
    };
    for name in ["lock", "head_refs.json"] {
        std::fs::remove_file(data.join(name)).unwrap();
        put("mkfifo", &[data.join(name).as_os_str()]);
    }
    std::fs::rename(data.join("wal"), dir.path().join("wal")).unwrap();
    std::os::unix::fs::symlink("/nowhere/at/all", data.join("wal")).unwrap();
    std::fs::create_dir(data.join("wbl")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", data.join("wbl/00000000")).unwrap();
    let block = "01HZZZZZZZZZZZZZZZZZZZZZZZ";
    put("mkfifo", &[data.join(block).as_os_str()]);
    let server = Server::restart(dir.path(), &[]);
    server.until("scrapes are stored again", |s| history(s, "constant"), |h| h.len() >= 2);
    let (_, metrics) = server.get("/metrics");
    assert!(metrics.contains("pharos_tsdb_blocks_damaged_total 1\n"), "{metrics}");
    for name in ["lock", "head_refs.json", "wal", "wbl/00000000", block] {
        let aside = data.join(format!("{name}.corrupt"));
        assert!(std::fs::symlink_metadata(&aside).is_ok(), "{}", aside.display());
    }
    assert_eq!(server.stop(), Some(0));
}
