//! What the evaluation of one query carries: storage, times, budgets, annotations.

use super::column::{Column, OutSeries, Val, is_float};
use super::explain::Explain;
use super::notes::Notes;
use super::options::{EngineOptions, QueryOptions};
use super::reads::Reads;
use super::result::QueryError;
use super::shared::{DEEPEST, Shared};
use super::tally::{OUTERMOST, Tally, weight};
use crate::ast::{At, BinaryOp, DurationExpr, DurationExprKind, Expr, ExprKind, Modifiers, PosRange, Span};
use crate::parser::seconds_of;
use crate::storage::Queryable;
use rustc_hash::FxHashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The times of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Steps {
    pub(crate) start: i64,
    pub(crate) step: i64,
    pub(crate) n: usize,
    /// Whose steps they are: the query's or a subquery's. For counting alone, as is the next one.
    pub(crate) frame: u32,
    /// For how many steps the first one stands, where a part is the same at all of them.
    pub(crate) repeat: u32,
}

impl Steps {
    /// Those of the query itself.
    pub(crate) fn new(start: i64, step: i64, n: usize) -> Steps {
        Steps { start, step, n, frame: OUTERMOST, repeat: 1 }
    }

    pub(crate) fn time(&self, i: usize) -> i64 {
        self.start + self.step * i as i64
    }

    /// The first time alone.
    pub(crate) fn first(&self) -> Steps {
        Steps { n: 1, repeat: self.n as u32, ..*self }
    }
}

/// Samples, and the bytes that they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) samples: usize,
    pub(crate) bytes: usize,
}

impl Size {
    /// Bytes that hold no samples.
    pub(crate) fn bytes(bytes: usize) -> Size {
        Size { samples: 0, bytes }
    }

    /// So many columns of numbers.
    pub(crate) fn columns(columns: usize, steps: usize) -> Size {
        let samples = columns.saturating_mul(steps);
        Size { samples, bytes: samples.saturating_mul(size_of::<f64>()) }
    }

