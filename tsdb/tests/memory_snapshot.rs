//! Snapshots of the memory: written at a clean end, read in the place of the log, and left alone where they cannot be trusted.
#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use model::{Labels, MatchOp, Matcher, Value};
use testkit::{Loss, ManualClock, SimDisk};
use tsdb::disk::Disk;
use tsdb::{Db, Exemplar, Options, Samples};

const DIR: &str = "/data";
const NOW: i64 = 1_700_000_000_000;

fn options() -> Options {
    Options {
        background: false,
        memory_snapshot: true,
        samples_per_chunk: 4,
        out_of_order_window_ms: 3_600_000,
        exemplar_limit: 10,
        ..Options::default()
    }
}

fn open_with(disk: &SimDisk, options: Options) -> Arc<Db> {
    let db = Db::open_on(Arc::new(disk.clone()), Path::new(DIR), options, ManualClock::at(NOW)).unwrap();
    db.replay();
    db
}

fn open(disk: &SimDisk) -> Arc<Db> {
    open_with(disk, options())
}

fn end(db: Arc<Db>, disk: &SimDisk) {
    db.close().unwrap();
    drop(db);
    disk.restart(Loss::Unsynced);
}

fn append(db: &Db, times: impl IntoIterator<Item = i64>) {
    for t in times {
        let mut appender = db.appender();
        for i in 0..5 {
            let labels = Labels::from_pairs([("__name__", "m".to_owned()), ("i", i.to_string())]);
            let reference = appender.append(0, &labels, NOW + t, (t * i) as f64).unwrap();
            let trace = Labels::from_pairs([("trace_id", t.to_string())]);
            let exemplar = Exemplar { labels: trace, t: NOW + t, v: t as f64 };
            if i == 0 {
                let _ = appender.append_exemplar(reference, &labels, &exemplar); // an older one is refused
            }
        }
        appender.commit().unwrap();
    }
}

type Shown = BTreeMap<String, BTreeMap<i64, Value>>;

fn shown(db: &Db) -> Shown {
    let all = [Matcher::new(MatchOp::Regex, "__name__", ".+").unwrap()];
    let entries = db.querier().select(&all, i64::MIN + 1, i64::MAX - 1).unwrap();
    let samples = |e: &tsdb::SeriesEntry| {
        let mut samples = Samples::default();
        e.read_columns(i64::MIN + 1, i64::MAX - 1, &mut samples).unwrap();
        assert!(samples.ts.is_sorted_by(|a, b| a < b), "a sample is shown twice");
        samples.iter().collect()
    };
    entries.iter().map(|e| (e.labels().to_string(), samples(e))).collect()
}

fn exemplars(db: &Db) -> Vec<i64> {
    let found = db.exemplars(&[vec![Matcher::equal("__name__", "m")]], i64::MIN, i64::MAX);
    found.iter().flat_map(|(_, all)| all).map(|e| e.t - NOW).collect()
}

fn counts(db: &Db) -> (u64, u64) {
    (db.metrics().snapshots_used.load(SeqCst), db.metrics().snapshots_failed.load(SeqCst))
}

/// Paths below the directory whose name has a part.
fn files(disk: &SimDisk, part: &str) -> Vec<PathBuf> {
    let all = disk.files(Path::new(DIR)).into_iter().map(|(path, _)| path);
    all.filter(|path| path.to_string_lossy().contains(part)).collect()
}

/// In order, late, deleted, with exemplars; full chunks and growing ones.
fn filled(disk: &SimDisk) -> Shown {
    let db = open(disk);
    append(&db, (0..30).map(|i| i * 1000));
    append(&db, [500, 1500, 2500]);
    let gone = [Matcher::equal("i", "3")];
    db.delete(&gone, NOW + 5000, NOW + 9000).unwrap();
    let before = shown(&db);
    end(db, disk);
    before
}

fn spoil(disk: &SimDisk, part: &str) {
    for path in files(disk, part) {
        assert!(disk.damage(&path, |bytes| bytes.iter_mut().for_each(|b| *b = 0xee)));
    }
}

/// Where no chunk is full yet there is no directory of head chunks either.
#[test]
fn a_single_sample_has_one() {
    let disk = SimDisk::new(1);
    let db = open(&disk);
    append(&db, [1000]);
    let before = shown(&db);
    end(db, &disk);
    assert_eq!(files(&disk, "chunk_snapshot.000001.0000000000/00000000").len(), 1);
    let db = open(&disk);
    assert_eq!(counts(&db), (1, 0));
    assert_eq!(shown(&db), before);
}

#[test]
fn it_is_read_in_the_place_of_the_log() {
    let disk = SimDisk::new(1);
    let before = filled(&disk);
    assert_eq!(files(&disk, "chunk_snapshot.000001.0000000000/00000000").len(), 1);
    // three runs on end, each with the snapshot of the one before
    for run in 1..4 {
        spoil(&disk, "/wal/");
        let db = open(&disk);
        assert_eq!(counts(&db), (1, 0));
        assert_eq!(db.metrics().wal_corruptions.load(SeqCst), 0, "the log before it was read");
        assert_eq!(shown(&db), before);
        assert_eq!(exemplars(&db), (20..30).map(|i| i * 1000).collect::<Vec<_>>());
        assert_eq!(files(&disk, "chunk_snapshot"), Vec::<PathBuf>::new(), "run {run}: it is used once");
        end(db, &disk);
    }
}

