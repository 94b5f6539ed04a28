//! The pull parser that scraping uses: the text format 0.0.4, and OpenMetrics as leniently as Prometheus reads it.
//!
//! A scrape mostly repeats the one before it, so the caller tells which series it expects next: where the line begins with
//! these very bytes, neither name nor labels are looked at.

use crate::MetricType;
use crate::labels::{identifier_len, unescape};
use crate::number;
use std::borrow::Cow;

/// How much of the offending input an error shows, in bytes.
const EXCERPT: usize = 60;

/// Which rules hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Prometheus text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry<'a> {
    /// A sample.
    Series(Series<'a>),
    /// The help of a metric, unescaped.
    Help(Cow<'a, str>, Cow<'a, str>),
    /// The type of a metric.
    Type(Cow<'a, str>, MetricType),
    /// The unit of a metric.
    Unit(Cow<'a, str>, &'a str),
    /// A comment without meaning, from the `#` on.
    Comment(&'a [u8]),
}

/// A sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Series<'a> {
    /// The bytes of name and labels as they stand there: see [`crate::decode_labels`]. Not looked into yet.
    pub raw: &'a [u8],
    /// Whether `raw` is what the caller expected.
    pub expected: bool,
    /// The value; never the mark of staleness.
    pub value: f64,
    /// Milliseconds since the Unix epoch, where given.
    pub timestamp: Option<i64>,
    /// OpenMetrics only.
    pub exemplar: Option<Exemplar<'a>>,
}

/// An example of what a sample counted.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar<'a> {
    /// The labels in braces: see [`crate::decode_labels`].
    pub raw: &'a [u8],
    /// The value.
    pub value: f64,
    /// Milliseconds since the Unix epoch, where given.
    pub timestamp: Option<i64>,
}

/// What is wrong, and in which line (counted from 1).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {cause}")]
pub struct Error {
    /// The line.
    pub line: usize,
    /// What is wrong there.
    pub cause: Cause,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// Something else stands there.
    #[error("expected {what}, got {got:?}")]
    Expected {
        /// What should.
        what: &'static str,
        /// What does.
        got: String,
    },
    /// A quote is not closed (in its line).
    #[error("unclosed quote")]
    UnclosedQuote,
    /// A brace is not closed in its line.
    #[error("unclosed brace")]
    UnclosedBrace,
    /// A text is not UTF-8.
    #[error("invalid UTF-8 in {0:?}")]
    InvalidUtf8(String),
    /// A label name stands there twice.
    #[error("label name {0:?} is not unique")]
    DuplicateLabel(String),
    /// Two names for one metric.
    #[error("second metric name {0:?}")]
    SecondName(String),
    /// Not a number.
    #[error("invalid value {0:?}")]
    InvalidValue(String),
    /// Not a time.
    #[error("invalid timestamp {0:?}")]
    InvalidTimestamp(String),
    /// A type that the format does not know.
    #[error("invalid metric type {0:?}")]
    InvalidType(String),
    /// The unit must end the metric's name.
    #[error("unit {unit:?} is not a suffix of metric {metric:?}")]
    UnitNotSuffix {
        /// The unit.
        unit: String,
        /// The metric.
        metric: String,
    },
    /// The end is missing: half of the exposition may be.
    #[error("data does not end with # EOF")]
    NoEof,
    /// Something follows the end.
    #[error("unexpected data after # EOF")]
    DataAfterEof,
    /// A rule about the meaning is broken (strict validation only).
    #[error("{0}")]
    Rule(String),
}

impl Cause {
    pub(crate) fn expected(what: &'static str, rest: &[u8]) -> Self {
        Cause::Expected { what, got: excerpt(rest) }
    }
}

/// Labels may stand apart from the name.
fn brace_follows(behind: &[u8]) -> bool {
    behind.iter().find(|b| !matches!(b, b' ' | b'\t')) == Some(&b'{')
}

fn excerpt(rest: &[u8]) -> String {
    let line = &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())];
    String::from_utf8_lossy(&line[..line.len().min(EXCERPT)]).into_owned()
}

/// The series that a caller expects: its name and labels as they stood there before.
pub trait Expected {
    /// How many bytes they are, where `input` begins with them; else 0.
    fn len_in(&self, input: &[u8]) -> usize;
}

impl Expected for [u8] {
    #[inline]
    fn len_in(&self, input: &[u8]) -> usize {
        if input.starts_with(self) { self.len() } else { 0 }
    }
}

