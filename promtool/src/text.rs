//! Forms of numbers, times and tables as Go's library prints them.

use std::fmt::Write as _;

pub(crate) use model::float::format_short as general;

/// A length of time in nanoseconds, as Go prints it: `2h0m0.5s`, `1m0s`, `15ms`, `70.484µs`.
pub(crate) fn duration(nanos: i128) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let fraction = |unit: u128| {
        let text = format!("{}.{:0width$}", nanos / unit, nanos % unit, width = unit.ilog10() as usize);
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{sign}{nanos}ns"),
        1_000..1_000_000 => format!("{sign}{}µs", fraction(1_000)),
        1_000_000..1_000_000_000 => format!("{sign}{}ms", fraction(1_000_000)),
        _ => {
            let minutes = nanos / 60_000_000_000;
            let rest = nanos % 60_000_000_000;
            let seconds = format!("{}.{:09}", rest / 1_000_000_000, rest % 1_000_000_000);
            let mut out = sign.to_owned();
            if minutes >= 60 {
                let _ = write!(out, "{}h", minutes / 60);
            }
            if minutes > 0 {
                let _ = write!(out, "{}m", minutes % 60);
            }
            out + seconds.trim_end_matches('0').trim_end_matches('.') + "s"
        }
    }
}

/// A length of time in milliseconds.
pub(crate) fn duration_ms(ms: i64) -> String {
    duration(i128::from(ms) * 1_000_000)
}

/// A time in milliseconds since the epoch, as Go prints one in UTC, whole seconds: `2023-11-17 08:44:41 +0000 UTC`.
pub(crate) fn utc(ms: i64) -> String {
    jiff::Timestamp::from_second(ms / 1000)
        .map_or_else(|_| format!("{ms} ms"), |t| format!("{} +0000 UTC", t.strftime("%Y-%m-%d %H:%M:%S")))
}

/// The reason of an error of the system in Go's words.
pub(crate) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// Lines whose cells begin below each other. Every cell but the last of a line is at least `least` wide and followed by
/// `gap` spaces.
pub(crate) fn table(lines: &[Vec<String>], least: usize, gap: usize) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |i: usize| {
        let cells = lines.iter().filter(|l| i + 1 < l.len()).filter_map(|l| l.get(i));
        cells.map(|c| c.chars().count() + gap).max().unwrap_or(0).max(least)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for line in lines {
        for (i, cell) in line.iter().enumerate() {
            out.push_str(cell);
            if i + 1 < line.len() {
                let pad = widths[i].saturating_sub(cell.chars().count());
                out.extend(std::iter::repeat_n(' ', pad));
            }
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_those_of_go() {
        for (nanos, text) in [
            (0, "0s"),
            (7, "7ns"),
            (70_484, "70.484µs"),
            (1_500_000, "1.5ms"),
            (1_000_000_000, "1s"),
            (1_008_619_000_000, "16m48.619s"),
            (7_200_000_000_000, "2h0m0s"),
            (-9_000_001_000_000, "-2h30m0.001s"),
        ] {
            assert_eq!(duration(nanos), text);
        }
        assert_eq!(utc(1_700_210_681_366), "2023-11-17 08:44:41 +0000 UTC");
        assert_eq!(reason(&std::io::Error::from_raw_os_error(2)), "no such file or directory");
    }

    #[test]
    fn columns() {
        let lines = [["a", "b", "c"], ["longer", "", "d"]].map(|l| l.map(str::to_owned).to_vec());
        assert_eq!(table(&lines, 4, 2), "a       b   c\nlonger      d\n");
    }
}
