//! The engine: evaluates a query for all its steps, one series at a time, over columns.
//!
//! A series is read once into a buffer; the window slides over it; the result is a column with one place per step.
//! No map is looked at per step. Aggregations above add each column to their groups and drop it.

mod options;
mod result;

pub use options::{EngineOptions, QueryOptions};
pub use result::{Points, QueryError, QueryResult, QueryStats, Sample, Value};

use crate::ast::Expr;
use crate::storage::Queryable;

/// Evaluates queries. Cheap to share; holds no state of a query.
#[derive(Debug, Default)]
pub struct Engine {
    options: EngineOptions,
}

impl Engine {
    /// An engine with these options.
    pub fn new(options: EngineOptions) -> Self {
        Engine { options }
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
        _storage: &dyn Queryable,
        _expr: &Expr,
        _at: i64,
        _options: &QueryOptions,
    ) -> Result<QueryResult, QueryError> {
        Err(QueryError::Execution("engine not built in".to_owned()))
    }

    /// The values of a query at `start`, `start + step`, … up to `end` (milliseconds since the epoch).
    ///
    /// # Errors
    /// See [`QueryError`].
    pub fn range(
        &self,
        _storage: &dyn Queryable,
        _expr: &Expr,
        _start: i64,
        _end: i64,
        _step: i64,
        _options: &QueryOptions,
    ) -> Result<QueryResult, QueryError> {
        Err(QueryError::Execution("engine not built in".to_owned()))
    }
}
