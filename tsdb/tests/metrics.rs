//! Counters and durations: each failure counts where a disk is full, and what takes time is timed.
#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

use model::{Labels, Matcher};
use testkit::{Loss, ManualClock, SimDisk};
use tsdb::disk::Disk;
use tsdb::wal::Compression;
use tsdb::{Db, Metrics, Options, Retention};

const DIR: &str = "/data";
const RANGE: i64 = 60_000;
const START: i64 = 1_700_000_000_000 / RANGE * RANGE;
const SERIES: i64 = 50;

fn options() -> Options {
    Options {
        min_block_duration_ms: RANGE,
        max_block_duration_ms: Some(3 * RANGE),
        retention: Retention::default(),
        wal_segment_size: 32 << 10,
        wal_compression: Compression::None,
        samples_per_chunk: 20,
        background: false,
        ..Options::default()
    }
}

fn open(disk: &SimDisk, clock: Arc<ManualClock>) -> Arc<Db> {
    let db = Db::open_on(Arc::new(disk.clone()), Path::new(DIR), options(), clock).unwrap();
    db.replay();
    db
}

fn append(db: &Db, seconds: std::ops::Range<i64>) -> Result<(), tsdb::AppendError> {
    for second in seconds {
        let mut appender = db.appender();
        assert_eq!(db.metrics().active_appenders.load(SeqCst), 1);
        for i in 0..SERIES {
            let labels = Labels::from_pairs([("__name__", "m".to_owned()), ("i", i.to_string())]);
            appender.append(0, &labels, START + second * 1000, second as f64)?;
        }
        appender.commit()?;
    }
    Ok(())
}

type Count = fn(&Metrics) -> &AtomicU64;

const FAILURES: &[(&str, Count)] = &[
    ("writes of the log", |m| &m.wal_writes_failed),
    ("compactions", |m| &m.compactions_failed),
    ("truncations of the log", |m| &m.wal_truncations_failed),
    ("checkpoints", |m| &m.checkpoints_failed),
    ("truncations of the head", |m| &m.head_truncations_failed),
    ("new blocks in the list", |m| &m.reloads_failed),
    ("removals of checkpoints", |m| &m.checkpoint_deletions_failed),
];

fn failures(db: &Db) -> Vec<u64> {
    FAILURES.iter().map(|(_, count)| count(db.metrics()).load(SeqCst)).collect()
}

/// A database with samples of some minutes, a block and a checkpoint.
fn grown(disk: &SimDisk) -> Arc<Db> {
    let db = open(disk, ManualClock::at(START));
    append(&db, 0..150).unwrap();
    db.maintain().unwrap();
    append(&db, 150..230).unwrap();
    assert_eq!(failures(&db), vec![0; FAILURES.len()]);
    db
}

/// Maintains with a fault; says what has failed. Without the fault it goes on, and nothing more fails.
fn maintain_with(disk: &SimDisk, db: &Db, end_fault: impl FnOnce()) -> Vec<bool> {
    let before = failures(db);
    let result = db.maintain();
    let found = failures(db);
    let failed: Vec<bool> = found.iter().zip(&before).map(|(now, before)| now > before).collect();
    assert_eq!(failed[1], result.is_err(), "{found:?} {result:?}");
    assert!(failed[1] || !failed.contains(&true), "{found:?}");
    end_fault();
    db.maintain().unwrap();
    append(db, 400..401).unwrap();
    assert_eq!(failures(db), found, "{} bytes", disk.used());
    failed
}

fn add(sum: &mut [bool], failed: &[bool]) {
    sum.iter_mut().zip(failed).for_each(|(sum, failed)| *sum |= failed);
}

/// A disk that is full at each place of a round of maintenance, one after the other.
#[test]
fn failures_count_on_a_full_disk() {
    let mut sum = [false; FAILURES.len()];
    for room in (0..60_000).step_by(1024) {
        let disk = SimDisk::new(1);
        let db = grown(&disk);
        disk.set_capacity(Some(disk.used()));
        append(&db, 230..231).unwrap_err();
        assert_eq!(failures(&db), [1, 0, 0, 0, 0, 0, 0]);
        sum[0] = true;
        disk.set_capacity(Some(disk.used() + room));
        add(&mut sum, &maintain_with(&disk, &db, || disk.set_capacity(None)));
    }
    for ((what, _), failed) in FAILURES.iter().zip(sum).take(4) {
        assert!(failed, "{what} never failed");
    }
}

