//! Functions of templates: Go's own, and those that Prometheus adds.

use super::Context;
use super::format::{printf, significant};
use super::human;
use super::value::Value;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Names of all functions.
const NAMES: [&str; 49] = [
    "and",
    "args",
    "call",
    "eq",
    "externalURL",
    "first",
    "ge",
    "graphLink",
    "gt",
    "html",
    "humanize",
    "humanize1024",
    "humanizeDuration",
    "humanizePercentage",
    "humanizeTimestamp",
    "index",
    "js",
    "label",
    "le",
    "len",
    "lt",
    "match",
    "ne",
    "not",
    "now",
    "or",
    "parseDuration",
    "pathPrefix",
    "print",
    "printf",
    "println",
    "query",
    "reReplaceAll",
    "safeHtml",
    "slice",
    "sortByLabel",
    "stripDomain",
    "stripPort",
    "strvalue",
    "tableLink",
    "title",
    "tmpl",
    "toDuration",
    "toLower",
    "toTime",
    "toUpper",
    "urlQueryEscape",
    "urlquery",
    "value",
];

/// Whether there is such a function.
pub(super) fn is_known(name: &str) -> bool {
    NAMES.contains(&name)
}

/// What went wrong in a function.
type Called = Result<Value, String>;

/// Calls a function. `and`, `or` and `tmpl` are not called so: they do not always evaluate what they are given.
pub(super) fn call(name: &str, args: &[Value], context: &Context<'_>) -> Called {
    let wants = |n: usize| -> Result<(), String> {
        if args.len() == n {
            return Ok(());
        }
        Err(format!("wrong number of args for {name}: want {n} got {}", args.len()))
    };
    match name {
        "eq" | "ne" | "lt" | "le" | "gt" | "ge" => compare(name, args),
        "print" => Ok(Value::Text(print(args))),
        "println" => {
            let texts: Vec<String> = args.iter().map(Value::print).collect();
            Ok(Value::Text(texts.join(" ") + "\n"))
        }
        "printf" => match args.split_first() {
            Some((format, rest)) => Ok(Value::Text(printf(text(format)?, rest))),
            None => Err("wrong number of args for printf: want at least 1 got 0".to_owned()),
        },
        "html" => Ok(Value::Text(html(&print(args)))),
        "js" => Ok(Value::Text(js(&print(args)))),
        "urlquery" => Ok(Value::Text(url_query(&print(args)))),
        "index" => index(args),
        "slice" => slice(args),
        "call" => Err("call of a value that is no function".to_owned()),
        "args" => {
            let numbered = args.iter().enumerate().map(|(i, v)| (format!("arg{i}"), v.clone()));
            Ok(Value::Map(numbered.collect()))
        }
        "now" => Ok(Value::Float(context.now_ms as f64 / 1000.0)),
        "externalURL" => Ok(Value::text(context.external_url)),
        "pathPrefix" => Ok(Value::text(path_of(context.external_url))),
        "sortByLabel" | "label" | "match" => {
            wants(2)?;
            two(name, &args[0], &args[1])
        }
        "reReplaceAll" => {
            wants(3)?;
            let pattern = regex::Regex::new(text(&args[0])?).map_err(|e| e.to_string())?;
            Ok(Value::Text(pattern.replace_all(text(&args[2])?, text(&args[1])?).into_owned()))
        }
        _ => {
            wants(1)?;
            one(name, &args[0], context)
        }
    }
}

