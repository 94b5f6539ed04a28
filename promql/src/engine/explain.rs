//! What the selectors of a query found, and what may have been meant where one found nothing.

use super::context::Ctx;
use super::result::QueryError;
use crate::ast::{PosRange, VectorSelector};
use model::labels::METRIC_NAME;
use model::{MatchOp, Matcher};
use std::sync::PoisonError;

/// What a selector found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Explained {
    /// Where it stands in the query.
    pub pos: PosRange,
    /// Series selected.
    pub series: u64,
    /// Samples read of them.
    pub samples: u64,
    /// Bytes of the buffers into which they were read.
    pub bytes: u64,
    /// Where nothing was selected: what is there instead of what was asked for.
    pub hint: Option<String>,
    /// Its conditions, for the hint.
    matchers: Vec<Matcher>,
}

/// Notes how many series a selector has found.
pub(crate) fn selected(ctx: &Ctx<'_>, selector: &VectorSelector, pos: PosRange, series: usize) {
    let Some(explain) = &ctx.explain else { return };
    let mut all = explain.lock().unwrap_or_else(PoisonError::into_inner);
    let at = all.iter().position(|e| e.pos == pos).unwrap_or_else(|| {
        all.push(Explained { pos, matchers: selector.matchers.clone(), ..Explained::default() });
        all.len() - 1
    });
    all[at].series = all[at].series.max(series as u64);
}

/// The list in the order of the text, with hints.
///
/// # Errors
/// Where storage could not be read.
pub(crate) fn finish(ctx: &Ctx<'_>) -> Result<Vec<Explained>, QueryError> {
    let Some(explain) = &ctx.explain else { return Ok(Vec::new()) };
    let mut all = std::mem::take(&mut *explain.lock().unwrap_or_else(PoisonError::into_inner));
    all.sort_by_key(|e| (e.pos.start, e.pos.end));
    for e in all.iter_mut().filter(|e| e.series == 0) {
        e.hint = hint(ctx, &e.matchers)?;
    }
    Ok(all)
}

/// The first condition, the name's before the others, that leaves nothing of what the ones before it left.
fn hint(ctx: &Ctx<'_>, matchers: &[Matcher]) -> Result<Option<String>, QueryError> {
    let mut ordered: Vec<&Matcher> = matchers.iter().collect();
    ordered.sort_by_key(|m| m.name != METRIC_NAME);
    let mut before: Vec<Matcher> = Vec::new();
    for m in ordered {
        let Some(values) = ctx.storage.label_values(&m.name, &before)? else { return Ok(None) };
        let found = values.iter().any(|v| m.matches(v));
        if !found && !m.matches_empty() {
            let what = if m.name == METRIC_NAME { "metric" } else { m.name.as_str() };
            return Ok(Some(match nearest(m, &values) {
                Some(value) => format!("no {what} {m}; the nearest is {}", model::float::quote(value)),
                None => format!("no {what} {m}, and none like it"),
            }));
        }
        before.push(m.clone());
    }
    Ok(None)
}

/// Most values that are compared: a hint need not be the best of millions.
const MAX_COMPARED: usize = 100_000;

/// The value that differs least from what was asked for, if it differs by less than half.
fn nearest<'v>(m: &Matcher, values: &'v [String]) -> Option<&'v String> {
    if m.op != MatchOp::Equal {
        return None;
    }
    let wanted: Vec<char> = m.value.chars().take(200).collect();
    let best = values.iter().take(MAX_COMPARED).map(|v| (distance(&wanted, v), v)).min()?;
    (best.0 * 2 <= wanted.len().max(2)).then_some(best.1)
}

/// Insertions, deletions and changes between two texts (Levenshtein).
fn distance(a: &[char], b: &str) -> usize {
    let mut row: Vec<usize> = (0..=a.len()).collect();
    for (i, c) in b.chars().take(200).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, d) in a.iter().enumerate() {
            let change = diagonal + usize::from(*d != c);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[a.len()]
}
