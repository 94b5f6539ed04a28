//! `absent` and `absent_over_time`: 1 where nothing is, with the labels that the selector fixes.

use super::column::{Column, OutSeries};
use super::context::{Ctx, Steps};
use super::eval::{self, vector};
use super::result::QueryError;
use super::select::{self, Around, Range};
use crate::ast::{Expr, ExprKind};
use model::labels::METRIC_NAME;
use model::{Labels, LabelsBuilder, MatchOp};

pub(crate) fn instant(ctx: &Ctx<'_>, arg: &Expr, steps: Steps) -> Result<Vec<OutSeries>, QueryError> {
    let series = vector(ctx, arg, steps)?;
    Ok(where_missing(&series, arg, steps))
}

pub(crate) fn over_time(ctx: &Ctx<'_>, arg: &Expr, steps: Steps) -> Result<Vec<OutSeries>, QueryError> {
    let func = "present_over_time";
    let series = match &arg.unwrapped().kind {
        ExprKind::Matrix { selector, range, .. } => {
            let range = Range { selector, span: range, pos: arg.pos, noted: arg.pos };
            select::ranged(ctx, range, func, Vec::new(), steps, Around::default())?.collect(ctx)?
        }
        _ => eval::over_subquery_raw(ctx, func, Vec::new(), arg, steps)?,
    };
    Ok(where_missing(&series, arg, steps))
}

fn where_missing(series: &[OutSeries], arg: &Expr, steps: Steps) -> Vec<OutSeries> {
    let mut col = Column::absent(steps.n);
    for i in 0..steps.n {
        if !series.iter().any(|s| s.col.is_present(i)) {
            col.values[i] = 1.0;
        }
    }
    if !col.any_present() {
        return Vec::new();
    }
    vec![OutSeries { labels: fixed_labels(arg), drop_name: false, col }]
}

/// Labels that the selector asks to be equal, each asked for once.
fn fixed_labels(arg: &Expr) -> Labels {
    let (ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. }) = &arg.unwrapped().kind else {
        return Labels::empty();
    };
    let mut b = LabelsBuilder::default();
    let mut seen: Vec<&str> = Vec::new();
    for m in selector.matchers.iter().filter(|m| m.name != METRIC_NAME) {
        if m.op == MatchOp::Equal && !seen.contains(&m.name.as_str()) {
            b.set(m.name.clone(), m.value.clone());
            seen.push(&m.name);
        } else {
            b.del(&m.name);
        }
    }
    b.finish()
}
