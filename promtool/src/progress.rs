//! Says on a terminal how far a long work is; is silent where nobody looks.

use runtime::clock::SharedClock;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

/// How often the line is written anew.
const INTERVAL: Duration = Duration::from_millis(200);

/// A line on standard error that is written over and over.
#[derive(Debug)]
pub(crate) struct Progress {
    clock: SharedClock,
    shown: bool,
    written: Option<Duration>,
}

impl Progress {
    /// Nothing is shown before the first step.
    pub(crate) fn new(clock: &SharedClock) -> Self {
        Progress { clock: clock.clone(), shown: std::io::stderr().is_terminal(), written: None }
    }

    /// Says that `done` of `total` are done.
    pub(crate) fn step(&mut self, what: &str, done: u64, total: u64) {
        if !self.shown {
            return;
        }
        let now = self.clock.monotonic();
        if self.written.is_some_and(|last| now < last + INTERVAL) {
            return;
        }
        self.written = Some(now);
        let percent = done.saturating_mul(100) / total.max(1);
        let mut err = std::io::stderr().lock();
        // a terminal that is gone takes nothing any more, and nobody misses it
        let _ = write!(err, "\r\x1b[K{what}: {percent} % ({done} of {total})");
        let _ = err.flush();
    }

    /// Takes the line away.
    pub(crate) fn clear(&mut self) {
        if self.written.take().is_some() {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}
