//! `/admin/tsdb/…`: only with `--web.enable-admin-api`.

use super::error::{ApiError, ErrorType};
use super::params::Params;
use super::{ApiResult, Success};
use crate::State;
use axum::extract::State as Shared;
use http::StatusCode;
use std::sync::Arc;
use std::time::Duration;

/// Work that needs the whole log waits this long for its replay.
const REPLAY_PATIENCE: Duration = Duration::from_secs(10);

fn enabled(state: &State) -> Result<(), ApiError> {
    if state.options.web_enable_admin_api {
        Ok(())
    } else {
        Err(ApiError::new(ErrorType::Unavailable, "admin APIs disabled"))
    }
}

/// Does long work on the database beside the requests.
async fn work<T: Send + 'static>(
    state: &State,
    work: impl FnOnce(&tsdb::Db) -> Result<T, tsdb::Error> + Send + 'static,
) -> Result<T, ApiError> {
    let db = state.db.clone();
    let done = state.web.blocking(move || {
        db.wait_for_replay(REPLAY_PATIENCE);
        work(&db)
    });
    done.await.map_err(|e| ApiError::new(ErrorType::Internal, e))?.map_err(|e| match e {
        tsdb::Error::Replaying => ApiError::new(ErrorType::Unavailable, e),
        _ => ApiError::new(ErrorType::Internal, e),
    })
}

/// A time of the request, with the text that the original has for what is none.
fn time(params: &Params, name: &str, default: i64) -> Result<i64, ApiError> {
    params.time(name).map(|t| t.unwrap_or(default)).map_err(|_| {
        let text = params.get(name);
        let why = format!("invalid time value for '{name}': cannot parse {text:?} to a valid timestamp");
        ApiError::parameter(name, why)
    })
}

/// `POST /api/v1/admin/tsdb/delete_series`: samples of the series that any `match[]` selects, from `start` to `end`.
pub(super) async fn delete_series(
    Shared(state): Shared<Arc<State>>,
    params: Params,
) -> Result<StatusCode, ApiError> {
    enabled(&state)?;
    let selectors: Vec<&str> = params.all("match[]").collect();
    if selectors.is_empty() {
        return Err(ApiError::new(ErrorType::BadData, "no match[] parameter provided"));
    }
    let (start, end) = (time(&params, "start", i64::MIN)?, time(&params, "end", i64::MAX)?);
    let parse = |text| promql::parse_selector(text).map_err(|e| ApiError::parameter("match[]", e));
    let selectors = selectors.into_iter().map(parse).collect::<Result<Vec<_>, _>>()?;
    work(&state, move |db| selectors.iter().try_for_each(|matchers| db.delete(matchers, start, end))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/admin/tsdb/clean_tombstones`: gives back the room of what is deleted from blocks.
pub(super) async fn clean_tombstones(Shared(state): Shared<Arc<State>>) -> Result<StatusCode, ApiError> {
    enabled(&state)?;
    work(&state, |db| db.clean_tombstones()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /api/v1/admin/tsdb/snapshot`: everything stored as blocks below `snapshots/`.
pub(super) async fn snapshot(Shared(state): Shared<Arc<State>>, params: Params) -> ApiResult {
    enabled(&state)?;
    let skip_head = match params.get("skip_head") {
        "" | "0" | "f" | "F" | "false" | "False" | "FALSE" => false,
        "1" | "t" | "T" | "true" | "True" | "TRUE" => true,
        text => return Err(ApiError::parameter("skip_head", format!("unable to parse boolean: {text:?}"))),
    };
    let name = work(&state, move |db| db.snapshot(!skip_head))
        .await
        .map_err(|e| ApiError { message: format!("create snapshot: {}", e.message), ..e })?;
    Success::json(&serde_json::json!({ "name": name }))
}
