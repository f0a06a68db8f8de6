//! Times as people and CSV files write them, as the contract sends them, and as they are printed:
//! RFC 3339 in UTC. Tally stores microseconds, so nothing finer is sent or shown.

use jiff::{
    civil::{Date, DateTime, Time},
    fmt::{
        strtime::{self, BrokenDownTime},
        temporal::Pieces,
    },
    tz::{Offset, TimeZone},
};
use prost_types::Timestamp;

/// Hours from UTC that no place of the earth is beyond; XML Schema allows as many. RFC 3339 has offsets of up to 23:59
/// and jiff reads up to 25:59, but such an offset is a mistake, and its time would be off by up to a day.
const FARTHEST_HOURS: i32 = 14;

/// The text is not a time that Tally accepts.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidTime {
    /// No time.
    #[error("`{0}` is not a time of the years 1970 to 9999, such as 2026-01-31 or 2026-01-31T13:45:00Z")]
    NoTime(String),
    /// A time with an offset that is none of the earth.
    #[error("`{0}` is farther from UTC than any place; allowed are offsets from -14:00 to +14:00")]
    FarOffset(String),
}

/// Reads a time with an offset (`2026-01-31T13:45:00Z`), or a date, which is its midnight in UTC.
pub(crate) fn parse(text: &str) -> Result<jiff::Timestamp, InvalidTime> {
    let moment = with_offset(text)?.or_else(|| {
        let (moment, is_date) = civil(text)?;
        is_date.then(|| TimeZone::UTC.to_timestamp(moment).ok()).flatten()
    });
    moment
        .and_then(|moment| jiff::Timestamp::from_microsecond(moment.as_microsecond()).ok())
        .filter(|moment| *moment >= jiff::Timestamp::UNIX_EPOCH)
        .ok_or_else(|| InvalidTime::NoTime(text.to_owned()))
}

/// A moment, or a day whose first moment depends on the time zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A time with an offset.
    Time(jiff::Timestamp),
    /// A date.
    Day(Date),
}

impl Moment {
    /// The moment; of a day the one with which it begins in this time zone.
    pub(crate) fn begin(self, zone: &TimeZone) -> jiff::Timestamp {
        match self {
            Self::Time(time) => time,
            // Only the last day of 9999 ends beyond what times can be.
            Self::Day(day) => day.to_zoned(zone.clone()).map_or(jiff::Timestamp::MAX, |day| day.timestamp()),
        }
    }

    /// The moment; of a day the last one in UTC, or `now` while the day is not over.
    pub(crate) fn end(self, now: jiff::Timestamp) -> jiff::Timestamp {
        match self {
            Self::Time(time) => time,
            Self::Day(day) => {
                let last = day.at(23, 59, 59, 999_999_000).to_zoned(TimeZone::UTC);
                let begin = self.begin(&TimeZone::UTC);
                last.map_or(begin, |last| last.timestamp()).min(now.max(begin))
            }
        }
    }
}

/// Reads a time with an offset, or a date, for [`Moment::begin`] and [`Moment::end`].
pub(crate) fn moment(text: &str) -> Result<Moment, InvalidTime> {
    let time = parse(text)?;
    let day = civil(text).filter(|(_, is_date)| *is_date && with_offset(text) == Ok(None));
    Ok(day.map_or(Moment::Time(time), |(moment, _)| Moment::Day(moment.date())))
}

/// Reads a time with an offset from UTC as programs write it: RFC 3339, also with a space in place of the T, before
/// the offset, or with an offset such as +0400, +00 and UTC; and the dates of HTTP and e-mail. None for any other text.
///
/// # Errors
/// When the offset is none of the earth.
pub(crate) fn with_offset(text: &str) -> Result<Option<jiff::Timestamp>, InvalidTime> {
    let (moment, offset) = match offset_time(text) {
        None => return Ok(None),
        Some(found) => found,
    };
    if is_of_the_earth(offset) { Ok(Some(moment)) } else { Err(InvalidTime::FarOffset(text.to_owned())) }
}

/// Whether there are clocks with this offset from UTC.
pub(crate) fn is_of_the_earth(offset: Offset) -> bool {
    offset.seconds().abs() <= FARTHEST_HOURS * 3_600
}

