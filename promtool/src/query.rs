//! `promtool query`: asks a server's HTTP API, and prints answers as lines or as JSON.

use crate::http::{Answer, Server};
use crate::{Failure, Outcome, cli};
use clap::{Args, Subcommand, ValueEnum};
use model::Labels;
use model::float::format_plain;
use model::labels::METRIC_NAME;
use runtime::clock::SharedClock;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A range without times ends now and is so long, in seconds.
const DEFAULT_RANGE: f64 = 300.0;
/// A range without a step has so many.
const DEFAULT_STEPS: f64 = 250.0;

/// What `query` may be told.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Form of the output.
    #[arg(short = 'o', long, default_value = "promql", global = true)]
    format: Format,
    /// File with options of the HTTP client.
    #[arg(long = "http.config.file", value_name = "FILE", global = true)]
    http_config_file: Option<PathBuf>,
    #[command(subcommand)]
    query: Query,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Promql,
    Json,
}

#[derive(Subcommand, Debug)]
enum Query {
    /// The value of an expression at one time.
    Instant(Instant),
    /// The values of an expression over time.
    Range(Range),
    /// The series that selectors find.
    Series(Series),
    /// The values of a label.
    Labels(LabelValues),
}

/// Headers, as flags give them.
#[derive(Args, Debug)]
struct Headers {
    /// Header (NAME=VALUE) of the request. Can be repeated.
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = cli::key_value)]
    headers: Vec<(String, String)>,
}

#[derive(Args, Debug)]
struct Instant {
    /// When (RFC 3339 or seconds since the epoch); now if not given.
    #[arg(long)]
    time: Option<String>,
    #[command(flatten)]
    headers: Headers,
    /// URL of the server.
    server: String,
    /// The expression.
    expr: String,
}

#[derive(Args, Debug)]
struct Range {
    #[command(flatten)]
    headers: Headers,
    /// First time (RFC 3339 or seconds since the epoch).
    #[arg(long)]
    start: Option<String>,
    /// Last time (RFC 3339 or seconds since the epoch).
    #[arg(long)]
    end: Option<String>,
    /// Time between two values.
    #[arg(long, value_parser = cli::duration)]
    step: Option<i64>,
    /// URL of the server.
    server: String,
    /// The expression.
    expr: String,
}

#[derive(Args, Debug)]
struct Series {
    /// Series selector. Can be repeated.
    #[arg(long = "match", value_name = "SELECTOR", required = true)]
    selectors: Vec<String>,
    /// First time (RFC 3339 or seconds since the epoch).
    #[arg(long)]
    start: Option<String>,
    /// Last time (RFC 3339 or seconds since the epoch).
    #[arg(long)]
    end: Option<String>,
    /// URL of the server.
    server: String,
}

#[derive(Args, Debug)]
struct LabelValues {
    /// First time (RFC 3339 or seconds since the epoch).
    #[arg(long)]
    start: Option<String>,
    /// Last time (RFC 3339 or seconds since the epoch).
    #[arg(long)]
    end: Option<String>,
    /// Series selector. Can be repeated.
    #[arg(long = "match", value_name = "SELECTOR")]
    selectors: Vec<String>,
    /// URL of the server.
    server: String,
    /// Name of the label.
    name: String,
}

