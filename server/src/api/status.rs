//! `/status/…`: what the server is, was told, and holds.

use super::error::{ApiError, ErrorType};
use super::params::Params;
use super::{ApiResult, Success};
use crate::State;
use axum::extract::State as Shared;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The version of Prometheus whose interface this is, with our own as build metadata: clients choose features by it.
pub(crate) const COMPATIBLE_VERSION: &str = concat!("3.14.0+pharos.", env!("CARGO_PKG_VERSION"));

/// The commit that this was built from, where the build was told.
pub(crate) const REVISION: &str = match option_env!("PHAROS_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// `GET /api/v1/status/config`: the configuration in force with its defaults, secrets hidden.
pub(super) async fn config(Shared(state): Shared<Arc<State>>) -> ApiResult {
    let mut config = state.config.load().config.resolved();
    let retention = crate::storage::retention(&state.options, &config.storage);
    let tsdb = config.storage.tsdb.get_or_insert_default();
    tsdb.retention = Some(config::prometheus::RetentionConfig {
        time: retention.time_ms.map(config::Duration::from_ms),
        size: retention.bytes.map(config::Size::from_bytes),
        percentage: retention.percentage,
    });
    Success::json(&json!({ "yaml": config.to_yaml_redacted() }))
}

/// `GET /api/v1/status/flags`.
pub(super) async fn flags(Shared(state): Shared<Arc<State>>) -> ApiResult {
    Success::json(&state.flags)
}

/// The build as JSON; also what `/version` answers.
pub(crate) fn build() -> serde_json::Value {
    json!({
        "version": COMPATIBLE_VERSION,
        "revision": REVISION,
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
    })
}

/// `GET /api/v1/status/buildinfo`.
pub(super) async fn build_info() -> ApiResult {
    Success::json(&build())
}

fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |t| t.to_string())
}

/// `GET /api/v1/status/runtimeinfo`.
pub(super) async fn runtime_info(Shared(state): Shared<Arc<State>>) -> ApiResult {
    let loaded = state.config.load();
    Success::json(&json!({
        "startTime": rfc3339(state.started_ms),
        "CWD": std::env::current_dir().map_or_else(|_| String::new(), |d| d.display().to_string()),
        "hostname": rustix::system::uname().nodename().to_string_lossy(),
        "serverTime": rfc3339(state.clock.now_ms()),
        "reloadConfigSuccess": loaded.last_reload_ok,
        "lastConfigTime": rfc3339(loaded.loaded_ms),
        "corruptionCount": state.db.metrics().wal_corruptions.load(Ordering::Relaxed),
        "goroutineCount": 0,
        "GOMAXPROCS": std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": crate::storage::retention_text(&state.db.retention()),
    }))
}

/// `GET /api/v1/status/tsdb`: the head in figures.
pub(super) async fn tsdb(Shared(state): Shared<Arc<State>>, params: Params) -> ApiResult {
    let bad = |why| Err(ApiError::new(ErrorType::BadData, why));
    let limit = match params.get("limit") {
        "" => 10,
        text => match text.parse::<usize>() {
            Ok(0) | Err(_) => return bad("limit must be a positive number"),
            Ok(n) if n > 10_000 => return bad("limit must not exceed 10000"),
            Ok(n) => n,
        },
    };
    let (stats, memory) = tokio::task::block_in_place(|| (state.db.stats(limit), state.gate.standing()));
    let top = |rows: &[tsdb::Stat]| -> Vec<serde_json::Value> {
        rows.iter().map(|row| json!({ "name": row.name, "value": row.value })).collect()
    };
    Success::json(&json!({
        "headStats": {
            "numSeries": stats.num_series,
            "numLabelPairs": stats.num_label_pairs,
            "chunkCount": stats.chunk_count,
            "minTime": stats.min_time,
            "maxTime": stats.max_time,
        },
        "headMemory": {
            "bytes": memory.bytes,
            "expectedGrowthBytes": memory.growth,
            "budgetBytes": memory.budget,
            "refusesNewSeries": memory.full,
            "seriesRefused": memory.refused,
        },
        "seriesCountByMetricName": top(&stats.series_count_by_metric_name),
        "labelValueCountByLabelName": top(&stats.label_value_count_by_label_name),
        "memoryInBytesByLabelName": top(&stats.memory_in_bytes_by_label_name),
        "seriesCountByLabelValuePair": top(&stats.series_count_by_label_value_pair),
    }))
}

/// `GET /api/v1/status/tsdb/blocks`.
pub(super) async fn blocks(Shared(state): Shared<Arc<State>>) -> ApiResult {
    Success::json(&json!({ "blocks": state.db.blocks() }))
}

/// `GET /api/v1/status/walreplay`.
pub(super) async fn wal_replay(Shared(state): Shared<Arc<State>>) -> ApiResult {
    let status = state.db.replay_status();
    Success::json(&json!({ "min": status.min, "max": status.max, "current": status.current }))
}
