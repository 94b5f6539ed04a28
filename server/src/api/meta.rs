//! `/series`, `/labels`, `/label/NAME/values`: what is stored, without samples.

use super::error::{ApiError, ErrorType};
use super::params::Params;
use super::{ApiResult, Success, encode};
use crate::State;
use axum::extract::{Path, State as Shared};
use model::Matcher;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The time range of a request: all of time where it is not given.
fn range(params: &Params) -> Result<(i64, i64), ApiError> {
    let (start, end) = (params.time("start")?.unwrap_or(i64::MIN), params.time("end")?.unwrap_or(i64::MAX));
    if end < start {
        return Err(ApiError::parameter("end", "end timestamp must not be before start time"));
    }
    Ok((start, end))
}

fn selectors(params: &Params) -> Result<Vec<Vec<Matcher>>, ApiError> {
    params
        .all("match[]")
        .map(|text| promql::parse_selector(text).map_err(|e| ApiError::parameter("match[]", e)))
        .collect()
}

fn storage(error: tsdb::Error) -> ApiError {
    ApiError::new(ErrorType::Internal, error)
}

/// Runs storage work where it may block.
fn blocking<T>(work: impl FnOnce() -> Result<T, tsdb::Error>) -> Result<T, ApiError> {
    tokio::task::block_in_place(work).map_err(storage)
}

fn truncated(found: &mut Vec<impl Sized>, limit: usize) -> Vec<String> {
    if limit == 0 || found.len() <= limit {
        return Vec::new();
    }
    found.truncate(limit);
    vec!["results truncated due to limit".to_owned()]
}

/// `GET|POST /api/v1/series`.
pub(super) async fn series(Shared(state): Shared<Arc<State>>, params: Params) -> ApiResult {
    let (start, end) = range(&params)?;
    let limit = params.limit()?;
    let selectors = selectors(&params)?;
    if selectors.is_empty() {
        return Err(ApiError::new(ErrorType::BadData, "no match[] parameter provided"));
    }
    let querier = state.db.querier();
    let found = blocking(|| {
        let mut found = BTreeSet::new();
        for matchers in &selectors {
            found.extend(querier.series(matchers, start, end)?);
        }
        Ok(found)
    })?;
    let mut found: Vec<_> = found.into_iter().collect();
    let mut warnings = truncated(&mut found, limit);
    warnings.extend(querier.warnings());
    let mut data = String::new();
    encode::list(&mut data, &found, encode::labels);
    Success { warnings, ..Success::new(data) }.counted(&state)
}

/// The union over all selectors; over everything where there are none.
fn union(
    selectors: &[Vec<Matcher>],
    mut names: impl FnMut(&[Matcher]) -> Result<Vec<String>, tsdb::Error>,
) -> Result<Vec<String>, ApiError> {
    blocking(|| match selectors {
        [] => names(&[]),
        [one] => names(one),
        many => {
            let mut all = BTreeSet::new();
            for matchers in many {
                all.extend(names(matchers)?);
            }
            Ok(all.into_iter().collect())
        }
    })
}

/// `GET|POST /api/v1/labels`.
pub(super) async fn label_names(Shared(state): Shared<Arc<State>>, params: Params) -> ApiResult {
    let (start, end) = range(&params)?;
    let limit = params.limit()?;
    let querier = state.db.querier();
    let found = union(&selectors(&params)?, |matchers| querier.label_names(matchers, start, end, 0))?;
    names(found, limit, querier.warnings()).counted(&state)
}

/// `GET /api/v1/label/NAME/values`.
pub(super) async fn label_values(
    Shared(state): Shared<Arc<State>>,
    Path(name): Path<String>,
    params: Params,
) -> ApiResult {
    let name = unescape(&name);
    if name.is_empty() {
        return Err(ApiError::new(ErrorType::BadData, format!("invalid label name: {name:?}")));
    }
    let (start, end) = range(&params)?;
    let limit = params.limit()?;
    let querier = state.db.querier();
    let found = union(&selectors(&params)?, |matchers| querier.label_values(&name, matchers, start, end, 0))?;
    names(found, limit, querier.warnings()).counted(&state)
}

fn names(mut found: Vec<String>, limit: usize, storage_warnings: Vec<String>) -> Success {
    let mut warnings = truncated(&mut found, limit);
    warnings.extend(storage_warnings);
    let mut data = String::new();
    encode::strings(&mut data, &found);
    Success { warnings, ..Success::new(data) }
}

/// `U__a_2e_b` is `a.b`: the form of names that do not fit a path. What is not well formed stays as it is.
fn unescape(name: &str) -> String {
    let Some(escaped) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::new();
    let mut parts = escaped.split('_').peekable();
    if let Some(first) = parts.next() {
        out.push_str(first);
    }
    while let Some(part) = parts.next() {
        if part.is_empty() && parts.peek().is_some() {
            // two underscores: one
            out.push('_');
            out.push_str(parts.next().unwrap_or(""));
        } else if let (Some(c), Some(rest)) =
            (u32::from_str_radix(part, 16).ok().and_then(char::from_u32), parts.next())
        {
            out.push(c);
            out.push_str(rest);
        } else {
            return name.to_owned();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn escaped_names() {
        for (escaped, name) in
            [("job", "job"), ("U__http_2e_status", "http.status"), ("U__a__b", "a_b"), ("U__x_zz", "U__x_zz")]
        {
            assert_eq!(super::unescape(escaped), name);
        }
    }
}
