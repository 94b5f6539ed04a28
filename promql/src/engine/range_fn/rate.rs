//! `rate`, `increase`, `delta`, `irate`, `idelta`.
//!
//! The extrapolation follows the documented behaviour of Prometheus: the covered interval is stretched to the window's
//! bounds where a bound is near the outermost sample, else by half an average distance; a counter is never stretched
//! beyond where it would have been zero.

use super::Call;
use crate::engine::column::{Column, Point};
use crate::engine::context::Reference;
use crate::engine::window::{Grid, Samples, Window};
use crate::histogram;
use model::FloatHistogram;
use model::histogram::CounterReset;
use std::sync::Arc;

/// Which of the family.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kind {
    pub(crate) counter: bool,
    pub(crate) per_second: bool,
}

/// Where a series falls, found once: the indexes of numbers below the one before.
pub(crate) fn resets(kind: Kind, samples: &Samples, out: &mut Vec<usize>) {
    out.clear();
    // most series never fall: all are looked at without a branch each
    if !kind.counter || !samples.fv.windows(2).fold(false, |any, w| any | (w[1] < w[0])) {
        return;
    }
    let falls = samples.fv.windows(2).enumerate().filter(|(_, w)| w[1] < w[0]);
    out.extend(falls.map(|(i, _)| i + 1));
}

/// The part of a counter's increase that its resets hide: the values just before them.
/// `next` moves on with the window: the first reset that is not before the window.
fn hidden_by_resets(samples: &Samples, resets: &[usize], next: &mut usize, first: usize, last: usize) -> f64 {
    while *next < resets.len() && resets[*next] <= first {
        *next += 1;
    }
    let mut hidden = 0.0;
    for &at in &resets[*next..] {
        if at > last {
            break;
        }
        hidden += samples.fv[at - 1];
    }
    hidden
}

/// How an increase between samples becomes that of the window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stretch {
    /// By this, where the counter was not zero within the stretched part.
    factor: f64,
    /// The first value must be above the increase times this for that, with some room for rounding.
    limit: f64,
}

/// Fills the grid's stretches. Series that are scraped regularly have the same one at most steps.
fn fill_stretches(kind: Kind, grid: &mut Grid, samples: &Samples, reference: &Reference, range: i64) {
    let mut last: Option<((usize, i64, i64, i64), Stretch)> = None;
    let Grid { places, stretches, .. } = grid;
    stretches.extend(places.iter().enumerate().map(|(i, place)| {
        if place.len() < 2 {
            return Stretch { factor: 1.0, limit: 0.0 };
        }
        let end = reference.time(i);
        let (t0, t1) = (samples.ft[place.from()], samples.ft[place.to() - 1]);
        let shape = (place.len(), t0 - (end - range), end - t1, t1 - t0);
        match last {
            Some((known, stretch)) if known == shape => stretch,
            _ => {
                let (start, n) = (end - range, place.len());
                let sampled = (t1 - t0) as f64 / 1000.0;
                let factor = stretch(kind, (start, end), (t0, t1), n, None);
                let limit = to_start(start, t0, sampled / (n - 1) as f64) / sampled * (1.0 + 1e-9);
                let stretch = Stretch { factor, limit };
                last = Some((shape, stretch));
                stretch
            }
        }
    }));
}

/// Rate, increase or delta of numbers at all steps.
pub(crate) fn of_floats(
    kind: Kind,
    samples: &Samples,
    resets: &[usize],
    grid: &mut Grid,
    (reference, range): (&Reference, i64),
    col: &mut Column,
) {
    if grid.stretches.is_empty() {
        fill_stretches(kind, grid, samples, reference, range);
    }
    let values = samples.fv.as_slice();
    let mut next = 0;
    let steps = grid.places.iter().zip(&grid.stretches).zip(&mut col.values);
    for (i, ((place, by), out)) in steps.enumerate() {
        let n = place.len();
        if n < 2 {
            continue;
        }
        let (first, last) = (place.from(), place.to() - 1);
        let mut result = values[last] - values[first];
        if kind.counter {
            if !resets.is_empty() {
                // a sum of its own would round differently from adding each in turn
                let hidden = hidden_by_resets(samples, resets, &mut next, first, last);
                if hidden != 0.0 {
                    result += hidden;
                }
            }
            let begin = values[first];
            if result > 0.0 && begin >= 0.0 && begin <= result * by.limit {
                let end = reference.time(i);
                let times = (samples.ft[first], samples.ft[last]);
                *out = result * stretch(kind, (end - range, end), times, n, Some(begin / result));
                continue;
            }
        }
        *out = result * by.factor;
    }
}

/// How far before the first sample the increase is taken to go on, in seconds.
fn to_start(start: i64, first: i64, average: f64) -> f64 {
    let to_start = (first - start) as f64 / 1000.0;
    if to_start >= average * 1.1 { average / 2.0 } else { to_start }
}

