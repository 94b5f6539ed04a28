//! `/query` and `/query_range`.

use super::error::{ApiError, ErrorType};
use super::params::Params;
use super::{ApiResult, Success, encode};
use crate::State;
use crate::adapters::TsdbQueryable;
use axum::extract::State as Shared;
use promql::{QueryError, QueryOptions, QueryResult, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// More points a series than a screen has pixels: a mistake in the step.
const MAX_POINTS: i64 = 11_000;

/// `GET|POST /api/v1/query`.
pub(super) async fn instant(Shared(state): Shared<Arc<State>>, params: Params) -> ApiResult {
    let at = params.time("time")?.unwrap_or_else(|| state.clock.now_ms());
    let limit = params.limit()?;
    let expr = parse(&params)?;
    let result = evaluate(&state, &params, move |engine, storage, options| {
        engine.instant(storage, &expr, at, options)
    })
    .await?;
    Ok(answer(result, limit))
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
    let limit = params.limit()?;
    let expr = parse(&params)?;
    let result = evaluate(&state, &params, move |engine, storage, options| {
        engine.range(storage, &expr, start, end, step, options)
    })
    .await?;
    Ok(answer(result, limit))
}

fn parse(params: &Params) -> Result<promql::ast::Expr, ApiError> {
    promql::parse(params.get("query")).map_err(|e| ApiError::parameter("query", e))
}

/// Sets the flag when the query is over, one way or the other: by timeout or because the client went away.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs the engine on a thread for blocking work, within the limits of time and of queries at once.
async fn evaluate(
    state: &Arc<State>,
    params: &Params,
    run: impl FnOnce(&promql::Engine, &TsdbQueryable, &QueryOptions) -> Result<QueryResult, QueryError> + Send + 'static,
) -> Result<QueryResult, ApiError> {
    let longest = state.options.query_timeout.0;
    let timeout = params.duration("timeout")?.map_or(longest, |t| t.min(longest));
    let lookback = params.duration("lookback_delta")?;
    let cancelled = Arc::new(AtomicBool::new(false));
    let _guard = CancelOnDrop(cancelled.clone());
    let work = async {
        let slot = state.query_slots.clone().acquire_owned().await;
        let owned = state.clone();
        let work = state.web.blocking(move || {
            let _slot = slot;
            let options = QueryOptions { lookback_delta: lookback, cancel: Some(cancelled), ..QueryOptions::default() };
            run(&owned.engine, &TsdbQueryable(owned.db.clone()), &options)
        });
        work.await.map_err(|e| ApiError::new(ErrorType::Internal, format!("query ended abnormally: {e}")))
    };
    match tokio::time::timeout(Duration::from_millis(timeout.max(0) as u64), work).await {
        Ok(result) => result?.map_err(|e| {
            let kind = match &e {
                QueryError::Parse(_) => ErrorType::BadData,
                QueryError::Timeout => ErrorType::Timeout,
                QueryError::Cancelled => ErrorType::Canceled,
                QueryError::Storage(_) => ErrorType::Internal,
                _ => ErrorType::Execution,
            };
            ApiError::new(kind, e)
        }),
        Err(_) => Err(ApiError::new(ErrorType::Timeout, "query timed out in expression evaluation")),
    }
}

fn answer(mut result: QueryResult, limit: usize) -> Success {
    let count = match &result.value {
        Value::Vector(series) => series.len(),
        Value::Matrix(series) => series.len(),
        Value::Scalar { .. } | Value::String { .. } => 0,
    };
    if limit > 0 && count > limit {
        match &mut result.value {
            Value::Vector(series) => series.truncate(limit),
            Value::Matrix(series) => series.truncate(limit),
            Value::Scalar { .. } | Value::String { .. } => {}
        }
        result.warnings.push("results truncated due to limit".to_owned());
    }
    Success { data: data(&result.value), warnings: result.warnings, infos: result.infos }
}
