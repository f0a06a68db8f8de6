//! Times as files write them.

use jiff::{
    Timestamp,
    civil::{DateTime, Time},
    fmt::strtime::BrokenDownTime,
    tz::TimeZone,
};
use tally_proto::values::is_placeholder;

use crate::time::{self, InvalidTime, TimeFormat};

/// Reads the times of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct TimeReader {
    pub(super) format: TimeFormat,
    /// Of times without an offset.
    pub(super) zone: Option<TimeZone>,
}

impl TimeReader {
    /// Reads a time after the beginning of 1970. The error is a sentence without its subject, the column.
    pub(super) fn read(&self, text: &str) -> Result<Timestamp, String> {
        if text.is_empty() {
            return Err("is empty".to_owned());
        }
        if is_placeholder(text) || text.starts_with("0000-00-00") {
            return Err(format!("`{text}` stands for a missing time; a time is required"));
        }
        let moment = match &self.format {
            TimeFormat::Usual => self.usual(text)?,
            TimeFormat::Pattern(pattern) => self.by_pattern(pattern, text)?,
            TimeFormat::Unix => unix(text, 1e6)?,
            TimeFormat::UnixMillis => unix(text, 1e3)?,
        };
        let moment = Timestamp::from_microsecond(moment.as_microsecond()).unwrap_or(moment);
        if moment <= Timestamp::UNIX_EPOCH {
            return Err(format!(
                "`{text}` is 1970-01-01T00:00:00Z or before, which is what an unset field or a zero in the source \
                 becomes"
            ));
        }
        Ok(moment)
    }

    fn usual(&self, text: &str) -> Result<Timestamp, String> {
        // Nothing as short as a date has an offset.
        if text.len() > "2026-01-31".len()
            && let Some(moment) = time::with_offset(text).map_err(|error| error.to_string())?
        {
            return Ok(moment);
        }
        match time::civil(text) {
            Some((moment, is_date)) => self.in_zone(moment, is_date, text),
            None => Err(format!(
                "`{text}` is not a time as Tally reads it, such as 2026-01-31, 2026-01-31T13:45:00Z or \
                 2026-01-31 13:45:00 +0400; --time-format says how others are written, such as %d.%m.%Y"
            )),
        }
    }

    fn by_pattern(&self, pattern: &str, text: &str) -> Result<Timestamp, String> {
        let not_so = |error| format!("`{text}` is not written as --time-format says: {error}");
        let parts = BrokenDownTime::parse(pattern, text).map_err(not_so)?;
        if let Ok(moment) = parts.to_timestamp() {
            return match parts.offset().is_none_or(time::is_of_the_earth) {
                true => Ok(moment),
                false => Err(InvalidTime::FarOffset(text.to_owned()).to_string()),
            };
        }
        let date = parts.to_date().map_err(not_so)?;
        match parts.hour() {
            Some(_) => self.in_zone(parts.to_datetime().map_err(not_so)?, false, text),
            None => self.in_zone(date.to_datetime(Time::midnight()), true, text),
        }
    }

    /// The moment of a time without an offset. A date without a time zone is its midnight in UTC.
    fn in_zone(&self, moment: DateTime, is_date: bool, text: &str) -> Result<Timestamp, String> {
        let zone = match &self.zone {
            Some(zone) => zone,
            None if is_date => &TimeZone::UTC,
            None => {
                return Err(format!(
                    "`{text}` has no offset from UTC; --time-zone names the time zone of such times, such as \
                     Europe/Berlin or UTC"
                ));
            }
        };
        zone.to_timestamp(moment).map_err(|error| format!("`{text}` is not a moment: {error}"))
    }
}

