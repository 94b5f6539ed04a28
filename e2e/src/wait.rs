//! Time: deadlines of checks, and waiting that says what it waited for.

use anyhow::{Result, anyhow, bail};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Pause between two tries. Short beside the two seconds within which a change must be followed.
const PAUSE: Duration = Duration::from_millis(50);

thread_local! {
    /// When the running check has to be done.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Measures real time: here the wall clock is the thing under test.
#[expect(clippy::disallowed_methods, reason = "waits for a real cluster, in real time")]
fn now() -> Instant {
    Instant::now()
}

/// Since when something runs, and how long it may.
pub(crate) struct Timer {
    since: Instant,
    limit: Duration,
}

impl Timer {
    /// Starts now.
    pub(crate) fn start(limit: Duration) -> Timer {
        Timer { since: now(), limit }
    }

    /// Starts now, for measuring only.
    pub(crate) fn measure() -> Timer {
        Timer::start(Duration::MAX)
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        now().duration_since(self.since)
    }
}

/// Runs `check` so that every wait in it ends when the timer's time is up.
pub(crate) fn with_deadline<T>(timer: &Timer, check: impl FnOnce() -> Result<T>) -> Result<T> {
    DEADLINE.set(timer.since.checked_add(timer.limit));
    let result = check();
    DEADLINE.set(None);
    result
}

/// Tries until it works, for the rest of the running check's time.
///
/// # Errors
/// When the time is up: what was waited for, and how the last try failed.
pub(crate) fn until<T>(what: &str, mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let since = now();
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if DEADLINE.get().is_some_and(|deadline| now() >= deadline) => {
                let waited = now().duration_since(since).as_secs_f64();
                bail!("waited {waited:.1} s for {what}; the last try: {error:#}");
            }
            Err(_) => std::thread::sleep(PAUSE),
        }
    }
}

/// Sees to it that something stays true for a while.
///
/// # Errors
/// The first failure.
pub(crate) fn holds(what: &str, during: Duration, mut attempt: impl FnMut() -> Result<()>) -> Result<()> {
    let since = now();
    while now().duration_since(since) < during {
        attempt().map_err(|error| {
            anyhow!("{what} held for {:.1} s only: {error:#}", now().duration_since(since).as_secs_f64())
        })?;
        std::thread::sleep(PAUSE);
    }
    Ok(())
}
