//! `/query` and `/query_range`.

use super::error::{ApiError, ErrorType};
use super::params::Params;
use super::{ApiResult, Success, encode};
use crate::State;
use crate::adapters::{OVER_BUDGET, TsdbQueryable};
use axum::extract::State as Shared;
use promql::engine::{Cancel, Held, Points, Sample};
use promql::{QueryError, QueryOptions, QueryResult, Stopwatch, Value};
use std::sync::Arc;
use std::time::Duration;

/// More points a series than a screen has pixels: a mistake in the step.
const MAX_POINTS: i64 = 11_000;

/// `GET|POST /api/v1/query`.
pub(super) async fn instant(Shared(state): Shared<Arc<State>>, params: Params) -> ApiResult {
    let at = params.time("time")?.unwrap_or_else(|| state.clock.now_ms());
    let expr = parse(&state, &params)?;
    evaluate(&state, &params, move |engine, storage, options| engine.instant(storage, &expr, at, options))
        .await
}

/// `GET|POST /api/v1/query_range`.
pub(super) async fn range(Shared(state): Shared<Arc<State>>, params: Params) -> ApiResult {
    let required = |name: &str| {
        params.time(name).and_then(|t| {
            t.ok_or_else(|| ApiError::parameter(name, "cannot parse \"\" to a valid timestamp"))
        })
    };
    let (start, end) = (required("start")?, required("end")?);
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    let step = params
        .duration("step")?
        .ok_or_else(|| ApiError::parameter("step", "cannot parse \"\" to a valid duration"))?;
    if step <= 0 {
        let why = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(ApiError::parameter("step", why));
    }
    if (end - start) / step > MAX_POINTS {
        let why = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
        return Err(ApiError::new(ErrorType::BadData, why));
    }
    let expr = parse(&state, &params)?;
    evaluate(&state, &params, move |engine, storage, options| {
        engine.range(storage, &expr, start, end, step, options)
    })
    .await
}

/// `GET|POST /api/v1/format_query`: the canonical form.
pub(super) async fn format(Shared(state): Shared<Arc<State>>, params: Params) -> ApiResult {
    Success::json(&promql::pretty(&parse(&state, &params)?))
}

/// `GET|POST /api/v1/parse_query`: the syntax tree.
pub(super) async fn tree(Shared(state): Shared<Arc<State>>, params: Params) -> ApiResult {
    Success::json(&promql::to_json(&parse(&state, &params)?))
}

fn parse(state: &State, params: &Params) -> Result<promql::ast::Expr, ApiError> {
    promql::parse_with(params.get("query"), &state.features.language)
        .map_err(|e| ApiError::parameter("query", e))
}

/// Ends the query when its request is over, one way or the other: by timeout or because the client went away.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// Runs the engine on a thread for blocking work, within the limits of time and of queries at once. The answer is written there too, as a
/// large one takes a while: other requests and scrapes go on meanwhile.
async fn evaluate(
    state: &Arc<State>,
    params: &Params,
    run: impl FnOnce(&promql::Engine, &TsdbQueryable, &QueryOptions) -> Result<QueryResult, QueryError>
    + Send
    + 'static,
) -> ApiResult {
    let asked = state.clock.monotonic();
    let longest = state.options.query_timeout.0;
    let timeout = params.duration("timeout")?.map_or(longest, |t| t.min(longest));
    let lookback = params.duration("lookback_delta").map_err(|e| {
        let why = e.message.split_once(": ").map_or(e.message.as_str(), |(_, why)| why);
        ApiError::new(ErrorType::BadData, format!("error parsing lookback delta duration: {why}"))
    })?;
    let clock = state.clock.clone();
    let interval = state.config.load().config.global.effective_evaluation_interval();
    let options = QueryOptions {
        text: params.get("query").to_owned(),
        lookback_delta: lookback.filter(|ms| *ms > 0),
        limit: params.limit()?,
        memory_budget: state.query_budget,
        subquery_step_ms: Some(interval.as_ms()),
        per_step_stats: state.features.per_step_stats && params.get("stats") == "all",
        explain: params.get("explain") == "true",
        stopwatch: Stopwatch::new(move || clock.monotonic().as_nanos() as u64),
        ..QueryOptions::default()
    };
    let stats = params.get("stats").to_owned();
    let _guard = CancelOnDrop(options.cancel.clone());
    let work = async {
        let slot = state.query_slots.clone().acquire_owned().await;
        let owned = state.clone();
        let work = state.web.blocking(move || {
            let _slot = slot;
            let began = owned.clock.monotonic();
            let storage = TsdbQueryable { db: owned.db.clone(), engine: owned.engine.clone() };
            let result = run(&owned.engine, &storage, &options)?;
            let took = owned.clock.monotonic().saturating_sub(began);
            // while it is written, the value and its JSON are both there
            let extent = Extent::of(&result.value);
            let held = owned.engine.hold(extent.memory() + extent.json(), ANSWER)?;
            Ok(answer(&stats, &extent, Done { result, held, waited: began.saturating_sub(asked), took }))
        });
        work.await.map_err(|e| ApiError::new(ErrorType::Internal, format!("query ended abnormally: {e}")))
    };
    match tokio::time::timeout(Duration::from_millis(timeout.max(0) as u64), work).await {
        Ok(result) => result?.map_err(|e: QueryError| {
            let kind = match &e {
                QueryError::Parse(_) | QueryError::BadData(_) => return ApiError::parameter("query", e),
                QueryError::Timeout => ErrorType::Timeout,
                QueryError::Cancelled => ErrorType::Canceled,
                QueryError::Storage(why) if why.0.starts_with(OVER_BUDGET) => ErrorType::Execution,
                QueryError::Storage(_) => ErrorType::Internal,
                _ => ErrorType::Execution,
            };
            ApiError::new(kind, e)
        }),
        Err(_) => Err(ApiError::new(ErrorType::Timeout, "query timed out in expression evaluation")),
    }
}

