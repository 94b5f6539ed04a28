//! Typed values from a tree: coerces scalars as Go's library does, refuses unknown fields.

use super::node::{Kind, Node};
use super::{INLINE, PLAIN};
use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use std::cell::RefCell;

/// What does not fit, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {path}: {message}")]
pub struct Error {
    /// Line, from 1; 0 while unknown.
    pub line: usize,
    /// Path of the field, e.g. `scrape_configs[0].job_name`.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

impl Error {
    pub(crate) fn at(line: usize, message: impl Into<String>) -> Self {
        Error { line, path: String::new(), message: message.into() }
    }

    /// The error as seen from the map that has `key`.
    pub(crate) fn below_key(mut self, key: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{key}{dot}{}", self.path);
        self
    }

    fn below_index(mut self, index: usize) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("[{index}]{dot}{}", self.path);
        self
    }

    fn or_line(mut self, line: usize) -> Self {
        if self.line == 0 {
            self.line = line;
        }
        self
    }
}

impl de::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Error::at(0, message.to_string())
    }
}

/// Reads a typed value.
///
/// # Errors
/// Where the tree does not fit the type: with line and path.
pub fn from_node<T: de::DeserializeOwned>(node: &Node) -> Result<T, Error> {
    T::deserialize(De { node, in_list: false }).map_err(|e| e.or_line(node.line))
}

/// Reads from one node.
#[derive(Clone, Copy)]
struct De<'a> {
    node: &'a Node,
    /// Whether it is an item of a list: there, an empty section is a mistake.
    in_list: bool,
}

impl<'a> De<'a> {
    fn mismatch<T>(self, expected: &str) -> Result<T, Error> {
        let found = match &self.node.kind {
            Kind::Null => "nothing".to_owned(),
            Kind::Plain(text) => format!("`{text}`"),
            Kind::Quoted(text) => format!("the text {text:?}"),
            Kind::List(_) => "a list".to_owned(),
            Kind::Map(_) => "a map".to_owned(),
        };
        Err(Error::at(self.node.line, format!("expected {expected}, found {found}")))
    }

    fn text(self) -> Result<&'a str, Error> {
        match &self.node.kind {
            Kind::Null => Ok(""),
            Kind::Plain(text) | Kind::Quoted(text) => Ok(text),
            _ => self.mismatch("a text"),
        }
    }

    fn integer(self) -> Result<i128, Error> {
        let found = match &self.node.kind {
            Kind::Null => Some(0),
            Kind::Plain(text) => parse_integer(text),
            _ => None,
        };
        found.map_or_else(|| self.mismatch("an integer"), Ok)
    }

    fn float(self) -> Result<f64, Error> {
        let found = match &self.node.kind {
            Kind::Null => Some(0.0),
            Kind::Plain(text) => parse_float(text),
            _ => None,
        };
        found.map_or_else(|| self.mismatch("a number"), Ok)
    }
}

/// YAML 1.1 integers: decimal, `0x`, `0b`, `0o` and leading-zero octal, underscores; and floats without a fraction.
fn parse_integer(text: &str) -> Option<i128> {
    let clean = text.replace('_', "");
    let (negative, digits) = match clean.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, clean.strip_prefix('+').unwrap_or(&clean)),
    };
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let radix =
        |prefix: &str, radix| digits.strip_prefix(prefix).map(|d| i128::from_str_radix(d, radix).ok());
    let value = radix("0x", 16)
        .or_else(|| radix("0b", 2))
        .or_else(|| radix("0o", 8))
        .or_else(|| if digits.len() > 1 { radix("0", 8) } else { None })
        .flatten()
        .or_else(|| digits.parse().ok())
        .or_else(|| parse_float(digits).filter(|f| f.fract() == 0.0 && f.abs() < 1e18).map(|f| f as i128))?;
    Some(if negative { -value } else { value })
}

fn parse_float(text: &str) -> Option<f64> {
    match text {
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => return Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        _ => {}
    }
    // Rust's words for infinity and NaN are texts in YAML
    let numeric = text.bytes().all(|b| b.is_ascii_digit() || b"+-._eE".contains(&b));
    if numeric && text.bytes().any(|b| b.is_ascii_digit()) {
        text.replace('_', "").parse().ok()
    } else {
        None
    }
}

