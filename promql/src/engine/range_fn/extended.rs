//! Windows with `anchored` or `smoothed`: the value at a bound is that of the sample before it, or interpolated.

use super::Call;
use super::rate::Kind;
use crate::ast::Boundary;
use crate::engine::column::Point;
use crate::engine::window::Window;
use crate::histogram;
use model::FloatHistogram;
use model::histogram::CounterReset;
use std::sync::Arc;

/// Index of the last time that is not after `start`, or the first one.
pub(crate) fn anchor(times: &[i64], start: i64) -> usize {
    let last = times.len().saturating_sub(1);
    times[..last].partition_point(|t| *t <= start).saturating_sub(1)
}

/// First and last samples that decide, or nothing where the window itself is empty.
fn bounds(times: &[i64], w: &Window<'_>, boundary: Boundary) -> Option<(usize, usize)> {
    let mut last = times.len().checked_sub(1)?;
    let first = anchor(times, w.start);
    if boundary == Boundary::Smoothed {
        last = times[..last].partition_point(|t| *t < w.end);
    }
    (times[last] > w.start && times[first] <= w.end).then_some((first, last))
}

fn fraction(a: i64, b: i64, t: i64) -> f64 {
    (t - a) as f64 / (b - a) as f64
}

/// Rate, increase or delta between the bounds of the window, without extrapolation.
pub(crate) fn rate(kind: Kind, w: &Window<'_>, boundary: Boundary, call: &Call<'_>) -> Point {
    if !w.ft.is_empty() && !w.ht.is_empty() {
        call.warn_mixed();
        return Point::Absent;
    }
    if w.ft.is_empty() {
        return histograms(kind, w, boundary, call);
    }
    let Some((first, last)) = bounds(w.ft, w, boundary) else { return Point::Absent };
    let smoothed = boundary == Boundary::Smoothed;
    let (mut left, mut right) = (w.fv[first], w.fv[last]);
    if smoothed && w.ft[first] < w.start {
        let (mut a, b) = (w.fv[first], w.fv[first + 1]);
        if kind.counter && b < a {
            a = 0.0;
        }
        left = a + (b - a) * fraction(w.ft[first], w.ft[first + 1], w.start);
    }
    if smoothed && last > 0 && w.ft[last] > w.end {
        let (mut a, b) = (w.fv[last - 1], w.fv[last]);
        if kind.counter && b < a {
            a = 0.0;
        }
        right = a + (b - a) * fraction(w.ft[last - 1], w.ft[last], w.end);
    }
    let mut result = right - left;
    if kind.counter {
        let (mut prev, mut hidden) = (left, 0.0);
        let inner = if first < last { &w.fv[first + 1..last] } else { &[] };
        for v in inner.iter().chain(std::iter::once(&right)) {
            if *v < prev {
                hidden += prev;
            }
            prev = *v;
        }
        result += hidden;
    }
    if kind.per_second {
        result /= (w.end - w.start) as f64 / 1000.0;
    }
    Point::Float(result)
}

/// The histogram between two others; a counter that was reset between them begins at zero.
pub(crate) fn interpolate(
    a: &FloatHistogram,
    b: &FloatHistogram,
    share: f64,
    counter: bool,
) -> Option<FloatHistogram> {
    if a.uses_custom_buckets() != b.uses_custom_buckets() {
        return None;
    }
    if counter && histogram::detect_reset(b, a) {
        let mut h = b.clone();
        histogram::scale(&mut h, share);
        return Some(h);
    }
    let mut grown = histogram::sub(b, a).ok()?.h;
    histogram::scale(&mut grown, share);
    let mut h = histogram::add(a, &grown).ok()?.h;
    // whether the counter was reset at `a` says nothing about the time after it
    let gauge = a.counter_reset == CounterReset::Gauge;
    h.counter_reset = if gauge { CounterReset::Gauge } else { CounterReset::Unknown };
    Some(h)
}

fn histograms(kind: Kind, w: &Window<'_>, boundary: Boundary, call: &Call<'_>) -> Point {
    let Some((first, last)) = bounds(w.ht, w, boundary) else { return Point::Absent };
    let used = &w.hv[first..=last.max(first)];
    let gauge = |h: &FloatHistogram| h.counter_reset == CounterReset::Gauge;
    if kind.counter && used.iter().any(|h| gauge(h)) {
        call.warn_metric("this native histogram metric is not a counter:");
    }
    if !kind.counter && (!gauge(&used[0]) || !gauge(&used[used.len() - 1])) {
        call.warn_metric("this native histogram metric is not a gauge:");
    }
    if used.iter().any(|h| h.uses_custom_buckets() != used[0].uses_custom_buckets()) {
        call.warn_mixed_schemas();
        return Point::Absent;
    }
    match increase(kind, w, boundary, (first, last), call) {
        Some(mut h) => {
            if kind.per_second {
                histogram::unscale(&mut h, (w.end - w.start) as f64 / 1000.0);
            }
            h.counter_reset = CounterReset::Gauge;
            Point::hist(histogram::compact(h))
        }
        None => {
            call.warn_mixed_schemas();
            Point::Absent
        }
    }
}

fn increase(
    kind: Kind,
    w: &Window<'_>,
    boundary: Boundary,
    (first, last): (usize, usize),
    call: &Call<'_>,
) -> Option<FloatHistogram> {
    let noted = |combined: histogram::Combined, what: &str| {
        if combined.reconciled {
            call.info(&format!("mismatched custom buckets were reconciled during {what}"));
        }
        combined.h
    };
    let smoothed = boundary == Boundary::Smoothed;
    let left_between = smoothed && w.ht[first] < w.start;
    let right_between = smoothed && last > 0 && w.ht[last] > w.end;
    let left: Arc<FloatHistogram> = if left_between {
        let share = fraction(w.ht[first], w.ht[first + 1], w.start);
        Arc::new(interpolate(&w.hv[first], &w.hv[first + 1], share, kind.counter)?)
    } else {
        w.hv[first].clone()
    };
    let right: Arc<FloatHistogram> = if right_between {
        let share = fraction(w.ht[last - 1], w.ht[last], w.end);
        let mut h = interpolate(&w.hv[last - 1], &w.hv[last], share, kind.counter)?;
        if kind.counter && histogram::detect_reset(&w.hv[last], &w.hv[last - 1]) {
            h.counter_reset = CounterReset::Reset;
        }
        Arc::new(h)
    } else {
        w.hv[last].clone()
    };
    let mut result = noted(histogram::sub(&right, &left).ok()?, "subtraction");
    if kind.counter && first < last {
        // A left bound between two samples has dealt with a reset between them: there counting begins at the second.
        let begin = if left_between { first + 1 } else { first };
        let inner = if begin < last { &w.hv[begin + 1..last] } else { &[] };
        let mut prev = &w.hv[begin];
        if left_between && begin >= last {
            return Some(result);
        }
        for h in inner.iter().chain(std::iter::once(&right)) {
            if histogram::detect_reset(h, prev) {
                result = noted(histogram::add(&result, prev).ok()?, "addition");
            }
            prev = h;
        }
    }
    Some(result)
}
