//! `/query_exemplars`: exemplars of the series that an expression selects.

use super::error::{ApiError, ErrorType};
use super::params::Params;
use super::{ApiResult, Success, encode};
use crate::State;
use axum::extract::State as Shared;
use model::Matcher;
use promql::ast::{Expr, ExprKind};
use std::sync::Arc;

/// The matchers of all selectors in an expression.
fn selectors<'a>(expr: &'a Expr, found: &mut Vec<Vec<Matcher>>) {
    match &expr.kind {
        ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. } => {
            found.push(selector.matchers.clone())
        }
        _ => expr.children().into_iter().for_each(|child: &'a Expr| selectors(child, found)),
    }
}

/// `GET|POST /api/v1/query_exemplars`.
pub(super) async fn handle(Shared(state): Shared<Arc<State>>, params: Params) -> ApiResult {
    let start = params.time("start")?.unwrap_or(i64::MIN);
    let end = params.time("end")?.unwrap_or(i64::MAX);
    if end < start {
        return Err(ApiError::new(ErrorType::BadData, "end timestamp must not be before start timestamp"));
    }
    let expr = promql::parse_with(params.get("query"), &state.features.language)
        .map_err(|e| ApiError::new(ErrorType::BadData, e))?;
    let mut sets = Vec::new();
    selectors(&expr, &mut sets);
    let found = tokio::task::block_in_place(|| state.db.exemplars(&sets, start, end));
    let mut out = String::new();
    encode::list(&mut out, &found, |out, (series, exemplars)| {
        out.push_str("{\"seriesLabels\":");
        encode::labels(out, series);
        out.push_str(",\"exemplars\":");
        encode::list(out, exemplars, |out, e| {
            out.push_str("{\"labels\":");
            encode::labels(out, &e.labels);
            out.push_str(",\"value\":");
            encode::value(out, e.v);
            out.push_str(",\"timestamp\":");
            encode::timestamp(out, e.t);
            out.push('}');
        });
        out.push('}');
    });
    Ok(Success::new(out))
}
