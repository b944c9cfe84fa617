//! IRCv3 "server-time": `2011-10-19T16:40:51.620Z`.

/// Reads a server-time value as milliseconds since 1970; `None` for anything that isn't one.
pub(crate) fn parse_server_time(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let mut date = date.splitn(3, '-').map(str::parse::<u64>);
    let (year, month, day) = (date.next()?.ok()?, date.next()?.ok()?, date.next()?.ok()?);
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let mut clock = clock.splitn(3, ':').map(str::parse::<u64>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    if !(1970..=9999).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let millis: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    let seconds = ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(seconds * 1_000 + millis)
}

/// Days of the Gregorian calendar, counted from March so that the leap day comes last.
fn days_since_1970(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let before = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    before - 719_468
}

#[cfg(test)]
mod tests {
    use super::parse_server_time as parse;

    #[test]
    fn reads_times() {
        assert_eq!(parse("1970-01-01T00:00:00.000Z"), Some(0));
        assert_eq!(parse("2011-10-19T16:40:51.620Z"), Some(1_319_042_451_620));
        assert_eq!(parse("2024-02-29T23:59:60Z"), Some(1_709_251_200_000));
        assert_eq!(parse("2026-11-21T07:00:00.5Z"), Some(1_795_244_400_500));
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "Z",
            "2011-10-19",
            "2011-13-19T16:40:51.620Z",
            "x-10-19T16:40:51Z",
            "2011-10-19T16:40:51.Z",
            "2011-10-19T99:40:51Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
