//! Sums and means of many histograms, compensated bucket by bucket.

use super::buckets::{Counts, Side, bound, counts, intersect, set_counts};
use super::{common_threshold, compact, joined_reset, to_schema};
use crate::engine::Kahan;
use model::FloatHistogram;
use model::histogram::CounterReset;
use std::collections::BTreeMap;

type Sums = BTreeMap<i32, Kahan>;

/// A sum of many histograms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum {
    /// Schema, bounds, thresholds and hint; its counts are not used.
    shape: FloatHistogram,
    count: Kahan,
    sum: Kahan,
    zero: Kahan,
    positive: Sums,
    negative: Sums,
    added: f64,
    /// The state is a mean already: the sum would have been infinite.
    incremental: bool,
    reset_seen: bool,
    not_reset_seen: bool,
    /// Custom bounds differed and were reduced to the common ones.
    pub(crate) reconciled: bool,
    /// Exponential met custom buckets: there is no sum.
    pub(crate) incompatible: bool,
}

/// Beyond this a further histogram could make the sum infinite.
const NEAR_OVERFLOW: f64 = 1e300;

impl Sum {
    /// Adds to a sum.
    pub(crate) fn add(&mut self, h: &FloatHistogram) {
        self.observe(h);
        self.add_divided(h, 1.0);
    }

    /// Adds to a mean, which stays finite where the sum would not.
    pub(crate) fn add_to_mean(&mut self, h: &FloatHistogram) {
        self.observe(h);
        if !self.incremental {
            let near = |a: f64, b: f64| a.abs().max(b.abs()) > NEAR_OVERFLOW;
            let risky = near(self.count.sum, h.count) || near(self.sum.sum, h.sum);
            let before = risky.then(|| self.clone());
            self.add_divided(h, 1.0);
            let Some(before) = before.filter(|_| self.overflowed()) else { return };
            if before.added == 1.0 && self.added == 1.0 {
                return;
            }
            *self = before;
            self.incremental = true;
            let n = self.added - 1.0;
            self.each(|k| {
                let (share, rest) = divided(k.sum, n);
                *k = Kahan { sum: share, c: k.c / n + rest };
            });
        }
        // the mean loses an n-th of itself and gains an n-th of the new one
        let n = self.added;
        self.each(|k| {
            let (share, rest) = divided(k.sum, n);
            k.c -= k.c / n + rest;
            k.add(-share);
        });
        self.add_divided(h, n);
    }

    fn overflowed(&self) -> bool {
        let sides = self.positive.values().chain(self.negative.values());
        sides.chain([&self.count, &self.sum, &self.zero]).any(|k| k.sum.is_infinite())
    }

    fn each(&mut self, f: impl Fn(&mut Kahan)) {
        let sides = self.positive.values_mut().chain(self.negative.values_mut());
        sides.chain([&mut self.count, &mut self.sum, &mut self.zero]).for_each(f);
    }

    fn observe(&mut self, h: &FloatHistogram) {
        self.reset_seen |= h.counter_reset == CounterReset::Reset;
        self.not_reset_seen |= h.counter_reset == CounterReset::NotReset;
        self.added += 1.0;
    }

    fn add_divided(&mut self, h: &FloatHistogram, divisor: f64) {
        if self.added == 1.0 {
            self.shape = FloatHistogram {
                counter_reset: h.counter_reset,
                schema: h.schema,
                zero_threshold: h.zero_threshold,
                custom_values: h.custom_values.clone(),
                ..FloatHistogram::default()
            };
        } else if self.shape.uses_custom_buckets() != h.uses_custom_buckets() {
            self.incompatible = true;
            return;
        } else {
            self.shape.counter_reset = joined_reset(self.shape.counter_reset, h.counter_reset).0;
        }
        add_share(&mut self.count, h.count, divisor);
        add_share(&mut self.sum, h.sum, divisor);
        if h.uses_custom_buckets() { self.add_custom(h, divisor) } else { self.add_exponential(h, divisor) }
    }

