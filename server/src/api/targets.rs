//! `/targets`, `/scrape_pools`, and what targets say about their metrics.

use super::error::ApiError;
use super::params::Params;
use super::{ApiResult, Success};
use crate::State;
use axum::extract::State as Shared;
use model::Matcher;
use scrape::status::{ActiveTarget, MetricMetadata};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// `GET /api/v1/targets`.
pub(super) async fn targets(Shared(state): Shared<Arc<State>>, params: Params) -> ApiResult {
    let wanted = match params.get("state") {
        "" | "any" => "any",
        // another word matches no target, as in the original
        text => text,
    };
    let pool = params.get("scrapePool");
    let of_pool = |name: &str| pool.is_empty() || pool == name;
    let all = state.scrape.targets();
    let active: Vec<Value> = match wanted {
        "active" | "any" => {
            all.active.iter().filter(|t| of_pool(&t.pool)).map(|t| active_json(&state, t)).collect()
        }
        _ => Vec::new(),
    };
    // a target that cannot be scraped is told among the dropped ones, with the reason
    let dropped: Vec<Value> = match wanted {
        "dropped" | "any" => {
            let dropped = all.dropped.iter().map(|t| (&t.pool, &t.discovered, None));
            let rejected = all.rejected.iter().map(|t| (&t.pool, &t.discovered, Some(&t.reason)));
            dropped
                .chain(rejected)
                .filter(|(name, ..)| of_pool(name))
                .map(|(name, labels, reason)| match reason {
                    Some(reason) => json!({"discoveredLabels": labels, "scrapePool": name, "reason": reason}),
                    None => json!({"discoveredLabels": labels, "scrapePool": name}),
                })
                .collect()
        }
        _ => Vec::new(),
    };
    let counts: BTreeMap<&String, &usize> =
        all.dropped_counts.iter().filter(|(name, _)| of_pool(name)).collect();
    Success::json(
        &json!({ "activeTargets": active, "droppedTargets": dropped, "droppedTargetCounts": counts }),
    )
}

fn active_json(state: &State, target: &ActiveTarget) -> Value {
    // as the original: the time of a target that was never scraped is year 1
    let last = target.last_scrape_ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    json!({
        "discoveredLabels": target.discovered,
        "labels": target.labels,
        "scrapePool": target.pool,
        "scrapeUrl": target.scrape_url,
        "globalUrl": global_url(state, &target.scrape_url),
        "lastError": target.last_error,
        "lastScrape": last.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |t| t.to_string()),
        "lastScrapeDuration": target.last_scrape_duration,
        "health": target.health.as_str(),
        "scrapeInterval": model::duration::format_ms(target.interval_ms),
        "scrapeTimeout": model::duration::format_ms(target.timeout_ms),
    })
}

/// The URL as a browser elsewhere can open it: a target on this machine is reached under the server's own external name.
fn global_url(state: &State, url: &str) -> String {
    let Ok(mut parsed) = url::Url::parse(url) else { return url.to_owned() };
    let local = matches!(parsed.host_str(), Some("localhost" | "127.0.0.1" | "::1" | "[::1]"));
    let external = url::Url::parse(&state.options.web_external_url);
    let name = match &external {
        Ok(external) => external.host_str().map(str::to_owned),
        Err(_) => Some(rustix::system::uname().nodename().to_string_lossy().into_owned()),
    };
    if let (true, Some(name)) = (local, name)
        && parsed.set_host(Some(&name)).is_err()
    {
        return url.to_owned();
    }
    parsed.into()
}

/// `GET /api/v1/scrape_pools`.
pub(super) async fn scrape_pools(Shared(state): Shared<Arc<State>>) -> ApiResult {
    Success::json(&json!({ "scrapePools": state.scrape.pools() }))
}

fn entry(metadata: &MetricMetadata) -> Value {
    let kind = match metadata.kind.as_str() {
        "untyped" => "unknown",
        kind => kind,
    };
    json!({ "type": kind, "unit": metadata.unit, "help": metadata.help })
}

/// A limit parameter under a name of its own; none where it is missing.
fn limit(params: &Params, name: &str) -> Result<usize, ApiError> {
    match params.get(name) {
        "" => Ok(usize::MAX),
        text => match text.parse::<i64>() {
            Ok(n) if n >= 0 => Ok(n as usize),
            Ok(_) => Ok(usize::MAX),
            Err(_) => Err(ApiError::parameter(name, "must be a number")),
        },
    }
}

/// `GET /api/v1/metadata`: metric to what its targets say, each different saying once.
pub(super) async fn metadata(Shared(state): Shared<Arc<State>>, params: Params) -> ApiResult {
    let (most, most_each) = (limit(&params, "limit")?, limit(&params, "limit_per_metric")?);
    let wanted = params.get("metric");
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for target in state.scrape.metadata() {
        for one in target.metrics.iter().filter(|m| wanted.is_empty() || m.metric == wanted) {
            if !found.contains_key(&one.metric) && found.len() >= most {
                continue;
            }
            let entries = found.entry(one.metric.clone()).or_default();
            let said = entry(one);
            if entries.len() < most_each && !entries.contains(&said) {
                entries.push(said);
            }
        }
    }
    Success::json(&found)
}

/// `GET /api/v1/targets/metadata`.
pub(super) async fn target_metadata(Shared(state): Shared<Arc<State>>, params: Params) -> ApiResult {
    let most = limit(&params, "limit")?;
    let wanted = params.get("metric");
    let matchers: Vec<Matcher> = match params.get("match_target") {
        "" => Vec::new(),
        text => promql::parse_selector(text).map_err(|e| ApiError::parameter("match_target", e))?,
    };
    let mut found = Vec::new();
    for target in state.scrape.metadata() {
        if !matchers.iter().all(|m| m.matches(target.target.get(&m.name))) {
            continue;
        }
        for one in target.metrics.iter().filter(|m| wanted.is_empty() || m.metric == wanted) {
            let mut said = entry(one);
            said["target"] = json!(target.target);
            if wanted.is_empty() {
                said["metric"] = json!(one.metric);
            }
            found.push(said);
        }
    }
    found.truncate(most);
    if found.is_empty() {
        return Err(ApiError::new(super::ErrorType::NotFound, "specified metadata not found"));
    }
    Success::json(&found)
}
