//! Sums and means of many histograms, compensated bucket by bucket.

use super::buckets::{Counts, Side, bound, counts, intersect, set_counts};
use super::{common_threshold, compact, joined_reset, to_schema};
use crate::engine::Kahan;
use model::FloatHistogram;
use model::histogram::CounterReset;
use std::collections::BTreeMap;

/// A compensated sum, which becomes a mean where it would be infinite.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    acc: Kahan,
    is_mean: bool,
}

impl Part {
    /// The first value: also a zero keeps its sign.
    fn of(v: f64) -> Part {
        Part { acc: Kahan { sum: v, c: 0.0 }, is_mean: false }
    }

    /// Adds the `n`-th value.
    fn add(&mut self, v: f64, n: Option<f64>) {
        let Some(n) = n else { return self.acc.add(v) };
        if !self.is_mean {
            let mut next = self.acc;
            next.add(v);
            if !next.sum.is_infinite() || v.is_infinite() || self.acc.sum.is_infinite() {
                self.acc = next;
                return;
            }
            self.is_mean = true;
            self.scale(1.0 / (n - 1.0));
            self.scale((n - 1.0) / n);
        }
        self.acc.add(v / n);
    }

    fn scale(&mut self, factor: f64) {
        self.acc = Kahan { sum: self.acc.sum * factor, c: self.acc.c * factor };
    }

    fn join(&mut self, other: Part) {
        self.acc.add(other.acc.sum);
        self.acc.c += other.acc.c;
        self.is_mean |= other.is_mean;
    }

    fn total(&self) -> f64 {
        self.acc.value()
    }

    fn mean(&self, n: f64) -> f64 {
        match (self.is_mean, self.acc.sum.is_infinite()) {
            (true, _) => self.acc.sum + self.acc.c,
            (false, true) => self.acc.sum,
            (false, false) => self.acc.sum / n + self.acc.c / n,
        }
    }
}

type Sums = BTreeMap<i32, Part>;

/// A sum of many histograms.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum {
    /// Schema, bounds, thresholds and hint; its counts are not used.
    shape: FloatHistogram,
    count: Part,
    sum: Part,
    zero: Part,
    positive: Sums,
    negative: Sums,
    added: f64,
    reset_seen: bool,
    not_reset_seen: bool,
    /// Custom bounds differed and were reduced to the common ones.
    pub(crate) reconciled: bool,
    /// Exponential met custom buckets: there is no sum.
    pub(crate) incompatible: bool,
}

impl Sum {
    /// Adds to a sum.
    pub(crate) fn add(&mut self, h: &FloatHistogram) {
        self.observe(h);
        self.add_parts(h, None);
    }

    /// Adds to a mean, which stays finite where the sum would not.
    pub(crate) fn add_to_mean(&mut self, h: &FloatHistogram) {
        self.observe(h);
        let n = self.added;
        let sides = self.positive.values_mut().chain(self.negative.values_mut());
        let parts = sides.chain([&mut self.count, &mut self.sum, &mut self.zero]);
        parts.filter(|p| p.is_mean).for_each(|p| p.scale((n - 1.0) / n));
        self.add_parts(h, Some(n));
    }

    fn observe(&mut self, h: &FloatHistogram) {
        self.reset_seen |= h.counter_reset == CounterReset::Reset;
        self.not_reset_seen |= h.counter_reset == CounterReset::NotReset;
        self.added += 1.0;
    }

    fn add_parts(&mut self, h: &FloatHistogram, n: Option<f64>) {
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
        if self.added == 1.0 {
            (self.count, self.sum) = (Part::of(h.count), Part::of(h.sum));
        } else {
            self.count.add(h.count, n);
            self.sum.add(h.sum, n);
        }
        if h.uses_custom_buckets() { self.add_custom(h, n) } else { self.add_exponential(h, n) }
    }

    fn add_custom(&mut self, h: &FloatHistogram, n: Option<f64>) {
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
            self.positive.entry(target(&h.custom_values, index)).or_default().add(v, n);
        }
        self.shape.custom_values = bounds;
    }

    fn add_exponential(&mut self, h: &FloatHistogram, n: Option<f64>) {
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
            threshold = common_threshold(&self.as_histogram(Part::total), h);
            self.widen_zero(threshold);
        }
        if self.added == 1.0 {
            self.zero = Part::of(h.zero_count);
        } else {
            self.zero.add(h.zero_count, n);
        }
        for (side, sums) in [(Side::Positive, &mut self.positive), (Side::Negative, &mut self.negative)] {
            for (index, v) in counts(h, side) {
                let inside = threshold > 0.0 && bound(index, schema) <= threshold;
                let into = if inside { &mut self.zero } else { sums.entry(index).or_default() };
                into.add(v, n);
            }
        }
    }

    fn coarsen(&mut self, schema: i32) {
        let shift = (self.shape.schema - schema).clamp(0, 31) as u32;
        if shift > 0 {
            for sums in [&mut self.positive, &mut self.negative] {
                for (index, k) in std::mem::take(sums) {
                    join(sums, (index.wrapping_sub(1) >> shift) + 1, k);
                }
            }
        }
        self.shape.schema = schema;
    }

    fn widen_zero(&mut self, threshold: f64) {
        let schema = self.shape.schema;
        self.shape.zero_threshold = threshold;
        for sums in [&mut self.positive, &mut self.negative] {
            for (index, part) in std::mem::take(sums) {
                if bound(index, schema) <= threshold {
                    self.zero.join(part);
                } else {
                    sums.insert(index, part);
                }
            }
        }
    }

    fn as_histogram(&self, value: impl Fn(&Part) -> f64) -> FloatHistogram {
        let list = |sums: &Sums| -> Counts { sums.iter().map(|(i, p)| (*i, value(p))).collect() };
        let mut h = FloatHistogram {
            count: value(&self.count),
            sum: value(&self.sum),
            zero_count: value(&self.zero),
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
        self.is_defined().then(|| compact(self.as_histogram(|p| self.of_one(p).unwrap_or_else(|| p.total()))))
    }

    /// The mean of what was added with [`Sum::add_to_mean`].
    pub(crate) fn mean(&self) -> Option<FloatHistogram> {
        self.is_defined()
            .then(|| compact(self.as_histogram(|p| self.of_one(p).unwrap_or_else(|| p.mean(self.added)))))
    }

    /// A part of a sum of one histogram, to which nothing is added: -0 stays what it is.
    fn of_one(&self, part: &Part) -> Option<f64> {
        (self.added == 1.0).then_some(part.acc.sum)
    }

    fn is_defined(&self) -> bool {
        !self.incompatible && self.added > 0.0
    }
}

fn join(sums: &mut Sums, index: i32, part: Part) {
    sums.entry(index).or_default().join(part);
}