/// Each call of a round fails once.
#[test]
fn failures_count_on_a_failing_disk() {
    let disk = SimDisk::new(1);
    let db = grown(&disk);
    let before = disk.calls();
    db.maintain().unwrap();
    let calls = disk.calls() - before;
    let mut sum = [false; FAILURES.len()];
    for call in 1..=calls {
        let disk = SimDisk::new(1);
        let db = grown(&disk);
        disk.fail_at(disk.calls() + call, 1);
        add(
            &mut sum,
            &maintain_with(&disk, &db, || {
                disk.stop_failing();
            }),
        );
    }
    for ((what, _), failed) in FAILURES.iter().zip(sum).skip(1) {
        assert!(failed, "{what} never failed in {calls} calls");
    }
}

#[test]
fn what_takes_time_is_timed() {
    let (disk, clock) = (SimDisk::new(1), ManualClock::at(START));
    disk.set_slow(100, 5, clock.clone());
    let db = open(&disk, clock.clone());
    let metrics = db.metrics();
    let spreads = &metrics.spreads;
    append(&db, 0..500).unwrap();
    assert_eq!(metrics.active_appenders.load(SeqCst), 0);
    let pages = || (metrics.wal.page_flushes.load(SeqCst), metrics.wal.completed_pages.load(SeqCst));
    let (flushes, completed) = pages();
    let files = disk.files(&Path::new(DIR).join("wal"));
    let full: u64 = files.iter().map(|(_, len)| len / (32 << 10)).sum();
    assert!(flushes >= 500 && completed == full && full > 5, "{flushes} {completed} {files:?}");
    // nothing is compressed, and each piece has a header of seven bytes
    let (parts, bytes) = (metrics.wal.parts.load(SeqCst), metrics.wal.part_bytes.load(SeqCst));
    let written: u64 = files.iter().map(|(_, len)| len).sum();
    assert!(
        parts >= 500 && bytes <= written && bytes + full * (32 << 10) / 10 > written,
        "{parts} {bytes} {written}"
    );
    assert_eq!(metrics.wal.saved_bytes.load(SeqCst), 0);
    for n in 1..4 {
        db.sync().unwrap();
        assert_eq!(spreads.wal_fsync_seconds.count(), n);
    }
    assert!(spreads.wal_fsync_seconds.sum() >= 0.015);
    db.maintain().unwrap();
    let blocks = metrics.head_compactions.load(SeqCst) + metrics.compactions.load(SeqCst);
    assert_eq!(spreads.compaction_seconds.count(), blocks);
    assert!(blocks > 5 && spreads.compaction_seconds.sum() >= blocks as f64 * 0.005);
    assert_eq!(metrics.blocks_in_writing.load(SeqCst), 0);
    assert_eq!(spreads.head_gc_seconds.count(), metrics.head_compactions.load(SeqCst));
    assert_eq!(spreads.wal_truncate_seconds.count(), 1);
    assert!(spreads.wal_truncate_seconds.sum() > 0.0);
    assert!(metrics.checkpoint_deletions.load(SeqCst) == 1 && metrics.chunks_mapped.load(SeqCst) > 0);
    // 60 samples of a minute in a chunk of each series
    let cut = metrics.head_compactions.load(SeqCst) * SERIES as u64;
    assert_eq!(spreads.chunk_samples.sum(), (cut * 60) as f64);
    assert_eq!(spreads.chunk_bytes.count(), spreads.chunk_samples.count());
    assert!(spreads.chunk_range_ms.sum() <= (cut * 59_000) as f64);
    // late ones, refused: by two seconds each
    let labels = Labels::from_pairs([("__name__", "m"), ("i", "1")]);
    db.appender().append(0, &labels, START + 497_000, 1.0).unwrap_err();
    assert_eq!((spreads.late_seconds.count(), spreads.late_seconds.sum()), (1, 2.0));
    db.delete(&[Matcher::equal("i", "1")], START, START + 10_000).unwrap();
    assert_eq!(spreads.tombstone_cleanup_seconds.count(), 0);
    assert_eq!(db.clean_tombstones().unwrap(), 1);
    assert_eq!(spreads.tombstone_cleanup_seconds.count(), 1);
    let sizes = db.sizes();
    assert_eq!((sizes.commits, sizes.stale_series), (sizes.oldest_seen, 0));
    assert!(sizes.commits >= 500 && sizes.symbol_bytes > 0);
    let querier = db.querier();
    append(&db, 500..501).unwrap();
    assert_eq!(db.sizes().oldest_seen, sizes.commits);
    drop(querier);
    drop(db);
    disk.restart(Loss::Nothing);
    let db = open(&disk, clock);
    assert!(db.metrics().replay_seconds.get() > 0.0);
    assert!(disk.exists(Path::new(DIR)));
}

