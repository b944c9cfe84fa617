//! Dates in messages, which Slack's own clients show in the reader's time zone: here in UTC, because a reader's isn't known.

/// A moment of the calendar, in UTC.
struct Moment {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
/// The seconds of the years 0 to 9999: others are mistakes.
const RANGE: std::ops::RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

impl Moment {
    /// Of seconds since the Unix epoch (the algorithm of Howard Hinnant's "chrono-Compatible Low-Level Date Algorithms").
    fn of(unix: i64) -> Self {
        let (days, rest) = (unix.div_euclid(86_400), unix.rem_euclid(86_400));
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let of_era = shifted.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Self { year, month, day, hour: rest / 3_600, minute: rest / 60 % 60, second: rest % 60 }
    }

    fn month(&self) -> &'static str {
        usize::try_from(self.month - 1).ok().and_then(|at| MONTHS.get(at)).unwrap_or(&"")
    }
}

/// A date in a format of Slack's (`{date_short} at {time}`); `None` for what is no date.
pub(super) fn write(unix: i64, format: &str) -> Option<String> {
    if !RANGE.contains(&unix) {
        return None;
    }
    let at = Moment::of(unix);
    let weekday = usize::try_from(unix.div_euclid(86_400).rem_euclid(7))
        .ok()
        .and_then(|day| DAYS.get(day))?;
    let month = at.month();
    let short = month.get(..3).unwrap_or(month);
    let mut out = String::new();
    let mut rest = format;
    while let Some(open) = rest.find('{') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        let Some(close) = rest.find('}') else { break };
        let token = &rest[1..close];
        rest = &rest[close + 1..];
        let written = match token {
            "date_num" | "ago" => format!("{:04}-{:02}-{:02}", at.year, at.month, at.day),
            "date" | "date_pretty" => format!("{month} {}, {}", at.day, at.year),
            "date_short" | "date_short_pretty" => format!("{short} {}, {}", at.day, at.year),
            "date_long" | "date_long_pretty" | "date_long_full" => {
                format!("{weekday}, {month} {}, {}", at.day, at.year)
            }
            "date_slash" => format!("{:02}/{:02}/{:04}", at.month, at.day, at.year),
            "day_divider_pretty" => format!("{weekday}, {month} {}", at.day),
            "time" => format!("{:02}:{:02} UTC", at.hour, at.minute),
            "time_secs" => format!("{:02}:{:02}:{:02} UTC", at.hour, at.minute, at.second),
            other => format!("{{{other}}}"),
        };
        out.push_str(&written);
    }
    out.push_str(rest);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written() {
        let at = 1_392_734_382;
        for (format, text) in [
            ("{date_num} {time_secs}", "2014-02-18 14:39:42 UTC"),
            ("Posted {date_long} at {time}", "Posted Tuesday, February 18, 2014 at 14:39 UTC"),
            ("{date_short}", "Feb 18, 2014"),
            ("{date_slash}", "02/18/2014"),
            ("{unknown} {date", "{unknown} {date"),
        ] {
            assert_eq!(write(at, format).as_deref(), Some(text));
        }
        assert_eq!(write(0, "{date}").as_deref(), Some("January 1, 1970"));
        assert_eq!(write(951_782_400, "{date_num}").as_deref(), Some("2000-02-29"));
        assert_eq!(write(i64::MAX, "{date}"), None);
    }
}
