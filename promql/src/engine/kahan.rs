//! Compensated summation (Neumaier's form of Kahan's), as Prometheus sums.

/// A sum and what it lacks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kahan {
    pub(crate) sum: f64,
    pub(crate) c: f64,
}

impl Kahan {
    #[inline]
    pub(crate) fn add(&mut self, v: f64) {
        // chosen rather than branched: which of the two is larger cannot be predicted
        let t = self.sum + v;
        let (large, small) = if self.sum.abs() >= v.abs() { (self.sum, v) } else { (v, self.sum) };
        let c = self.c + ((large - t) + small);
        self.c = if t.is_infinite() { 0.0 } else { c };
        self.sum = t;
    }

    #[inline]
    pub(crate) fn value(&self) -> f64 {
        if self.sum.is_infinite() { self.sum } else { self.sum + self.c }
    }
}

/// A mean that does not overflow: a plain sum until that would be infinite, from there on incremental.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mean {
    acc: Kahan,
    incremental: bool,
    pub(crate) count: f64,
}

impl Mean {
    #[inline]
    pub(crate) fn add(&mut self, v: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.acc.sum = v;
            return;
        }
        if !self.incremental {
            let mut next = self.acc;
            next.add(v);
            if !next.sum.is_infinite() {
                self.acc = next;
                return;
            }
            self.incremental = true;
            self.acc.sum /= self.count - 1.0;
            self.acc.c /= self.count - 1.0;
        }
        let q = (self.count - 1.0) / self.count;
        self.acc = Kahan { sum: q * self.acc.sum, c: q * self.acc.c };
        self.acc.add(v / self.count);
    }

    pub(crate) fn value(&self) -> f64 {
        if self.incremental {
            return self.acc.sum + self.acc.c;
        }
        self.acc.sum / self.count + self.acc.c / self.count
    }
}

/// Variance in one pass (Welford, compensated).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Variance {
    count: f64,
    mean: Kahan,
    aux: Kahan,
}

impl Variance {
    #[inline]
    pub(crate) fn add(&mut self, v: f64) {
        self.count += 1.0;
        let delta = v - (self.mean.sum + self.mean.c);
        self.mean.add(delta / self.count);
        self.aux.add(delta * (v - (self.mean.sum + self.mean.c)));
    }

    pub(crate) fn value(&self) -> f64 {
        (self.aux.sum + self.aux.c) / self.count
    }
}

/// The quantile of values, which are reordered; NaNs count as the smallest.
pub(crate) fn quantile(q: f64, values: &mut [f64]) -> f64 {
    values.sort_unstable_by(nan_first);
    quantile_of_sorted(q, values)
}

/// The quantile of values that are sorted, NaNs first.
pub(crate) fn quantile_of_sorted(q: f64, values: &[f64]) -> f64 {
    if values.is_empty() || q.is_nan() {
        return model::sample::NORMAL_NAN;
    }
    if q < 0.0 {
        return f64::NEG_INFINITY;
    }
    if q > 1.0 {
        return f64::INFINITY;
    }
    let rank = q * (values.len() as f64 - 1.0);
    let lower = rank.floor().max(0.0);
    let upper = (lower + 1.0).min(values.len() as f64 - 1.0);
    let weight = rank - rank.floor();
    values[lower as usize] * (1.0 - weight) + values[upper as usize] * weight
}

/// Order of numbers with NaN before all.
pub(crate) fn nan_first(a: &f64, b: &f64) -> std::cmp::Ordering {
    match (a.is_nan(), b.is_nan()) {
        (true, true) => std::cmp::Ordering::Equal,
        (true, false) => std::cmp::Ordering::Less,
        (false, true) => std::cmp::Ordering::Greater,
        (false, false) => a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal),
    }
}
