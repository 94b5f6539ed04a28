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
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions {
            lookback_delta_ms: 0,
            max_samples: 50_000_000,
            subquery_step_ms: 0,
            memory_budget: 0,
            delayed_name_removal: false,
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
    /// Says in the result what each selector found.
    pub explain: bool,
    /// At most so many series in the result; 0 means all. A warning says when it cut.
    pub limit: usize,
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
