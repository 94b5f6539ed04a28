//! Classic histograms: quantiles and fractions from cumulative buckets with `le` labels.

use model::sample::NORMAL_NAN;

/// A cumulative bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    pub(crate) upper: f64,
    pub(crate) count: f64,
}

/// The bound that a `le` label says.
pub(crate) fn parse_bound(le: &str) -> Option<f64> {
    match le {
        "" => None,
        "+Inf" | "Inf" | "inf" | "+inf" => Some(f64::INFINITY),
        _ => le.parse().ok(),
    }
}

/// Differences below this share are taken for rounding.
const TOLERANCE: f64 = 1e-12;

/// Whether two numbers are the same but for rounding.
pub(crate) fn nearly(a: f64, b: f64, tolerance: f64) -> bool {
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, diff) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return diff < tolerance * f64::MIN_POSITIVE;
    }
    diff / sum.min(f64::MAX) < tolerance
}

/// Brings sorted buckets into shape: one a bound, counts that never fall. Says whether a fall was more than rounding.
fn repair(buckets: &mut Vec<Bucket>) -> bool {
    let mut unique: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for b in buckets.iter() {
        match unique.last_mut() {
            Some(last) if last.upper == b.upper => last.count += b.count,
            _ => unique.push(*b),
        }
    }
    let mut forced = false;
    let mut highest = unique.first().map_or(0.0, |b| b.count);
    for b in unique.iter_mut().skip(1) {
        if nearly(highest, b.count, TOLERANCE) {
            b.count = highest;
        } else if b.count < highest {
            b.count = highest;
            forced = true;
        } else {
            highest = b.count;
        }
    }
    *buckets = unique;
    forced
}

/// The value below which the share `q` lies, linear within a bucket; true where buckets had to be repaired.
pub(crate) fn quantile(q: f64, buckets: &mut Vec<Bucket>) -> (f64, bool) {
    if q.is_nan() {
        return (NORMAL_NAN, false);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, false);
    }
    if q > 1.0 {
        return (f64::INFINITY, false);
    }
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return (NORMAL_NAN, false);
    }
    let forced = repair(buckets);
    let n = buckets.len();
    let total = buckets[n - 1].count;
    if n < 2 || total == 0.0 || total.is_nan() {
        return (NORMAL_NAN, forced);
    }
    let mut rank = q * total;
    let at = buckets[..n - 1].partition_point(|b| b.count < rank);
    if at == n - 1 {
        return (buckets[n - 2].upper, forced);
    }
    if at == 0 && buckets[0].upper <= 0.0 {
        return (buckets[0].upper, forced);
    }
    let (mut begin, mut count) = (0.0, buckets[at].count);
    if at > 0 {
        begin = buckets[at - 1].upper;
        count -= buckets[at - 1].count;
        rank -= buckets[at - 1].count;
    }
    (begin + (buckets[at].upper - begin) * (rank / count), forced)
}

/// The share of the observations between the bounds, linear within a bucket.
pub(crate) fn fraction(lower: f64, upper: f64, buckets: &mut Vec<Bucket>) -> f64 {
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return NORMAL_NAN;
    }
    repair(buckets);
    let total = buckets[buckets.len() - 1].count;
    if total == 0.0 || total.is_nan() || lower.is_nan() || upper.is_nan() {
        return NORMAL_NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    (rank(upper, buckets, total) - rank(lower, buckets, total)) / total
}

/// How many observations lie below `v`.
fn rank(v: f64, buckets: &[Bucket], total: f64) -> f64 {
    let (mut begin, mut below) = (if buckets[0].upper > 0.0 { 0.0 } else { f64::NEG_INFINITY }, 0.0);
    for b in buckets {
        if begin >= v {
            return below;
        }
        if b.upper > v {
            let count = b.count - below;
            return match (begin == f64::NEG_INFINITY, b.upper == f64::INFINITY) {
                // an unbounded bucket is not divided: it counts as at its open end
                (_, true) => below,
                (true, _) => below + count,
                _ => below + count * (v - begin) / (b.upper - begin),
            };
        }
        (begin, below) = (b.upper, b.count);
    }
    total
}
