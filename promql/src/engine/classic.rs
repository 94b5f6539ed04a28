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

/// What had to be raised so that counts never fall.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Repair {
    /// Upper bound of the lowest bucket concerned.
    pub(crate) lowest: f64,
    /// And of the highest.
    pub(crate) highest: f64,
    /// By how much at most.
    pub(crate) most: f64,
}

/// Brings sorted buckets of the same bound together, at the front of the list; says how many there are then. What lies behind them
/// stays: a second quantile of the same buckets meets it again, as in Prometheus.
fn coalesce(buckets: &mut [Bucket]) -> usize {
    let mut len = 1;
    for i in 1..buckets.len() {
        let b = buckets[i];
        if buckets[len - 1].upper == b.upper {
            buckets[len - 1].count += b.count;
        } else {
            buckets[len] = b;
            len += 1;
        }
    }
    len
}

/// Raises counts that fall; says where that was more than rounding.
fn repair(buckets: &mut [Bucket]) -> Option<Repair> {
    let mut forced: Option<Repair> = None;
    let mut highest = buckets[0].count;
    for b in &mut buckets[1..] {
        if nearly(highest, b.count, TOLERANCE) {
            b.count = highest;
        } else if b.count < highest {
            let fix = forced.get_or_insert(Repair { lowest: b.upper, highest: b.upper, most: 0.0 });
            fix.highest = b.upper;
            fix.most = fix.most.max(highest - b.count);
            b.count = highest;
        } else {
            highest = b.count;
        }
    }
    forced
}

/// The value below which the share `q` lies, linear within a bucket; and what had to be repaired.
pub(crate) fn quantile(q: f64, buckets: &mut [Bucket]) -> (f64, Option<Repair>) {
    if q.is_nan() {
        return (NORMAL_NAN, None);
    }
    if q < 0.0 {
        return (f64::NEG_INFINITY, None);
    }
    if q > 1.0 {
        return (f64::INFINITY, None);
    }
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return (NORMAL_NAN, None);
    }
    let n = coalesce(buckets);
    let forced = repair(&mut buckets[..n]);
    let total = buckets[n - 1].count;
    if n < 2 || total == 0.0 {
        return (NORMAL_NAN, forced);
    }
    let mut rank = q * total;
    let at = buckets[..n - 1].partition_point(|b| b.count < rank || b.count.is_nan() || rank.is_nan());
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
pub(crate) fn fraction(lower: f64, upper: f64, buckets: &mut [Bucket]) -> f64 {
    if buckets.last().is_none_or(|b| b.upper != f64::INFINITY) {
        return NORMAL_NAN;
    }
    let len = coalesce(buckets);
    let buckets = &buckets[..len];
    let total = buckets[buckets.len() - 1].count;
    if total == 0.0 || lower.is_nan() || upper.is_nan() {
        return NORMAL_NAN;
    }
    if lower >= upper {
        return 0.0;
    }
    if total.is_nan() {
        return NORMAL_NAN;
    }
    // buckets may fall below the ones before them
    let rank = |v: f64| rank(v, buckets, total).min(total);
    (rank(upper) - rank(lower)) / total
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
