//! Pharos and Prometheus in turns on one directory: each run appends, and ends cleanly or is killed. In the end both find everything.
//!
//! `TSDB_TURNS=50` tries so many sequences, `TSDB_TURNS_FIRST=N` begins with another one.

use std::path::Path;

use runtime::clock::ManualClock;
use tsdb::{Db, Options, Retention};

use super::data::{self, START, STEP, Series, floats_and_histograms};
use super::peer::{self, Prometheus, program};
use super::{SNAPSHOT, append, newest, open, read, same};

/// Shorter than a block: all of it stays in the head.
const COUNT: i64 = 150;

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % n
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// The samples with these numbers since the start.
fn part(series: &[Series], from: i64, to: i64) -> Vec<Series> {
    data::split(series, |i| (from..to).contains(&i)).0
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            copy(&from, &to);
        } else {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

/// A run of Pharos. It may be killed before it has replayed anything, and append before it has.
fn pharos(random: &mut Random, dir: &Path, all: &[Series], new: &[Series]) {
    let options = Options {
        background: false,
        retention: Retention::default(),
        memory_snapshot: random.chance(60),
        ..Options::default()
    };
    if random.chance(20) {
        println!("Pharos is killed at its start");
        drop(Db::open(dir, options.clone(), ManualClock::at(newest(all))).unwrap());
    }
    let options_snapshot = options.memory_snapshot;
    let db = Db::open(dir, options, ManualClock::at(newest(all))).unwrap();
    let early = random.chance(30);
    println!("Pharos, snapshot {}, appends before its replay {early}", options_snapshot);
    if early {
        append(&db, new);
    }
    db.replay();
    if !early {
        append(&db, new);
    }
    db.maintain().unwrap();
    let clean = random.chance(50);
    println!("… ends cleanly {clean}");
    if clean {
        db.close().unwrap();
    }
}

fn prometheus(random: &mut Random, program: &Path, dir: &Path, new: &[Series]) {
    let flags: &[&str] = if random.chance(60) { &[SNAPSHOT] } else { &[] };
    let server = Prometheus::start(program, dir, "{}", flags);
    server.write(new);
    let clean = random.chance(50);
    println!("Prometheus {flags:?} ends cleanly {clean}");
    if clean { server.terminate() } else { server.kill() }
}

fn sequence(program: &Path, seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let all = floats_and_histograms(COUNT);
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("data");
    std::fs::create_dir(&dir).unwrap();
    let (runs, mut done) = (2 + random.below(4), 0);
    for run in 0..runs {
        let most = if run == 0 { 130 } else { COUNT - done };
        let to = done + random.below(most as u64 + 1) as i64;
        let new = part(&all, done, to);
        println!("samples {done} to {to}");
        done = to;
        if random.chance(55) {
            pharos(&mut random, &dir, &all, &new);
        } else {
            prometheus(&mut random, program, &dir, &new);
        }
    }
    let expected = part(&all, 0, done);
    if expected.is_empty() {
        return;
    }
    assert!(expected.iter().all(|s| s.samples.iter().all(|(t, _)| *t < START + COUNT * STEP)));
    for (i, flags) in [&[SNAPSHOT][..], &[]].into_iter().enumerate() {
        let again = root.path().join(format!("again{i}"));
        copy(&dir, &again);
        peer::assert_reads_after(program, &again, flags, &expected);
    }
    same(&read(&open(&dir, &all, Options::default())), &expected);
}

#[test]
fn both_find_everything() {
    let Some(program) = program("PROMETHEUS") else {
        println!("skipped: the environment does not name PROMETHEUS");
        return;
    };
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let first = number("TSDB_TURNS_FIRST").unwrap_or(1);
    for seed in first..first + number("TSDB_TURNS").unwrap_or(3) {
        if let Err(panic) = std::panic::catch_unwind(|| sequence(&program, seed)) {
            eprintln!("repeat with TSDB_TURNS_FIRST={seed} TSDB_TURNS=1");
            std::panic::resume_unwind(panic);
        }
    }
}
