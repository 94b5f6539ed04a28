//! The syntax tree as JSON, in the form of the HTTP API's `parse_query`.

use crate::ast::{
    At, Boundary, Cardinality, DurationExpr, DurationExprKind, Expr, ExprKind, Modifiers, Span, ValueType,
    VectorMatching, VectorSelector,
};
use crate::functions::Function;
use serde_json::{Value, json};

/// The tree as JSON. Lengths and times are milliseconds; a length that is an expression is its text.
pub fn to_json(expr: &Expr) -> Value {
    match &expr.kind {
        ExprKind::Number { value, .. } => {
            json!({"type": "numberLiteral", "val": model::float::format_plain(*value)})
        }
        ExprKind::String(text) => {
            json!({"type": "stringLiteral", "val": crate::parser::readable(text.clone())})
        }
        ExprKind::Vector(selector) => with_selector(json!({"type": "vectorSelector"}), selector),
        ExprKind::Matrix { selector, range, .. } => {
            let mut node = json!({"type": "matrixSelector"});
            with_span(&mut node, "range", Some(range));
            with_selector(node, selector)
        }
        ExprKind::Subquery { expr, range, step, modifiers } => {
            let mut node = with(json!({"type": "subquery"}), [("expr", to_json(expr))]);
            with_span(&mut node, "range", Some(range));
            with_span(&mut node, "step", step.as_ref());
            with_modifiers(node, modifiers)
        }
        ExprKind::Call { func, args } => {
            let args: Vec<Value> = args.iter().map(to_json).collect();
            with(json!({"type": "call", "func": function(func)}), [("args", args.into())])
        }
        ExprKind::Aggregate { op, expr, param, grouping, without } => with(
            json!({"type": "aggregation", "op": op.name(), "grouping": grouping, "without": without}),
            [("expr", to_json(expr)), ("param", param.as_deref().map_or(Value::Null, to_json))],
        ),
        ExprKind::Binary { op, lhs, rhs, matching: m, return_bool } => with(
            json!({
                "type": "binaryExpr", "op": op.symbol(), "matching": m.as_ref().map(matching), "bool": return_bool,
            }),
            [("lhs", to_json(lhs)), ("rhs", to_json(rhs))],
        ),
        ExprKind::Unary { negative, expr } => {
            let node = json!({"type": "unaryExpr", "op": if *negative { "-" } else { "+" }});
            with(node, [("expr", to_json(expr))])
        }
        ExprKind::Paren(inner) => with(json!({"type": "parenExpr"}), [("expr", to_json(inner))]),
    }
}

/// A node with the nodes below it. They are moved: the macro would copy them, once for each level above.
fn with<const N: usize>(mut node: Value, below: [(&str, Value); N]) -> Value {
    for (name, value) in below {
        node[name] = value;
    }
    node
}

/// A length under its name, in milliseconds; one that is an expression under the name with `Expr`.
fn with_span(node: &mut Value, name: &str, span: Option<&Span>) {
    let (ms, expr) = match span {
        Some(Span::Millis(ms)) => (*ms, Value::Null),
        Some(Span::Expr(expr)) => (0, duration(expr, false)),
        None => (0, Value::Null),
    };
    node[name] = json!(ms);
    node[format!("{name}Expr")] = expr;
}

fn duration(expr: &DurationExpr, wrapped: bool) -> Value {
    let node = |op: &str, lhs: Value, rhs: Value| {
        let node = json!({"type": "durationExpr", "op": op, "wrapped": wrapped});
        with(node, [("lhs", lhs), ("rhs", rhs)])
    };
    let part = |expr: &DurationExpr| duration(expr, false);
    match &expr.kind {
        DurationExprKind::Number { value, is_duration } => json!({
            "type": "numberLiteral", "val": model::float::format_plain(*value), "duration": is_duration,
        }),
        DurationExprKind::Step => node("step", Value::Null, Value::Null),
        DurationExprKind::Range => node("range", Value::Null, Value::Null),
        DurationExprKind::Unary { negative: true, expr } => node("-", Value::Null, part(expr)),
        // a plus says nothing, and Prometheus has no node for it
        DurationExprKind::Unary { negative: false, expr } => duration(expr, wrapped),
        DurationExprKind::Binary { op, lhs, rhs } => node(op.symbol(), part(lhs), part(rhs)),
        DurationExprKind::Min(a, b) => node("min_of", part(a), part(b)),
        DurationExprKind::Max(a, b) => node("max_of", part(a), part(b)),
        DurationExprKind::Paren(inner) => duration(inner, true),
    }
}

/// A number as Go writes it: whole ones without a point.
fn plain(v: f64) -> Value {
    if v.fract() == 0.0 && v.abs() < 1e15 { json!(v as i64) } else { json!(v) }
}

fn with_selector(mut node: Value, selector: &VectorSelector) -> Value {
    let matchers = selector.matchers.iter();
    let matchers: Vec<Value> =
        matchers.map(|m| json!({"name": m.name, "value": m.value, "type": m.op.to_string()})).collect();
    node["name"] = json!(selector.name.as_deref().unwrap_or(""));
    node["matchers"] = matchers.into();
    node["anchored"] = json!(selector.boundary == Boundary::Anchored);
    node["smoothed"] = json!(selector.boundary == Boundary::Smoothed);
    with_modifiers(node, &selector.modifiers)
}

fn with_modifiers(mut node: Value, modifiers: &Modifiers) -> Value {
    with_span(&mut node, "offset", modifiers.offset.as_ref());
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
        "fillValues": {"lhs": matching.fill_left.map(plain), "rhs": matching.fill_right.map(plain)},
    })
}
