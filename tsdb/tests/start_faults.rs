//! Starts that find the worst: a full disk, files that cannot be read, files that are missing or of the wrong kind. Each starts, shows
//! all that can be read, counts what is wrong, and goes on by itself where it can.
#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use model::{Labels, Matcher};
use testkit::{Loss, ManualClock, SimDisk};
use tsdb::disk::{Disk, RealDisk};
use tsdb::wal::Compression;
use tsdb::{AppendError, Db, Options, Retention};

const START: i64 = 1_700_000_000_000 / RANGE * RANGE;
const RANGE: i64 = 60_000;
const DIR: &str = "/data";
const SERIES: i64 = 200;

/// Segments of a single page: few samples fill one.
fn options() -> Options {
    Options {
        min_block_duration_ms: RANGE,
        max_block_duration_ms: Some(9 * RANGE),
        retention: Retention::default(),
        wal_segment_size: 32 << 10,
        wal_compression: Compression::None,
        samples_per_chunk: 20,
        background: false,
        ..Options::default()
    }
}

fn open_on(disk: Arc<dyn Disk>, dir: &Path) -> Arc<Db> {
    let db = Db::open_on(disk, dir, options(), ManualClock::at(START)).unwrap();
    db.replay();
    db
}

fn open(disk: &SimDisk) -> Arc<Db> {
    open_on(Arc::new(disk.clone()), Path::new(DIR))
}

fn try_append(db: &Db, second: i64) -> Result<(), AppendError> {
    let mut appender = db.appender();
    for i in 0..SERIES {
        let labels = Labels::from_pairs([("__name__", "m".to_owned()), ("i", i.to_string())]);
        appender.append(0, &labels, START + second * 1000, (second * i) as f64)?;
    }
    appender.commit()
}

/// Samples of seconds `from..to`, maintained each minute.
fn append(db: &Db, from: i64, to: i64) {
    for second in from..to {
        try_append(db, second).unwrap();
        if second % 60 == 59 {
            db.maintain().unwrap();
        }
    }
    db.sync().unwrap();
}

/// The seconds of which all samples are there, and right; a second has all of them or none.
fn seconds(db: &Db) -> Vec<i64> {
    let found = db.querier().select(&[Matcher::equal("__name__", "m")], i64::MIN, i64::MAX).unwrap();
    let mut counts = std::collections::BTreeMap::<i64, i64>::new();
    for entry in &found {
        let i: i64 = entry.labels().get("i").parse().unwrap();
        let (mut ts, mut vs) = (Vec::new(), Vec::new());
        entry.read(i64::MIN, i64::MAX, &mut ts, &mut vs).unwrap();
        for (t, v) in ts.iter().zip(vs) {
            let second = (t - START) / 1000;
            assert_eq!(v, (second * i) as f64);
            *counts.entry(second).or_default() += 1;
        }
    }
    assert!(counts.values().all(|n| *n == SERIES), "{counts:?}");
    counts.into_keys().collect()
}

fn all(to: i64) -> Vec<i64> {
    (0..to).collect()
}

fn corruptions(db: &Db) -> u64 {
    db.metrics().wal_corruptions.load(SeqCst)
}

/// Numbers of the log's segments.
fn segments(disk: &dyn Disk, dir: &Path) -> Vec<u32> {
    tsdb::wal::segments(disk, &dir.join("wal")).unwrap()
}

fn segment(number: u32) -> PathBuf {
    tsdb::wal::segment_path(&Path::new(DIR).join("wal"), number)
}

/// Samples of so many seconds, as a killed process leaves them.
fn filled(to: i64) -> SimDisk {
    let disk = SimDisk::new(1);
    let db = open(&disk);
    append(&db, 0, to);
    drop(db);
    disk.restart(Loss::Nothing);
    disk
}

