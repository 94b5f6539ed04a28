//! Forms of numbers, times and texts as Go's `fmt` prints them.

use super::value::Value;

/// A float as `%v` prints it.
pub(super) fn general(v: f64) -> String {
    significant(v, None)
}

/// A float as `%g` prints it, with so many significant digits at most; none: as many as it takes to read it back.
pub(super) fn significant(v: f64, digits: Option<usize>) -> String {
    if let Some(special) = special(v) {
        return special.to_owned();
    }
    let scientific = match digits {
        Some(digits) => format!("{v:.*e}", digits.max(1) - 1),
        None => format!("{v:e}"),
    };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let mantissa =
        if mantissa.contains('.') { mantissa.trim_end_matches('0').trim_end_matches('.') } else { mantissa };
    // the shortest form counts as having six digits
    let limit = digits.map_or(6, |d| d.max(1) as i32);
    if exponent < -4 || exponent >= limit {
        return format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
    }
    match digits {
        None => format!("{v}"),
        Some(digits) => {
            let fixed = format!("{v:.*}", (digits as i32 - 1 - exponent).max(0) as usize);
            if fixed.contains('.') {
                fixed.trim_end_matches('0').trim_end_matches('.').to_owned()
            } else {
                fixed
            }
        }
    }
}

fn special(v: f64) -> Option<&'static str> {
    match v {
        _ if v.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

/// A length of time in nanoseconds.
pub(super) fn duration(nanos: i64) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let fraction = |whole: u64, part: u64, width: usize| {
        let text = format!("{whole}.{part:0width$}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{nanos}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(nanos / 1_000, nanos % 1_000, 3)),
        1_000_000..1_000_000_000 => {
            format!("{sign}{}ms", fraction(nanos / 1_000_000, nanos % 1_000_000, 6))
        }
        _ => {
            let (minutes, rest) = (nanos / 60_000_000_000, nanos % 60_000_000_000);
            let seconds = fraction(rest / 1_000_000_000, rest % 1_000_000_000, 9);
            match minutes {
                0 => format!("{sign}{seconds}s"),
                1..60 => format!("{sign}{minutes}m{seconds}s"),
                _ => format!("{sign}{}h{}m{seconds}s", minutes / 60, minutes % 60),
            }
        }
    }
}

/// A time in milliseconds since the epoch, in UTC.
pub(super) fn time(ms: i64) -> String {
    let Ok(time) = jiff::Timestamp::from_millisecond(ms) else { return format!("{ms} ms") };
    let fraction = ms.rem_euclid(1000);
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:03}") };
    format!("{}{} +0000 UTC", time.strftime("%Y-%m-%d %H:%M:%S"), fraction.trim_end_matches('0'))
}

/// Flags of a verb, its width and its precision.
#[derive(Default)]
struct Spec {
    minus: bool,
    plus: bool,
    zero: bool,
    space: bool,
    width: usize,
    precision: Option<usize>,
}

/// Go's `Sprintf`.
pub(super) fn printf(format: &str, args: &[Value]) -> String {
    let mut out = String::new();
    let mut args = args.iter();
    let mut chars = format.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut spec = Spec::default();
        while let Some(&flag) = chars.peek() {
            match flag {
                '-' => spec.minus = true,
                '+' => spec.plus = true,
                '0' => spec.zero = true,
                ' ' => spec.space = true,
                '#' => {}
                _ => break,
            }
            chars.next();
        }
        let mut number = |chars: &mut std::iter::Peekable<std::str::Chars<'_>>| {
            if chars.peek() == Some(&'*') {
                chars.next();
                return match args.next() {
                    Some(Value::Int(n)) => usize::try_from(*n).ok(),
                    _ => None,
                };
            }
            let mut value: Option<usize> = None;
            while let Some(digit) = chars.peek().and_then(|c| c.to_digit(10)) {
                value = Some(value.unwrap_or(0).saturating_mul(10).saturating_add(digit as usize).min(4096));
                chars.next();
            }
            value
        };
        spec.width = number(&mut chars).unwrap_or(0);
        if chars.peek() == Some(&'.') {
            chars.next();
            spec.precision = Some(number(&mut chars).unwrap_or(0));
        }
        match chars.next() {
            None => out.push_str("%!(NOVERB)"),
            Some('%') => out.push('%'),
            Some(verb) => match args.next() {
                Some(value) => out.push_str(&spec.pad(spec.verb(verb, value), value)),
                None => out.push_str(&format!("%!{verb}(MISSING)")),
            },
        }
    }
    let extra: Vec<String> = args.map(|v| format!("{}={}", v.type_name(), v.print())).collect();
    if !extra.is_empty() {
        out.push_str(&format!("%!(EXTRA {})", extra.join(", ")));
    }
    out
}

