//! A query with all that decides its answer.

use crate::compare::Order;
use promql::ast::{AggregateOp, ExprKind};
use promql::{Features, parse_with};
use std::fmt;

/// When a query is evaluated; milliseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    At(i64),
    Range { start: i64, end: i64, step: i64 },
}

/// A query with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    pub(crate) text: String,
    pub(crate) when: When,
    /// Lookback delta in milliseconds, where it is not the default.
    pub(crate) lookback: Option<i64>,
    /// Asked of engines that drop names at the end of a query.
    pub(crate) delayed_names: bool,
}

impl Query {
    /// What the language says of the order of the result.
    pub(crate) fn order(&self) -> Order {
        let Ok(expr) = parse_with(&self.text, &Features::all()) else { return Order::Any };
        match (&self.when, &expr.unwrapped().kind) {
            (When::At(_), ExprKind::Call { func, .. }) if func.name.starts_with("sort_by_label") => {
                Order::Labels
            }
            (When::At(_), ExprKind::Call { func, .. }) if func.name.starts_with("sort") => Order::Values,
            (
                When::At(_),
                ExprKind::Aggregate {
                    op: AggregateOp::Topk | AggregateOp::Bottomk, grouping, without, ..
                },
            ) if grouping.is_empty() && !without => Order::Values,
            _ => Order::Any,
        }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.when {
            When::At(t) => write!(f, "--at {t}")?,
            When::Range { start, end, step } => write!(f, "--range {start},{end},{step}")?,
        }
        if let Some(lookback) = self.lookback {
            write!(f, " --lookback {lookback}")?;
        }
        if self.delayed_names {
            write!(f, " --delayed-names")?;
        }
        write!(f, " --query '{}'", self.text.replace('\'', "'\\''"))
    }
}
