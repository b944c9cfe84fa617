//! Times in words: Discord shows them in the reader's own zone, Matrix has no such thing, so they are given in UTC.

/// A time as `2021-04-20 21:20 UTC`, from seconds since the Unix epoch; `None` beyond what a calendar has.
pub fn date_time(seconds: i64) -> Option<String> {
    let (year, month, day) = civil(seconds.div_euclid(86_400))?;
    let rest = seconds.rem_euclid(86_400);
    let (hour, minute) = (rest / 3_600, rest % 3_600 / 60);
    Some(format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02} UTC"))
}

/// The day alone.
pub fn date(seconds: i64) -> Option<String> {
    let (year, month, day) = civil(seconds.div_euclid(86_400))?;
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

/// The time of day alone.
pub fn time(seconds: i64, with_seconds: bool) -> Option<String> {
    civil(seconds.div_euclid(86_400))?;
    let rest = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (rest / 3_600, rest % 3_600 / 60, rest % 60);
    Some(if with_seconds {
        format!("{hour:02}:{minute:02}:{second:02} UTC")
    } else {
        format!("{hour:02}:{minute:02} UTC")
    })
}

/// Year, month and day of a day counted from 1970 (the algorithm of Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> Option<(i64, i64, i64)> {
    // Years 0 to 9999: what people write, and what keeps the arithmetic small.
    if !(-719_528..=2_932_896).contains(&days) {
        return None;
    }
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    Some((yoe + era * 400 + i64::from(month <= 2), month, day))
}

/// Milliseconds since the Unix epoch of a time as the API writes it: `2021-04-20T21:20:30.123000+00:00`, always with an offset.
pub fn parse_ms(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        text.get(range).filter(|t| t.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let valid = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !valid {
        return None;
    }
    let rest = &text[19..];
    let fraction: String = rest
        .strip_prefix('.')
        .map(|rest| rest.chars().take_while(char::is_ascii_digit).collect())
        .unwrap_or_default();
    let ms: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let zone = if fraction.is_empty() { rest } else { rest.get(1 + fraction.len()..)? };
    let offset = match zone.as_bytes().first() {
        None | Some(b'Z') => 0,
        Some(sign @ (b'+' | b'-')) => {
            let hours: i64 = zone.get(1..3)?.parse().ok()?;
            let minutes: i64 = zone.get(4..6)?.parse().ok()?;
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        Some(_) => return None,
    };
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * m + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    let days = era * 146_097 + doe - 719_468;
    Some(((days * 24 + hour) * 60 + minute - offset) * 60_000 + second * 1_000 + ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date_time(1_618_953_630).unwrap(), "2021-04-20 21:20 UTC");
        assert_eq!(date(0).unwrap(), "1970-01-01");
        assert_eq!(date(-1).unwrap(), "1969-12-31");
        assert_eq!(date(951_782_400).unwrap(), "2000-02-29");
        assert_eq!(time(1_618_953_630, true).unwrap(), "21:20:30 UTC");
        assert_eq!(date_time(i64::MAX), None);
    }

    #[test]
    fn timestamps_are_read() {
        assert_eq!(parse_ms("2021-04-20T21:20:30.123000+00:00"), Some(1_618_953_630_123));
        assert_eq!(parse_ms("2021-04-20T23:20:30+02:00"), Some(1_618_953_630_000));
        assert_eq!(parse_ms("1970-01-01T00:00:00Z"), Some(0));
        for bad in
            ["", "yesterday", "2021-13-01T00:00:00Z", "2021-04-20 21:20", "2021-04-20T21:20:30äöü"]
        {
            assert_eq!(parse_ms(bad), None, "{bad}");
        }
    }
}
