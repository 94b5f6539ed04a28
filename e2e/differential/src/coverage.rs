//! Which parts of the language a run has seen with a result that is not empty.

use crate::answer::Answer;
use crate::query::Query;
use promql::ast::{AggregateOp, BinaryOp, Expr, ExprKind};
use promql::functions::FUNCTIONS;
use promql::{Features, parse_with};
use std::collections::BTreeMap;

/// Counts of queries.
#[derive(Default)]
pub(crate) struct Coverage {
    failed: usize,
    empty: usize,
    filled: usize,
    /// Queries to which Prometheus gives more than one answer.
    pub(crate) undecided: usize,
    /// Queries that differ for a reason of `known`.
    pub(crate) known: BTreeMap<&'static str, usize>,
    seen: BTreeMap<&'static str, usize>,
}

const AGGREGATIONS: [AggregateOp; 14] = [
    AggregateOp::Sum,
    AggregateOp::Avg,
    AggregateOp::Count,
    AggregateOp::Min,
    AggregateOp::Max,
    AggregateOp::Group,
    AggregateOp::Stddev,
    AggregateOp::Stdvar,
    AggregateOp::Topk,
    AggregateOp::Bottomk,
    AggregateOp::CountValues,
    AggregateOp::Quantile,
    AggregateOp::Limitk,
    AggregateOp::LimitRatio,
];

const OPERATORS: [BinaryOp; 18] = [
    BinaryOp::Add,
    BinaryOp::Sub,
    BinaryOp::Mul,
    BinaryOp::Div,
    BinaryOp::Mod,
    BinaryOp::Pow,
    BinaryOp::Atan2,
    BinaryOp::Eq,
    BinaryOp::Ne,
    BinaryOp::Lt,
    BinaryOp::Le,
    BinaryOp::Gt,
    BinaryOp::Ge,
    BinaryOp::And,
    BinaryOp::Or,
    BinaryOp::Unless,
    BinaryOp::TrimUpper,
    BinaryOp::TrimLower,
];

impl Coverage {
    /// Counts what a query is made of.
    pub(crate) fn see(&mut self, query: &Query, answer: &Answer) {
        if matches!(answer, Answer::Failed { .. }) {
            self.failed += 1;
        } else if answer.has_samples() {
            self.filled += 1;
            if let Ok(expr) = parse_with(&query.text, &Features::all()) {
                self.walk(&expr);
            }
        } else {
            self.empty += 1;
        }
    }

    fn walk(&mut self, expr: &Expr) {
        let name = match &expr.kind {
            ExprKind::Call { func, .. } => func.name,
            ExprKind::Aggregate { op, .. } => op.name(),
            ExprKind::Binary { op, .. } => op.symbol(),
            _ => "",
        };
        *self.seen.entry(name).or_default() += 1;
        expr.children().into_iter().for_each(|child| self.walk(child));
    }

    /// Prints counts, and what was seen rarely.
    pub(crate) fn print(&self) {
        println!("answers: {} with samples, {} empty, {} errors", self.filled, self.empty, self.failed);
        println!("{} queries with more than one answer", self.undecided);
        for (reason, n) in &self.known {
            println!("{n} differ by decision: {reason}");
        }
        let functions = FUNCTIONS.iter().map(|f| f.name);
        let all = functions
            .chain(AGGREGATIONS.iter().map(|a| a.name()))
            .chain(OPERATORS.iter().map(|o| o.symbol()));
        let mut rare: Vec<(usize, &str)> =
            all.map(|name| (self.seen.get(name).copied().unwrap_or(0), name)).collect();
        rare.sort_unstable();
        let shown: Vec<String> = rare.iter().take(8).map(|(n, name)| format!("{name} {n}")).collect();
        println!("seen least with samples: {}", shown.join(", "));
    }
}
