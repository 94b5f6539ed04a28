//! Columns: the values of one series at all steps of an evaluation.
//!
//! A place without a value holds the staleness mark, and a place with a histogram holds a mark of its own; both are
//! signalling NaNs, which no arithmetic yields and which selectors never let in, so presence is exact and costs nothing.

use model::sample::STALE_NAN;
use model::{FloatHistogram, Labels};
use std::sync::Arc;

/// Marks a step without a value.
pub(crate) const ABSENT: f64 = STALE_NAN;
/// Marks a step whose value is a histogram.
pub(crate) const HISTOGRAM: f64 = f64::from_bits(0x7ff0_0000_0000_0003);

#[inline]
pub(crate) fn is_absent(v: f64) -> bool {
    v.to_bits() == ABSENT.to_bits()
}

#[inline]
pub(crate) fn is_histogram(v: f64) -> bool {
    v.to_bits() == HISTOGRAM.to_bits()
}

/// Whether a number stands here: neither nothing nor a histogram.
#[inline]
pub(crate) fn is_float(v: f64) -> bool {
    // the two marks differ in the lowest bit alone
    v.to_bits() & !1 != ABSENT.to_bits() & !1
}

const _: () = assert!(ABSENT.to_bits() & !1 == HISTOGRAM.to_bits() & !1);

/// A value at a step.
#[derive(Clone, Debug)]
pub(crate) enum Point {
    Absent,
    Float(f64),
    Hist(Arc<FloatHistogram>),
}

impl Point {
    pub(crate) fn hist(h: FloatHistogram) -> Point {
        Point::Hist(Arc::new(h))
    }
}

/// Values of one series, one place a step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column {
    pub(crate) values: Vec<f64>,
    /// Empty where no step has a histogram; else one place a step.
    pub(crate) hists: Vec<Option<Arc<FloatHistogram>>>,
}

impl Column {
    pub(crate) fn absent(n: usize) -> Self {
        Column { values: vec![ABSENT; n], hists: Vec::new() }
    }

    /// Makes all places absent, `n` of them.
    pub(crate) fn reset(&mut self, n: usize) {
        self.values.clear();
        self.values.resize(n, ABSENT);
        self.hists.clear();
    }

    pub(crate) fn set(&mut self, i: usize, point: Point) {
        match point {
            Point::Absent => self.values[i] = ABSENT,
            Point::Float(v) => self.values[i] = v,
            Point::Hist(h) => self.set_hist(i, h),
        }
    }

    pub(crate) fn set_hist(&mut self, i: usize, h: Arc<FloatHistogram>) {
        if self.hists.is_empty() {
            self.hists.resize(self.values.len(), None);
        }
        self.values[i] = HISTOGRAM;
        self.hists[i] = Some(h);
    }

    pub(crate) fn clear_at(&mut self, i: usize) {
        self.values[i] = ABSENT;
    }

    pub(crate) fn hist(&self, i: usize) -> Option<&Arc<FloatHistogram>> {
        if is_histogram(self.values[i]) { self.hists.get(i).and_then(Option::as_ref) } else { None }
    }

    pub(crate) fn point(&self, i: usize) -> Point {
        let v = self.values[i];
        if is_absent(v) {
            return Point::Absent;
        }
        match self.hist(i) {
            Some(h) => Point::Hist(h.clone()),
            None => Point::Float(v),
        }
    }

    pub(crate) fn is_present(&self, i: usize) -> bool {
        !is_absent(self.values[i])
    }

    pub(crate) fn any_present(&self) -> bool {
        self.values.iter().any(|v| !is_absent(*v))
    }

    pub(crate) fn any_float(&self) -> bool {
        self.values.iter().any(|v| is_float(*v))
    }

    /// Spreads the only place over `n` steps.
    pub(crate) fn broadcast(self, n: usize) -> Column {
        let hists = if self.hists.is_empty() { Vec::new() } else { vec![self.hists[0].clone(); n] };
        Column { values: vec![self.values[0]; n], hists }
    }
}

/// A series of an intermediate result.
#[derive(Clone, Debug)]
pub(crate) struct OutSeries {
    pub(crate) labels: Labels,
    /// The metric's name goes when the query ends (delayed name removal).
    pub(crate) drop_name: bool,
    pub(crate) col: Column,
}

/// An intermediate result.
#[derive(Clone, Debug)]
pub(crate) enum Val {
    Scalar(Vec<f64>),
    Str(String),
    Vector(Vec<OutSeries>),
}
