//! Native histograms that grow, fall and change their buckets.

use crate::random::Random;
use model::FloatHistogram;
use model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterReset, Span};
use model::sample::STALE_NAN;
use promql::testing::Item;
use std::collections::BTreeMap;
use std::sync::Arc;

type Buckets = BTreeMap<i32, f64>;

/// The mark that ends a series of what `like` is.
pub(crate) fn stale(like: &Item) -> Item {
    match like {
        Item::Float(_) => Item::Float(STALE_NAN),
        Item::Histogram(_) => {
            Item::Histogram(Arc::new(FloatHistogram { sum: STALE_NAN, ..FloatHistogram::default() }))
        }
    }
}

/// Spans and counts; a gap of one bucket is filled with an empty one, as clients do.
fn spans(buckets: &Buckets) -> (Vec<Span>, Vec<f64>) {
    let (mut spans, mut counts): (Vec<Span>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut next = 0;
    for (index, count) in buckets {
        match spans.last_mut() {
            Some(span) if *index - next <= 1 => {
                let gap = (*index - next).unsigned_abs();
                counts.extend((0..gap).map(|_| 0.0));
                span.length += gap + 1;
            }
            _ => spans.push(Span { offset: index - next, length: 1 }),
        }
        counts.push(*count);
        next = index + 1;
    }
    (spans, counts)
}

/// Buckets that grow by powers of two.
pub(crate) struct Exponential {
    pub(crate) schema: i32,
    /// How many of a hundred observations are NaN.
    pub(crate) nan_percent: u64,
    /// Observations below zero are made too.
    pub(crate) negatives: bool,
    threshold: f64,
    /// At schema 4; coarser ones are made from it.
    positive: Buckets,
    negative: Buckets,
    zero: f64,
    nans: f64,
    sum: f64,
}

/// Buckets at the finest schema in which observations lie.
const LOWEST: i64 = -20;
const HIGHEST: i64 = 70;

/// Schema of the buckets that are kept.
const FINEST: i32 = 4;

impl Exponential {
    pub(crate) fn new(schema: i32, threshold: f64) -> Self {
        Exponential {
            schema,
            nan_percent: 0,
            negatives: true,
            threshold,
            positive: Buckets::new(),
            negative: Buckets::new(),
            zero: 0.0,
            nans: 0.0,
            sum: 0.0,
        }
    }

    fn observe(&mut self, random: &mut Random, n: f64) {
        if random.percent(self.nan_percent) {
            self.nans += n;
            self.sum = f64::NAN;
            return;
        }
        // above the zero bucket, or within
        let index = random.between(LOWEST, HIGHEST) as i32;
        if self.is_gap(self.coarse(index)) {
            return;
        }
        let value = (f64::from(index) / 16.0 - 0.01).exp2();
        // the whole bucket at the coarsest schema in use must lie above the threshold
        let coarse = (f64::from(self.coarse(index) - 1) * f64::from(-self.schema).exp2()).exp2();
        if coarse < self.threshold || random.percent(5) {
            self.zero += n;
        } else if self.negatives && random.percent(15) {
            *self.negative.entry(index).or_default() += n;
            self.sum -= value * n;
        } else {
            *self.positive.entry(index).or_default() += n;
            self.sum += value * n;
        }
    }

    fn coarse(&self, index: i32) -> i32 {
        ((index - 1) >> (FINEST - self.schema)) + 1
    }

    /// Buckets that are never populated, so that there are several spans.
    fn is_gap(&self, coarse: i32) -> bool {
        self.schema > 0 && coarse.rem_euclid(9) < 2
    }

    fn reset(&mut self) {
        self.positive.clear();
        self.negative.clear();
        (self.zero, self.nans, self.sum) = (0.0, 0.0, 0.0);
    }

    fn item(&self, counter_reset: CounterReset) -> Item {
        // All buckets that the series can have, populated or not: a database lays all histograms of a chunk out alike, and an
        // empty bucket may show, as when it is multiplied by NaN.
        let at_schema = |buckets: &Buckets, any: bool| {
            let mut out = Buckets::new();
            for index in LOWEST..=HIGHEST {
                let coarse = self.coarse(index as i32);
                if any && !self.is_gap(coarse) {
                    out.entry(coarse).or_default();
                }
            }
            for (index, count) in buckets {
                *out.entry(self.coarse(*index)).or_default() += count;
            }
            spans(&out)
        };
        let (positive_spans, positive_buckets) = at_schema(&self.positive, true);
        let (negative_spans, negative_buckets) = at_schema(&self.negative, self.negatives);
        let inside: f64 = self.positive.values().chain(self.negative.values()).sum();
        Item::Histogram(Arc::new(FloatHistogram {
            counter_reset,
            schema: self.schema,
            zero_threshold: self.threshold,
            zero_count: self.zero,
            count: inside + self.zero + self.nans,
            sum: self.sum,
            positive_spans,
            positive_buckets,
            negative_spans,
            negative_buckets,
            custom_values: Vec::new(),
        }))
    }

    pub(crate) fn counter(&mut self, random: &mut Random) -> Item {
        if random.percent(2) {
            self.reset();
        }
        for _ in 0..random.below(6) {
            self.observe(random, 1.0);
        }
        self.item(CounterReset::Unknown)
    }

    pub(crate) fn float_counter(&mut self, random: &mut Random) -> Item {
        if random.percent(2) {
            self.reset();
        }
        for _ in 0..random.below(4) {
            let n = random.between(1, 16) as f64 / 8.0;
            self.observe(random, n);
        }
        self.item(CounterReset::Unknown)
    }

    pub(crate) fn gauge(&mut self, random: &mut Random) -> Item {
        self.reset();
        for _ in 0..random.below(12) {
            self.observe(random, 1.0);
        }
        self.item(CounterReset::Gauge)
    }
}

/// Buckets with given bounds.
pub(crate) struct Custom {
    bounds: Vec<f64>,
    counts: Vec<f64>,
    sum: f64,
}

impl Custom {
    pub(crate) fn new(variant: usize) -> Self {
        let bounds = match variant {
            0 | 1 => vec![0.1, 0.5, 1.0, 2.5, 10.0],
            2 => vec![0.1, 1.0, 10.0, 100.0],
            3 => vec![-5.0, 0.0, 5.0],
            _ => vec![1.0, 2.0, 4.0, 8.0],
        };
        let counts = vec![0.0; bounds.len() + 1];
        Custom { bounds, counts, sum: 0.0 }
    }

    fn observe(&mut self, random: &mut Random) {
        let at = random.below(self.counts.len());
        self.counts[at] += 1.0;
        self.sum += self.bounds[at.min(self.bounds.len() - 1)] * random.unit();
    }

    fn item(&self) -> Item {
        let all = self.counts.iter().enumerate();
        let (positive_spans, positive_buckets) = spans(&all.map(|(i, c)| (i as i32, *c)).collect());
        Item::Histogram(Arc::new(FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: self.counts.iter().sum(),
            sum: self.sum,
            positive_spans,
            positive_buckets,
            custom_values: self.bounds.clone(),
            ..FloatHistogram::default()
        }))
    }

    pub(crate) fn counter(&mut self, random: &mut Random, _t: i64) -> Item {
        if random.percent(2) {
            self.counts.fill(0.0);
            self.sum = 0.0;
        }
        for _ in 0..random.below(6) {
            self.observe(random);
        }
        self.item()
    }

    /// The bounds change every ten minutes.
    pub(crate) fn moving(&mut self, random: &mut Random, t: i64) -> Item {
        let bounds: &[f64] = [&[1.0, 2.0, 4.0, 8.0][..], &[1.0, 4.0, 16.0], &[3.0]][(t / 600) as usize % 3];
        if self.bounds != bounds {
            self.bounds = bounds.to_vec();
            self.counts = vec![0.0; bounds.len() + 1];
        }
        self.counter(random, t)
    }
}
