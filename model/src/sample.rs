//! Samples and the marks of staleness.

/// A value at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Milliseconds since the Unix epoch.
    pub t: i64,
    /// The value.
    pub v: f64,
}

/// The NaN that says "this series ends here": bit pattern of Prometheus' `value.StaleNaN`.
pub const STALE_NAN: f64 = f64::from_bits(0x7ff0_0000_0000_0002);
/// The NaN that arithmetic yields: bit pattern of Prometheus' `value.NormalNaN`.
pub const NORMAL_NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0001);

/// Whether this is the staleness mark (an ordinary NaN is not).
#[inline]
pub fn is_stale(v: f64) -> bool {
    v.to_bits() == STALE_NAN.to_bits()
}

/// What a series has at a time.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(crate::NativeHistogram),
}

impl Value {
    /// Whether it marks the end of its series.
    pub fn is_stale(&self) -> bool {
        match self {
            Value::Float(v) => is_stale(*v),
            Value::Histogram(h) => h.is_stale(),
        }
    }

    /// Whether both are the same sample: bit by bit.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
            (Value::Histogram(a), Value::Histogram(b)) => a.same(b),
            _ => false,
        }
    }
}
