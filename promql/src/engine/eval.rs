//! Evaluation of a tree: each node yields its value at all steps.

use super::column::{Column, OutSeries, Val, is_absent};
use super::context::{Ctx, MAX_STEPS, Reference, Size, Steps, size};
use super::explain::Explain;
use super::range_fn::Call;
use super::result::QueryError;
use super::select::{self, Around, Range, Stream, keeps_name};
use super::tally::WHOLE;
use super::window::Samples;
use super::{aggregate, binary, call};
use crate::ast::{Boundary, Expr, ExprKind, Modifiers, PosRange, Span, ValueType};
use hashbrown::HashTable;
use model::FloatHistogram;
use model::histogram::CounterReset;
use model::labels::METRIC_NAME;
use rayon::prelude::*;

/// The value of an expression at all steps.
pub(crate) fn eval(ctx: &Ctx<'_>, expr: &Expr, steps: Steps) -> Result<Val, QueryError> {
    let before = ctx.held();
    let began = ctx.explain.as_ref().map_or(0, Explain::now);
    let fresh = match ctx.shared.recall(ctx, expr, steps) {
        Ok(val) => {
            ctx.hold(before.plus(size(&val)), "an intermediate result")?;
            if let Some(explain) = &ctx.explain {
                explain.yielded(expr, &val, began);
            }
            return Ok(val);
        }
        Err(fresh) => fresh,
    };
    let once = steps.n > 1 && is_invariant(expr);
    let val =
        if once { broadcast(node(ctx, expr, steps.first())?, steps.n) } else { node(ctx, expr, steps)? };
    ctx.hold(before.plus(size(&val)), "an intermediate result")?;
    if let Some(explain) = &ctx.explain {
        explain.yielded(expr, &val, began);
    }
    if let Some(fresh) = fresh {
        ctx.would_hold(size(&val), "a part that stands in the query more than once")?;
        ctx.shared.keep(ctx, fresh, &val);
    }
    Ok(val)
}

fn broadcast(val: Val, n: usize) -> Val {
    match val {
        Val::Scalar(values) => Val::Scalar(vec![values[0]; n]),
        Val::Str(text) => Val::Str(text),
        Val::Vector(series) => {
            Val::Vector(series.into_iter().map(|s| OutSeries { col: s.col.broadcast(n), ..s }).collect())
        }
    }
}

fn node(ctx: &Ctx<'_>, expr: &Expr, steps: Steps) -> Result<Val, QueryError> {
    if let Some(stream) = unwatched(ctx, expr, steps, Around::default())? {
        return settle(ctx, stream.collect(ctx)?).map(Val::Vector);
    }
    match &expr.kind {
        ExprKind::Number { value, .. } => Ok(Val::Scalar(vec![*value; steps.n])),
        ExprKind::String(text) => Ok(Val::Str(text.clone())),
        ExprKind::Paren(inner) => eval(ctx, inner, steps),
        ExprKind::Unary { negative, expr } => unary(ctx, *negative, expr, steps),
        ExprKind::Binary { .. } => binary::eval(ctx, expr, steps),
        ExprKind::Aggregate { .. } => aggregate::eval(ctx, expr, steps).map(Val::Vector),
        ExprKind::Call { func, args } => call::eval(ctx, expr, func, args, steps),
        ExprKind::Vector(_) | ExprKind::Matrix { .. } | ExprKind::Subquery { .. } => {
            Err(QueryError::BadData("a range vector needs a function around it".to_owned()))
        }
    }
}

/// The value of an expression of type instant vector.
pub(crate) fn vector(ctx: &Ctx<'_>, expr: &Expr, steps: Steps) -> Result<Vec<OutSeries>, QueryError> {
    match eval(ctx, expr, steps)? {
        Val::Vector(series) => Ok(series),
        Val::Scalar(_) | Val::Str(_) => Err(QueryError::BadData("expected an instant vector".to_owned())),
    }
}

/// The value of an expression of type scalar.
pub(crate) fn scalar(ctx: &Ctx<'_>, expr: &Expr, steps: Steps) -> Result<Vec<f64>, QueryError> {
    match eval(ctx, expr, steps)? {
        Val::Scalar(values) => Ok(values),
        Val::Vector(_) | Val::Str(_) => Err(QueryError::BadData("expected a scalar".to_owned())),
    }
}

