//! Whether results are as a script expects, but for rounding.

use super::storage::Item;
use crate::engine::{Points, Sample, nearly};
use crate::histogram;
use model::FloatHistogram;
use model::histogram::CounterReset;

/// Relative difference that scripts tolerate.
const TOLERANCE: f64 = 0.000_001;

pub(super) fn floats(expected: f64, found: f64) -> bool {
    nearly(expected, found, TOLERANCE)
}

pub(super) fn histograms(expected: &FloatHistogram, found: &FloatHistogram) -> bool {
    let (a, b) = (histogram::compact(expected.clone()), histogram::compact(found.clone()));
    let lists = |x: &[f64], y: &[f64]| x.len() == y.len() && x.iter().zip(y).all(|(x, y)| floats(*x, *y));
    let spans_match = a.positive_spans == b.positive_spans && a.negative_spans == b.negative_spans;
    (expected.counter_reset == CounterReset::Unknown || expected.counter_reset == found.counter_reset)
        && a.schema == b.schema
        && floats(a.count, b.count)
        && floats(a.sum, b.sum)
        && floats(a.zero_threshold, b.zero_threshold)
        && floats(a.zero_count, b.zero_count)
        && (!a.uses_custom_buckets() || lists(&a.custom_values, &b.custom_values))
        && spans_match
        && lists(&a.positive_buckets, &b.positive_buckets)
        && lists(&a.negative_buckets, &b.negative_buckets)
}

pub(super) fn sample(expected: &Item, found: &Sample) -> bool {
    match (expected, found) {
        (Item::Float(e), Sample::Float(f)) => floats(*e, *f),
        (Item::Histogram(e), Sample::Histogram(f)) => histograms(e, f),
        _ => false,
    }
}

/// Compares a series of a range with the values expected at the steps; says the first difference.
pub(super) fn points(expected: &[Option<Item>], found: &Points, start: i64, step: i64) -> Result<(), String> {
    let mut seen = 0;
    for (i, item) in expected.iter().enumerate() {
        let t = start + step * i as i64;
        let float = found.timestamps.binary_search(&t).ok().map(|k| Sample::Float(found.values[k]));
        let hist =
            found.histograms.iter().find(|(at, _)| *at == t).map(|(_, h)| Sample::Histogram(h.clone()));
        let there = float.or(hist);
        seen += usize::from(there.is_some());
        let fine = match (item, &there) {
            (None, None) => true,
            (Some(item), Some(there)) => sample(item, there),
            _ => false,
        };
        if !fine {
            return Err(format!("at {t} ms expected {item:?}, found {there:?}"));
        }
    }
    if seen != found.len() {
        return Err(format!("expected {seen} samples, found {}", found.len()));
    }
    Ok(())
}