impl Spec {
    fn verb(&self, verb: char, value: &Value) -> String {
        let signed = |text: String| {
            let sign = if self.plus {
                "+"
            } else if self.space {
                " "
            } else {
                ""
            };
            if text.starts_with(['-', '+']) { text } else { format!("{sign}{text}") }
        };
        let cut = |text: String| match self.precision {
            Some(n) => text.chars().take(n).collect(),
            None => text,
        };
        let exponent = |text: String| match text.split_once('e') {
            Some((mantissa, e)) => {
                let e: i32 = e.parse().unwrap_or(0);
                format!("{mantissa}e{}{:02}", if e < 0 { '-' } else { '+' }, e.abs())
            }
            None => text,
        };
        match (verb, value) {
            ('v', Value::Float(v)) => signed(significant(*v, self.precision)),
            ('v', value) => value.print(),
            ('s', Value::Text(text)) => cut(text.clone()),
            ('s', Value::Duration(_) | Value::Time(_)) => cut(value.print()),
            ('q', Value::Text(text)) => model::float::quote(text),
            ('x', Value::Text(text)) => text.bytes().map(|b| format!("{b:02x}")).collect(),
            ('t', Value::Bool(b)) => b.to_string(),
            ('d', Value::Int(n) | Value::Duration(n)) => signed(n.to_string()),
            ('x', Value::Int(n)) => {
                if *n < 0 {
                    format!("-{:x}", n.unsigned_abs())
                } else {
                    format!("{n:x}")
                }
            }
            ('X', Value::Int(n)) => {
                if *n < 0 {
                    format!("-{:X}", n.unsigned_abs())
                } else {
                    format!("{n:X}")
                }
            }
            ('o', Value::Int(n)) => format!("{n:o}"),
            ('b', Value::Int(n)) => format!("{n:b}"),
            ('c', Value::Int(n)) => {
                u32::try_from(*n).ok().and_then(char::from_u32).unwrap_or('\u{fffd}').to_string()
            }
            ('e' | 'E' | 'f' | 'F' | 'g' | 'G', Value::Float(v)) => {
                let text = match special(*v) {
                    Some(special) => special.to_owned(),
                    None => match verb {
                        'f' | 'F' => format!("{v:.*}", self.precision.unwrap_or(6)),
                        'e' | 'E' => exponent(format!("{v:.*e}", self.precision.unwrap_or(6))),
                        _ => significant(*v, self.precision),
                    },
                };
                signed(if verb.is_uppercase() { text.to_uppercase() } else { text })
            }
            _ => format!("%!{verb}({}={})", value.type_name(), value.print()),
        }
    }

    fn pad(&self, text: String, value: &Value) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        if missing == 0 {
            return text;
        }
        let number = matches!(value, Value::Int(_) | Value::Float(_) | Value::Duration(_));
        if self.minus {
            return text + &" ".repeat(missing);
        }
        if self.zero && number && text.ends_with(|c: char| c.is_ascii_digit()) {
            let (sign, digits) = text.split_at(usize::from(text.starts_with(['-', '+'])));
            return format!("{sign}{}{digits}", "0".repeat(missing));
        }
        " ".repeat(missing) + &text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats() {
        for (v, digits, text) in [
            (1.0, Some(4), "1"),
            (1234.5, Some(4), "1234"),
            (12345.0, Some(4), "1.234e+04"),
            (0.000_012_345, Some(4), "1.234e-05"),
            (999.96, Some(4), "1000"),
            (100.0, Some(4), "100"),
            (1_000_000.0, None, "1e+06"),
            (123_456.789, None, "123456.789"),
            (0.1, Some(4), "0.1"),
        ] {
            assert_eq!(significant(v, digits), text, "{v} {digits:?}");
        }
        assert_eq!(time(1_435_065_584_128), "2015-06-23 13:19:44.128 +0000 UTC");
    }

    #[test]
    fn verbs() {
        let (int, float, text) = (Value::Int(42), Value::Float(2.5), Value::text("ab"));
        for (format, args, out) in [
            ("%d%%", vec![int.clone()], "42%"),
            ("%5d|%-5d|%05d|%+d", vec![int.clone(); 4], "   42|42   |00042|+42"),
            ("%.2f %8.3f %e %g %v", vec![float.clone(); 5], "2.50    2.500 2.500000e+00 2.5 2.5"),
            ("%s %q %5s|%-5s|%.1s", vec![text.clone(); 5], "ab \"ab\"    ab|ab   |a"),
            ("%d", vec![text.clone()], "%!d(string=ab)"),
            ("%s", vec![float.clone()], "%!s(float64=2.5)"),
            ("%d", vec![], "%!d(MISSING)"),
            ("x", vec![int], "x%!(EXTRA int=42)"),
        ] {
            assert_eq!(printf(format, &args), out, "{format}");
        }
    }
}
