//! Types: that every operand is what its operator takes.

use super::{Failure, Fallible};
use crate::ast::{AggregateOp, BinaryOp, Cardinality, Expr, ExprKind, PosRange, ValueType, VectorSelector};
use crate::functions::Function;

/// Checks a tree and finishes it: matching is kept only between vectors, set operators match many to many.
pub(super) fn check(expr: &mut Expr, text: &str) -> Fallible<ValueType> {
    let pos = expr.pos;
    match &mut expr.kind {
        ExprKind::Number { .. } => Ok(ValueType::Scalar),
        ExprKind::String(_) => Ok(ValueType::String),
        ExprKind::Vector(selector) => {
            check_selector(selector, pos)?;
            Ok(ValueType::Vector)
        }
        ExprKind::Matrix { selector, selector_pos, .. } => {
            check_selector(selector, *selector_pos)?;
            Ok(ValueType::Matrix)
        }
        ExprKind::Subquery { expr, .. } => {
            let found = check(expr, text)?;
            if found != ValueType::Vector {
                let message =
                    format!("subquery is only allowed on instant vector, got {} instead", found.short());
                return Err((expr.pos, message));
            }
            Ok(ValueType::Matrix)
        }
        ExprKind::Paren(inner) => check(inner, text),
        ExprKind::Unary { expr, .. } => match check(expr, text)? {
            t @ (ValueType::Scalar | ValueType::Vector) => Ok(t),
            t => Err((
                pos,
                format!(
                    "unary expression only allowed on expressions of type scalar or instant vector, got {:?}",
                    t.documented()
                ),
            )),
        },
        ExprKind::Aggregate { op, expr, param, .. } => {
            expect(expr, ValueType::Vector, "aggregation expression", text)?;
            if let Some(param) = param {
                let wanted =
                    if *op == AggregateOp::CountValues { ValueType::String } else { ValueType::Scalar };
                expect(param, wanted, "aggregation parameter", text)?;
            }
            Ok(ValueType::Vector)
        }
        ExprKind::Call { func, args } => check_call(func, args, pos, text),
        ExprKind::Binary { .. } => check_binary(expr, text),
    }
}

fn expect(expr: &mut Expr, wanted: ValueType, context: &str, text: &str) -> Fallible<()> {
    let found = check(expr, text)?;
    if found == wanted {
        return Ok(());
    }
    let message = format!("expected type {} in {context}, got {}", wanted.documented(), found.documented());
    Err((expr.pos, message))
}

/// Where the next token begins: behind blanks and comments.
fn next_token(text: &str, from: usize) -> usize {
    let mut rest = text.get(from..).unwrap_or("").trim_start();
    while rest.starts_with('#') {
        rest = rest.split_once('\n').map_or("", |(_, after)| after).trim_start();
    }
    text.len() - rest.len()
}

fn check_selector(selector: &VectorSelector, pos: PosRange) -> Fallible<()> {
    if let Some(name) = &selector.name {
        // the last matcher is the name itself
        let others = selector.matchers.iter().rev().skip(1);
        let second = others.filter(|m| m.name == model::labels::METRIC_NAME).map(|m| &m.value).next();
        if let Some(second) = second {
            return Err((pos, format!("metric name must not be set twice: {name:?} or {second:?}")));
        }
    }
    if selector.matchers.iter().all(model::Matcher::matches_empty) {
        return Err((pos, "vector selector must contain at least one non-empty matcher".to_owned()));
    }
    Ok(())
}

fn check_call(func: &'static Function, args: &mut [Expr], pos: PosRange, text: &str) -> Fallible<ValueType> {
    let (declared, given) = (func.args.len(), args.len());
    let wrong = |bound: &str, n: usize| -> Failure {
        (pos, format!("expected {bound}{n} argument(s) in call to {:?}, got {given}", func.name))
    };
    if func.variadic == 0 {
        if given != declared {
            return Err(wrong("", declared));
        }
    } else {
        let required = declared - 1;
        if given < required {
            return Err(wrong("at least ", required));
        }
        let most = required + func.variadic.max(0) as usize;
        if func.variadic > 0 && given > most {
            return Err(wrong("at most ", most));
        }
    }
    let context = format!("call to function {:?}", func.name);
    for (i, arg) in args.iter_mut().enumerate() {
        if func.name == "info" && i == 1 {
            // label selectors only, which may match everything
            if !matches!(&arg.kind, ExprKind::Vector(s) if s.modifiers == Default::default()) {
                let message = "expected label selectors as the second argument to \"info\" function";
                return Err((arg.pos, message.to_owned()));
            }
            if matches!(&arg.kind, ExprKind::Vector(s) if s.name.is_some()) {
                let message = "expected label selectors only, got vector selector instead";
                return Err((arg.pos, message.to_owned()));
            }
            continue;
        }
        expect(arg, func.args[i.min(declared - 1)], &context, text)?;
    }
    Ok(func.returns)
}

fn check_binary(expr: &mut Expr, text: &str) -> Fallible<ValueType> {
    let pos = expr.pos;
    let ExprKind::Binary { op, lhs, rhs, matching, return_bool } = &mut expr.kind else {
        return Ok(ValueType::None);
    };
    let (lt, rt) = (check(lhs, text)?, check(rhs, text)?);
    let op_pos = PosRange { start: next_token(text, lhs.pos.end), end: rhs.pos.start };
    let set = matches!(op, BinaryOp::And | BinaryOp::Or | BinaryOp::Unless);
    if *return_bool && !op.is_comparison() {
        return Err((op_pos, "bool modifier can only be used on comparison operators".to_owned()));
    }
    let scalars = lt == ValueType::Scalar && rt == ValueType::Scalar;
    if op.is_comparison() && !*return_bool && scalars {
        return Err((op_pos, "comparisons between scalars must use BOOL modifier".to_owned()));
    }
    if let Some(m) = matching {
        if set && m.card == Cardinality::OneToOne {
            m.card = Cardinality::ManyToMany;
        }
        if let Some(both) = m.labels.iter().find(|l| m.on && m.include.contains(l)) {
            return Err((op_pos, format!("label {both:?} must not occur in ON and GROUP clause at once")));
        }
    }
    for (operand, found) in [(&*lhs, lt), (&*rhs, rt)] {
        if !matches!(found, ValueType::Scalar | ValueType::Vector) {
            let message = "binary expression must contain only scalar and instant vector types";
            return Err((operand.pos, message.to_owned()));
        }
    }
    let vectors = lt == ValueType::Vector && rt == ValueType::Vector;
    if let Some(m) = matching {
        let fills = m.fill_left.is_some() || m.fill_right.is_some();
        if !vectors {
            if !m.labels.is_empty() {
                return Err((pos, "vector matching only allowed between instant vectors".to_owned()));
            }
            if fills {
                let message = "filling in missing series only allowed between instant vectors";
                return Err((pos, message.to_owned()));
            }
            *matching = None;
        } else if set {
            if m.card != Cardinality::ManyToMany {
                return Err((pos, format!("no grouping allowed for {:?} operation", op.symbol())));
            }
            if fills {
                return Err((pos, "filling in missing series not allowed for set operators".to_owned()));
            }
        }
    }
    if set && !vectors {
        let message = format!("set operator {:?} not allowed in binary scalar expression", op.symbol());
        return Err((pos, message));
    }
    Ok(if scalars { ValueType::Scalar } else { ValueType::Vector })
}
