//! Looking at a database that is open elsewhere, whose log ends within a record.

use super::*;
use crate::Db;
use model::Labels;
use runtime::clock::ManualClock;
use std::collections::BTreeMap;

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in RealDisk.list(dir).unwrap() {
        let path = dir.join(&entry.name);
        if entry.is_dir {
            found.extend(files(&path).into_iter().map(|(n, b)| (format!("{}/{n}", entry.name), b)));
        } else {
            found.insert(entry.name, std::fs::read(path).unwrap());
        }
    }
    found
}

#[test]
fn head_and_blocks_are_read_and_nothing_changes() {
    let dir = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(0);
    let series = |n: &str| Labels::from_pairs([("__name__", "m"), ("n", n)]);
    let db = Db::open(dir.path(), Options::default(), clock.clone()).unwrap();
    assert!(db.wait_for_replay(std::time::Duration::from_secs(10)));
    for minute in 0..60 * 5 {
        let mut appender = db.appender();
        for n in ["b", "a"] {
            appender.append(0, &series(n), minute * 60_000, minute as f64).unwrap();
        }
        appender.commit().unwrap();
    }
    db.maintain().unwrap();
    assert!(!db.blocks().is_empty());
    let mut appender = db.appender();
    appender.append(0, &series("c"), 300 * 60_000, 1.0).unwrap();
    appender.commit().unwrap();
    // a record that another process is just writing
    let last = crate::wal::segments(&RealDisk, &dir.path().join("wal")).unwrap().pop().unwrap();
    RealDisk
        .append(&crate::wal::segment_path(&dir.path().join("wal"), last))
        .unwrap()
        .write(&[1, 0, 9, 7])
        .unwrap();
    let before = files(dir.path());

    let looked_at = ReadOnlyDb::open(dir.path(), dir.path(), clock).unwrap();
    let names = |mint, maxt| -> Vec<String> {
        let found = looked_at.select(&[Matcher::equal("__name__", "m")], mint, maxt).unwrap();
        found.iter().map(|e| e.labels().get("n").to_owned()).collect()
    };
    assert_eq!(names(i64::MIN, i64::MAX), ["a", "b", "c"], "in order of the labels");
    assert_eq!(
        names(290 * 60_000, i64::MAX),
        ["b", "a", "c"],
        "in order of their coming, where only the head has them"
    );
    let all = looked_at.select(&[Matcher::equal("n", "a")], i64::MIN, i64::MAX).unwrap();
    let (mut ts, mut vs) = (Vec::new(), Vec::new());
    all[0].read(i64::MIN, i64::MAX, &mut ts, &mut vs).unwrap();
    assert_eq!((ts.len(), vs[299]), (300, 299.0));
    drop(looked_at);
    assert_eq!(files(dir.path()), before);

    let (blocks, damaged) = blocks(dir.path()).unwrap();
    assert!(damaged.is_empty());
    let found = matching(&blocks[0], &[Matcher::equal("n", "b")]).unwrap();
    assert_eq!(found.len(), 1);
    db.close().unwrap();
}

#[test]
fn a_missing_directory_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let error = ReadOnlyDb::open(&dir.path().join("none"), dir.path(), ManualClock::at(0)).unwrap_err();
    assert!(error.to_string().contains("none"), "{error}");
    assert!(RealDisk.list(dir.path()).unwrap().is_empty(), "no sandbox is left");
}