    fn add_custom(&mut self, h: &FloatHistogram, divisor: f64) {
        let (bounds, differ) = intersect(&self.shape.custom_values, &h.custom_values);
        self.reconciled |= differ;
        let target = |from: &[f64], index: i32| -> i32 {
            let upper = from.get(index.max(0) as usize).copied().unwrap_or(f64::INFINITY);
            bounds.partition_point(|b| *b < upper) as i32
        };
        if bounds.len() != self.shape.custom_values.len() {
            let old = std::mem::take(&mut self.positive);
            for (index, k) in old {
                join(&mut self.positive, target(&self.shape.custom_values, index), k);
            }
        }
        for (index, v) in counts(h, Side::Positive) {
            add_share(self.positive.entry(target(&h.custom_values, index)).or_default(), v, divisor);
        }
        self.shape.custom_values = bounds;
    }

    fn add_exponential(&mut self, h: &FloatHistogram, divisor: f64) {
        let schema = self.shape.schema.min(h.schema);
        self.coarsen(schema);
        let reduced;
        let h = if h.schema == schema {
            h
        } else {
            reduced = to_schema(h, schema);
            &reduced
        };
        let mut threshold = self.shape.zero_threshold;
        if threshold != h.zero_threshold {
            threshold = common_threshold(&self.current(), h);
            self.widen_zero(threshold);
        }
        add_share(&mut self.zero, h.zero_count, divisor);
        for (side, sums) in [(Side::Positive, &mut self.positive), (Side::Negative, &mut self.negative)] {
            for (index, v) in counts(h, side) {
                let inside = threshold > 0.0 && bound(index, schema) <= threshold;
                let into = if inside { &mut self.zero } else { sums.entry(index).or_default() };
                add_share(into, v, divisor);
            }
        }
    }

    fn coarsen(&mut self, schema: i32) {
        let shift = (self.shape.schema - schema).clamp(0, 31) as u32;
        if shift > 0 {
            for sums in [&mut self.positive, &mut self.negative] {
                for (index, k) in std::mem::take(sums) {
                    join(sums, ((index - 1) >> shift) + 1, k);
                }
            }
        }
        self.shape.schema = schema;
    }

    fn widen_zero(&mut self, threshold: f64) {
        let schema = self.shape.schema;
        self.shape.zero_threshold = threshold;
        for sums in [&mut self.positive, &mut self.negative] {
            for (index, k) in std::mem::take(sums) {
                if bound(index, schema) <= threshold {
                    self.zero.add(k.sum);
                    self.zero.c += k.c;
                } else {
                    sums.insert(index, k);
                }
            }
        }
    }

    fn current(&self) -> FloatHistogram {
        let total = |k: &Kahan| if k.sum.is_infinite() { k.sum } else { k.sum + k.c };
        let list = |sums: &Sums| -> Counts { sums.iter().map(|(i, k)| (*i, total(k))).collect() };
        let mut h = FloatHistogram {
            count: total(&self.count),
            sum: total(&self.sum),
            zero_count: total(&self.zero),
            ..self.shape.clone()
        };
        set_counts(&mut h, Side::Positive, list(&self.positive));
        set_counts(&mut h, Side::Negative, list(&self.negative));
        h
    }

    /// Whether some were said to be reset and others not.
    pub(crate) fn collision(&self) -> bool {
        self.reset_seen && self.not_reset_seen
    }

    /// How many were added.
    pub(crate) fn len(&self) -> f64 {
        self.added
    }

    /// The sum.
    pub(crate) fn value(&self) -> Option<FloatHistogram> {
        (!self.incompatible && self.added > 0.0).then(|| compact(self.current()))
    }

    /// The mean of what was added with [`Sum::add_to_mean`].
    pub(crate) fn mean(&self) -> Option<FloatHistogram> {
        let mut h = self.value()?;
        if !self.incremental {
            super::unscale(&mut h, self.added);
        }
        Some(h)
    }
}

/// A quotient and what it lacks.
fn divided(v: f64, divisor: f64) -> (f64, f64) {
    let share = v / divisor;
    let rest = (-share).mul_add(divisor, v) / divisor;
    (share, if rest.is_finite() { rest } else { 0.0 })
}

fn add_share(into: &mut Kahan, v: f64, divisor: f64) {
    if divisor == 1.0 {
        return into.add(v);
    }
    let (share, rest) = divided(v, divisor);
    into.add(share);
    into.c += rest;
}

fn join(sums: &mut Sums, index: i32, k: Kahan) {
    let into = sums.entry(index).or_default();
    into.add(k.sum);
    into.c += k.c;
}
