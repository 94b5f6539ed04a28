//! Directories that the real Prometheus wrote are opened here, and the reverse.
//!
//! `PROMETHEUS=/path/prometheus cargo test -p tsdb --test both_ways`. Without it each test says that it is skipped.
#![allow(clippy::unwrap_used)] // a test ends where it fails

mod data;
mod metadata;
mod peer;
mod turns;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use data::{Series, floats_and_histograms};
use model::{MatchOp, Matcher, NativeHistogram};
use peer::{Prometheus, program};
use runtime::clock::ManualClock;
use tsdb::chunk::Encodings;
use tsdb::{Db, Options, Retention, Samples};

/// The path of a peer, or the test ends with a word.
macro_rules! peer_or_skip {
    ($name:literal) => {
        match program($name) {
            Some(path) => path,
            None => {
                println!("skipped: the environment does not name {}", $name);
                return;
            }
        }
    };
}

/// Five and a half hours: blocks are cut.
const COUNT: i64 = 330;

/// The newest time of all samples.
fn newest(series: &[Series]) -> i64 {
    series.iter().flat_map(|s| &s.samples).map(|(t, _)| *t).max().unwrap()
}

fn open(dir: &Path, series: &[Series], options: Options) -> Arc<Db> {
    let options = Options { retention: Retention::default(), ..options };
    let db = Db::open(dir, options, ManualClock::at(newest(series))).unwrap();
    db.replay(); // where it has no threads of its own
    while !db.replay_status().done {
        std::thread::yield_now();
    }
    db
}

/// Appends all, a batch for each time.
fn append(db: &Db, series: &[Series]) {
    for (t, batch) in data::by_time(series) {
        let mut appender = db.appender();
        for (labels, value) in batch {
            let done = match value {
                model::Value::Float(v) => appender.append(0, labels, t, *v),
                model::Value::Histogram(h) => appender.append_histogram(0, labels, t, h),
            };
            done.unwrap_or_else(|e| panic!("{labels} at {t}: {e}"));
        }
        appender.commit().unwrap();
    }
}

fn read(db: &Db) -> Vec<Series> {
    let all = [Matcher::new(MatchOp::Regex, "__name__", ".+").unwrap()];
    let querier = db.querier();
    let entries = querier.select(&all, i64::MIN, i64::MAX).unwrap();
    assert_eq!(querier.warnings(), Vec::<String>::new());
    let series = entries.iter().map(|entry| {
        let mut samples = Samples::default();
        entry.read_columns::<NativeHistogram>(i64::MIN, i64::MAX, &mut samples).unwrap();
        Series { labels: entry.labels().clone(), samples: samples.iter().collect() }
    });
    series.collect()
}

#[track_caller]
fn same(found: &[Series], expected: &[Series]) {
    let names = |all: &[Series]| all.iter().map(|s| s.labels.to_string()).collect::<Vec<_>>();
    assert_eq!(names(found), names(expected));
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.samples.len(), expected.samples.len(), "samples of {}", expected.labels);
        for (found, wanted) in found.samples.iter().zip(&expected.samples) {
            assert_eq!(data::text(found), data::text(wanted), "{}", expected.labels);
        }
    }
}

#[test]
fn prometheus_reads_what_pharos_wrote() {
    let prometheus = peer_or_skip!("PROMETHEUS");
    let dir = tempfile::tempdir().unwrap();
    let series = floats_and_histograms(COUNT);
    let db = open(dir.path(), &series, Options::default());
    append(&db, &series);
    db.maintain().unwrap();
    assert!(!db.blocks().is_empty(), "long enough for a block");
    same(&read(&db), &series);
    // as a killed process leaves it: blocks, head chunks and a live log
    drop(db);
    peer::assert_reads(&prometheus, dir.path(), &series);
}

/// Prometheus finds the samples of all runs: of series that the last run did not append to, of those that got samples before they were
/// replayed, and of new ones. It still does beside a snapshot of its memory, which replaces the log up to there: the series then have the
/// number that stood first in the log, and head chunks are found under no other.
#[test]
fn prometheus_reads_what_several_runs_wrote() {
    let prometheus = peer_or_skip!("PROMETHEUS");
    // shorter than a block
    let series = floats_and_histograms(150);
    let (begin, rest) = data::split(&series, |i| i < 70);
    let (early, late) = data::split(&series, |i| (70..80).contains(&i));
    let late = data::split(&late, |i| i >= 80).0;
    let half: Vec<Series> = early.iter().step_by(2).cloned().collect();
    let other_half: Vec<Series> = early.iter().skip(1).step_by(2).cloned().collect();
    // appended by each run before its replay and after; nothing in the last one
    let quiet: &[&[Series]] = &[&begin, &[], &[], &rest, &[], &[]];
    let early: &[&[Series]] = &[&[], &begin, &half, &other_half, &[], &late, &[], &[]];
    for runs in [quiet, early] {
        let dir = tempfile::tempdir().unwrap();
        for parts in runs.chunks(2) {
            let options =
                Options { background: false, retention: Retention::default(), ..Options::default() };
            let db = Db::open(dir.path(), options, ManualClock::at(newest(&series))).unwrap();
            append(&db, parts[0]);
            db.replay();
            append(&db, parts[1]);
            db.maintain().unwrap();
            assert!(db.blocks().is_empty());
            drop(db); // as a killed process leaves it
        }
        for _ in 0..2 {
            let server = Prometheus::start(&prometheus, dir.path(), "{}", &[SNAPSHOT]);
            peer::assert_answers(&server, &series);
            server.terminate();
        }
        peer::assert_reads(&prometheus, dir.path(), &series);
        same(&read(&open(dir.path(), &series, Options::default())), &series);
    }
}

