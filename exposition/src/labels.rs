//! Decodes the name and labels of a series from the bytes that stand before its value.

use crate::parse::{Cause, Format};
use model::Labels;
use model::labels::METRIC_NAME;
use std::borrow::Cow;

/// A name and its value; borrowed from the exposition where it has no escapes.
pub type Pair<'a> = (Cow<'a, str>, Cow<'a, str>);

/// The label set of [`crate::Series::raw`], the metric's name as `__name__`; empty values are dropped.
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode_labels(raw: &[u8], format: Format) -> Result<Labels, Cause> {
    let mut pairs = Vec::new();
    decode_pairs(raw, format, &mut pairs)?;
    Ok(Labels::from_sorted(
        pairs.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (n.as_ref(), v.as_ref())),
    ))
}

/// Fills `pairs` with what [`decode_labels`] gives, sorted by name, empty values included: without a label set made.
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode_pairs<'a>(raw: &'a [u8], format: Format, pairs: &mut Vec<Pair<'a>>) -> Result<(), Cause> {
    pairs.clear();
    Decoder { raw, at: 0, format, trailing_comma: true }.series(pairs)?;
    sort(pairs)
}

/// Like [`decode_pairs`], for the labels of an exemplar (without a metric's name), without leniency.
pub(crate) fn decode_strictly<'a>(raw: &'a [u8], pairs: &mut Vec<Pair<'a>>) -> Result<(), Cause> {
    pairs.clear();
    Decoder { raw, at: 0, format: Format::OpenMetrics, trailing_comma: false }.series(pairs)?;
    sort(pairs)
}

fn sort(pairs: &mut [Pair<'_>]) -> Result<(), Cause> {
    // many exporters write them in order already
    if pairs.windows(2).any(|w| w[0].0 >= w[1].0) {
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        if let Some(w) = pairs.windows(2).find(|w| w[0].0 == w[1].0) {
            return Err(Cause::DuplicateLabel(w[0].0.clone().into_owned()));
        }
    }
    Ok(())
}

struct Decoder<'a> {
    raw: &'a [u8],
    at: usize,
    format: Format,
    trailing_comma: bool,
}

impl<'a> Decoder<'a> {
    fn series(&mut self, pairs: &mut Vec<Pair<'a>>) -> Result<(), Cause> {
        let name = self.identifier(true);
        if !name.is_empty() {
            pairs.push((METRIC_NAME.into(), name.into()));
        }
        self.blanks();
        if self.at < self.raw.len() {
            self.expect(b'{', "an opening brace")?;
            self.braces(pairs)?;
        }
        if self.at < self.raw.len() { Err(self.unexpected("the end of the labels")) } else { Ok(()) }
    }