fn one(name: &str, arg: &Value, context: &Context<'_>) -> Called {
    Ok(match name {
        "not" => Value::Bool(!arg.is_true()),
        "len" => Value::Int(length(arg)? as i64),
        "query" => Value::List((context.query)(text(arg)?)?),
        "first" => match arg {
            Value::List(items) => {
                items.first().cloned().ok_or("first() called on vector with no elements")?
            }
            other => return wrong_type("list of samples", other),
        },
        "value" => field(arg, "Value")?,
        "strvalue" => label(arg, "__value__")?,
        "safeHtml" => Value::text(text(arg)?),
        "title" => Value::Text(title(text(arg)?)),
        "toUpper" => Value::Text(text(arg)?.to_uppercase()),
        "toLower" => Value::Text(text(arg)?.to_lowercase()),
        "graphLink" | "tableLink" => {
            let tab = u8::from(name == "tableLink");
            Value::Text(format!("/graph?g0.expr={}&g0.tab={tab}", url_query(text(arg)?)))
        }
        "humanize" => Value::Text(human::humanize(number(arg)?)),
        "humanize1024" => Value::Text(human::humanize_1024(number(arg)?)),
        "humanizeDuration" => Value::Text(human::duration(number(arg)?)),
        "humanizePercentage" => Value::Text(significant(number(arg)? * 100.0, Some(4)) + "%"),
        "humanizeTimestamp" => {
            let v = number(arg)?;
            if v.is_nan() || v.is_infinite() {
                Value::Text(significant(v, Some(4)))
            } else {
                Value::Text(Value::Time(milliseconds(v)?).print())
            }
        }
        "toTime" => Value::Time(milliseconds(number(arg)?)?),
        "toDuration" => Value::Duration((number(arg)? * 1e9) as i64),
        "parseDuration" => {
            Value::Float(model::duration::parse_ms(text(arg)?).map_err(|e| e.to_string())? as f64 / 1000.0)
        }
        "stripPort" => Value::text(strip_port(text(arg)?)),
        "stripDomain" => Value::Text(strip_domain(text(arg)?)),
        "urlQueryEscape" => Value::Text(url_query(text(arg)?)),
        other => return Err(format!("function {other:?} is not defined")),
    })
}

fn two(name: &str, a: &Value, b: &Value) -> Called {
    match name {
        "label" => label(b, text(a)?),
        "match" => {
            let pattern = regex::Regex::new(text(a)?).map_err(|e| e.to_string())?;
            Ok(Value::Bool(pattern.is_match(text(b)?)))
        }
        _ => {
            let Value::List(items) = b else { return wrong_type("list of samples", b) };
            let by = text(a)?;
            let mut keyed = Vec::with_capacity(items.len());
            for item in items {
                keyed.push((label(item, by)?.print(), item.clone()));
            }
            keyed.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(Value::List(keyed.into_iter().map(|(_, item)| item).collect()))
        }
    }
}

fn wrong_type<T>(expected: &str, found: &Value) -> Result<T, String> {
    Err(format!("wrong type for value; expected {expected}; got {}", found.type_name()))
}

fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::Text(text) => Ok(text),
        other => wrong_type("string", other),
    }
}

/// A number from a number, a text, or a length of time in seconds.
fn number(value: &Value) -> Result<f64, String> {
    match value {
        Value::Float(v) => Ok(*v),
        Value::Int(n) => Ok(*n as f64),
        Value::Duration(nanos) => Ok(*nanos as f64 / 1e9),
        Value::Text(text) => {
            text.parse().map_err(|_| format!("strconv.ParseFloat: parsing {text:?}: invalid syntax"))
        }
        other => Err(format!("can't convert {} to float", other.type_name())),
    }
}

fn milliseconds(seconds: f64) -> Result<i64, String> {
    let ms = (seconds * 1000.0).trunc();
    if ms.abs() < 9.2e15 {
        Ok(ms as i64)
    } else {
        Err(format!("{seconds} cannot be represented as a timestamp"))
    }
}

fn field(value: &Value, name: &str) -> Called {
    match value {
        Value::Struct(_, fields) => fields
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, v)| v.clone())
            .ok_or_else(|| format!("can't evaluate field {name}")),
        other => wrong_type("sample", other),
    }
}

fn label(sample: &Value, name: &str) -> Called {
    match field(sample, "Labels")? {
        Value::Labels(labels) => Ok(Value::text(labels.get(name).map_or("", String::as_str))),
        other => wrong_type("map[string]string", &other),
    }
}