#[test]
fn pharos_reads_what_prometheus_wrote() {
    let prometheus = peer_or_skip!("PROMETHEUS");
    let features = "--enable-feature=st-storage,xor2-encoding,histograms-st-encoding";
    for flags in [&[][..], &[features]] {
        let dir = tempfile::tempdir().unwrap();
        let series = floats_and_histograms(COUNT);
        let (begin, end) = data::split(&series, |i| i < COUNT / 2);
        let server = Prometheus::start(&prometheus, dir.path(), "{}", flags);
        server.write(&begin);
        server.kill();
        let db = open(dir.path(), &series, Options::default());
        same(&read(&db), &begin);
        append(&db, &end);
        db.maintain().unwrap();
        same(&read(&db), &series);
        db.close().unwrap();
        drop(db);
        // and on with what both wrote
        peer::assert_reads(&prometheus, dir.path(), &series);
    }
}

/// Names of the snapshots of the memory in a directory.
fn snapshots(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("chunk_snapshot")).collect()
}

const SNAPSHOT: &str = "--enable-feature=memory-snapshot-on-shutdown";

/// Removes the log up to where its snapshot ends, in segment `end`.
fn remove_log(dir: &Path, end: u32) {
    for entry in std::fs::read_dir(dir.join("wal")).unwrap() {
        let path = entry.unwrap().path();
        let segment =
            path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u32>().ok());
        match segment {
            Some(segment) if segment < end => std::fs::remove_file(path).unwrap(),
            Some(_) => {}
            None => std::fs::remove_dir_all(path).unwrap(),
        }
    }
}

/// With all kinds of chunks: the snapshot is read in the place of the log.
#[test]
fn a_snapshot_of_the_memory_that_prometheus_wrote() {
    let prometheus = peer_or_skip!("PROMETHEUS");
    let encodings =
        "--enable-feature=memory-snapshot-on-shutdown,st-storage,xor2-encoding,histograms-st-encoding";
    for flag in [SNAPSHOT, encodings] {
        let dir = tempfile::tempdir().unwrap();
        let series = floats_and_histograms(COUNT);
        let (begin, end) = data::split(&series, |i| i < COUNT / 2);
        let server = Prometheus::start(&prometheus, dir.path(), "{}", &[flag]);
        server.write(&begin);
        server.terminate();
        assert_eq!(snapshots(dir.path()).len(), 1);
        let db = open(dir.path(), &series, Options::default());
        let metrics = db.metrics();
        assert_eq!(metrics.snapshots_failed.load(SeqCst), 0);
        assert_eq!(metrics.snapshots_used.load(SeqCst), 1);
        same(&read(&db), &begin);
        assert!(snapshots(dir.path()).is_empty(), "Prometheus would take it for the truth again");
        append(&db, &end);
        db.maintain().unwrap();
        same(&read(&db), &series);
        // what is deleted stays so when Prometheus comes back
        db.delete(&[Matcher::equal("__name__", "a_float_total")], i64::MIN, i64::MAX).unwrap();
        drop(db);
        let left: Vec<Series> =
            series.into_iter().filter(|s| s.labels.get("__name__") != "a_float_total").collect();
        peer::assert_reads_after(&prometheus, dir.path(), &[flag], &left);
    }
}

/// The log is not read where the snapshot stands for it: nothing is missed where it cannot be.
#[test]
fn only_what_follows_a_snapshot_of_prometheus_is_replayed() {
    let prometheus = peer_or_skip!("PROMETHEUS");
    let dir = tempfile::tempdir().unwrap();
    let series = floats_and_histograms(COUNT);
    let (begin, end) = data::split(&series, |i| i < COUNT / 2);
    let server = Prometheus::start(&prometheus, dir.path(), "{}", &[SNAPSHOT]);
    server.write(&begin);
    server.terminate();
    // a log that goes on behind it: this run is killed
    let before: u64 = begin.iter().map(|s| s.samples.len() as u64).sum();
    let server = Prometheus::start(&prometheus, dir.path(), "{}", &[SNAPSHOT]);
    server.write(&end);
    server.kill();
    let db = open(dir.path(), &series, Options::default());
    assert_eq!(db.metrics().snapshots_used.load(SeqCst), 1);
    same(&read(&db), &series);
    assert!(db.metrics().samples_replayed.load(SeqCst) >= before);
    drop(db);
    peer::assert_reads(&prometheus, dir.path(), &series);
}

