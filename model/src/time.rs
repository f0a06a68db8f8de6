//! Moments: microseconds since 1970 in UTC, the unit of time everywhere in Tally.

use std::{fmt, str::FromStr};

use jiff::fmt::temporal::Pieces;
use serde::{Deserialize, Serialize};

/// One day in microseconds.
pub const DAY: i64 = 86_400_000_000;

/// A moment: microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Time(pub i64);

impl Time {
    /// The earliest moment that Tally stores: the start of 1970.
    pub const MIN: Self = Self(0);
    /// The latest moment that Tally stores: the last microsecond of 9999.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// The moment `days` days later, or earlier when negative. Saturates.
    #[must_use]
    pub const fn plus_days(self, days: i64) -> Self {
        Self(self.0.saturating_add(days.saturating_mul(DAY)))
    }

    /// The days from `earlier` to `self`, with a fraction.
    #[must_use]
    pub fn days_since(self, earlier: Self) -> f64 {
        (self.0.saturating_sub(earlier.0)) as f64 / DAY as f64
    }

    /// The first moment of the UTC calendar month that contains this moment.
    #[must_use]
    pub fn month_start(self) -> Self {
        let day = jiff::Timestamp::from_microsecond(self.0)
            .map_or(1, |timestamp| timestamp.to_zoned(jiff::tz::TimeZone::UTC).day());
        Self(self.day_number() * DAY).plus_days(1 - i64::from(day))
    }

    /// The first moment of the next UTC calendar month.
    #[must_use]
    pub fn next_month(self) -> Self {
        self.month_start().plus_days(32).month_start()
    }

    /// The UTC calendar month that contains this moment, 0 for January.
    #[must_use]
    pub fn month(self) -> u8 {
        jiff::Timestamp::from_microsecond(self.0)
            .map_or(0, |timestamp| timestamp.to_zoned(jiff::tz::TimeZone::UTC).month().unsigned_abs() - 1)
    }

    /// The UTC weekday that contains this moment, 0 for Monday.
    #[must_use]
    pub const fn weekday(self) -> u8 {
        // Day 0 was a Thursday.
        (self.day_number() + 3).rem_euclid(7) as u8
    }

    /// The number of the UTC day that contains this moment, 0 for 1970-01-01.
    #[must_use]
    pub const fn day_number(self) -> i64 {
        self.0.div_euclid(DAY)
    }
}

/// RFC 3339 in UTC, with as many fractional digits as needed.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Ok(timestamp) = jiff::Timestamp::from_microsecond(self.0) {
            return timestamp.fmt(f);
        }
        // A timestamp of jiff ends before 9999 does, so that it has a date in every time zone; a civil time does not.
        let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
        match epoch.checked_add(jiff::SignedDuration::from_micros(self.0)) {
            Ok(time) => write!(f, "{time}Z"),
            Err(_) => write!(f, "{} µs", self.0),
        }
    }
}

/// The text is not a time that Tally accepts.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParseTimeError {
    /// No time.
    #[error("`{0}` is not a time of the years 1970 to 9999, such as 2026-01-31 or 2026-01-31T13:45:00Z")]
    NoTime(String),
    /// A time with an offset that no place of the earth has, as `tally` refuses it.
    #[error("`{0}` is farther from UTC than any place; allowed are offsets from -14:00 to +14:00")]
    FarOffset(String),
}

/// The farthest offset from UTC, in seconds.
const FARTHEST_OFFSET: i32 = 14 * 3_600;

/// RFC 3339 with an offset (`2026-01-31T13:45:00Z`), or a date, which means its midnight in UTC.
impl FromStr for Time {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_date = text.len() == "2026-01-31".len();
        let full = if is_date { format!("{text}T00:00:00Z") } else { text.to_owned() };
        let time = full.parse::<jiff::Timestamp>().ok().map(|time| Self(time.as_microsecond()));
        let time = time.filter(|time| (Self::MIN..=Self::MAX).contains(time));
        let time = time.ok_or_else(|| ParseTimeError::NoTime(text.to_owned()))?;
        let offset = Pieces::parse(&full).ok().and_then(|pieces| pieces.to_numeric_offset());
        match offset.is_none_or(|offset| offset.seconds().abs() <= FARTHEST_OFFSET) {
            true => Ok(time),
            false => Err(ParseTimeError::FarOffset(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_parsed_and_written() {
        let noon: Time = "2011-09-09T12:00:00Z".parse().unwrap();
        assert_eq!(noon.0, 1_315_569_600_000_000);
        assert_eq!(noon.to_string(), "2011-09-09T12:00:00Z");
        assert_eq!("2011-09-09".parse(), Ok(Time(noon.0 - DAY / 2)));
        assert_eq!("2011-09-09T14:00:00+02:00".parse(), Ok(noon));
        assert_eq!("9999-12-29T23:59:59.999999Z".parse(), Ok(Time::MAX.plus_days(-2)));
        assert_eq!(Time::MAX.to_string(), "9999-12-31T23:59:59.999999Z");
        assert_eq!(Time(Time::MAX.0 / DAY * DAY).to_string(), "9999-12-31T00:00:00Z");
    }

    #[test]
    fn months_begin_on_their_first() {
        let start = |text: &str| text.parse::<Time>().unwrap().month_start().to_string();
        assert_eq!(start("2024-02-29T23:59:59.999999Z"), "2024-02-01T00:00:00Z");
        assert_eq!(start("2024-03-01"), "2024-03-01T00:00:00Z");
        assert_eq!(start("1970-01-31T12:00:00Z"), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn months_and_weekdays_are_those_of_the_calendar() {
        let of = |text: &str| text.parse::<Time>().unwrap();
        assert_eq!(of("2024-02-29T23:59:59.999999Z").next_month(), of("2024-03-01"));
        assert_eq!(of("2023-12-31").next_month(), of("2024-01-01"));
        for (text, month, weekday) in [("1970-01-01", 0, 3), ("2026-02-28", 1, 5), ("2024-12-30", 11, 0)] {
            assert_eq!((of(text).month(), of(text).weekday()), (month, weekday), "{text}");
        }
        assert_eq!(Time(-DAY).weekday(), 2);
    }

    #[test]
    fn offsets_are_those_of_the_earth() {
        assert_eq!("2011-09-09T14:00:00+14:00".parse(), "2011-09-09".parse::<Time>());
        for text in ["2011-09-09T14:00:00+14:01", "2011-09-09T14:00:00-25:00"] {
            assert_eq!(text.parse::<Time>(), Err(ParseTimeError::FarOffset(text.to_owned())));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "yesterday", "2011-13-01", "2011-09-09T12:00:00", "1969-12-31", "-000001-01-01"] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }
}