/// The value of an expression of type string.
pub(crate) fn string(ctx: &Ctx<'_>, expr: &Expr, steps: Steps) -> Result<String, QueryError> {
    match eval(ctx, expr, steps)? {
        Val::Str(text) => Ok(text),
        Val::Vector(_) | Val::Scalar(_) => Err(QueryError::BadData("expected a string".to_owned())),
    }
}

/// The columns of an expression on demand, timed and counted where that is asked for.
pub(crate) fn stream<'a>(
    ctx: &'a Ctx<'a>,
    expr: &'a Expr,
    steps: Steps,
    around: Around,
) -> Result<Option<Stream<'a>>, QueryError> {
    let began = ctx.explain.as_ref().map_or(0, Explain::now);
    let Some(stream) = unwatched(ctx, expr, steps, around)? else { return Ok(None) };
    Ok(Some(match &ctx.explain {
        Some(explain) => stream.watched(explain, expr.unwrapped(), began),
        None => stream,
    }))
}

/// The columns of an expression on demand, where it is a selector, a range function over one, or either with a scalar.
fn unwatched<'a>(
    ctx: &'a Ctx<'a>,
    expr: &'a Expr,
    steps: Steps,
    around: Around,
) -> Result<Option<Stream<'a>>, QueryError> {
    let expr = expr.unwrapped();
    if steps.n > 1 && is_invariant(expr) {
        return Ok(None);
    }
    match &expr.kind {
        ExprKind::Vector(selector) => select::instant(ctx, selector, expr.pos, steps, around).map(Some),
        ExprKind::Call { func, args } if func.args.contains(&ValueType::Matrix) => {
            let Some(arg) = args.iter().find(|a| a.value_type() == ValueType::Matrix) else {
                return Ok(None);
            };
            let ExprKind::Matrix { selector, range, .. } = &arg.unwrapped().kind else { return Ok(None) };
            if func.name == "absent_over_time" {
                return Ok(None);
            }
            let params = range_params(ctx, func.name, args, steps)?;
            let range =
                Range { selector, span: range, pos: arg.unwrapped().pos, noted: args[0].unwrapped().pos };
            select::ranged(ctx, range, func.name, params, steps, around).map(Some)
        }
        ExprKind::Binary { op, lhs, rhs, return_bool, .. } if !op.is_set() => {
            let swapped = lhs.value_type() == ValueType::Scalar;
            let (vector, number) = if swapped { (rhs, lhs) } else { (lhs, rhs) };
            let types = (vector.value_type(), number.value_type());
            if types != (ValueType::Vector, ValueType::Scalar) {
                return Ok(None);
            }
            let Some(inner) = stream(ctx, vector, steps, around)? else { return Ok(None) };
            if inner.drop_name && !ctx.engine.delayed_name_removal && !aggregate::one_name(&inner) {
                // series that are the same without their names are found before a filter can leave them out
                return Ok(None);
            }
            let numbers = scalar(ctx, number, steps)?;
            let with = binary::WithScalar { op: *op, swapped, return_bool: *return_bool, pos: expr.pos };
            let drops = with.drops_name();
            Ok(Some(inner.map(drops, move |_, col| with.apply(ctx, col, &numbers))))
        }
        _ => Ok(None),
    }
}

/// The scalar arguments of a range function.
fn range_params(ctx: &Ctx<'_>, func: &str, args: &[Expr], steps: Steps) -> Result<Vec<Vec<f64>>, QueryError> {
    let scalars = args.iter().filter(|a| a.value_type() == ValueType::Scalar);
    let params: Vec<Vec<f64>> = scalars.clone().map(|a| scalar(ctx, a, steps)).collect::<Result<_, _>>()?;
    match func {
        "quantile_over_time" => {
            if let Some(arg) = scalars.clone().next() {
                for (pos, text) in call::quantile_warnings(arg, &params[0]) {
                    ctx.warn_where_filled(pos, text);
                }
            }
        }
        "double_exponential_smoothing" => {
            for (what, values) in ["smoothing", "trend"].iter().zip(&params) {
                if let Some(v) = values.iter().find(|v| **v <= 0.0 || **v >= 1.0) {
                    let short = if *what == "smoothing" { "sf" } else { "tf" };
                    // an error only where there is something to smooth
                    ctx.fail_where_filled(format!(
                        "invalid {what} factor. Expected: 0 < {short} < 1, got: {v:.6}"
                    ));
                    break;
                }
            }
        }
        _ => {}
    }
    Ok(params)
}

