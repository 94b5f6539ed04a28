//! Function calls over instant vectors and numbers.

use super::column::{Column, OutSeries, Point, Val, is_absent, is_float, is_histogram};
use super::context::{Ctx, Steps};
use super::eval::{self, scalar, settle, string, vector};
use super::result::QueryError;
use super::tally::OUTERMOST;
use super::{absent, calendar, histogram_fn, hyperbolic, info, label_fn};
use crate::ast::{Boundary, Expr, ExprKind, PosRange, ValueType, VectorSelector};
use crate::functions::Function;
use crate::parser::seconds_of;
use model::sample::NORMAL_NAN;
use model::{FloatHistogram, Labels};

pub(crate) fn eval(
    ctx: &Ctx<'_>,
    expr: &Expr,
    func: &'static Function,
    args: &[Expr],
    steps: Steps,
) -> Result<Val, QueryError> {
    if func.name == "absent_over_time" {
        return absent::over_time(ctx, &args[0], steps).map(Val::Vector);
    }
    if let Some(arg) = args.iter().find(|a| a.value_type() == ValueType::Matrix) {
        return eval::over_subquery(ctx, func.name, args, arg, steps).map(Val::Vector);
    }
    if func.returns == ValueType::Scalar {
        return numbers(ctx, func.name, args, steps).map(Val::Scalar);
    }
    if let Some(f) = math(func.name) {
        return mapped(ctx, &args[0], steps, f);
    }
    if let Some(part) = calendar::part(func.name) {
        return calendar(ctx, args, steps, part);
    }
    match func.name {
        "vector" => {
            let values = scalar(ctx, &args[0], steps)?;
            let col = Column { values, hists: Vec::new() };
            Ok(Val::Vector(vec![OutSeries { labels: Labels::empty(), drop_name: false, col }]))
        }
        "absent" => absent::instant(ctx, &args[0], steps).map(Val::Vector),
        "timestamp" => timestamp(ctx, &args[0], steps),
        "start_timestamp" => start_timestamp(ctx, &args[0], steps),
        "clamp" => {
            let (low, high) = (scalar(ctx, &args[1], steps)?, scalar(ctx, &args[2], steps)?);
            with_step(ctx, &args[0], steps, |i, v| {
                (low[i] <= high[i] || low[i].is_nan() || high[i].is_nan())
                    .then(|| go_max(low[i], go_min(high[i], v)))
            })
        }
        "clamp_max" => {
            let high = scalar(ctx, &args[1], steps)?;
            with_step(ctx, &args[0], steps, |i, v| Some(go_min(high[i], v)))
        }
        "clamp_min" => {
            let low = scalar(ctx, &args[1], steps)?;
            with_step(ctx, &args[0], steps, |i, v| Some(go_max(low[i], v)))
        }
        "round" => {
            let nearest = match args.get(1) {
                Some(arg) => scalar(ctx, arg, steps)?,
                None => vec![1.0; steps.n],
            };
            with_step(ctx, &args[0], steps, |i, v| {
                let inverse = 1.0 / nearest[i];
                Some((v * inverse + 0.5).floor() / inverse)
            })
        }
        "sort" | "sort_desc" => {
            let series = vector(ctx, &args[0], steps)?;
            warn_unsorted(ctx, expr, steps);
            Ok(Val::Vector(sorted(series, func.name == "sort_desc", steps)))
        }
        "sort_by_label" | "sort_by_label_desc" => {
            let names = args[1..].iter().map(|a| string(ctx, a, steps)).collect::<Result<Vec<_>, _>>()?;
            let series = vector(ctx, &args[0], steps)?;
            warn_unsorted(ctx, expr, steps);
            Ok(Val::Vector(label_fn::sorted(series, &names, func.name == "sort_by_label_desc")))
        }
        "label_replace" => label_fn::replace(ctx, args, steps).map(Val::Vector),
        "label_join" => label_fn::join(ctx, args, steps).map(Val::Vector),
        "info" => info::eval(ctx, args, steps).map(Val::Vector),
        name if name.starts_with("histogram_") => {
            histogram_fn::eval(ctx, expr, name, args, steps).map(Val::Vector)
        }
        name => Err(QueryError::Execution(format!("function {name}() is not supported yet"))),
    }
}

/// Go's math.Max: +Inf wins, then NaN; 0 is more than -0.
fn go_max(a: f64, b: f64) -> f64 {
    match (a, b) {
        (f64::INFINITY, _) | (_, f64::INFINITY) => f64::INFINITY,
        _ if a.is_nan() || b.is_nan() => NORMAL_NAN,
        _ if a == 0.0 && b == 0.0 => {
            if a.is_sign_negative() {
                b
            } else {
                a
            }
        }
        _ => a.max(b),
    }
}

