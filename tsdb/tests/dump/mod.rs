//! Samples as `promtool tsdb dump` writes them: read from its text, and from a database, to be compared.

use std::collections::BTreeMap;

use model::{FloatHistogram, Labels, MatchOp, Matcher};
use tsdb::Db;
use tsdb::chunk::FloatColumns;

/// Series to times to values.
pub(crate) type Samples = BTreeMap<String, BTreeMap<i64, Shown>>;

/// A sample as far as promtool shows it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shown {
    /// Its bits.
    Float(u64),
    /// Count, bits of the sum, and how many buckets are not empty.
    Histogram { count: f64, sum: u64, buckets: usize },
}

/// A label set as `promtool tsdb dump` writes it.
fn text_of(labels: &Labels) -> String {
    let pairs: Vec<String> = labels.iter().map(|(n, v)| format!("{}={v:?}", quoted_name(n))).collect();
    format!("{{{}}}", pairs.join(", "))
}

fn quoted_name(name: &str) -> String {
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if plain { name.to_owned() } else { format!("{name:?}") }
}

/// What `promtool tsdb dump` writes for a sample: a number, or `{count:2, sum:3, [-0.001,0.001]:1, (1,2]:1}`.
fn shown(text: &str) -> Shown {
    let number =
        |text: &str| -> f64 { text.replace("Inf", "inf").parse().unwrap_or_else(|_| panic!("{text}")) };
    let Some(fields) = text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) else {
        return Shown::Float(bits(number(text)));
    };
    let field = |name: &str| number(fields.split(", ").find_map(|f| f.strip_prefix(name)).unwrap_or(text));
    let buckets = fields.split(", ").filter(|f| f.starts_with(['[', '('])).count();
    Shown::Histogram { count: field("count:"), sum: bits(field("sum:")), buckets }
}

/// The same of one of ours.
fn shown_histogram(h: &FloatHistogram) -> Shown {
    let filled = |counts: &[f64]| counts.iter().filter(|c| **c != 0.0).count();
    let zero = usize::from(h.zero_count != 0.0);
    let buckets = filled(&h.positive_buckets) + filled(&h.negative_buckets) + zero;
    Shown::Histogram { count: h.count, sum: bits(h.sum), buckets }
}

/// A text tells no NaN from another.
fn bits(v: f64) -> u64 {
    if v.is_nan() { f64::NAN.to_bits() } else { v.to_bits() }
}

/// All samples of a database.
pub(crate) fn ours(db: &Db) -> Samples {
    let all = [Matcher::new(MatchOp::Regex, "__name__", ".+").unwrap()];
    let mut samples = Samples::new();
    let querier = db.querier();
    for entry in querier.select(&all, i64::MIN, i64::MAX).unwrap() {
        let mut out = FloatColumns::default();
        entry.read_columns(i64::MIN, i64::MAX, &mut out).unwrap();
        let values = out.vs.iter().map(|v| Shown::Float(bits(*v)));
        let mut read: BTreeMap<i64, Shown> = out.ts.iter().copied().zip(values).collect();
        for (at, h) in &out.histograms {
            read.insert(out.ts[*at], shown_histogram(h));
        }
        // promtool's dump looks for floats first, then for histograms of floats, and each look takes a sample: the first two of
        // a series of integer histograms are not shown.
        if matches!(read.values().next(), Some(Shown::Histogram { .. })) {
            read = read.into_iter().skip(2).collect();
        }
        if !read.is_empty() {
            samples.insert(text_of(entry.labels()), read);
        }
    }
    assert_eq!(querier.warnings(), [] as [&str; 0]);
    samples
}

/// Reads what `promtool tsdb dump` wrote.
pub(crate) fn parse(text: &str) -> Samples {
    let mut samples = Samples::new();
    for line in text.lines() {
        let (line, time) = line.rsplit_once(' ').unwrap();
        let (labels, value) = match line.rsplit_once(" {count:") {
            Some((labels, rest)) => (labels, format!("{{count:{rest}")),
            None => line.rsplit_once(' ').map(|(labels, value)| (labels, value.to_owned())).unwrap(),
        };
        let of_series = samples.entry(labels.to_owned()).or_default();
        let before = of_series.insert(time.parse().unwrap(), shown(&value));
        assert_eq!(before, None, "{line}");
    }
    samples
}

/// Tells where two differ, rather than printing both.
#[track_caller]
pub(crate) fn assert_same(ours: &Samples, theirs: &Samples) {
    let only = |a: &Samples, b: &Samples| a.keys().find(|name| !b.contains_key(*name)).cloned();
    assert_eq!((only(ours, theirs), only(theirs, ours)), (None, None), "series of one alone");
    for (labels, samples) in ours {
        let differs = samples.iter().zip(&theirs[labels]).find(|(a, b)| a != b);
        assert_eq!(differs, None, "{labels}");
        assert_eq!(samples.len(), theirs[labels].len(), "{labels}");
    }
}
