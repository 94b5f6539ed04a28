//! The HTTP API under `/api/v1`: parameters in, JSON out.

mod admin;
mod encode;
mod error;
mod exemplars;
mod histogram;
mod meta;
mod multipart;
mod params;
mod query;
mod stats;
mod status;
mod targets;
mod write;

pub(crate) use error::{ApiError, ErrorType};
pub(crate) use status::{COMPATIBLE_VERSION, REVISION, build};
pub(crate) use write::RefCache;

use crate::State;
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use promql::engine::Held;
use std::sync::Arc;

/// All routes, relative to `/api/v1`.
pub(crate) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/query", get(query::instant).post(query::instant))
        .route("/query_range", get(query::range).post(query::range))
        .route("/format_query", get(query::format).post(query::format))
        .route("/parse_query", get(query::tree).post(query::tree))
        .route("/series", get(meta::series).post(meta::series))
        .route("/labels", get(meta::label_names).post(meta::label_names))
        .route("/label/{name}/values", get(meta::label_values))
        .route("/metadata", get(targets::metadata))
        .route("/targets", get(targets::targets))
        .route("/targets/metadata", get(targets::target_metadata))
        .route("/scrape_pools", get(targets::scrape_pools))
        .route("/status/config", get(status::config))
        .route("/status/flags", get(status::flags))
        .route("/status/buildinfo", get(status::build_info))
        .route("/status/runtimeinfo", get(status::runtime_info))
        .route("/status/tsdb", get(status::tsdb))
        .route("/status/tsdb/blocks", get(status::blocks))
        .route("/status/walreplay", get(status::wal_replay))
        .route("/query_exemplars", get(exemplars::handle).post(exemplars::handle))
        .route("/write", post(write::handle))
        .route("/admin/tsdb/snapshot", post(admin::snapshot).put(admin::snapshot))
        .route("/admin/tsdb/delete_series", post(admin::delete_series).put(admin::delete_series))
        .route("/admin/tsdb/clean_tombstones", post(admin::clean_tombstones).put(admin::clean_tombstones))
        .fallback(|| async { ApiError::new(ErrorType::NotFound, "no such endpoint") })
}

/// A successful answer: JSON already.
pub(crate) struct Success {
    /// The answer up to the end of `data`.
    body: String,
    warnings: Vec<String>,
    infos: Vec<String>,
    /// The memory of the answer, until its client has it.
    held: Option<Held>,
}

/// An answer on its way.
struct Answer {
    body: String,
    _held: Option<Held>,
}

impl AsRef<[u8]> for Answer {
    fn as_ref(&self) -> &[u8] {
        self.body.as_bytes()
    }
}

impl Success {
    /// An answer whose `data`, of about so many bytes, is yet to be written.
    fn begin(bytes: usize) -> Self {
        const BEGIN: &str = r#"{"status":"success","data":"#;
        // also room for the end, with most annotations
        let mut body = String::with_capacity(BEGIN.len() + bytes + 256);
        body.push_str(BEGIN);
        Success { body, warnings: Vec::new(), infos: Vec::new(), held: None }
    }

    fn new(data: String) -> Self {
        let mut success = Success::begin(data.len());
        success.body.push_str(&data);
        success
    }

    /// Counts the answer among what all queries may hold, until its client has it.
    ///
    /// # Errors
    /// Where there is no room for it now.
    fn counted(mut self, state: &State) -> Result<Self, ApiError> {
        let held = state.engine.hold(self.body.len(), query::ANSWER);
        self.held = Some(held.map_err(|e| ApiError::new(ErrorType::Execution, e))?);
        Ok(self)
    }

    fn json(data: &impl serde::Serialize) -> Result<Self, ApiError> {
        serde_json::to_string(data).map(Success::new).map_err(|e| ApiError::new(ErrorType::Internal, e))
    }
}

impl IntoResponse for Success {
    fn into_response(self) -> Response {
        let mut body = self.body;
        for (key, texts) in [("warnings", &self.warnings), ("infos", &self.infos)] {
            if !texts.is_empty() {
                body.push_str(",\"");
                body.push_str(key);
                body.push_str("\":");
                encode::strings(&mut body, texts);
            }
        }
        body.push('}');
        let answer = Bytes::from_owner(Answer { body, _held: self.held });
        ([(http::header::CONTENT_TYPE, "application/json")], axum::body::Body::from(answer)).into_response()
    }
}

type ApiResult = Result<Success, ApiError>;
