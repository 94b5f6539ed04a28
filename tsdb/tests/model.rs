//! Random work on a database, killed and reopened at random, compared with a plain map.
//!
//! A failing run prints its seed; `TSDB_MODEL_SEED=<seed> cargo test -p tsdb --test model` repeats it. `TSDB_MODEL_RUNS`
//! sets how many seeds are tried.
#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use model::{Labels, MatchOp, Matcher, STALE_NAN};
use runtime::clock::ManualClock;
use tsdb::{AppendError, Db, Options};

/// Short blocks, so that a run of minutes goes through many of them.
const RANGE: i64 = 60_000;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 16) % n
    }
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

type Samples = BTreeMap<i64, u64>;

struct Run {
    random: Random,
    dir: tempfile::TempDir,
    db: Option<Arc<Db>>,
    clock: Arc<ManualClock>,
    expected: BTreeMap<Labels, Samples>,
    refs: BTreeMap<Labels, u64>,
    now: i64,
}

fn options() -> Options {
    Options {
        min_block_duration_ms: RANGE,
        max_block_duration_ms: Some(RANGE * 9),
        retention: tsdb::Retention::default(),
        wal_segment_size: 32 * 1024 * 4,
        samples_per_chunk: 12,
        ..Options::default()
    }
}

fn wait_for_replay(db: &Db) {
    while !db.replay_status().done {
        std::thread::yield_now();
    }
}

fn last_segment(dir: &Path) -> PathBuf {
    let names = std::fs::read_dir(dir.join("wal")).unwrap().map(|e| e.unwrap().path());
    let is_segment = |p: &PathBuf| p.file_name().unwrap().to_str().unwrap().parse::<u32>().is_ok();
    names.filter(is_segment).max().unwrap()
}

impl Run {
    fn new(seed: u64) -> Self {
        let clock = ManualClock::at(1_700_000_000_000);
        let mut run = Run {
            random: Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            dir: tempfile::tempdir().unwrap(),
            db: None,
            clock,
            expected: BTreeMap::new(),
            refs: BTreeMap::new(),
            now: 1_700_000_000_000,
        };
        run.open();
        run
    }

    fn open(&mut self) {
        self.db = Some(Db::open(self.dir.path(), options(), self.clock.clone()).unwrap());
    }

    fn db(&self) -> &Arc<Db> {
        self.db.as_ref().unwrap()
    }

    fn labels(&mut self) -> Labels {
        let generation = if self.random.chance(80) { 0 } else { self.now / (RANGE * 2) };
        Labels::from_pairs([
            ("__name__", format!("m{}", self.random.below(4))),
            ("i", format!("{}", self.random.below(12))),
            ("pod", if generation == 0 { String::new() } else { format!("p{generation}") }),
        ])
    }

    /// A batch; returns what it added if it is committed.
    fn fill(&mut self, appender: &mut tsdb::Appender) -> Vec<(Labels, i64, f64)> {
        let mut added: Vec<(Labels, i64, f64)> = Vec::new();
        for _ in 0..self.random.below(30) {
            let labels = self.labels();
            if added.iter().any(|(l, _, _)| *l == labels) {
                continue;
            }
            let t = self.now + self.random.below(500) as i64;
            let v = match self.random.below(20) {
                0 => STALE_NAN,
                1 => f64::NAN,
                2 => f64::INFINITY,
                n if n < 10 => n as f64,
                _ => f64::from_bits(self.random.next()),
            };
            let reference = self.refs.get(&labels).copied().unwrap_or(0);
            self.refs.insert(labels.clone(), appender.append(reference, &labels, t, v).unwrap());
            added.push((labels, t, v));
        }
        added
    }

    fn note(&mut self, added: Vec<(Labels, i64, f64)>) {
        for (labels, t, v) in added {
            self.expected.entry(labels).or_default().insert(t, v.to_bits());
        }
    }

    fn append(&mut self) {
        self.now += 600 + self.random.below(4000) as i64;
        self.clock.set(self.now);
        let mut appender = self.db().appender();
        let added = self.fill(&mut appender);
        if self.random.chance(10) {
            appender.rollback();
        } else {
            appender.commit().unwrap();
            self.note(added);
        }
    }

