//! Arithmetic over native histograms: bringing two to the same buckets, adding, scaling, comparing, reset detection.

mod buckets;
mod quantile;
mod sum;
mod trim;

pub(crate) use buckets::{all_buckets, compact, to_schema};
pub(crate) use quantile::{NanEffect, fraction, quantile, variance};
pub(crate) use sum::Sum;
pub(crate) use trim::trim;

use buckets::{Bucket, Counts, Side, bounds_match, counts, intersect, remap, set_counts, zero_count_within};
use model::FloatHistogram;
use model::histogram::CounterReset;

/// One histogram has exponential, the other custom buckets.
#[derive(Debug)]
pub(crate) struct Incompatible;

/// A sum or difference, and what had to be done for it.
pub(crate) struct Combined {
    pub(crate) h: FloatHistogram,
    /// One was said to be reset, the other not.
    pub(crate) collision: bool,
    /// Custom bounds differed and were reduced to the common ones.
    pub(crate) reconciled: bool,
}

/// `a + b`.
pub(crate) fn add(a: &FloatHistogram, b: &FloatHistogram) -> Result<Combined, Incompatible> {
    combine(a, b, 1.0)
}

/// `a - b`; the counts may become negative.
pub(crate) fn sub(a: &FloatHistogram, b: &FloatHistogram) -> Result<Combined, Incompatible> {
    combine(a, b, -1.0)
}

fn combine(a: &FloatHistogram, b: &FloatHistogram, sign: f64) -> Result<Combined, Incompatible> {
    if a.uses_custom_buckets() != b.uses_custom_buckets() {
        return Err(Incompatible);
    }
    let (counter_reset, collision) = joined_reset(a.counter_reset, b.counter_reset);
    let mut h = FloatHistogram {
        counter_reset,
        schema: a.schema.min(b.schema),
        zero_threshold: 0.0,
        zero_count: 0.0,
        count: a.count + sign * b.count,
        sum: a.sum + sign * b.sum,
        ..FloatHistogram::default()
    };
    if a.uses_custom_buckets() {
        let (bounds, reconciled) = intersect(&a.custom_values, &b.custom_values);
        let ca = remap(counts(a, Side::Positive), &a.custom_values, &bounds);
        let cb = remap(counts(b, Side::Positive), &b.custom_values, &bounds);
        set_counts(&mut h, Side::Positive, merge(ca, cb, sign));
        h.custom_values = bounds;
        return Ok(Combined { h, collision, reconciled });
    }
    let (a, b) = (to_schema(a, h.schema), to_schema(b, h.schema));
    let threshold = common_threshold(&a, &b);
    h.zero_threshold = threshold;
    h.zero_count = zero_count_within(&a, threshold).0 + sign * zero_count_within(&b, threshold).0;
    for side in [Side::Positive, Side::Negative] {
        let outside = |x: &FloatHistogram| -> Counts {
            let mut c = counts(x, side);
            c.retain(|(index, _)| buckets::bound(*index, x.schema) > threshold);
            c
        };
        set_counts(&mut h, side, merge(outside(&a), outside(&b), sign));
    }
    Ok(Combined { h, collision, reconciled: false })
}

/// The smallest zero threshold that cuts no populated bucket of either.
fn common_threshold(a: &FloatHistogram, b: &FloatHistogram) -> f64 {
    let mut threshold = a.zero_threshold.max(b.zero_threshold);
    loop {
        let next = zero_count_within(b, zero_count_within(a, threshold).1).1;
        if next == threshold {
            return threshold;
        }
        threshold = next;
    }
}

fn joined_reset(a: CounterReset, b: CounterReset) -> (CounterReset, bool) {
    use CounterReset::{Gauge, Unknown};
    match (a, b) {
        (a, b) if a == b => (a, false),
        (Gauge, _) | (_, Gauge) => (Gauge, false),
        (Unknown, _) | (_, Unknown) => (Unknown, false),
        _ => (Unknown, true),
    }
}

fn merge(a: Counts, b: Counts, sign: f64) -> Counts {
    let mut out = Counts::with_capacity(a.len().max(b.len()));
    let (mut a, mut b) = (a.into_iter().peekable(), b.into_iter().peekable());
    loop {
        match (a.peek().copied(), b.peek().copied()) {
            (None, None) => return out,
            (Some((i, x)), Some((j, y))) if i == j => {
                out.push((i, x + sign * y));
                a.next();
                b.next();
            }
            (Some((i, x)), other) if other.is_none_or(|(j, _)| i < j) => {
                out.push((i, x));
                a.next();
            }
            (_, Some((j, y))) => {
                out.push((j, sign * y));
                b.next();
            }
            (Some(_), None) => a.next().map_or((), |x| out.push(x)),
        }
    }
}