/// YAML 1.1 booleans.
fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $ty:ty;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let value = self.integer()?;
            match <$ty>::try_from(value) {
                Ok(value) => visitor.$visit(value),
                Err(_) => self.mismatch(if value < 0 { "a number that is not negative" } else { "a smaller number" }),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for De<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Plain(text) => visitor.visit_bytes(text.as_bytes()),
            Kind::Quoted(text) => visitor.visit_str(text),
            Kind::List(_) => self.deserialize_seq(visitor),
            Kind::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let found = match &self.node.kind {
            Kind::Null => Some(false),
            Kind::Plain(text) => parse_bool(text),
            _ => None,
        };
        visitor.visit_bool(found.map_or_else(|| self.mismatch("true or false"), Ok)?)
    }

    integers! {
        deserialize_i8 visit_i8 i8; deserialize_i16 visit_i16 i16; deserialize_i32 visit_i32 i32;
        deserialize_i64 visit_i64 i64; deserialize_u8 visit_u8 u8; deserialize_u16 visit_u16 u16;
        deserialize_u32 visit_u32 u32; deserialize_u64 visit_u64 u64;
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(self.float()?)
    }
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_f64(self.float().or_else(|e| self.integer().map(|i| i as f64).map_err(|_| e))?)
    }
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_str(self.text()?).map_err(|e: Error| e.or_line(self.node.line))
    }
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_str(visitor)
    }
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.node.kind == Kind::Null { visitor.visit_none() } else { visitor.visit_some(self) }
    }
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == PLAIN { self.deserialize_any(visitor) } else { visitor.visit_newtype_struct(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.kind {
            Kind::Null => visitor.visit_seq(List { items: [].iter().enumerate() }),
            Kind::List(items) => visitor.visit_seq(List { items: items.iter().enumerate() }),
            _ => self.mismatch("a list"),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.kind {
            Kind::Null => visitor.visit_map(Map { entries: [].iter(), value: None }),
            Kind::Map(entries) => visitor.visit_map(Map { entries: entries.iter(), value: None }),
            _ => self.mismatch("a map"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let entries: &[(String, usize, Node)] = match &self.node.kind {
            Kind::Null if self.in_list => return Err(Error::at(self.node.line, "empty or null section")),
            Kind::Null => &[],
            Kind::Map(entries) => entries,
            _ => return self.mismatch("a map"),
        };
        let taken = RefCell::new(vec![false; entries.len()]);
        let value = visitor
            .visit_map(Section::new(entries, &taken, fields))
            .map_err(|e| e.or_line(self.node.line))?;
        let untaken = taken.borrow().iter().position(|taken| !taken);
        match untaken.and_then(|at| entries.get(at)) {
            Some((key, line, _)) => Err(Error::at(*line, "unknown field").below_key(key)),
            None => Ok(value),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let text: StrDeserializer<'_, Error> = self.text()?.into_deserializer();
        visitor.visit_enum(text).map_err(|e| e.or_line(self.node.line))
    }

    serde::forward_to_deserialize_any! {
        i128 u128 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

struct List<'a> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
}

impl<'de> de::SeqAccess<'de> for List<'_> {
    type Error = Error;
    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        let value = seed.deserialize(De { node, in_list: true });
        value.map(Some).map_err(|e| e.or_line(node.line).below_index(index))
    }
}

/// A map with free keys.
struct Map<'a> {
    entries: std::slice::Iter<'a, (String, usize, Node)>,
    value: Option<(&'a str, usize, &'a Node)>,
}

impl<'de> de::MapAccess<'de> for Map<'_> {
    type Error = Error;
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((key, line, node)) = self.entries.next() else { return Ok(None) };
        self.value = Some((key, *line, node));
        let text: StrDeserializer<'_, Error> = key.as_str().into_deserializer();
        seed.deserialize(text).map(Some).map_err(|e: Error| e.or_line(*line))
    }
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let Some((key, line, node)) = self.value.take() else {
            return Err(de::Error::custom("value before key"));
        };
        seed.deserialize(De { node, in_list: false }).map_err(|e| e.or_line(line).below_key(key))
    }
}

/// A map with known keys. Fields called `<inline>…` are structs that take their own keys from the same map.
struct Section<'a> {
    entries: &'a [(String, usize, Node)],
    taken: &'a RefCell<Vec<bool>>,
    fields: &'static [&'static str],
    next_entry: usize,
    next_inline: usize,
    value: Option<usize>,
}

impl<'a> Section<'a> {
    fn new(
        entries: &'a [(String, usize, Node)],
        taken: &'a RefCell<Vec<bool>>,
        fields: &'static [&'static str],
    ) -> Self {
        Section { entries, taken, fields, next_entry: 0, next_inline: 0, value: None }
    }
}

impl<'de> de::MapAccess<'de> for Section<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        while let Some((key, ..)) = self.entries.get(self.next_entry) {
            let at = self.next_entry;
            self.next_entry += 1;
            if !self.fields.contains(&key.as_str()) {
                continue;
            }
            if let Some(taken) = self.taken.borrow_mut().get_mut(at) {
                *taken = true;
            }
            self.value = Some(at);
            let text: StrDeserializer<'_, Error> = key.as_str().into_deserializer();
            return seed.deserialize(text).map(Some);
        }
        while let Some(field) = self.fields.get(self.next_inline) {
            self.next_inline += 1;
            if field.starts_with(INLINE) {
                self.value = None;
                let text: StrDeserializer<'_, Error> = (*field).into_deserializer();
                return seed.deserialize(text).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        match self.value.take().and_then(|at| self.entries.get(at)) {
            Some((key, line, node)) => {
                seed.deserialize(De { node, in_list: false }).map_err(|e| e.or_line(*line).below_key(key))
            }
            None => seed.deserialize(Inline { entries: self.entries, taken: self.taken }),
        }
    }
}

/// Reads a struct whose fields stand beside others.
struct Inline<'a> {
    entries: &'a [(String, usize, Node)],
    taken: &'a RefCell<Vec<bool>>,
}

impl<'de> Deserializer<'de> for Inline<'_> {
    type Error = Error;
    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("BUG: only a struct can be inline"))
    }
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(Section::new(self.entries, self.taken, fields))
    }
    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
