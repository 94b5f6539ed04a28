//! The blocks of a directory: what the start makes of damage and leftovers, what compaction and retention choose.
#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use model::{Labels, Matcher};
use runtime::clock::ManualClock;
use tsdb::{Db, Options, Retention};

/// A multiple of the longest range.
const START: i64 = 1_700_000_000_000 / (9 * RANGE) * (9 * RANGE);
const RANGE: i64 = 60_000;

fn options() -> Options {
    Options {
        min_block_duration_ms: RANGE,
        max_block_duration_ms: Some(RANGE * 9),
        retention: Retention::default(),
        background: false,
        ..Options::default()
    }
}

/// A database, and the clock that names of blocks come from.
struct Store {
    db: Arc<Db>,
    clock: Arc<ManualClock>,
}

impl std::ops::Deref for Store {
    type Target = Db;
    fn deref(&self) -> &Db {
        &self.db
    }
}

fn open_with(dir: &Path, options: Options) -> Store {
    let clock = ManualClock::at(START);
    let db = Db::open(dir, options, clock.clone()).unwrap();
    db.replay();
    Store { db, clock }
}

fn open(dir: &Path) -> Store {
    open_with(dir, options())
}

/// One sample a second in each of three series, `from..to` seconds since the start; maintained each minute.
fn append(db: &Store, from: i64, to: i64) {
    for second in from..to {
        db.clock.set(START + second * 1000);
        if second % 60 == 0 {
            db.maintain().unwrap();
        }
        let mut appender = db.appender();
        for i in 0..3 {
            let labels = Labels::from_pairs([("__name__", "m".to_owned()), ("i", i.to_string())]);
            appender.append(0, &labels, START + second * 1000, (second * i) as f64).unwrap();
        }
        appender.commit().unwrap();
    }
    db.maintain().unwrap();
}

/// How many samples there are.
fn count(db: &Store) -> usize {
    let found = db.querier().select(&[Matcher::equal("__name__", "m")], i64::MIN, i64::MAX).unwrap();
    let read = |entry: &tsdb::SeriesEntry| {
        let (mut ts, mut vs) = (Vec::new(), Vec::new());
        entry.read(i64::MIN, i64::MAX, &mut ts, &mut vs).unwrap();
        ts.len()
    };
    found.iter().map(read).sum()
}

/// First and last minute of each block.
fn minutes(db: &Store) -> Vec<(i64, i64)> {
    let minute = |t: i64| (t - START).div_euclid(RANGE);
    db.blocks().iter().map(|b| (minute(b.min_time), minute(b.max_time))).collect()
}

fn block_dirs(dir: &Path) -> Vec<PathBuf> {
    let is_block = |p: &PathBuf| p.file_name().unwrap().to_str().unwrap().len() == 26;
    let mut dirs: Vec<PathBuf> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).filter(is_block).collect();
    dirs.sort();
    dirs
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn levels_follow_each_other_and_off_means_off() {
    for (compaction, expected) in
        [(true, vec![(0, 3), (3, 6), (6, 7)]), (false, (0..7).map(|i| (i, i + 1)).collect())]
    {
        let dir = tempfile::tempdir().unwrap();
        let db = open_with(dir.path(), Options { compaction, ..options() });
        append(&db, 0, 8 * 60);
        assert_eq!(minutes(&db), expected);
        assert_eq!(count(&db), 3 * 8 * 60);
    }
    // As Thanos' sidecar wants it: both durations alike.
    let dir = tempfile::tempdir().unwrap();
    let db = open_with(dir.path(), Options { max_block_duration_ms: Some(RANGE), ..options() });
    append(&db, 0, 8 * 60);
    assert_eq!(minutes(&db).len(), 7);
}