/// Go's math.Min: -Inf wins, then NaN; -0 is less than 0.
fn go_min(a: f64, b: f64) -> f64 {
    -go_max(-a, -b)
}

fn math(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "abs" => f64::abs,
        "acos" => f64::acos,
        "acosh" => hyperbolic::acosh,
        "asin" => f64::asin,
        "asinh" => hyperbolic::asinh,
        "atan" => f64::atan,
        "atanh" => hyperbolic::atanh,
        "ceil" => f64::ceil,
        "cos" => f64::cos,
        "cosh" => hyperbolic::cosh,
        "deg" => |v| v * 180.0 / std::f64::consts::PI,
        "exp" => f64::exp,
        "floor" => f64::floor,
        "ln" => f64::ln,
        "log10" => f64::log10,
        "log2" => f64::log2,
        "rad" => |v| v * std::f64::consts::PI / 180.0,
        "sgn" => |v| match v {
            v if v < 0.0 => -1.0,
            v if v > 0.0 => 1.0,
            v => v,
        },
        "sin" => f64::sin,
        "sinh" => hyperbolic::sinh,
        "sqrt" => f64::sqrt,
        "tan" => f64::tan,
        "tanh" => f64::tanh,
        _ => return None,
    })
}

/// Changes every number and every histogram of a column; where `hist` gives nothing the step becomes absent.
pub(crate) fn map_column(
    col: &mut Column,
    float: impl Fn(f64) -> f64,
    hist: impl Fn(&FloatHistogram) -> Option<FloatHistogram>,
) {
    for i in 0..col.values.len() {
        let v = col.values[i];
        if is_float(v) {
            col.values[i] = float(v);
        } else if is_histogram(v) {
            let point = col.hist(i).and_then(|h| hist(h)).map_or(Point::Absent, Point::hist);
            col.set(i, point);
        }
    }
}

fn mapped(ctx: &Ctx<'_>, arg: &Expr, steps: Steps, f: fn(f64) -> f64) -> Result<Val, QueryError> {
    with_step(ctx, arg, steps, |_, v| Some(f(v)))
}

/// A function of the numbers, which may look at the step; histograms are left out.
fn with_step(
    ctx: &Ctx<'_>,
    arg: &Expr,
    steps: Steps,
    f: impl Fn(usize, f64) -> Option<f64>,
) -> Result<Val, QueryError> {
    let mut series = vector(ctx, arg, steps)?;
    for s in &mut series {
        s.drop_name = true;
        for (i, v) in s.col.values.iter_mut().enumerate() {
            if is_float(*v) {
                *v = f(i, *v).unwrap_or(super::column::ABSENT);
            } else {
                *v = super::column::ABSENT;
            }
        }
        s.col.hists.clear();
    }
    series.retain(|s| s.col.any_present());
    settle(ctx, series).map(Val::Vector)
}

/// Functions that yield a number.
fn numbers(ctx: &Ctx<'_>, name: &str, args: &[Expr], steps: Steps) -> Result<Vec<f64>, QueryError> {
    let constant = |v: f64| Ok(vec![v; steps.n]);
    match name {
        "time" => Ok((0..steps.n).map(|i| steps.time(i) as f64 / 1000.0).collect()),
        "pi" => constant(std::f64::consts::PI),
        "start" => constant(ctx.query_start as f64 / 1000.0),
        "end" => constant(ctx.query_end as f64 / 1000.0),
        "step" => constant(seconds_of(ctx.query_step)),
        "range" => constant(seconds_of(ctx.query_end - ctx.query_start)),
        "max_of" | "min_of" => {
            let (a, b) = (scalar(ctx, &args[0], steps)?, scalar(ctx, &args[1], steps)?);
            let choose = if name == "max_of" { go_max } else { go_min };
            Ok(a.into_iter().zip(b).map(|(a, b)| choose(a, b)).collect())
        }
        "scalar" => {
            let series = vector(ctx, &args[0], steps)?;
            Ok((0..steps.n).map(|i| the_only(&series, i)).collect())
        }
        name => Err(QueryError::Execution(format!("function {name}() is not supported yet"))),
    }
}

/// The number at a step where exactly one series has one.
fn the_only(series: &[OutSeries], i: usize) -> f64 {
    let mut there = series.iter().map(|s| s.col.values[i]).filter(|v| is_float(*v));
    match (there.next(), there.next()) {
        (Some(v), None) => v,
        _ => NORMAL_NAN,
    }
}

