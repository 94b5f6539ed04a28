//! Samples that come out of order, and exemplars: taken, refused, logged, cut into blocks, and read back.
#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use model::{Histogram, Labels, MatchOp, Matcher, NativeHistogram, Value};
use runtime::clock::ManualClock;
use tsdb::{AppendError, Db, Exemplar, Options, Samples};

const RANGE: i64 = 60_000;
const WINDOW: i64 = 5 * RANGE;
const START: i64 = 1_700_000_000_000;

fn open(dir: &Path, window: i64) -> Arc<Db> {
    let options = Options {
        min_block_duration_ms: RANGE,
        max_block_duration_ms: Some(RANGE * 9),
        retention: tsdb::Retention::default(),
        wal_segment_size: 32 * 1024 * 4,
        samples_per_chunk: 12,
        out_of_order_window_ms: window,
        exemplar_limit: 50,
        background: false,
        ..Options::default()
    };
    let db = Db::open(dir, options, ManualClock::at(START)).unwrap();
    db.replay();
    db
}

fn labels(name: &str) -> Labels {
    Labels::from_pairs([("__name__", name), ("job", "late")])
}

fn read(db: &Db, (mint, maxt): (i64, i64)) -> BTreeMap<Labels, Vec<(i64, Value)>> {
    let all = [Matcher::new(MatchOp::Regex, "__name__", ".+").unwrap()];
    let entries = db.querier().select(&all, mint, maxt).unwrap();
    let series = entries.iter().map(|entry| {
        let mut samples = Samples::default();
        entry.read_columns::<NativeHistogram>(mint, maxt, &mut samples).unwrap();
        assert!(samples.ts.windows(2).all(|w| w[0] < w[1]), "{:?}", samples.ts);
        (entry.labels().clone(), samples.iter().collect::<Vec<_>>())
    });
    series.filter(|(_, samples)| !samples.is_empty()).collect()
}

fn same(found: &BTreeMap<Labels, Vec<(i64, Value)>>, expected: &BTreeMap<Labels, BTreeMap<i64, Value>>) {
    assert_eq!(found.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
    for (found, (labels, wanted)) in found.values().zip(expected) {
        let times: Vec<i64> = found.iter().map(|(t, _)| *t).collect();
        assert_eq!(times, wanted.keys().copied().collect::<Vec<_>>(), "{labels}");
        for ((t, found), wanted) in found.iter().zip(wanted.values()) {
            assert!(found.same(wanted), "{labels} at {t}: {found:?}, not {wanted:?}");
        }
    }
}

fn append(appender: &mut tsdb::Appender, labels: &Labels, t: i64, value: &Value) -> Result<u64, AppendError> {
    match value {
        Value::Float(v) => appender.append(0, labels, t, *v),
        Value::Histogram(h) => appender.append_histogram(0, labels, t, h),
    }
}

fn value(random: u64) -> Value {
    match random % 4 {
        0 => Value::Histogram(Histogram { zero_count: random, count: random, ..Histogram::default() }.into()),
        1 => {
            let h =
                Histogram { zero_count: random % 100, count: random % 100, sum: 1.5, ..Histogram::default() };
            Value::Histogram(h.to_float().into())
        }
        _ => Value::Float(random as f64),
    }
}

/// One run: samples in order and out of order, kills and blocks; compared with a plain map.
fn run(seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    };
    let dir = tempfile::tempdir().unwrap();
    let mut db = open(dir.path(), WINDOW);
    let mut expected: BTreeMap<Labels, BTreeMap<i64, Value>> = BTreeMap::new();
    let mut now = START;
    let mut newest = i64::MIN;
    for step in 0..120 {
        now += 2000;
        let mut appender = db.appender();
        let mut added = Vec::new();
        for name in ["a", "b", "c"] {
            let late = next() % 3 == 0 && newest > i64::MIN;
            let t =
                if late { newest - (next() % (WINDOW as u64)) as i64 } else { now + (next() % 500) as i64 };
            let known = expected.get(&labels(name)).is_some_and(|s| s.contains_key(&t));
            if known {
                continue; // what a repetition does is another test
            }
            let value = value(next());
            append(&mut appender, &labels(name), t, &value).unwrap_or_else(|e| panic!("{name} at {t}: {e}"));
            added.push((labels(name), t, value));
        }
        if newest > i64::MIN {
            let too_old = appender.append(0, &labels("a"), newest - WINDOW - 1, 1.0);
            assert_eq!(too_old, Err(AppendError::TooOld));
        }
        appender.commit().unwrap();
        for (labels, t, value) in added {
            newest = newest.max(t);
            expected.entry(labels).or_default().insert(t, value);
        }
        match next() % 20 {
            0 => {
                drop(db);
                db = open(dir.path(), WINDOW);
                same(&read(&db, (i64::MIN + 1, i64::MAX - 1)), &expected);
            }
            1..3 => db.maintain().unwrap(),
            _ => {}
        }
        if step % 40 == 39 {
            same(&read(&db, (i64::MIN + 1, i64::MAX - 1)), &expected);
            let (mint, maxt) = (now - 4 * RANGE, now - RANGE);
            let mut within = expected.clone();
            within.values_mut().for_each(|s| s.retain(|t, _| mint <= *t && *t <= maxt));
            within.retain(|_, s| !s.is_empty());
            same(&read(&db, (mint, maxt)), &within);
        }
    }
    let from_late = |m: &tsdb::block::BlockMeta| m.compaction.hints.iter().any(|h| h == "from-out-of-order");
    let late_blocks = db.blocks().iter().filter(|m| from_late(m) || m.compaction.level > 1).count();
    assert!(late_blocks > 0, "blocks of out-of-order samples are cut");
}