fn unary(ctx: &Ctx<'_>, negative: bool, expr: &Expr, steps: Steps) -> Result<Val, QueryError> {
    match eval(ctx, expr, steps)? {
        Val::Scalar(mut values) => {
            if negative {
                values.iter_mut().for_each(|v| *v = -*v);
            }
            Ok(Val::Scalar(values))
        }
        Val::Vector(mut series) => {
            if negative {
                for s in &mut series {
                    s.drop_name = true;
                    call::map_column(
                        &mut s.col,
                        |v| -v,
                        |h| {
                            let mut h = h.clone();
                            crate::histogram::scale(&mut h, -1.0);
                            Some(h)
                        },
                    );
                }
            }
            settle(ctx, series).map(Val::Vector)
        }
        Val::Str(_) => Err(QueryError::BadData("unary operator on a string".to_owned())),
    }
}

/// Drops the names that functions gave up, unless that is left to the end of the query.
pub(crate) fn settle(ctx: &Ctx<'_>, series: Vec<OutSeries>) -> Result<Vec<OutSeries>, QueryError> {
    if ctx.engine.delayed_name_removal { Ok(series) } else { drop_names(series) }
}

/// What describes the metric rather than the series: goes when an operation makes another quantity.
pub(crate) const METADATA_LABELS: [&str; 3] = [METRIC_NAME, "__type__", "__unit__"];

/// Drops names, and brings series together that then have the same labels.
pub(crate) fn drop_names(mut series: Vec<OutSeries>) -> Result<Vec<OutSeries>, QueryError> {
    if !series.iter().any(|s| s.drop_name) {
        return Ok(series);
    }
    for s in series.iter_mut().filter(|s| s.drop_name) {
        s.labels = s.labels.without(&METADATA_LABELS);
        s.drop_name = false;
    }
    merge_same(series)
}

/// One series per label set; two values at one step are an error.
pub(crate) fn merge_same(series: Vec<OutSeries>) -> Result<Vec<OutSeries>, QueryError> {
    let mut seen: HashTable<usize> = HashTable::with_capacity(series.len());
    let mut out: Vec<OutSeries> = Vec::with_capacity(series.len());
    for s in series {
        let hash = s.labels.hash64();
        match seen.find(hash, |at| out[*at].labels == s.labels) {
            None => {
                seen.insert_unique(hash, out.len(), |at| out[*at].labels.hash64());
                out.push(s);
            }
            Some(&at) => fill_in(&mut out[at].col, &s.col).map_err(|()| same_labelset())?,
        }
    }
    Ok(out)
}

/// Prometheus' text for two series that cannot be told apart.
pub(crate) fn same_labelset() -> QueryError {
    QueryError::Execution("vector cannot contain metrics with the same labelset".to_owned())
}

/// Takes the other column's values; fails where both have one.
pub(crate) fn fill_in(col: &mut Column, other: &Column) -> Result<(), ()> {
    for i in 0..other.values.len() {
        if is_absent(other.values[i]) {
            continue;
        }
        if col.is_present(i) {
            return Err(());
        }
        col.set(i, other.point(i));
    }
    Ok(())
}

/// Whether the value is the same at all steps: everything that depends on time is fixed with `@`.
pub(crate) fn is_invariant(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Number { .. } | ExprKind::String(_) => true,
        ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. } => selector.modifiers.at.is_some(),
        ExprKind::Subquery { modifiers, .. } => modifiers.at.is_some(),
        ExprKind::Paren(expr) | ExprKind::Unary { expr, .. } => is_invariant(expr),
        ExprKind::Binary { lhs, rhs, .. } => is_invariant(lhs) && is_invariant(rhs),
        // Prometheus looks at the vector alone: with that fixed, the parameter of the first step counts
        ExprKind::Aggregate { expr, .. } => is_invariant(expr),
        ExprKind::Call { func, args } => !depends_on_time(func.name) && args.iter().all(is_invariant),
    }
}

/// Functions that look at the evaluation time itself.
fn depends_on_time(func: &str) -> bool {
    matches!(
        func,
        "time"
            | "timestamp"
            | "predict_linear"
            | "day_of_month"
            | "day_of_week"
            | "day_of_year"
            | "days_in_month"
            | "hour"
            | "minute"
            | "month"
            | "year"
    )
}

/// A subquery's inner values: as many columns as series, with the times of their steps.
pub(crate) struct Computed {
    pub(crate) series: Vec<OutSeries>,
    pub(crate) inner: Steps,
    pub(crate) reference: Reference,
    pub(crate) range: i64,
}

