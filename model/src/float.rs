//! Numbers and strings in the forms that Prometheus prints.

/// The shortest decimal that reads back the same; of two that are as near, the even one, as Go has it and the standard library has not.
struct Decimal {
    negative: bool,
    /// Without zeros at the end; the point stands behind the first.
    digits: String,
    exponent: i32,
}

impl Decimal {
    /// Of a finite number.
    fn of(v: f64) -> Self {
        let mut buffer = zmij::Buffer::new();
        let text = buffer.format_finite(v.abs());
        let (plain, exponent) = text.split_once('e').unwrap_or((text, "0"));
        let (whole, part) = plain.split_once('.').unwrap_or((plain, ""));
        let all = format!("{whole}{part}");
        let significant = all.trim_start_matches('0');
        let leading = all.len() - significant.len();
        let digits = significant.trim_end_matches('0').to_owned();
        let exponent = match digits.is_empty() {
            true => 0,
            false => exponent.parse::<i32>().unwrap_or(0) + whole.len() as i32 - 1 - leading as i32,
        };
        let digits = if digits.is_empty() { "0".to_owned() } else { digits };
        Decimal { negative: v.is_sign_negative(), digits, exponent }
    }

    fn sign(&self) -> &'static str {
        if self.negative { "-" } else { "" }
    }

    fn plain(&self) -> String {
        let (sign, digits, point) = (self.sign(), &self.digits, self.exponent + 1);
        match usize::try_from(point) {
            Ok(0) | Err(_) => format!("{sign}0.{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
            Ok(point) if point >= digits.len() => {
                format!("{sign}{digits}{}", "0".repeat(point - digits.len()))
            }
            Ok(point) => format!("{sign}{}.{}", &digits[..point], &digits[point..]),
        }
    }

    fn scientific(&self) -> String {
        let (first, rest) = self.digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let sign = if self.exponent < 0 { '-' } else { '+' };
        format!("{}{first}{point}{rest}e{sign}{:02}", self.sign(), self.exponent.abs())
    }
}

/// A sample value as the HTTP API prints it: the shortest decimal that reads back the same, never an exponent
/// (Go's `strconv.FormatFloat(v, 'f', -1, 64)`).
pub fn format_plain(v: f64) -> String {
    usual(v, 1e15).unwrap_or_else(|| special(v).map_or_else(|| Decimal::of(v).plain(), str::to_owned))
}

/// A sample value as expositions and PromQL print it: the shortest decimal, with an exponent where it is below -4 or
/// at least 21 (Go's `strconv.FormatFloat(v, 'g', -1, 64)` as `fmt` uses it).
pub fn format_general(v: f64) -> String {
    usual(v, 1e15).unwrap_or_else(|| shortest(v, 21))
}

/// A float as Go's `%g` and `%v` print it: the shortest decimal, with an exponent where it is below -4 or at least 6.
pub fn format_short(v: f64) -> String {
    usual(v, 1e6).unwrap_or_else(|| shortest(v, 6))
}

/// What most values are, at once: whole numbers, and fractions from 0.0001 up, both below `limit`.
fn usual(v: f64, limit: f64) -> Option<String> {
    let magnitude = v.abs();
    if magnitude >= limit || v.is_nan() {
        None
    } else if v.fract() == 0.0 && (v != 0.0 || v.is_sign_positive()) {
        Some((v as i64).to_string())
    } else {
        // in this range without an exponent; what is whole would get a point
        (magnitude >= 1e-4).then(|| zmij::Buffer::new().format_finite(v).to_owned())
    }
}

/// With an exponent where it is below -4 or at least this.
fn shortest(v: f64, from: i32) -> String {
    if let Some(special) = special(v) {
        return special.to_owned();
    }
    let decimal = Decimal::of(v);
    if (-4..from).contains(&decimal.exponent) { decimal.plain() } else { decimal.scientific() }
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
    fn as_short_as_the_standard_library_and_the_same_number() {
        let mut bits = 88_172_645_463_325_252u64;
        for i in 0..20_000 {
            bits ^= bits << 13;
            bits ^= bits >> 7;
            bits ^= bits << 17;
            // of all magnitudes, and of those that are usual
            let v = if i % 2 == 0 { f64::from_bits(bits) } else { (bits >> 40) as f64 / 1000.0 };
            if !v.is_finite() {
                continue;
            }
            let (plain, general) = (format_plain(v), format_general(v));
            assert_eq!((plain.parse(), general.parse()), (Ok(v), Ok(v)), "{v}");
            assert_eq!(plain.len(), format!("{v}").len(), "{plain} {v}");
        }
    }

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
            (2f64.powi(-25), "0.000000029802322387695312", "2.9802322387695312e-08"),
            (-12.0, "-12", "-12"),
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
