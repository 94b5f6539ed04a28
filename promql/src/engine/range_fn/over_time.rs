//! Functions over the samples of a window: `…_over_time`, `changes`, `resets`, `deriv` and kin.

use super::Call;
use super::rate::begins_anew;
use crate::engine::column::Point;
use crate::engine::kahan::{Kahan, Mean, Variance, quantile};
use crate::engine::window::Window;
use crate::histogram;
use model::FloatHistogram;
use std::sync::Arc;

/// Warns where numbers and histograms mix; else sums or averages histograms, or leaves numbers to `floats`.
fn either(w: &Window<'_>, call: &Call<'_>, average: bool, floats: impl Fn(&[f64]) -> f64) -> Point {
    match (w.fv.is_empty(), w.hv.is_empty()) {
        (true, true) => Point::Absent,
        (false, true) => Point::Float(floats(w.fv)),
        (false, false) => {
            call.warn_mixed();
            Point::Absent
        }
        (true, false) => sum_histograms(w.hv, call, average),
    }
}

fn sum_histograms(hists: &[Arc<FloatHistogram>], call: &Call<'_>, average: bool) -> Point {
    let mut sum = histogram::Sum::default();
    for h in hists {
        if average { sum.add_to_mean(h) } else { sum.add(h) }
    }
    if sum.incompatible {
        call.warn_mixed_schemas();
        return Point::Absent;
    }
    if sum.collision() {
        call.warn("conflicting counter resets during histogram aggregation");
    }
    if sum.reconciled {
        call.info("mismatched custom buckets were reconciled during aggregation");
    }
    match if average { sum.mean() } else { sum.value() } {
        Some(h) => Point::hist(h),
        None => Point::Absent,
    }
}

pub(crate) fn sum(w: &Window<'_>, call: &Call<'_>) -> Point {
    either(w, call, false, |values| {
        let mut acc = Kahan::default();
        values.iter().for_each(|v| acc.add(*v));
        acc.value()
    })
}

pub(crate) fn avg(w: &Window<'_>, call: &Call<'_>) -> Point {
    either(w, call, true, |values| {
        let mut acc = Mean::default();
        values.iter().for_each(|v| acc.add(*v));
        acc.value()
    })
}

/// A function of numbers alone; says so where histograms are left out.
pub(crate) fn floats_only(w: &Window<'_>, call: &Call<'_>, f: impl FnOnce(&[f64]) -> f64) -> Point {
    if w.fv.is_empty() {
        return Point::Absent;
    }
    if !w.hv.is_empty() {
        call.info_ignored_histograms();
    }
    Point::Float(f(w.fv))
}

/// Index of the sample that wins against all before it; NaN loses against all.
fn winner(values: &[f64], wins: impl Fn(f64, f64) -> bool) -> usize {
    let mut best = 0;
    for (i, v) in values.iter().enumerate().skip(1) {
        if wins(*v, values[best]) || values[best].is_nan() {
            best = i;
        }
    }
    best
}

pub(crate) fn max(w: &Window<'_>, call: &Call<'_>) -> Point {
    floats_only(w, call, |v| v[winner(v, |a, b| a > b)])
}

pub(crate) fn min(w: &Window<'_>, call: &Call<'_>) -> Point {
    floats_only(w, call, |v| v[winner(v, |a, b| a < b)])
}

pub(crate) fn time_of_max(w: &Window<'_>, call: &Call<'_>) -> Point {
    floats_only(w, call, |v| w.ft[winner(v, |a, b| a >= b)] as f64 / 1000.0)
}

pub(crate) fn time_of_min(w: &Window<'_>, call: &Call<'_>) -> Point {
    floats_only(w, call, |v| w.ft[winner(v, |a, b| a <= b)] as f64 / 1000.0)
}

pub(crate) fn stdvar(w: &Window<'_>, call: &Call<'_>, root: bool) -> Point {
    floats_only(w, call, |values| {
        let mut acc = Variance::default();
        values.iter().for_each(|v| acc.add(*v));
        if root { acc.value().sqrt() } else { acc.value() }
    })
}