#[test]
fn a_full_disk() {
    for (to, torn) in [(45, false), (45, true), (150, false), (0, false)] {
        let disk = filled(to);
        if torn {
            // a crash in a write: where there is room it is cut off, and no damage
            let last = segment(*segments(&disk, Path::new(DIR)).last().unwrap());
            disk.append(&last).unwrap().write(&[1, 0, 90, 1, 2, 3, 4, 5]).unwrap();
        }
        disk.set_capacity(Some(disk.used()));
        let db = open(&disk);
        assert_eq!(seconds(&db), all(to), "all can be read");
        assert_eq!((corruptions(&db), db.metrics().blocks_damaged.load(SeqCst)), (0, 0));
        disk.set_capacity(Some(disk.used())); // the start has removed what it did not need
        for _ in 0..3 {
            let error = try_append(&db, to).unwrap_err().to_string();
            assert!(error.starts_with("storage: ") && error.contains("No space left"), "{error}");
        }
        assert_eq!(seconds(&db), all(to), "what was refused cannot be seen");
        db.sync().unwrap(); // nothing waits for it
        disk.set_capacity(None);
        append(&db, to, 200);
        assert_eq!(seconds(&db), all(200), "it goes on by itself");
        drop(db);
        disk.restart(Loss::Unsynced);
        let db = open(&disk);
        assert_eq!((seconds(&db), corruptions(&db)), (all(200), 0));
    }
}

#[test]
fn a_full_disk_without_a_data_directory_of_ours() {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new(DIR)).unwrap();
    disk.set_capacity(Some(0));
    let db = open(&disk);
    let second = Db::open_on(Arc::new(disk.clone()), Path::new(DIR), options(), ManualClock::at(START));
    assert!(second.unwrap_err().to_string().contains("another process"), "locked without a file");
    assert!(try_append(&db, 0).is_err());
    disk.set_capacity(None);
    append(&db, 0, 100);
    drop(db);
    disk.restart(Loss::Nothing);
    assert_eq!(seconds(&open(&disk)), all(100));
}

#[test]
fn a_segment_that_cannot_be_read() {
    let disk = filled(45);
    let whole = disk.read(&segment(1)).unwrap();
    disk.set_unreadable(&segment(1));
    let db = open(&disk);
    assert_eq!(corruptions(&db), 1);
    let left = seconds(&db);
    assert!(left.len() > 20 && left.len() < 45 && left[0] == 0 && left.contains(&44), "{left:?}");
    assert_eq!(disk.read(&segment(1).with_extension("unreadable")).unwrap(), whole, "kept as it is");
    append(&db, 45, 150); // blocks are cut, and a checkpoint is written over the hole
    let expected: Vec<i64> = left.into_iter().chain(45..150).collect();
    assert_eq!(seconds(&db), expected);
    drop(db);
    disk.restart(Loss::Nothing);
    let db = open(&disk);
    assert_eq!((seconds(&db), corruptions(&db)), (expected, 0));
}

#[test]
fn a_segment_that_can_be_read_in_part() {
    let disk = filled(45);
    disk.set_unreadable_from(&segment(1), 20_000);
    let db = open(&disk);
    assert_eq!(corruptions(&db), 1);
    let left = seconds(&db);
    assert!(left.len() > 35 && left.len() < 45, "what comes before the bad place stays: {left:?}");
    drop(db);
    disk.restart(Loss::Nothing);
    let db = open(&disk);
    assert_eq!((seconds(&db), corruptions(&db)), (left, 0), "as before, and no news");
}