/// The factor by which the increase between the samples at `first` and `last` becomes that of the window from `start` to
/// `end`. `at_zero`: the first value as a share of the increase.
fn stretch(
    kind: Kind,
    (start, end): (i64, i64),
    (first, last): (i64, i64),
    n: usize,
    at_zero: Option<f64>,
) -> f64 {
    let sampled = (last - first) as f64 / 1000.0;
    let mut to_end = (end - last) as f64 / 1000.0;
    let average = sampled / (n - 1) as f64;
    let mut to_start = to_start(start, first, average);
    if let Some(share) = at_zero {
        to_start = to_start.min(sampled * share);
    }
    if to_end >= average * 1.1 {
        to_end = average / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if kind.per_second {
        factor /= (end - start) as f64 / 1000.0;
    }
    factor
}

/// Rate, increase or delta of a window with histograms.
pub(crate) fn of_histograms(kind: Kind, w: &Window<'_>, call: &Call<'_>) -> Point {
    if !w.fv.is_empty() {
        call.warn_mixed();
        return Point::Absent;
    }
    let n = w.hv.len();
    if n < 2 {
        return Point::Absent;
    }
    let Some(mut h) = increase_of_histograms(kind.counter, w.hv, call) else {
        return Point::Absent;
    };
    let first = &w.hv[0];
    let at_zero = (kind.counter && h.count > 0.0 && first.count >= 0.0).then(|| first.count / h.count);
    let factor = stretch(kind, (w.start, w.end), (w.ht[0], w.ht[n - 1]), n, at_zero);
    histogram::scale(&mut h, factor);
    h.counter_reset = CounterReset::Gauge;
    Point::hist(histogram::compact(h))
}

/// The increase over histograms, counter resets undone; nothing where their buckets do not go together.
fn increase_of_histograms(
    counter: bool,
    points: &[Arc<FloatHistogram>],
    call: &Call<'_>,
) -> Option<FloatHistogram> {
    let (first, last) = (&points[0], &points[points.len() - 1]);
    let gauge = |h: &FloatHistogram| h.counter_reset == CounterReset::Gauge;
    if counter && points.iter().any(|h| gauge(h)) {
        call.warn_metric("this native histogram metric is not a counter:");
    }
    // a reset right after the first sample makes that one's buckets irrelevant
    let mut base = first.clone();
    if counter && histogram::detect_reset(&points[1], first) {
        base = Arc::new(FloatHistogram {
            schema: points[1].schema,
            custom_values: points[1].custom_values.clone(),
            ..FloatHistogram::default()
        });
    }
    let custom = base.uses_custom_buckets();
    let relevant = if counter { &points[1..] } else { &points[points.len() - 1..] };
    if relevant.iter().any(|h| h.uses_custom_buckets() != custom) {
        call.warn_mixed_schemas();
        return None;
    }
    let schema = relevant.iter().map(|h| h.schema).fold(base.schema, i32::min);
    let mut h = histogram::to_schema(last, schema);
    let note = |reconciled: bool, what: &str| {
        if reconciled {
            call.info(&format!("mismatched custom buckets were reconciled during {what}"));
        }
    };
    let combined = histogram::sub(&h, &base).ok()?;
    note(combined.reconciled, "subtraction");
    h = combined.h;
    if counter {
        let mut prev: &FloatHistogram = &base;
        for current in &points[1..] {
            if histogram::detect_reset(current, prev) {
                let combined = histogram::add(&h, prev).ok()?;
                note(combined.reconciled, "addition");
                h = combined.h;
            }
            prev = current;
        }
    } else if !gauge(first) || !gauge(last) {
        call.warn_metric("this native histogram metric is not a gauge:");
    }
    Some(h)
}

/// `irate` and `idelta`: from the last two samples alone.
pub(crate) fn instant(rate: bool, w: &Window<'_>, call: &Call<'_>) -> Point {
    if w.len() < 2 {
        return Point::Absent;
    }
    let (nf, nh) = (w.ft.len(), w.ht.len());
    // which of the last two are histograms
    let last_is_hist = nh > 0 && (nf == 0 || w.ht[nh - 1] > w.ft[nf - 1]);
    let (rest_f, rest_h) = if last_is_hist { (nf, nh - 1) } else { (nf - 1, nh) };
    let prev_is_hist = rest_h > 0 && (rest_f == 0 || w.ht[rest_h - 1] > w.ft[rest_f - 1]);
    if last_is_hist != prev_is_hist {
        call.warn_mixed();
        return Point::Absent;
    }
    let seconds = |a: i64, b: i64| (b - a) as f64 / 1000.0;
    if !last_is_hist {
        let (prev, last) = (w.fv[nf - 2], w.fv[nf - 1]);
        let elapsed = seconds(w.ft[nf - 2], w.ft[nf - 1]);
        if elapsed == 0.0 {
            return Point::Absent;
        }
        let result = if rate && last < prev { last } else { last - prev };
        return Point::Float(if rate { result / elapsed } else { result });
    }
    let (prev, last) = (&w.hv[nh - 2], &w.hv[nh - 1]);
    let gauge = |h: &FloatHistogram| h.counter_reset == CounterReset::Gauge;
    if rate && (gauge(prev) || gauge(last)) {
        call.warn_metric("this native histogram metric is not a counter:");
    } else if !rate && (!gauge(prev) || !gauge(last)) {
        call.warn_metric("this native histogram metric is not a gauge:");
    }
    let mut h = (**last).clone();
    if !rate || !histogram::detect_reset(last, prev) {
        match histogram::sub(last, prev) {
            Ok(combined) => {
                if combined.reconciled {
                    call.info("mismatched custom buckets were reconciled during subtraction");
                }
                h = combined.h;
            }
            Err(_) => {
                call.warn_mixed_schemas();
                return Point::Absent;
            }
        }
    }
    h.counter_reset = CounterReset::Gauge;
    if rate {
        histogram::unscale(&mut h, seconds(w.ht[nh - 2], w.ht[nh - 1]));
    }
    Point::hist(histogram::compact(h))
}
