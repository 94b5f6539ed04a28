//! Query results in Prometheus' JSON: written by hand, as an answer may have millions of points.

use model::Labels;
use std::fmt::Write as _;

/// `1435781430.781`: seconds, with milliseconds only where there are any.
pub(super) fn timestamp(out: &mut String, ms: i64) {
    let (seconds, rest) = (ms / 1000, (ms % 1000).abs());
    if ms < 0 && seconds == 0 {
        out.push('-');
    }
    out.push_str(itoa::Buffer::new().format(seconds));
    if rest != 0 {
        out.push('.');
        for divisor in [100, 10, 1] {
            out.push((b'0' + (rest / divisor % 10) as u8) as char);
        }
    }
}

/// `"1.5"`: the shortest decimal in quotes; an exponent below 1e-6 and from 1e21 on.
pub(super) fn value(out: &mut String, v: f64) {
    out.push('"');
    plain_value(out, v);
    out.push('"');
}

fn plain_value(out: &mut String, v: f64) {
    let magnitude = v.abs();
    // NaN and what is too large become another number on the way
    if (v as i64) as f64 == v && magnitude < 1e15 && (v != 0.0 || v.is_sign_positive()) {
        out.push_str(itoa::Buffer::new().format(v as i64));
    } else if (1e-4..1e15).contains(&magnitude) {
        // the shortest decimal, faster than the formatting of the standard library; not whole, and in this range without exponent
        out.push_str(zmij::Buffer::new().format_finite(v));
    } else if !v.is_finite() || magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        out.push_str(&model::float::format_plain(v));
    } else {
        // as Go writes it: the exponent has a sign and two digits at least
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(v);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let sign = if exponent.starts_with('-') { '-' } else { '+' };
        let digits = exponent.trim_start_matches(['-', '+']);
        let _ = write!(out, "{mantissa}e{sign}{digits:0>2}");
    }
}

/// A string in JSON.
pub(super) fn string(out: &mut String, text: &str) {
    let special = |b: u8| (b < 0x20) | (b == b'"') | (b == b'\\');
    out.push('"');
    // all bytes are looked at, without a branch each: few texts have any
    if !text.bytes().fold(false, |any, b| any | special(b)) {
        out.push_str(text);
        out.push('"');
        return;
    }
    let mut plain = 0;
    for (i, b) in text.bytes().enumerate() {
        if b >= 0x20 && b != b'"' && b != b'\\' {
            continue;
        }
        out.push_str(&text[plain..i]);
        plain = i + 1;
        match b {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            _ => {
                out.push_str("\\u00");
                out.push(if b < 16 { '0' } else { '1' });
                out.push(char::from_digit(u32::from(b & 15), 16).unwrap_or('0'));
            }
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

/// `{"a":"1"}`.
pub(super) fn labels(out: &mut String, labels: &Labels) {
    out.push('{');
    for (i, (name, text)) in labels.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        string(out, name);
        out.push(':');
        string(out, text);
    }
    out.push('}');
}

/// `["a","b"]`.
pub(super) fn strings<S: AsRef<str>>(out: &mut String, texts: impl IntoIterator<Item = S>) {
    list(out, texts, |out, text| string(out, text.as_ref()));
}

/// `[…]` of anything.
pub(super) fn list<T>(
    out: &mut String,
    items: impl IntoIterator<Item = T>,
    mut item: impl FnMut(&mut String, T),
) {
    out.push('[');
    for (i, one) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        item(out, one);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn times() {
        for (ms, text) in [
            (1_435_781_430_781, "1435781430.781"),
            (1000, "1"),
            (1010, "1.010"),
            (-1, "-0.001"),
            (-1500, "-1.500"),
        ] {
            assert_eq!(written(|o| timestamp(o, ms)), text);
        }
    }

    #[test]
    fn values() {
        for (v, text) in [
            (1.5, "1.5"),
            (0.0, "0"),
            (-0.0, "-0"),
            (1e-7, "1e-07"),
            (-2.5e-123, "-2.5e-123"),
            (1.25e21, "1.25e+21"),
            (2f64.powi(-25), "2.9802322387695312e-08"),
            (1e20, "100000000000000000000"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Inf"),
            (-3.0, "-3"),
            (0.0001, "0.0001"),
            (0.00012345, "0.00012345"),
            (0.00009, "0.00009"),
            (-123456789012345.6, "-123456789012345.6"),
            (1e15, "1000000000000000"),
            (0.1 + 0.2, "0.30000000000000004"),
        ] {
            assert_eq!(written(|o| value(o, v)), format!("\"{text}\""));
        }
    }

    #[test]
    fn values_are_the_shortest_that_are_read_back() {
        let mut bits = 1u64;
        for _ in 0..100_000 {
            bits = bits.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            // all mantissas, and all exponents from 1e-7 to 1e17
            let (mantissa, exponent) = ((bits >> 1) % (1 << 52), 1000 + (bits >> 53) % 80);
            let v = f64::from_bits(mantissa | (exponent << 52));
            let text = written(|o| value(o, v));
            assert_eq!(text.trim_matches('"').parse::<f64>(), Ok(v));
            if (1e-4..1e15).contains(&v) {
                // between two equally near the standard library takes the other one than Go
                assert_eq!(text.len(), v.to_string().len() + 2);
            }
        }
    }

    #[test]
    fn strings_are_json() {
        let text = "a\"b\\c\nd\u{1}e\u{1f}ü";
        assert_eq!(serde_json::from_str::<String>(&written(|o| string(o, text))).unwrap(), text);
    }
}
