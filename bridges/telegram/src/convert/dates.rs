//! Telegram's times: seconds since the Unix epoch.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A time as the framework has it.
pub fn time(seconds: i32) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// Milliseconds since the Unix epoch as a time.
pub fn time_ms(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

/// A length of time as people say it, such as `2 hours 5 minutes`; the two largest units.
pub fn length(seconds: i32) -> String {
    let mut rest = seconds.max(0).unsigned_abs();
    let units = [
        (31_536_000, "year"),
        (2_592_000, "month"),
        (604_800, "week"),
        (86_400, "day"),
        (3600, "hour"),
        (60, "minute"),
        (1, "second"),
    ];
    let mut parts = Vec::new();
    for (size, name) in units {
        let count = rest / size;
        rest %= size;
        if count > 0 {
            parts.push(format!("{count} {name}{}", if count == 1 { "" } else { "s" }));
        }
    }
    parts.truncate(2);
    if parts.is_empty() { "0 seconds".into() } else { parts.join(" ") }
}

/// A time of day for texts: `2026-11-21 18:30 UTC`. Days are counted as in the Gregorian calendar (Howard Hinnant's
/// `civil_from_days`).
pub fn calendar(seconds: i32) -> String {
    let seconds = i64::from(seconds);
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", rest / 3600, rest / 60 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_words() {
        assert_eq!(length(0), "0 seconds");
        assert_eq!(length(1), "1 second");
        assert_eq!(length(7500), "2 hours 5 minutes");
        assert_eq!(length(i32::MIN), "0 seconds");
        assert_eq!(calendar(0), "1970-01-01 00:00 UTC");
        assert_eq!(calendar(951_827_696), "2000-02-29 12:34 UTC");
        assert_eq!(calendar(1_795_285_800), "2026-11-21 18:30 UTC");
    }
}
