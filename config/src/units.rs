//! Quantities with units: durations and byte sizes.

use std::fmt;

/// A length of time with millisecond resolution, written `1h30m`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Duration(i64);

impl Duration {
    /// From milliseconds.
    pub const fn from_ms(ms: i64) -> Self {
        Duration(ms)
    }
    /// From seconds.
    pub const fn from_secs(seconds: i64) -> Self {
        Duration(seconds * 1000)
    }
    /// In milliseconds.
    pub const fn as_ms(self) -> i64 {
        self.0
    }
    /// As the standard library's; never negative.
    pub fn as_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0.max(0) as u64)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&model::duration::format_ms(self.0))
    }
}

impl std::str::FromStr for Duration {
    type Err = model::duration::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        model::duration::parse_ms(text).map(Duration)
    }
}

/// A number of bytes, written with binary units: `15MB` and `15MiB` are both 15 × 2^20.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Size(u64);

/// Names of the powers of 1024, from the first.
const PREFIXES: [char; 6] = ['K', 'M', 'G', 'T', 'P', 'E'];

impl Size {
    /// From bytes.
    pub const fn from_bytes(bytes: u64) -> Self {
        Size(bytes)
    }
    /// In bytes.
    pub const fn as_bytes(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0B");
        }
        let mut rest = self.0;
        for (power, prefix) in PREFIXES.iter().enumerate().rev() {
            let unit = 1u64 << (10 * (power + 1));
            if rest >= unit {
                write!(f, "{}{prefix}iB", rest / unit)?;
                rest %= unit;
            }
        }
        if rest > 0 { write!(f, "{rest}B") } else { Ok(()) }
    }
}

impl std::str::FromStr for Size {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let invalid = || format!("invalid size {text:?}, expected a number with a unit such as 10MB");
        if text == "0" {
            return Ok(Size(0));
        }
        let (mut rest, mut total) = (text, 0f64);
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
            let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
            let number: f64 = rest[..digits].parse().map_err(|_| invalid())?;
            let unit = &rest[digits..digits + letters];
            total += number * unit_bytes(unit).ok_or_else(invalid)?;
            rest = &rest[digits + letters..];
        }
        if text.is_empty() || total > i64::MAX as f64 { Err(invalid()) } else { Ok(Size(total as u64)) }
    }
}

/// Bytes of a unit, e.g. `MB` or `MiB`.
fn unit_bytes(unit: &str) -> Option<f64> {
    if unit == "B" {
        return Some(1.0);
    }
    let prefix = unit.strip_suffix("iB").or_else(|| unit.strip_suffix('B'))?;
    let power = PREFIXES.iter().position(|p| prefix.len() == 1 && prefix.starts_with(*p))?;
    Some((1u64 << (10 * (power + 1))) as f64)
}

/// Serialises through `Display`, deserialises through `FromStr`.
macro_rules! as_text {
    ($($ty:ty),*) => {$(
        impl serde::Serialize for $ty {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $ty {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
as_text!(Duration, Size);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes, canonical) in [
            ("15MB", 15 << 20, "15MiB"),
            ("1GiB", 1 << 30, "1GiB"),
            ("1KB512B", 1536, "1KiB512B"),
            ("1.5KB", 1536, "1KiB512B"),
            ("0", 0, "0B"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.as_bytes(), size.to_string().as_str()), (bytes, canonical), "{text}");
        }
        for text in ["", "5", "MB", "5mb", "5 MB", "-1MB", "99EB99EB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