/// Evaluates a subquery's inner expression at all times that any of its windows needs. `whole`: the subquery is the query.
pub(crate) fn subquery(
    ctx: &Ctx<'_>,
    (expr, range, step, modifiers): (&Expr, &Span, Option<&Span>, &Modifiers),
    steps: Steps,
    whole: bool,
) -> Result<Computed, QueryError> {
    let range = ctx.span(range, true)?;
    let step = match step {
        Some(step) => ctx.span(step, true)?,
        None => ctx.subquery_step,
    }
    .max(1);
    let reference = ctx.reference(modifiers, steps)?;
    // steps are multiples of the distance, after the begin of the first window
    let start = ((reference.first() - range).div_euclid(step) + 1) * step;
    let n = if reference.last() < start { 0 } else { (reference.last() - start) / step + 1 };
    if n > MAX_STEPS {
        return Err(QueryError::Execution(format!("{n} steps of a subquery are more than {MAX_STEPS}")));
    }
    let n = n as usize;
    if n == 0 {
        let inner = Steps::new(start, step, 0);
        return Ok(Computed { series: Vec::new(), inner, reference, range });
    }
    ctx.would_hold(Size::columns(1, n), "a subquery")?;
    let frame = match whole {
        true => WHOLE,
        false => ctx.tally.frame(&reference, range, (start, step, n)),
    };
    let inner = Steps { start, step, n, frame, repeat: 1 };
    let series = vector(ctx, expr, inner)?;
    Ok(Computed { series, inner, reference, range })
}

/// What storage knows of a histogram and the one before it does not hold between a subquery's steps.
fn without_hint(h: std::sync::Arc<FloatHistogram>) -> std::sync::Arc<FloatHistogram> {
    if matches!(h.counter_reset, CounterReset::Gauge | CounterReset::Unknown) {
        return h;
    }
    std::sync::Arc::new(FloatHistogram { counter_reset: CounterReset::Unknown, ..(*h).clone() })
}

/// Samples of a subquery's series.
pub(crate) fn computed_samples(col: &Column, inner: Steps) -> Samples {
    let mut samples = Samples::default();
    for i in 0..inner.n {
        match col.point(i) {
            super::column::Point::Absent => {}
            super::column::Point::Float(v) => {
                samples.ft.push(inner.time(i));
                samples.fv.push(v);
            }
            super::column::Point::Hist(h) => {
                samples.ht.push(inner.time(i));
                samples.hv.push(without_hint(h));
            }
        }
    }
    samples
}

/// A range function over a subquery.
pub(crate) fn over_subquery(
    ctx: &Ctx<'_>,
    func: &'static str,
    args: &[Expr],
    arg: &Expr,
    steps: Steps,
) -> Result<Vec<OutSeries>, QueryError> {
    let params = range_params(ctx, func, args, steps)?;
    settle(ctx, over_subquery_raw(ctx, func, params, arg, steps)?)
}

/// The same with its parameters evaluated, names not yet dropped.
pub(crate) fn over_subquery_raw(
    ctx: &Ctx<'_>,
    func: &'static str,
    params: Vec<Vec<f64>>,
    arg: &Expr,
    steps: Steps,
) -> Result<Vec<OutSeries>, QueryError> {
    let ExprKind::Subquery { expr, range, step, modifiers } = &arg.unwrapped().kind else {
        return Err(QueryError::BadData("expected a range vector".to_owned()));
    };
    let computed = subquery(ctx, (expr, range, step.as_ref(), modifiers), steps, false)?;
    let Computed { series, inner, reference, range } = computed;
    let one = |s: OutSeries| {
        // a dropped name is not the series' own any more
        let (metric, kind) = if s.drop_name { ("", None) } else { select::described(ctx, &s.labels) };
        // what is computed stands nowhere in the query, as Prometheus sees it
        let (pos, boundary) = (PosRange::default(), Boundary::Inside);
        let call = Call { ctx, func, pos, metric, kind, boundary, params: &params, computed: true };
        let col = select::over_computed(&call, computed_samples(&s.col, inner), &reference, range);
        let drop_name = s.drop_name || !keeps_name(func);
        col.any_present().then_some(OutSeries { labels: s.labels, drop_name, col })
    };
    let out: Vec<Option<OutSeries>> = series.into_par_iter().map(one).collect();
    Ok(out.into_iter().flatten().collect())
}
