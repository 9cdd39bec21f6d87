//! Points in time as people write them, and as they are printed (UTC).

use std::time::{SystemTime, UNIX_EPOCH};

use crate::options::values::parse_duration;

/// Milliseconds since 1970, now.
pub fn now_unix_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64
}

/// Reads `2026-01-31`, `2026-01-31T23:59:59Z`, `2026-01-31T23:59:59+02:00`, milliseconds since 1970, or
/// a duration such as `2h`, which means so long ago. Answers with milliseconds since 1970.
pub fn parse_unix_ms(text: &str) -> Result<i64, String> {
    let wrong = || {
        format!(
            "`{text}` is not a time: write 2026-01-31T23:59:59Z, milliseconds since 1970, or 2h for 2 hours ago"
        )
    };
    if let Ok(ms) = text.parse::<i64>() {
        return if ms >= 0 { Ok(ms) } else { Err(wrong()) };
    }
    if let Ok(ago) = parse_duration(text) {
        return Ok((now_unix_ms() - ago.as_millis() as i64).max(0));
    }
    parse_calendar(text).ok_or_else(wrong)
}

/// From one time to another; open where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// In milliseconds since 1970.
    pub from_ms: Option<i64>,
    /// In milliseconds since 1970.
    pub to_ms: Option<i64>,
}

/// Reads `A..B`, `A..` or `..B`.
pub fn parse_span(text: &str) -> Result<Span, String> {
    let bounds = text.split_once("..").filter(|(from, to)| !from.is_empty() || !to.is_empty());
    let (from, to) =
        bounds.ok_or_else(|| format!("`{text}` is not a span: write A..B, A.. or ..B, such as 2h..1h"))?;
    let bound = |text: &str| (!text.is_empty()).then(|| parse_unix_ms(text)).transpose();
    let span = Span { from_ms: bound(from)?, to_ms: bound(to)? };
    match span.from_ms.zip(span.to_ms).is_some_and(|(from, to)| from > to) {
        true => Err(format!("`{text}` ends before it begins")),
        false => Ok(span),
    }
}

fn parse_calendar(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once(['T', ' ']) {
        Some((date, time)) => (date, time),
        None => (text, "00:00:00Z"),
    };
    let mut date = date.split('-');
    let (year, month, day) = (date.next()?, date.next()?, date.next()?);
    if date.next().is_some() || year.len() != 4 || month.len() != 2 || day.len() != 2 {
        return None;
    }
    let (year, month, day): (i64, i64, i64) = (year.parse().ok()?, month.parse().ok()?, day.parse().ok()?);
    let (clock, offset_minutes) = split_offset(time)?;
    let mut clock = clock.split(':');
    let (hour, minute): (i64, i64) = (clock.next()?.parse().ok()?, clock.next()?.parse().ok()?);
    let second: f64 = clock.next().unwrap_or("0").parse().ok()?;
    let valid = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0.0..60.0).contains(&second)
        && clock.next().is_none();
    if !valid || civil_of_days(days_of_civil(year, month, day)) != (year, month, day) {
        return None;
    }
    let minutes = days_of_civil(year, month, day) * 1440 + hour * 60 + minute - offset_minutes;
    Some(minutes * 60_000 + (second * 1000.0).round() as i64)
}

/// Splits `23:59:59+02:00` into the clock and the minutes east of Greenwich.
fn split_offset(time: &str) -> Option<(&str, i64)> {
    if let Some(clock) = time.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = time.find(['+', '-']) else { return Some((time, 0)) };
    let (clock, offset) = time.split_at(at);
    let (hours, minutes) = offset[1..].split_once(':')?;
    let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
    Some((clock, if offset.starts_with('-') { -minutes } else { minutes }))
}

/// `2026-01-31T23:59:59.123Z`
pub fn print_unix_ms(unix_ms: i64) -> String {
    let (days, ms) = (unix_ms.div_euclid(86_400_000), unix_ms.rem_euclid(86_400_000));
    let (year, month, day) = civil_of_days(days);
    let (hour, minute, second, ms) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// Days since 1970-01-01 in the Gregorian calendar, counting years from March so that the leap day
/// is the last of a year.
fn days_of_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn civil_of_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        assert_eq!(parse_unix_ms("1970-01-01"), Ok(0));
        assert_eq!(parse_unix_ms("2021-01-01T00:00:00Z"), Ok(1_609_459_200_000));
        assert_eq!(parse_unix_ms("2024-02-29T12:30:15.250Z"), Ok(1_709_209_815_250));
        assert_eq!(parse_unix_ms("2021-01-01T02:00:00+02:00"), Ok(1_609_459_200_000));
        assert_eq!(parse_unix_ms("1609459200000"), Ok(1_609_459_200_000));
        let hour_ago = now_unix_ms() - 3_600_000;
        assert!(parse_unix_ms("1h").unwrap().abs_diff(hour_ago) < 5_000);
        for wrong in ["", "yesterday", "2023-02-29", "2021-13-01", "2021-01-01T25:00:00Z", "-5", "21-1-1"] {
            assert!(parse_unix_ms(wrong).is_err(), "{wrong:?} was taken as a time");
        }
    }

    #[test]
    fn spans_have_ends_in_order_and_may_be_open() {
        let span = |from_ms, to_ms| Ok(Span { from_ms, to_ms });
        assert_eq!(parse_span("1000..2000"), span(Some(1_000), Some(2_000)));
        assert_eq!(parse_span("1000..1000"), span(Some(1_000), Some(1_000)));
        assert_eq!(parse_span("1970-01-02.."), span(Some(86_400_000), None));
        assert_eq!(parse_span("..2000"), span(None, Some(2_000)));
        let ago = parse_span("2h..1h").unwrap();
        assert!((3_599_000..=3_601_000).contains(&(ago.to_ms.unwrap() - ago.from_ms.unwrap())));
        for wrong in ["1000", "2000..1000", "a..b", "..", "1h..2h"] {
            assert!(parse_span(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_printed_reads_back() {
        for ms in [0, 951_782_400_000, 1_609_459_200_001, 4_102_444_799_999] {
            assert_eq!(parse_unix_ms(&print_unix_ms(ms)), Ok(ms), "{}", print_unix_ms(ms));
        }
    }
}