    /// Samples that must be refused, and repetitions that must not.
    fn append_badly(&mut self) {
        wait_for_replay(self.db());
        let Some((labels, samples)) = self.expected.iter().next_back() else { return };
        let (labels, (&t, &bits)) = (labels.clone(), samples.last_key_value().unwrap());
        let newest = self.expected.values().filter_map(|s| s.keys().next_back()).max().copied().unwrap();
        let mut appender = self.db().appender();
        let v = f64::from_bits(bits);
        let too_old = appender.append(0, &labels, newest - RANGE, 1.0);
        assert_eq!(too_old, Err(AppendError::OutOfBounds));
        if t > newest - RANGE / 2 {
            // a series that left the head has nothing to compare with: only ask where it must still be there
            let again = appender.append(0, &labels, t, v);
            assert!(again.is_ok() || again == Err(AppendError::OutOfBounds), "{again:?}");
            let other = appender.append(0, &labels, t, 12.25);
            assert!(matches!(other, Err(AppendError::Duplicate | AppendError::OutOfBounds)), "{other:?}");
            let older = appender.append(0, &labels, t - 1, 12.25);
            assert!(matches!(older, Err(AppendError::OutOfOrder | AppendError::OutOfBounds)), "{older:?}");
        }
        assert!(matches!(
            appender.append(0, &Labels::empty(), newest + 1, 1.0),
            Err(AppendError::InvalidLabels(_))
        ));
        appender.commit().unwrap();
    }

    fn kill(&mut self) {
        self.db = None;
        if self.random.chance(30) {
            self.open();
            return;
        }
        self.open();
        wait_for_replay(self.db());
    }

    /// Killed within the write of a commit: that commit is gone, all others are there.
    fn tear(&mut self) {
        // at its end it writes to the log, too: what is cut off must be the commit
        wait_for_replay(self.db());
        let before = {
            let path = last_segment(self.dir.path());
            (path.clone(), std::fs::metadata(&path).unwrap().len())
        };
        self.now += 600;
        let mut appender = self.db().appender();
        let added = self.fill(&mut appender);
        if appender.is_empty() {
            return;
        }
        appender.commit().unwrap();
        self.db = None;
        let path = last_segment(self.dir.path());
        let after = std::fs::metadata(&path).unwrap().len();
        let from = if path == before.0 { before.1 } else { 0 };
        if path == before.0 && after > from {
            let cut = from + self.random.below(after - from);
            std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(cut).unwrap();
        } else {
            self.note(added);
        }
        self.open();
    }

    fn check(&mut self) {
        wait_for_replay(self.db());
        let all = [Matcher::new(MatchOp::Regex, "__name__", ".+").unwrap()];
        self.compare(self.db(), &all, i64::MIN + 1, i64::MAX - 1);
        let matchers = [
            Matcher::equal("__name__", format!("m{}", self.random.below(5))),
            Matcher::new(MatchOp::Regex, "i", "1.*|2").unwrap(),
            Matcher::new(MatchOp::NotEqual, "i", "3").unwrap(),
            Matcher::equal("pod", ""),
            Matcher::new(MatchOp::NotRegex, "pod", "p.*").unwrap(),
        ];
        let chosen: Vec<Matcher> = matchers.into_iter().filter(|_| self.random.chance(40)).collect();
        let mint = self.now - self.random.below(20 * RANGE as u64) as i64;
        let maxt = mint + self.random.below(3 * RANGE as u64) as i64;
        self.compare(self.db(), &chosen, mint, maxt);
    }

