//! Native histograms: the data, and what makes one valid. Arithmetic over them belongs to the query engine.

use std::sync::Arc;

/// Says how a histogram relates to the one before it in its series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CounterReset {
    /// Nobody looked yet.
    #[default]
    Unknown,
    /// It is known to begin anew here.
    Reset,
    /// It is known to continue the one before.
    NotReset,
    /// It is a gauge: resets mean nothing.
    Gauge,
}

/// A run of consecutive buckets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Gap to the end of the span before (for the first: index of the first bucket; may be negative).
    pub offset: i32,
    /// How many buckets.
    pub length: u32,
}

/// The schema of histograms whose bounds are `custom_values`.
pub const CUSTOM_BUCKETS_SCHEMA: i32 = -53;

/// A native histogram with float counts (integer histograms are converted at the door).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FloatHistogram {
    /// Relation to the histogram before.
    pub counter_reset: CounterReset,
    /// -4 to 8: bucket bounds grow by 2^(2^-schema). -53: bounds are `custom_values`.
    pub schema: i32,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: f64,
    /// All observations.
    pub count: f64,
    /// Sum of the observations; the staleness mark here makes the histogram stale.
    pub sum: f64,
    /// Runs of buckets above zero, and their absolute counts.
    pub positive_spans: Vec<Span>,
    /// Counts, one a bucket of `positive_spans`.
    pub positive_buckets: Vec<f64>,
    /// Runs of buckets below zero.
    pub negative_spans: Vec<Span>,
    /// Counts, one a bucket of `negative_spans`.
    pub negative_buckets: Vec<f64>,
    /// Upper bounds of custom buckets, ascending, without +Inf; only for schema -53.
    pub custom_values: Vec<f64>,
}

impl FloatHistogram {
    /// Whether this marks the end of a series.
    pub fn is_stale(&self) -> bool {
        crate::is_stale(self.sum)
    }

    /// Whether the buckets' bounds are given rather than exponential.
    pub fn uses_custom_buckets(&self) -> bool {
        self.schema == CUSTOM_BUCKETS_SCHEMA
    }

    /// Whether it is what a writer may send.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn validate(&self) -> Result<(), Invalid> {
        let sides = [
            (&self.positive_spans, self.positive_buckets.len()),
            (&self.negative_spans, self.negative_buckets.len()),
        ];
        check_layout(self.schema, self.zero_threshold, sides, &self.custom_values)?;
        if self.uses_custom_buckets() && self.zero_count != 0.0 {
            return Err(Invalid::ZeroBucket);
        }
        let counts = [self.count, self.zero_count];
        let mut all = counts.iter().chain(&self.positive_buckets).chain(&self.negative_buckets);
        if all.any(|&count| count < 0.0) { Err(Invalid::NegativeCount) } else { Ok(()) }
    }
}

/// A native histogram with integer counts, as clients expose it. Buckets are differences to the bucket before, as in all
/// formats that carry them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Histogram {
    /// Relation to the histogram before.
    pub counter_reset: CounterReset,
    /// As in [`FloatHistogram`].
    pub schema: i32,
    /// Width of the zero bucket.
    pub zero_threshold: f64,
    /// Observations in the zero bucket.
    pub zero_count: u64,
    /// All observations.
    pub count: u64,
    /// Sum of the observations; the staleness mark here makes the histogram stale.
    pub sum: f64,
    /// Runs of buckets above zero.
    pub positive_spans: Vec<Span>,
    /// Counts, one a bucket of `positive_spans`: the first as it is, the others as difference to the one before.
    pub positive_buckets: Vec<i64>,
    /// Runs of buckets below zero.
    pub negative_spans: Vec<Span>,
    /// Counts, one a bucket of `negative_spans`, likewise.
    pub negative_buckets: Vec<i64>,
    /// Upper bounds of custom buckets, ascending, without +Inf; only for schema -53.
    pub custom_values: Vec<f64>,
}

impl Histogram {
    /// Whether this marks the end of a series.
    pub fn is_stale(&self) -> bool {
        crate::is_stale(self.sum)
    }

    /// The same with float counts.
    pub fn to_float(&self) -> FloatHistogram {
        FloatHistogram {
            counter_reset: self.counter_reset,
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            zero_count: self.zero_count as f64,
            count: self.count as f64,
            sum: self.sum,
            positive_spans: self.positive_spans.clone(),
            positive_buckets: absolute(&self.positive_buckets).map(|n| n as f64).collect(),
            negative_spans: self.negative_spans.clone(),
            negative_buckets: absolute(&self.negative_buckets).map(|n| n as f64).collect(),
            custom_values: self.custom_values.clone(),
        }
    }

