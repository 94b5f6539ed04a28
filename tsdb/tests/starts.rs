//! Start timestamps: from the appender through log, head, blocks and compaction, in order and out of order.
#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::path::Path;
use std::sync::Arc;

use model::{Histogram, Labels, MatchOp, Matcher, NativeHistogram};
use runtime::clock::ManualClock;
use tsdb::chunk::Encodings;
use tsdb::{Db, Options, Retention, Samples};

const HOUR: i64 = 3_600_000;
const MINUTE: i64 = 60_000;
/// A multiple of two hours.
const BEGIN: i64 = 1_700_006_400_000;

fn options() -> Options {
    Options {
        retention: Retention::default(),
        encodings: Encodings { xor2: true, histogram_starts: true },
        start_timestamps: true,
        out_of_order_window_ms: 2 * HOUR,
        background: false,
        ..Options::default()
    }
}

fn open(dir: &Path, options: Options) -> Arc<Db> {
    let db = Db::open(dir, options, ManualClock::at(BEGIN)).unwrap();
    db.replay();
    db
}

fn labels(name: &str) -> Labels {
    Labels::from_pairs([("__name__", name)])
}

/// When the count began that a sample belongs to: unknown at first, then anew every 100 minutes.
fn start(minute: i64) -> i64 {
    if minute < 10 { 0 } else { BEGIN + minute / 100 * 100 * MINUTE - 7 }
}

fn histogram(minute: i64) -> NativeHistogram {
    let n = (minute % 100 + 1) as u64;
    Histogram { zero_count: n, count: n, ..Histogram::default() }.into()
}

fn append(db: &Db, minute: i64) {
    let t = BEGIN + minute * MINUTE;
    let mut appender = db.appender();
    appender.append_since(0, &labels("float"), start(minute), t, minute as f64).unwrap();
    appender.append_histogram_since(0, &labels("histogram"), start(minute), t, &histogram(minute)).unwrap();
    appender.append(0, &labels("plain"), t, 1.0).unwrap();
    appender.commit().unwrap();
}

/// Minute and start of all samples of a series.
fn starts(db: &Db, name: &str) -> Vec<(i64, i64)> {
    let found = db.querier().select(&[Matcher::equal("__name__", name)], i64::MIN, i64::MAX).unwrap();
    let mut samples = Samples::default();
    found[0].read_columns(i64::MIN, i64::MAX, &mut samples).unwrap();
    samples.starts.resize(samples.ts.len(), 0);
    samples.ts.iter().map(|t| (t - BEGIN) / MINUTE).zip(samples.starts).collect()
}

#[track_caller]
fn check(db: &Db, minutes: i64) {
    let expected: Vec<(i64, i64)> = (0..minutes).map(|minute| (minute, start(minute))).collect();
    assert_eq!(starts(db, "float"), expected);
    assert_eq!(starts(db, "histogram"), expected);
    assert!(starts(db, "plain").iter().all(|(_, start)| *start == 0));
}

#[test]
fn they_survive_everything() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path(), options());
    let late = |minute: i64| minute % 50 == 49;
    for minute in 0..150 {
        append(&db, if late(minute) { minute - 40 } else { minute });
    }
    drop(db);
    let db = open(dir.path(), options());
    for minute in (0..150).filter(|minute| late(*minute)) {
        append(&db, minute); // what was left out, out of order
    }
    check(&db, 150);
    drop(db); // as kill -9 leaves it
    let db = open(dir.path(), options());
    check(&db, 150);
    let mut levels = Vec::new();
    for minute in 150..20 * 60 {
        append(&db, minute);
        if minute % 60 == 0 {
            db.maintain().unwrap();
            levels.push(db.blocks().iter().map(|b| b.compaction.level).max().unwrap_or(0));
        }
    }
    assert!(levels.iter().any(|level| *level > 1), "{levels:?}");
    check(&db, 20 * 60);
    db.delete(&[Matcher::new(MatchOp::Regex, "__name__", ".*").unwrap()], BEGIN, BEGIN + MINUTE - 1).unwrap();
    db.clean_tombstones().unwrap();
    assert_eq!(starts(&db, "float")[0], (1, 0));
    assert_eq!(starts(&db, "float")[1..], starts(&db, "histogram")[1..]);
    assert_eq!(starts(&db, "float").len(), 20 * 60 - 1);
    drop(db);
    // a start without the features keeps what is there
    let db =
        open(dir.path(), Options { encodings: Encodings::default(), start_timestamps: false, ..options() });
    let blocks = db.blocks().iter().map(|b| b.max_time).max().unwrap();
    let of_blocks: Vec<_> =
        starts(&db, "float").into_iter().filter(|(minute, _)| BEGIN + minute * MINUTE < blocks).collect();
    assert!(of_blocks.len() > 900 && of_blocks.iter().all(|&(minute, st)| st == start(minute)));
}

#[test]
fn without_the_features_they_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path(), Options { start_timestamps: false, ..options() });
    for minute in 0..20 {
        append(&db, minute);
    }
    assert!(starts(&db, "float").iter().all(|(_, start)| *start == 0));
}