    #[must_use]
    pub(crate) fn plus(self, other: Size) -> Size {
        Size {
            samples: self.samples.saturating_add(other.samples),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

/// One query's evaluation.
pub(crate) struct Ctx<'a> {
    pub(crate) storage: &'a dyn Queryable,
    pub(crate) engine: &'a EngineOptions,
    pub(crate) options: &'a QueryOptions,
    pub(crate) lookback: i64,
    pub(crate) subquery_step: i64,
    pub(crate) query_start: i64,
    pub(crate) query_end: i64,
    pub(crate) query_step: i64,
    pub(crate) notes: Notes,
    /// Where selectors stand of whose histograms only count and sum are asked for.
    pub(crate) stats_only: Vec<usize>,
    /// Samples and bytes held now: results of operands that wait for their operator.
    held: AtomicUsize,
    held_bytes: AtomicUsize,
    /// Bytes of the lists of series that were selected.
    selected: AtomicUsize,
    peak: AtomicUsize,
    /// Bytes of the largest buffer with the samples of one series; each thread has one.
    decoded: AtomicUsize,
    /// Bytes that all queries hold, and this one's share of them.
    used: &'a AtomicUsize,
    charged: Mutex<usize>,
    /// What the selectors found, where it is asked for.
    pub(crate) explain: Option<Explain<'a>>,
    /// What fails the query once there is data for it.
    pending: Mutex<Option<String>>,
    /// What is warned of once there is data for it.
    pending_notes: Mutex<Vec<(PosRange, String)>>,
    noted: AtomicBool,
    failed: AtomicBool,
    pub(crate) tally: Tally,
    pub(crate) series: AtomicU64,
    pub(crate) select_nanos: AtomicU64,
    pub(crate) sort_nanos: AtomicU64,
    /// What stands in the query more than once.
    pub(crate) shared: Shared,
    /// Which selectors read the same series.
    pub(crate) reads: Reads,
}

/// Times beyond this (a hundred million years) are out of range, so that windows around them do not overflow.
pub(crate) const FAR: i64 = 4_000_000_000_000_000_000;

/// Most steps of an evaluation: what a column can index on any machine, and more than memory holds.
pub(crate) const MAX_STEPS: i64 = 1 << 31;

/// Bytes that a selected series costs besides its labels: what storage knows of it, and its places in lists.
const BYTES_PER_SERIES: usize = 160;

impl<'a> Ctx<'a> {
    pub(crate) fn new(
        storage: &'a dyn Queryable,
        expr: &'a Expr,
        (engine, used): (&'a EngineOptions, &'a AtomicUsize),
        options: &'a QueryOptions,
        (query_start, query_end, query_step): (i64, i64, i64),
    ) -> Self {
        let lookback = options.lookback_delta.unwrap_or(engine.lookback_delta_ms);
        let stats_only = stats_only(expr);
        // the same text reads histograms in two ways, depending on what stands around it
        let (shared, reads) = if stats_only.is_empty() { share(expr) } else { Default::default() };
        let steps = if query_step > 0 { (query_end - query_start) / query_step + 1 } else { 1 };
        let subquery_step = options.subquery_step_ms.unwrap_or(engine.subquery_step_ms);
        Ctx {
            storage,
            engine,
            options,
            lookback: if lookback > 0 { lookback } else { 300_000 },
            subquery_step: if subquery_step > 0 { subquery_step } else { 60_000 },
            query_start,
            query_end,
            query_step,
            notes: Notes::default(),
            stats_only,
            held: AtomicUsize::new(0),
            held_bytes: AtomicUsize::new(0),
            selected: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            decoded: AtomicUsize::new(0),
            used,
            charged: Mutex::new(0),
            explain: options.explain.then(|| Explain::new(expr, &options.stopwatch)),
            pending: Mutex::new(None),
            pending_notes: Mutex::new(Vec::new()),
            noted: AtomicBool::new(false),
            failed: AtomicBool::new(false),
            tally: Tally::new(options.per_step_stats.then_some(steps as usize)),
            series: AtomicU64::new(0),
            select_nanos: AtomicU64::new(0),
            sort_nanos: AtomicU64::new(0),
            shared,
            reads,
        }
    }

    pub(crate) fn held(&self) -> Size {
        Size { samples: self.held.load(Ordering::Relaxed), bytes: self.held_bytes.load(Ordering::Relaxed) }
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }

    /// Sets what is held, once an operator has consumed its operands.
    pub(crate) fn hold(&self, size: Size, part: &'static str) -> Result<(), QueryError> {
        self.held.store(size.samples, Ordering::Relaxed);
        self.held_bytes.store(size.bytes, Ordering::Relaxed);
        self.would_hold(Size::default(), part)
    }

    /// Checks the budgets as if so much more were held.
    pub(crate) fn would_hold(&self, more: Size, part: &'static str) -> Result<(), QueryError> {
        self.options.cancel.check()?;
        let total = self.held().plus(more);
        self.peak.fetch_max(total.samples, Ordering::Relaxed);
        if self.engine.max_samples > 0 && total.samples > self.engine.max_samples {
            return Err(QueryError::TooManySamples);
        }
        let buffers = self.decoded.load(Ordering::Relaxed).saturating_mul(rayon::current_num_threads());
        let lists = self.selected.load(Ordering::Relaxed);
        let bytes =
            total.bytes.saturating_add(buffers).saturating_add(lists).saturating_add(self.reads.held());
        let budget = self.options.memory_budget;
        if budget > 0 && bytes > budget {
            return Err(QueryError::OverBudget { budget, part });
        }
        self.charge(bytes, part)
    }

    /// Takes so many bytes of what all queries may hold together, instead of what it had before.
    fn charge(&self, bytes: usize, part: &'static str) -> Result<(), QueryError> {
        let mut charged = self.charged.lock().unwrap_or_else(PoisonError::into_inner);
        if bytes <= *charged {
            self.used.fetch_sub(*charged - bytes, Ordering::Relaxed);
        } else {
            let more = bytes - *charged;
            let all = self.used.fetch_add(more, Ordering::Relaxed).saturating_add(more);
            let budget = self.engine.memory_budget;
            if budget > 0 && all > budget {
                self.used.fetch_sub(more, Ordering::Relaxed);
                return Err(QueryError::OverGlobalBudget { budget, part });
            }
        }
        *charged = bytes;
        Ok(())
    }

    /// Notes that a series has been read into a buffer of so many bytes.
    pub(crate) fn decoded(&self, pos: PosRange, samples: usize, bytes: usize) -> Result<(), QueryError> {
        if let Some(explain) = &self.explain {
            explain.passed(pos, samples, bytes);
        }
        if bytes > self.decoded.load(Ordering::Relaxed) {
            self.decoded.fetch_max(bytes, Ordering::Relaxed);
            return self.would_hold(Size::default(), "the samples of a series");
        }
        self.options.cancel.check()
    }

    /// Notes series that were selected.
    pub(crate) fn selected(
        &self,
        series: &[std::sync::Arc<dyn crate::storage::Series>],
    ) -> Result<(), QueryError> {
        self.series.fetch_add(series.len() as u64, Ordering::Relaxed);
        let labels: usize = series.iter().map(|s| s.labels().packed_len()).sum();
        self.selected.fetch_add(labels + series.len() * BYTES_PER_SERIES, Ordering::Relaxed);
        self.would_hold(Size::default(), "the list of selected series")
    }

    /// Notes an error that counts only where a function then finds data: see [`Ctx::filled`].
    pub(crate) fn fail_where_filled(&self, text: String) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(text);
    }

    /// Says that a function with bad arguments has found data.
    pub(crate) fn filled(&self) {
        self.failed.store(true, Ordering::Relaxed);
    }

    /// Notes a warning that counts only where a function then finds data: see [`Ctx::noted`].
    pub(crate) fn warn_where_filled(&self, pos: PosRange, text: String) {
        self.pending_notes.lock().unwrap_or_else(PoisonError::into_inner).push((pos, text));
    }

    /// Says that a function with arguments to be warned of has found data.
    pub(crate) fn noted(&self) {
        self.noted.store(true, Ordering::Relaxed);
    }

    /// The error that was noted, where it counts; warnings that do are added to the annotations.
    pub(crate) fn check_pending(&self) -> Result<(), QueryError> {
        if self.noted.load(Ordering::Relaxed) {
            for (pos, text) in self.pending_notes.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                self.notes.warn(pos, text);
            }
        }
        let pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        match &*pending {
            Some(text) if self.failed.load(Ordering::Relaxed) => Err(QueryError::Execution(text.clone())),
            _ => Ok(()),
        }
    }