pub(crate) fn quantile_of(w: &Window<'_>, call: &Call<'_>, q: f64) -> Point {
    if !w.fv.is_empty() && !(0.0..=1.0).contains(&q) {
        call.ctx.noted();
    }
    floats_only(w, call, |values| quantile(q, &mut values.to_vec()))
}

/// Median of the distances from the median.
pub(crate) fn mad(w: &Window<'_>, call: &Call<'_>) -> Point {
    floats_only(w, call, |values| {
        if values.iter().any(|v| v.is_nan()) {
            return model::sample::NORMAL_NAN;
        }
        let median = quantile(0.5, &mut values.to_vec());
        let mut distances: Vec<f64> = values.iter().map(|v| (v - median).abs()).collect();
        quantile(0.5, &mut distances)
    })
}

/// The first or last sample with its time.
fn outermost(w: &Window<'_>, last: bool) -> Option<(i64, Point)> {
    let f = if last { w.ft.len().checked_sub(1) } else { (!w.ft.is_empty()).then_some(0) };
    let h = if last { w.ht.len().checked_sub(1) } else { (!w.ht.is_empty()).then_some(0) };
    match (f, h) {
        (None, None) => None,
        (Some(f), None) => Some((w.ft[f], Point::Float(w.fv[f]))),
        (Some(f), Some(h)) if (w.ft[f] > w.ht[h]) == last => Some((w.ft[f], Point::Float(w.fv[f]))),
        (_, Some(h)) => Some((w.ht[h], Point::Hist(w.hv[h].clone()))),
    }
}

pub(crate) fn outer(w: &Window<'_>, last: bool) -> Point {
    outermost(w, last).map_or(Point::Absent, |(_, p)| p)
}

pub(crate) fn time_of_outer(w: &Window<'_>, last: bool) -> Point {
    outermost(w, last).map_or(Point::Absent, |(t, _)| Point::Float(t as f64 / 1000.0))
}

/// Walks over numbers and histograms in order of time, counting what `counts(previous, current)` says.
/// A sample of either kind, with its time and when its count began (0: unknown).
struct Stepped {
    t: i64,
    start: i64,
    point: Point,
}

fn count_steps(w: &Window<'_>, from: i64, counts: impl Fn(&Stepped, &Stepped) -> bool) -> Point {
    if w.is_empty() {
        return Point::Absent;
    }
    let (mut f, mut h, mut found) = (0, 0, 0);
    let mut prev: Option<Stepped> = None;
    let start = |starts: &[i64], i: usize| starts.get(i).copied().unwrap_or(0);
    while f < w.ft.len() || h < w.ht.len() {
        let take_float = h >= w.ht.len() || (f < w.ft.len() && w.ft[f] < w.ht[h]);
        let current = if take_float {
            f += 1;
            Stepped { t: w.ft[f - 1], start: start(w.fs, f - 1), point: Point::Float(w.fv[f - 1]) }
        } else {
            h += 1;
            Stepped { t: w.ht[h - 1], start: start(w.hs, h - 1), point: Point::Hist(w.hv[h - 1].clone()) }
        };
        if current.t < from {
            continue;
        }
        if prev.as_ref().is_some_and(|prev| counts(prev, &current)) {
            found += 1;
        }
        prev = Some(current);
    }
    Point::Float(f64::from(found))
}

pub(crate) fn changes(w: &Window<'_>, from: i64) -> Point {
    if w.hv.is_empty() && from == i64::MIN {
        let differ = |p: &[f64]| p[1] != p[0] && !(p[0].is_nan() && p[1].is_nan());
        return Point::Float(w.fv.windows(2).filter(|p| differ(p)).count() as f64);
    }
    count_steps(w, from, |prev, current| match (&prev.point, &current.point) {
        (Point::Float(a), Point::Float(b)) => a != b && !(a.is_nan() && b.is_nan()),
        (Point::Hist(a), Point::Hist(b)) => !histogram::equals(a, b),
        _ => true,
    })
}