#[test]
fn blocks_wait_until_they_are_uploaded() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("thanos.shipper.json");
    let db = open_with(dir.path(), Options { delay_compact_file: Some(file.clone()), ..options() });
    append(&db, 0, 8 * 60);
    assert_eq!(minutes(&db).len(), 7);
    let uploaded = |n: usize| {
        let names: Vec<String> = db.blocks().iter().take(n).map(|b| format!("\"{}\"", b.ulid)).collect();
        format!("{{\"version\":1,\"uploaded\":[{}]}}", names.join(","))
    };
    std::fs::write(&file, uploaded(3)).unwrap();
    db.maintain().unwrap();
    // The third is the newest of those that count, and the newest is left in peace.
    assert_eq!(minutes(&db).len(), 7);
    std::fs::write(&file, uploaded(4)).unwrap();
    db.maintain().unwrap();
    assert_eq!(minutes(&db), [(0, 3), (3, 4), (4, 5), (5, 6), (6, 7)]);
}

#[test]
fn overlapping_blocks_become_one_or_stay() {
    for overlapping_compaction in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let db = open(dir.path());
        append(&db, 0, 90);
        append(&db, 90, 150);
        drop(db);
        // A second block of the same minute, as backfilling makes it: here of two thirds of it, with times in between.
        let other = tempfile::tempdir().unwrap();
        let backfill = open(other.path());
        for second in 10..50 {
            let mut appender = backfill.appender();
            let labels = Labels::from_pairs([("__name__", "m"), ("i", "1")]);
            appender.append(0, &labels, START + second * 1000 + 500, 0.5).unwrap();
            appender.commit().unwrap();
        }
        append(&backfill, 150, 151);
        drop(backfill);
        for block in block_dirs(other.path()) {
            copy_dir(&block, &dir.path().join(block.file_name().unwrap()));
        }
        let db = open_with(dir.path(), Options { overlapping_compaction, ..options() });
        assert_eq!(count(&db), 3 * 150 + 40);
        assert_eq!(db.blocks().len(), 2);
        db.maintain().unwrap();
        assert_eq!(count(&db), 3 * 150 + 40);
        let after = db.blocks();
        assert_eq!(after.len(), if overlapping_compaction { 1 } else { 2 });
        if overlapping_compaction {
            assert_eq!((after[0].compaction.level, after[0].compaction.parents.len()), (2, 2));
            assert_eq!(after[0].compaction.sources.len(), 2);
            assert_eq!(after[0].stats.num_samples, 3 * 60 + 40);
        }
    }
}

#[test]
fn the_start_cleans_up_and_sets_damage_aside() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_with(dir.path(), Options { compaction: false, ..options() });
    append(&db, 0, 5 * 60);
    drop(db);
    let blocks = block_dirs(dir.path());
    assert_eq!(blocks.len(), 4);
    for name in [".tmp-for-creation", ".tmp-for-deletion"] {
        copy_dir(&blocks[0], &PathBuf::from(format!("{}{name}", blocks[0].display())));
    }
    std::fs::create_dir_all(dir.path().join("snapshots/20250101T000000Z-00.tmp-for-creation/x")).unwrap();
    let index = blocks[1].join("index");
    let mut bytes = std::fs::read(&index).unwrap();
    let middle = bytes.len() - 30;
    bytes[middle] ^= 0xff;
    std::fs::write(&index, &bytes).unwrap();
    // Done with by another compactor.
    let meta = blocks[2].join("meta.json");
    let text = std::fs::read_to_string(&meta)
        .unwrap()
        .replace("\"level\": 1,", "\"level\": 1, \"deletable\": true,");
    std::fs::write(&meta, text).unwrap();
    std::fs::remove_file(blocks[3].join("meta.json")).unwrap();
    let db = open_with(dir.path(), Options { compaction: false, ..options() });
    assert_eq!(minutes(&db), [(0, 1)]);
    assert_eq!(db.metrics().blocks_damaged.load(SeqCst), 2, "the damaged one, and the one without meta.json");
    let aside = PathBuf::from(format!("{}.corrupt", blocks[1].display()));
    assert_eq!(std::fs::read(aside.join("index")).unwrap(), bytes, "kept as it was");
    assert!(blocks[3].join("index").exists(), "left as it is: it may be on its way here");
    assert!(!blocks[2].exists());
    let left: Vec<String> = std::fs::read_dir(dir.path())
        .unwrap()
        .chain(std::fs::read_dir(dir.path().join("snapshots")).unwrap())
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.contains(".tmp"))
        .collect();
    assert_eq!(left, [] as [&str; 0]);
}

