//! Decimal text to float, as Go reads it: exact, with a short path for what expositions are full of.

/// Powers of ten that a double holds exactly.
const POW10: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];
/// Integers up to here are doubles.
const MAX_EXACT: u64 = 1 << 53;
/// So many decimal digits fit into 64 bits.
const MAX_DIGITS: usize = 19;

/// The number at the start of `bytes`, and its length, where it is short enough for one exact operation (a product or a
/// quotient of two exact doubles is rounded once, hence correctly) and is followed by a blank, a line's end or nothing.
/// None says "look closer", not "wrong".
#[inline]
pub(crate) fn short(bytes: &[u8]) -> Option<(f64, usize)> {
    let negative = bytes.first() == Some(&b'-');
    let mut at = usize::from(negative);
    let mut mantissa = 0u64;
    let whole = digits(bytes, &mut at, &mut mantissa);
    let mut fraction = 0;
    if bytes.get(at) == Some(&b'.') {
        at += 1;
        fraction = digits(bytes, &mut at, &mut mantissa);
    }
    if whole == 0 || whole + fraction > MAX_DIGITS || mantissa > MAX_EXACT {
        return None;
    }
    let mut exponent = -(fraction as i32);
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        at += 1;
        let below = bytes.get(at) == Some(&b'-');
        at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
        let mut power = 0u64;
        let count = digits(bytes, &mut at, &mut power);
        if count == 0 || count > 3 {
            return None;
        }
        exponent += if below { -(power as i32) } else { power as i32 };
    }
    if !matches!(bytes.get(at), None | Some(b' ' | b'\n' | b'\t')) {
        return None;
    }
    let power = POW10.get(exponent.unsigned_abs() as usize)?;
    let value = if exponent < 0 { mantissa as f64 / power } else { mantissa as f64 * power };
    Some((if negative { -value } else { value }, at))
}

#[inline]
fn digits(bytes: &[u8], at: &mut usize, number: &mut u64) -> usize {
    let start = *at;
    while let Some(digit) = bytes.get(*at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
        // too many digits are refused by the caller, who counts them
        *number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
        *at += 1;
    }
    *at - start
}

/// Any number that Go's `ParseFloat` takes, without hexadecimal forms and underscores (as Prometheus does). NaN becomes the
/// canonical one, so that nobody can send a mark of staleness.
pub(crate) fn float(token: &[u8]) -> Option<f64> {
    if let Some((value, len)) = short(token)
        && len == token.len()
    {
        return Some(value);
    }
    let (sign, unsigned) = match token.first()? {
        b'-' => (-1.0, token.get(1..)?),
        b'+' => (1.0, token.get(1..)?),
        _ => (1.0, token),
    };
    if unsigned.eq_ignore_ascii_case(b"inf") || unsigned.eq_ignore_ascii_case(b"infinity") {
        return Some(sign * f64::INFINITY);
    }
    if token.eq_ignore_ascii_case(b"nan") {
        return Some(model::sample::NORMAL_NAN);
    }
    if !matches!(unsigned.first()?, b'0'..=b'9' | b'.') {
        return None;
    }
    let value: f64 = fast_float2::parse(unsigned).ok()?;
    // out of range is an error there, not infinity
    value.is_finite().then_some(sign * value)
}

/// Whole milliseconds, as the text format writes timestamps: digits only.
pub(crate) fn milliseconds(token: &[u8]) -> Option<i64> {
    if token.is_empty() {
        return None;
    }
    token.iter().try_fold(0i64, |ms, b| {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 { None } else { ms.checked_mul(10)?.checked_add(i64::from(digit)) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, value) in [
            ("0", 0.0),
            ("-0", -0.0),
            ("1", 1.0),
            ("+1.5", 1.5),
            ("1.234567e+06", 1_234_567.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1e-3", 1e-3),
            ("9223372036854775808", 9_223_372_036_854_775_808.0),
            ("0000000000000000000000000000000000000000001.2e-1", 0.12),
            ("+Inf", f64::INFINITY),
            ("-infinity", f64::NEG_INFINITY),
            ("1.7976931348623157e308", f64::MAX),
            ("5e-324", 5e-324),
        ] {
            assert_eq!(float(text.as_bytes()).map(f64::to_bits), Some(value.to_bits()), "{text}");
        }
        assert!(float(b"nAn").is_some_and(f64::is_nan));
        let bad =
            ["", "+", ".", "e5", "1e", "1e+", "0x1", "0x1p-3", "1_0", "1e999", "+nan", "1 ", "--1", "1.1.1"];
        for text in bad {
            assert_eq!(float(text.as_bytes()), None, "{text}");
        }
        assert_eq!(milliseconds(b"1395066363000"), Some(1_395_066_363_000));
        assert_eq!(milliseconds(b"99999999999999999999"), None);
        assert_eq!(milliseconds(b"-1"), None);
    }

    proptest! {
        #[test]
        fn agrees_with_the_standard_library(bits in any::<u64>(), scaled in -1_000_000_000_000i64..1_000_000_000_000, tens in -30i32..30) {
            for value in [f64::from_bits(bits), scaled as f64 / 1000.0] {
                if value.is_finite() {
                    for text in [format!("{value}"), format!("{value:e}")] {
                        prop_assert_eq!(float(text.as_bytes()).map(f64::to_bits), Some(value.to_bits()));
                    }
                }
            }
            let text = format!("{scaled}e{tens}");
            prop_assert_eq!(float(text.as_bytes()), text.parse().ok());
        }
    }
}
