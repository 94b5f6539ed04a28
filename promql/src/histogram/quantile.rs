//! Quantiles, fractions and variance of native histograms, interpolated within buckets.

use super::buckets::{Bucket, all_buckets, last_of_all};
use crate::engine::Kahan;
use model::FloatHistogram;
use model::sample::NORMAL_NAN;

/// What NaN among the observations did to a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NanEffect {
    None,
    Skewed,
    IsNan,
}

/// The buckets with the bounds that interpolation uses: the zero bucket of a histogram with only one side ends at zero.
fn interpolated(h: &FloatHistogram) -> Vec<Bucket> {
    let mut buckets = all_buckets(h);
    if !h.uses_custom_buckets() {
        for b in buckets.iter_mut().filter(|b| b.lower < 0.0 && b.upper > 0.0) {
            match (h.negative_buckets.is_empty(), h.positive_buckets.is_empty()) {
                (true, false) => b.lower = 0.0,
                (false, true) => b.upper = 0.0,
                _ => {}
            }
        }
    }
    buckets
}

/// The value below which the share `q` of the observations lies.
pub(crate) fn quantile(q: f64, h: &FloatHistogram) -> (f64, NanEffect) {
    if q < 0.0 {
        return (f64::NEG_INFINITY, NanEffect::None);
    }
    if q > 1.0 {
        return (f64::INFINITY, NanEffect::None);
    }
    if h.count == 0.0 || q.is_nan() {
        return (NORMAL_NAN, NanEffect::None);
    }
    let nan_seen = h.sum.is_nan();
    let forward = nan_seen || q < 0.5;
    let buckets = interpolated(h);
    let mut rank = if forward { q * h.count } else { (1.0 - q) * h.count };
    let (mut count, mut found) = (0.0, None);
    let walk: Box<dyn Iterator<Item = &Bucket>> =
        if forward { Box::new(buckets.iter()) } else { Box::new(buckets.iter().rev()) };
    for b in walk {
        found = Some(*b);
        count += b.count;
        if count >= rank {
            break;
        }
    }
    let Some(mut b) = found else {
        return (NORMAL_NAN, if nan_seen { NanEffect::IsNan } else { NanEffect::None });
    };
    let effect = if nan_seen { NanEffect::Skewed } else { NanEffect::None };
    if nan_seen && count < rank {
        return (NORMAL_NAN, NanEffect::IsNan);
    }
    if h.uses_custom_buckets() {
        if b.lower == f64::NEG_INFINITY {
            if b.upper <= 0.0 {
                return (b.upper, effect);
            }
            b.lower = 0.0;
        } else if b.upper == f64::INFINITY {
            return (b.lower, effect);
        }
    }
    count = count.min(h.count);
    if nan_seen && count < rank {
        return (NORMAL_NAN, NanEffect::IsNan);
    }
    if count < rank {
        return (if forward { b.upper } else { b.lower }, effect);
    }
    rank = if forward { rank - (count - b.count) } else { count - rank };
    if nan_seen && let Some(last) = last_of_all(h) {
        // where NaN was observed, Prometheus has walked on to the last bucket, populated or not, when it interpolates
        b = last;
    }
    let share = rank / b.count;
    if h.uses_custom_buckets() || (b.lower <= 0.0 && b.upper >= 0.0) {
        return (b.lower + (b.upper - b.lower) * share, effect);
    }
    let (log_lower, log_upper) = (b.lower.abs().log2(), b.upper.abs().log2());
    let value = if b.lower > 0.0 {
        (log_lower + (log_upper - log_lower) * share).exp2()
    } else {
        -(log_upper + (log_lower - log_upper) * (1.0 - share)).exp2()
    };
    (value, effect)
}

/// The share of a bucket's observations that lies below `v`, which is within the bucket.
pub(super) fn share_below(b: &Bucket, v: f64, linear: bool) -> f64 {
    // an unbounded bucket is not divided: it counts as at its open end
    if b.upper == f64::INFINITY {
        return 0.0;
    }
    if b.lower == f64::NEG_INFINITY {
        return 1.0;
    }
    if linear || (b.lower <= 0.0 && b.upper >= 0.0) {
        return (v - b.lower) / (b.upper - b.lower);
    }
    let (log_lower, log_upper, log_v) = (b.lower.abs().log2(), b.upper.abs().log2(), v.abs().log2());
    if v > 0.0 {
        (log_v - log_lower) / (log_upper - log_lower)
    } else {
        1.0 - (log_v - log_upper) / (log_lower - log_upper)
    }
}

/// The share of the observations between the bounds; true where NaN was among them.
pub(crate) fn fraction(lower: f64, upper: f64, h: &FloatHistogram) -> (f64, bool) {
    if h.count == 0.0 || lower.is_nan() || upper.is_nan() {
        return (NORMAL_NAN, false);
    }
    let nan_seen = h.sum.is_nan();
    if lower >= upper {
        return (0.0, false);
    }
    let mut buckets = interpolated(h);
    let custom = h.uses_custom_buckets();
    // a custom bucket around zero begins there, as a zero bucket without negative ones does
    for b in buckets.iter_mut().filter(|b| custom && b.lower <= 0.0 && b.upper >= 0.0) {
        b.lower = 0.0;
    }
    let in_buckets: f64 = buckets.iter().map(|b| b.count).sum();
    let total = if nan_seen { in_buckets } else { h.count };
    let rank_of = |v: f64| -> f64 {
        let mut rank: f64 = 0.0;
        for b in &buckets {
            if b.lower >= v {
                return rank.min(total);
            }
            if b.upper > v {
                return (rank + b.count * share_below(b, v, custom)).min(total);
            }
            rank += b.count;
        }
        total
    };
    ((rank_of(upper) - rank_of(lower)) / h.count, nan_seen)
}

/// Variance of the observations, each taken to be in the middle of its bucket.
pub(crate) fn variance(h: &FloatHistogram) -> f64 {
    let mean = h.sum / h.count;
    let mut acc = Kahan::default();
    for b in all_buckets(h) {
        let below_all = b.lower == f64::NEG_INFINITY;
        let middle = match () {
            () if below_all && b.upper == f64::INFINITY => NORMAL_NAN,
            () if below_all => f64::NEG_INFINITY,
            () if b.upper == f64::INFINITY => f64::INFINITY,
            () => middle(&b, h.uses_custom_buckets()),
        };
        let delta = middle - mean;
        acc.add(b.count * delta * delta);
    }
    acc.value() / h.count
}

/// Where the observations of a bucket are taken to be: its arithmetic or geometric middle.
pub(super) fn middle(b: &Bucket, custom: bool) -> f64 {
    if custom {
        if b.lower == f64::NEG_INFINITY {
            return if b.upper > 0.0 { b.upper / 2.0 } else { b.upper };
        }
        if b.upper == f64::INFINITY {
            return b.lower;
        }
        return (b.lower + b.upper) / 2.0;
    }
    if b.lower <= 0.0 && b.upper >= 0.0 {
        return 0.0;
    }
    let root = (b.upper * b.lower).sqrt();
    if b.upper < 0.0 { -root } else { root }
}
