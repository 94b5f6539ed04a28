//! A whole database that finds any bytes in one of its files: it starts, takes samples, and starts again with them.

use std::path::Path;
use std::sync::Arc;

use model::{Labels, MatchOp, Matcher};
use testkit::{Loss, ManualClock, SimDisk};
use tsdb::disk::Disk;
use tsdb::{Db, Options};

use super::wal;

const DIR: &str = "/data";
const NOW: i64 = 1_700_000_000_000;

fn open(disk: &SimDisk) -> Arc<Db> {
    let options = Options { background: false, wal_segment_size: 64 << 10, ..Options::default() };
    let db = Db::open_on(Arc::new(disk.clone()), Path::new(DIR), options, ManualClock::at(NOW));
    let db = db.expect("damage does not stop the start");
    db.replay();
    db
}

/// All samples of a series can be read, or an error says why not.
fn value(db: &Db, labels: &Labels, t: i64) -> Option<f64> {
    let matcher = Matcher::new(MatchOp::Regex, "__name__", ".+").expect("a matcher");
    let entries = db.querier().select(&[matcher], i64::MIN + 1, i64::MAX - 1).expect("the head can be read");
    let mut found = None;
    for entry in entries {
        // the log may hold native histograms too
        let mut all = tsdb::Samples::default();
        entry.read_columns(i64::MIN + 1, i64::MAX - 1, &mut all).expect("the head can be read");
        if entry.labels() == labels {
            found = all.ts.iter().position(|&at| at == t).map(|i| all.vs[i]);
        }
    }
    found
}

fn starts_with(path: &str, data: &[u8]) {
    let disk = SimDisk::new(1);
    let path = Path::new(DIR).join(path);
    disk.create_dir_all(path.parent().expect("a directory")).expect("a directory");
    disk.create(&path).and_then(|mut f| f.write(data)).expect("a file");
    let labels = Labels::from_pairs([("__name__", "fuzz"), ("new", "yes")]);
    let db = open(&disk);
    let mut appender = db.appender();
    // the log may hold samples of the far future, before which nothing is taken
    let taken = appender.append(0, &labels, NOW, 4.5).is_ok();
    appender.commit().expect("room");
    drop(db);
    disk.restart(Loss::Nothing);
    let db = open(&disk);
    if taken {
        assert_eq!(value(&db, &labels, NOW), Some(4.5), "what was acknowledged is lost");
    }
}

/// Any bytes as `head_refs.json`.
pub fn head_refs(data: &[u8]) {
    starts_with("head_refs.json", data);
}

/// A file as it is written.
pub fn head_refs_seeds() -> Vec<Vec<u8>> {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new(DIR)).expect("a directory");
    drop(open(&disk));
    vec![disk.read(&Path::new(DIR).join("head_refs.json")).expect("a file")]
}

/// Any bytes as a segment of the log.
pub fn replay(data: &[u8]) {
    starts_with("wal/00000000", data);
}

/// The same as for the log alone.
pub fn replay_seeds() -> Vec<Vec<u8>> {
    wal::pages_seeds()
}

/// Where a database that ended well leaves its snapshot of the memory.
const SNAPSHOT: &str = "/data/chunk_snapshot.000001.0000000000/00000000";

/// A database with a sample that ended well, and left a snapshot of its memory.
fn with_snapshot(labels: &Labels) -> SimDisk {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new(DIR)).expect("a directory");
    let options = Options { background: false, memory_snapshot: true, ..Options::default() };
    let db = Db::open_on(Arc::new(disk.clone()), Path::new(DIR), options, ManualClock::at(NOW));
    let db = db.expect("an empty directory");
    db.replay();
    let mut appender = db.appender();
    appender.append(0, labels, NOW, 4.5).expect("the first sample");
    appender.commit().expect("room");
    db.close().expect("room");
    drop(db);
    disk.restart(Loss::Nothing);
    disk
}