/// A query's result, and how long it waited and took.
struct Done {
    result: QueryResult,
    held: Held,
    waited: Duration,
    took: Duration,
}

fn answer(stats: &str, extent: &Extent, done: Done) -> Success {
    let mut success = Success::begin(extent.json());
    let out = &mut success.body;
    data(out, &done.result.value);
    let mut warnings = Vec::new();
    match stats {
        "" => {}
        asked => {
            super::stats::write(out, &done.result.stats, done.waited, done.took);
            if asked != "true" && asked != "all" {
                warnings.push(format!(
                    "value {} for parameter \"stats\" is deprecated and will be rejected in the next major release, \
                     use \"true\" or \"all\"",
                    model::float::quote(asked)
                ));
            }
        }
    }
    if !done.result.explain.is_empty() {
        super::stats::explain(out, &done.result.explain);
    }
    out.push('}');
    warnings.extend(done.result.warnings);
    let mut held = done.held;
    held.shrink_to(success.body.len());
    Success { warnings, infos: done.result.infos, held: Some(held), ..success }
}

/// What an answer is called where there is no memory for it.
pub(super) const ANSWER: &str = "the answer, which others have not read yet or which is large itself";

/// How much there is of a value.
struct Extent {
    series: usize,
    pairs: usize,
    /// Bytes of all names and values of labels, or of a string.
    text: usize,
    floats: usize,
    histograms: usize,
}

impl Extent {
    fn of(value: &Value) -> Self {
        let mut all = Extent { series: 0, pairs: 0, text: 0, floats: 0, histograms: 0 };
        let mut add = |labels: &model::Labels, floats: usize, histograms: usize| {
            all.series += 1;
            all.pairs += labels.len();
            all.text += labels.packed_len();
            all.floats += floats;
            all.histograms += histograms;
        };
        match value {
            Value::Scalar { .. } => all.floats = 1,
            Value::String { v, .. } => all.text = v.len(),
            Value::Vector(series) => series.iter().for_each(|(labels, _, sample)| {
                let float = usize::from(matches!(sample, Sample::Float(_)));
                add(labels, float, 1 - float);
            }),
            Value::Matrix(series) => series
                .iter()
                .for_each(|(labels, points)| add(labels, points.timestamps.len(), points.histograms.len())),
        }
        all
    }

    /// About as many bytes as it takes as JSON: an answer that grows is copied again and again.
    fn json(&self) -> usize {
        // of a series its object; a label's quotes, colon and comma; a time of ten digits and a value of up to seventeen; some buckets
        64 + 40 * self.series + 4 * self.pairs + self.text + 36 * self.floats + 1000 * self.histograms
    }

    /// About as many bytes as it takes itself.
    fn memory(&self) -> usize {
        100 * self.series + 2 * self.text + 16 * self.floats + 500 * self.histograms
    }
}

/// The beginning of `data`: the object is left open.
fn data(out: &mut String, value: &Value) {
    out.push_str("{\"resultType\":");
    encode::string(out, value_type(value));
    out.push_str(",\"result\":");
    match value {
        Value::Scalar { t, v } => point(out, *t, *v),
        Value::String { t, v } => {
            out.push('[');
            encode::timestamp(out, *t);
            out.push(',');
            encode::string(out, v);
            out.push(']');
        }
        Value::Vector(series) => encode::list(out, series, |out, (labels, t, sample)| {
            out.push_str("{\"metric\":");
            encode::labels(out, labels);
            match sample {
                Sample::Float(v) => {
                    out.push_str(",\"value\":");
                    point(out, *t, *v);
                }
                Sample::Histogram(h) => {
                    out.push_str(",\"histogram\":");
                    histogram_point(out, *t, h);
                }
            }
            out.push('}');
        }),
        Value::Matrix(series) => encode::list(out, series, |out, (labels, points)| {
            out.push_str("{\"metric\":");
            encode::labels(out, labels);
            write_points(out, points);
            out.push('}');
        }),
    }
}

fn value_type(value: &Value) -> &'static str {
    match value {
        Value::Scalar { .. } => "scalar",
        Value::String { .. } => "string",
        Value::Vector(_) => "vector",
        Value::Matrix(_) => "matrix",
    }
}

fn write_points(out: &mut String, points: &Points) {
    if !points.timestamps.is_empty() {
        out.push_str(",\"values\":");
        let pairs = points.timestamps.iter().zip(&points.values);
        encode::list(out, pairs, |out, (t, v)| point(out, *t, *v));
    }
    if !points.histograms.is_empty() {
        out.push_str(",\"histograms\":");
        encode::list(out, &points.histograms, |out, (t, h)| histogram_point(out, *t, h));
    }
}

fn point(out: &mut String, t: i64, v: f64) {
    out.push('[');
    encode::timestamp(out, t);
    out.push(',');
    encode::value(out, v);
    out.push(']');
}

fn histogram_point(out: &mut String, t: i64, h: &model::FloatHistogram) {
    out.push('[');
    encode::timestamp(out, t);
    out.push(',');
    super::histogram::histogram(out, h);
    out.push(']');
}