#[test]
fn the_log_of_late_samples_counts_for_itself() {
    let disk = SimDisk::new(1);
    let options = Options { out_of_order_window_ms: 10 * RANGE, ..options() };
    let db = Db::open_on(Arc::new(disk.clone()), Path::new(DIR), options, ManualClock::at(START)).unwrap();
    db.replay();
    append(&db, 0..1).unwrap();
    append(&db, 50..51).unwrap();
    let written = |counters: &tsdb::wal::WalCounters| {
        (counters.parts.load(SeqCst), counters.part_bytes.load(SeqCst), counters.page_flushes.load(SeqCst))
    };
    let metrics = db.metrics();
    assert_eq!((written(&metrics.wbl), db.sizes().wbl_bytes), ((0, 0, 0), 0), "nothing came late yet");
    let before = written(&metrics.wal);
    append(&db, 20..21).unwrap();
    let (parts, bytes, flushes) = written(&metrics.wbl);
    assert!(parts > 0 && bytes > SERIES as u64 && flushes > 0);
    assert_eq!(db.sizes().wbl_bytes, bytes);
    assert_eq!(written(&metrics.wal), before, "the other log has none of it");
    db.sync().unwrap();
    assert_eq!(metrics.spreads.wbl_fsync_seconds.count(), 1);
    append(&db, 100..300).unwrap();
    db.maintain().unwrap();
    assert_eq!((metrics.wbl_truncations.load(SeqCst), metrics.wbl_truncations_failed.load(SeqCst)), (1, 0));
    assert!(db.sizes().wbl_segment > 0);
}

#[test]
fn chunks_of_the_head_are_counted_when_they_come_and_when_they_leave() {
    let disk = SimDisk::new(1);
    let late = Options { out_of_order_window_ms: 10 * RANGE, ..options() };
    let open = || {
        let clock = ManualClock::at(START);
        let db = Db::open_on(Arc::new(disk.clone()), Path::new(DIR), late.clone(), clock).unwrap();
        db.replay();
        db
    };
    let db = open();
    // chunks of twenty samples: one a series each 20 seconds
    append(&db, 0..50).unwrap();
    let counts = |db: &Db| {
        let sizes = db.sizes();
        assert_eq!(sizes.head_chunks_created - sizes.head_chunks_removed, sizes.head_chunks);
        (sizes.head_chunks_created / SERIES as u64, sizes.head_chunks_removed / SERIES as u64)
    };
    assert_eq!(counts(&db), (3, 0));
    append(&db, 140..150).unwrap();
    append(&db, 100..110).unwrap(); // late
    assert_eq!(counts(&db), (5, 0));
    db.maintain().unwrap();
    assert_eq!(counts(&db), (5, 4), "the first minute is in a block, and so is what came late");
    append(&db, 400..410).unwrap();
    db.maintain().unwrap();
    assert_eq!(counts(&db), (6, 5));
    drop(db);
    disk.restart(Loss::Nothing);
    assert_eq!(counts(&open()), (1, 0), "made anew of the log");
}