fn offset_time(text: &str) -> Option<(jiff::Timestamp, Offset)> {
    let of_rfc_3339 = |text: &str| {
        let offset = || Pieces::parse(text).ok().and_then(|pieces| pieces.to_numeric_offset());
        Some((text.parse().ok()?, offset().unwrap_or(Offset::UTC)))
    };
    if let Some(found) = of_rfc_3339(text) {
        return Some(found);
    }
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        let zoned = jiff::fmt::rfc2822::DateTimeParser::new().parse_zoned(text).ok()?;
        return Some((zoned.timestamp(), zoned.offset()));
    }
    let (local, offset) = match text.rsplit_once(' ')? {
        (local, "UTC" | "GMT" | "Z" | "z") => (local, "Z"),
        (local, offset) if offset.starts_with(['+', '-']) => (local, offset),
        _ => return None,
    };
    of_rfc_3339(&format!("{}{offset}", local.trim_end()))
}

/// Reads a time without an offset, such as `2026-01-31 13:45` or `2026/1/31`, and whether it is a date alone.
pub(crate) fn civil(text: &str) -> Option<(DateTime, bool)> {
    let (date, time) =
        text.split_once([' ', 'T', 't']).map_or((text, None), |(date, time)| (date, Some(time)));
    let mut parts = date.split(if date.contains('/') { '/' } else { '-' });
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = |text: &str, most: usize| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if parts.next().is_some() || year.len() != 4 || !digits(year, 4) || !digits(month, 2) || !digits(day, 2) {
        return None;
    }
    let date = format!("{year}-{month:0>2}-{day:0>2}").parse::<Date>().ok()?;
    let Some(time) = time else { return Some((date.to_datetime(Time::midnight()), true)) };
    let hour = time.split(':').next().filter(|hour| time.contains(':') && digits(hour, 2))?;
    let time = if hour.len() == 1 { format!("0{time}") } else { time.to_owned() };
    // Only times of the day: the parser of jiff also takes what follows, such as an offset.
    let plain = time.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b','));
    Some((date.to_datetime(time.parse::<Time>().ok().filter(|_| plain)?), false))
}

/// How the times of a file are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TimeFormat {
    /// As most programs write them.
    #[default]
    Usual,
    /// By a pattern of strptime.
    Pattern(String),
    /// Seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMillis,
}

/// Reads a pattern of strptime, `unix` or `unix-ms`.
pub(crate) fn time_format(text: &str) -> Result<TimeFormat, String> {
    match text {
        "unix" => Ok(TimeFormat::Unix),
        "unix-ms" => Ok(TimeFormat::UnixMillis),
        pattern if pattern.contains('%') => {
            let sample = jiff::Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
            strtime::format(pattern, &sample).map_err(|error| error.to_string())?;
            Ok(TimeFormat::Pattern(pattern.to_owned()))
        }
        _ => Err("give unix, unix-ms, or a pattern such as %d.%m.%Y %H:%M".to_owned()),
    }
}

/// Reads the name of a time zone or an offset from UTC.
pub(crate) fn time_zone(text: &str) -> Result<TimeZone, String> {
    let offset = ["%:z", "%z"].iter().find_map(|pattern| BrokenDownTime::parse(pattern, text).ok()?.offset());
    match offset {
        Some(offset) if !is_of_the_earth(offset) => {
            Err("give an offset from UTC from -14:00 to +14:00; no place is farther".to_owned())
        }
        Some(offset) => Ok(TimeZone::fixed(offset)),
        None => TimeZone::get(text)
            .map_err(|_| "give a name such as Europe/Berlin, or an offset such as +08:00".to_owned()),
    }
}

/// Reads the name of a time zone, as the contract has it.
pub(crate) fn named_zone(text: &str) -> Result<TimeZone, String> {
    let zone = TimeZone::get(text).ok().filter(|zone| zone.iana_name().is_some());
    zone.ok_or_else(|| "give a name such as Europe/Berlin".to_owned())
}

/// The time in the contract.
pub(crate) fn timestamp(moment: jiff::Timestamp) -> Timestamp {
    Timestamp { seconds: moment.as_second(), nanos: moment.subsec_nanosecond() }
}

