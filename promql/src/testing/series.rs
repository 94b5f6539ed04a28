//! The notation of series in scripts and rule unit tests: `metric{a="b"} 1 2+1x3 _ stale {{schema:0 sum:1 count:2}}x4`.

use super::storage::Item;
use crate::histogram;
use crate::lexer::parse_number;
use crate::parser::parse_metric;
use model::histogram::{CounterReset, Span};
use model::sample::STALE_NAN;
use model::{FloatHistogram, Labels};
use std::sync::Arc;

/// Why a line is no series.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SeriesError(pub String);

type Result<T> = std::result::Result<T, SeriesError>;

fn fail<T>(text: impl Into<String>) -> Result<T> {
    Err(SeriesError(text.into()))
}

/// Most values that one line may stand for.
const MAX_VALUES: usize = 1_000_000;

/// Labels and values of a line; a step without a value is `None`.
///
/// # Errors
/// Where the line is not of the notation.
pub fn parse_series(line: &str) -> Result<(Labels, Vec<Option<Item>>)> {
    let (metric, values) = line.split_at(metric_end(line));
    let labels = parse_metric(metric.trim()).map_err(|e| SeriesError(e.to_string()))?;
    Ok((labels, parse_values(values)?))
}

/// A line that says when the counts of the next line's samples began: `metric{a="b"}@st -1mx4`. Of each sample it gives how much
/// later than the sample that is, in milliseconds; nothing where it is not known, and for any other line.
pub(super) fn parse_starts(line: &str) -> Result<Option<(Labels, Vec<Option<i64>>)>> {
    let (metric, rest) = line.split_at(metric_end(line));
    let (metric, items) = match (metric.strip_suffix("@st"), rest.strip_prefix("@st")) {
        (Some(metric), _) => (metric, rest),
        (None, Some(items)) => (metric, items),
        (None, None) => return Ok(None),
    };
    let labels = parse_metric(metric.trim()).map_err(|e| SeriesError(e.to_string()))?;
    let mut out = Vec::new();
    for item in items.split_whitespace() {
        let (offsets, n) = match item.rsplit_once('x') {
            Some((offsets, n)) => (offsets, Some(repeats(n)?)),
            None => (item, None),
        };
        if offsets == "_" {
            out.extend(std::iter::repeat_n(None, n.unwrap_or(1)));
        } else {
            // a sign within separates the first offset from what is added at each step
            let sign = offsets.bytes().skip(1).position(|b| matches!(b, b'+' | b'-')).map(|at| at + 1);
            let (first, step) = offsets.split_at(sign.unwrap_or(offsets.len()));
            let mut offset = signed_duration(first)?;
            let step = if step.is_empty() { 0 } else { signed_duration(step)? };
            for _ in 0..=n.unwrap_or(0) {
                out.push(Some(offset));
                offset = offset.saturating_add(step);
            }
        }
        if out.len() > MAX_VALUES {
            return fail("too many start timestamps in one series");
        }
    }
    Ok(Some((labels, out)))
}

/// A duration with an optional sign, in milliseconds.
fn signed_duration(text: &str) -> Result<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    match model::duration::parse_ms(digits) {
        Ok(ms) => Ok(if text.starts_with('-') { -ms } else { ms }),
        Err(e) => fail(e.to_string()),
    }
}

/// Where the metric ends: after its closing brace or its name.
fn metric_end(line: &str) -> usize {
    let mut quote: Option<u8> = None;
    let mut braces = false;
    let bytes = line.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        match (quote, bytes[i]) {
            (Some(q), b) if b == q => quote = None,
            (Some(q), b'\\') if q != b'`' => i += 1,
            (Some(_), _) => {}
            (None, b @ (b'"' | b'\'' | b'`')) => quote = Some(b),
            (None, b'{') => braces = true,
            (None, b'}') => return i + 1,
            (None, b' ' | b'\t') if !braces => {
                // `name {…}` with a blank between
                let rest = line[i..].trim_start();
                if rest.starts_with('{') && !rest.starts_with("{{") {
                    i = line.len() - rest.len();
                    continue;
                }
                return i;
            }
            _ => {}
        }
        i += 1;
    }
    line.len()
}

/// The values of a line.
///
/// # Errors
/// Where they are not of the notation.
pub fn parse_values(text: &str) -> Result<Vec<Option<Item>>> {
    let mut out = Vec::new();
    for token in tokens(text)? {
        expand(token, &mut out)?;
        if out.len() > MAX_VALUES {
            return fail("too many values in one series");
        }
    }
    Ok(out)
}

/// Cuts at blanks outside of `{{…}}`.
fn tokens(text: &str) -> Result<Vec<&str>> {
    let mut out = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (mut depth, mut end) = (0usize, rest.len());
        for (i, c) in rest.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth = depth.saturating_sub(1),
                c if c.is_whitespace() && depth == 0 => {
                    end = i;
                    break;
                }
                _ => {}
            }
        }
        if depth > 0 {
            return fail(format!("histogram not closed in {rest:?}"));
        }
        out.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    Ok(out)
}

fn repeats(text: &str) -> Result<usize> {
    match text.parse() {
        Ok(n) if n <= MAX_VALUES => Ok(n),
        _ => fail(format!("bad repetition {text:?}")),
    }
}

