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

/// Whether a counter began anew between the samples at `i - 1` and `i`, by their start timestamps. What begins where the sample
/// before it stands is another count, unless that sample does not say when its own began: then it may be the first of the same.
pub(crate) fn begins_anew(times: &[i64], starts: &[i64], i: usize) -> bool {
    let (Some(&start), Some(&before)) = (starts.get(i), starts.get(i.wrapping_sub(1))) else { return false };
    let (last, now) = (times[i - 1], times[i]);
    let known = start != 0 && start < now;
    known && (start > last || (start == last && before != 0 && before < last))
}

/// When a count began that has no sample before the one at `t` in a window that begins at `start`: a counter was zero then.
fn began_within(starts: &[i64], t: i64, start: i64) -> Option<i64> {
    starts.first().copied().filter(|began| *began != 0 && start < *began && *began < t)
}

/// Where a series begins anew, found once: the indexes of numbers below the one before, or of which start timestamps say so.
pub(crate) fn resets(kind: Kind, samples: &Samples, out: &mut Vec<usize>) {
    out.clear();
    if kind.counter && !samples.fs.is_empty() {
        let anew =
            |i: &usize| samples.fv[*i] < samples.fv[*i - 1] || begins_anew(&samples.ft, &samples.fs, *i);
        out.extend((1..samples.fv.len()).filter(anew));
        return;
    }
    // most series never fall: all are looked at without a branch each
    if !kind.counter || !samples.fv.windows(2).fold(false, |any, w| any | (w[1] < w[0])) {
        return;
    }
    let falls = samples.fv.windows(2).enumerate().filter(|(_, w)| w[1] < w[0]);
    out.extend(falls.map(|(i, _)| i + 1));
}

/// A counter's increase with the part that its resets hide: the values just before them, added in turn, as a sum of their own would
/// round and overflow elsewhere. `next` moves on with the window: the first reset that is not before the window.
fn with_resets(
    mut increase: f64,
    samples: &Samples,
    resets: &[usize],
    next: &mut usize,
    (first, last): (usize, usize),
) -> f64 {
    while *next < resets.len() && resets[*next] <= first {
        *next += 1;
    }
    for &at in &resets[*next..] {
        if at > last {
            break;
        }
        increase += samples.fv[at - 1];
    }
    increase
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
    if resets.is_empty() && samples.fs.is_empty() {
        return of_steady(kind, samples, grid, (reference, range), col);
    }
    let values = samples.fv.as_slice();
    let mut next = 0;
    let steps = grid.places.iter().zip(&grid.stretches).zip(&mut col.values);
    for (i, ((place, by), out)) in steps.enumerate() {
        let n = place.len();
        if n == 0 {
            continue;
        }
        let (first, last) = (place.from(), place.to() - 1);
        let end = reference.time(i);
        let began = match kind.counter && !samples.fs.is_empty() {
            true => began_within(&samples.fs[first..], samples.ft[first], end - range),
            false => None,
        };
        if n < 2 && began.is_none() {
            continue;
        }
        let mut result = values[last] - values[first];
        if began.is_some() {
            result += values[first];
        }
        if kind.counter {
            if !resets.is_empty() {
                result = with_resets(result, samples, resets, &mut next, (first, last));
            }
            if let Some(began) = began {
                let times = (samples.ft[first], samples.ft[last]);
                *out = result * stretch_from(kind, (end - range, end), began, times, n);
                continue;
            }
            let begin = values[first];
            if result > 0.0 && begin >= 0.0 && begin <= result * by.limit {
                let times = (samples.ft[first], samples.ft[last]);
                *out = result * stretch(kind, (end - range, end), times, n, Some(begin / result));
                continue;
            }
        }
        *out = result * by.factor;
    }
}

