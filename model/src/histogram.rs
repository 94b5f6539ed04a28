//! Native histograms: the data. Arithmetic over them belongs to the query engine.

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
}