pub(crate) fn resets(w: &Window<'_>, from: i64) -> Point {
    if w.hv.is_empty() && from == i64::MIN {
        let anew = |i: &usize| w.fv[*i] < w.fv[*i - 1] || begins_anew(w.ft, w.fs, *i);
        return Point::Float((1..w.fv.len()).filter(anew).count() as f64);
    }
    count_steps(w, from, |prev, current| {
        let starts = [prev.start, current.start];
        let anew = from == i64::MIN && begins_anew(&[prev.t, current.t], &starts, 1);
        anew || match (&prev.point, &current.point) {
            (Point::Float(a), Point::Float(b)) => b < a,
            (Point::Hist(a), Point::Hist(b)) => histogram::detect_reset(b, a),
            _ => true,
        }
    })
}

/// Slope and value at `at` of the line through the samples (least squares, compensated sums).
pub(crate) fn regression(times: &[i64], values: &[f64], at: i64) -> (f64, f64) {
    let (mut x_sum, mut y_sum) = (Kahan::default(), Kahan::default());
    let (mut xy_sum, mut xx_sum) = (Kahan::default(), Kahan::default());
    let constant = values.iter().all(|v| *v == values[0]);
    for (t, y) in times.iter().zip(values) {
        let x = (t - at) as f64 / 1000.0;
        x_sum.add(x);
        y_sum.add(*y);
        xy_sum.add(x * y);
        xx_sum.add(x * x);
    }
    if constant {
        let nan = model::sample::NORMAL_NAN;
        return if values[0].is_infinite() { (nan, nan) } else { (0.0, values[0]) };
    }
    let n = values.len() as f64;
    let total = |k: Kahan| k.sum + k.c;
    let (x, y) = (total(x_sum), total(y_sum));
    let covariance = total(xy_sum) - x * y / n;
    let variance = total(xx_sum) - x * x / n;
    let slope = covariance / variance;
    (slope, y / n - slope * x / n)
}

pub(crate) fn deriv(w: &Window<'_>, call: &Call<'_>) -> Point {
    if !w.fv.is_empty() && !w.hv.is_empty() {
        call.info_ignored_histograms();
    }
    if w.fv.len() < 2 {
        return Point::Absent;
    }
    Point::Float(regression(w.ft, w.fv, w.ft[0]).0)
}

pub(crate) fn predict(w: &Window<'_>, call: &Call<'_>, at: i64, seconds: f64) -> Point {
    if !w.fv.is_empty() && !w.hv.is_empty() {
        call.info_ignored_histograms();
    }
    if w.fv.len() < 2 {
        return Point::Absent;
    }
    let (slope, value) = regression(w.ft, w.fv, at);
    Point::Float(slope * seconds + value)
}

/// Holt-Winters' double exponential smoothing.
pub(crate) fn smooth(w: &Window<'_>, call: &Call<'_>, smoothing: f64, trend: f64) -> Point {
    let proper = |v: f64| !(v <= 0.0 || v >= 1.0);
    if !proper(smoothing) || !proper(trend) {
        call.ctx.filled();
        return Point::Absent;
    }
    if !w.fv.is_empty() && !w.hv.is_empty() {
        call.info_ignored_histograms();
    }
    if w.fv.len() < 2 {
        return Point::Absent;
    }
    let (mut before, mut level, mut slope) = (0.0, w.fv[0], w.fv[1] - w.fv[0]);
    for (i, v) in w.fv.iter().enumerate().skip(1) {
        if i > 1 {
            slope = trend * (level - before) + (1.0 - trend) * slope;
        }
        let next = smoothing * v + (1.0 - smoothing) * (level + slope);
        before = level;
        level = next;
    }
    Point::Float(level)
}
