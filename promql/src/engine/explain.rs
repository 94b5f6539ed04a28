//! What each part of a query took and yielded, and what may have been meant where a selector found nothing.

use super::column::Val;
use super::context::{Ctx, size};
use super::options::Stopwatch;
use super::result::QueryError;
use crate::ast::{Expr, ExprKind, PosRange};
use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher};
use rustc_hash::FxHashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What one node of a query's tree took and yielded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explained {
    /// Where it stands in the query.
    pub pos: PosRange,
    /// How far below the root it stands: 0 is the root, and the nodes below a node follow it.
    pub depth: usize,
    /// What it is: a selector's text, a function's or operator's name.
    pub node: String,
    /// Series that a selector selected; of any other node the series that it yielded.
    pub series: u64,
    /// Samples that a selector read; of any other node the values that it yielded, over all steps.
    pub samples: u64,
    /// Bytes of the buffers into which a selector read; of any other node those of what it yielded.
    pub bytes: u64,
    /// Nanoseconds, those of the nodes below included; summed over the cores where a node goes through its series on several. 0
    /// where the caller gave no stopwatch.
    pub nanos: u64,
    /// Of a selector that selected nothing: what is there instead of what was asked for.
    pub hint: Option<String>,
}

/// The nodes of a query while it is evaluated.
pub(crate) struct Explain<'a> {
    nodes: Vec<Node<'a>>,
    /// Each node has a place of its own in the text.
    by_place: FxHashMap<(usize, usize), usize>,
    stopwatch: &'a Stopwatch,
}

struct Node<'a> {
    expr: &'a Expr,
    depth: usize,
    series: AtomicU64,
    samples: AtomicU64,
    bytes: AtomicU64,
    nanos: AtomicU64,
}

impl<'a> Explain<'a> {
    pub(crate) fn new(root: &'a Expr, stopwatch: &'a Stopwatch) -> Self {
        let (mut nodes, mut by_place) = (Vec::new(), FxHashMap::default());
        let mut todo = vec![(root, 0)];
        while let Some((expr, depth)) = todo.pop() {
            by_place.insert((expr.pos.start, expr.pos.end), nodes.len());
            let zero = || AtomicU64::new(0);
            nodes.push(Node { expr, depth, series: zero(), samples: zero(), bytes: zero(), nanos: zero() });
            todo.extend(expr.children().into_iter().rev().map(|child| (child, depth + 1)));
        }
        Explain { nodes, by_place, stopwatch }
    }

    /// Nanoseconds by the stopwatch.
    pub(crate) fn now(&self) -> u64 {
        self.stopwatch.nanos()
    }

    fn at(&self, pos: PosRange) -> Option<&Node<'a>> {
        self.by_place.get(&(pos.start, pos.end)).map(|at| &self.nodes[*at])
    }

    /// Adds the time since `began`.
    pub(crate) fn took(&self, pos: PosRange, began: u64) {
        if let Some(node) = self.at(pos) {
            node.nanos.fetch_add(self.now().saturating_sub(began), Relaxed);
        }
    }

    /// Notes how many series a selector has found, or a stream will yield.
    pub(crate) fn selected(&self, pos: PosRange, series: usize) {
        if let Some(node) = self.at(pos) {
            node.series.fetch_max(series as u64, Relaxed);
        }
    }

    /// Notes what was read for a selector, or yielded of one series.
    pub(crate) fn passed(&self, pos: PosRange, samples: usize, bytes: usize) {
        if let Some(node) = self.at(pos) {
            node.samples.fetch_add(samples as u64, Relaxed);
            node.bytes.fetch_add(bytes as u64, Relaxed);
        }
    }

    /// Notes what a node yielded; a selector's own counts are those of what it read.
    pub(crate) fn yielded(&self, expr: &Expr, val: &Val, began: u64) {
        self.took(expr.pos, began);
        if matches!(expr.kind, ExprKind::Vector(_) | ExprKind::Matrix { .. }) {
            return;
        }
        let series = if let Val::Vector(series) = val { series.len() } else { 1 };
        self.selected(expr.pos, series);
        let held = size(val);
        self.passed(expr.pos, held.samples, held.bytes);
    }
}

