//! What the database promises: whole commits, survival of kills, damage and full disks, one process a directory.
#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::io::{self, BufRead, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use model::{Labels, Matcher};
use runtime::clock::ManualClock;
use tsdb::disk::{self, Disk, Entry, File, Lock, Mapped, RealDisk, Syncer};
use tsdb::{AppendError, Db, Error, Options};

const START: i64 = 1_700_000_000_000;

fn open(dir: &Path) -> Arc<Db> {
    Db::open(dir, Options::default(), ManualClock::at(START)).unwrap()
}

fn replayed(dir: &Path) -> Arc<Db> {
    let db = open(dir);
    wait(&db);
    db
}

fn wait(db: &Db) {
    while !db.replay_status().done {
        std::thread::yield_now();
    }
}

fn series(i: usize) -> Labels {
    Labels::from_pairs([("__name__", "m".to_owned()), ("i", format!("{i:03}"))])
}

/// Commits the same value to `count` series.
fn commit(db: &Db, count: usize, t: i64, v: f64) -> Result<(), AppendError> {
    let mut appender = db.appender();
    for i in 0..count {
        appender.append(0, &series(i), t, v)?;
    }
    appender.commit()
}

/// All samples, by series.
fn all(db: &Db) -> Vec<(Labels, Vec<(i64, f64)>)> {
    let entries = db.querier().select(&[Matcher::equal("__name__", "m")], i64::MIN, i64::MAX).unwrap();
    let read = |entry: &tsdb::SeriesEntry| {
        let (mut ts, mut vs) = (Vec::new(), Vec::new());
        entry.read(i64::MIN, i64::MAX, &mut ts, &mut vs).unwrap();
        (entry.labels().clone(), ts.into_iter().zip(vs).collect())
    };
    entries.iter().map(read).collect()
}

#[test]
fn a_querier_sees_whole_commits_and_the_same_ones_each_time() {
    const SERIES: usize = 40;
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    commit(&db, SERIES, START, 0.0).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // beyond a chunk, so that cuts are hidden too
            for k in 1..400 {
                commit(&db, SERIES, START + k, k as f64).unwrap();
            }
            done.store(true, SeqCst);
        });
        let mut seen = 0;
        while !done.load(SeqCst) {
            let querier = db.querier();
            let mut newest = Vec::new();
            for _ in 0..3 {
                for entry in querier.select(&[Matcher::equal("__name__", "m")], START, i64::MAX).unwrap() {
                    let (mut ts, mut vs) = (Vec::new(), Vec::new());
                    entry.read(START, i64::MAX, &mut ts, &mut vs).unwrap();
                    assert_eq!(ts.len(), 1 + *vs.last().unwrap() as usize);
                    newest.push(ts.len());
                }
            }
            assert_eq!(newest.len(), 3 * SERIES);
            assert!(newest.iter().all(|n| *n == newest[0]), "{newest:?}");
            assert!(newest[0] >= seen, "went back from {seen} to {}", newest[0]);
            seen = newest[0];
        }
    });
    assert!(all(&db).iter().all(|(_, samples)| samples.len() == 400));
}

#[test]
fn a_rolled_back_batch_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let mut appender = db.appender();
    appender.append(0, &series(1), START, 1.0).unwrap();
    appender.rollback();
    assert_eq!(all(&db), []);
    commit(&db, 1, START, 2.0).unwrap();
    assert_eq!(all(&db), [(series(0), vec![(START, 2.0)])]);
}

#[test]
fn refusals() {
    let dir = tempfile::tempdir().unwrap();
    let db = replayed(dir.path());
    commit(&db, 1, START, 1.0).unwrap();
    let mut appender = db.appender();
    assert_eq!(appender.append(0, &series(0), START - 1, 1.0), Err(AppendError::OutOfOrder));
    assert_eq!(appender.append(0, &series(0), START, 2.0), Err(AppendError::Duplicate));
    assert!(appender.append(0, &series(0), START, 1.0).is_ok());
    assert_eq!(appender.append(0, &series(0), START - 3_600_001, 1.0), Err(AppendError::OutOfBounds));
    let empty = appender.append(0, &Labels::empty(), START, 1.0);
    assert_eq!(empty, Err(AppendError::InvalidLabels("empty labelset".to_owned())));
    appender.commit().unwrap();
    let metrics = db.metrics();
    let counts = [&metrics.out_of_order, &metrics.duplicates, &metrics.out_of_bounds].map(|c| c.load(SeqCst));
    assert_eq!(counts, [1, 1, 1]);
}

