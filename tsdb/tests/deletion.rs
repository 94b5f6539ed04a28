//! Deletion: what is deleted is gone from answers at once and for ever, in blocks and in the head; what comes later stays.
#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::path::Path;
use std::sync::Arc;

use model::{Labels, Matcher};
use runtime::clock::ManualClock;
use tsdb::{Db, Options};

const START: i64 = 1_700_000_000_000 / RANGE * RANGE;
const RANGE: i64 = 60_000;

fn open(dir: &Path) -> Arc<Db> {
    let options = Options {
        min_block_duration_ms: RANGE,
        max_block_duration_ms: Some(9 * RANGE),
        background: false,
        ..Options::default()
    };
    let db = Db::open(dir, options, ManualClock::at(START)).unwrap();
    db.replay();
    db
}

fn series(i: i64) -> Labels {
    Labels::from_pairs([("__name__", "m".to_owned()), ("i", i.to_string())])
}

fn append(db: &Db, t: i64) {
    let mut appender = db.appender();
    for i in 0..3 {
        appender.append(0, &series(i), t, t as f64).unwrap();
    }
    appender.commit().unwrap();
}

/// A block, and a head behind it.
fn fill(db: &Db) {
    for t in (0..2 * RANGE).step_by(1000) {
        append(db, START + t);
    }
    db.maintain().unwrap();
    assert_eq!(db.blocks().len(), 1);
}

/// Times since the start, of one series.
fn times(db: &Db, i: i64) -> Vec<i64> {
    let matchers = [Matcher::equal("i", i.to_string())];
    let found = db.querier().select(&matchers, i64::MIN, i64::MAX).unwrap();
    let (mut ts, mut vs) = (Vec::new(), Vec::new());
    found.iter().for_each(|entry| entry.read(i64::MIN, i64::MAX, &mut ts, &mut vs).unwrap());
    assert!(ts.iter().zip(&vs).all(|(t, v)| *t as f64 == *v));
    ts.iter().map(|t| t - START).collect()
}

fn expected(deleted: std::ops::Range<i64>, until: i64) -> Vec<i64> {
    (0..until).step_by(1000).filter(|t| !deleted.contains(t)).collect()
}

#[test]
fn across_block_and_head_over_restarts_and_into_new_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    fill(&db);
    // Both ends belong to it; the block ends at 60,000.
    db.delete(&[Matcher::equal("i", "1")], START + 30_000, START + 90_000).unwrap();
    db.delete(&[Matcher::equal("i", "none")], i64::MIN, i64::MAX).unwrap();
    let check = |db: &Db, until| {
        assert_eq!(times(db, 0), expected(0..0, until));
        assert_eq!(times(db, 1), expected(30_000..90_001, until));
    };
    check(&db, 2 * RANGE);
    assert_eq!(db.blocks()[0].stats.num_tombstones, 1);
    drop(db);
    let db = open(dir.path());
    check(&db, 2 * RANGE);
    // Now the head's part becomes a block too.
    for t in (2 * RANGE..3 * RANGE).step_by(1000) {
        append(&db, START + t);
    }
    db.maintain().unwrap();
    let blocks = db.blocks();
    assert_eq!(blocks.len(), 2);
    assert_eq!(blocks[1].stats.num_samples, 180 - 31);
    check(&db, 3 * RANGE);
    assert_eq!(db.clean_tombstones().unwrap(), 1);
    let blocks = db.blocks();
    assert_eq!((blocks[0].stats.num_samples, blocks[0].stats.num_tombstones), (180 - 30, 0));
    assert_eq!((blocks[0].compaction.level, blocks[0].compaction.parents.len()), (1, 1));
    check(&db, 3 * RANGE);
    drop(db);
    check(&open(dir.path()), 3 * RANGE);
}

#[test]
fn a_series_that_is_deleted_whole_is_not_listed_and_can_come_again() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    fill(&db);
    let two = [Matcher::equal("i", "2")];
    db.delete(&two, i64::MIN, i64::MAX).unwrap();
    assert_eq!(db.querier().series(&two, i64::MIN, i64::MAX).unwrap(), []);
    assert_eq!(times(&db, 2), [] as [i64; 0]);
    append(&db, START + 2 * RANGE);
    assert_eq!(times(&db, 2), [2 * RANGE]);
    db.clean_tombstones().unwrap();
    drop(db);
    assert_eq!(times(&open(dir.path()), 2), [2 * RANGE]);
}

#[test]
fn a_block_of_which_nothing_is_left_goes() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    fill(&db);
    db.delete(&[Matcher::equal("__name__", "m")], i64::MIN, i64::MAX).unwrap();
    assert_eq!(db.clean_tombstones().unwrap(), 1);
    assert_eq!(db.blocks(), []);
    append(&db, START + 2 * RANGE);
    assert_eq!(times(&db, 0), [2 * RANGE]);
}

#[test]
fn snapshots_lack_what_is_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    fill(&db);
    db.delete(&[Matcher::equal("i", "1")], START + 30_000, START + 90_000).unwrap();
    for (with_head, until) in [(true, 2 * RANGE), (false, RANGE)] {
        let name = db.snapshot(with_head).unwrap();
        let copy = open(&dir.path().join("snapshots").join(name));
        assert_eq!(times(&copy, 1), expected(30_000..90_001, until));
        // What is done to the copy is not done to the database.
        copy.delete(&[Matcher::equal("i", "0")], i64::MIN, i64::MAX).unwrap();
        assert_eq!(times(&db, 0), expected(0..0, 2 * RANGE));
    }
}
