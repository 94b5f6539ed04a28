//! What series are, in the log: written once, read at a start, carried along, dropped with its series.
#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::path::Path;
use std::sync::Arc;

use model::Labels;
use testkit::{Loss, ManualClock, SimDisk};
use tsdb::disk::Disk;
use tsdb::wal::checkpoint;
use tsdb::wal::read::SegmentsReader;
use tsdb::wal::records::{Record, decode};
use tsdb::{Db, Metadata, MetricKind, Options};

const DIR: &str = "/data";
const RANGE: i64 = 60_000;
const START: i64 = 1_700_000_000_000 / RANGE * RANGE;

fn options(metadata_records: bool) -> Options {
    Options {
        min_block_duration_ms: RANGE,
        wal_segment_size: 32 << 10,
        background: false,
        metadata_records,
        ..Options::default()
    }
}

fn open_unread(disk: &SimDisk, options: Options) -> Arc<Db> {
    Db::open_on(Arc::new(disk.clone()), Path::new(DIR), options, ManualClock::at(START)).unwrap()
}

fn open(disk: &SimDisk) -> Arc<Db> {
    let db = open_unread(disk, options(true));
    db.replay();
    db
}

fn labels(i: i64) -> Labels {
    Labels::from_pairs([("__name__", "m".to_owned()), ("i", i.to_string())])
}

fn gauge(help: &str) -> Metadata {
    Metadata { kind: MetricKind::GAUGE, unit: "seconds".to_owned(), help: help.to_owned() }
}

/// Appends a sample of each of these series, and says what it is where `help` is given.
fn append(db: &Db, t: i64, series: impl IntoIterator<Item = i64>, help: Option<&str>) {
    let mut appender = db.appender();
    for i in series {
        let reference = appender.append(0, &labels(i), START + t, i as f64).unwrap();
        if let Some(help) = help {
            assert_eq!(appender.describe(reference, &labels(i), &gauge(help)).unwrap(), reference);
        }
    }
    appender.commit().unwrap();
}

/// Helps in the order of the log, with the series' number: those of a checkpoint first.
fn logged(disk: &SimDisk) -> Vec<(u64, String)> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let wal = Path::new(DIR).join("wal");
    let checkpoint = checkpoint::last(&*disk, &wal).unwrap();
    let begin = checkpoint.as_ref().map_or(0, |(_, covered)| covered + 1);
    let mut readers: Vec<_> = checkpoint
        .iter()
        .map(|(dir, _)| SegmentsReader::open(disk.clone(), dir, 0).unwrap())
        .chain([SegmentsReader::open(disk.clone(), &wal, begin).unwrap()])
        .collect();
    let mut found = Vec::new();
    for reader in &mut readers {
        while let Some(entry) = reader.next().unwrap() {
            if let Record::Metadata(all) = decode(entry.record).unwrap() {
                assert!(all.iter().all(|m| m.type_ == 2 && m.unit == "seconds"));
                found.extend(all.into_iter().map(|m| (m.ref_, m.help)));
            }
        }
    }
    found
}

fn helps(disk: &SimDisk) -> Vec<String> {
    logged(disk).into_iter().map(|(_, help)| help).collect()
}

#[track_caller]
fn assert_known(db: &Db, series: i64, help: &str) {
    assert_eq!(db.metadata(&labels(series)).as_deref(), Some(&gauge(help)), "series {series}");
}

#[test]
fn only_what_is_new_is_written() {
    let disk = SimDisk::new(1);
    let db = open(&disk);
    append(&db, 0, 0..3, Some("one"));
    append(&db, 1, 0..3, Some("one"));
    append(&db, 2, 0..2, Some("two"));
    append(&db, 3, 0..3, None);
    assert_eq!(helps(&disk), ["one", "one", "one", "two", "two"]);
    assert_known(&db, 1, "two");
    assert_known(&db, 2, "one");
    let unknown = db.appender().describe(0, &labels(9), &gauge("x"));
    assert!(unknown.unwrap_err().to_string().contains("unknown series"));
    assert_eq!(db.metadata(&labels(9)), None);
}

