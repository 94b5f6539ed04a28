//! What templates compute with, and how it is printed.

use super::format;
use std::collections::BTreeMap;

/// A value of a template.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// None.
    Nil,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any number.
    Float(f64),
    /// A text.
    Text(String),
    /// Values in a row.
    List(Vec<Value>),
    /// Texts by name: a label that is missing is the empty text.
    Labels(BTreeMap<String, String>),
    /// Values by name: one that is missing is none.
    Map(BTreeMap<String, Value>),
    /// Fields by name: one that is missing is an error.
    Struct(&'static str, Vec<(&'static str, Value)>),
    /// A length of time, nanoseconds.
    Duration(i64),
    /// Milliseconds since the epoch.
    Time(i64),
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Value::Text(text.into())
    }

    /// Whether `if` takes it for true.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(b) => *b,
            Value::Int(n) | Value::Duration(n) => *n != 0,
            Value::Float(v) => *v != 0.0,
            Value::Text(text) => !text.is_empty(),
            Value::List(items) => !items.is_empty(),
            Value::Labels(map) => !map.is_empty(),
            Value::Map(map) => !map.is_empty(),
            Value::Struct(..) | Value::Time(_) => true,
        }
    }

    /// Go's name of its type, for errors.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Value::Nil => "nil",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float64",
            Value::Text(_) => "string",
            Value::List(_) => "[]interface {}",
            Value::Labels(_) => "map[string]string",
            Value::Map(_) => "map[string]interface {}",
            Value::Struct(name, _) => name,
            Value::Duration(_) => "time.Duration",
            Value::Time(_) => "*time.Time",
        }
    }

    /// As `print` shows it.
    pub(super) fn print(&self) -> String {
        let joined = |pairs: Vec<String>| format!("map[{}]", pairs.join(" "));
        match self {
            Value::Nil => "<no value>".to_owned(),
            Value::Bool(b) => b.to_string(),
            Value::Int(n) => n.to_string(),
            Value::Float(v) => format::general(*v),
            Value::Text(text) => text.clone(),
            Value::List(items) => {
                let items: Vec<String> = items.iter().map(Value::print).collect();
                format!("[{}]", items.join(" "))
            }
            Value::Labels(map) => joined(map.iter().map(|(k, v)| format!("{k}:{v}")).collect()),
            Value::Map(map) => joined(map.iter().map(|(k, v)| format!("{k}:{}", v.print())).collect()),
            Value::Struct(_, fields) => {
                let fields: Vec<String> = fields.iter().map(|(_, v)| v.print()).collect();
                format!("{{{}}}", fields.join(" "))
            }
            Value::Duration(nanos) => format::duration(*nanos),
            Value::Time(ms) => format::time(*ms),
        }
    }
}