impl<const N: usize> Expected for [u8; N] {
    #[inline]
    fn len_in(&self, input: &[u8]) -> usize {
        self[..].len_in(input)
    }
}

/// Goes through an exposition, entry by entry.
#[derive(Clone, Debug)]
pub struct Parser<'a> {
    buf: &'a [u8],
    at: usize,
    /// Where the entry began that was given last: for errors.
    began: usize,
    format: Format,
    ended: bool,
}

type Parsed<T> = Result<T, Cause>;

impl<'a> Parser<'a> {
    /// Begins at the first line.
    pub fn new(buf: &'a [u8], format: Format) -> Self {
        Parser { buf, at: 0, began: 0, format, ended: false }
    }

    /// The next entry; none at the end. `expected` is the series that probably comes next (or `&[]`).
    ///
    /// # Errors
    /// Where the rules are broken; after that the parser is of no use.
    #[inline]
    pub fn next<E: Expected + ?Sized>(&mut self, expected: &E) -> Result<Option<Entry<'a>>, Error> {
        let rest = self.buf.get(self.at..).unwrap_or_default();
        let known = expected.len_in(rest);
        let Some((raw, behind)) = rest.split_at_checked(known).filter(|(raw, _)| !raw.is_empty()) else {
            return self.any_line(0).map_err(|cause| self.error(cause));
        };
        if let Some(series) = self.expected_line(raw, behind) {
            return Ok(Some(Entry::Series(series)));
        }
        let hit = behind.first() == Some(&b' ') && (raw.ends_with(b"}") || !brace_follows(behind));
        self.any_line(if hit { known } else { 0 }).map_err(|cause| self.error(cause))
    }

    /// Names the line of the last entry as the place of a cause found later, e.g. in its labels.
    pub fn error(&self, cause: Cause) -> Error {
        Error { line: self.line(), cause }
    }

    /// The line of the last entry, counted from 1. Counts anew at each call.
    pub fn line(&self) -> usize {
        let end = self.began.min(self.buf.len());
        memchr::memchr_iter(b'\n', &self.buf[..end]).count() + 1
    }

    /// How many bytes have been read.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The commonest line: the expected series, one space, a short number, the line's end.
    #[inline]
    fn expected_line(&mut self, raw: &'a [u8], behind: &[u8]) -> Option<Series<'a>> {
        let [b' ', number @ ..] = behind else { return None };
        let (value, len) = number::short(number)?;
        if number.get(len) != Some(&b'\n') {
            return None;
        }
        self.began = self.at;
        self.at += raw.len() + len + 2;
        Some(Series { raw, expected: true, value, timestamp: None, exemplar: None })
    }

    fn any_line(&mut self, known: usize) -> Parsed<Option<Entry<'a>>> {
        loop {
            self.began = self.at;
            if self.format == Format::Text {
                self.blanks();
            }
            let Some(byte) = self.peek() else {
                return if self.format == Format::Text || self.ended { Ok(None) } else { Err(Cause::NoEof) };
            };
            match byte {
                b'\n' if self.format == Format::Text => self.at += 1,
                b'#' => {
                    let entry = match self.format {
                        Format::Text => self.text_comment()?,
                        Format::OpenMetrics => return self.openmetrics_comment(),
                    };
                    return Ok(Some(entry));
                }
                _ => return self.series(known).map(|s| Some(Entry::Series(s))),
            }
        }
    }

    fn series(&mut self, known: usize) -> Parsed<Series<'a>> {
        let start = self.at;
        self.at += if known > 0 { known } else { self.series_len()? };
        let raw = &self.buf[start..self.at];
        let mut series = Series { raw, expected: known > 0, value: 0.0, timestamp: None, exemplar: None };
        match self.format {
            Format::Text => self.text_suffix(&mut series)?,
            Format::OpenMetrics => self.openmetrics_suffix(&mut series)?,
        }
        Ok(series)
    }

    /// The length of name and labels, found by their quotes and braces alone.
    fn series_len(&self) -> Parsed<usize> {
        let rest = &self.buf[self.at..];
        let name = identifier_len(rest, true);
        if name == 0 && rest.first() != Some(&b'{') {
            return Err(Cause::expected("a metric name or a comment", rest));
        }
        let blanks = match self.format {
            Format::Text => rest[name..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count(),
            Format::OpenMetrics => 0,
        };
        if rest.get(name + blanks) != Some(&b'{') {
            return Ok(name);
        }
        Ok(name + blanks + self.braces_len(&rest[name + blanks..])?)
    }

    fn braces_len(&self, braces: &[u8]) -> Parsed<usize> {
        let mut at = 1;
        loop {
            let step = memchr::memchr3(b'"', b'}', b'\n', &braces[at..]).ok_or(Cause::UnclosedBrace)?;
            at += step + 1;
            match braces[at - 1] {
                b'}' => return Ok(at),
                b'"' => at += self.quote_len(&braces[at..])?,
                _ => return Err(Cause::UnclosedBrace),
            }
        }
    }

    /// From behind an opening quote to behind the closing one.
    fn quote_len(&self, quoted: &[u8]) -> Parsed<usize> {
        let mut at = 0;
        loop {
            let rest = quoted.get(at..).ok_or(Cause::UnclosedQuote)?;
            at += memchr::memchr2(b'"', b'\\', rest).ok_or(Cause::UnclosedQuote)?;
            if quoted[at] == b'"' {
                return Ok(at + 1);
            }
            at += 2;
        }
    }

    fn text_suffix(&mut self, series: &mut Series<'a>) -> Parsed<()> {
        self.blanks();
        let value = self.token(|b| matches!(b, b' ' | b'\t' | b'\n' | b'{'));
        if value.is_empty() {
            return Err(Cause::expected("a value after the metric", &self.buf[self.at..]));
        }
        series.value = number::float(value).ok_or_else(|| Cause::InvalidValue(excerpt(value)))?;
        self.blanks();
        if matches!(self.peek(), Some(b) if b != b'\n') {
            let time = self.token(|b| matches!(b, b' ' | b'\t' | b'\n'));
            series.timestamp =
                Some(number::milliseconds(time).ok_or_else(|| Cause::InvalidTimestamp(excerpt(time)))?);
            self.blanks();
        }
        self.line_end("the end of the line after the timestamp")
    }

    fn text_comment(&mut self) -> Parsed<Entry<'a>> {
        let line = self.rest_of_line();
        self.at = (self.at + line.len() + 1).min(self.buf.len());
        let comment = Ok(Entry::Comment(line));
        let body = trim_blanks(&line[1..]);
        if body.len() == line.len() - 1 || body.len() < 5 || !matches!(body[4], b' ' | b'\t') {
            return comment;
        }
        let (word, rest) = (&body[..4], trim_blanks(&body[4..]));
        if word != b"HELP" && word != b"TYPE" {
            return comment;
        }
        let (name, rest) = self.meta_name(rest)?;
        let text = rest.get(1..).unwrap_or_default();
        if word == b"HELP" {
            return Ok(Entry::Help(name, help(text, false)?));
        }
        let kind = match text {
            b"counter" => MetricType::Counter,
            b"gauge" => MetricType::Gauge,
            b"histogram" => MetricType::Histogram,
            b"summary" => MetricType::Summary,
            b"untyped" => MetricType::Unknown,
            other => return Err(Cause::InvalidType(excerpt(other))),
        };
        Ok(Entry::Type(name, kind))
    }

    fn openmetrics_suffix(&mut self, series: &mut Series<'a>) -> Parsed<()> {
        series.value = self.openmetrics_value("a space and a value after the metric")?;
        let rest = &self.buf[self.at..];
        if rest.first() == Some(&b' ') && !rest.starts_with(b" # ") {
            series.timestamp = Some(self.openmetrics_time()?);
        }
        if self.buf[self.at..].starts_with(b" # {") {
            series.exemplar = Some(self.exemplar()?);
        }
        if self.at >= self.buf.len() {
            return Err(Cause::NoEof);
        }
        self.line_end("the end of the line or an exemplar")
    }

    fn exemplar(&mut self) -> Parsed<Exemplar<'a>> {
        self.at += 3;
        let start = self.at;
        self.at += self.braces_len(&self.buf[start..])?;
        let raw = &self.buf[start..self.at];
        let value = self.openmetrics_value("a space and a value after the exemplar's labels")?;
        let timestamp = if self.peek() == Some(b' ') { Some(self.openmetrics_time()?) } else { None };
        Ok(Exemplar { raw, value, timestamp })
    }

    fn openmetrics_value(&mut self, what: &'static str) -> Parsed<f64> {
        let token = self.spaced(what)?;
        number::float(token).ok_or_else(|| Cause::InvalidValue(excerpt(token)))
    }

    fn openmetrics_time(&mut self) -> Parsed<i64> {
        let token = self.spaced("a space and a timestamp")?;
        let seconds = number::float(token).filter(|t| t.is_finite());
        seconds.map(|s| (s * 1000.0) as i64).ok_or_else(|| Cause::InvalidTimestamp(excerpt(token)))
    }

    /// One space and a word.
    fn spaced(&mut self, what: &'static str) -> Parsed<&'a [u8]> {
        let before = self.at;
        if self.peek() == Some(b' ') {
            self.at += 1;
            let token = self.token(|b| matches!(b, b' ' | b'\n'));
            if !token.is_empty() {
                return Ok(token);
            }
        }
        Err(Cause::expected(what, &self.buf[before..]))
    }

    fn openmetrics_comment(&mut self) -> Parsed<Option<Entry<'a>>> {
        let line = self.rest_of_line();
        let after = self.at + line.len() + 1;
        if line == b"# EOF" {
            self.ended = true;
            self.at = after.min(self.buf.len());
            return if after >= self.buf.len() { Ok(None) } else { Err(Cause::DataAfterEof) };
        }
        if after > self.buf.len() {
            return Err(Cause::NoEof);
        }
        let unknown = || Cause::expected("# HELP, # TYPE, # UNIT or # EOF", line);
        let (word, rest) = line.split_at_checked(7).ok_or_else(unknown)?;
        if !matches!(word, b"# HELP " | b"# TYPE " | b"# UNIT ") {
            return Err(unknown());
        }
        let (name, rest) = self.meta_name(rest)?;
        let [b' ', text @ ..] = rest else {
            return Err(Cause::expected("a space and a text after the metric name", rest));
        };
        self.at = after;
        Ok(Some(match word {
            b"# HELP " => Entry::Help(name, help(text, true)?),
            b"# TYPE " => Entry::Type(name, openmetrics_type(text)?),
            _ => {
                let unit = utf8(text)?;
                if !unit.is_empty() && !name.strip_suffix(unit).is_some_and(|n| n.ends_with('_')) {
                    return Err(Cause::UnitNotSuffix { unit: unit.to_owned(), metric: name.into_owned() });
                }
                Entry::Unit(name, unit)
            }
        }))
    }

    /// The metric's name in a metadata line, plain or quoted, and what follows it.
    fn meta_name(&self, rest: &'a [u8]) -> Parsed<(Cow<'a, str>, &'a [u8])> {
        let (name, rest) = if rest.first() == Some(&b'"') {
            let len = self.quote_len(&rest[1..])?;
            let text = utf8(&rest[1..len])?;
            let name = if text.contains('\\') { unescape(text, true).into() } else { Cow::Borrowed(text) };
            (name, &rest[len + 1..])
        } else {
            let (name, rest) = rest.split_at(identifier_len(rest, true));
            (Cow::Borrowed(utf8(name)?), rest)
        };
        if name.is_empty() { Err(Cause::expected("a metric name", rest)) } else { Ok((name, rest)) }
    }

    fn token(&mut self, ends: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.buf[self.at..];
        let len = rest.iter().position(|b| ends(*b)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn rest_of_line(&self) -> &'a [u8] {
        let rest = &self.buf[self.at..];
        &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())]
    }

    fn line_end(&mut self, what: &'static str) -> Parsed<()> {
        match self.peek() {
            None => Ok(()),
            Some(b'\n') => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(Cause::expected(what, &self.buf[self.at..])),
        }
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.buf.get(self.at).copied()
    }
}

fn openmetrics_type(text: &[u8]) -> Parsed<MetricType> {
    Ok(match text {
        b"counter" => MetricType::Counter,
        b"gauge" => MetricType::Gauge,
        b"histogram" => MetricType::Histogram,
        b"gaugehistogram" => MetricType::GaugeHistogram,
        b"summary" => MetricType::Summary,
        b"info" => MetricType::Info,
        b"stateset" => MetricType::Stateset,
        b"unknown" => MetricType::Unknown,
        other => return Err(Cause::InvalidType(excerpt(other))),
    })
}

fn trim_blanks(bytes: &[u8]) -> &[u8] {
    let blanks = bytes.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    &bytes[blanks..]
}

fn utf8(bytes: &[u8]) -> Parsed<&str> {
    std::str::from_utf8(bytes).map_err(|_| Cause::InvalidUtf8(excerpt(bytes)))
}

/// Quotes are escaped in OpenMetrics only.
fn help(bytes: &[u8], quotes: bool) -> Parsed<Cow<'_, str>> {
    let text = utf8(bytes)?;
    Ok(if text.contains('\\') { unescape(text, quotes).into() } else { text.into() })
}