#[test]
fn a_snapshot_of_the_memory_that_pharos_wrote() {
    let prometheus = peer_or_skip!("PROMETHEUS");
    let newer = Options {
        encodings: Encodings { xor2: true, histogram_starts: true },
        start_timestamps: true,
        ..Options::default()
    };
    for options in [Options::default(), newer] {
        let dir = tempfile::tempdir().unwrap();
        let series = floats_and_histograms(COUNT);
        let (begin, end) = data::split(&series, |i| i < COUNT / 3);
        let (middle, end) = data::split(&end, |i| i < COUNT * 2 / 3);
        let options = Options { memory_snapshot: true, ..options };
        for (i, part) in [&begin, &middle].into_iter().enumerate() {
            let db = open(dir.path(), &series, options.clone());
            assert_eq!(db.metrics().snapshots_used.load(SeqCst), i as u64, "its own is read too");
            append(&db, part);
            db.maintain().unwrap();
            db.close().unwrap();
            drop(db);
            assert_eq!(snapshots(dir.path()).len(), 1);
        }
        // the log is gone: all is in the snapshot
        let name = snapshots(dir.path()).remove(0);
        remove_log(dir.path(), name.split('.').nth(1).unwrap().parse().unwrap());
        let server = Prometheus::start(&prometheus, dir.path(), "{}", &[SNAPSHOT]);
        server.write(&end);
        peer::assert_answers(&server, &series);
    }
}

const WINDOW: &str = "storage: {tsdb: {out_of_order_time_window: 10h}}\n";

fn with_window() -> Options {
    Options { out_of_order_window_ms: 10 * 3_600_000, ..Options::default() }
}

#[test]
fn out_of_order_samples_prometheus_wrote() {
    let prometheus = peer_or_skip!("PROMETHEUS");
    let dir = tempfile::tempdir().unwrap();
    let series = floats_and_histograms(COUNT);
    let (begin, end) = data::split(&series, |i| i < COUNT / 2);
    let server = Prometheus::start(&prometheus, dir.path(), WINDOW, &[]);
    server.write(&end);
    server.write(&begin);
    server.kill();
    let db = open(dir.path(), &series, with_window());
    same(&read(&db), &series);
    // they leave the log for blocks
    db.maintain().unwrap();
    same(&read(&db), &series);
    drop(db);
    peer::assert_reads_with(&prometheus, dir.path(), WINDOW, &series);
}

#[test]
fn out_of_order_samples_pharos_wrote() {
    let prometheus = peer_or_skip!("PROMETHEUS");
    for maintain in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let series = floats_and_histograms(COUNT);
        let (begin, end) = data::split(&series, |i| i < COUNT / 2);
        let db = open(dir.path(), &series, Options { background: false, ..with_window() });
        append(&db, &end);
        append(&db, &begin);
        if maintain {
            db.maintain().unwrap();
        }
        same(&read(&db), &series);
        drop(db);
        peer::assert_reads_with(&prometheus, dir.path(), WINDOW, &series);
    }
}

/// Chunks and records with start timestamps, in blocks and in a live log.
#[test]
fn start_timestamps_pharos_wrote() {
    let prometheus = peer_or_skip!("PROMETHEUS");
    let dir = tempfile::tempdir().unwrap();
    let series = floats_and_histograms(COUNT);
    let options = Options {
        encodings: Encodings { xor2: true, histogram_starts: true },
        start_timestamps: true,
        ..Options::default()
    };
    let db = open(dir.path(), &series, options);
    for (t, batch) in data::by_time(&series) {
        let mut appender = db.appender();
        for (labels, value) in batch {
            // unknown at first, then another one each hour
            let start = if t < data::START + 20 * data::STEP { 0 } else { t / 3_600_000 * 3_600_000 - 1 };
            let done = match value {
                model::Value::Float(v) => appender.append_since(0, labels, start, t, *v),
                model::Value::Histogram(h) => appender.append_histogram_since(0, labels, start, t, h),
            };
            done.unwrap_or_else(|e| panic!("{labels} at {t}: {e}"));
        }
        appender.commit().unwrap();
    }
    db.maintain().unwrap();
    assert!(!db.blocks().is_empty(), "long enough for a block");
    same(&read(&db), &series);
    drop(db);
    peer::assert_reads(&prometheus, dir.path(), &series);
}