pub(crate) fn run(options: &Options, clock: &SharedClock) -> Outcome {
    let now = clock.now_ms() as f64 / 1000.0;
    let server = |url: &str, headers: &Headers| {
        Server::new(url, options.http_config_file.as_deref(), &headers.headers)
    };
    let no_headers = Headers { headers: Vec::new() };
    match &options.query {
        Query::Instant(query) => {
            let time = time_or("evaluation", query.time.as_deref(), now)?;
            let params = [("query", query.expr.clone()), ("time", format_plain(time))];
            let data = data(&server(&query.server, &query.headers)?.post_form("/api/v1/query", &params)?)?;
            print_value(data, options.format)
        }
        Query::Range(query) => {
            let end = time_or("end", query.end.as_deref(), now)?;
            let start = time_or("start", query.start.as_deref(), end - DEFAULT_RANGE)?;
            if start >= end {
                return Err(Failure::new("start time is not before end time"));
            }
            let step = match query.step.filter(|s| *s > 0) {
                Some(ms) => ms as f64 / 1000.0,
                None => ((end - start) / DEFAULT_STEPS).floor().max(1.0),
            };
            let params = [
                ("query", query.expr.clone()),
                ("start", format_plain(start)),
                ("end", format_plain(end)),
                ("step", format_plain(step)),
            ];
            let data =
                data(&server(&query.server, &query.headers)?.post_form("/api/v1/query_range", &params)?)?;
            print_value(data, options.format)
        }
        Query::Series(query) => {
            let mut params = times(query.start.as_deref(), query.end.as_deref())?;
            params.extend(query.selectors.iter().map(|s| ("match[]", s.clone())));
            let answer = server(&query.server, &no_headers)?.post_form("/api/v1/series", &params)?;
            let series: Vec<BTreeMap<String, String>> = from_json(data(&answer)?)?;
            match options.format {
                Format::Json => println!("{}", json!(series)),
                Format::Promql => series.iter().for_each(|s| println!("{}", labels(s))),
            }
            Ok(())
        }
        Query::Labels(query) => {
            let mut params = times(query.start.as_deref(), query.end.as_deref())?;
            params.extend(query.selectors.iter().map(|s| ("match[]", s.clone())));
            let path = format!("/api/v1/label/{}/values", query.name);
            let values: Vec<String> =
                from_json(data(&server(&query.server, &no_headers)?.get(&path, &params)?)?)?;
            match options.format {
                Format::Json => println!("{}", json!(values)),
                Format::Promql => values.iter().for_each(|v| println!("{v}")),
            }
            Ok(())
        }
    }
}

fn time_or(what: &str, text: Option<&str>, default: f64) -> Result<f64, Failure> {
    let Some(text) = text else { return Ok(default) };
    cli::time_ms(text)
        .map(|ms| ms as f64 / 1000.0)
        .map_err(|e| Failure::new(format!("error parsing {what} time: {e}")))
}

/// Parameters of a range of time; without them the server looks everywhere.
fn times(start: Option<&str>, end: Option<&str>) -> Result<Vec<(&'static str, String)>, Failure> {
    let mut params = Vec::new();
    for (name, text) in [("start", start), ("end", end)] {
        if text.is_some() {
            params.push((name, format_plain(time_or(name, text, 0.0)?)));
        }
    }
    Ok(params)
}

/// An answer of the API.
#[derive(Deserialize)]
struct Envelope {
    status: String,
    #[serde(default)]
    data: Json,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    error: String,
}

/// What a successful answer holds.
pub(crate) fn data(answer: &Answer) -> Result<Json, Failure> {
    let envelope: Result<Envelope, _> = serde_json::from_slice(&answer.body);
    match envelope {
        Ok(envelope) if envelope.status == "success" => Ok(envelope.data),
        Ok(envelope) => {
            Err(Failure::new(format!("query error: {}: {}", envelope.error_type, envelope.error)))
        }
        Err(_) if !answer.status.is_success() => {
            let body = String::from_utf8_lossy(&answer.body);
            Err(Failure::new(format!(
                "query error: server returned HTTP status {}: {}",
                answer.status,
                body.trim()
            )))
        }
        Err(error) => Err(Failure::new(format!("query error: the answer is no JSON of the API: {error}"))),
    }
}

fn from_json<T: serde::de::DeserializeOwned>(value: Json) -> Result<T, Failure> {
    serde_json::from_value(value).map_err(|e| Failure::new(format!("query error: {e}")))
}

