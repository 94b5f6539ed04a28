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

/// Where the data goes: `TSDB_INGEST_DIR`, which is kept, or a temporary directory.
fn directory(name: &str) -> (std::path::PathBuf, bool) {
    match std::env::var_os("TSDB_INGEST_DIR") {
        Some(dir) => (dir.into(), true),
        None => (std::env::temp_dir().join(format!("tsdb-{name}-{}", std::process::id())), false),
    }
}

/// Seconds of CPU that this process has used: other work on the machine does not count.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
    fields.filter_map(|f| f.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Opens what a killed process left.
fn reopen(dir: &std::path::Path, series: usize) -> Result<(), Box<dyn std::error::Error>> {
    let clock = SystemClock::shared();
    let (began, before) = (clock.monotonic(), rss_kib());
    let db = Db::open(dir, Options::default(), clock.clone())?;
    println!("reopening: {:?}", clock.monotonic() - began);
    while !db.replay_status().done {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    println!("replaying: {:?}, {:.2} s of CPU", clock.monotonic() - began, cpu());
    println!("resident after replay: {} bytes a series", (rss_kib() - before) * 1024 / series as u64);
    let (mut ts, mut vs) = (Vec::new(), Vec::new());
    for entry in db.querier().select(&[model::Matcher::equal("job", "kubelet")], i64::MIN, i64::MAX)? {
        entry.read(i64::MIN, i64::MAX, &mut ts, &mut vs)?;
    }
    println!("samples: {}", ts.len());
    Ok(())
}

/// A day of 20,000 series at one minute, as remote write brings it: ten samples of each series at a time.
fn history() -> Result<(), Box<dyn std::error::Error>> {
    const SERIES: usize = 20_000;
    const MINUTE: i64 = 60_000;
    let (dir, keep) = directory("history");
    let clock = SystemClock::shared();
    let start = clock.now_ms() - 1440 * MINUTE;
    let db = Db::open(&dir, Options::default(), clock.clone())?;
    let sets: Vec<Labels> = (0..SERIES).map(labels).collect();
    let (began, wall, before) = (cpu(), clock.monotonic(), rss_kib());
    let mut most = 0;
    for ten in 0..144 {
        for batch in 0..SERIES / BATCH {
            let mut appender = db.appender();
            for (i, set) in sets.iter().enumerate().skip(batch * BATCH).take(BATCH) {
                let mut reference = 0;
                for round in ten * 10..ten * 10 + 10 {
                    reference =
                        appender.append(reference, set, start + round as i64 * MINUTE, value(i, round))?;
                }
            }
            appender.commit()?;
        }
        most = most.max(rss_kib().saturating_sub(before));
    }
    println!(
        "appended in {:?}, {:.0} ns of CPU a sample",
        clock.monotonic() - wall,
        (cpu() - began) * 1e9 / 28.8e6
    );
    println!("at most {most} KiB; {} blocks, head {:?}", db.blocks().len(), db.sizes());
    db.maintain()?;
    println!(
        "compacted in {:?}, {:.0} ns of CPU a sample",
        clock.monotonic() - wall,
        (cpu() - began) * 1e9 / 28.8e6
    );
    for block in db.blocks() {
        println!("block {} level {} {:?}", block.ulid, block.compaction.level, block.stats);
    }
    let sizes = db.sizes();
    let in_blocks: u64 = db.blocks().iter().map(|b| b.stats.num_samples).sum();
    println!(
        "{:.3} bytes a sample in blocks; log {} bytes",
        sizes.block_bytes as f64 / in_blocks as f64,
        sizes.wal_bytes
    );
    for (what, matchers) in [
        ("one metric, a day", vec![model::Matcher::equal("__name__", "container_some_metric_7_total")]),
        ("all, a day", vec![model::Matcher::equal("job", "kubelet")]),
    ] {
        let began = clock.monotonic();
        let found = db.querier().select(&matchers, start, clock.now_ms())?;
        let selected = clock.monotonic() - began;
        let (mut ts, mut vs, mut samples) = (Vec::new(), Vec::new(), 0);
        for entry in &found {
            ts.clear();
            vs.clear();
            entry.read(start, clock.now_ms(), &mut ts, &mut vs)?;
            samples += ts.len();
        }
        println!(
            "{what}: {} series in {selected:?}, {samples} samples in {:?}",
            found.len(),
            clock.monotonic() - began
        );
    }
    drop(db);
    if !keep {
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    if words.next().as_deref() == Some("reopen") {
        let dir = words.next().unwrap_or_default();
        return reopen(dir.as_ref(), words.next().and_then(|n| n.parse().ok()).unwrap_or(1));
    }
    if std::env::args().nth(1).as_deref() == Some("history") {
        return history();
    }
    let mut args = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let (series, rounds) = (args.next().unwrap_or(200_000), args.next().unwrap_or(24));
    let (dir, keep) = directory("ingest");
    let clock = SystemClock::shared();
    let start = clock.now_ms() - rounds as i64 * STEP_MS;
    let before = rss_kib();
    let db = Db::open(&dir, Options::default(), clock.clone())?;
    let mut refs = vec![0u64; series];
    let (mut first, mut rest) = (0.0, 0.0);
    for round in 0..rounds {
        let t = start + round as i64 * STEP_MS;
        let sets: Vec<Labels> = if round == 0 { (0..series).map(labels).collect() } else { Vec::new() };
        let began = cpu();
        for batch in 0..series.div_ceil(BATCH) {
            let range = batch * BATCH..((batch + 1) * BATCH).min(series);
            let none = Labels::empty();
            let mut appender = db.appender();
            for i in range {
                refs[i] = appender.append(
                    refs[i],
                    if round == 0 { &sets[i] } else { &none },
                    t,
                    value(i, round),
                )?;
            }
            appender.commit()?;
        }
        let took = cpu() - began;
        if round == 0 { first += took } else { rest += took }
    }
    println!("log: {} bytes", db.sizes().wal_bytes);
    let used = rss_kib().saturating_sub(before);
    println!("creating a series: {:.0} ns of CPU", first * 1e9 / series as f64);
    println!("appending a sample: {:.0} ns of CPU", rest * 1e9 / (series * (rounds - 1)).max(1) as f64);
    println!("resident: {used} KiB, {} bytes a series", used * 1024 / series as u64);
    let began = cpu();
    let found = db.querier().select(&[model::Matcher::equal("job", "kubelet")], start, clock.now_ms())?;
    println!("selecting {} series: {:.3} s of CPU", found.len(), cpu() - began);
    let began = cpu();
    let (mut ts, mut vs) = (Vec::new(), Vec::new());
    let mut samples = 0;
    for entry in &found {
        ts.clear();
        vs.clear();
        entry.read(start, clock.now_ms(), &mut ts, &mut vs)?;
        samples += ts.len();
    }
    println!("reading {samples} samples: {:.3} s of CPU", cpu() - began);
    drop(found);
    println!(
        "log: {} bytes, {:.2} a sample",
        db.sizes().wal_bytes,
        db.sizes().wal_bytes as f64 / samples as f64
    );
    drop(db); // as a kill
    let itself = std::env::current_exe()?;
    std::process::Command::new(itself).arg("reopen").arg(&dir).arg(series.to_string()).status()?;
    if !keep {
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}
