//! From the last intermediate result to what the caller gets.

use super::column::{OutSeries, Point, Val};
use super::context::{Ctx, Size, Steps, size};
use super::eval::{Computed, computed_samples, drop_names, subquery};
use super::explain;
use super::notes::Level;
use super::result::{Points, QueryError, QueryResult, QueryStats, Sample, StepStats, Value};
use super::select::{raw_samples, select};
use super::tally::{Touched, weight};
use super::window::Samples;
use crate::ast::{Boundary, Expr, ExprKind};
use crate::storage::SelectHints;
use model::Labels;
use std::sync::atomic::Ordering;

/// The value with what is to be said about it.
///
/// # Errors
/// Where storage could not be read for a hint.
pub(crate) fn result(ctx: &Ctx<'_>, mut value: Value, steps: Steps) -> Result<QueryResult, QueryError> {
    let limit = ctx.options.limit;
    let cut = match &mut value {
        Value::Vector(v) if limit > 0 && v.len() > limit => {
            v.truncate(limit);
            true
        }
        Value::Matrix(m) if limit > 0 && m.len() > limit => {
            m.truncate(limit);
            true
        }
        _ => false,
    };
    if cut {
        ctx.notes.plain("results truncated due to limit".to_owned());
    }
    let Touched { loaded, read } = ctx.tally.all();
    let per_step = ctx.tally.steps().unwrap_or_default().into_iter().enumerate();
    let step = |(i, touched): (usize, Touched)| StepStats {
        t: steps.time(i),
        total_samples: touched.loaded,
        samples_read: touched.read,
    };
    Ok(QueryResult {
        explain: explain::finish(ctx)?,
        value,
        warnings: ctx.notes.texts(Level::Warning, &ctx.options.text),
        infos: ctx.notes.texts(Level::Info, &ctx.options.text),
        stats: QueryStats {
            total_samples: loaded,
            samples_read: read,
            per_step: per_step.map(step).collect(),
            peak_samples: ctx.peak() as u64,
            series: ctx.series.load(Ordering::Relaxed),
            select_nanos: ctx.select_nanos.load(Ordering::Relaxed),
            sort_nanos: ctx.sort_nanos.load(Ordering::Relaxed),
        },
    })
}

pub(crate) fn instant(_ctx: &Ctx<'_>, val: Val, at: i64) -> Result<Value, QueryError> {
    Ok(match val {
        Val::Scalar(values) => Value::Scalar { t: at, v: values[0] },
        Val::Str(v) => Value::String { t: at, v: crate::parser::readable(v) },
        Val::Vector(series) => {
            let series = drop_names(series)?;
            let samples = series.into_iter().filter_map(|s| match s.col.point(0) {
                Point::Absent => None,
                Point::Float(v) => Some((s.labels, at, Sample::Float(v))),
                Point::Hist(h) => Some((s.labels, at, Sample::Histogram(h))),
            });
            Value::Vector(samples.collect())
        }
    })
}

pub(crate) fn range(ctx: &Ctx<'_>, val: Val, steps: Steps) -> Result<Value, QueryError> {
    // samples with their times, beside the columns that they are made of
    ctx.would_hold(Size::bytes(2 * size(&val).bytes), "the result")?;
    let mut matrix: Vec<(Labels, Points)> = match val {
        Val::Scalar(values) => {
            let timestamps = (0..steps.n).map(|i| steps.time(i)).collect();
            vec![(Labels::empty(), Points { timestamps, values, histograms: Vec::new() })]
        }
        Val::Str(_) => return Err(QueryError::BadData("a string has no range".to_owned())),
        Val::Vector(series) => {
            drop_names(series)?.into_iter().map(|s| (s.labels.clone(), points(&s, steps))).collect()
        }
    };
    matrix.retain(|(_, points)| !points.is_empty());
    let began = ctx.options.stopwatch.nanos();
    matrix.sort_by(|a, b| a.0.cmp(&b.0));
    let took = ctx.options.stopwatch.nanos().saturating_sub(began);
    ctx.sort_nanos.fetch_add(took, Ordering::Relaxed);
    Ok(Value::Matrix(matrix))
}