    /// The length of a range, offset or step in milliseconds.
    pub(crate) fn span(&self, span: &Span, positive: bool) -> Result<i64, QueryError> {
        match span {
            Span::Millis(ms) => Ok(*ms),
            Span::Expr(expr) => {
                let seconds = self.duration(expr)?;
                let fail = |what: &str| Err(bad_duration(expr, what));
                if positive && (seconds <= 0.0 || seconds.is_nan()) {
                    return fail("duration must be greater than 0");
                }
                // as long as Prometheus' durations: 2^63 nanoseconds
                if seconds.is_nan() || seconds.abs() > 9_223_372_036.0 {
                    return fail("duration is out of range");
                }
                // whole nanoseconds, then whole milliseconds, both cut off
                Ok((seconds * 1e9) as i64 / 1_000_000)
            }
        }
    }

    /// Looks at all lengths before anything is evaluated.
    pub(crate) fn check_spans(&self, expr: &Expr) -> Result<(), QueryError> {
        let mut todo = vec![expr];
        while let Some(expr) = todo.pop() {
            let (range, step, modifiers) = match &expr.kind {
                ExprKind::Vector(selector) => (None, None, Some(&selector.modifiers)),
                ExprKind::Matrix { selector, range, .. } => (Some(range), None, Some(&selector.modifiers)),
                ExprKind::Subquery { range, step, modifiers, .. } => {
                    (Some(range), step.as_ref(), Some(modifiers))
                }
                _ => (None, None, None),
            };
            for span in [range, step].into_iter().flatten() {
                self.span(span, true)?;
            }
            if let Some(span) = modifiers.and_then(|m| m.offset.as_ref()) {
                self.span(span, false)?;
            }
            todo.extend(expr.children().into_iter().rev());
        }
        Ok(())
    }

    fn duration(&self, expr: &DurationExpr) -> Result<f64, QueryError> {
        Ok(match &expr.kind {
            DurationExprKind::Number { value, .. } => *value,
            DurationExprKind::Step => seconds_of(self.query_step),
            DurationExprKind::Range => seconds_of(self.query_end - self.query_start),
            DurationExprKind::Unary { negative, expr } => {
                let v = self.duration(expr)?;
                if *negative { -v } else { v }
            }
            DurationExprKind::Binary { op, lhs, rhs } => {
                let (l, r) = (self.duration(lhs)?, self.duration(rhs)?);
                match op {
                    BinaryOp::Add => l + r,
                    BinaryOp::Sub => l - r,
                    BinaryOp::Mul => l * r,
                    BinaryOp::Div if r == 0.0 => return Err(bad_duration(expr, "division by zero")),
                    BinaryOp::Mod if r == 0.0 => return Err(bad_duration(expr, "modulo by zero")),
                    BinaryOp::Div => l / r,
                    BinaryOp::Mod => l % r,
                    _ => l.powf(r),
                }
            }
            DurationExprKind::Min(a, b) => self.duration(a)?.min(self.duration(b)?),
            DurationExprKind::Max(a, b) => self.duration(a)?.max(self.duration(b)?),
            DurationExprKind::Paren(inner) => self.duration(inner)?,
        })
    }

