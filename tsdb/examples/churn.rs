//! Measures what a series costs in memory that has ended: generations of series, each ended before the next begins. Prints the
//! growth of resident memory per ended series. Arguments: series a generation, generations.

use std::time::Duration;

use model::{Labels, STALE_NAN};
use runtime::clock::SystemClock;
use tsdb::{Db, Options};

/// Samples of each series before it ends.
const ROUNDS: usize = 20;
/// Longer than the database waits before it looks for series that ended.
const PATIENCE: Duration = Duration::from_secs(35);

fn rss_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// A pod has a hundred series, as a container's metrics have.
fn labels(generation: usize, i: usize) -> Labels {
    Labels::from_pairs([
        ("__name__", format!("container_some_metric_{}_total", i % 100)),
        ("container", "main".to_owned()),
        ("instance", format!("10.0.0.{}:9100", i / 100 % 20)),
        ("job", "kubelet".to_owned()),
        ("namespace", format!("namespace-{}", i / 1000)),
        ("pod", format!("some-deployment-7c5ddbdf54-{generation}-{}", i / 100)),
    ])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok());
    let (series, generations) = (args.next().unwrap_or(50_000), args.next().unwrap_or(5));
    let dir = std::env::temp_dir().join(format!("tsdb-churn-{}", std::process::id()));
    let clock = SystemClock::shared();
    let start = clock.now_ms() - (generations * (ROUNDS + 1)) as i64 * 1000;
    let db = Db::open(&dir, Options::default(), clock)?;
    let mut before = 0;
    for generation in 0..generations {
        let sets: Vec<Labels> = (0..series).map(|i| labels(generation, i)).collect();
        let mut refs = vec![0; series];
        for round in 0..=ROUNDS {
            let t = start + (generation * (ROUNDS + 1) + round) as i64 * 1000;
            let mut appender = db.appender();
            for (i, set) in sets.iter().enumerate() {
                let v = if round == ROUNDS { STALE_NAN } else { (i * round) as f64 };
                refs[i] = appender.append(refs[i], set, t, v)?;
            }
            appender.commit()?;
        }
        drop((sets, refs));
        std::thread::sleep(PATIENCE);
        let now = rss_kib();
        println!(
            "generation {generation}: {now} KiB resident, {} bytes per ended series more than before",
            (now as i64 - before as i64) * 1024 / series as i64
        );
        before = now;
    }
    drop(db);
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}