    /// Whether it is what a writer may send.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn validate(&self) -> Result<(), Invalid> {
        let sides = [
            (&self.positive_spans, self.positive_buckets.len()),
            (&self.negative_spans, self.negative_buckets.len()),
        ];
        check_layout(self.schema, self.zero_threshold, sides, &self.custom_values)?;
        if self.schema == CUSTOM_BUCKETS_SCHEMA && self.zero_count != 0 {
            return Err(Invalid::ZeroBucket);
        }
        let mut sum = self.zero_count;
        for count in absolute(&self.positive_buckets).chain(absolute(&self.negative_buckets)) {
            sum = sum.wrapping_add(u64::try_from(count).map_err(|_| Invalid::NegativeCount)?);
        }
        // What is not a number is counted, but in no bucket.
        let fits = if self.sum.is_nan() { sum <= self.count } else { sum == self.count };
        if fits { Ok(()) } else { Err(Invalid::Count { buckets: sum, count: self.count }) }
    }
}

/// The counts of buckets that are stored as differences.
pub fn absolute(deltas: &[i64]) -> impl Iterator<Item = i64> {
    deltas.iter().scan(0i64, |sum, &delta| {
        *sum = sum.wrapping_add(delta);
        Some(*sum)
    })
}

/// A native histogram of either kind; a clone is cheap.
#[derive(Clone, Debug, PartialEq)]
pub enum NativeHistogram {
    /// With integer counts.
    Integer(Arc<Histogram>),
    /// With float counts.
    Float(Arc<FloatHistogram>),
}

impl NativeHistogram {
    /// Whether this marks the end of a series.
    pub fn is_stale(&self) -> bool {
        match self {
            NativeHistogram::Integer(h) => h.is_stale(),
            NativeHistogram::Float(h) => h.is_stale(),
        }
    }

    /// The mark that ends a series of this kind.
    pub fn stale_like(&self) -> Self {
        match self {
            NativeHistogram::Integer(_) => Histogram { sum: crate::STALE_NAN, ..Histogram::default() }.into(),
            NativeHistogram::Float(_) => {
                FloatHistogram { sum: crate::STALE_NAN, ..FloatHistogram::default() }.into()
            }
        }
    }

    /// Relation to the histogram before.
    pub fn counter_reset(&self) -> CounterReset {
        match self {
            NativeHistogram::Integer(h) => h.counter_reset,
            NativeHistogram::Float(h) => h.counter_reset,
        }
    }

    /// The schema.
    pub fn schema(&self) -> i32 {
        match self {
            NativeHistogram::Integer(h) => h.schema,
            NativeHistogram::Float(h) => h.schema,
        }
    }

    /// With float counts: what queries work on.
    pub fn to_float(&self) -> Arc<FloatHistogram> {
        match self {
            NativeHistogram::Integer(h) => Arc::new(h.to_float()),
            NativeHistogram::Float(h) => h.clone(),
        }
    }

    /// Whether both are the same sample: equal but for the relation to the one before, floats compared by their bits.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (NativeHistogram::Integer(a), NativeHistogram::Integer(b)) => {
                a.schema == b.schema
                    && (a.count, a.zero_count) == (b.count, b.zero_count)
                    && a.zero_threshold.to_bits() == b.zero_threshold.to_bits()
                    && a.sum.to_bits() == b.sum.to_bits()
                    && a.positive_spans == b.positive_spans
                    && a.negative_spans == b.negative_spans
                    && a.positive_buckets == b.positive_buckets
                    && a.negative_buckets == b.negative_buckets
                    && a.custom_values == b.custom_values
            }
            (NativeHistogram::Float(a), NativeHistogram::Float(b)) => {
                let bits = |values: &[f64]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
                a.schema == b.schema
                    && bits(&[a.zero_threshold, a.zero_count, a.count, a.sum])
                        == bits(&[b.zero_threshold, b.zero_count, b.count, b.sum])
                    && a.positive_spans == b.positive_spans
                    && a.negative_spans == b.negative_spans
                    && bits(&a.positive_buckets) == bits(&b.positive_buckets)
                    && bits(&a.negative_buckets) == bits(&b.negative_buckets)
                    && bits(&a.custom_values) == bits(&b.custom_values)
            }
            _ => false,
        }
    }

    /// Whether it is what a writer may send.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn validate(&self) -> Result<(), Invalid> {
        match self {
            NativeHistogram::Integer(h) => h.validate(),
            NativeHistogram::Float(h) => h.validate(),
        }
    }
}

impl From<Histogram> for NativeHistogram {
    fn from(h: Histogram) -> Self {
        NativeHistogram::Integer(Arc::new(h))
    }
}

impl From<FloatHistogram> for NativeHistogram {
    fn from(h: FloatHistogram) -> Self {
        NativeHistogram::Float(Arc::new(h))
    }
}

