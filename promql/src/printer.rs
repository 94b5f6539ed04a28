//! The canonical text of a query.

use crate::ast::{
    At, Boundary, Cardinality, DurationExpr, DurationExprKind, Expr, ExprKind, Modifiers, Span,
    VectorMatching, VectorSelector,
};
use crate::parser::quote;
use model::float::{format_general, format_plain};
use model::labels::{METRIC_NAME, is_legacy_label_name, is_legacy_metric_name};
use std::fmt::{self, Display, Formatter, Write as _};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number { value, is_duration } => number(f, *value, *is_duration),
            ExprKind::String(text) => f.write_str(&quote(text)),
            ExprKind::Vector(selector) => {
                name_and_matchers(f, selector)?;
                modifiers(f, selector.boundary, &selector.modifiers)
            }
            ExprKind::Matrix { selector, range, .. } => {
                name_and_matchers(f, selector)?;
                write!(f, "[{range}]")?;
                boundary(f, selector.boundary)?;
                modifiers(f, Boundary::Inside, &selector.modifiers)
            }
            ExprKind::Subquery { expr, range, step, modifiers: m } => {
                write!(f, "{expr}{}", subquery_suffix(range, step.as_ref(), m))
            }
            ExprKind::Call { func, args } => {
                write!(f, "{}(", func.name)?;
                for (i, arg) in args.iter().enumerate() {
                    write!(f, "{}{arg}", if i > 0 { ", " } else { "" })?;
                }
                f.write_char(')')
            }
            ExprKind::Aggregate { op, expr, param, grouping, without } => {
                write!(f, "{}{}", op.name(), grouping_clause(grouping, *without))?;
                match param {
                    Some(param) => write!(f, "({param}, {expr})"),
                    None => write!(f, "({expr})"),
                }
            }
            ExprKind::Binary { op, lhs, rhs, matching, return_bool } => {
                write!(f, "{lhs} {}{}", op.symbol(), if *return_bool { " bool" } else { "" })?;
                if let Some(matching) = matching {
                    write!(f, "{matching}")?;
                }
                write!(f, " {rhs}")
            }
            ExprKind::Unary { negative, expr } => write!(f, "{}{expr}", if *negative { '-' } else { '+' }),
            ExprKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

fn number(f: &mut Formatter<'_>, value: f64, is_duration: bool) -> fmt::Result {
    if is_duration {
        return f.write_str(&model::duration::format_ms((value * 1e9) as i64 / 1_000_000));
    }
    f.write_str(&format_plain(value))
}

fn label_list(labels: &[String]) -> String {
    let shown: Vec<String> =
        labels.iter().map(|l| if is_legacy_label_name(l) { l.clone() } else { quote(l) }).collect();
    shown.join(", ")
}

fn name_and_matchers(f: &mut Formatter<'_>, selector: &VectorSelector) -> fmt::Result {
    let mut parts: Vec<String> = selector
        .matchers
        .iter()
        .filter(|m| selector.name.is_none() || m.name != METRIC_NAME)
        .map(ToString::to_string)
        .collect();
    parts.sort();
    if let Some(name) = &selector.name {
        if is_legacy_metric_name(name) {
            f.write_str(name)?;
        } else {
            parts.insert(0, quote(name));
        }
    }
    // `info(x, {})` has nothing to say and must still be there to be read again (the original leaves it out)
    let nothing = parts.is_empty() && selector.name.is_none();
    if parts.is_empty() && !nothing { Ok(()) } else { write!(f, "{{{}}}", parts.join(",")) }
}

/// ` by (a, b) `, or nothing where all is one group.
pub(crate) fn grouping_clause(grouping: &[String], without: bool) -> String {
    if !without && grouping.is_empty() {
        return String::new();
    }
    format!(" {} ({}) ", if without { "without" } else { "by" }, label_list(grouping))
}

/// What follows a subquery's expression.
pub(crate) fn subquery_suffix(range: &Span, step: Option<&Span>, m: &Modifiers) -> String {
    let mut out = format!("[{range}:");
    if let Some(step) = step {
        out += &step.to_string();
    }
    out.push(']');
    // writing to a string cannot fail
    let _ = modifiers(&mut out, Boundary::Inside, m);
    out
}

fn boundary(f: &mut impl fmt::Write, boundary: Boundary) -> fmt::Result {
    match boundary {
        Boundary::Inside => Ok(()),
        Boundary::Anchored => f.write_str(" anchored"),
        Boundary::Smoothed => f.write_str(" smoothed"),
    }
}

fn modifiers(f: &mut impl fmt::Write, around: Boundary, modifiers: &Modifiers) -> fmt::Result {
    match modifiers.at {
        Some(At::Timestamp(ms)) => write!(f, " @ {:.3}", ms as f64 / 1000.0)?,
        Some(At::Start) => f.write_str(" @ start()")?,
        Some(At::End) => f.write_str(" @ end()")?,
        None => {}
    }
    boundary(f, around)?;
    match &modifiers.offset {
        // an operator would not be taken for a part of the length without its parentheses
        Some(Span::Expr(expr)) if matches!(expr.kind, DurationExprKind::Binary { .. }) => {
            write!(f, " offset ({expr})")
        }
        Some(Span::Millis(0)) | None => Ok(()),
        Some(offset) => write!(f, " offset {offset}"),
    }
}

impl Display for VectorMatching {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let grouped = matches!(self.card, Cardinality::ManyToOne | Cardinality::OneToMany);
        if self.on || grouped || !self.labels.is_empty() {
            write!(f, " {} ({})", if self.on { "on" } else { "ignoring" }, label_list(&self.labels))?;
        }
        match self.card {
            Cardinality::ManyToOne => write!(f, " group_left ({})", label_list(&self.include))?,
            Cardinality::OneToMany => write!(f, " group_right ({})", label_list(&self.include))?,
            Cardinality::OneToOne | Cardinality::ManyToMany => {}
        }
        // NaN is never the same
        match (self.fill_left, self.fill_right) {
            (Some(l), Some(r)) if l == r => write!(f, " fill ({})", format_general(l)),
            (l, r) => {
                if let Some(l) = l {
                    write!(f, " fill_left ({})", format_general(l))?;
                }
                match r {
                    Some(r) => write!(f, " fill_right ({})", format_general(r)),
                    None => Ok(()),
                }
            }
        }
    }
}

impl Display for Span {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Span::Millis(ms) => f.write_str(&model::duration::format_ms(*ms)),
            Span::Expr(expr) => write!(f, "{expr}"),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            DurationExprKind::Number { value, is_duration } => number(f, *value, *is_duration),
            DurationExprKind::Step => f.write_str("step()"),
            DurationExprKind::Range => f.write_str("range()"),
            DurationExprKind::Unary { negative, expr } => {
                // a plus says nothing
                write!(f, "{}{expr}", if *negative { "-" } else { "" })
            }
            DurationExprKind::Binary { op, lhs, rhs } => write!(f, "{lhs} {} {rhs}", op.symbol()),
            DurationExprKind::Min(a, b) => write!(f, "min_of({a}, {b})"),
            DurationExprKind::Max(a, b) => write!(f, "max_of({a}, {b})"),
            DurationExprKind::Paren(inner) => write!(f, "({inner})"),
        }
    }
}