#[test]
fn samples_are_taken_while_the_old_log_is_replayed() {
    const SERIES: usize = 300;
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    for k in 0..300 {
        commit(&db, SERIES, START + k, k as f64).unwrap();
    }
    drop(db);
    for round in 0..4 {
        let db = open(dir.path());
        commit(&db, SERIES, START + 1000 + round, 1.0).unwrap(); // not waited for: often killed within the replay
        let warned = !db.querier().warnings().is_empty();
        assert!(!warned, "nothing was asked yet");
    }
    let db = replayed(dir.path());
    for (labels, samples) in all(&db) {
        let times: Vec<i64> = samples.iter().map(|s| s.0 - START).collect();
        assert_eq!(times, (0..300).chain(1000..1004).collect::<Vec<_>>(), "{labels}");
    }
    assert_eq!(db.stats(1).num_series, SERIES as u64);
    assert_eq!(db.metrics().wal_corruptions.load(SeqCst), 0);
}

#[test]
fn damage_costs_what_is_damaged_and_is_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    for k in 0..2000 {
        let mut appender = db.appender();
        // no two values alike: snappy must not make the log small
        appender.append(0, &series(0), START + k, (k as f64).sqrt()).unwrap();
        appender.commit().unwrap();
    }
    drop(db);
    let second = replayed(dir.path());
    commit(&second, 1, START + 5000, 5.0).unwrap();
    drop(second);
    let segment = dir.path().join("wal/00000000");
    let mut bytes = std::fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 8].iter_mut().for_each(|b| *b = !*b);
    std::fs::write(&segment, &bytes).unwrap();
    for round in 0..4 {
        match round {
            // as a crash leaves it before the good part has taken the segment's place
            2 => std::fs::rename(&segment, dir.path().join("wal/00000000.tmp")).unwrap(),
            // and one before the damaged segment has its new name
            3 => std::fs::write(dir.path().join("wal/00000000.tmp"), "half").unwrap(),
            _ => {}
        }
        let db = replayed(dir.path());
        assert!(!dir.path().join("wal/00000000.tmp").exists(), "round {round}");
        let (_, samples) = all(&db).remove(0);
        let before = samples.iter().filter(|s| s.0 < START + 5000).count();
        assert!((500..1500).contains(&before), "{before} samples before the damage");
        assert!(
            samples.iter().zip(0..before as i64).all(|(s, k)| s.0 == START + k),
            "a gap before the damage"
        );
        assert_eq!(db.metrics().wal_corruptions.load(SeqCst), u64::from(round == 0));
        assert!(samples.iter().any(|s| s.0 == START + 5000), "what stands behind the damage");
    }
    let aside = std::fs::read(dir.path().join("wal/00000000.corrupt")).unwrap();
    assert_eq!(aside, bytes, "the damaged segment is kept as it was");
}

#[test]
fn one_process_a_directory() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let second = Db::open(dir.path(), Options::default(), ManualClock::at(START));
    assert!(matches!(second, Err(Error::Locked { .. })));
    drop(db);
    open(dir.path()).close().unwrap();
}

/// A disk that can be full.
#[derive(Debug, Default)]
struct Limited {
    real: RealDisk,
    full: Arc<AtomicBool>,
}

#[derive(Debug)]
struct LimitedFile(Box<dyn File>, Arc<AtomicBool>);

fn full() -> disk::Error {
    disk::Error::new("write", Path::new("/full"), io::Error::from(io::ErrorKind::StorageFull))
}