    fn braces(&mut self, pairs: &mut Vec<Pair<'a>>) -> Result<(), Cause> {
        let mut first = true;
        loop {
            self.blanks();
            if self.peek() == Some(b'}') && (first || self.trailing_comma) {
                self.at += 1;
                return Ok(());
            }
            first = false;
            self.pair(pairs)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.unexpected("a comma or a closing brace")),
            }
        }
    }

    fn pair(&mut self, pairs: &mut Vec<Pair<'a>>) -> Result<(), Cause> {
        let quoted = self.peek() == Some(b'"');
        let name: Cow<'a, str> = if quoted { self.string()? } else { self.identifier(false).into() };
        if name.is_empty() {
            return Err(self.unexpected("a label name"));
        }
        self.blanks();
        if quoted && self.peek() != Some(b'=') {
            // a metric's name that is no plain identifier stands in quotes among the labels
            if pairs.iter().any(|(n, _)| n == METRIC_NAME) {
                return Err(Cause::SecondName(name.into_owned()));
            }
            pairs.push((METRIC_NAME.into(), name));
            return Ok(());
        }
        self.expect(b'=', "an equals sign after the label name")?;
        self.blanks();
        let value = self.string()?;
        pairs.push((name, value));
        Ok(())
    }

    /// `"…"` with the escapes of the formats.
    fn string(&mut self) -> Result<Cow<'a, str>, Cause> {
        self.expect(b'"', "a quoted string")?;
        let start = self.at;
        let mut escaped = false;
        loop {
            let Some(step) = memchr::memchr2(b'"', b'\\', &self.raw[self.at..]) else {
                return Err(Cause::UnclosedQuote);
            };
            self.at += step;
            if self.raw[self.at] == b'"' {
                break;
            }
            escaped = true;
            self.at = (self.at + 2).min(self.raw.len());
        }
        let bytes = &self.raw[start..self.at];
        self.at += 1;
        if self.format == Format::OpenMetrics && memchr::memchr(b'\n', bytes).is_some() {
            return Err(Cause::UnclosedQuote);
        }
        let text = std::str::from_utf8(bytes)
            .map_err(|_| Cause::InvalidUtf8(String::from_utf8_lossy(bytes).into_owned()))?;
        Ok(if escaped { unescape(text, true).into() } else { text.into() })
    }

    /// A plain name, or "".
    fn identifier(&mut self, metric: bool) -> &'a str {
        let rest = &self.raw[self.at..];
        let len = identifier_len(rest, metric);
        self.at += len;
        // identifiers are ASCII
        std::str::from_utf8(&rest[..len]).unwrap_or_default()
    }

    fn blanks(&mut self) {
        if self.format == Format::Text {
            while matches!(self.peek(), Some(b' ' | b'\t')) {
                self.at += 1;
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.raw.get(self.at).copied()
    }

    fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Cause> {
        if self.peek() != Some(byte) {
            return Err(self.unexpected(what));
        }
        self.at += 1;
        Ok(())
    }

    fn unexpected(&self, expected: &'static str) -> Cause {
        Cause::expected(expected, &self.raw[self.at..])
    }
}

/// How many bytes at the start are a plain name.
#[inline]
pub(crate) fn identifier_len(bytes: &[u8], metric: bool) -> usize {
    if bytes.first().is_none_or(u8::is_ascii_digit) {
        return 0;
    }
    bytes
        .iter()
        .position(|b| !(b.is_ascii_alphanumeric() || *b == b'_' || (metric && *b == b':')))
        .unwrap_or(bytes.len())
}

/// `\\`, `\n` and (with `quotes`) `\"`; any other backslash stands for itself.
pub(crate) fn unescape(text: &str, quotes: bool) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => out.push('\n'),
            Some('\\') => out.push('\\'),
            Some('"') if quotes => out.push('"'),
            Some(c) => out.extend(['\\', c]),
            None => out.push('\\'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(raw: &str, expected: Expect) {
        let told =
            [Format::Text, Format::OpenMetrics].map(|format| match decode_labels(raw.as_bytes(), format) {
                Ok(labels) => labels.to_string(),
                Err(cause) => format!("error: {cause}"),
            });
        expected.assert_eq(&if told[0] == told[1] { told[0].clone() } else { told.join("\nopenmetrics: ") });
    }

    #[test]
    fn decodes() {
        check("up", expect![[r#"{__name__="up"}"#]]);
        check("a:b{}", expect![[r#"{__name__="a:b"}"#]]);
        check(r#"a{z="1",b="x\"\\\n\q",e=""}"#, expect![[r#"{__name__="a", b="x\"\\\n\\q", z="1"}"#]]);
        check(
            r#"{"http.requests","my.label"="ü",c="d"}"#,
            expect![[r#"{__name__="http.requests", c="d", "my.label"="ü"}"#]],
        );
        check(r#"a{b="1",}"#, expect![[r#"{__name__="a", b="1"}"#]]);
        check(
            "a { b = \"1\" , c=\"2\"}",
            expect![[r#"
            {__name__="a", b="1", c="2"}
            openmetrics: error: expected an opening brace, got " { b = \"1\" , c=\"2\"}""#]],
        );
    }

    #[test]
    fn refuses() {
        check(r#"a{b="1",b="2"}"#, expect![[r#"error: label name "b" is not unique"#]]);
        check(r#"a{"x"}"#, expect![[r#"error: second metric name "x""#]]);
        check(r#"a{b="1"c="2"}"#, expect![[r#"error: expected a comma or a closing brace, got "c=\"2\"}""#]]);
        check("a{1=\"1\"}", expect![[r#"error: expected a label name, got "1=\"1\"}""#]]);
        check("a{b}", expect![[r#"error: expected an equals sign after the label name, got "}""#]]);
        check("a{b=1}", expect![[r#"error: expected a quoted string, got "1}""#]]);
        check("a{b=\"1}", expect![["error: unclosed quote"]]);
        let bad = decode_labels(b"a{b=\"\xff\"}", Format::Text).unwrap_err();
        assert_eq!(bad.to_string(), "invalid UTF-8 in \"\u{fffd}\"");
    }
}
