//! Generated samples, and their text.

use std::collections::BTreeMap;

use model::histogram::{CUSTOM_BUCKETS_SCHEMA, CounterReset, Histogram, NativeHistogram, Span};
use model::{FloatHistogram, Labels, STALE_NAN, Value};

/// Where the data begins.
pub(crate) const START: i64 = 1_700_000_000_000;
/// Distance of the samples.
pub(crate) const STEP: i64 = 60_000;

#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) labels: Labels,
    pub(crate) samples: Vec<(i64, Value)>,
}

fn series(count: i64, name: &str, value: impl Fn(i64) -> Option<Value>) -> Series {
    let labels = Labels::from_pairs([("__name__", name), ("job", "both")]);
    let samples = (0..count).filter_map(|i| Some((START + i * STEP, value(i)?))).collect();
    Series { labels, samples }
}

/// A histogram whose counters grow with `n`; more buckets from time to time.
fn counter(n: i64) -> Histogram {
    let buckets = 2 + (n / 40).min(4);
    let counts: Vec<i64> = (0..buckets).map(|b| n * (b + 1) / 2).collect();
    let mut before = 0;
    let deltas = counts.iter().map(|c| c - std::mem::replace(&mut before, *c)).collect();
    let zero = n / 3;
    Histogram {
        zero_threshold: 0.001,
        zero_count: zero as u64,
        count: (counts.iter().sum::<i64>() + zero + n) as u64,
        sum: n as f64 * 2.5,
        positive_spans: vec![Span { offset: -1, length: 1 }, Span { offset: 1, length: buckets as u32 - 1 }],
        positive_buckets: deltas,
        negative_spans: vec![Span { offset: 2, length: 1 }],
        negative_buckets: vec![n],
        ..Histogram::default()
    }
}

fn custom(n: i64) -> Histogram {
    Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: 6 * n as u64,
        sum: n as f64 * 0.5,
        positive_spans: vec![Span { offset: 0, length: 3 }],
        positive_buckets: vec![n, n, n],
        custom_values: vec![0.25, 1.0],
        ..Histogram::default()
    }
}

fn value(h: impl Into<NativeHistogram>) -> Option<Value> {
    Some(Value::Histogram(h.into()))
}

fn stale_integer() -> Option<Value> {
    value(Histogram { sum: STALE_NAN, ..Histogram::default() })
}

/// Floats, histograms of all kinds, with resets, new buckets and staleness marks, in order of the labels: `count` steps.
pub(crate) fn floats_and_histograms(count: i64) -> Vec<Series> {
    // begins anew after 150 steps, and then after each 600
    let n = |i: i64| if i < 150 { i + 1 } else { (i - 140) % 600 };
    let series = |name, value: &dyn Fn(i64) -> Option<Value>| series(count, name, value);
    let gauge = |h: Histogram| Histogram { counter_reset: CounterReset::Gauge, ..h };
    vec![
        series("a_float_total", &|i| (i % 7 != 3).then(|| Value::Float(n(i) as f64 * 1.5))),
        series("b_ends", &|i| match i {
            0..200 => Some(Value::Float(0.1)),
            200 => Some(Value::Float(STALE_NAN)),
            _ => None,
        }),
        series("c_integer", &|i| if i == 100 { stale_integer() } else { value(counter(n(i))) }),
        series("d_float", &|i| match i {
            260 => value(FloatHistogram { sum: STALE_NAN, ..FloatHistogram::default() }),
            _ => value(counter(n(i)).to_float()),
        }),
        series("e_gauge", &|i| value(gauge(counter(1 + i * 7 % 50)))),
        series("f_custom", &|i| value(custom(n(i)))),
        series("g_custom_float", &|i| value(custom(n(i)).to_float())),
        series("h_both", &|i| match i / 50 % 3 {
            0 => Some(Value::Float(i as f64)),
            1 => value(counter(i)),
            _ => value(counter(i).to_float()),
        }),
    ]
}

/// The samples whose number since the start `is_first` accepts, and the others.
pub(crate) fn split(series: &[Series], is_first: impl Fn(i64) -> bool) -> (Vec<Series>, Vec<Series>) {
    let part = |first: bool| -> Vec<Series> {
        let keep = |s: &Series| {
            let wanted = |t: i64| is_first((t - START) / STEP) == first;
            let samples: Vec<_> = s.samples.iter().filter(|(t, _)| wanted(*t)).cloned().collect();
            (!samples.is_empty()).then(|| Series { labels: s.labels.clone(), samples })
        };
        series.iter().filter_map(keep).collect()
    };
    (part(true), part(false))
}

/// The samples of each time.
pub(crate) fn by_time(series: &[Series]) -> BTreeMap<i64, Vec<(&Labels, &Value)>> {
    let mut all: BTreeMap<i64, Vec<(&Labels, &Value)>> = BTreeMap::new();
    for one in series {
        for (t, value) in &one.samples {
            all.entry(*t).or_default().push((&one.labels, value));
        }
    }
    all
}

/// A sample as text: value, time.
pub(crate) fn text((t, value): &(i64, Value)) -> String {
    match value {
        Value::Float(v) if v.is_nan() => format!("NaN {t}"),
        Value::Float(v) => format!("{v} {t}"),
        Value::Histogram(h) => format!("{} {t}", histogram_text(h)),
    }
}

fn histogram_text(h: &NativeHistogram) -> String {
    let h = h.to_float();
    let sum = if h.sum.is_nan() { "NaN".to_owned() } else { h.sum.to_string() };
    let mut out = format!("{{count:{}, sum:{sum}", h.count);
    let bound = |i: i32| match h.schema {
        CUSTOM_BUCKETS_SCHEMA if i < 0 => "-Inf".to_owned(),
        CUSTOM_BUCKETS_SCHEMA => {
            h.custom_values.get(i as usize).map_or_else(|| "+Inf".to_owned(), f64::to_string)
        }
        schema => 2f64.powf(f64::from(i) * 2f64.powi(-schema)).to_string(),
    };
    for (i, count) in indexed(&h.negative_spans, &h.negative_buckets).into_iter().rev() {
        out += &format!(", [-{},-{}):{count}", bound(i), bound(i - 1));
    }
    if h.zero_count > 0.0 {
        out += &format!(", [-{0},{0}]:{1}", h.zero_threshold, h.zero_count);
    }
    for (i, count) in indexed(&h.positive_spans, &h.positive_buckets) {
        let open = if h.schema == CUSTOM_BUCKETS_SCHEMA && i == 0 { '[' } else { '(' };
        out += &format!(", {open}{},{}]:{count}", bound(i - 1), bound(i));
    }
    out + "}"
}

/// Buckets that are not empty.
fn indexed(spans: &[Span], counts: &[f64]) -> Vec<(i32, f64)> {
    let mut next = 0;
    let indices = spans.iter().flat_map(|span| {
        let begin = next + span.offset;
        next = begin + span.length as i32;
        begin..next
    });
    indices.zip(counts.iter().copied()).filter(|(_, count)| *count > 0.0).collect()
}