/// The time as text, with as many digits of a second as needed.
pub(crate) fn format(timestamp: &Timestamp) -> String {
    let micros =
        timestamp.seconds.saturating_mul(1_000_000).saturating_add(i64::from(timestamp.nanos / 1_000));
    if let Ok(moment) = jiff::Timestamp::from_microsecond(micros) {
        return moment.to_string();
    }
    // A timestamp of jiff ends before 9999 does, so that it has a date in every time zone; a civil time does not.
    let epoch = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
    let time = epoch.checked_add(jiff::SignedDuration::from_micros(micros));
    time.map_or_else(|_| format!("{micros} µs"), |time| format!("{time}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_times_are_read_and_written() {
        for (text, written) in [
            ("2011-09-09", "2011-09-09T00:00:00Z"),
            ("2011-09-09T12:00:00Z", "2011-09-09T12:00:00Z"),
            ("2011-09-09T14:00:00+02:00", "2011-09-09T12:00:00Z"),
            ("2011-09-09T12:00:00.5000019Z", "2011-09-09T12:00:00.500001Z"),
            ("1970-01-01", "1970-01-01T00:00:00Z"),
            ("9999-12-29T23:59:59.999999Z", "9999-12-29T23:59:59.999999Z"),
        ] {
            assert_eq!(format(&timestamp(parse(text).unwrap())), written);
        }
        assert_eq!(parse("2011-09-09").map(timestamp), Ok(Timestamp { seconds: 1_315_526_400, nanos: 0 }));
        assert_eq!(
            format(&Timestamp { seconds: 1_315_569_600, nanos: 1_999 }),
            "2011-09-09T12:00:00.000001Z"
        );
        assert_eq!(
            format(&Timestamp { seconds: 253_402_300_799, nanos: 999_999_999 }),
            "9999-12-31T23:59:59.999999Z"
        );
        assert_eq!(format(&Timestamp { seconds: i64::MAX, nanos: 0 }), format!("{} µs", i64::MAX));
    }

    #[test]
    fn days_begin_in_their_time_zone() {
        let begin =
            |text: &str, zone: &str| moment(text).unwrap().begin(&named_zone(zone).unwrap()).to_string();
        assert_eq!(begin("2026-01-01", "America/New_York"), "2026-01-01T05:00:00Z");
        assert_eq!(begin("2026-01-01", "UTC"), "2026-01-01T00:00:00Z");
        assert_eq!(begin("2026-01-01T00:00:00Z", "America/New_York"), "2026-01-01T00:00:00Z");
        assert!(moment("2026-01-32").is_err());
        let end = |text: &str, now: &str| moment(text).unwrap().end(parse(now).unwrap()).to_string();
        assert_eq!(end("2026-03-14T07:00:00Z", "2026-03-14T06:00:00Z"), "2026-03-14T07:00:00Z");
        assert_eq!(end("2026-03-14", "2026-03-15"), "2026-03-14T23:59:59.999999Z");
        assert_eq!(end("2026-03-14", "2026-03-14T06:00:00Z"), "2026-03-14T06:00:00Z");
        assert_eq!(
            end("2026-03-14", "2026-03-13T06:00:00Z"),
            "2026-03-14T00:00:00Z",
            "the server refuses it"
        );
    }

    #[test]
    fn time_zones_of_the_contract_have_names() {
        let name = |text| named_zone(text).map(|zone| zone.iana_name().map(str::to_owned));
        assert_eq!(name("America/New_York"), Ok(Some("America/New_York".to_owned())));
        assert_eq!(name("UTC"), Ok(Some("UTC".to_owned())));
        for text in ["", "+02:00", "Mars"] {
            assert!(name(text).is_err(), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "yesterday", "2011-13-01", "2011-09-09T12:00:00", "1969-12-31", "-000001-01-01"] {
            assert_eq!(parse(text), Err(InvalidTime::NoTime(text.to_owned())));
        }
    }

    #[test]
    fn offsets_are_those_of_the_earth() {
        assert_eq!(parse("2025-04-05T14:00:00+14:00"), parse("2025-04-05T00:00:00Z"));
        assert_eq!(parse("2025-04-05T00:00:00-14:00"), parse("2025-04-05T14:00:00Z"));
        for text in [
            "2025-04-05T17:06:21+14:01",
            "2025-04-05T17:06:21-18:00",
            "2025-04-05T17:06:21+23:59",
            "2025-04-05 17:06:21 +2559",
            "Sat, 05 Apr 2025 17:06:21 +2300",
        ] {
            assert_eq!(parse(text), Err(InvalidTime::FarOffset(text.to_owned())));
        }
        assert!(time_zone("+14:00").is_ok() && time_zone("-1400").is_ok());
        for text in ["+14:30", "-23:00"] {
            assert!(time_zone(text).unwrap_err().contains("-14:00 to +14:00"), "{text}");
        }
    }
}