#[test]
fn directories_that_cannot_be_listed() {
    for name in ["wal", "wbl", "chunks_head"] {
        let disk = filled(150);
        disk.create_dir_all(&Path::new(DIR).join("wbl")).unwrap();
        disk.set_unreadable(&Path::new(DIR).join(name));
        let db = open(&disk);
        let lost = if name == "wal" { 60..150 } else { 0..0 };
        let expected: Vec<i64> = (0..150).filter(|s| !lost.contains(s)).collect();
        let shown = seconds(&db);
        assert!(expected.iter().all(|s| shown.contains(s)), "{name}: {shown:?}");
        let counted = corruptions(&db) + db.metrics().head_chunk_corruptions.load(SeqCst);
        assert!(counted > 0, "{name}");
        assert!(disk.exists(&Path::new(DIR).join(format!("{name}.unreadable"))), "{name}");
        append(&db, 150, 200);
        let shown = seconds(&db);
        drop(db);
        disk.restart(Loss::Nothing);
        let db = open(&disk);
        assert_eq!((seconds(&db), corruptions(&db)), (shown, 0), "{name}");
    }
}

/// A real directory with samples of 150 seconds: two minutes in blocks.
fn real() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let db = open_on(Arc::new(RealDisk), dir.path());
    append(&db, 0, 150);
    assert!(!db.blocks().is_empty());
    dir
}

/// Puts something in the place of a file or directory.
type Spoil = fn(&Path);

#[test]
fn what_is_of_the_wrong_kind() {
    let file: Spoil = |path| {
        if path.is_dir() {
            std::fs::remove_dir_all(path).unwrap();
        }
        std::fs::write(path, b"x").unwrap();
    };
    let directory: Spoil = |path| {
        let _ = std::fs::remove_file(path);
        std::fs::create_dir_all(path.join("x")).unwrap();
    };
    let link: Spoil = |path| {
        let _ = std::fs::remove_file(path);
        std::os::unix::fs::symlink(path, path).unwrap(); // to itself
    };
    for (name, spoil) in [
        ("wal", file),
        ("wbl", file),
        ("chunks_head", file),
        ("head_refs.json", directory),
        ("head_refs.json", link),
        ("lock", directory),
        ("wal/00000900", directory),
        ("wal/checkpoint.00000900", file),
        ("wbl/00000000", directory),
        ("chunks_head/000001", directory),
    ] {
        let dir = real();
        let path = dir.path().join(name);
        spoil(&path);
        let db = open_on(Arc::new(RealDisk), dir.path());
        let from_blocks = db.blocks().iter().map(|b| b.max_time).max().unwrap();
        let shown = seconds(&db);
        let lost: Vec<i64> = (0..150).filter(|s| !shown.contains(s)).collect();
        if name == "wal" {
            assert!(lost.iter().all(|s| START + s * 1000 >= from_blocks), "{name}: {lost:?}");
        } else {
            assert!(lost.is_empty(), "{name}: {lost:?}");
        }
        let counted = corruptions(&db) + db.metrics().head_chunk_corruptions.load(SeqCst);
        let is_counted = name.starts_with("w") || name == "chunks_head";
        assert_eq!(counted > 0, is_counted, "{name}: {counted}");
        let aside = PathBuf::from(format!("{}.corrupt", path.display()));
        let is_aside = std::fs::symlink_metadata(&aside).is_ok();
        assert_eq!(is_aside, name != "chunks_head/000001", "{name}");
        append(&db, 150, 200);
        let shown = seconds(&db);
        assert!(shown.ends_with(&(150..200).collect::<Vec<_>>()), "{name}");
        drop(db);
        let db = open_on(Arc::new(RealDisk), dir.path());
        assert_eq!((seconds(&db), corruptions(&db)), (shown, 0), "{name}");
    }
}