#[test]
fn samples_go_on_behind_it() {
    let disk = SimDisk::new(1);
    let mut expected = filled(&disk);
    let mut begin = 30;
    for kill in [false, true, false] {
        let db = open(&disk);
        append(&db, (begin..begin + 7).map(|i| i * 1000));
        begin += 7;
        expected = shown(&db);
        if kill {
            db.sync().unwrap();
            drop(db);
            disk.restart(Loss::Nothing);
        } else {
            end(db, &disk);
        }
    }
    let db = open(&disk);
    assert_eq!(shown(&db), expected);
    assert_eq!(expected.values().map(|s| s.len()).max(), Some(51 + 3));
    // the numbers of all runs are still known where the log is cut
    append(&db, [8_000_000, 12_000_000]);
    db.maintain().unwrap();
    let expected = shown(&db);
    drop(db);
    disk.restart(Loss::Nothing);
    let db = open(&disk);
    assert_eq!(shown(&db), expected);
    assert_eq!(db.metrics().wal_unknown_samples.load(SeqCst), 0);
}

/// A start that is killed leaves a snapshot that does not belong to the head chunk files any more.
#[test]
fn it_is_not_used_after_a_start_that_was_killed() {
    for change in 1.. {
        let disk = SimDisk::new(1);
        let before = filled(&disk);
        disk.crash_at(Some(disk.changes() + change));
        let opened = Db::open_on(Arc::new(disk.clone()), Path::new(DIR), options(), ManualClock::at(NOW));
        if let Ok(db) = opened {
            db.replay();
        }
        let crashed = disk.has_crashed();
        disk.restart(Loss::Suffixes);
        let db = open(&disk);
        assert_eq!(shown(&db), before, "killed within change {change}");
        assert_eq!(files(&disk, "chunk_snapshot"), Vec::<PathBuf>::new());
        if !crashed {
            break;
        }
    }
}

#[test]
fn one_that_cannot_be_trusted_is_left_alone() {
    let cut = |by: usize| move |bytes: &mut Vec<u8>| bytes.truncate(bytes.len().saturating_sub(by));
    let flip = |at: usize| move |bytes: &mut Vec<u8>| bytes[at] ^= 0x10;
    type Change = Box<dyn FnOnce(&mut Vec<u8>)>;
    let cases: Vec<(&str, &str, Change)> = vec![
        ("a flipped bit", "chunk_snapshot.000001.0000000000/00000000", Box::new(flip(100))),
        ("its end is missing", "chunk_snapshot.000001.0000000000/00000000", Box::new(cut(5))),
        ("most of it is missing", "chunk_snapshot.000001.0000000000/00000000", Box::new(|b| b.clear())),
        ("head chunks are damaged", "chunks_head/000001", Box::new(flip(60))),
        ("head chunks are torn", "chunks_head/000001", Box::new(cut(3))),
        ("late samples are damaged", "wbl/00000000", Box::new(flip(40))),
    ];
    for (what, file, change) in cases {
        let disk = SimDisk::new(1);
        let before = filled(&disk);
        assert!(disk.damage(&Path::new(DIR).join(file), change), "{what}");
        let db = open(&disk);
        assert_eq!(counts(&db), (0, 1), "{what}");
        if !file.starts_with("wbl") {
            assert_eq!(shown(&db), before, "{what}");
        }
        let kept =
            files(&disk, ".unread").into_iter().filter(|p| p.to_string_lossy().contains("chunk_snapshot"));
        assert_eq!(kept.count(), 1, "{what}: kept for whoever looks into it");
        assert_eq!(files(&disk, ".taken"), Vec::<PathBuf>::new(), "{what}");
    }
    // without its segment of the log
    let disk = SimDisk::new(1);
    let before = filled(&disk);
    disk.remove_file(&Path::new(DIR).join("wal/00000001")).unwrap();
    let db = open(&disk);
    assert_eq!((counts(&db), shown(&db)), ((0, 1), before));
}

#[test]
fn none_is_written_without_the_option_or_on_a_full_disk() {
    let disk = SimDisk::new(1);
    let before = filled(&disk);
    let db = open_with(&disk, Options { memory_snapshot: false, ..options() });
    assert_eq!((counts(&db), shown(&db)), ((1, 0), before.clone()), "read in any case");
    end(db, &disk);
    assert_eq!(files(&disk, "chunk_snapshot"), Vec::<PathBuf>::new());
    let db = open(&disk);
    assert_eq!((counts(&db), shown(&db)), ((0, 0), before.clone()));
    disk.set_capacity(Some(disk.used() + 200));
    end(db, &disk);
    disk.set_capacity(None);
    assert_eq!(files(&disk, "chunk_snapshot"), Vec::<PathBuf>::new());
    let db = open(&disk);
    assert_eq!((counts(&db), shown(&db)), ((0, 0), before));
}