    /// The times that a selector or subquery looks from, given the steps of the evaluation.
    pub(crate) fn reference(&self, modifiers: &Modifiers, steps: Steps) -> Result<Reference, QueryError> {
        let offset = match &modifiers.offset {
            Some(span) => self.span(span, false)?,
            None => 0,
        };
        let fixed = modifiers.at.map(|at| match at {
            At::Timestamp(ms) => ms,
            At::Start => self.query_start,
            At::End => self.query_end,
        });
        let fixed = fixed.map(|t| t.clamp(-FAR, FAR) - offset);
        Ok(Reference { steps, fixed, offset })
    }
}

/// What stands in a query more than once: parts, and selectors in what is left.
fn share(expr: &Expr) -> (Shared, Reads) {
    if expr.depth() > DEEPEST {
        return Default::default();
    }
    let shared = Shared::find(expr);
    let mut seen = FxHashSet::default();
    let reads = Reads::find(expr, |part| shared.stood_before(&mut seen, part));
    (shared, reads)
}

impl Drop for Ctx<'_> {
    fn drop(&mut self) {
        let charged = self.charged.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.used.fetch_sub(*charged, Ordering::Relaxed);
    }
}

/// A length that makes no sense, with its place in the text as Prometheus shows it: first byte and byte after the last.
fn bad_duration(expr: &DurationExpr, what: &str) -> QueryError {
    let (start, end) = (expr.pos.start, expr.pos.end);
    QueryError::BadData(format!("{start}:{end}: {what}"))
}

/// Selectors below `histogram_count`, `histogram_sum` or `histogram_avg`, and below nothing that looks at buckets: of their
/// histograms only count and sum are taken, and counter resets are looked for as they are read, as Prometheus does where it decodes no
/// buckets.
fn stats_only(expr: &Expr) -> Vec<usize> {
    // whether count or sum are asked for, and whether buckets are
    let (mut found, mut todo) = (Vec::new(), vec![(expr, false, false)]);
    while let Some((expr, mut stats, mut buckets)) = todo.pop() {
        match &expr.kind {
            ExprKind::Vector(_) | ExprKind::Matrix { .. } if stats && !buckets => found.push(expr.pos.start),
            ExprKind::Subquery { .. } => continue,
            ExprKind::Call { func, .. } => match func.name {
                "histogram_count" | "histogram_sum" | "histogram_avg" => stats = true,
                "histogram_quantile" | "histogram_quantiles" | "histogram_fraction" => buckets = true,
                _ => {}
            },
            ExprKind::Binary { op: BinaryOp::TrimUpper | BinaryOp::TrimLower, .. } => buckets = true,
            _ => {}
        }
        todo.extend(expr.children().into_iter().map(|child| (child, stats, buckets)));
    }
    found
}

/// Where a selector's windows end, step by step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) steps: Steps,
    fixed: Option<i64>,
    pub(crate) offset: i64,
}

impl Reference {
    /// That of a selector without modifiers.
    #[cfg(test)]
    pub(crate) fn plain(steps: Steps) -> Self {
        Reference { steps, fixed: None, offset: 0 }
    }

    #[inline]
    pub(crate) fn time(&self, i: usize) -> i64 {
        match self.fixed {
            Some(t) => t,
            None => self.steps.time(i) - self.offset,
        }
    }

    pub(crate) fn first(&self) -> i64 {
        self.time(0)
    }

    pub(crate) fn last(&self) -> i64 {
        self.time(self.steps.n.max(1) - 1)
    }
}

/// What a result holds.
pub(crate) fn size(val: &Val) -> Size {
    match val {
        Val::Scalar(values) => Size::columns(1, values.len()),
        Val::Str(text) => Size { samples: 1, bytes: text.len() },
        Val::Vector(series) => series.iter().map(series_size).fold(Size::default(), Size::plus),
    }
}

pub(crate) fn series_size(series: &OutSeries) -> Size {
    let floats = series.col.values.iter().filter(|v| is_float(**v)).count();
    let Column { values, hists } = &series.col;
    let mut bytes = size_of::<OutSeries>() + series.labels.packed_len() + 8 * (values.len() + hists.len());
    let mut weights = 0;
    for h in hists.iter().flatten() {
        bytes += crate::storage::histogram_bytes(h);
        weights += weight(h) as usize;
    }
    Size { samples: floats + weights, bytes }
}