/// A series of a vector or matrix, with its samples.
#[derive(Deserialize)]
pub(crate) struct Found {
    pub(crate) metric: BTreeMap<String, String>,
    value: Option<(f64, String)>,
    histogram: Option<(f64, Json)>,
    #[serde(default)]
    pub(crate) values: Vec<(f64, String)>,
    #[serde(default)]
    histograms: Vec<(f64, Json)>,
}

/// The value of a query.
#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
pub(crate) enum Value {
    Scalar((f64, String)),
    String((f64, String)),
    Vector(Vec<Found>),
    Matrix(Vec<Found>),
}

/// Reads the value of a query.
pub(crate) fn value(data: Json) -> Result<Value, Failure> {
    from_json(data)
}

/// A number as the API writes it.
pub(crate) fn number(text: &str) -> Result<f64, Failure> {
    match text {
        "+Inf" | "Inf" => Ok(f64::INFINITY),
        "-Inf" => Ok(f64::NEG_INFINITY),
        _ => text.parse().map_err(|_| Failure::new(format!("query error: {text:?} is no number"))),
    }
}

fn print_value(data: Json, format: Format) -> Outcome {
    let value = value(data)?;
    match format {
        Format::Json => println!("{}", to_json(&value)?),
        Format::Promql => print!("{}", lines(value)?),
    }
    Ok(())
}

fn to_json(value: &Value) -> Result<Json, Failure> {
    let sample = |(t, v): &(f64, String)| -> Result<Json, Failure> {
        Ok(json!([seconds(*t), format_plain(number(v)?)]))
    };
    let histogram = |(t, h): &(f64, Json)| json!([seconds(*t), h]);
    let mut all = Vec::new();
    match value {
        Value::Scalar(scalar) => return sample(scalar),
        Value::String((t, v)) => return Ok(json!([seconds(*t), v])),
        Value::Vector(found) => {
            for one in found {
                all.push(match (&one.value, &one.histogram) {
                    (Some(value), _) => json!({"metric": one.metric, "value": sample(value)?}),
                    (None, Some(h)) => json!({"metric": one.metric, "histogram": histogram(h)}),
                    (None, None) => json!({"metric": one.metric}),
                });
            }
        }
        Value::Matrix(found) => {
            for one in found {
                let mut entry = json!({"metric": one.metric});
                if !one.values.is_empty() {
                    let values: Result<Vec<Json>, Failure> = one.values.iter().map(sample).collect();
                    entry["values"] = json!(values?);
                }
                if !one.histograms.is_empty() {
                    entry["histograms"] = one.histograms.iter().map(histogram).collect();
                }
                all.push(entry);
            }
        }
    }
    Ok(Json::Array(all))
}

/// A time as JSON: whole seconds without a point.
fn seconds(t: f64) -> Json {
    if t.fract() == 0.0 && t.abs() < 9e15 { json!(t as i64) } else { json!(t) }
}

fn lines(value: Value) -> Result<String, Failure> {
    let at = |t: f64| format!("@[{}]", format_plain((t * 1000.0).round() / 1000.0));
    let sample = |(t, v): &(f64, String)| -> Result<String, Failure> {
        Ok(format!("{} {}", format_plain(number(v)?), at(*t)))
    };
    let mut out = String::new();
    match value {
        Value::Scalar(scalar) => out = format!("scalar: {}\n", sample(&scalar)?),
        Value::String((_, text)) => out = format!("{text}\n"),
        Value::Vector(found) => {
            for one in found {
                let shown = match (&one.value, &one.histogram) {
                    (Some(value), _) => sample(value)?,
                    (None, Some((t, h))) => format!("{} {}", histogram(h)?, at(*t)),
                    (None, None) => continue,
                };
                out += &format!("{} => {shown}\n", metric(&one.metric));
            }
        }
        Value::Matrix(mut found) => {
            found.sort_by(|a, b| a.metric.cmp(&b.metric));
            for one in found {
                out += &format!("{} =>\n", metric(&one.metric));
                for value in &one.values {
                    out += &format!("{}\n", sample(value)?);
                }
                for (t, h) in &one.histograms {
                    out += &format!("{} {}\n", histogram(h)?, at(*t));
                }
            }
        }
    }
    Ok(out)
}

