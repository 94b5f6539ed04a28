//! The syntax tree as JSON, in the form of the HTTP API's `parse_query`.

use crate::ast::{
    At, Boundary, Cardinality, Expr, ExprKind, Modifiers, Span, ValueType, VectorMatching, VectorSelector,
};
use crate::functions::Function;
use serde_json::{Value, json};

/// The tree as JSON. Lengths and times are milliseconds; a length that is an expression is its text.
pub fn to_json(expr: &Expr) -> Value {
    match &expr.kind {
        ExprKind::Number { value, .. } => {
            json!({"type": "numberLiteral", "val": model::float::format_plain(*value)})
        }
        ExprKind::String(text) => json!({"type": "stringLiteral", "val": text}),
        ExprKind::Vector(selector) => with_selector(json!({"type": "vectorSelector"}), selector),
        ExprKind::Matrix { selector, range, .. } => {
            with_selector(json!({"type": "matrixSelector", "range": span(range)}), selector)
        }
        ExprKind::Subquery { expr, range, step, modifiers } => {
            let step = step.as_ref().map_or(json!(0), span);
            let node = json!({"type": "subquery", "expr": to_json(expr), "range": span(range), "step": step});
            with_modifiers(node, modifiers)
        }
        ExprKind::Call { func, args } => {
            let args: Vec<Value> = args.iter().map(to_json).collect();
            json!({"type": "call", "func": function(func), "args": args})
        }
        ExprKind::Aggregate { op, expr, param, grouping, without } => json!({
            "type": "aggregation", "op": op.name(), "expr": to_json(expr),
            "param": param.as_deref().map(to_json), "grouping": grouping, "without": without,
        }),
        ExprKind::Binary { op, lhs, rhs, matching: m, return_bool } => json!({
            "type": "binaryExpr", "op": op.symbol(), "lhs": to_json(lhs), "rhs": to_json(rhs),
            "matching": m.as_ref().map(matching), "bool": return_bool,
        }),
        ExprKind::Unary { negative, expr } => {
            json!({"type": "unaryExpr", "op": if *negative { "-" } else { "+" }, "expr": to_json(expr)})
        }
        ExprKind::Paren(inner) => json!({"type": "parenExpr", "expr": to_json(inner)}),
    }
}

fn span(span: &Span) -> Value {
    match span {
        Span::Millis(ms) => json!(ms),
        Span::Expr(expr) => json!(expr.to_string()),
    }
}

fn with_selector(mut node: Value, selector: &VectorSelector) -> Value {
    let matchers = selector.matchers.iter();
    let matchers: Vec<Value> =
        matchers.map(|m| json!({"name": m.name, "value": m.value, "type": m.op.to_string()})).collect();
    node["name"] = json!(selector.name.as_deref().unwrap_or(""));
    node["matchers"] = json!(matchers);
    match selector.boundary {
        Boundary::Inside => {}
        Boundary::Anchored => node["anchored"] = json!(true),
        Boundary::Smoothed => node["smoothed"] = json!(true),
    }
    with_modifiers(node, &selector.modifiers)
}

fn with_modifiers(mut node: Value, modifiers: &Modifiers) -> Value {
    node["offset"] = modifiers.offset.as_ref().map_or(json!(0), span);
    let (timestamp, bound) = match modifiers.at {
        Some(At::Timestamp(ms)) => (json!(ms), Value::Null),
        Some(At::Start) => (Value::Null, json!("start")),
        Some(At::End) => (Value::Null, json!("end")),
        None => (Value::Null, Value::Null),
    };
    node["timestamp"] = timestamp;
    node["startOrEnd"] = bound;
    node
}

fn function(func: &Function) -> Value {
    let args: Vec<&str> = func.args.iter().copied().map(ValueType::short).collect();
    json!({"name": func.name, "argTypes": args, "variadic": func.variadic, "returnType": func.returns.short()})
}

fn matching(matching: &VectorMatching) -> Value {
    let card = match matching.card {
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    };
    json!({
        "card": card, "labels": matching.labels, "on": matching.on, "include": matching.include,
        "fillValues": {"lhs": matching.fill_left, "rhs": matching.fill_right},
    })
}
