//! `rate`, `increase`, `delta`, `irate`, `idelta`.
//!
//! The extrapolation follows the documented behaviour of Prometheus: the covered interval is stretched to the window's
//! bounds where a bound is near the outermost sample, else by half an average distance; a counter is never stretched
//! beyond where it would have been zero.

use super::Call;
use crate::engine::column::Point;
use crate::engine::window::{Samples, Window};
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
pub(crate) fn resets(samples: &Samples, out: &mut Vec<usize>) {
    out.clear();
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

/// Rate, increase or delta of a window without histograms.
#[inline]
pub(crate) fn of_floats(
    kind: Kind,
    w: &Window<'_>,
    samples: &Samples,
    resets: &[usize],
    next: &mut usize,
) -> Option<f64> {
    let n = w.fv.len();
    if n < 2 {
        return None;
    }
    let mut result = w.fv[n - 1] - w.fv[0];
    if kind.counter && !resets.is_empty() {
        // a sum of its own would round differently from adding each in turn
        let hidden = hidden_by_resets(samples, resets, next, w.f_from, w.f_from + n - 1);
        if hidden != 0.0 {
            result += hidden;
        }
    }
    let at_zero = (kind.counter && result > 0.0 && w.fv[0] >= 0.0).then(|| w.fv[0] / result);
    Some(result * stretch(kind, w, w.ft[0], w.ft[n - 1], n, at_zero))
}

/// The factor by which the increase between the samples becomes that of the window. `at_zero`: the first value as a
/// share of the increase.
fn stretch(kind: Kind, w: &Window<'_>, first: i64, last: i64, n: usize, at_zero: Option<f64>) -> f64 {
    let sampled = (last - first) as f64 / 1000.0;
    let mut to_start = (first - w.start) as f64 / 1000.0;
    let mut to_end = (w.end - last) as f64 / 1000.0;
    let average = sampled / (n - 1) as f64;
    let threshold = average * 1.1;
    if to_start >= threshold {
        to_start = average / 2.0;
    }
    if let Some(share) = at_zero {
        to_start = to_start.min(sampled * share);
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let mut factor = (sampled + to_start + to_end) / sampled;
    if kind.per_second {
        factor /= (w.end - w.start) as f64 / 1000.0;
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
    let factor = stretch(kind, w, w.ht[0], w.ht[n - 1], n, at_zero);
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
