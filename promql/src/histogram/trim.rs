//! `</` and `>/`: a histogram without the observations on one side of a cutoff.
//!
//! A bucket that the cutoff divides is interpolated. The sum is estimated anew from the buckets that remain, unless
//! nothing was removed.

use super::buckets::{Bucket, Counts, Side, bound, counts, set_counts};
use super::quantile::{middle, share_below};
use model::FloatHistogram;

/// Keeps the observations below (`upper`) or above the cutoff.
pub(crate) fn trim(h: &FloatHistogram, cutoff: f64, upper: bool) -> FloatHistogram {
    let mut out = h.clone();
    let mut kept =
        Kept { cutoff, upper, custom: h.uses_custom_buckets(), count: 0.0, sum: 0.0, changed: false };
    for side in [Side::Positive, Side::Negative] {
        let trimmed: Counts =
            counts(h, side).into_iter().map(|(i, count)| (i, kept.keep_at(h, side, i, count))).collect();
        set_counts(&mut out, side, trimmed);
    }
    if !kept.custom {
        let mut zero = Bucket { lower: -h.zero_threshold, upper: h.zero_threshold, count: h.zero_count };
        let empty = |counts: &[f64]| counts.iter().all(|c| *c == 0.0);
        match (empty(&h.negative_buckets), empty(&h.positive_buckets)) {
            (true, false) => zero.lower = 0.0,
            (false, true) => zero.upper = 0.0,
            _ => {}
        }
        if zero.count > 0.0 {
            out.zero_count = kept.keep_zero(zero);
        }
    }
    if !kept.changed {
        return h.clone();
    }
    out.count = kept.count;
    out.sum = kept.sum;
    super::compact(out)
}

fn bucket(h: &FloatHistogram, side: Side, index: i32, count: f64) -> Bucket {
    if h.uses_custom_buckets() {
        let at = |i: i32| usize::try_from(i).ok().and_then(|i| h.custom_values.get(i).copied());
        let upper = at(index).unwrap_or(f64::INFINITY);
        let lower = match index {
            0 if upper > 0.0 && upper.is_finite() => 0.0,
            0 => f64::NEG_INFINITY,
            _ => at(index.wrapping_sub(1)).unwrap_or(f64::INFINITY),
        };
        return Bucket { lower, upper, count };
    }
    let (near, far) = (bound(index.wrapping_sub(1), h.schema), bound(index, h.schema));
    match side {
        Side::Positive => Bucket { lower: near, upper: far, count },
        Side::Negative => Bucket { lower: -far, upper: -near, count },
    }
}

struct Kept {
    cutoff: f64,
    upper: bool,
    custom: bool,
    count: f64,
    sum: f64,
    changed: bool,
}

impl Kept {
    fn keep_at(&mut self, h: &FloatHistogram, side: Side, index: i32, count: f64) -> f64 {
        let mut b = bucket(h, side, index, count);
        // a cutoff below zero reaches into the first custom bucket's open end
        if self.custom && index == 0 && !self.upper && self.cutoff < 0.0 && self.cutoff.is_finite() {
            b.lower = f64::NEG_INFINITY;
        }
        self.keep(b, self.custom)
    }

    fn keep_zero(&mut self, b: Bucket) -> f64 {
        if b.count != 0.0 && self.cutoff.is_nan() {
            self.changed = true;
            return self.take(f64::NAN, f64::NAN);
        }
        // of a zero bucket without width nothing lies below zero
        if self.upper && b.count != 0.0 && b.lower >= self.cutoff {
            self.changed = true;
            return 0.0;
        }
        self.keep(b, true)
    }

    /// How much of a bucket remains. `linear`: interpolated evenly rather than exponentially.
    fn keep(&mut self, b: Bucket, linear: bool) -> f64 {
        if b.count == 0.0 {
            return 0.0;
        }
        let whole = if self.upper { b.upper <= self.cutoff } else { b.lower >= self.cutoff };
        let none = if self.upper { b.lower >= self.cutoff } else { b.upper <= self.cutoff };
        if whole {
            return self.take(b.count, place(&b, linear));
        }
        if none || self.cutoff.is_nan() {
            self.changed = true;
            return 0.0;
        }
        match (b.lower == f64::NEG_INFINITY, b.upper == f64::INFINITY) {
            (false, false) => {}
            // what lies in an unbounded bucket goes with its open end
            (true, false) if self.upper => return self.take(b.count, self.cutoff),
            (false, true) if !self.upper => return self.take(b.count, self.cutoff),
            _ => {
                self.changed = true;
                return 0.0;
            }
        }
        let below = share_below(&b, self.cutoff, linear);
        let (share, part) = if self.upper {
            (below, Bucket { upper: self.cutoff, ..b })
        } else {
            (1.0 - below, Bucket { lower: self.cutoff, ..b })
        };
        // what is cut off may be too little to make a difference
        self.changed |= b.count * share != b.count;
        self.take(b.count * share, place(&part, linear))
    }

    fn take(&mut self, count: f64, place: f64) -> f64 {
        self.count += count;
        self.sum += count * place;
        count
    }
}

/// Where the observations of a bucket are taken to be.
fn place(b: &Bucket, linear: bool) -> f64 {
    if linear && b.lower.is_finite() && b.upper.is_finite() {
        return (b.lower + b.upper) / 2.0;
    }
    middle(b, linear)
}