impl Found {
    /// Whether some of its samples are native histograms.
    pub(crate) fn has_histograms(&self) -> bool {
        self.histogram.is_some() || !self.histograms.is_empty()
    }
}

fn labels(map: &BTreeMap<String, String>) -> Labels {
    Labels::from_pairs(map)
}

/// A series as people write it: the name before the braces.
fn metric(map: &BTreeMap<String, String>) -> String {
    let name = map.get(METRIC_NAME).map_or("", String::as_str);
    let rest = labels(map).without_name();
    match (name, rest.is_empty()) {
        ("", _) => rest.to_string(),
        (name, true) => name.to_owned(),
        (name, false) => format!("{name}{rest}"),
    }
}

/// A native histogram of the API.
#[derive(Deserialize)]
struct Histogram {
    count: String,
    sum: String,
    #[serde(default)]
    buckets: Vec<(u8, String, String, String)>,
}

fn histogram(json: &Json) -> Result<String, Failure> {
    let h: Histogram = from_json(json.clone())?;
    // which of the bounds belong to the bucket
    let bucket = |(kind, low, high, count): &(u8, String, String, String)| {
        let (open, close) = match kind {
            0 => ('(', ']'),
            1 => ('[', ')'),
            2 => ('(', ')'),
            _ => ('[', ']'),
        };
        format!("{open}{low},{high}{close}:{count}")
    };
    let buckets: Vec<String> = h.buckets.iter().map(bucket).collect();
    let (count, sum) = (number(&h.count)?, number(&h.sum)?);
    Ok(format!("Count: {count:.6}, Sum: {sum:.6}, Buckets: [{}]", buckets.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn forms() {
        let vector = json!({"resultType": "vector", "result": [
            {"metric": {"__name__": "up", "a": "b", "c": "d\"e"}, "value": [1_700_000_000.5, "1e6"]},
            {"metric": {"a": "b"}, "value": [1_700_000_000, "NaN"]},
            {"metric": {"__name__": "up"}, "histogram": [1_700_000_000, {"count": "3", "sum": "2.5", "buckets": [[1, "-1", "0.5", "1"], [0, "1", "2", "2"]]}]},
        ]});
        expect![[r#"
            up{a="b", c="d\"e"} => 1000000 @[1700000000.5]
            {a="b"} => NaN @[1700000000]
            up => Count: 3.000000, Sum: 2.500000, Buckets: [[-1,0.5):1 (1,2]:2] @[1700000000]
        "#]]
        .assert_eq(&lines(value(vector.clone()).unwrap()).unwrap());
        expect![[r#"[{"metric":{"__name__":"up","a":"b","c":"d\"e"},"value":[1700000000.5,"1000000"]},{"metric":{"a":"b"},"value":[1700000000,"NaN"]},{"histogram":[1700000000,{"buckets":[[1,"-1","0.5","1"],[0,"1","2","2"]],"count":"3","sum":"2.5"}],"metric":{"__name__":"up"}}]"#]]
        .assert_eq(&to_json(&value(vector).unwrap()).unwrap().to_string());
        let matrix = json!({"resultType": "matrix", "result": [
            {"metric": {"__name__": "up"}, "values": [[1, "1"], [2.25, "+Inf"]]},
            {"metric": {}, "values": [[1, "2"]]},
        ]});
        expect![[r#"
            {} =>
            2 @[1]
            up =>
            1 @[1]
            +Inf @[2.25]
        "#]]
        .assert_eq(&lines(value(matrix).unwrap()).unwrap());
        let scalar = json!({"resultType": "scalar", "result": [1_700_000_000.123, "1"]});
        assert_eq!(lines(value(scalar).unwrap()).unwrap(), "scalar: 1 @[1700000000.123]\n");
    }
}