fn expand(token: &str, out: &mut Vec<Option<Item>>) -> Result<()> {
    if let Some(rest) = token.strip_prefix('_') {
        let n = match rest.strip_prefix('x') {
            Some(n) => repeats(n)?,
            None if rest.is_empty() => 1,
            None => return fail(format!("bad value {token:?}")),
        };
        out.extend(std::iter::repeat_n(None, n));
        return Ok(());
    }
    if let Some(rest) = token.strip_prefix("stale") {
        let n = if let Some(n) = rest.strip_prefix('x') { repeats(n)? + 1 } else { 1 };
        out.extend(std::iter::repeat_n(Some(Item::Float(STALE_NAN)), n));
        return Ok(());
    }
    if token.starts_with("{{") { histograms(token, out) } else { numbers(token, out) }
}

fn number(text: &str) -> Result<f64> {
    let (negative, digits) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    match parse_number(digits) {
        Some(v) => Ok(if negative { -v } else { v }),
        None => fail(format!("bad number {text:?}")),
    }
}

/// `a`, `axn`, `a+bxn`, `a-bxn`
fn numbers(token: &str, out: &mut Vec<Option<Item>>) -> Result<()> {
    // `x` always repeats: hexadecimal numbers have no place here
    let Some((values, n)) = token.rsplit_once('x') else {
        out.push(Some(Item::Float(number(token)?)));
        return Ok(());
    };
    let n = repeats(n)?;
    // the sign of the step is the last one that belongs to no exponent
    let bytes = values.as_bytes();
    let sign = (1..bytes.len())
        .rev()
        .find(|i| matches!(bytes[*i], b'+' | b'-') && !matches!(bytes[*i - 1], b'e' | b'E' | b'+' | b'-'));
    let (mut value, step) = match sign {
        Some(at) => (number(&values[..at])?, number(&values[at..])?),
        None => (number(values)?, 0.0),
    };
    for _ in 0..=n {
        out.push(Some(Item::Float(value)));
        value += step;
    }
    Ok(())
}

/// `{{…}}`, `{{…}}xn`, `{{…}}+{{…}}xn`, `{{…}}-{{…}}xn`
fn histograms(token: &str, out: &mut Vec<Option<Item>>) -> Result<()> {
    let end = token.find("}}").map_or(token.len(), |i| i + 2);
    let first = parse_histogram(&token[..end])?;
    let rest = &token[end..];
    let (step, n) = if let Some(n) = rest.strip_prefix('x') {
        (None, repeats(n)?)
    } else if rest.is_empty() {
        (None, 0)
    } else {
        let Some((body, n)) = rest[1..].rsplit_once('x') else {
            return fail(format!("bad histogram {token:?}"));
        };
        (Some((rest.starts_with('-'), parse_histogram(body)?)), repeats(n)?)
    };
    let mut current = first;
    for _ in 0..=n {
        out.push(Some(Item::Histogram(Arc::new(current.clone()))));
        if let Some((minus, step)) = &step {
            let hint = current.counter_reset;
            let next = if *minus { histogram::sub(&current, step) } else { histogram::add(&current, step) };
            current = match next {
                Ok(combined) => combined.h,
                Err(_) => return fail("histogram and its step have different kinds of buckets"),
            };
            current.counter_reset = hint;
        }
    }
    Ok(())
}

/// `{{schema:0 sum:1 count:2 buckets:[1 2] …}}`
pub(super) fn parse_histogram(text: &str) -> Result<FloatHistogram> {
    let Some(body) = text.strip_prefix("{{").and_then(|t| t.strip_suffix("}}")) else {
        return fail(format!("bad histogram {text:?}"));
    };
    let mut h = FloatHistogram::default();
    let (mut offset, mut n_offset) = (0, 0);
    let mut rest = body.trim();
    while !rest.is_empty() {
        let Some((key, after)) = rest.split_once(':') else {
            return fail(format!("expected a key and a colon at {rest:?}"));
        };
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('[') {
            Some(list) => list.split_once(']').ok_or_else(|| SeriesError("list not closed".to_owned()))?,
            None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
        };
        let list = || value.split_whitespace().map(number).collect::<Result<Vec<f64>>>();
        match key.trim() {
            "schema" => h.schema = number(value)? as i32,
            "sum" => h.sum = number(value)?,
            "count" => h.count = number(value)?,
            "z_bucket" => h.zero_count = number(value)?,
            "z_bucket_w" => h.zero_threshold = number(value)?,
            "offset" => offset = number(value)? as i32,
            "n_offset" => n_offset = number(value)? as i32,
            "buckets" => h.positive_buckets = list()?,
            "n_buckets" => h.negative_buckets = list()?,
            "custom_values" => h.custom_values = list()?,
            "counter_reset_hint" => h.counter_reset = hint(value)?,
            key => return fail(format!("unknown key {key:?} in histogram")),
        }
        rest = next.trim_start();
    }
    let span = |offset: i32, n: usize| -> Vec<Span> {
        if n == 0 { Vec::new() } else { vec![Span { offset, length: n as u32 }] }
    };
    h.positive_spans = span(offset, h.positive_buckets.len());
    h.negative_spans = span(n_offset, h.negative_buckets.len());
    Ok(h)
}

fn hint(text: &str) -> Result<CounterReset> {
    Ok(match text {
        "unknown" => CounterReset::Unknown,
        "reset" => CounterReset::Reset,
        "not_reset" => CounterReset::NotReset,
        "gauge" => CounterReset::Gauge,
        _ => return fail(format!("unknown counter reset hint {text:?}")),
    })
}
