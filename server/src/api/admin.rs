//! `/admin/tsdb/…`: only with `--web.enable-admin-api`.

use super::error::{ApiError, ErrorType};
use super::params::Params;
use super::{ApiResult, Success};
use crate::State;
use axum::extract::State as Shared;
use std::sync::Arc;

/// `POST /api/v1/admin/tsdb/snapshot`: everything stored as blocks below `snapshots/`.
pub(super) async fn snapshot(Shared(state): Shared<Arc<State>>, params: Params) -> ApiResult {
    if !state.options.web_enable_admin_api {
        return Err(ApiError::new(ErrorType::Unavailable, "admin APIs disabled"));
    }
    let skip_head = match params.get("skip_head") {
        "" | "false" | "0" => false,
        "true" | "1" => true,
        text => return Err(ApiError::parameter("skip_head", format!("unable to parse boolean {text:?}"))),
    };
    let db = state.db.clone();
    let name = state
        .web
        .blocking(move || db.snapshot(!skip_head))
        .await
        .map_err(|e| ApiError::new(ErrorType::Internal, e))?
        .map_err(|e| ApiError::new(ErrorType::Internal, format!("create snapshot: {e}")))?;
    Success::json(&serde_json::json!({ "name": name }))
}
