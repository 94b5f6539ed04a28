//! Differences that are decided: where a later Prometheus than the one compared with answers otherwise, or where an answer has no
//! meaning. Each has its reason; a run counts them and shows how many there were.

use crate::answer::{Answer, Data};
use crate::query::{Query, When};
use promql::ast::{AggregateOp, At, BinaryOp, Expr, ExprKind, Modifiers};
use promql::{Features, parse_with};

/// Why this query's answers may differ, where that is decided.
pub(crate) fn reason(query: &Query, expected: &Answer) -> Option<&'static str> {
    if matches!(expected, Answer::Failed { text, .. } if text.contains("runtime error: ")) {
        return Some("a fault in Prometheus: it answers with a runtime error");
    }
    let Ok(expr) = parse_with(&query.text, &Features::all()) else {
        return offset_of_nan(&query.text).then_some("an offset of NaN: no meaning");
    };
    let mut todo = vec![(&expr, false)];
    while let Some((node, in_info)) = todo.pop() {
        // also with a selector's own `offset`: by a minute both answer alike, by five Prometheus finds no info series
        if in_info && modifiers(node).is_some_and(|m| m.at.is_some() || m.offset.is_some()) {
            return Some("info() at the time of `@` and of `offset`: fixed in Prometheus after 3.14");
        }
        if of_time_over_fixed_subquery(node) {
            return Some(
                "a function of the time over a subquery fixed with `@`: Prometheus finds no samples",
            );
        }
        let mut below = in_info;
        if let ExprKind::Call { func, args } = &node.kind {
            below |= func.name == "info";
            if let Some(reason) = of_call(query, node, func.name, args, expected) {
                return Some(reason);
            }
        }
        // from 1970 on the times are the same
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

/// The reason that lies in a function.
fn of_call(query: &Query, node: &Expr, func: &str, args: &[Expr], expected: &Answer) -> Option<&'static str> {
    let is_subquery = |arg: &Expr| matches!(arg.unwrapped().kind, ExprKind::Subquery { .. });
    match func {
        // only what drops a name has one that is to be dropped
        "info" if query.delayed_names && drops_name(&args[0]) => {
            Some("info() keeps a name that is to be dropped at the end: fixed in Prometheus after 3.14")
        }
        // a sample of a selector has its own time, and none lies before the epoch
        _ if func.starts_with("ts_of_") && early(query) && args.iter().any(is_subquery) => {
            Some("the time of a sample computed before the epoch: Prometheus says 0")
        }
        // the only metric with numbers and histograms in series that can become the same
        "label_join" | "label_replace" if node.to_string().contains("mixed") => Some(
            "label_join() or label_replace() makes a number and a histogram the same series: Prometheus goes on with both",
        ),
        "timestamp" | "start_timestamp" => {
            let both = |m: &Modifiers| m.at.is_some() && m.offset.is_some();
            args.iter().any(|a| modifiers(a.unwrapped()).is_some_and(both)).then_some(
                "timestamp() of a selector with `@` and `offset`: Prometheus reads one time and looks at another",
            )
        }
        "histogram_quantiles" if matches!(&args[1].unwrapped().kind, ExprKind::String(s) if s.is_empty()) => {
            Some(
                "histogram_quantiles() with a label without a name: Prometheus panics, or makes such a label",
            )
        }
        // a rank among counts of both signs is not defined
        "histogram_quantile" | "histogram_quantiles"
            if node.to_string().contains("nh_") && args.iter().any(negates) =>
        {
            Some("quantiles of histograms with NaN observations and negative counts: no meaning")
        }
        "sort_by_label" | "sort_by_label_desc" if lacks_a_label(expected, args) => Some(
            "sort_by_label() over series that lack the label: no order, it depends on the way of sorting",
        ),
        _ => None,
    }
}

/// Whether the text offsets by NaN, which no parser of ours takes.
fn offset_of_nan(text: &str) -> bool {
    let behind = text.split("offset").skip(1);
    behind.map(|rest| rest.split(['{', '}', '[', ']', ',', '@']).next().unwrap_or(rest)).any(|length| {
        length.to_ascii_lowercase().split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == "nan")
    })
}

/// Whether an expression is more than a selector, so that its series may be without their name.
fn drops_name(expr: &Expr) -> bool {
    !matches!(expr.unwrapped().kind, ExprKind::Vector(_))
}

/// Whether windows of the query may reach back beyond the epoch.
fn early(query: &Query) -> bool {
    let first = match query.when {
        When::At(t) => t,
        When::Range { start, .. } => start,
    };
    first < LONGEST_REACH
}

/// Whether a series of the answer lacks one of the labels that it is sorted by.
fn lacks_a_label(answer: &Answer, args: &[Expr]) -> bool {
    let Answer::Value { data: Data::Vector(series), .. } = answer else { return false };
    let mut names = args[1..].iter().filter_map(|arg| match &arg.unwrapped().kind {
        ExprKind::String(name) => Some(name),
        _ => None,
    });
    names.any(|name| series.iter().any(|(labels, ..)| !labels.has(name)))
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
        ExprKind::Aggregate { op: AggregateOp::Stddev | AggregateOp::Stdvar, expr, .. } => rounds(expr),
        // which series stay is decided by a hash of labels, of which such a number is one
        ExprKind::Aggregate { op: AggregateOp::LimitRatio, expr, .. } => rounds(expr) && counts_values(expr),
        // what is left of a large number may be all rounding, whichever side was rounded
        ExprKind::Binary { op: BinaryOp::Mod, lhs, rhs, .. } => rounds(lhs) || rounds(rhs),
        // nearly all cancels only where both sides are nearly the same, which then were both rounded
        ExprKind::Binary { op: BinaryOp::Sub, lhs, rhs, .. } => rounds(lhs) && rounds(rhs),
        _ => false,
    }
}

/// Whether numbers become labels somewhere below.
fn counts_values(expr: &Expr) -> bool {
    let here = matches!(expr.kind, ExprKind::Aggregate { op: AggregateOp::CountValues, .. });
    here || expr.children().into_iter().any(counts_values)
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
