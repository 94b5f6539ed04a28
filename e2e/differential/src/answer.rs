//! Answers in one form, whichever engine gave them.

use crate::query::{Query, When};
use anyhow::{Context as _, Result, bail};
use model::histogram::Span;
use model::{FloatHistogram, Labels};
use promql::engine::{Points, QueryStats, Sample};
use promql::testing::MemoryStorage;
use promql::{Engine, Features, QueryError, QueryOptions, QueryResult, Value, parse_with};
use serde_json::Value as Json;

/// What an engine said.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Failed { kind: String, text: String },
    Value { data: Data, warnings: Vec<String>, infos: Vec<String>, stats: Stats },
}

/// Samples that a query looked at: in all, and at each step (milliseconds since the epoch).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    pub(crate) loaded: u64,
    pub(crate) read: u64,
    pub(crate) loaded_by_step: Vec<(i64, u64)>,
    pub(crate) read_by_step: Vec<(i64, u64)>,
}

impl Stats {
    fn own(stats: &QueryStats) -> Stats {
        Stats {
            loaded: stats.total_samples,
            read: stats.samples_read,
            loaded_by_step: stats.per_step.iter().map(|s| (s.t, s.total_samples)).collect(),
            read_by_step: stats.per_step.iter().map(|s| (s.t, s.samples_read)).collect(),
        }
    }

    fn from_json(json: &Json) -> Stats {
        let number = |name: &str| json[name].as_u64().unwrap_or(u64::MAX);
        let steps = |name: &str| {
            let step = |pair: &Json| Some(((pair[0].as_f64()? * 1000.0).round() as i64, pair[1].as_u64()?));
            json[name].as_array().into_iter().flatten().filter_map(step).collect()
        };
        Stats {
            loaded: number("totalQueryableSamples"),
            read: number("samplesRead"),
            loaded_by_step: steps("totalQueryableSamplesPerStep"),
            read_by_step: steps("samplesReadPerStep"),
        }
    }
}

/// A value. Times are milliseconds.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    Scalar(i64, f64),
    String(i64, String),
    Vector(Vec<(Labels, i64, Item)>),
    Matrix(Vec<(Labels, Vec<(i64, Item)>)>),
}

/// A number or a histogram as the HTTP API shows it.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Float(f64),
    Histogram(Histogram),
}

/// Count, sum and populated buckets: (which bounds belong to it, lower, upper, count).
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    pub(crate) count: f64,
    pub(crate) sum: f64,
    pub(crate) buckets: Vec<(u8, f64, f64, f64)>,
}

impl Answer {
    /// What the engine in this process says.
    pub(crate) fn own(engine: &Engine, storage: &MemoryStorage, query: &Query) -> Answer {
        match evaluate(engine, storage, query) {
            Ok(result) => Answer::Value {
                stats: Stats::own(&result.stats),
                data: Data::own(result.value),
                warnings: result.warnings,
                infos: result.infos,
            },
            Err(error) => {
                let kind = match &error {
                    QueryError::Parse(_) | QueryError::BadData(_) => "bad_data",
                    _ => "execution",
                };
                // the HTTP API says which parameter is bad
                let text = match &error {
                    QueryError::BadData(text) => format!("invalid parameter \"query\": {text}"),
                    error => error.to_string(),
                };
                Answer::Failed { kind: kind.to_owned(), text }
            }
        }
    }

    /// What the HTTP API says.
    pub(crate) fn from_json(body: &[u8]) -> Result<Answer> {
        let json: Json = serde_json::from_slice(body)
            .with_context(|| format!("answer is no JSON: {}", String::from_utf8_lossy(body)))?;
        let text = |value: &Json| value.as_str().unwrap_or_default().to_owned();
        let texts =
            |value: &Json| value.as_array().map_or_else(Vec::new, |list| list.iter().map(text).collect());
        if json["status"] != "success" {
            return Ok(Answer::Failed { kind: text(&json["errorType"]), text: text(&json["error"]) });
        }
        let data = Data::from_json(&json["data"]).with_context(|| format!("cannot read {}", json["data"]))?;
        let stats = Stats::from_json(&json["data"]["stats"]["samples"]);
        Ok(Answer::Value { data, warnings: texts(&json["warnings"]), infos: texts(&json["infos"]), stats })
    }

    /// Whether it is a value with at least one sample.
    pub(crate) fn has_samples(&self) -> bool {
        match self {
            Answer::Failed { .. } => false,
            Answer::Value { data: Data::Vector(v), .. } => !v.is_empty(),
            Answer::Value { data: Data::Matrix(m), .. } => !m.is_empty(),
            Answer::Value { .. } => true,
        }
    }
}

fn evaluate(engine: &Engine, storage: &MemoryStorage, query: &Query) -> Result<QueryResult, QueryError> {
    let expr = parse_with(&query.text, &Features::all())?;
    let options = QueryOptions {
        text: query.text.clone(),
        lookback_delta: query.lookback,
        per_step_stats: true,
        ..QueryOptions::default()
    };
    match query.when {
        When::At(t) => engine.instant(storage, &expr, t, &options),
        When::Range { start, end, step } => engine.range(storage, &expr, start, end, step, &options),
    }
}

impl Data {
    fn own(value: Value) -> Data {
        match value {
            Value::Scalar { t, v } => Data::Scalar(t, v),
            Value::String { t, v } => Data::String(t, v),
            Value::Vector(samples) => {
                Data::Vector(samples.into_iter().map(|(labels, t, s)| (labels, t, sample(&s))).collect())
            }
            Value::Matrix(series) => {
                Data::Matrix(series.into_iter().map(|(labels, points)| (labels, items(&points))).collect())
            }
        }
    }

