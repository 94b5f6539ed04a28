//! A query over several lines, where one line would be too long: the form of `format_query`.

use crate::ast::{Expr, ExprKind};

/// Longest line, in bytes, that is left whole.
const WIDTH: usize = 100;

/// The canonical text of a query; what does not fit a line is split at its operators and arguments.
pub fn pretty(expr: &Expr) -> String {
    let mut out = String::new();
    write(&mut out, expr, 0);
    out
}

fn indent(out: &mut String, level: usize) {
    out.extend(std::iter::repeat_n("  ", level));
}

fn write(out: &mut String, expr: &Expr, level: usize) {
    let whole = expr.to_string();
    if whole.len() <= WIDTH {
        // a subquery that fits keeps the place where it begins, as in Prometheus
        if !matches!(expr.kind, ExprKind::Subquery { .. }) {
            indent(out, level);
        }
        out.push_str(&whole);
        return;
    }
    match &expr.kind {
        ExprKind::Aggregate { op, expr: inner, param, grouping, without } => {
            indent(out, level);
            out.push_str(op.name());
            out.push_str(&crate::printer::grouping_clause(grouping, *without));
            enclosed(out, param.as_deref().into_iter().chain([&**inner]), level);
        }
        ExprKind::Call { func, args } if !args.is_empty() => {
            indent(out, level);
            out.push_str(func.name);
            enclosed(out, args.iter(), level);
        }
        ExprKind::Paren(inner) => {
            indent(out, level);
            enclosed(out, [&**inner].into_iter(), level);
        }
        ExprKind::Binary { op, lhs, rhs, matching, return_bool } => {
            write(out, lhs, level + 1);
            out.push('\n');
            indent(out, level);
            out.push_str(op.symbol());
            out.push_str(if *return_bool { " bool" } else { "" });
            if let Some(matching) = matching {
                out.push_str(&matching.to_string());
            }
            out.push('\n');
            write(out, rhs, level + 1);
        }
        ExprKind::Unary { negative, expr: inner } => {
            indent(out, level);
            out.push(if *negative { '-' } else { '+' });
            let mut operand = String::new();
            write(&mut operand, inner, level);
            out.push_str(operand.trim());
        }
        ExprKind::Subquery { expr: inner, range, step, modifiers } => {
            write(out, inner, level);
            out.push_str(&crate::printer::subquery_suffix(range, step.as_ref(), modifiers));
        }
        _ => {
            indent(out, level);
            out.push_str(&whole);
        }
    }
}

/// `(`, each expression on a line of its own, `)`.
fn enclosed<'a>(out: &mut String, inner: impl Iterator<Item = &'a Expr>, level: usize) {
    out.push('(');
    for (i, expr) in inner.enumerate() {
        out.push_str(if i > 0 { ",\n" } else { "\n" });
        write(out, expr, level + 1);
    }
    out.push('\n');
    indent(out, level);
    out.push(')');
}
