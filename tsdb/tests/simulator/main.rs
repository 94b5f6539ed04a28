//! Random histories of a database on a disk that breaks on purpose, compared with a plain map under the promises of
//! `docs/simulation.md`.
//!
//! A run follows from its seed alone: one thread, a simulated disk, a simulated clock. A failing run prints the command that
//! repeats it. `SIM_SEED=N` runs one seed and tells each step, `SIM_CRASHES=N` and `SIM_MINUTES=M` run seeds until one of them is
//! reached, `SIM_FIRST=N` begins with another seed, `SIM_THREADS=N` runs so many at once, `SIM_GO_ON=1` goes on behind a failure.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)] // a test ends where it fails; how long a run takes is asked of the machine

mod damage;
mod faults;
mod given;
mod history;
mod model;
mod read;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use history::{Run, Totals};
use parking_lot::Mutex;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Runs on a pool of one thread: what the database spreads over the cores then comes in the same order in each run.
fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap().install(work)
}

/// One history; on failure says how to repeat it.
fn run(seed: u64, tell: bool) -> Totals {
    let result = catch_unwind(AssertUnwindSafe(|| {
        alone(|| {
            let mut run = Run::new(seed, tell);
            run.live();
            run.totals
        })
    }));
    result.unwrap_or_else(|panic| {
        eprintln!("repeat with: SIM_SEED={seed} cargo test -p tsdb --test simulator random -- --nocapture");
        std::panic::resume_unwind(panic)
    })
}

#[test]
fn random_histories() {
    if let Some(seed) = number("SIM_SEED") {
        let _ = tracing_subscriber::fmt()
            .with_writer(std::io::stderr)
            .with_max_level(tracing::level_filters::LevelFilter::INFO)
            .without_time()
            .try_init();
        println!("{}", run(seed, true));
        return;
    }
    let minutes = number("SIM_MINUTES");
    let crashes = number("SIM_CRASHES").unwrap_or(if minutes.is_some() { u64::MAX } else { 60 });
    let (began, limit) = (Instant::now(), Duration::from_secs(minutes.unwrap_or(24 * 60) * 60));
    let next = AtomicU64::new(number("SIM_FIRST").unwrap_or(1));
    let (failed, failures) = (AtomicBool::new(false), AtomicU64::new(0));
    let totals = Mutex::new(Totals::default());
    std::thread::scope(|scope| {
        for _ in 0..number("SIM_THREADS").unwrap_or(1) {
            scope.spawn(|| {
                while !failed.load(SeqCst) && began.elapsed() < limit && totals.lock().crashes() < crashes {
                    match catch_unwind(|| run(next.fetch_add(1, SeqCst), false)) {
                        Ok(one) => totals.lock().add(&one),
                        Err(_) => {
                            failures.fetch_add(1, SeqCst);
                            failed.store(number("SIM_GO_ON").is_none(), SeqCst);
                        }
                    }
                }
            });
        }
    });
    println!("{}\nin {:.1} s", totals.into_inner(), began.elapsed().as_secs_f64());
    assert_eq!(failures.into_inner(), 0, "histories failed: see above");
}

/// One history, ended within each of its changes in turn.
#[test]
fn a_crash_within_every_change() {
    let seed = number("SIM_SEED").unwrap_or(7);
    let steps = number("SIM_STEPS").unwrap_or(40) as usize;
    let mut totals = Totals::default();
    for change in number("SIM_CHANGE").unwrap_or(1).. {
        let crashed = catch_unwind(|| {
            alone(|| {
                let mut run = Run::new(seed, number("SIM_CHANGE").is_some());
                let crashed = run.live_until(change, steps);
                (run.totals, crashed)
            })
        });
        let (one, crashed) = crashed.unwrap_or_else(|panic| {
            eprintln!(
                "repeat with: SIM_SEED={seed} SIM_STEPS={steps} SIM_CHANGE={change} cargo test -p tsdb --test simulator every -- --nocapture"
            );
            std::panic::resume_unwind(panic)
        });
        totals.add(&one);
        if !crashed || number("SIM_CHANGE").is_some() {
            break;
        }
    }
    println!("{totals}");
}
