//! A value that is kept as it stands in the file.

use super::PLAIN;
use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;

/// An untyped value: scalars keep their text.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Raw {
    /// Nothing.
    #[default]
    Null,
    /// A scalar without quotes.
    Plain(String),
    /// A quoted scalar.
    Text(String),
    /// A list.
    List(Vec<Raw>),
    /// A map, in the file's order.
    Map(IndexMap<String, Raw>),
}

impl Raw {
    /// The value of a key, where this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Raw> {
        match self {
            Raw::Map(entries) => entries.get(key),
            _ => None,
        }
    }

    /// The text of a scalar; none for null, lists and maps.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Raw::Plain(text) | Raw::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether nothing stands there: null, an empty text, list or map.
    pub fn is_empty(&self) -> bool {
        match self {
            Raw::Null => true,
            Raw::Plain(text) | Raw::Text(text) => text.is_empty(),
            Raw::List(items) => items.is_empty(),
            Raw::Map(entries) => entries.is_empty(),
        }
    }
}

/// A scalar that is written without quotes.
struct PlainScalar<'a>(&'a str);

impl Serialize for PlainScalar<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(PLAIN, self.0)
    }
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Raw::Null => serializer.serialize_unit(),
            Raw::Plain(text) => PlainScalar(text).serialize(serializer),
            Raw::Text(text) => serializer.serialize_str(text),
            Raw::List(items) => serializer.collect_seq(items),
            Raw::Map(entries) => serializer.collect_map(entries),
        }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(PLAIN, RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(self)
    }
    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }
    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }
    // our own deserializer hands plain scalars over as bytes, to tell them from quoted ones
    fn visit_bytes<E: serde::de::Error>(self, text: &[u8]) -> Result<Raw, E> {
        std::str::from_utf8(text).map(|t| Raw::Plain(t.to_owned())).map_err(E::custom)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = IndexMap::new();
        while let Some((key, value)) = map.next_entry()? {
            entries.insert(key, value);
        }
        Ok(Raw::Map(entries))
    }
}