/// The nodes in the order of the tree, with hints.
///
/// # Errors
/// Where storage could not be read.
pub(crate) fn finish(ctx: &Ctx<'_>) -> Result<Vec<Explained>, QueryError> {
    let Some(explain) = &ctx.explain else { return Ok(Vec::new()) };
    let mut all = Vec::with_capacity(explain.nodes.len());
    for node in &explain.nodes {
        let series = node.series.load(Relaxed);
        let hint = match &node.expr.kind {
            ExprKind::Vector(s) | ExprKind::Matrix { selector: s, .. } if series == 0 => {
                hint(ctx, &s.matchers)?
            }
            _ => None,
        };
        all.push(Explained {
            pos: node.expr.pos,
            depth: node.depth,
            node: head(node.expr),
            series,
            samples: node.samples.load(Relaxed),
            bytes: node.bytes.load(Relaxed),
            nanos: node.nanos.load(Relaxed),
            hint,
        });
    }
    Ok(all)
}

/// A node without those below it.
fn head(expr: &Expr) -> String {
    match &expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) | ExprKind::Vector(_) | ExprKind::Matrix { .. } => {
            expr.to_string()
        }
        ExprKind::Subquery { range, step, modifiers, .. } => {
            crate::printer::subquery_suffix(range, step.as_ref(), modifiers)
        }
        ExprKind::Call { func, .. } => func.name.to_owned(),
        ExprKind::Aggregate { op, grouping, without, .. } => {
            format!("{}{}", op.name(), crate::printer::grouping_clause(grouping, *without)).trim().to_owned()
        }
        ExprKind::Binary { op, matching, return_bool, .. } => {
            let matching = matching.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{}{}{matching}", op.symbol(), if *return_bool { " bool" } else { "" })
        }
        ExprKind::Unary { negative, .. } => if *negative { "-" } else { "+" }.to_owned(),
        ExprKind::Paren(_) => "()".to_owned(),
    }
}
/// The first condition, the name's before the others, that leaves nothing of what the ones before it left.
fn hint(ctx: &Ctx<'_>, matchers: &[Matcher]) -> Result<Option<String>, QueryError> {
    let mut ordered: Vec<&Matcher> = matchers.iter().collect();
    ordered.sort_by_key(|m| m.name != METRIC_NAME);
    let mut before: Vec<Matcher> = Vec::new();
    for m in ordered {
        let Some(values) = ctx.storage.label_values(&m.name, &before)? else { return Ok(None) };
        let found = values.iter().any(|v| m.matches(v));
        if !found && !m.matches_empty() {
            let what = if m.name == METRIC_NAME { "metric" } else { m.name.as_str() };
            return Ok(Some(match nearest(m, &values) {
                Some(value) => format!("no {what} {m}; the nearest is {}", model::float::quote(value)),
                None => format!("no {what} {m}, and none like it"),
            }));
        }
        before.push(m.clone());
    }
    Ok(None)
}

/// Most values that are compared: a hint need not be the best of millions.
const MAX_COMPARED: usize = 100_000;

/// The value that differs least from what was asked for, if it differs by less than half.
fn nearest<'v>(m: &Matcher, values: &'v [String]) -> Option<&'v String> {
    if m.op != MatchOp::Equal {
        return None;
    }
    let wanted: Vec<char> = m.value.chars().take(200).collect();
    let best = values.iter().take(MAX_COMPARED).map(|v| (distance(&wanted, v), v)).min()?;
    (best.0 * 2 <= wanted.len().max(2)).then_some(best.1)
}

/// Insertions, deletions and changes between two texts (Levenshtein).
fn distance(a: &[char], b: &str) -> usize {
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (i, c) in b.chars().take(200).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, d) in a.iter().enumerate() {
            let change = diagonal + usize::from(*d != c);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[a.len()]
}