    fn from_json(json: &Json) -> Result<Data> {
        let result = &json["result"];
        Ok(match json["resultType"].as_str() {
            Some("scalar") => {
                let (t, v) = point(result)?;
                Data::Scalar(t, number(v)?)
            }
            Some("string") => {
                let (t, v) = point(result)?;
                Data::String(t, v.as_str().context("string")?.to_owned())
            }
            Some("vector") => {
                let series = result.as_array().context("list")?.iter();
                Data::Vector(series.map(vector_element).collect::<Result<_>>()?)
            }
            Some("matrix") => {
                let series = result.as_array().context("list")?.iter();
                Data::Matrix(series.map(matrix_element).collect::<Result<_>>()?)
            }
            other => bail!("result of type {other:?}"),
        })
    }
}

fn sample(sample: &Sample) -> Item {
    match sample {
        Sample::Float(v) => Item::Float(*v),
        Sample::Histogram(h) => Item::Histogram(Histogram::own(h)),
    }
}

/// All samples in order of time.
fn items(points: &Points) -> Vec<(i64, Item)> {
    let floats = points.timestamps.iter().zip(&points.values).map(|(t, v)| (*t, Item::Float(*v)));
    let histograms = points.histograms.iter().map(|(t, h)| (*t, Item::Histogram(Histogram::own(h))));
    let mut all: Vec<(i64, Item)> = floats.chain(histograms).collect();
    all.sort_by_key(|(t, _)| *t);
    all
}

impl Histogram {
    /// The buckets as the HTTP API's documentation defines them: 0 is open on the left, 1 on the right, 3 closed.
    fn own(h: &FloatHistogram) -> Histogram {
        let mut buckets = Vec::new();
        // the zero bucket covers what lies within its threshold
        let outside = |v: f64| if h.uses_custom_buckets() { v } else { v.max(h.zero_threshold) };
        for (index, count) in indexed(&h.negative_spans, &h.negative_buckets) {
            buckets.push((1, -bound(h, index), -outside(bound(h, index - 1)), count));
        }
        buckets.reverse();
        if !h.uses_custom_buckets() && h.zero_count > 0.0 {
            buckets.push((3, -h.zero_threshold, h.zero_threshold, h.zero_count));
        }
        for (index, count) in indexed(&h.positive_spans, &h.positive_buckets) {
            // the lowest custom bucket reaches down to -Inf, which belongs to it
            let rule = if h.uses_custom_buckets() && index == 0 { 3 } else { 0 };
            buckets.push((rule, outside(bound(h, index - 1)), bound(h, index), count));
        }
        buckets.retain(|(.., count)| *count != 0.0);
        Histogram { count: h.count, sum: h.sum, buckets }
    }

    fn from_json(json: &Json) -> Result<Histogram> {
        let mut buckets = Vec::new();
        for bucket in json["buckets"].as_array().into_iter().flatten() {
            let rule = bucket[0].as_u64().context("rule of a bucket")? as u8;
            buckets.push((rule, number(&bucket[1])?, number(&bucket[2])?, number(&bucket[3])?));
        }
        Ok(Histogram { count: number(&json["count"])?, sum: number(&json["sum"])?, buckets })
    }
}

fn indexed(spans: &[Span], counts: &[f64]) -> Vec<(i32, f64)> {
    let (mut out, mut index, mut counts) = (Vec::new(), 0, counts.iter());
    for span in spans {
        index += span.offset;
        for count in counts.by_ref().take(span.length as usize) {
            out.push((index, *count));
            index += 1;
        }
    }
    out
}

/// Upper bound of a bucket.
fn bound(h: &FloatHistogram, index: i32) -> f64 {
    if h.uses_custom_buckets() {
        let last = h.custom_values.get(index.max(0) as usize).copied().unwrap_or(f64::INFINITY);
        return if index < 0 { f64::NEG_INFINITY } else { last };
    }
    (f64::from(index) * f64::from(-h.schema).exp2()).exp2()
}

fn number(json: &Json) -> Result<f64> {
    let text = json.as_str().context("number in quotes")?;
    match text {
        "+Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        text => text.parse().with_context(|| format!("no number: {text:?}")),
    }
}

fn point(json: &Json) -> Result<(i64, &Json)> {
    let seconds = json[0].as_f64().context("time of a point")?;
    Ok(((seconds * 1000.0).round() as i64, &json[1]))
}

fn labels(json: &Json) -> Labels {
    let pairs = json.as_object().into_iter().flatten();
    Labels::from_pairs(pairs.map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default())))
}

fn vector_element(json: &Json) -> Result<(Labels, i64, Item)> {
    let (t, item) = if json["histogram"].is_null() {
        let (t, v) = point(&json["value"])?;
        (t, Item::Float(number(v)?))
    } else {
        let (t, h) = point(&json["histogram"])?;
        (t, Item::Histogram(Histogram::from_json(h)?))
    };
    Ok((labels(&json["metric"]), t, item))
}

fn matrix_element(json: &Json) -> Result<(Labels, Vec<(i64, Item)>)> {
    let mut all = Vec::new();
    for value in json["values"].as_array().into_iter().flatten() {
        let (t, v) = point(value)?;
        all.push((t, Item::Float(number(v)?)));
    }
    for value in json["histograms"].as_array().into_iter().flatten() {
        let (t, h) = point(value)?;
        all.push((t, Item::Histogram(Histogram::from_json(h)?)));
    }
    all.sort_by_key(|(t, _)| *t);
    Ok((labels(&json["metric"]), all))
}
