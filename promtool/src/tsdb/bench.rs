//! `tsdb bench write`: how fast samples are taken.

use crate::{Failure, Outcome, text};
use clap::Args;
use model::Labels;
use runtime::clock::SharedClock;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::time::Duration;
use tsdb::Db;

/// What `tsdb bench write` may be told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Directory that the database is made in.
    #[arg(long, default_value = "benchout")]
    out: PathBuf,
    /// How many series.
    #[arg(long, default_value_t = 10_000)]
    metrics: usize,
    /// How many scrapes; rounded up to hundreds.
    #[arg(long, default_value_t = 3000)]
    scrapes: usize,
    /// File of series: a JSON object of labels on each line. Made up if not given.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Series are appended in batches of this size, as a scrape brings them.
const BATCH: usize = 1000;
/// Scrapes of one batch in a row.
const ROUND: usize = 100;
/// Time between two scrapes, milliseconds.
const INTERVAL_MS: i64 = 30_000;
/// The value of each series grows from here.
const FIRST_VALUE: f64 = 123_456_789.0;

pub(crate) fn write(options: &Options, clock: &SharedClock) -> Outcome {
    let dir = options.out.join("storage");
    std::fs::create_dir_all(&dir)?;
    let mut series = Vec::new();
    stage("readData", clock, || {
        series = match &options.file {
            Some(file) => read_series(file, options.metrics)?,
            None => (0..options.metrics).map(made_up).collect(),
        };
        Ok(())
    })?;
    let db_options = tsdb::Options { compaction: false, ..tsdb::Options::default() };
    let db = Db::open(&dir, db_options, clock.clone())?;
    while !db.wait_for_replay(Duration::from_secs(1)) {}
    let mut total = 0;
    let took = stage("ingestScrapes", clock, || {
        for round in (0..options.scrapes).step_by(ROUND) {
            for batch in series.chunks(BATCH) {
                total += ingest(&db, batch, round)?;
            }
        }
        println!("ingestion completed");
        Ok(())
    })?;
    println!(" > total samples: {total}");
    println!(" > samples/sec: {}", text::general(total as f64 / took.as_secs_f64().max(1e-9)));
    stage("stopStorage", clock, || Ok(db.close()?))?;
    Ok(())
}

/// Runs a stage between two lines that say so; returns how long it took.
fn stage(name: &str, clock: &SharedClock, run: impl FnOnce() -> Outcome) -> Result<Duration, Failure> {
    println!(">> start stage={name}");
    let began = clock.monotonic();
    run()?;
    let took = clock.monotonic() - began;
    println!(">> completed stage={name} duration={}", text::duration(took.as_nanos() as i128));
    Ok(took)
}

/// A round of scrapes of some series; returns how many samples were appended.
fn ingest(db: &Db, series: &[Labels], first: usize) -> Result<u64, Failure> {
    let mut references = vec![0; series.len()];
    let mut appended = 0;
    for scrape in first..first + ROUND {
        let t = (scrape as i64 + 1) * INTERVAL_MS;
        let v = FIRST_VALUE + 1000.0 * (scrape + 1) as f64;
        let mut appender = db.appender();
        for (labels, reference) in series.iter().zip(&mut references) {
            *reference = appender.append(*reference, labels, t, v).map_err(Failure::new)?;
            appended += 1;
        }
        appender.commit().map_err(Failure::new)?;
    }
    Ok(appended)
}

/// Series like those of one instrumented program run many times.
fn made_up(i: usize) -> Labels {
    Labels::from_pairs([
        ("__name__".to_owned(), format!("bench_metric_{}_total", i % 100)),
        ("instance".to_owned(), format!("10.0.{}.{}:8080", i / 25_600, i / 100 % 256)),
        ("job".to_owned(), "bench".to_owned()),
        ("series".to_owned(), i.to_string()),
    ])
}

fn read_series(file: &std::path::Path, limit: usize) -> Result<Vec<Labels>, Failure> {
    let failed = |why: String| Failure::new(format!("open {}: {why}", file.display()));
    let reader = BufReader::new(std::fs::File::open(file).map_err(|e| failed(text::reason(&e)))?);
    let (mut series, mut seen) = (Vec::new(), std::collections::HashSet::new());
    for (i, line) in reader.lines().take(limit).enumerate() {
        let line = line.map_err(|e| failed(text::reason(&e)))?;
        let pairs: std::collections::BTreeMap<String, String> =
            serde_json::from_str(&line).map_err(|e| failed(format!("line {}: {e}", i + 1)))?;
        let labels = Labels::from_pairs(pairs);
        // a scrape has no series twice
        if seen.insert(labels.clone()) {
            series.push(labels);
        }
    }
    Ok(series)
}
