//! Days and months in UTC, from milliseconds since 1970: the windows of budgets, and times as people write them.

use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime, SecondsFormat, Utc};

/// Milliseconds of a day.
pub(crate) const DAY_MS: u64 = 86_400_000;

/// The last moment that is told apart from later ones: the year 9999.
const LAST_MS: i64 = 253_402_300_799_999;

fn moment(ms: u64) -> DateTime<Utc> {
    let ms = i64::try_from(ms).unwrap_or(LAST_MS).min(LAST_MS);
    DateTime::from_timestamp_millis(ms).unwrap_or_default()
}

fn start_of(day: NaiveDate) -> u64 {
    u64::try_from(day.and_time(NaiveTime::MIN).and_utc().timestamp_millis()).unwrap_or(0)
}

/// Returns the days since 1970 of `2026-11-20`; nothing where the text is no day.
pub(crate) fn day_number(text: &str) -> Option<u64> {
    let day = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| text.len() == 10)?;
    Some(start_of(day) / DAY_MS)
}

/// Returns the moment the month after this one begins.
pub(crate) fn next_month(ms: u64) -> u64 {
    let first = moment(ms).date_naive().with_day(1).unwrap_or_default();
    start_of(first.checked_add_months(Months::new(1)).unwrap_or(first))
}

/// Returns the number of a month: a later one has a larger number.
pub(crate) fn month_number(ms: u64) -> u64 {
    let day = moment(ms).date_naive();
    u64::try_from(day.year()).unwrap_or(0) * 12 + u64::from(day.month0())
}

/// Returns `2026-11-20`.
pub(crate) fn day_text(ms: u64) -> String {
    moment(ms).date_naive().to_string()
}

/// Returns `2026-11-20T08:15:30.123Z`.
pub(crate) fn time_text(ms: u64) -> String {
    moment(ms).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Returns now, in milliseconds since 1970.
pub(crate) fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_end_where_the_calendar_says() {
        assert_eq!(day_number("2026-11-28"), Some(20_785));
        assert_eq!(day_number("2026-2-30"), None);
        let last = 20_785 * DAY_MS;
        assert_eq!(day_text(next_month(last)), "2026-12-01");
        assert_eq!(day_text(next_month(next_month(last))), "2027-01-01");
        assert_eq!(month_number(next_month(last)), month_number(last) + 1);
        assert_eq!(time_text(951_782_400_123), "2000-02-29T00:00:00.123Z");
    }
}
