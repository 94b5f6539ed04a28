//! Durations as Prometheus writes them: `1h30m`, `15s`, `100ms`; units y, w, d, h, m, s, ms, in this order.

use std::fmt::Write as _;

const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1000),
    ("ms", 1),
];

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing between the quotes.
    #[error("empty duration string")]
    Empty,
    /// Not numbers and units in falling order.
    #[error("not a valid duration string: {0:?}")]
    Invalid(String),
    /// More than 292 years.
    #[error("duration out of range")]
    OutOfRange,
}

/// Parses a duration into milliseconds. `0` needs no unit.
///
/// # Errors
/// Where the text is not of the form, or exceeds 2^63 nanoseconds as Go's durations do.
pub fn parse_ms(text: &str) -> Result<i64, Error> {
    if text.is_empty() {
        return Err(Error::Empty);
    }
    if text == "0" {
        return Ok(0);
    }
    let invalid = || Error::Invalid(text.to_owned());
    let (mut rest, mut next_unit, mut total) = (text, 0, 0u64);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let (number, unit) = (&rest[..digits], &rest[digits..digits + letters]);
        let at = UNITS.iter().position(|(u, _)| *u == unit).ok_or_else(invalid)?;
        if digits == 0 || at < next_unit {
            return Err(invalid());
        }
        let number: u64 = number.parse().map_err(|_| Error::OutOfRange)?;
        total =
            number.checked_mul(UNITS[at].1).and_then(|n| total.checked_add(n)).ok_or(Error::OutOfRange)?;
        next_unit = at + 1;
        rest = &rest[digits + letters..];
    }
    if total > (i64::MAX / 1_000_000) as u64 { Err(Error::OutOfRange) } else { Ok(total as i64) }
}

/// The canonical text: the largest units that divide it, weeks and years only where nothing remains below (`1w`, but `8d`).
pub fn format_ms(ms: i64) -> String {
    let mut out = String::new();
    let mut rest = ms.unsigned_abs();
    if rest == 0 {
        return "0s".to_owned();
    }
    if ms < 0 {
        out.push('-');
    }
    for (unit, size) in UNITS {
        let exact_only = matches!(unit, "y" | "w");
        if rest >= size && (!exact_only || rest.is_multiple_of(size)) {
            let _ = write!(out, "{}{unit}", rest / size);
            rest %= size;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_and_prints() {
        for (text, ms, canonical) in [
            ("0", 0, "0s"),
            ("5m", 300_000, "5m"),
            ("1h30m", 5_400_000, "1h30m"),
            ("90m", 5_400_000, "1h30m"),
            ("7d", 604_800_000, "1w"),
            ("8d", 691_200_000, "8d"),
            ("1d12h", 129_600_000, "1d12h"),
            ("1s500ms", 1500, "1s500ms"),
            ("365d", 31_536_000_000, "1y"),
        ] {
            assert_eq!(parse_ms(text), Ok(ms), "{text}");
            assert_eq!(format_ms(ms), canonical);
        }
    }

    #[test]
    fn refuses() {
        for text in
            ["", "1", "m", "5 m", "1m1h", "1m1m", "-1m", "1.5h", "1H", "300y", "99999999999999999999s"]
        {
            assert!(parse_ms(text).is_err(), "{text}");
        }
    }
}