/// As `Sprint`: operands are parted by a space where neither is a text.
fn print(args: &[Value]) -> String {
    let mut out = String::new();
    let mut before_is_text = true;
    for (i, arg) in args.iter().enumerate() {
        let is_text = matches!(arg, Value::Text(_));
        if i > 0 && !is_text && !before_is_text {
            out.push(' ');
        }
        before_is_text = is_text;
        out.push_str(&arg.print());
    }
    out
}

fn length(value: &Value) -> Result<usize, String> {
    match value {
        Value::Text(text) => Ok(text.len()),
        Value::List(items) => Ok(items.len()),
        Value::Labels(map) => Ok(map.len()),
        Value::Map(map) => Ok(map.len()),
        other => Err(format!("len of type {}", other.type_name())),
    }
}

fn index(args: &[Value]) -> Called {
    let Some((first, path)) = args.split_first() else {
        return Err("wrong number of args for index: want at least 1 got 0".to_owned());
    };
    path.iter().try_fold(first.clone(), |value, key| match (&value, key) {
        (Value::List(items), Value::Int(i)) => usize::try_from(*i)
            .ok()
            .and_then(|i| items.get(i).cloned())
            .ok_or_else(|| format!("index out of range: {i}")),
        (Value::Text(text), Value::Int(i)) => usize::try_from(*i)
            .ok()
            .and_then(|i| text.as_bytes().get(i))
            .map(|b| Value::Int(i64::from(*b)))
            .ok_or_else(|| format!("index out of range: {i}")),
        (Value::Labels(map), Value::Text(key)) => Ok(Value::text(map.get(key).map_or("", String::as_str))),
        (Value::Map(map), Value::Text(key)) => Ok(map.get(key).cloned().unwrap_or(Value::Nil)),
        (Value::Nil, _) => Err("index of untyped nil".to_owned()),
        (value, key) => Err(format!("cannot index {} with {}", value.type_name(), key.type_name())),
    })
}

fn slice(args: &[Value]) -> Called {
    let Some((value, bounds)) = args.split_first() else {
        return Err("wrong number of args for slice: want at least 1 got 0".to_owned());
    };
    let bound = |i: usize, default: usize| match bounds.get(i) {
        None => Ok(default),
        Some(Value::Int(n)) => usize::try_from(*n).map_err(|_| format!("index out of range: {n}")),
        Some(other) => Err(format!("cannot index slice/array with type {}", other.type_name())),
    };
    let len = length(value)?;
    let (from, to) = (bound(0, 0)?, bound(1, len)?);
    let bad = || format!("invalid slice index: {from} > {to}");
    match value {
        Value::Text(text) => text.get(from..to).map(Value::text).ok_or_else(bad),
        Value::List(items) => items.get(from..to).map(|i| Value::List(i.to_vec())).ok_or_else(bad),
        other => Err(format!("can't slice item of type {}", other.type_name())),
    }
}