/// The same of numbers that never fall and of which no start is known: most of all.
fn of_steady(
    kind: Kind,
    samples: &Samples,
    grid: &Grid,
    (reference, range): (&Reference, i64),
    col: &mut Column,
) {
    let values = samples.fv.as_slice();
    let steps = grid.places.iter().zip(&grid.stretches).zip(&mut col.values);
    for (i, ((place, by), out)) in steps.enumerate() {
        if place.len() < 2 {
            continue;
        }
        let (first, last) = (place.from(), place.to() - 1);
        let begin = values[first];
        let increase = values[last] - begin;
        *out = increase * by.factor;
        if kind.counter && increase > 0.0 && begin >= 0.0 && begin <= increase * by.limit {
            let (end, times) = (reference.time(i), (samples.ft[first], samples.ft[last]));
            *out = increase * stretch(kind, (end - range, end), times, place.len(), Some(begin / increase));
        }
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

/// The factor by which the increase since a counter was zero, at `began` in the window, becomes that of the window. Only its end is
/// stretched, and only where there are two samples that say how far apart they stand.
fn stretch_from(
    kind: Kind,
    (start, end): (i64, i64),
    began: i64,
    (first, last): (i64, i64),
    n: usize,
) -> f64 {
    let seconds = |from: i64, to: i64| (to - from) as f64 / 1000.0;
    let sampled = seconds(began, last);
    let mut to_end = 0.0;
    if n > 1 {
        let average = seconds(first, last) / (n - 1) as f64;
        to_end = seconds(last, end);
        if to_end >= average * 1.1 {
            to_end = average / 2.0;
        }
    }
    let factor = (sampled + to_end) / sampled;
    if kind.per_second { factor / seconds(start, end) } else { factor }
}

/// Rate, increase or delta of a window with histograms.
pub(crate) fn of_histograms(kind: Kind, w: &Window<'_>, call: &Call<'_>) -> Point {
    if !w.fv.is_empty() {
        call.warn_mixed();
        return Point::Absent;
    }
    let n = w.hv.len();
    let began = if kind.counter { began_within(w.hs, w.ht[0], w.start) } else { None };
    if n < 2 && began.is_none() {
        return Point::Absent;
    }
    let Some(mut h) = increase_of_histograms(kind.counter, w, began.is_some(), call) else {
        return Point::Absent;
    };
    let first = &w.hv[0];
    let at_zero = (kind.counter && h.count > 0.0 && first.count >= 0.0).then(|| first.count / h.count);
    let (window, times) = ((w.start, w.end), (w.ht[0], w.ht[n - 1]));
    let factor = match began {
        Some(began) => stretch_from(kind, window, began, times, n),
        None => stretch(kind, window, times, n, at_zero),
    };
    histogram::scale(&mut h, factor);
    h.counter_reset = CounterReset::Gauge;
    Point::hist(histogram::compact(h))
}

/// The increase over histograms, counter resets undone; nothing where their buckets do not go together. `from_zero`: the first one is
/// itself part of the increase.
fn increase_of_histograms(
    counter: bool,
    w: &Window<'_>,
    from_zero: bool,
    call: &Call<'_>,
) -> Option<FloatHistogram> {
    let points = w.hv;
    let anew = |i: usize, before: &FloatHistogram| {
        histogram::detect_reset(&points[i], before) || begins_anew(w.ht, w.hs, i)
    };
    let (first, last) = (&points[0], &points[points.len() - 1]);
    let gauge = |h: &FloatHistogram| h.counter_reset == CounterReset::Gauge;
    if counter && points.iter().any(|h| gauge(h)) {
        call.warn_metric("this native histogram metric is not a counter:");
    }
    // a reset right after the first sample makes that one's buckets irrelevant
    let mut base = first.clone();
    let empty_like = |h: &FloatHistogram| {
        let (schema, custom_values) = (h.schema, h.custom_values.clone());
        Arc::new(FloatHistogram { schema, custom_values, ..FloatHistogram::default() })
    };
    let mut dropped = false;
    if from_zero {
        base = empty_like(first);
    } else if counter && anew(1, first) {
        base = empty_like(&points[1]);
        dropped = true;
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
        let mut prev: &FloatHistogram = if from_zero { first } else { &base };
        for (i, current) in points.iter().enumerate().skip(1) {
            // the one that was dropped is not before the second any more
            if if dropped && i == 1 { histogram::detect_reset(current, prev) } else { anew(i, prev) } {
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
        let anew = last < prev || begins_anew(w.ft, w.fs, nf - 1);
        let result = if rate && anew { last } else { last - prev };
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
    let anew = histogram::detect_reset(last, prev) || begins_anew(w.ht, w.hs, nh - 1);
    if !rate || !anew {
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
