//! Numbers and strings in the forms that Prometheus prints.

/// A sample value as the HTTP API prints it: the shortest decimal that reads back the same, never an exponent
/// (Go's `strconv.FormatFloat(v, 'f', -1, 64)`).
pub fn format_plain(v: f64) -> String {
    if let Some(special) = special(v) {
        return special.to_owned();
    }
    format!("{v}")
}

/// A sample value as expositions and PromQL print it: the shortest decimal, with an exponent where it is below -4 or
/// at least 21 (Go's `strconv.FormatFloat(v, 'g', -1, 64)` as `fmt` uses it).
pub fn format_general(v: f64) -> String {
    if let Some(special) = special(v) {
        return special.to_owned();
    }
    let scientific = format!("{v:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..21).contains(&exponent) {
        return format!("{v}");
    }
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

/// A float as Go's `%g` and `%v` print it: the shortest decimal, with an exponent where it is below -4 or at least 6.
pub fn format_short(v: f64) -> String {
    if let Some(special) = special(v) {
        return special.to_owned();
    }
    let scientific = format!("{v:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{v}");
    }
    format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}

fn special(v: f64) -> Option<&'static str> {
    match v {
        _ if v.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

/// A string in double quotes with Go's escapes (`strconv.Quote`, for printable text).
pub fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if (c as u32) < 0x20 || c as u32 == 0x7f => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (v, plain, general) in [
            (0.0, "0", "0"),
            (-0.0, "-0", "-0"),
            (1.5, "1.5", "1.5"),
            (1e20, "100000000000000000000", "100000000000000000000"),
            (1e21, "1000000000000000000000", "1e+21"),
            (1e-5, "0.00001", "1e-05"),
            (1.25e-7, "0.000000125", "1.25e-07"),
            (f64::INFINITY, "+Inf", "+Inf"),
            (f64::NEG_INFINITY, "-Inf", "-Inf"),
            (f64::NAN, "NaN", "NaN"),
            (123_456_789.125, "123456789.125", "123456789.125"),
        ] {
            assert_eq!((format_plain(v).as_str(), format_general(v).as_str()), (plain, general));
        }
        for (v, short) in [
            (100_000.0, "100000"),
            (1e6, "1e+06"),
            (1_234_567.5, "1.2345675e+06"),
            (123_456.789, "123456.789"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (-0.0, "-0"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(format_short(v), short);
        }
    }
}