/// Why a histogram is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// Neither -4 to 8 nor -53.
    #[error("histogram has an invalid schema: {0}")]
    Schema(i32),
    /// The spans tell another number of buckets than there are.
    #[error("histogram spans specify {spans} buckets, {buckets} are provided")]
    Spans {
        /// Buckets that the spans tell.
        spans: u64,
        /// Buckets there are.
        buckets: usize,
    },
    /// A span other than the first goes back.
    #[error("histogram has a span whose offset is negative: {0}")]
    SpanOffset(i32),
    /// The buckets hold another number of observations than the count tells.
    #[error(
        "histogram's observation count should equal the number of observations found in the buckets: {buckets} observations found in buckets, but the count is {count}"
    )]
    Count {
        /// Observations in the buckets.
        buckets: u64,
        /// The count.
        count: u64,
    },
    /// A count below zero.
    #[error("histogram has a bucket whose observation count is negative")]
    NegativeCount,
    /// Custom bounds that do not rise, are not finite, or are fewer than the buckets.
    #[error("histogram custom bounds must be finite, rise, and be as many as its buckets need")]
    CustomBounds,
    /// Custom bounds of a histogram with exponential buckets, or buckets below zero beside custom ones.
    #[error("histogram custom bounds go with positive buckets of schema -53 only")]
    Mixed,
    /// A zero bucket beside custom buckets, or a width of it that is not a number.
    #[error("histogram has an invalid zero bucket")]
    ZeroBucket,
}

fn check_layout(
    schema: i32,
    zero_threshold: f64,
    [(positive, positive_len), (negative, negative_len)]: [(&Vec<Span>, usize); 2],
    custom_values: &[f64],
) -> Result<(), Invalid> {
    for (spans, buckets) in [(positive, positive_len), (negative, negative_len)] {
        if let Some(span) = spans.iter().skip(1).find(|s| s.offset < 0) {
            return Err(Invalid::SpanOffset(span.offset));
        }
        let told: u64 = spans.iter().map(|s| u64::from(s.length)).sum();
        if told != buckets as u64 {
            return Err(Invalid::Spans { spans: told, buckets });
        }
    }
    match schema {
        -4..=8 if !custom_values.is_empty() => Err(Invalid::Mixed),
        -4..=8 if zero_threshold.is_nan() => Err(Invalid::ZeroBucket),
        -4..=8 => Ok(()),
        CUSTOM_BUCKETS_SCHEMA => {
            if !negative.is_empty() || negative_len > 0 {
                return Err(Invalid::Mixed);
            }
            if zero_threshold != 0.0 {
                return Err(Invalid::ZeroBucket);
            }
            let rises = custom_values.windows(2).all(|w| w[0] < w[1]);
            let finite = custom_values.iter().all(|v| v.is_finite());
            // The bucket to +Inf has no bound of its own.
            let reach: i64 = positive.iter().map(|s| i64::from(s.offset) + i64::from(s.length)).sum();
            let starts = positive.first().is_none_or(|s| s.offset >= 0);
            let enough = reach <= custom_values.len() as i64 + 1;
            if rises && finite && starts && enough { Ok(()) } else { Err(Invalid::CustomBounds) }
        }
        other => Err(Invalid::Schema(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram() -> Histogram {
        Histogram {
            count: 6,
            zero_count: 1,
            sum: 2.5,
            positive_spans: vec![Span { offset: -2, length: 1 }, Span { offset: 3, length: 1 }],
            positive_buckets: vec![2, 1],
            ..Histogram::default()
        }
    }

    #[test]
    fn counts_must_agree() {
        assert_eq!(histogram().validate(), Ok(()));
        assert_eq!(histogram().to_float().positive_buckets, [2.0, 3.0]);
        let wrong = Histogram { count: 7, ..histogram() };
        assert_eq!(wrong.validate(), Err(Invalid::Count { buckets: 6, count: 7 }));
        assert_eq!(Histogram { sum: f64::NAN, ..wrong }.validate(), Ok(()));
        let negative = Histogram { positive_buckets: vec![2, -3], ..histogram() };
        assert_eq!(negative.validate(), Err(Invalid::NegativeCount));
        let spans = Histogram { positive_buckets: vec![5], ..histogram() };
        assert_eq!(spans.validate(), Err(Invalid::Spans { spans: 2, buckets: 1 }));
        assert_eq!(Histogram { schema: 9, ..histogram() }.validate(), Err(Invalid::Schema(9)));
    }

    #[test]
    fn custom_bounds_must_rise() {
        let custom = |bounds: &[f64]| Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count: 2,
            positive_spans: vec![Span { offset: 0, length: 2 }],
            positive_buckets: vec![1, 0],
            custom_values: bounds.to_vec(),
            ..Histogram::default()
        };
        assert_eq!(custom(&[1.0]).validate(), Ok(()));
        for bad in [&[][..], &[2.0, 1.0], &[f64::INFINITY]] {
            assert_eq!(custom(bad).validate(), Err(Invalid::CustomBounds), "{bad:?}");
        }
    }

    #[test]
    fn sameness_ignores_the_hint() {
        let a = NativeHistogram::from(histogram());
        let hinted = Histogram { counter_reset: CounterReset::Reset, ..histogram() };
        assert!(a.same(&hinted.into()));
        assert!(!a.same(&Histogram { sum: 2.0, ..histogram() }.into()));
        assert!(!a.same(&histogram().to_float().into()));
        let stale = a.stale_like();
        assert!(stale.is_stale() && stale.same(&stale.clone()));
    }
}
