//! Writes typed values as YAML: block style, fields in their order, the same bytes for the same value.

use super::{INLINE, PLAIN};
use serde::ser::{self, Impossible, Serialize, SerializeMap, SerializeSeq, SerializeStruct, Serializer};
use std::fmt::{self, Write as _};

/// A value that has no place in a configuration.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Error(String);

impl ser::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Error(message.to_string())
    }
}

/// The value as a document.
///
/// # Panics
/// Where the value holds anything but texts, numbers, booleans, options, lists, structs and maps by text: no section does.
#[allow(clippy::expect_used)]
pub fn to_string<T: Serialize>(value: &T) -> String {
    let mut out = String::new();
    value.serialize(Ser { out: &mut out, column: 0, at: At::Start }).expect("BUG: a section that is no YAML");
    out
}

/// What stands before the value on its line.
#[derive(Clone, Copy, PartialEq)]
enum At {
    Start,
    Key,
    Dash,
    /// Nothing of its own: fields continue the surrounding map, which began so and has entries or not.
    Inline {
        first: bool,
        same_line: bool,
    },
}

/// Writes one value.
struct Ser<'a> {
    out: &'a mut String,
    /// Column of the key or dash before it.
    column: usize,
    at: At,
}

impl<'a> Ser<'a> {
    fn scalar(self, text: &str) -> Result<(), Error> {
        if self.at == At::Key {
            self.out.push(' ');
        }
        self.out.push_str(text);
        self.out.push('\n');
        Ok(())
    }

    fn entries(self, empty: &'static str, below_key: usize) -> Entries<'a> {
        let (column, first, same_line) = match self.at {
            At::Start => (0, true, true),
            At::Key => (self.column + below_key, true, false),
            At::Dash => (self.column + 2, true, true),
            At::Inline { first, same_line } => (self.column, first, same_line),
        };
        Entries { at: self.at, out: self.out, column, first, same_line, empty }
    }
}

/// Writes the entries of a list or map.
struct Entries<'a> {
    out: &'a mut String,
    at: At,
    column: usize,
    first: bool,
    same_line: bool,
    empty: &'static str,
}

impl Entries<'_> {
    fn begin_entry(&mut self) {
        if self.first && !self.same_line {
            self.out.push('\n');
        }
        if !(self.first && self.same_line) {
            self.out.extend(std::iter::repeat_n(' ', self.column));
        }
        self.first = false;
    }

    fn entry<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) -> Result<(), Error> {
        self.begin_entry();
        write_text(self.out, key);
        self.out.push(':');
        value.serialize(Ser { out: self.out, column: self.column, at: At::Key })
    }

    fn finish(self) -> Result<(), Error> {
        if self.first && !matches!(self.at, At::Inline { .. }) {
            return Ser { out: self.out, column: 0, at: self.at }.scalar(self.empty);
        }
        Ok(())
    }
}

impl SerializeSeq for Entries<'_> {
    type Ok = ();
    type Error = Error;
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.begin_entry();
        self.out.push_str("- ");
        value.serialize(Ser { out: self.out, column: self.column, at: At::Dash })
    }
    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

impl SerializeStruct for Entries<'_> {
    type Ok = ();
    type Error = Error;
    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), Error> {
        if !key.starts_with(INLINE) {
            return self.entry(key, value);
        }
        let before = self.out.len();
        let at = At::Inline { first: self.first, same_line: self.same_line };
        value.serialize(Ser { out: self.out, column: self.column, at })?;
        self.first &= self.out.len() == before;
        Ok(())
    }
    fn end(self) -> Result<(), Error> {
        self.finish()
    }
}

/// A map whose key is known and whose value is to come.
struct Pairs<'a>(Entries<'a>, String);

impl SerializeMap for Pairs<'_> {
    type Ok = ();
    type Error = Error;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.1.clear();
        key.serialize(KeySer(&mut self.1))
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.0.entry(&self.1, value)
    }
    fn end(self) -> Result<(), Error> {
        self.0.finish()
    }
}

macro_rules! unsupported {
    ($($method:ident($($arg:ty),*) -> $ok:ty;)*) => {$(
        fn $method(self, $(_: $arg),*) -> Result<$ok, Error> {
            Err(Error(concat!("BUG: ", stringify!($method), " in a configuration").to_owned()))
        }
    )*};
}

macro_rules! displayed {
    ($($method:ident $ty:ty;)*) => {$(
        fn $method(self, value: $ty) -> Result<(), Error> {
            self.scalar(&value.to_string())
        }
    )*};
}

