//! The engine: evaluates a query for all its steps, one series at a time, over columns.
//!
//! A series is read once into a buffer; the window slides over it; the result is a column with one place per step.
//! No map is looked at per step. Aggregations above add each column to their groups and drop it.

mod absent;
mod aggregate;
mod binary;
mod calendar;
mod call;
mod classic;
mod column;
mod context;
mod eval;
mod explain;
mod finish;
mod held;
mod histogram_fn;
mod hyperbolic;
mod info;
mod kahan;
mod keys;
mod label_fn;
mod matching;
mod notes;
mod options;
mod range_fn;
mod reads;
mod result;
mod sampling;
mod select;
mod shared;
mod tally;
mod topk;
mod window;

pub(crate) use classic::{nearly, parse_bound};
pub use explain::Explained;
pub use held::Held;
pub(crate) use kahan::Kahan;
pub use options::{Cancel, EngineOptions, QueryOptions, Stopwatch};
pub use result::{Points, QueryError, QueryResult, QueryStats, Sample, StepStats, Value};

use crate::ast::{Expr, ValueType};
use crate::storage::Queryable;
use context::{Ctx, FAR, MAX_STEPS, Size, Steps};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

/// Evaluates queries. Cheap to share; holds no state of a query.
#[derive(Debug, Default)]
pub struct Engine {
    options: EngineOptions,
    /// Bytes that all running queries hold.
    used: Arc<AtomicUsize>,
}

/// Deeper trees than this are evaluated on a thread of their own, with a stack to match.
const DEEP: usize = 64;
/// Stack for one level of the tree; more than any operator's frames need, also unoptimised.
const STACK_PER_LEVEL: usize = 64 << 10;

impl Engine {
    /// An engine with these options.
    pub fn new(options: EngineOptions) -> Self {
        Engine { options, used: Arc::default() }
    }

    /// The options it was made with.
    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// The value of a query at one time (milliseconds since the epoch).
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn instant(
        &self,
        storage: &dyn Queryable,
        expr: &Expr,
        at: i64,
        options: &QueryOptions,
    ) -> Result<QueryResult, QueryError> {
        check_time(at)?;
        let ctx = Ctx::new(storage, expr, (&self.options, &*self.used), options, (at, at, 0));
        ctx.check_spans(expr)?;
        // a step of 1 ms is never taken
        let steps = Steps::new(at, 1, 1);
        let value = on_deep_stack(expr, || {
            if expr.value_type() == ValueType::Matrix {
                return finish::matrix(&ctx, expr, steps);
            }
            finish::instant(&ctx, eval::eval(&ctx, expr, steps)?, at)
        })?;
        ctx.check_pending()?;
        finish::result(&ctx, value, steps)
    }

    /// The values of a query at `start`, `start + step`, … up to `end` (milliseconds since the epoch).
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn range(
        &self,
        storage: &dyn Queryable,
        expr: &Expr,
        start: i64,
        end: i64,
        step: i64,
        options: &QueryOptions,
    ) -> Result<QueryResult, QueryError> {
        let found = expr.value_type();
        if !matches!(found, ValueType::Scalar | ValueType::Vector) {
            return Err(QueryError::BadData(format!(
                "invalid expression type {:?} for range query, must be Scalar or instant Vector",
                found.documented()
            )));
        }
        if step <= 0 {
            return Err(QueryError::BadData("zero or negative query resolution step".to_owned()));
        }
        check_time(start)?;
        check_time(end)?;
        if end < start {
            return Err(QueryError::BadData("end timestamp must not be before start time".to_owned()));
        }
        let n = (end - start) / step + 1;
        if n > MAX_STEPS {
            return Err(QueryError::BadData(format!("{n} steps are more than {MAX_STEPS}")));
        }
        let steps = Steps::new(start, step, n as usize);
        let ctx = Ctx::new(storage, expr, (&self.options, &*self.used), options, (start, end, step));
        ctx.check_spans(expr)?;
        ctx.would_hold(Size::columns(1, steps.n), "the steps of the query")?;
        let value = on_deep_stack(expr, || finish::range(&ctx, eval::eval(&ctx, expr, steps)?, steps))?;
        ctx.check_pending()?;
        finish::result(&ctx, value, steps)
    }
}

fn check_time(t: i64) -> Result<(), QueryError> {
    if (-FAR..=FAR).contains(&t) {
        return Ok(());
    }
    Err(QueryError::BadData(format!("time {t} ms is out of range")))
}

/// Runs an evaluation where the tree's depth cannot overflow the stack.
fn on_deep_stack<T: Send>(
    expr: &Expr,
    run: impl FnOnce() -> Result<T, QueryError> + Send,
) -> Result<T, QueryError> {
    let depth = expr.depth();
    if depth <= DEEP {
        return run();
    }
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().stack_size(depth * STACK_PER_LEVEL);
        let thread = builder
            .spawn_scoped(scope, run)
            .map_err(|e| QueryError::Execution(format!("no thread for a deep query: {e}")))?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
