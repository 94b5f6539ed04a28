//! Appenders, readers and maintenance at once: a reader sees whole scrapes or none of them, the same each time it asks, and
//! never less than a reader before it.
//!
//! Threads take their turns as the machine pleases, with seeded pauses in between; `CONCURRENCY_ROUNDS=N` plays more rounds.
#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier};

use model::{Labels, Matcher};
use testkit::{Loss, ManualClock, Random, SimDisk};
use tsdb::{Db, Options, Querier, Retention};

const START: i64 = 1_700_000_000_000;
const STEP: i64 = 200;
const JOBS: usize = 3;
const SERIES: usize = 17;
const SCRAPES: usize = 240;
/// Scrapers wait for each other so often: the head refuses samples of one that falls far behind.
const TOGETHER: usize = 12;

fn options() -> Options {
    Options {
        min_block_duration_ms: 8000,
        max_block_duration_ms: Some(8000 * 9),
        retention: Retention::default(),
        samples_per_chunk: 7,
        wal_segment_size: 64 << 10,
        threads: false,
        ..Options::default()
    }
}

fn open(disk: &SimDisk) -> Arc<Db> {
    let db = Db::open_on(Arc::new(disk.clone()), Path::new("/data"), options(), ManualClock::at(START)).unwrap();
    db.replay();
    db
}

fn pause(random: &mut Random) {
    (0..random.below(4)).for_each(|_| std::thread::yield_now());
}

fn scrape(db: &Db, job: usize, begun: &Barrier, random: &mut Random) {
    let labels = |i: usize| {
        Labels::from_pairs([("__name__", "x".to_owned()), ("i", i.to_string()), ("job", job.to_string())])
    };
    let all: Vec<Labels> = (0..SERIES).map(labels).collect();
    for k in 0..SCRAPES {
        if k % TOGETHER == 0 {
            begun.wait();
        }
        let mut appender = db.appender();
        for labels in &all {
            appender.append(0, labels, START + k as i64 * STEP, k as f64).unwrap();
        }
        if random.chance(10) {
            appender.rollback();
            let mut again = db.appender();
            for labels in &all {
                again.append(0, labels, START + k as i64 * STEP, k as f64).unwrap();
            }
            again.commit().unwrap();
        } else {
            appender.commit().unwrap();
        }
        pause(random);
    }
}

/// How many scrapes of a job a querier shows: all of them whole, none missing in between.
fn shown(querier: &Querier, job: usize) -> usize {
    let matchers = [Matcher::equal("job", job.to_string())];
    let mut lengths: BTreeMap<usize, usize> = BTreeMap::new();
    for entry in querier.select(&matchers, i64::MIN + 1, i64::MAX - 1).unwrap() {
        let (mut ts, mut vs) = (Vec::new(), Vec::new());
        entry.read(i64::MIN + 1, i64::MAX - 1, &mut ts, &mut vs).unwrap();
        let expected: Vec<i64> = (0..ts.len() as i64).map(|k| START + k * STEP).collect();
        assert_eq!(ts, expected, "{}", entry.labels());
        assert!(vs.iter().enumerate().all(|(k, v)| *v == k as f64), "{}: {vs:?}", entry.labels());
        *lengths.entry(ts.len()).or_default() += 1;
    }
    lengths.remove(&0);
    assert!(lengths.len() <= 1, "scrapes in part: so many series have so many samples: {lengths:?}");
    let (scrapes, series) = lengths.into_iter().next().unwrap_or((0, SERIES));
    assert_eq!(series, SERIES, "{scrapes} scrapes");
    scrapes
}

fn read(db: &Db, scraping: &AtomicUsize, random: &mut Random) {
    let mut last = [0; JOBS];
    while scraping.load(SeqCst) > 0 {
        let querier = db.querier();
        let before: Vec<usize> = (0..JOBS).map(|job| shown(&querier, job)).collect();
        pause(random);
        for job in 0..JOBS {
            let again = shown(&querier, job);
            // A block that was cut since shows all it has, also to a querier that is older than the samples in it.
            let cut = db.blocks().iter().map(|b| b.max_time).max().unwrap_or(i64::MIN);
            let overtaken = cut > START + before[job] as i64 * STEP;
            assert!(again == before[job] || overtaken && again > before[job], "{} scrapes, then {again}", before[job]);
            assert!(before[job] >= last[job], "scrapes went away");
            last[job] = before[job];
        }
    }
}

fn round(seed: u64) {
    let disk = SimDisk::new(seed);
    let db = open(&disk);
    let scraping = AtomicUsize::new(JOBS);
    let begun = Barrier::new(JOBS);
    std::thread::scope(|scope| {
        for job in 0..JOBS {
            let (db, scraping, begun) = (&db, &scraping, &begun);
            scope.spawn(move || {
                scrape(db, job, begun, &mut Random::new(seed * 100 + job as u64));
                scraping.fetch_sub(1, SeqCst);
            });
        }
        for reader in 0..2 {
            let (db, scraping) = (&db, &scraping);
            scope.spawn(move || read(db, scraping, &mut Random::new(seed * 100 + 50 + reader)));
        }
        scope.spawn(|| {
            let mut random = Random::new(seed * 100 + 99);
            while scraping.load(SeqCst) > 0 {
                db.maintain().unwrap();
                db.sync().unwrap();
                db.close_ended();
                pause(&mut random);
            }
        });
    });
    assert!((0..JOBS).all(|job| shown(&db.querier(), job) == SCRAPES));
    assert!(db.metrics().head_compactions.load(SeqCst) > 0);
    drop(db);
    disk.restart(Loss::Nothing);
    let db = open(&disk);
    assert!((0..JOBS).all(|job| shown(&db.querier(), job) == SCRAPES), "after a kill");
}

#[test]
fn readers_see_whole_scrapes() {
    let rounds = std::env::var("CONCURRENCY_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    (1..=rounds).for_each(|seed| {
        println!("round {seed}");
        round(seed);
    });
}
