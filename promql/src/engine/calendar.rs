//! Parts of dates (proleptic Gregorian, UTC) from seconds since the epoch.
//!
//! Days become dates by counting in eras of 400 years, which begin in March so that the leap day ends the year.

/// Seconds of a value: what is no number or beyond 64 bits counts as the least of them, and what lies before the first date
/// that Go's calendar knows (of the year -292277022399) wraps around.
pub(crate) fn seconds(v: f64) -> i128 {
    const FIRST: i128 = -9_223_372_028_741_760_000;
    let fits = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&v);
    let seconds = i128::from(if fits { v as i64 } else { i64::MIN });
    if seconds < FIRST { seconds + (1 << 64) } else { seconds }
}

/// The function of the date that has this name.
pub(crate) fn part(name: &str) -> Option<fn(i128) -> f64> {
    Some(match name {
        "year" => |s| date(s).0 as f64,
        "month" => |s| date(s).1 as f64,
        "day_of_month" => |s| date(s).2 as f64,
        "day_of_week" => |s| (days(s) + 4).rem_euclid(7) as f64,
        "day_of_year" => |s| (days(s) - first_day(date(s).0) + 1) as f64,
        "days_in_month" => |s| days_in_month(date(s).0, date(s).1) as f64,
        "hour" => |s| (s.rem_euclid(86_400) / 3600) as f64,
        "minute" => |s| (s.rem_euclid(3600) / 60) as f64,
        _ => return None,
    })
}

fn days(seconds: i128) -> i128 {
    seconds.div_euclid(86_400)
}

const DAYS_PER_ERA: i128 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const EPOCH: i128 = 719_468;

/// Year, month from 1, day from 1.
fn date(seconds: i128) -> (i128, i128, i128) {
    let z = days(seconds) + EPOCH;
    let (era, day) = (z.div_euclid(DAYS_PER_ERA), z.rem_euclid(DAYS_PER_ERA));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let in_year = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * in_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + i128::from(month <= 2), month, in_year - (153 * from_march + 2) / 5 + 1)
}

/// Days from the epoch to the first of January.
fn first_day(year: i128) -> i128 {
    let y = year - 1;
    let (era, of_era) = (y.div_euclid(400), y.rem_euclid(400));
    // January 1st is day 306 of the year that began in March before
    era * DAYS_PER_ERA + of_era * 365 + of_era / 4 - of_era / 100 + 306 - EPOCH
}

fn days_in_month(year: i128, month: i128) -> i128 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i128::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn parts() {
        // 2024-02-29T23:59:59Z, a Thursday
        let t = 1_709_251_199;
        for (name, expected) in [
            ("year", 2024.0),
            ("month", 2.0),
            ("day_of_month", 29.0),
            ("day_of_week", 4.0),
            ("day_of_year", 60.0),
            ("days_in_month", 29.0),
            ("hour", 23.0),
            ("minute", 59.0),
        ] {
            assert_eq!(part(name).map(|f| f(t)), Some(expected), "{name}");
        }
        let year = part("year").unwrap();
        assert_eq!((year(-1), year(0), part("day_of_year").unwrap()(-1)), (1969.0, 1970.0, 365.0));
    }
}
