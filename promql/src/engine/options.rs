//! What an engine and a single query may be told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Options of the engine, the same for all queries.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// How long a sample counts as current, in milliseconds; 0 means five minutes.
    pub lookback_delta_ms: i64,
    /// Most samples that a query may hold at once; 0 means no bound.
    pub max_samples: usize,
    /// Step of subqueries that name none, in milliseconds: the global evaluation interval; 0 means one minute.
    pub subquery_step_ms: i64,
    /// Most bytes that all queries together may hold; 0 means no bound.
    pub memory_budget: usize,
    /// Metric names are dropped at the end of the query rather than by each function
    /// (`--enable-feature=promql-delayed-name-removal`).
    pub delayed_name_removal: bool,
    /// Counters that say when they began are taken to begin there: by `rate`, `increase`, `irate`, `resets` and
    /// `start_timestamp` (`--enable-feature=use-start-timestamps`).
    pub use_start_timestamps: bool,
    /// The label `__type__` says what a metric is, rather than the end of its name (`--enable-feature=type-and-unit-labels`).
    pub type_and_unit_labels: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            lookback_delta_ms: 0,
            max_samples: 50_000_000,
            subquery_step_ms: 0,
            memory_budget: 0,
            delayed_name_removal: false,
            use_start_timestamps: false,
            type_and_unit_labels: false,
        }
    }
}

/// Options of one query.
#[derive(Clone, Debug, Default)]
pub struct QueryOptions {
    /// The query's text, for line and column in annotations; without it the query is taken as one line.
    pub text: String,
    /// Replaces the engine's lookback delta, in milliseconds.
    pub lookback_delta: Option<i64>,
    /// Set by the caller to end the query: at a timeout or when the client goes.
    pub cancel: Cancel,
    /// Most bytes of samples and columns that the query may hold at once; 0 means no bound.
    pub memory_budget: usize,
    /// Step of subqueries that name none, in milliseconds; replaces the engine's where it is there.
    pub subquery_step_ms: Option<i64>,
    /// Counts samples for each step too.
    pub per_step_stats: bool,
    /// Says in the result what each node of the query took and yielded.
    pub explain: bool,
    /// Times the parts of the query; without it their times are 0.
    pub stopwatch: Stopwatch,
    /// At most so many series in the result; 0 means all. A warning says when it cut.
    pub limit: usize,
}

/// A reading of time that never goes back; by default one that stands still.
#[derive(Clone, Default)]
pub struct Stopwatch(Option<Arc<dyn Fn() -> u64 + Send + Sync>>);

impl Stopwatch {
    /// `nanos`: nanoseconds since any fixed moment.
    pub fn new(nanos: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Stopwatch(Some(Arc::new(nanos)))
    }

    /// Nanoseconds since a fixed moment.
    pub(crate) fn nanos(&self) -> u64 {
        self.0.as_ref().map_or(0, |nanos| nanos())
    }
}

impl std::fmt::Debug for Stopwatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Stopwatch" } else { "no stopwatch" })
    }
}

/// A flag that ends a query; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    cancelled: Arc<AtomicBool>,
    timed_out: Arc<AtomicBool>,
}

impl Cancel {
    /// The client has gone.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// The query's time is over.
    pub fn time_out(&self) {
        self.timed_out.store(true, Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<(), super::QueryError> {
        if self.timed_out.load(Ordering::Relaxed) {
            return Err(super::QueryError::Timeout);
        }
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(super::QueryError::Cancelled);
        }
        Ok(())
    }
}
