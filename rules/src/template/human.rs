//! Numbers in forms for people.

use super::format::significant;

fn is_odd(v: f64) -> bool {
    v == 0.0 || v.is_nan() || v.is_infinite()
}

/// Four digits with a metric prefix: `1.235k`, `20m`.
pub(super) fn humanize(mut v: f64) -> String {
    if is_odd(v) {
        return significant(v, Some(4));
    }
    let mut prefix = "";
    if v.abs() >= 1.0 {
        for next in ["k", "M", "G", "T", "P", "E", "Z", "Y"] {
            if v.abs() < 1000.0 {
                break;
            }
            prefix = next;
            v /= 1000.0;
        }
    } else {
        (v, prefix) = small(v);
    }
    significant(v, Some(4)) + prefix
}

/// A number below one with its prefix.
fn small(mut v: f64) -> (f64, &'static str) {
    let mut prefix = "";
    for next in ["m", "u", "n", "p", "f", "a", "z", "y"] {
        if v.abs() >= 1.0 {
            break;
        }
        prefix = next;
        v *= 1000.0;
    }
    (v, prefix)
}

/// Four digits with a binary prefix: `2ki`.
pub(super) fn humanize_1024(mut v: f64) -> String {
    if v.abs() <= 1.0 || is_odd(v) {
        return significant(v, Some(4));
    }
    let mut prefix = "";
    for next in ["ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"] {
        if v.abs() < 1024.0 {
            break;
        }
        prefix = next;
        v /= 1024.0;
    }
    significant(v, Some(4)) + prefix
}

/// Seconds as days, hours, minutes and seconds: `1d 2h 3m 4s`; below a minute with four digits.
pub(super) fn duration(v: f64) -> String {
    if v.is_nan() || v.is_infinite() {
        return significant(v, Some(4));
    }
    if v == 0.0 {
        return significant(v, Some(4)) + "s";
    }
    if v.abs() < 1.0 {
        let (v, prefix) = small(v);
        return format!("{}{prefix}s", significant(v, Some(4)));
    }
    let (sign, whole) = (if v < 0.0 { "-" } else { "" }, v.abs() as i64);
    let (seconds, minutes, hours, days) = (whole % 60, whole / 60 % 60, whole / 3600 % 24, whole / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{sign}{}s", significant(v.abs(), Some(4))),
        (0, 0, _) => format!("{sign}{minutes}m {seconds}s"),
        (0, ..) => format!("{sign}{hours}h {minutes}m {seconds}s"),
        _ => format!("{sign}{days}d {hours}h {minutes}m {seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (v, metric, binary, time) in [
            (0.0, "0", "0", "0s"),
            (1.0, "1", "1", "1s"),
            (1_234_567.0, "1.235M", "1.177Mi", "14d 6h 56m 7s"),
            (0.02, "20m", "0.02", "20ms"),
            (-61.5, "-61.5", "-61.5", "-1m 1s"),
            (59.25, "59.25", "59.25", "59.25s"),
            (f64::INFINITY, "+Inf", "+Inf", "+Inf"),
            (1e-7, "100n", "1e-07", "100ns"),
        ] {
            assert_eq!(
                (humanize(v).as_str(), humanize_1024(v).as_str(), duration(v).as_str()),
                (metric, binary, time)
            );
        }
    }
}