fn points(series: &OutSeries, steps: Steps) -> Points {
    let mut points = Points::default();
    for i in 0..steps.n {
        match series.col.point(i) {
            Point::Absent => {}
            Point::Float(v) => {
                points.timestamps.push(steps.time(i));
                points.values.push(v);
            }
            Point::Hist(h) => points.histograms.push((steps.time(i), h)),
        }
    }
    points
}

/// A range vector as an instant query of its own: the samples of the window.
pub(crate) fn matrix(ctx: &Ctx<'_>, expr: &Expr, steps: Steps) -> Result<Value, QueryError> {
    let mut out: Vec<(Labels, Points)> = Vec::new();
    match &expr.unwrapped().kind {
        ExprKind::Matrix { selector, range, .. } => {
            let length = ctx.span(range, true)?;
            let end = ctx.reference(&selector.modifiers, steps)?.first();
            let start = end - length + 1;
            let mut hints = SelectHints { start, end, range: length, ..SelectHints::default() };
            let mut held = Size::default();
            let boundary = selector.boundary;
            if boundary != Boundary::Inside {
                hints.start -= ctx.lookback;
                hints.end += if boundary == Boundary::Smoothed { ctx.lookback } else { 0 };
            }
            for series in select(ctx, selector, &hints)? {
                let mut samples = raw_samples(&*series, hints.start, hints.end)?;
                if boundary != Boundary::Inside {
                    samples = bounded(samples, boundary, end - length, end)?;
                }
                let histograms: u64 = samples.hv.iter().map(|h| weight(h)).sum();
                let count = samples.ft.len() + histograms as usize;
                held = held.plus(Size { samples: count, bytes: samples.size().1 });
                ctx.would_hold(held, "a range of samples")?;
                out.push((series.labels().clone(), to_points(samples)));
            }
            let touched = Touched { loaded: held.samples as u64, read: held.samples as u64 };
            ctx.tally.add(&steps, touched);
            if let Some(recorder) = ctx.tally.recorder(&steps) {
                recorder.at(0, touched);
            }
        }
        ExprKind::Subquery { expr, range, step, modifiers } => {
            let computed = subquery(ctx, (expr, range, step.as_ref(), modifiers), steps, true)?;
            let Computed { series, inner, .. } = computed;
            for s in drop_names(series)? {
                out.push((s.labels, to_points(computed_samples(&s.col, inner))));
            }
        }
        _ => return Err(QueryError::BadData("expected a range vector".to_owned())),
    }
    out.retain(|(_, points)| !points.is_empty());
    out.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(Value::Matrix(out))
}

/// The samples of a window with a value at each of its bounds: `anchored` that of the last sample before, `smoothed` that
/// between the samples on both sides.
fn bounded(samples: Samples, boundary: Boundary, start: i64, end: i64) -> Result<Samples, QueryError> {
    if !samples.ht.is_empty() {
        let word = if boundary == Boundary::Anchored { "anchored" } else { "smoothed" };
        return Err(QueryError::Execution(format!("{word} modifier is not supported with histograms")));
    }
    let (times, values) = (&samples.ft, &samples.fv);
    let Some(last) = times.last() else { return Ok(Samples::default()) };
    if *last <= start {
        return Ok(Samples::default());
    }
    let at = |t: i64| {
        let after = times.partition_point(|x| *x <= t);
        match (after.checked_sub(1), values.get(after)) {
            (None, first) => first.copied().unwrap_or_default(),
            (Some(before), Some(next)) if boundary == Boundary::Smoothed && times[before] != t => {
                let share = (t - times[before]) as f64 / (times[after] - times[before]) as f64;
                values[before] + (next - values[before]) * share
            }
            (Some(before), _) => values[before],
        }
    };
    let inner = times.iter().zip(values).filter(|(t, _)| start < **t && **t < end);
    let mut out = Samples::default();
    out.ft.push(start);
    out.fv.push(at(start));
    for (t, v) in inner {
        out.ft.push(*t);
        out.fv.push(*v);
    }
    out.ft.push(end);
    out.fv.push(at(end));
    Ok(out)
}

fn to_points(samples: Samples) -> Points {
    let Samples { ft, fv, ht, hv, .. } = samples;
    Points { timestamps: ft, values: fv, histograms: ht.into_iter().zip(hv).collect() }
}