#[test]
fn without_the_feature_nothing_is_written_or_kept() {
    let disk = SimDisk::new(1);
    let db = open(&disk);
    append(&db, 0, 0..3, Some("one"));
    let with = db.head_bytes().other;
    drop(db);
    disk.restart(Loss::Nothing);
    let db = open_unread(&disk, options(false));
    db.replay();
    append(&db, 1, 0..3, Some("two"));
    assert_eq!((helps(&disk).len(), db.metadata(&labels(1))), (3, None));
    assert!(with > 0 && db.head_bytes().other == 0);
}

#[test]
fn what_cannot_be_written_is_not_known() {
    let disk = SimDisk::new(1);
    let db = open(&disk);
    append(&db, 0, 0..3, Some("one"));
    disk.set_capacity(Some(disk.used()));
    let mut appender = db.appender();
    let reference = appender.append(0, &labels(1), START + 1, 1.0).unwrap();
    appender.describe(reference, &labels(1), &gauge("two")).unwrap();
    appender.commit().unwrap_err();
    assert_known(&db, 1, "one");
    disk.set_capacity(None);
    append(&db, 2, 1..2, Some("two"));
    assert_known(&db, 1, "two");
    drop(db);
    disk.restart(Loss::Nothing);
    assert_known(&open(&disk), 1, "two");
}

#[test]
fn a_start_reads_it_and_what_is_newer_counts() {
    let disk = SimDisk::new(1);
    let db = open(&disk);
    append(&db, 0, 0..4, Some("one"));
    append(&db, 1, 1..2, Some("two"));
    drop(db);
    disk.restart(Loss::Nothing);
    let db = open_unread(&disk, options(true));
    append(&db, 2, 2..3, Some("three")); // before it is replayed
    append(&db, 2, 3..4, None);
    db.replay();
    for (series, help) in [(0, "one"), (1, "two"), (2, "three"), (3, "one")] {
        assert_known(&db, series, help);
    }
    // all are named anew, once they are replayed
    append(&db, 3, 0..2, None);
    append(&db, 4, 0..2, Some("one"));
    assert_eq!(
        helps(&disk)[5..],
        ["three", "three", "one", "one", "two", "one"],
        "series 2; then 2, 3, 0 and 1; then 1 anew"
    );
    drop(db);
    disk.restart(Loss::Nothing);
    let db = open(&disk);
    for (series, help) in [(0, "one"), (1, "one"), (2, "three"), (3, "one")] {
        assert_known(&db, series, help);
    }
}

#[test]
fn checkpoints_keep_the_newest_of_series_that_stay() {
    let disk = SimDisk::new(1);
    let db = open(&disk);
    append(&db, 0, 0..6, Some("one"));
    append(&db, 1, 0..3, Some("two"));
    drop(db);
    disk.restart(Loss::Nothing);
    let db = open_unread(&disk, options(true));
    append(&db, 2, 5..6, None); // named before what it is was read
    db.replay();
    // series 4 ends; 3 is heard of again before its samples leave memory
    for minute in 0..8 {
        append(&db, minute * RANGE + 1000, (0..3).chain(5..6), None);
        append(&db, minute * RANGE + 1000, (3..4).filter(|_| minute < 2), None);
        for second in 2..60 {
            append(&db, minute * RANGE + second * 1000, 10..60, None);
        }
        db.maintain().unwrap();
    }
    assert!(db.metrics().checkpoints.load(std::sync::atomic::Ordering::SeqCst) > 2);
    assert_eq!(db.metadata(&labels(4)), None);
    let known = [(0, "two"), (1, "two"), (2, "two"), (5, "one")];
    known.iter().for_each(|(series, help)| assert_known(&db, *series, help));
    let mut left = logged(&disk);
    left.sort();
    left.dedup_by_key(|(reference, _)| *reference);
    assert_eq!(
        left.len(),
        4,
        "those of the run before, of gone series, and what was replaced are dropped: {left:?}"
    );
    drop(db);
    disk.restart(Loss::Nothing);
    let db = open(&disk);
    known.iter().for_each(|(series, help)| assert_known(&db, *series, help));
    assert_eq!(db.metadata(&labels(4)), None);
}
