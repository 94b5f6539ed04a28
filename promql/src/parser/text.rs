//! Strings: from the quoted form to the text.

use super::Fallible;
use crate::ast::PosRange;

/// The text of a quoted string with Go's escapes; a raw string (backticks) stands for itself.
pub(super) fn unquote(quoted: &str, pos: PosRange) -> Fallible<String> {
    let quote = quoted.chars().next().unwrap_or('"');
    let body = &quoted[1..quoted.len().max(2) - 1];
    if quote == '`' || !body.contains('\\') {
        return Ok(body.to_owned());
    }
    let mut out: Vec<u8> = Vec::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find('\\') {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let Some((byte_or_char, used)) = escape(&rest[at + 1..], quote) else {
            return Err((pos, format!("unknown escape sequence in string {quoted}")));
        };
        match byte_or_char {
            Unit::Byte(b) => out.push(b),
            Unit::Char(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
        rest = &rest[at + 1 + used..];
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(from_bytes(&out))
}

/// Strings may hold bytes that are no UTF-8. Such a byte is kept as a private character, so that it prints as it was
/// written and is refused where a name must be valid.
const BYTES: u32 = 0x10_FE00;

fn from_bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().filter_map(|b| char::from_u32(BYTES + u32::from(*b))));
    }
    out
}

fn invalid_byte(c: char) -> Option<u8> {
    (c as u32).checked_sub(BYTES).and_then(|b| u8::try_from(b).ok())
}

/// The text with what is no UTF-8 shown as U+FFFD, as JSON shows it.
pub(crate) fn readable(text: String) -> String {
    if !text.chars().any(|c| invalid_byte(c).is_some()) {
        return text;
    }
    text.chars().map(|c| if invalid_byte(c).is_some() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Whether a text may be the name of a label: not empty, and UTF-8.
pub(crate) fn valid_label(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| invalid_byte(c).is_some())
}

/// A string in double quotes with Go's escapes.
pub(crate) fn quote(text: &str) -> String {
    let quoted = model::float::quote(text);
    if !quoted.chars().any(|c| invalid_byte(c).is_some()) {
        return quoted;
    }
    quoted.chars().map(|c| invalid_byte(c).map_or_else(|| c.to_string(), |b| format!("\\x{b:02x}"))).collect()
}

enum Unit {
    Byte(u8),
    Char(char),
}

/// What follows a backslash, and how many bytes of the text it takes.
fn escape(text: &str, quote: char) -> Option<(Unit, usize)> {
    let bytes = text.as_bytes();
    let first = *bytes.first()?;
    let number = |from: usize, len: usize, radix: u32| {
        text.get(from..from + len).and_then(|digits| u32::from_str_radix(digits, radix).ok())
    };
    Some(match first {
        b'a' => (Unit::Byte(7), 1),
        b'b' => (Unit::Byte(8), 1),
        b'f' => (Unit::Byte(12), 1),
        b'n' => (Unit::Byte(b'\n'), 1),
        b'r' => (Unit::Byte(b'\r'), 1),
        b't' => (Unit::Byte(b'\t'), 1),
        b'v' => (Unit::Byte(11), 1),
        b'\\' => (Unit::Byte(b'\\'), 1),
        b'x' => (Unit::Byte(number(1, 2, 16)? as u8), 3),
        b'u' => (Unit::Char(char::from_u32(number(1, 4, 16)?)?), 5),
        b'U' => (Unit::Char(char::from_u32(number(1, 8, 16)?)?), 9),
        b'0'..=b'7' => (Unit::Byte(u8::try_from(number(0, 3, 8)?).ok()?), 3),
        b if b == quote as u8 => (Unit::Byte(b), 1),
        _ => return None,
    })
}
