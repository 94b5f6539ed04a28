//! Measures appends: 200,000 series by reference, batch after batch, as scraping does. Prints time a sample, memory a
//! series, and the time to reopen after a kill. Arguments: series, rounds.

use model::Labels;
use runtime::clock::SystemClock;
use tsdb::{Db, Options};

const BATCH: usize = 1000;
const STEP_MS: i64 = 5000;

fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

fn labels(i: usize) -> Labels {
    let (target, n) = (i / BATCH, i % BATCH);
    Labels::from_pairs([
        ("__name__", format!("container_some_metric_{}_total", n % 100)),
        ("instance", format!("10.0.{}.{}:9100", target / 250, target % 250)),
        ("job", "kubelet".to_owned()),
        ("namespace", format!("namespace-{}", n / 100)),
        ("node", format!("node-{target}")),
        ("pod", format!("some-deployment-7c5ddbdf54-{target}-{}", n / 10)),
        ("container", format!("container-{}", n % 3)),
        ("le", format!("{}", n % 10)),
    ])
}

fn value(i: usize, round: usize) -> f64 {
    match i % 3 {
        0 => i as f64,                                            // constant
        1 => (round * (i % 50 + 1)) as f64,                       // counter
        _ => ((i * 31 + round * 17) % 1000) as f64 / 7.0 + 0.001, // gauge
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let (series, rounds) = (args.next().unwrap_or(200_000), args.next().unwrap_or(24));
    let dir = std::env::temp_dir().join(format!("tsdb-ingest-{}", std::process::id()));
    let clock = SystemClock::shared();
    let start = clock.now_ms() - rounds as i64 * STEP_MS;
    let before = rss_kib();
    let db = Db::open(&dir, Options::default(), clock.clone())?;
    let mut refs = vec![0u64; series];
    let mut first = std::time::Duration::ZERO;
    let mut rest = std::time::Duration::ZERO;
    for round in 0..rounds {
        let t = start + round as i64 * STEP_MS;
        for batch in 0..series.div_ceil(BATCH) {
            let range = batch * BATCH..((batch + 1) * BATCH).min(series);
            let sets: Vec<Labels> = if round == 0 { range.clone().map(labels).collect() } else { Vec::new() };
            let none = Labels::empty();
            let began = clock.monotonic();
            let mut appender = db.appender();
            for (n, i) in range.enumerate() {
                refs[i] = appender.append(refs[i], sets.get(n).unwrap_or(&none), t, value(i, round))?;
            }
            appender.commit()?;
            let took = clock.monotonic() - began;
            if round == 0 { first += took } else { rest += took }
        }
    }
    let used = rss_kib().saturating_sub(before);
    println!("creating a series: {} ns", first.as_nanos() / series as u128);
    println!("appending a sample: {} ns", rest.as_nanos() / (series * (rounds - 1)).max(1) as u128);
    println!("resident: {used} KiB, {} bytes a series", used * 1024 / series as u64);
    let began = clock.monotonic();
    let found = db.querier().select(&[model::Matcher::equal("job", "kubelet")], start, clock.now_ms())?;
    println!("selecting {} series: {:?}", found.len(), clock.monotonic() - began);
    let began = clock.monotonic();
    let (mut ts, mut vs) = (Vec::new(), Vec::new());
    let mut samples = 0;
    for entry in &found {
        (ts.clear(), vs.clear());
        entry.read(start, clock.now_ms(), &mut ts, &mut vs)?;
        samples += ts.len();
    }
    println!("reading {samples} samples: {:?}", clock.monotonic() - began);
    drop(found);
    println!("log: {} bytes, {:.2} a sample", db.sizes().wal_bytes, db.sizes().wal_bytes as f64 / samples as f64);
    drop(db); // as a kill
    let began = clock.monotonic();
    let db = Db::open(&dir, Options::default(), clock.clone())?;
    println!("reopening: {:?}", clock.monotonic() - began);
    while !db.replay_status().done {
        std::thread::yield_now();
    }
    println!("replaying: {:?}", clock.monotonic() - began);
    println!("resident then: {} bytes a series", (rss_kib().saturating_sub(before)) * 1024 / series as u64);
    drop(db);
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}
