//! What a query yields.

use crate::ast::ValueType;
use crate::parser::ParseError;
use crate::storage::StorageError;
use model::{FloatHistogram, Labels};
use std::sync::Arc;

/// A value, what is to be said about it, and what it cost.
#[derive(Clone, Debug)]
pub struct QueryResult {
    /// The value.
    pub value: Value,
    /// What may make the value wrong, each once.
    pub warnings: Vec<String>,
    /// What may be a mistake in the query, each once.
    pub infos: Vec<String>,
    /// What it cost.
    pub stats: QueryStats,
    /// What each node of the query took and yielded, in the order of the tree; only where it was asked for.
    pub explain: Vec<super::Explained>,
}

/// What a query cost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueryStats {
    /// Samples in the windows of all steps: one that stands in several windows counts in each.
    pub total_samples: u64,
    /// The same without those that the window of the step before held already.
    pub samples_read: u64,
    /// Both for each step, in order; only where it was asked for.
    pub per_step: Vec<StepStats>,
    /// Most samples held at once.
    pub peak_samples: u64,
    /// Series read.
    pub series: u64,
    /// Nanoseconds that selecting series took; 0 without a stopwatch.
    pub select_nanos: u64,
    /// Nanoseconds that sorting the result took; 0 without a stopwatch.
    pub sort_nanos: u64,
}

/// Samples of one step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StepStats {
    /// Milliseconds since the epoch.
    pub t: i64,
    /// Samples in its windows.
    pub total_samples: u64,
    /// Those that the step before did not have in its windows.
    pub samples_read: u64,
}

/// The value of a query. Times are milliseconds since the epoch.
#[derive(Clone, Debug)]
pub enum Value {
    /// A number.
    Scalar {
        /// When.
        t: i64,
        /// The number.
        v: f64,
    },
    /// A string.
    String {
        /// When.
        t: i64,
        /// The text.
        v: String,
    },
    /// One sample per series, in the order that the operators leave.
    Vector(Vec<(Labels, i64, Sample)>),
    /// Samples over time per series, sorted by labels.
    Matrix(Vec<(Labels, Points)>),
}

impl Value {
    /// The type as the HTTP API names it.
    pub fn value_type(&self) -> ValueType {
        match self {
            Value::Scalar { .. } => ValueType::Scalar,
            Value::String { .. } => ValueType::String,
            Value::Vector(_) => ValueType::Vector,
            Value::Matrix(_) => ValueType::Matrix,
        }
    }
}

/// A number or a histogram.
#[derive(Clone, Debug, PartialEq)]
pub enum Sample {
    /// A number.
    Float(f64),
    /// A histogram.
    Histogram(Arc<FloatHistogram>),
}

/// Samples of one series as columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Points {
    /// Times of the numbers, ascending.
    pub timestamps: Vec<i64>,
    /// The numbers.
    pub values: Vec<f64>,
    /// The histograms with their times, ascending.
    pub histograms: Vec<(i64, Arc<FloatHistogram>)>,
}

impl Points {
    /// How many samples.
    pub fn len(&self) -> usize {
        self.timestamps.len() + self.histograms.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a query has no value.
#[derive(Clone, Debug, thiserror::Error)]
pub enum QueryError {
    /// The text is no query.
    #[error("invalid parameter \"query\": {0}")]
    Parse(#[from] ParseError),
    /// The query or its parameters make no sense.
    #[error("{0}")]
    BadData(String),
    /// Evaluation met something that it cannot go on with.
    #[error("{0}")]
    Execution(String),
    /// The client went.
    #[error("query was canceled in query execution")]
    Cancelled,
    /// It took too long.
    #[error("query timed out in query execution")]
    Timeout,
    /// It would hold more samples than allowed.
    #[error("query processing would load too many samples into memory in query execution")]
    TooManySamples,
    /// It would hold more bytes than allowed.
    #[error("query needs more than its memory budget of {budget} bytes in {part}")]
    OverBudget {
        /// The budget in bytes.
        budget: usize,
        /// The part which grew.
        part: &'static str,
    },
    /// All queries together would hold more bytes than allowed.
    #[error(
        "all queries together need more than their memory budget of {budget} bytes; this one grew in {part}"
    )]
    OverGlobalBudget {
        /// The budget in bytes.
        budget: usize,
        /// The part which grew.
        part: &'static str,
    },
    /// Storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}