/// Any bytes as a snapshot of the memory. What is well formed is believed; where it is not, the log has everything.
pub fn memory_snapshot(data: &[u8]) {
    let labels = Labels::from_pairs([("__name__", "fuzz"), ("new", "yes")]);
    let disk = with_snapshot(&labels);
    disk.create(Path::new(SNAPSHOT)).and_then(|mut f| f.write(data)).expect("a file");
    let db = open(&disk);
    let is_used = db.metrics().snapshots_used.load(std::sync::atomic::Ordering::SeqCst) > 0;
    let found = value(&db, &labels, NOW);
    assert!(is_used || found == Some(4.5), "what was acknowledged is lost");
    drop(db);
    // it is used once: now the log counts
    disk.restart(Loss::Nothing);
    let _ = value(&open(&disk), &labels, NOW);
}

/// A snapshot as it is written.
pub fn memory_snapshot_seeds() -> Vec<Vec<u8>> {
    let disk = with_snapshot(&Labels::from_pairs([("__name__", "fuzz"), ("new", "yes")]));
    vec![disk.read(Path::new(SNAPSHOT)).expect("a snapshot")]
}

/// How late a sample may be.
const WINDOW: i64 = 3_600_000;

fn open_with_window(disk: &SimDisk) -> Arc<Db> {
    let options = Options { background: false, out_of_order_window_ms: WINDOW, ..Options::default() };
    let db = Db::open_on(Arc::new(disk.clone()), Path::new(DIR), options, ManualClock::at(NOW));
    let db = db.expect("damage does not stop the start");
    db.replay();
    db
}

/// A database with a sample of each of two series in order, and these out of order; its process has ended.
fn with_late_samples(times: &[i64]) -> SimDisk {
    let disk = SimDisk::new(1);
    disk.create_dir_all(Path::new(DIR)).expect("a directory");
    let db = open_with_window(&disk);
    for t in std::iter::once(&NOW).chain(times) {
        let mut appender = db.appender();
        for (name, floats) in [("fuzz", true), ("fuzz_histogram", false)] {
            let labels = Labels::from_pairs([("__name__", name), ("new", "yes")]);
            let done = match floats {
                true => appender.append(0, &labels, *t, 4.5),
                false => appender.append_histogram(0, &labels, *t, &super::chunk::some_histogram(3, false)),
            };
            done.expect("within the window");
        }
        appender.commit().expect("room");
    }
    drop(db);
    disk.restart(Loss::Nothing);
    disk
}

/// Any bytes as a segment of the log of late samples: what came in order stays.
pub fn late(data: &[u8]) {
    let disk = with_late_samples(&[]);
    let path = Path::new(DIR).join("wbl/00000000");
    disk.create_dir_all(&Path::new(DIR).join("wbl")).expect("a directory");
    disk.create(&path).and_then(|mut f| f.write(data)).expect("a file");
    let db = open_with_window(&disk);
    let labels = Labels::from_pairs([("__name__", "fuzz"), ("new", "yes")]);
    let all = [Matcher::new(MatchOp::Regex, "__name__", ".+").expect("a matcher")];
    let entries = db.querier().select(&all, i64::MIN + 1, i64::MAX - 1).expect("the head can be read");
    let mut found = None;
    for entry in entries {
        let mut samples = tsdb::Samples::default();
        entry.read_columns(i64::MIN + 1, i64::MAX - 1, &mut samples).expect("the head can be read");
        assert!(samples.ts.windows(2).all(|w| w[0] < w[1]), "{:?}", samples.ts);
        if *entry.labels() == labels {
            found = samples.ts.iter().position(|&at| at == NOW).map(|i| samples.vs[i]);
        }
    }
    assert_eq!(found, Some(4.5), "what came in order is lost");
    // into blocks with it, and on
    db.maintain().expect("room");
}

/// A segment as it is written.
pub fn late_seeds() -> Vec<Vec<u8>> {
    let times: Vec<i64> = (1..40).map(|i| NOW - i * 37_000 % WINDOW).collect();
    let disk = with_late_samples(&times);
    vec![disk.read(&Path::new(DIR).join("wbl/00000000")).expect("a segment")]
}
