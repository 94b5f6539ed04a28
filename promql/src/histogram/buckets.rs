//! Buckets: their bounds, and histograms as lists of (index, count).
//!
//! Bucket `i` of schema `s` ends at 2^(i · 2^-s) and begins after the one below; negative buckets mirror that.

use model::FloatHistogram;
use model::histogram::Span;
pub(super) use model::histogram_bounds::bound;

/// Populated or not, in ascending order of the index.
pub(super) type Counts = Vec<(i32, f64)>;

/// Which buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Positive,
    Negative,
}

/// A bucket by its bounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    pub(crate) lower: f64,
    pub(crate) upper: f64,
    pub(crate) count: f64,
}

/// The buckets of one side as a list.
pub(super) fn counts(h: &FloatHistogram, side: Side) -> Counts {
    let (spans, buckets) = match side {
        Side::Positive => (&h.positive_spans, &h.positive_buckets),
        Side::Negative => (&h.negative_spans, &h.negative_buckets),
    };
    let mut out = Counts::with_capacity(buckets.len());
    let (mut index, mut values) = (0i32, buckets.iter());
    for span in spans {
        index = index.wrapping_add(span.offset);
        for _ in 0..span.length {
            let Some(v) = values.next() else { return out };
            out.push((index, *v));
            index = index.wrapping_add(1);
        }
    }
    out
}

/// Replaces the buckets of one side.
pub(super) fn set_counts(h: &mut FloatHistogram, side: Side, counts: Counts) {
    let mut spans: Vec<Span> = Vec::new();
    let mut next = 0i32;
    for (i, (index, _)) in counts.iter().enumerate() {
        match spans.last_mut() {
            Some(span) if i > 0 && *index == next => span.length += 1,
            _ => spans.push(Span { offset: index.wrapping_sub(next), length: 1 }),
        }
        next = index.wrapping_add(1);
    }
    let buckets = counts.into_iter().map(|(_, v)| v).collect();
    match side {
        Side::Positive => (h.positive_spans, h.positive_buckets) = (spans, buckets),
        Side::Negative => (h.negative_spans, h.negative_buckets) = (spans, buckets),
    }
}

/// Without empty buckets.
pub(crate) fn compact(mut h: FloatHistogram) -> FloatHistogram {
    for side in [Side::Positive, Side::Negative] {
        let mut c = counts(&h, side);
        c.retain(|(_, v)| *v != 0.0);
        set_counts(&mut h, side, c);
    }
    h
}

/// The same observations at a coarser resolution.
pub(crate) fn to_schema(h: &FloatHistogram, schema: i32) -> FloatHistogram {
    let mut out = h.clone();
    if schema >= h.schema || h.uses_custom_buckets() {
        return out;
    }
    let shift = (h.schema - schema).min(31) as u32;
    for side in [Side::Positive, Side::Negative] {
        let mut merged = Counts::new();
        for (index, v) in counts(h, side) {
            let coarse = (index.wrapping_sub(1) >> shift) + 1;
            match merged.last_mut() {
                Some((last, sum)) if *last == coarse => *sum += v,
                _ => merged.push((coarse, v)),
            }
        }
        set_counts(&mut out, side, merged);
    }
    out.schema = schema;
    out
}

/// Observations within a larger zero bucket, and its threshold: grown where it would cut a populated bucket.
pub(super) fn zero_count_within(h: &FloatHistogram, mut threshold: f64) -> (f64, f64) {
    if threshold <= h.zero_threshold {
        return (h.zero_count, h.zero_threshold.max(threshold));
    }
    let sides = [counts(h, Side::Positive), counts(h, Side::Negative)];
    'again: loop {
        let mut inside = h.zero_count;
        for side in &sides {
            for (index, v) in side {
                if bound(index.wrapping_sub(1), h.schema) >= threshold {
                    break;
                }
                let upper = bound(*index, h.schema);
                if upper > threshold && *v != 0.0 {
                    threshold = upper;
                    continue 'again;
                }
                inside += v;
            }
        }
        return (inside, threshold);
    }
}

/// Whether custom bounds are the same.
pub(super) fn bounds_match(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.to_bits() == y.to_bits())
}

/// The bounds that both have, and whether that is less than either.
pub(super) fn intersect(a: &[f64], b: &[f64]) -> (Vec<f64>, bool) {
    if bounds_match(a, b) {
        return (a.to_vec(), false);
    }
    (a.iter().copied().filter(|v| b.contains(v)).collect(), true)
}

/// Counts by the custom bounds `to`, which are some of `from`.
pub(super) fn remap(counts: Counts, from: &[f64], to: &[f64]) -> Counts {
    if bounds_match(from, to) {
        return counts;
    }
    let mut out = Counts::new();
    for (index, v) in counts {
        let upper = from.get(index.max(0) as usize).copied().unwrap_or(f64::INFINITY);
        let target = to.partition_point(|b| *b < upper) as i32;
        match out.last_mut() {
            Some((last, sum)) if *last == target => *sum += v,
            _ => out.push((target, v)),
        }
    }
    out
}

/// The highest bucket, also where it is empty.
pub(super) fn last_of_all(h: &FloatHistogram) -> Option<Bucket> {
    match counts(h, Side::Positive).last() {
        Some((index, count)) if !h.uses_custom_buckets() => Some(Bucket {
            lower: bound(index.wrapping_sub(1), h.schema),
            upper: bound(*index, h.schema),
            count: *count,
        }),
        _ => all_buckets(h).last().copied(),
    }
}

/// All buckets in ascending order of their bounds, the zero bucket among them; empty ones left out.
pub(crate) fn all_buckets(h: &FloatHistogram) -> Vec<Bucket> {
    let mut out = Vec::with_capacity(h.positive_buckets.len() + h.negative_buckets.len() + 1);
    if h.uses_custom_buckets() {
        for (index, count) in counts(h, Side::Positive) {
            let at = |i: i32| usize::try_from(i).ok().and_then(|i| h.custom_values.get(i).copied());
            let lower = if index == 0 { f64::NEG_INFINITY } else { at(index - 1).unwrap_or(f64::INFINITY) };
            out.push(Bucket { lower, upper: at(index).unwrap_or(f64::INFINITY), count });
        }
    } else {
        for (index, count) in counts(h, Side::Negative).into_iter().rev() {
            let (near, far) = (bound(index.wrapping_sub(1), h.schema), bound(index, h.schema));
            out.push(Bucket { lower: -far, upper: -near, count });
        }
        // less than nothing in it, as after a subtraction, does not show
        if h.zero_count > 0.0 {
            out.push(Bucket { lower: -h.zero_threshold, upper: h.zero_threshold, count: h.zero_count });
        }
        for (index, count) in counts(h, Side::Positive) {
            out.push(Bucket {
                lower: bound(index.wrapping_sub(1), h.schema),
                upper: bound(index, h.schema),
                count,
            });
        }
    }
    out.retain(|b| b.count != 0.0);
    out
}
