//! Differences that are decided: where a later Prometheus than the one compared with answers otherwise, or where an answer has no
//! meaning. Each has its reason; a run counts them and shows how many there were.

use crate::answer::Answer;
use crate::query::{Query, When};
use promql::ast::{AggregateOp, At, BinaryOp, Expr, ExprKind, Modifiers};
use promql::{Features, parse_with};

/// Why this query's answers may differ, where that is decided.
pub(crate) fn reason(query: &Query, expected: &Answer) -> Option<&'static str> {
    if matches!(expected, Answer::Failed { text, .. } if text.contains("runtime error: ")) {
        return Some("a fault in Prometheus: it answers with a runtime error");
    }
    let Ok(expr) = parse_with(&query.text, &Features::all()) else {
        let offset = query.text.contains("offset") && query.text.contains("NaN");
        return offset.then_some("an offset of NaN: no meaning");
    };
    let mut todo = vec![(&expr, false)];
    while let Some((node, in_info)) = todo.pop() {
        if in_info && modifiers(node).is_some_and(|m| m.at.is_some() || m.offset.is_some()) {
            return Some(
                "info() at the time of `@` and of a subquery's `offset`: fixed in Prometheus after 3.14",
            );
        }
        if of_time_over_fixed_subquery(node) {
            return Some(
                "a function of the time over a subquery fixed with `@`: Prometheus finds no samples",
            );
        }
        let mut below = in_info;
        if let ExprKind::Call { func, args } = &node.kind {
            below |= func.name == "info";
            if func.name == "info" && query.delayed_names {
                return Some(
                    "info() keeps a name that is to be dropped at the end: fixed in Prometheus after 3.14",
                );
            }
            let both = |m: &Modifiers| m.at.is_some() && m.offset.is_some();
            let early = match query.when {
                When::At(t) => t,
                When::Range { start, .. } => start,
            };
            if func.name.starts_with("ts_of_") && early < LONGEST_REACH {
                return Some("the time of a sample computed before the epoch: Prometheus says 0");
            }
            if matches!(func.name, "label_join" | "label_replace") && query.text.contains("mixed") {
                return Some(
                    "label_join() or label_replace() makes a number and a histogram the same series: Prometheus goes on with both",
                );
            }
            if matches!(func.name, "timestamp" | "start_timestamp")
                && args.iter().any(|a| modifiers(a.unwrapped()).is_some_and(both))
            {
                return Some(
                    "timestamp() of a selector with `@` and `offset`: Prometheus reads one time and looks at another",
                );
            }
            if func.name == "histogram_quantiles"
                && matches!(&args[1].unwrapped().kind, ExprKind::String(s) if s.is_empty())
            {
                return Some(
                    "histogram_quantiles() with a label without a name: Prometheus panics, or makes such a label",
                );
            }
            if func.name.starts_with("histogram_quantile") && query.text.contains("nh_") && negates(node) {
                return Some("quantiles of histograms with NaN observations and negative counts: no meaning");
            }
            if func.name.starts_with("sort_by_label") && args.len() > 1 {
                return Some(
                    "sort_by_label() over series that lack the label: no order, it depends on the way of sorting",
                );
            }
        }
        if matches!(&node.kind, ExprKind::Subquery { modifiers, .. } if matches!(modifiers.at, Some(At::Timestamp(..0))))
        {
            return Some("a subquery fixed before the epoch: Prometheus gives its samples the time 0");
        }
        if magnifies(node) {
            return Some(
                "the last bit of a number that was rounded, made large: sin, cos, tan or % of a large one, or what is left where nearly all cancels",
            );
        }
        todo.extend(node.children().into_iter().map(|child| (child, below)));
    }
    None
}

/// Whether a node makes much of the last bit of what stands below it, which transcendental functions round each in their own way.
fn magnifies(node: &Expr) -> bool {
    let rounds = |expr: &Expr| {
        let mut todo = vec![expr];
        while let Some(node) = todo.pop() {
            let here = match &node.kind {
                ExprKind::Call { func, .. } => ROUNDED.contains(&func.name),
                ExprKind::Binary { op, .. } => matches!(op, BinaryOp::Pow | BinaryOp::Atan2),
                ExprKind::Aggregate { op, .. } => matches!(op, AggregateOp::Stddev | AggregateOp::Stdvar),
                _ => false,
            };
            if here {
                return true;
            }
            todo.extend(node.children());
        }
        false
    };
    match &node.kind {
        ExprKind::Call { func, args } => {
            let magnifying =
                ["sin", "cos", "tan", "stddev_over_time", "stdvar_over_time", "deriv", "predict_linear"];
            magnifying.contains(&func.name) && args.iter().any(rounds)
        }
        ExprKind::Aggregate {
            op: AggregateOp::Stddev | AggregateOp::Stdvar | AggregateOp::LimitRatio,
            expr,
            ..
        } => rounds(expr),
        ExprKind::Binary { op: BinaryOp::Mod | BinaryOp::Sub, lhs, rhs, .. } => rounds(lhs) || rounds(rhs),
        _ => false,
    }
}

/// Queries before this time (milliseconds) may reach back beyond the epoch.
const LONGEST_REACH: i64 = 3_600_000 + 600_000;

/// Functions whose last bit is a matter of the library.
const ROUNDED: [&str; 20] = [
    "sin",
    "cos",
    "tan",
    "asin",
    "acos",
    "atan",
    "sinh",
    "cosh",
    "tanh",
    "asinh",
    "acosh",
    "atanh",
    "exp",
    "ln",
    "log2",
    "log10",
    "histogram_quantile",
    "histogram_quantiles",
    "histogram_stddev",
    "histogram_stdvar",
];

/// Whether counts may become negative below.
fn negates(expr: &Expr) -> bool {
    let here = match &expr.kind {
        ExprKind::Unary { negative, .. } => *negative,
        ExprKind::Binary { op, .. } => matches!(op, BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div),
        _ => false,
    };
    here || expr.children().into_iter().any(negates)
}

/// `predict_linear` or a function with a changing argument over `x[5m:] @ t`.
fn of_time_over_fixed_subquery(expr: &Expr) -> bool {
    let ExprKind::Call { func, args } = &expr.kind else { return false };
    let fixed = |e: &Expr| matches!(&e.unwrapped().kind, ExprKind::Subquery { modifiers, .. } if modifiers.at.is_some());
    args.iter().any(fixed) && (func.name == "predict_linear" || args.len() > 1)
}

fn modifiers(expr: &Expr) -> Option<&Modifiers> {
    match &expr.kind {
        ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. } => Some(&selector.modifiers),
        ExprKind::Subquery { modifiers, .. } => Some(modifiers),
        _ => None,
    }
}