/// A number of seconds, or of other units of which `micros` microseconds are one.
fn unix(text: &str, micros: f64) -> Result<Timestamp, String> {
    let number = text.parse::<f64>().ok().map(|number| (number * micros).round());
    // Whole microseconds up to the year 9999 are exact in a float.
    let moment = number.filter(|micros| micros.is_finite()).and_then(|micros| {
        Timestamp::from_microsecond(micros as i64).ok().filter(|_| micros.abs() < i64::MAX as f64)
    });
    let unit = if micros == 1e6 { "seconds" } else { "milliseconds" };
    moment.ok_or_else(|| format!("`{text}` is not a number of {unit} since 1970 up to the year 9999"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{time_format, time_zone};

    fn read(zone: Option<&str>, format: &str, text: &str) -> Result<String, String> {
        let format = if format.is_empty() { TimeFormat::Usual } else { time_format(format).unwrap() };
        let reader = TimeReader { format, zone: zone.map(|zone| time_zone(zone).unwrap()) };
        reader.read(text).map(|moment| moment.to_string())
    }

    #[test]
    fn unambiguous_times_are_read() {
        for text in [
            "2025-04-05T17:06:21Z",
            "2025-04-05t17:06:21z",
            "2025-04-05 21:06:21 +0400",
            "2025-04-05T17:06:21.000+0000",
            "2025-04-05 17:06:21+00",
            "2025-04-05 22:36:21+05:30",
            "2025-04-05 17:06:21 UTC",
            "2025-04-05 17:06:21 GMT",
            "2025-04-05 17:06:21.0 Z",
            "Sat, 05 Apr 2025 17:06:21 GMT",
        ] {
            assert_eq!(read(None, "", text).as_deref(), Ok("2025-04-05T17:06:21Z"), "{text}");
            // An offset in the text counts more than the time zone.
            assert_eq!(
                read(Some("Asia/Shanghai"), "", text).as_deref(),
                Ok("2025-04-05T17:06:21Z"),
                "{text}"
            );
        }
        let fraction = read(None, "", "2025-04-05 17:06:21.1234567 UTC");
        assert_eq!(fraction.as_deref(), Ok("2025-04-05T17:06:21.123456Z"));
    }

    #[test]
    fn times_without_an_offset_need_a_time_zone() {
        for text in ["2025-04-05 17:06", "2025-04-05 17:06:00", "2025/4/5 17:06", "2025-04-05T17:06:00.000"] {
            assert!(read(None, "", text).unwrap_err().contains("--time-zone"), "{text}");
            assert_eq!(
                read(Some("Europe/Berlin"), "", text).as_deref(),
                Ok("2025-04-05T15:06:00Z"),
                "{text}"
            );
            assert_eq!(read(Some("+08:00"), "", text).as_deref(), Ok("2025-04-05T09:06:00Z"), "{text}");
        }
        for text in ["2025-04-05", "2025/4/5", "2025/04/05"] {
            assert_eq!(read(None, "", text).as_deref(), Ok("2025-04-05T00:00:00Z"), "{text}");
            assert_eq!(
                read(Some("Asia/Shanghai"), "", text).as_deref(),
                Ok("2025-04-04T16:00:00Z"),
                "{text}"
            );
        }
        let berlin = |text| read(Some("Europe/Berlin"), "", text);
        assert_eq!(berlin("2025-03-30 02:30").as_deref(), Ok("2025-03-30T01:30:00Z"), "skipped");
        assert_eq!(berlin("2025-10-26 02:30").as_deref(), Ok("2025-10-26T00:30:00Z"), "the first of two");
        assert!(time_zone("Mars/Olympus").is_err());
    }

    #[test]
    fn other_times_are_read_by_their_format() {
        let berlin = Some("Europe/Berlin");
        for (zone, format, text, moment) in [
            (None, "unix", "1743872781", "2025-04-05T17:06:21Z"),
            (None, "unix", "1743872781.5", "2025-04-05T17:06:21.5Z"),
            (None, "unix-ms", "1743872781123", "2025-04-05T17:06:21.123Z"),
            (berlin, "%d.%m.%Y %H:%M", "05.04.2025 17:06", "2025-04-05T15:06:00Z"),
            (berlin, "%m/%d/%Y %I:%M %p", "4/5/2025 05:06 PM", "2025-04-05T15:06:00Z"),
            (None, "%d.%m.%Y", "05.04.2025", "2025-04-05T00:00:00Z"),
            (None, "%Y%m%d", "20250405", "2025-04-05T00:00:00Z"),
            (None, "%d/%b/%Y:%H:%M:%S %z", "05/Apr/2025:17:06:21 +0000", "2025-04-05T17:06:21Z"),
        ] {
            assert_eq!(read(zone, format, text).as_deref(), Ok(moment), "{format}");
        }
        assert!(read(None, "%d.%m.%Y %H:%M", "05.04.2025 17:06").unwrap_err().contains("--time-zone"));
        assert!(read(None, "unix", "1743872781000").is_err());
        assert!(time_format("dd.mm.yyyy").is_err());
    }

    #[test]
    fn offsets_that_no_place_has_are_refused() {
        for (format, text) in [
            ("", "2025-04-05T17:06:21+25:00"),
            ("", "2025-04-05 17:06:21 -1830"),
            ("%d/%b/%Y:%H:%M:%S %z", "05/Apr/2025:17:06:21 +2000"),
        ] {
            let message = read(None, format, text).unwrap_err();
            assert!(message.contains("allowed are offsets from -14:00 to +14:00"), "{text}: {message}");
        }
    }

    #[test]
    fn what_is_no_time_is_told() {
        for text in ["0000-00-00", "0000-00-00 00:00:00", "NULL"] {
            assert!(read(None, "", text).unwrap_err().contains("missing time"), "{text}");
        }
        for (text, format) in [("1970-01-01", ""), ("1969-12-31T23:00:00Z", ""), ("0", "unix")] {
            assert!(read(None, format, text).unwrap_err().contains("1970"), "{text}");
        }
        for text in
            ["4/5/2025 17:06", "05.04.2025 17:06", "45752.7127", "20250405", "yesterday", "2025-13-01"]
        {
            assert!(read(None, "", text).unwrap_err().contains("--time-format"), "{text}");
        }
    }
}
