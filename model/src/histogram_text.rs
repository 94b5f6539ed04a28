//! The text of a native histogram: `{count:3, sum:2.5, [-0.5,0.5]:1, (1,2]:2}`.

use crate::FloatHistogram;
use crate::float::format_short;
use crate::histogram::Span;
use crate::histogram_bounds;
use std::fmt;

impl fmt::Display for FloatHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{count:{}, sum:{}", format_short(self.count), format_short(self.sum))?;
        let mut negative: Vec<(i32, f64)> = self.negative().collect();
        negative.reverse();
        for (index, count) in negative {
            let (low, high) = (-self.bound(index), -self.bound(index - 1));
            write!(f, ", [{},{}):{}", format_short(low), format_short(high), format_short(count))?;
        }
        if self.zero_count != 0.0 {
            let bound = format_short(self.zero_threshold);
            write!(f, ", [-{bound},{bound}]:{}", format_short(self.zero_count))?;
        }
        for (index, count) in self.positive() {
            let (low, high) = (self.bound(index - 1), self.bound(index));
            // the lowest custom bucket reaches down to -Inf, which belongs to it
            let open = if self.uses_custom_buckets() && index == 0 { '[' } else { '(' };
            write!(f, ", {open}{},{}]:{}", format_short(low), format_short(high), format_short(count))?;
        }
        f.write_str("}")
    }
}

/// The index of each bucket that is not empty, and its count.
fn indexed<'a>(spans: &'a [Span], counts: &'a [f64]) -> impl Iterator<Item = (i32, f64)> + 'a {
    let mut next = 0i32;
    let indexes = spans.iter().flat_map(move |span| {
        let first = next.saturating_add(span.offset);
        next = first.saturating_add(i32::try_from(span.length).unwrap_or(i32::MAX));
        first..next
    });
    indexes.zip(counts.iter().copied()).filter(|(_, count)| *count != 0.0)
}

impl FloatHistogram {
    /// Index and count of the positive buckets that are not empty, rising.
    pub fn positive(&self) -> impl Iterator<Item = (i32, f64)> {
        indexed(&self.positive_spans, &self.positive_buckets)
    }

    /// Index and count of the negative buckets that are not empty, from zero away.
    pub fn negative(&self) -> impl Iterator<Item = (i32, f64)> {
        indexed(&self.negative_spans, &self.negative_buckets)
    }

    /// The upper bound of a bucket, exponential (the same to the last bit as Prometheus has it) or as given for custom buckets.
    pub fn bound(&self, index: i32) -> f64 {
        if self.uses_custom_buckets() {
            return match usize::try_from(index) {
                Ok(i) => self.custom_values.get(i).copied().unwrap_or(f64::INFINITY),
                Err(_) => f64::NEG_INFINITY,
            };
        }
        histogram_bounds::bound(index, self.schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_from_the_lowest_up() {
        let span = |offset, length| Span { offset, length };
        let mut h = FloatHistogram {
            schema: 1,
            zero_threshold: 0.001,
            zero_count: 2.0,
            count: 1_000_000.0,
            sum: -0.5,
            positive_spans: vec![span(0, 2), span(1, 1)],
            positive_buckets: vec![1.0, 0.0, 3.0],
            negative_spans: vec![span(-1, 2)],
            negative_buckets: vec![4.0, 5.5],
            ..FloatHistogram::default()
        };
        assert_eq!(
            h.to_string(),
            "{count:1e+06, sum:-0.5, [-1,-0.7071067811865475):5.5, [-0.7071067811865475,-0.5):4, [-0.001,0.001]:2, \
             (0.7071067811865475,1]:1, (2,2.82842712474619]:3}"
        );
        h.schema = crate::histogram::CUSTOM_BUCKETS_SCHEMA;
        h.custom_values = vec![1.0, 2.0, 3.0];
        (h.negative_spans, h.negative_buckets, h.zero_count) = (Vec::new(), Vec::new(), 0.0);
        assert_eq!(h.to_string(), "{count:1e+06, sum:-0.5, [-Inf,1]:1, (3,+Inf]:3}");
    }
}
