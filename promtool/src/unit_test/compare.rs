//! Expected and found samples and alerts: what is equal, and how they are shown.

use model::histogram::CounterReset;
use model::{FloatHistogram, Labels};
use promql::engine::Sample;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// An alert as tests see it. The order is that of their texts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ShownAlert {
    pub(super) labels: Labels,
    pub(super) annotations: BTreeMap<String, String>,
}

/// Alerts over several lines, all but the first indented.
pub(super) fn show_alerts(alerts: &[ShownAlert]) -> String {
    if alerts.is_empty() {
        return "[]".to_owned();
    }
    let mut out = "[".to_owned();
    for (i, alert) in alerts.iter().enumerate() {
        let pairs: Labels = alert.annotations.iter().collect();
        let end = if i + 1 < alerts.len() { "," } else { "" };
        let _ = write!(
            out,
            "\n            {i}:\n              Labels:{}\n              Annotations:{pairs}{end}",
            alert.labels
        );
    }
    out + "\n            ]"
}

/// Whether a sample is what was expected; `fuzzy`: the neighbouring number is too.
pub(super) fn equal(expected: &Sample, found: &Sample, fuzzy: bool) -> bool {
    match (expected, found) {
        (Sample::Float(a), Sample::Float(b)) => {
            a == b || (a.is_nan() && b.is_nan()) || (fuzzy && (a.next_up() == *b || a.next_down() == *b))
        }
        (Sample::Histogram(a), Sample::Histogram(b)) => {
            let (mut a, b) = (compact(a), compact(b));
            // series in memory do not say whether they go on; what is not said is not compared
            if b.counter_reset == CounterReset::Unknown {
                a.counter_reset = CounterReset::Unknown;
            }
            a == b
        }
        _ => false,
    }
}

/// A histogram without what says nothing: empty buckets and empty spans.
fn compact(h: &FloatHistogram) -> FloatHistogram {
    let side = |spans: &[model::histogram::Span], buckets: &[f64]| {
        let (mut index, mut next) = (0i64, buckets.iter());
        let mut filled = Vec::new();
        for span in spans {
            index += i64::from(span.offset);
            for _ in 0..span.length {
                if let Some(&count) = next.next().filter(|c| **c != 0.0) {
                    filled.push((index, count));
                }
                index += 1;
            }
        }
        let (mut spans, mut counts) = (Vec::new(), Vec::new());
        let mut end = 0i64;
        for (index, count) in filled {
            match spans.last_mut() {
                Some(model::histogram::Span { length, .. }) if end == index => *length += 1,
                _ => spans.push(model::histogram::Span { offset: (index - end) as i32, length: 1 }),
            }
            end = index + 1;
            counts.push(count);
        }
        (spans, counts)
    };
    let (positive_spans, positive_buckets) = side(&h.positive_spans, &h.positive_buckets);
    let (negative_spans, negative_buckets) = side(&h.negative_spans, &h.negative_buckets);
    FloatHistogram { positive_spans, positive_buckets, negative_spans, negative_buckets, ..h.clone() }
}

/// Samples in one line.
pub(super) fn show_samples(samples: &[(Labels, Sample)]) -> String {
    if samples.is_empty() {
        return "nil".to_owned();
    }
    let shown: Vec<String> =
        samples.iter().map(|(labels, sample)| format!("{labels} {}", show(sample))).collect();
    shown.join(", ")
}

fn show(sample: &Sample) -> String {
    match sample {
        Sample::Float(v) if v.is_nan() => "NaN".to_owned(),
        Sample::Float(v) if v.is_infinite() => if *v > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
        Sample::Float(v) => {
            let text = format!("{v:E}");
            let (mantissa, exponent) = text.split_once('E').unwrap_or((&text, "0"));
            let exponent: i32 = exponent.parse().unwrap_or(0);
            format!("{mantissa}E{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        }
        Sample::Histogram(h) => show_histogram(&compact(h)),
    }
}

/// A histogram in the notation of tests.
fn show_histogram(h: &FloatHistogram) -> String {
    let mut parts = Vec::new();
    let mut number = |name: &str, v: f64| {
        if v != 0.0 {
            parts.push(format!("{name}:{}", crate::text::general(v)));
        }
    };
    number("schema", f64::from(h.schema));
    number("count", h.count);
    number("sum", h.sum);
    number("z_bucket", h.zero_count);
    number("z_bucket_w", h.zero_threshold);
    if !h.custom_values.is_empty() {
        let bounds: Vec<String> = h.custom_values.iter().map(|v| crate::text::general(*v)).collect();
        parts.push(format!("custom_values:[{}]", bounds.join(" ")));
    }
    match h.counter_reset {
        CounterReset::Unknown => {}
        CounterReset::Reset => parts.push("counter_reset_hint:reset".to_owned()),
        CounterReset::NotReset => parts.push("counter_reset_hint:not_reset".to_owned()),
        CounterReset::Gauge => parts.push("counter_reset_hint:gauge".to_owned()),
    }
    for (offset, name, spans, buckets) in [
        ("offset", "buckets", &h.positive_spans, &h.positive_buckets),
        ("n_offset", "n_buckets", &h.negative_spans, &h.negative_buckets),
    ] {
        let Some(first) = spans.first() else { continue };
        if first.offset != 0 {
            parts.push(format!("{offset}:{}", first.offset));
        }
        let mut counts = Vec::new();
        let mut next = buckets.iter();
        for (i, span) in spans.iter().enumerate() {
            if i > 0 {
                counts.extend((0..span.offset).map(|_| "0".to_owned()));
            }
            counts.extend(next.by_ref().take(span.length as usize).map(|c| crate::text::general(*c)));
        }
        parts.push(format!("{name}:[{}]", counts.join(" ")));
    }
    format!("{{{{{}}}}}", parts.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use promql::testing::{Item, parse_values};

    fn histogram(text: &str) -> Sample {
        match parse_values(text).unwrap().remove(0) {
            Some(Item::Histogram(h)) => Sample::Histogram(h),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn histograms_and_numbers() {
        let text = "{{schema:1 count:32.1 sum:-0.3 z_bucket:7.1 z_bucket_w:0.05 offset:-3 buckets:[5.1 10 7] n_offset:-5 n_buckets:[4.1 5]}}";
        assert_eq!(show(&histogram(text)), text);
        assert!(equal(
            &histogram("{{count:1 buckets:[0 1 0]}}"),
            &histogram("{{count:1 offset:1 buckets:[1]}}"),
            false
        ));
        assert!(!equal(&histogram("{{count:1 buckets:[1]}}"), &Sample::Float(1.0), false));
        let (a, b) = (Sample::Float(3.0), Sample::Float(2.999_999_999_999_999_6));
        assert!(!equal(&a, &b, false) && equal(&a, &b, true));
        assert_eq!((show(&a), show(&Sample::Float(1.5e-7))), ("3E+00".to_owned(), "1.5E-07".to_owned()));
    }
}