#[test]
fn agrees_with_a_map() {
    let runs = std::env::var("TSDB_MODEL_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    for seed in 1..=runs {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn what_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path(), 0);
    let series = labels("x");
    let put = |t: i64, v: f64| {
        let mut appender = db.appender();
        let done = appender.append(0, &series, t, v).map(|_| ());
        appender.commit().unwrap();
        done
    };
    put(START, 1.0).unwrap();
    assert_eq!(put(START - 1, 1.0), Err(AppendError::OutOfOrder));
    assert_eq!(put(START - RANGE, 1.0), Err(AppendError::OutOfBounds));
    db.set_out_of_order_window(WINDOW);
    put(START - 1, 2.0).unwrap();
    put(START - RANGE, 3.0).unwrap();
    put(START - 1, 9.0).unwrap(); // the first one stays
    assert_eq!(put(START, 4.0), Err(AppendError::Duplicate));
    put(START, 1.0).unwrap();
    assert_eq!(put(START - WINDOW - 1, 1.0), Err(AppendError::TooOld));
    // both orders within one batch
    let mut appender = db.appender();
    appender.append(0, &series, START + 10, 10.0).unwrap();
    appender.append(0, &series, START + 5, 5.0).unwrap();
    appender.append(0, &labels("new"), START - 2 * RANGE, 6.0).unwrap();
    appender.commit().unwrap();
    let expected =
        [(START - RANGE, 3.0), (START - 1, 2.0), (START, 1.0), (START + 5, 5.0), (START + 10, 10.0)];
    let floats = |db: &Db| -> Vec<(i64, f64)> {
        let found = read(db, (i64::MIN + 1, i64::MAX - 1));
        let float = |(t, v): &(i64, Value)| match v {
            Value::Float(v) => (*t, *v),
            Value::Histogram(_) => panic!("a float became a histogram"),
        };
        found[&series].iter().map(float).collect()
    };
    assert_eq!(floats(&db), expected);
    let all = [Matcher::equal("job", "late")];
    db.delete(&all, START - RANGE, START - RANGE).unwrap();
    assert_eq!(floats(&db), expected[1..], "deleted, though it came out of order");
    drop(db);
    // and so after a kill, with no window any more
    let db = open(dir.path(), 0);
    assert_eq!(floats(&db), expected[1..]);
    assert_eq!(db.metrics().out_of_order_appended.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn exemplars_survive_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path(), 0);
    let exemplar =
        |t: i64| Exemplar { labels: Labels::from_pairs([("trace_id", format!("{t}"))]), t, v: 0.5 };
    let mut appender = db.appender();
    assert_eq!(appender.append_exemplar(0, &labels("x"), &exemplar(1)), Err(AppendError::UnknownSeries));
    let reference = appender.append(0, &labels("x"), START, 1.0).unwrap();
    for t in [START - 5, START, START] {
        appender.append_exemplar(reference, &Labels::empty(), &exemplar(t)).unwrap();
    }
    appender.commit().unwrap();
    let mut appender = db.appender();
    assert_eq!(
        appender.append_exemplar(reference, &labels("x"), &exemplar(START - 1)),
        Err(AppendError::OutOfOrderExemplar)
    );
    drop(appender);
    let found = |db: &Db| db.exemplars(&[vec![Matcher::equal("job", "late")]], START - 10, START + 10);
    let expected = vec![(labels("x"), vec![exemplar(START - 5), exemplar(START)])];
    assert_eq!(found(&db), expected);
    drop(db);
    let db = open(dir.path(), 0);
    assert_eq!(found(&db), expected);
    assert_eq!(db.exemplars(&[vec![Matcher::equal("job", "late")]], START, START).len(), 1);
    assert!(db.exemplars(&[vec![Matcher::equal("job", "other")]], 0, i64::MAX).is_empty());
}

#[test]
fn snapshots_hold_them() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path(), 600_000);
    for t in [1_000_000, 900_000, 950_000, 1_010_000, 500_000] {
        let mut appender = db.appender();
        append(&mut appender, &labels("m"), t, &Value::Float(t as f64)).unwrap();
        appender.commit().unwrap();
    }
    let all = read(&db, (i64::MIN, i64::MAX));
    let name = db.snapshot(true).unwrap();
    assert_eq!(read(&db, (i64::MIN, i64::MAX)), all, "the database keeps them");
    let copy = open(&dir.path().join("snapshots").join(name), 0);
    assert_eq!(all[&labels("m")].len(), 5);
    assert_eq!(read(&copy, (i64::MIN, i64::MAX)), all);
}