impl File for LimitedFile {
    fn write(&mut self, bytes: &[u8]) -> Result<(), disk::Error> {
        if self.1.load(SeqCst) { Err(full()) } else { self.0.write(bytes) }
    }
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), disk::Error> {
        if self.1.load(SeqCst) { Err(full()) } else { self.0.write_at(offset, bytes) }
    }
    fn truncate(&mut self, len: u64) -> Result<(), disk::Error> {
        self.0.truncate(len)
    }
    fn sync(&self) -> Result<(), disk::Error> {
        self.0.sync()
    }
    fn syncer(&self) -> Arc<dyn Syncer> {
        self.0.syncer()
    }
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl Disk for Limited {
    fn create(&self, path: &Path) -> Result<Box<dyn File>, disk::Error> {
        if self.full.load(SeqCst) {
            return Err(full());
        }
        Ok(Box::new(LimitedFile(self.real.create(path)?, self.full.clone())))
    }
    fn append(&self, path: &Path) -> Result<Box<dyn File>, disk::Error> {
        Ok(Box::new(LimitedFile(self.real.append(path)?, self.full.clone())))
    }
    fn read(&self, path: &Path) -> Result<Vec<u8>, disk::Error> {
        self.real.read(path)
    }
    fn reader(&self, path: &Path) -> Result<Box<dyn Read + Send>, disk::Error> {
        self.real.reader(path)
    }
    fn map(&self, path: &Path) -> Result<Mapped, disk::Error> {
        self.real.map(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> Result<(), disk::Error> {
        self.real.rename(from, to)
    }
    fn remove_file(&self, path: &Path) -> Result<(), disk::Error> {
        self.real.remove_file(path)
    }
    fn remove_dir_all(&self, path: &Path) -> Result<(), disk::Error> {
        self.real.remove_dir_all(path)
    }
    fn create_dir_all(&self, path: &Path) -> Result<(), disk::Error> {
        self.real.create_dir_all(path)
    }
    fn list(&self, dir: &Path) -> Result<Vec<Entry>, disk::Error> {
        self.real.list(dir)
    }
    fn sync_dir(&self, dir: &Path) -> Result<(), disk::Error> {
        self.real.sync_dir(dir)
    }
    fn hard_link(&self, from: &Path, to: &Path) -> Result<(), disk::Error> {
        self.real.hard_link(from, to)
    }
    fn exists(&self, path: &Path) -> bool {
        self.real.exists(path)
    }
    fn lock(&self, path: &Path) -> Result<Option<Box<dyn Lock>>, disk::Error> {
        self.real.lock(path)
    }
}

#[test]
fn a_full_disk_refuses_commits_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Limited::default();
    let switch = disk.full.clone();
    let options = Options { samples_per_chunk: 4, min_block_duration_ms: 1000, ..Options::default() };
    let db = Db::open_on(Arc::new(disk), dir.path(), options, ManualClock::at(START)).unwrap();
    wait(&db);
    for k in 0..20 {
        commit(&db, 3, START + k * 10, k as f64).unwrap();
    }
    switch.store(true, SeqCst);
    let refused = commit(&db, 3, START + 300, 9.0);
    assert!(
        matches!(&refused, Err(AppendError::Storage(why)) if why.contains("cannot write")),
        "{refused:?}"
    );
    assert!(db.maintain().is_err() || db.sizes().head_chunk_bytes > 0);
    assert!(
        all(&db).iter().all(|(_, samples)| samples.len() == 20),
        "shown, all before, none of the refused"
    );
    switch.store(false, SeqCst);
    for k in 0..20 {
        commit(&db, 3, START + 400 + k * 100, 1.0).unwrap();
        db.maintain().unwrap();
    }
    assert!(!db.blocks().is_empty(), "two seconds of one-second blocks");
    let before = all(&db);
    assert!(before.iter().all(|(_, samples)| samples.len() == 40));
    drop(db);
    assert_eq!(all(&replayed(dir.path())), before);
}

const CHILD_DIR: &str = "TSDB_TEST_CHILD_DIR";
const CHILD_SERIES: usize = 25;

/// Not a test by itself: the process that the next test kills.
#[test]
fn child_that_commits_until_it_is_killed() {
    let Ok(dir) = std::env::var(CHILD_DIR) else { return };
    let db = open(Path::new(&dir));
    let mut k = 0;
    loop {
        commit(&db, CHILD_SERIES, START + k, k as f64).unwrap();
        assert_eq!(all(&db)[0].1.last(), Some(&(START + k, k as f64)), "shown");
        println!("committed {k}");
        k += 1;
    }
}

#[test]
fn a_killed_process_loses_nothing_that_was_shown() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child_that_commits_until_it_is_killed", "--exact", "--nocapture"])
        .env(CHILD_DIR, dir.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = io::BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let last = lines.filter_map(|l| l.split_once("committed ")?.1.parse::<i64>().ok()).take(150).last();
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    assert_eq!(last, Some(149));
    let found = all(&replayed(dir.path()));
    assert_eq!(found.len(), CHILD_SERIES);
    for (labels, samples) in &found {
        assert!(samples.len() >= 150, "{labels}: {} samples", samples.len());
        assert_eq!(samples.len(), found[0].1.len(), "{labels}: a commit in part");
        assert!(samples.iter().zip(0..).all(|(s, k)| *s == (START + k, k as f64)), "{labels}");
    }
}

#[test]
fn cardinality() {
    let dir = tempfile::tempdir().unwrap();
    let db = replayed(dir.path());
    commit(&db, 5, START, 1.0).unwrap();
    let mut appender = db.appender();
    appender.append(0, &Labels::from_pairs([("__name__", "other")]), START + 7, 1.0).unwrap();
    appender.commit().unwrap();
    let stats = db.stats(1);
    assert_eq!((stats.num_series, stats.num_label_pairs, stats.chunk_count), (6, 7, 6));
    assert_eq!((stats.min_time, stats.max_time), (START, START + 7));
    assert_eq!(
        (stats.series_count_by_metric_name[0].name.as_str(), stats.series_count_by_metric_name[0].value),
        ("m", 5)
    );
    assert_eq!(stats.label_value_count_by_label_name[0].name, "i");
    assert_eq!(stats.series_count_by_label_value_pair[0].name, "__name__=m");
    assert_eq!(stats.memory_in_bytes_by_label_name[0].value, 5 * (9 + 2) + 9 + 6);
    let querier = db.querier();
    assert_eq!(querier.label_names(&[], START, START, 0).unwrap(), ["__name__", "i"]);
    assert_eq!(querier.label_values("i", &[], START, START, 2).unwrap(), ["000", "001"]);
    let other = [Matcher::equal("__name__", "other")];
    assert_eq!(querier.label_names(&other, START, START + 9, 0).unwrap(), ["__name__"]);
    assert_eq!(querier.series(&other, START, START).unwrap(), [], "its only sample is later");
}

#[test]
fn asking_for_sizes_while_series_are_made_waits_for_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let db = replayed(dir.path());
    let (done, finished) = std::sync::mpsc::sync_channel(2);
    let making = Arc::new(AtomicBool::new(true));
    let (maker, asked) = (db.clone(), making.clone());
    let ended = done.clone();
    std::thread::spawn(move || {
        for round in 0..200 {
            let mut appender = maker.appender();
            for i in 0..50 {
                let labels =
                    Labels::from_pairs([("__name__", "m".to_owned()), ("i", format!("{round}-{i}"))]);
                appender.append(0, &labels, START, 1.0).unwrap();
            }
            appender.commit().unwrap();
        }
        asked.store(false, SeqCst);
        ended.send(()).unwrap();
    });
    std::thread::spawn(move || {
        while making.load(SeqCst) {
            db.sizes();
            db.stats(10);
        }
        done.send(()).unwrap();
    });
    for _ in 0..2 {
        finished.recv_timeout(std::time::Duration::from_secs(60)).expect("two that wait for each other");
    }
}