impl<'a> Serializer for Ser<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Entries<'a>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Pairs<'a>;
    type SerializeStruct = Entries<'a>;
    type SerializeStructVariant = Impossible<(), Error>;

    displayed! {
        serialize_bool bool; serialize_i8 i8; serialize_i16 i16; serialize_i32 i32; serialize_i64 i64;
        serialize_u8 u8; serialize_u16 u16; serialize_u32 u32; serialize_u64 u64;
    }
    fn serialize_f32(self, value: f32) -> Result<(), Error> {
        self.serialize_f64(value.into())
    }
    fn serialize_f64(self, value: f64) -> Result<(), Error> {
        match value {
            v if v.is_nan() => self.scalar(".nan"),
            v if v.is_infinite() => self.scalar(if v > 0.0 { ".inf" } else { "-.inf" }),
            v => self.scalar(&v.to_string()),
        }
    }
    fn serialize_str(self, value: &str) -> Result<(), Error> {
        let mut text = String::with_capacity(value.len() + 2);
        write_text(&mut text, value);
        self.scalar(&text)
    }
    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), Error> {
        self.serialize_str(&value.to_string())
    }
    fn serialize_none(self) -> Result<(), Error> {
        self.scalar("null")
    }
    fn serialize_unit(self) -> Result<(), Error> {
        self.scalar("null")
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.serialize_str(variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        if name != PLAIN {
            return value.serialize(self);
        }
        let mut text = String::new();
        value.serialize(KeySer(&mut text))?;
        self.scalar(&text)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        Err(Error("BUG: an enum with values in a configuration".to_owned()))
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Entries<'a>, Error> {
        Ok(self.entries("[]", 0))
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Pairs<'a>, Error> {
        Ok(Pairs(self.entries("{}", 2), String::new()))
    }
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Entries<'a>, Error> {
        Ok(self.entries("{}", 2))
    }
    unsupported! {
        serialize_char(char) -> ();
        serialize_bytes(&[u8]) -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
}

/// Takes a text as it is.
struct KeySer<'a>(&'a mut String);

impl Serializer for KeySer<'_> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Impossible<(), Error>;
    type SerializeTuple = Impossible<(), Error>;
    type SerializeTupleStruct = Impossible<(), Error>;
    type SerializeTupleVariant = Impossible<(), Error>;
    type SerializeMap = Impossible<(), Error>;
    type SerializeStruct = Impossible<(), Error>;
    type SerializeStructVariant = Impossible<(), Error>;

    fn serialize_str(self, value: &str) -> Result<(), Error> {
        self.0.push_str(value);
        Ok(())
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.serialize_str(variant)
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, v: &T) -> Result<(), Error> {
        v.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Error> {
        Err(Error("BUG: a key that is no text".to_owned()))
    }
    unsupported! {
        serialize_bool(bool) -> (); serialize_i8(i8) -> (); serialize_i16(i16) -> (); serialize_i32(i32) -> ();
        serialize_i64(i64) -> (); serialize_u8(u8) -> (); serialize_u16(u16) -> (); serialize_u32(u32) -> ();
        serialize_u64(u64) -> (); serialize_f32(f32) -> (); serialize_f64(f64) -> (); serialize_char(char) -> ();
        serialize_bytes(&[u8]) -> (); serialize_none() -> (); serialize_unit() -> ();
        serialize_unit_struct(&'static str) -> ();
        serialize_seq(Option<usize>) -> Self::SerializeSeq;
        serialize_tuple(usize) -> Self::SerializeTuple;
        serialize_tuple_struct(&'static str, usize) -> Self::SerializeTupleStruct;
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> Self::SerializeTupleVariant;
        serialize_map(Option<usize>) -> Self::SerializeMap;
        serialize_struct(&'static str, usize) -> Self::SerializeStruct;
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> Self::SerializeStructVariant;
    }
}

/// Writes a text so that every YAML reader takes it as that text: plain where that is safe, else quoted.
fn write_text(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
    } else if text
        .chars()
        .all(|c| !c.is_control() && !matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}'))
    {
        out.push('\'');
        for c in text.chars() {
            if c == '\'' {
                out.push('\'');
            }
            out.push(c);
        }
        out.push('\'');
    } else {
        write_escaped(out, text);
    }
}

fn write_escaped(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Whether a text needs no quotes: never taken for a number, boolean, null, date or structure.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 10] = ["y", "n", "yes", "no", "true", "false", "on", "off", "null", "nan"];
    let Some(first) = text.chars().next() else { return false };
    let safe = |c: char| c.is_ascii_alphanumeric() || "_-./+=@^$()*?|;:\\~<>".contains(c);
    if !text.chars().all(safe) || text.ends_with(':') {
        return false;
    }
    match first {
        'a'..='z' | 'A'..='Z' => !WORDS.iter().any(|w| text.eq_ignore_ascii_case(w)),
        '_' | '/' | '(' | '^' | '$' | '\\' => true,
        '<' => text != "<<",
        // a digit is safe only before a letter that no number has
        '0'..='9' => text.bytes().any(|b| b.is_ascii_alphabetic() && !b"abcdefxoABCDEFXO".contains(&b)),
        _ => false,
    }
}
