//! Parts of a query that stand in it more than once: each is evaluated the first time and recalled from then on.

use super::column::Val;
use super::context::{Ctx, Steps};
use super::tally::Counted;
use crate::ast::{Expr, ExprKind};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Deeper trees than this are not searched: each level is printed, and what repeats there is not written by hand.
pub(crate) const DEEPEST: usize = 64;

/// The repeated parts of one query, and the values of those that were evaluated.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// Which part an expression is, by its address: the tree stands still while it is evaluated.
    parts: FxHashMap<usize, usize>,
    /// How often each part stands in the query.
    times: Vec<usize>,
    kept: Mutex<FxHashMap<Key, Kept>>,
}

/// A part, and the steps it was evaluated at.
type Key = (usize, Steps);

#[derive(Debug)]
struct Kept {
    val: Val,
    /// What evaluating it looked at.
    counted: Counted,
    series: u64,
    /// How often it may still be asked for.
    left: usize,
}

/// What evaluating an expression for the first time began with.
pub(crate) struct Fresh {
    key: Key,
    notes: usize,
    counted: Counted,
    series: u64,
}

fn address(expr: &Expr) -> usize {
    std::ptr::from_ref(expr).addr()
}

/// Whether evaluating it again costs more than a copy.
fn is_work(expr: &Expr) -> bool {
    match &expr.kind {
        // `{}`, which only the second argument of `info` may be, is not read for itself
        ExprKind::Vector(selector) => !selector.matchers.is_empty(),
        ExprKind::Aggregate { .. } => true,
        ExprKind::Call { args, .. } => args.iter().any(reads),
        ExprKind::Binary { lhs, rhs, .. } => reads(lhs) || reads(rhs),
        _ => false,
    }
}

/// Whether it reads series.
fn reads(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Vector(_) | ExprKind::Matrix { .. })
        || expr.children().into_iter().any(reads)
}

impl Shared {
    /// Finds the largest parts of a query that stand in it more than once.
    pub(crate) fn find(expr: &Expr) -> Shared {
        let mut shared = Shared::default();
        let mut texts: FxHashMap<String, usize> = FxHashMap::default();
        let mut todo = vec![expr];
        while let Some(expr) = todo.pop() {
            if is_work(expr) {
                *texts.entry(expr.to_string()).or_default() += 1;
            }
            todo.extend(expr.children());
        }
        texts.retain(|_, times| *times > 1);
        if texts.is_empty() {
            return shared;
        }
        let mut numbers: FxHashMap<String, usize> = FxHashMap::default();
        let mut todo = vec![expr];
        while let Some(expr) = todo.pop() {
            let text = if is_work(expr) { expr.to_string() } else { String::new() };
            if texts.contains_key(&text) {
                let next = shared.times.len();
                let part = *numbers.entry(text).or_insert(next);
                if part == next {
                    shared.times.push(0);
                }
                shared.times[part] += 1;
                shared.parts.insert(address(expr), part);
            } else {
                todo.extend(expr.children());
            }
        }
        shared
    }

    /// Whether an expression has the value of one that stood in the query before.
    pub(crate) fn stood_before(&self, seen: &mut FxHashSet<usize>, expr: &Expr) -> bool {
        self.parts.get(&address(expr)).is_some_and(|part| !seen.insert(*part))
    }

    fn kept(&self) -> MutexGuard<'_, FxHashMap<Key, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of an expression that was evaluated elsewhere in the query at the same times; else what [`Shared::keep`]
    /// wants to know, where it is worth keeping.
    pub(crate) fn recall(&self, ctx: &Ctx<'_>, expr: &Expr, steps: Steps) -> Result<Val, Option<Fresh>> {
        let Some(&part) = self.parts.get(&address(expr)).filter(|part| self.times[**part] > 1) else {
            return Err(None);
        };
        let key = (part, steps);
        let mut kept = self.kept();
        if let Some(found) = kept.get_mut(&key) {
            found.left = found.left.saturating_sub(1);
            ctx.tally.again(&found.counted);
            ctx.series.fetch_add(found.series, Relaxed);
            if found.left > 0 {
                return Ok(found.val.clone());
            }
            return kept.remove(&key).map(|found| found.val).ok_or(None);
        }
        drop(kept);
        let (counted, series) = (ctx.tally.counted(), ctx.series.load(Relaxed));
        Err(Some(Fresh { key, notes: ctx.notes.noted(), counted, series }))
    }

    /// Keeps a value for where the expression stands again. One that came with annotations is not kept: they name the place.
    pub(crate) fn keep(&self, ctx: &Ctx<'_>, fresh: Fresh, val: &Val) {
        if ctx.notes.noted() != fresh.notes {
            return;
        }
        let kept = Kept {
            val: val.clone(),
            counted: ctx.tally.since(&fresh.counted),
            series: ctx.series.load(Relaxed) - fresh.series,
            left: self.times[fresh.key.0] - 1,
        };
        self.kept().insert(fresh.key, kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, parts: &[usize]) {
        let expr = crate::parse_with(query, &crate::Features::all()).unwrap();
        let times = Shared::find(&expr).times;
        assert_eq!(times.into_iter().filter(|n| *n > 1).collect::<Vec<_>>(), parts, "{query}");
    }

    #[test]
    fn the_largest_repeated_parts_are_found() {
        check("sum(rate(a[5m])) / (sum(rate(a[5m])) + sum(rate(b[5m])))", &[2]);
        check("a > 0 and a < 5", &[2]);
        check("rate(a[5m]) / rate(a[6m])", &[]);
        check("a / a offset 5m", &[]);
        check("1 + 1", &[]);
        check("time() - time()", &[]);
        check("sum(a) + sum(a) + max(a)", &[2]);
        check("2 + info(a, {}) + 3 + info(b, {}) + 4", &[]);
    }
}