#[test]
fn series_that_ended_leave_the_head_within_minutes() {
    const MINUTE: i64 = 60_000;
    let dir = tempfile::tempdir().unwrap();
    let db = replayed(dir.path());
    let bits = |db: &Db| -> Vec<(Labels, Vec<(i64, u64)>)> {
        let with_bits = |(t, v): (i64, f64)| (t, v.to_bits());
        all(db).into_iter().map(|(l, s)| (l, s.into_iter().map(with_bits).collect())).collect()
    };
    for k in 0..150 {
        commit(&db, 100, START + k * 1000, k as f64).unwrap();
    }
    // the last 60 end
    let mut appender = db.appender();
    for i in 40..100 {
        appender.append(0, &series(i), START + 150_000, model::STALE_NAN).unwrap();
    }
    appender.commit().unwrap();
    let known = bits(&db);
    db.maintain().unwrap();
    assert_eq!((db.sizes().head_series, db.blocks().len()), (100, 0), "too early");
    commit(&db, 40, START + 6 * MINUTE, 1.0).unwrap();
    db.maintain().unwrap();
    assert_eq!((db.sizes().head_series, db.blocks().len()), (40, 1));
    assert_eq!(db.blocks()[0].compaction.hints, ["from-stale-series"]);
    assert_eq!(bits(&db)[40..], known[40..]);

    // killed and started again: the log does not bring them back for long, and nothing is taken twice
    drop(db);
    let db = replayed(dir.path());
    assert_eq!(bits(&db)[40..], known[40..]);
    commit(&db, 40, START + 7 * MINUTE, 1.0).unwrap();
    db.maintain().unwrap();
    assert_eq!((db.sizes().head_series, db.blocks().len()), (40, 1));
    let samples: Vec<usize> = all(&db).iter().map(|(_, s)| s.len()).collect();
    assert_eq!((&samples[..40], &samples[40..]), (&[152; 40][..], &[151; 60][..]));

    // one of them goes on
    commit(&db, 41, START + 8 * MINUTE, 2.0).unwrap();
    assert_eq!((db.sizes().head_series, all(&db)[40].1.len()), (41, 152));
    assert_eq!(db.metrics().wal_unknown_samples.load(std::sync::atomic::Ordering::Relaxed), 0);
}