fn calendar(ctx: &Ctx<'_>, args: &[Expr], steps: Steps, part: fn(i128) -> f64) -> Result<Val, QueryError> {
    match args.first() {
        Some(arg) => with_step(ctx, arg, steps, |_, v| Some(part(calendar::seconds(v)))),
        None => {
            let values = (0..steps.n).map(|i| part(i128::from(steps.time(i).div_euclid(1000)))).collect();
            let col = Column { values, hists: Vec::new() };
            Ok(Val::Vector(vec![OutSeries { labels: Labels::empty(), drop_name: false, col }]))
        }
    }
}

/// Times of the samples: of a selector the samples' own, else the evaluation's.
fn timestamp(ctx: &Ctx<'_>, arg: &Expr, steps: Steps) -> Result<Val, QueryError> {
    let mut series = match &arg.unwrapped().kind {
        ExprKind::Vector(selector) => {
            // times are those of the samples that are there, without `smoothed`
            let mut selector = VectorSelector { boundary: Boundary::Inside, ..selector.clone() };
            // `@` alone says where to look, as in Prometheus
            if selector.modifiers.at.is_some() {
                selector.modifiers.offset = None;
            }
            super::select::timestamps(ctx, &selector, arg.pos, steps, false)?.collect(ctx)?
        }
        _ => {
            let mut series = vector(ctx, arg, steps)?;
            for s in &mut series {
                for (i, v) in s.col.values.iter_mut().enumerate().filter(|(_, v)| !is_absent(**v)) {
                    *v = steps.time(i) as f64 / 1000.0;
                }
                s.col.hists.clear();
            }
            series
        }
    };
    series.iter_mut().for_each(|s| s.drop_name = true);
    settle(ctx, series).map(Val::Vector)
}

/// When the counters of a selector's samples began, in seconds; nothing where start timestamps are not used.
fn start_timestamp(ctx: &Ctx<'_>, arg: &Expr, steps: Steps) -> Result<Val, QueryError> {
    let ExprKind::Vector(selector) = &arg.unwrapped().kind else {
        // what was computed began at no time
        vector(ctx, arg, steps)?;
        return Ok(Val::Vector(Vec::new()));
    };
    let mut selector = VectorSelector { boundary: Boundary::Inside, ..selector.clone() };
    if selector.modifiers.at.is_some() {
        selector.modifiers.offset = None;
    }
    let mut series = super::select::start_timestamps(ctx, &selector, arg.pos, steps)?.collect(ctx)?;
    if !ctx.engine.use_start_timestamps {
        series.clear();
    }
    series.iter_mut().for_each(|s| s.drop_name = true);
    settle(ctx, series).map(Val::Vector)
}

/// The result of a range is in the order of labels whatever a query says.
fn warn_unsorted(ctx: &Ctx<'_>, expr: &Expr, steps: Steps) {
    // a range of one step is a range too
    let whole = steps.frame == OUTERMOST && steps.repeat == 1 && !eval::is_invariant(expr);
    let range = steps.n > 1 || (whole && ctx.query_end > ctx.query_start);
    if range {
        let text = "sort is ineffective for range queries since results are always ordered by labels";
        ctx.notes.warn(expr.pos, text);
    }
}

/// Sorted by value at an instant, NaN last; a range keeps its order. Histograms have none, and are left out.
fn sorted(mut series: Vec<OutSeries>, descending: bool, steps: Steps) -> Vec<OutSeries> {
    for s in series.iter_mut().filter(|s| !s.col.hists.is_empty()) {
        s.col.values.iter_mut().filter(|v| is_histogram(**v)).for_each(|v| *v = super::column::ABSENT);
        s.col.hists.clear();
    }
    series.retain(|s| s.col.any_present());
    if steps.n != 1 {
        return series;
    }
    series.sort_by(|a, b| {
        let (a, b) = (a.col.values[0], b.col.values[0]);
        match (a.is_nan(), b.is_nan()) {
            (true, true) => std::cmp::Ordering::Equal,
            (true, false) => std::cmp::Ordering::Greater,
            (false, true) => std::cmp::Ordering::Less,
            (false, false) => {
                let order = a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal);
                if descending { order.reverse() } else { order }
            }
        }
    });
    series
}

/// Warns of quantiles outside 0..1.
pub(crate) fn warn_quantiles(ctx: &Ctx<'_>, arg: &Expr, values: &[f64]) {
    for (pos, text) in quantile_warnings(arg, values) {
        ctx.notes.warn(pos, text);
    }
}

/// What is to be said of quantiles outside 0..1.
pub(crate) fn quantile_warnings<'a>(
    arg: &'a Expr,
    values: &'a [f64],
) -> impl Iterator<Item = (PosRange, String)> + 'a {
    values.iter().filter(|q| !(0.0..=1.0).contains(*q)).map(|q| {
        let shown = model::float::format_short(*q);
        (arg.unwrapped().pos, format!("quantile value should be between 0 and 1, got {shown}"))
    })
}