#[test]
fn a_block_that_was_compacted_goes_even_where_it_is_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_with(dir.path(), Options { compaction: false, ..options() });
    append(&db, 0, 5 * 60);
    drop(db);
    let copy = tempfile::tempdir().unwrap();
    let parents = block_dirs(dir.path());
    parents.iter().for_each(|b| copy_dir(b, &copy.path().join(b.file_name().unwrap())));
    let db = open(dir.path());
    db.maintain().unwrap();
    assert_eq!(minutes(&db), [(0, 3), (3, 4)]);
    drop(db);
    // As if it had been killed before the parents were gone.
    parents[..3].iter().for_each(|b| copy_dir(&copy.path().join(b.file_name().unwrap()), b));
    std::fs::write(parents[1].join("index"), "x").unwrap();
    let db = open(dir.path());
    assert_eq!(minutes(&db), [(0, 3), (3, 4)]);
    assert_eq!(count(&db), 3 * 5 * 60);
    assert_eq!(db.metrics().blocks_damaged.load(SeqCst), 0);
    assert!(parents[..3].iter().all(|b| !b.exists()));
}

#[test]
fn damage_that_compaction_meets_is_noted_and_the_rest_is_compacted() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_with(dir.path(), Options { compaction: false, ..options() });
    append(&db, 0, 8 * 60);
    drop(db);
    let blocks = block_dirs(dir.path());
    let segment = blocks[1].join("chunks/000001");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[20] ^= 0xff;
    std::fs::write(&segment, &bytes).unwrap();
    let db = open(dir.path());
    let error = db.maintain().unwrap_err().to_string();
    assert!(error.contains("chunks/000001") && error.contains("offset 8"), "{error}");
    db.maintain().unwrap();
    assert_eq!(minutes(&db), [(0, 1), (1, 2), (2, 3), (3, 6), (6, 7)]);
    let failed: Vec<bool> = db.blocks().iter().map(|b| b.compaction.failed).collect();
    assert_eq!(failed, [false, true, false, false, false]);
    assert!(std::fs::read_to_string(blocks[1].join("meta.json")).unwrap().contains("\"failed\": true"));
    // What is not damaged can still be read.
    let (mut ts, mut vs) = (Vec::new(), Vec::new());
    let found = db.querier().select(&[Matcher::equal("i", "2")], i64::MIN, i64::MAX).unwrap();
    found[0].read(i64::MIN, i64::MAX, &mut ts, &mut vs).unwrap();
    assert_eq!(ts.len(), 8 * 60);
}

#[test]
fn retention_by_time_and_size_can_change() {
    let dir = tempfile::tempdir().unwrap();
    let db = open_with(dir.path(), Options { compaction: false, ..options() });
    append(&db, 0, 8 * 60);
    assert_eq!(minutes(&db).len(), 7);
    db.set_retention(Retention { time_ms: Some(4 * RANGE), ..Retention::default() });
    db.maintain().unwrap();
    assert_eq!(minutes(&db), [(3, 4), (4, 5), (5, 6), (6, 7)]);
    assert_eq!(db.metrics().retention_time_deletions.load(SeqCst), 3);
    let sizes = db.sizes();
    let held = sizes.block_bytes + sizes.wal_bytes + sizes.head_chunk_bytes;
    let on_disk: u64 = walk(dir.path())
        .iter()
        .filter(|p| !p.ends_with("lock") && !p.ends_with("head_refs.json"))
        .map(|p| p.metadata().unwrap().len())
        .sum();
    assert_eq!(held, on_disk, "the size is that of the files");
    // One byte too many: one block goes.
    db.set_retention(Retention { bytes: Some(held - 1), ..Retention::default() });
    db.maintain().unwrap();
    assert_eq!(minutes(&db), [(4, 5), (5, 6), (6, 7)]);
    assert_eq!(db.metrics().retention_size_deletions.load(SeqCst), 1);
    // So small a share of any file system that nothing fits; the share counts in place of the bytes.
    db.set_retention(Retention { bytes: Some(u64::MAX), percentage: Some(1e-12), ..Retention::default() });
    db.maintain().unwrap();
    assert_eq!(minutes(&db), []);
    assert_eq!(count(&db), 3 * 60, "the head stays");
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}