/// `eq`, `lt`, …: of two values of one kind; `eq` takes several on the right.
fn compare(name: &str, args: &[Value]) -> Called {
    let Some((a, rest)) = args.split_first().filter(|(_, rest)| !rest.is_empty()) else {
        return Err("missing argument for comparison".to_owned());
    };
    if name != "eq" && rest.len() > 1 {
        return Err(format!("wrong number of args for {name}: want 2 got {}", args.len()));
    }
    let mut equal = false;
    for b in rest {
        let order = match (a, b) {
            (Value::Int(a) | Value::Duration(a), Value::Int(b) | Value::Duration(b)) => Some(a.cmp(b)),
            (Value::Float(a), Value::Float(b)) => a.partial_cmp(b),
            (Value::Text(a), Value::Text(b)) => Some(a.cmp(b)),
            (Value::Time(a), Value::Time(b)) => Some(a.cmp(b)),
            (Value::Bool(a), Value::Bool(b)) if matches!(name, "eq" | "ne") => Some(a.cmp(b)),
            (Value::Nil, Value::Nil) => Some(Ordering::Equal),
            (Value::Nil, _) | (_, Value::Nil) if matches!(name, "eq" | "ne") => Some(Ordering::Less),
            (Value::Bool(_), Value::Bool(_)) => return Err("invalid type for comparison".to_owned()),
            _ => return Err("incompatible types for comparison".to_owned()),
        };
        let holds = |wanted: &[Ordering]| order.is_some_and(|o| wanted.contains(&o));
        match name {
            "eq" => equal |= holds(&[Ordering::Equal]),
            "ne" => return Ok(Value::Bool(!holds(&[Ordering::Equal]))),
            "lt" => return Ok(Value::Bool(holds(&[Ordering::Less]))),
            "le" => return Ok(Value::Bool(holds(&[Ordering::Less, Ordering::Equal]))),
            "gt" => return Ok(Value::Bool(holds(&[Ordering::Greater]))),
            _ => return Ok(Value::Bool(holds(&[Ordering::Greater, Ordering::Equal]))),
        }
    }
    Ok(Value::Bool(equal))
}

/// Each word begins with a capital.
fn title(text: &str) -> String {
    let mut begins = true;
    let capital = |c: char| {
        let is_letter = c.is_alphanumeric() || c == '_';
        let upper = begins && is_letter;
        begins = !is_letter && c != '\'';
        if upper { c.to_uppercase().collect::<String>() } else { c.to_string() }
    };
    text.chars().map(capital).collect()
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('\'', "&#39;")
        .replace('"', "&#34;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\'' => out.push_str("\\'"),
            '"' => out.push_str("\\\""),
            '<' | '>' | '&' | '=' => out.push_str(&format!("\\u{:04X}", c as u32)),
            c if (c as u32) < 0x20 => out.push_str(&format!("\\u{:04X}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

/// As in the query of a URL: a space becomes a plus.
fn url_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for b in text.bytes() {
        match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(b as char),
            b' ' => out.push('+'),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

fn path_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.find('/').map_or("", |at| rest[at..].trim_end_matches('/'))
}

/// `host:port` without the port.
fn strip_port(text: &str) -> &str {
    if let Some(rest) = text.strip_prefix('[') {
        return match rest.split_once("]:") {
            Some((host, port)) if !port.contains(':') => host,
            _ => text,
        };
    }
    match text.rsplit_once(':') {
        Some((host, _)) if !host.contains(':') => host,
        _ => text,
    }
}

/// A host's first name; an address stays whole.
fn strip_domain(text: &str) -> String {
    let host = strip_port(text);
    if host.parse::<std::net::IpAddr>().is_ok() {
        return text.to_owned();
    }
    let port = text.strip_prefix(host).unwrap_or_default();
    format!("{}{port}", host.split('.').next().unwrap_or(host))
}

/// A sample of a query's answer, as templates see it.
pub(crate) fn sample(labels: BTreeMap<String, String>, value: Value) -> Value {
    Value::Struct("template.sample", vec![("Labels", Value::Labels(labels)), ("Value", value)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for (text, port, domain) in [
            ("host.example.org:80", "host.example.org", "host:80"),
            ("10.0.0.1:80", "10.0.0.1", "10.0.0.1:80"),
            ("[::1]:80", "::1", "[::1]:80"),
            ("::1", "::1", "::1"),
            ("host", "host", "host"),
        ] {
            assert_eq!((strip_port(text), strip_domain(text).as_str()), (port, domain), "{text}");
        }
        assert_eq!((path_of("http://h/p/"), path_of("http://h")), ("/p", ""));
        assert_eq!(title("aa bB-cc it's"), "Aa BB-Cc It's");
        assert_eq!(url_query("a b/ü"), "a+b%2F%C3%BC");
    }
}
