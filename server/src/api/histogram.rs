//! A native histogram in the API's JSON: count, sum, and the buckets that are not empty.
//!
//! A bucket is `[rule, "lower", "upper", "count"]`; rule 0: only the upper bound belongs to it, 1: only the lower one,
//! 3: both (the zero bucket).

use super::encode;
use model::FloatHistogram;

const UPPER_BELONGS: u8 = 0;
const LOWER_BELONGS: u8 = 1;
const BOTH_BELONG: u8 = 3;

pub(super) fn histogram(out: &mut String, h: &FloatHistogram) {
    out.push_str("{\"count\":");
    encode::value(out, h.count);
    out.push_str(",\"sum\":");
    encode::value(out, h.sum);
    let buckets = buckets(h);
    if !buckets.is_empty() {
        out.push_str(",\"buckets\":");
        encode::list(out, &buckets, |out, (rule, lower, upper, count)| {
            out.push('[');
            out.push((b'0' + rule) as char);
            for number in [lower, upper, count] {
                out.push(',');
                encode::value(out, *number);
            }
            out.push(']');
        });
    }
    out.push('}');
}

/// The buckets that are not empty, from the lowest up.
fn buckets(h: &FloatHistogram) -> Vec<(u8, f64, f64, f64)> {
    let mut all = Vec::new();
    // the zero bucket covers what lies within its threshold
    let outside = |v: f64| if h.uses_custom_buckets() { v } else { v.max(h.zero_threshold) };
    for (index, count) in h.negative() {
        all.push((LOWER_BELONGS, -h.bound(index), -outside(h.bound(index - 1)), count));
    }
    all.reverse();
    if h.zero_count > 0.0 && !h.uses_custom_buckets() {
        all.push((BOTH_BELONG, -h.zero_threshold, h.zero_threshold, h.zero_count));
    }
    for (index, count) in h.positive() {
        // the lowest custom bucket reaches down to -Inf, and includes it
        let rule = if h.uses_custom_buckets() && index == 0 { BOTH_BELONG } else { UPPER_BELONGS };
        all.push((rule, outside(h.bound(index - 1)), h.bound(index), count));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::histogram::Span;

    #[test]
    fn exponential_and_zero_buckets() {
        let h = FloatHistogram {
            zero_threshold: 0.5,
            zero_count: 2.0,
            count: 6.0,
            sum: 7.5,
            positive_spans: vec![Span { offset: 0, length: 1 }, Span { offset: 1, length: 1 }],
            positive_buckets: vec![1.0, 2.0],
            negative_spans: vec![Span { offset: 1, length: 1 }],
            negative_buckets: vec![1.0],
            ..FloatHistogram::default()
        };
        let mut out = String::new();
        histogram(&mut out, &h);
        assert_eq!(
            out,
            r#"{"count":"6","sum":"7.5","buckets":[[1,"-2","-1","1"],[3,"-0.5","0.5","2"],[0,"0.5","1","1"],[0,"2","4","2"]]}"#
        );
    }
}