    fn compare(&self, db: &Db, matchers: &[Matcher], mint: i64, maxt: i64) {
        let querier = db.querier();
        let mut found: BTreeMap<Labels, Samples> = BTreeMap::new();
        let mut last: Option<Labels> = None;
        for entry in querier.select(matchers, mint, maxt).unwrap() {
            assert!(
                last.as_ref().is_none_or(|l| l < entry.labels()),
                "order of {last:?}, {:?}",
                entry.labels()
            );
            last = Some(entry.labels().clone());
            let (mut ts, mut vs) = (Vec::new(), Vec::new());
            entry.read(mint, maxt, &mut ts, &mut vs).unwrap();
            assert!(ts.windows(2).all(|w| w[0] < w[1]), "times of {:?}: {ts:?}", entry.labels());
            if !ts.is_empty() {
                let samples = ts.into_iter().zip(vs.into_iter().map(f64::to_bits)).collect();
                found.insert(entry.labels().clone(), samples);
            }
        }
        let mut expected: BTreeMap<Labels, Samples> = BTreeMap::new();
        for (labels, samples) in &self.expected {
            if matchers.iter().all(|m| m.matches(labels.get(&m.name))) {
                let within: Samples = samples.range(mint..=maxt).map(|(&t, &v)| (t, v)).collect();
                if !within.is_empty() {
                    expected.insert(labels.clone(), within);
                }
            }
        }
        assert_eq!(querier.warnings(), Vec::<String>::new());
        for (labels, samples) in &expected {
            assert_eq!(found.get(labels), Some(samples), "{labels} in {mint}..={maxt}");
        }
        assert_eq!(found.len(), expected.len(), "series nobody appended");
        let values = querier.label_values("i", matchers, mint, maxt, 0).unwrap();
        for labels in expected.keys() {
            assert!(values.iter().any(|v| v == labels.get("i")), "{labels} is not among {values:?}");
        }
    }

    /// Deletes something that is older than half a block: newer samples show what is out of order.
    fn delete(&mut self) {
        wait_for_replay(self.db());
        let Some(newest) = self.expected.values().filter_map(|s| s.keys().next_back()).max().copied() else {
            return;
        };
        let matchers = [
            Matcher::equal("__name__", format!("m{}", self.random.below(5))),
            Matcher::new(MatchOp::Regex, "i", "1.*|2|5").unwrap(),
            Matcher::new(MatchOp::NotEqual, "pod", "").unwrap(),
        ];
        let mut chosen: Vec<Matcher> = matchers.into_iter().filter(|_| self.random.chance(40)).collect();
        chosen.push(Matcher::new(MatchOp::NotEqual, "i", "3").unwrap());
        let maxt = newest - RANGE / 2 - 1 - self.random.below(3 * RANGE as u64) as i64;
        let mint =
            if self.random.chance(20) { i64::MIN } else { maxt - self.random.below(2 * RANGE as u64) as i64 };
        self.db().delete(&chosen, mint, maxt).unwrap();
        for (_, samples) in
            self.expected.iter_mut().filter(|(l, _)| chosen.iter().all(|m| m.matches(l.get(&m.name))))
        {
            samples.retain(|t, _| !(mint..=maxt).contains(t));
        }
        self.expected.retain(|_, samples| !samples.is_empty());
        if self.random.chance(30) {
            self.db().clean_tombstones().unwrap();
            assert!(self.db().blocks().iter().all(|b| b.stats.num_tombstones == 0));
        }
    }

    fn snapshot(&mut self) {
        wait_for_replay(self.db());
        let name = self.db().snapshot(true).unwrap();
        let dir = self.dir.path().join("snapshots").join(name);
        let copy = Db::open(&dir, options(), self.clock.clone()).unwrap();
        wait_for_replay(&copy);
        let all = [Matcher::new(MatchOp::Regex, "__name__", ".+").unwrap()];
        self.compare(&copy, &all, i64::MIN + 1, i64::MAX - 1);
    }

    fn step(&mut self) {
        match self.random.below(100) {
            0..80 => self.append(),
            80..83 => self.append_badly(),
            83..86 => self.kill(),
            86..88 => self.tear(),
            88..92 => {
                wait_for_replay(self.db());
                self.db().maintain().unwrap();
            }
            92..93 => self.snapshot(),
            93..95 => self.delete(),
            _ => self.check(),
        }
    }
}

#[test]
fn agrees_with_a_map() {
    let number = |name: &str| std::env::var(name).ok().and_then(|s| s.parse::<u64>().ok());
    let (first, runs) = match number("TSDB_MODEL_SEED") {
        Some(seed) => (seed, 1),
        None => (1, number("TSDB_MODEL_RUNS").unwrap_or(8)),
    };
    for seed in first..first + runs {
        let result = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            for _ in 0..400 {
                run.step();
            }
            run.check();
            run.snapshot();
        });
        if let Err(panic) = result {
            eprintln!("repeat with TSDB_MODEL_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}