/// Multiplies all counts and the sum.
pub(crate) fn scale(h: &mut FloatHistogram, factor: f64) {
    each_count(h, |v| *v *= factor);
    if factor < 0.0 {
        h.counter_reset = CounterReset::Gauge;
    }
}

/// Divides all counts and the sum; by zero, no buckets remain.
pub(crate) fn unscale(h: &mut FloatHistogram, divisor: f64) {
    each_count(h, |v| *v /= divisor);
    if divisor == 0.0 {
        h.positive_spans.clear();
        h.positive_buckets.clear();
        h.negative_spans.clear();
        h.negative_buckets.clear();
    }
    if divisor < 0.0 {
        h.counter_reset = CounterReset::Gauge;
    }
}

fn each_count(h: &mut FloatHistogram, f: impl Fn(&mut f64)) {
    f(&mut h.count);
    f(&mut h.sum);
    f(&mut h.zero_count);
    h.positive_buckets.iter_mut().for_each(&f);
    h.negative_buckets.iter_mut().for_each(&f);
}

/// Whether both say the same: buckets, bounds, count and sum, bit by bit.
pub(crate) fn equals(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    let same = |x: f64, y: f64| x.to_bits() == y.to_bits();
    let side = |side: Side| {
        let (x, y) = (counts(a, side), counts(b, side));
        let (x, y) = (populated(x), populated(y));
        x.len() == y.len() && x.iter().zip(&y).all(|((i, v), (j, w))| i == j && same(*v, *w))
    };
    a.schema == b.schema
        && same(a.count, b.count)
        && same(a.sum, b.sum)
        && same(a.zero_threshold, b.zero_threshold)
        && same(a.zero_count, b.zero_count)
        && (!a.uses_custom_buckets() || bounds_match(&a.custom_values, &b.custom_values))
        && side(Side::Positive)
        && side(Side::Negative)
}

fn populated(mut counts: Counts) -> Counts {
    counts.retain(|(_, v)| *v != 0.0);
    counts
}

/// Whether a counter began anew between `before` and `now`.
pub(crate) fn detect_reset(now: &FloatHistogram, before: &FloatHistogram) -> bool {
    match now.counter_reset {
        CounterReset::Reset => return true,
        CounterReset::NotReset => return false,
        CounterReset::Unknown | CounterReset::Gauge => {}
    }
    if now.uses_custom_buckets() != before.uses_custom_buckets() || now.count < before.count {
        return true;
    }
    if now.uses_custom_buckets() {
        let (bounds, _) = intersect(&now.custom_values, &before.custom_values);
        let a = remap(counts(now, Side::Positive), &now.custom_values, &bounds);
        let b = remap(counts(before, Side::Positive), &before.custom_values, &bounds);
        return any_fell(&a, &b);
    }
    if now.schema > before.schema || now.zero_threshold < before.zero_threshold {
        return true;
    }
    let (zero, threshold) = zero_count_within(before, now.zero_threshold);
    if threshold != now.zero_threshold || now.zero_count < zero {
        return true;
    }
    let before = to_schema(before, now.schema);
    [Side::Positive, Side::Negative].into_iter().any(|side| {
        let mut old = counts(&before, side);
        old.retain(|(index, _)| buckets::bound(*index, now.schema) > now.zero_threshold);
        any_fell(&counts(now, side), &old)
    })
}

fn any_fell(now: &Counts, before: &Counts) -> bool {
    let mut at = 0;
    before.iter().any(|(index, old)| {
        while at < now.len() && now[at].0 < *index {
            at += 1;
        }
        let new = if at < now.len() && now[at].0 == *index { now[at].1 } else { 0.0 };
        new < *old
    })
}

/// The text by which `count_values` tells histograms apart: the populated buckets with their bounds.
pub(crate) fn to_text(h: &FloatHistogram) -> String {
    use model::float::format_short;
    let mut out = format!("{{count:{}, sum:{}", format_short(h.count), format_short(h.sum));
    let mut buckets = all_buckets(h);
    if h.zero_count < 0.0 && !h.uses_custom_buckets() {
        let zero = Bucket { lower: -h.zero_threshold, upper: h.zero_threshold, count: h.zero_count };
        buckets.insert(buckets.partition_point(|b| b.upper < 0.0), zero);
    }
    for b in buckets {
        let lowest = h.uses_custom_buckets() && b.lower == f64::NEG_INFINITY;
        let zero = b.lower == -h.zero_threshold && b.upper == h.zero_threshold;
        let closed_left = lowest || (!h.uses_custom_buckets() && (zero || b.lower < 0.0));
        let closed_right = h.uses_custom_buckets() || zero || b.upper > 0.0;
        out += &format!(
            ", {}{},{}{}:{}",
            if closed_left { '[' } else { '(' },
            format_short(b.lower),
            format_short(b.upper),
            if closed_right { ']' } else { ')' },
            format_short(b.count)
        );
    }
    out + "}"
}