/// Ways to put something at a path that is neither a file nor a directory: reading from some of them would never end.
fn hostile() -> [(&'static str, Spoil); 5] {
    fn link(to: &str, path: &Path) {
        std::os::unix::fs::symlink(to, path).unwrap();
    }
    [
        ("a pipe", |path| {
            let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR);
            rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
        }),
        ("a socket", |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
        ("an endless device", |path| link("/dev/zero", path)),
        ("a link that leads nowhere", |path| link("/nowhere/at/all", path)),
        ("a link to itself", |path| link(path.to_str().unwrap(), path)),
    ]
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in RealDisk.list(from).unwrap() {
        let (from, to) = (from.join(&entry.name), to.join(&entry.name));
        if entry.is_dir {
            copy(&from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

/// Paths of a directory that [`real`] filled: of the log, of what the head has beside it, of a block.
fn places(dir: &Path) -> Vec<String> {
    let log = segments(&RealDisk, dir);
    let listed = |of: &Path| RealDisk.list(of).unwrap().into_iter().map(|e| e.name);
    let checkpoint = listed(&dir.join("wal")).find(|name| name.starts_with("checkpoint.")).unwrap();
    let block = listed(dir).find(|name| name.len() == 26).unwrap();
    let mut places = vec![
        format!("wal/{:08}", log[0]),
        format!("wal/{:08}", log[log.len() - 1]),
        format!("wal/{checkpoint}/00000000"),
        format!("wal/{checkpoint}"),
        "chunks_head/000001".to_owned(),
        "chunk_snapshot.000900.0000000000".to_owned(),
        "wbl/00000000".to_owned(),
        block.clone(),
        "01HZZZZZZZZZZZZZZZZZZZZZZZ".to_owned(),
    ];
    let names = ["wal", "wbl", "chunks_head", "head_refs.json", "head_refs.json.tmp", "lock"];
    places.extend(names.map(str::to_owned));
    let files = ["index", "meta.json", "chunks", "chunks/000001", "tombstones", "meta.json.tmp"];
    places.extend(files.map(|file| format!("{block}/{file}")));
    places
}

#[test]
fn what_is_neither_a_file_nor_a_directory_is_set_aside_and_never_waited_for() {
    let whole = real();
    let places = places(whole.path());
    for (kind, put) in hostile() {
        for name in &places {
            let dir = tempfile::tempdir().unwrap();
            copy(whole.path(), dir.path());
            let path = dir.path().join(name);
            let _ = std::fs::remove_dir_all(&path).or_else(|_| std::fs::remove_file(&path));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            put(&path);
            let db = open_on(Arc::new(RealDisk), dir.path());
            let metrics = db.metrics();
            let counted = corruptions(&db)
                + metrics.head_chunk_corruptions.load(SeqCst)
                + metrics.blocks_damaged.load(SeqCst)
                + metrics.snapshots_failed.load(SeqCst);
            let is_uncounted =
                ["lock", "head_refs.json"].contains(&name.as_str()) || name.ends_with("meta.json.tmp");
            assert!(counted > 0 || is_uncounted, "{kind} as {name} is not counted");
            append(&db, 150, 181);
            let shown = seconds(&db);
            assert!(shown.ends_with(&all(181)[150..]), "{kind} as {name}: {shown:?}");
            drop(db);
            let db = open_on(Arc::new(RealDisk), dir.path());
            assert_eq!(seconds(&db), shown, "{kind} as {name}");
        }
    }
}

#[test]
fn only_a_directory_that_cannot_be_used_stops_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, b"x").unwrap();
    let open = |dir: &Path| Db::open(dir, options(), ManualClock::at(START)).map(drop);
    let error = open(&file).unwrap_err().to_string();
    assert!(error.contains(&file.display().to_string()), "{error}");
    let held = Db::open(&dir.path().join("held"), options(), ManualClock::at(START)).unwrap();
    let error = open(&dir.path().join("held")).unwrap_err().to_string();
    assert!(error.contains("held") && error.contains("another process"), "{error}");
    // by whatever way it was taken
    std::fs::remove_file(dir.path().join("held/lock")).unwrap();
    assert!(open(&dir.path().join("held")).is_err());
    drop(held);
    open(&dir.path().join("held")).unwrap();
}

#[test]
fn segments_that_are_missing() {
    // 45 seconds: no checkpoint; 150: one
    for to in [45, 150] {
        let there = {
            let disk = filled(to);
            segments(&disk, Path::new(DIR))
        };
        assert!(there.len() >= 3, "{there:?}");
        let (first, last) = (there[0], there[there.len() - 1]);
        for gone in [vec![first], vec![last], vec![first + 1], there.clone()] {
            let disk = filled(to);
            let db = open(&disk);
            db.sync().unwrap(); // now that the run after it knows as well what there was
            drop(db);
            disk.restart(Loss::Nothing);
            let newest = *segments(&disk, Path::new(DIR)).last().unwrap();
            assert_eq!(newest, last + 1);
            gone.iter().for_each(|s| disk.remove_file(&segment(*s)).unwrap());
            if gone.len() > 1 {
                disk.remove_file(&segment(newest)).unwrap();
            }
            let db = open(&disk);
            assert!(corruptions(&db) > 0, "{to} seconds: nobody misses {gone:?}");
            let shown = seconds(&db);
            append(&db, to, to + 20);
            drop(db);
            disk.restart(Loss::Nothing);
            let db = open(&disk);
            assert_eq!(corruptions(&db), 0, "said once");
            assert_eq!(seconds(&db), shown.into_iter().chain(to..to + 20).collect::<Vec<_>>(), "{gone:?}");
        }
        // the directory as a whole
        let disk = filled(to);
        disk.remove_dir_all(&Path::new(DIR).join("wal")).unwrap();
        let db = open(&disk);
        assert_eq!(corruptions(&db), 1);
        let kept = disk.exists(&Path::new(DIR).join("chunks_head.unread"));
        assert!(kept || to < 60, "what else has samples is kept, once there are head chunk files");
    }
}

#[test]
fn a_checkpoint_alone_is_not_hidden_by_what_comes() {
    let disk = filled(150);
    for segment in segments(&disk, Path::new(DIR)) {
        disk.remove_file(&self::segment(segment)).unwrap();
    }
    let db = open(&disk);
    let shown = seconds(&db);
    append(&db, 150, 160);
    drop(db);
    disk.restart(Loss::Nothing);
    let db = open(&disk);
    assert_eq!(seconds(&db), shown.into_iter().chain(150..160).collect::<Vec<_>>());
}

#[test]
fn damaged_tombstones_cost_the_deletions_only() {
    for unreadable in [false, true] {
        let disk = filled(150);
        let db = open(&disk);
        let block = Path::new(DIR).join(db.blocks()[0].ulid.to_string());
        let ulid = db.blocks()[0].ulid;
        db.delete(&[Matcher::equal("__name__", "m")], START, START + 9999).unwrap();
        assert_eq!(seconds(&db).first(), Some(&10));
        drop(db);
        disk.restart(Loss::Nothing);
        let path = block.join("tombstones");
        let mut bytes = disk.read(&path).unwrap();
        if unreadable {
            disk.set_unreadable(&path);
        } else {
            assert!(disk.damage(&path, |content| content[9] ^= 1));
            bytes[9] ^= 1;
        }
        let db = open(&disk);
        assert_eq!(db.blocks()[0].ulid, ulid, "the block is there");
        assert_eq!(seconds(&db), all(150), "and all that was in it");
        assert_eq!(db.metrics().blocks_damaged.load(SeqCst), 1);
        let aside = PathBuf::from(format!("{}.tombstones.corrupt", block.display()));
        assert_eq!(disk.read(&aside).unwrap(), bytes, "kept as they were");
        db.delete(&[Matcher::equal("__name__", "m")], START, START + 9999).unwrap();
        assert_eq!(seconds(&db).first(), Some(&10), "deleted anew");
        db.clean_tombstones().unwrap();
        drop(db);
        disk.restart(Loss::Nothing);
        let db = open(&disk);
        assert_eq!((seconds(&db).first(), db.metrics().blocks_damaged.load(SeqCst)), (Some(&10), 0));
        assert!(disk.exists(&aside), "they stay when the block is written anew");
    }
}
