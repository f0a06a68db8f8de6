//! Times as people and CSV files write them, as the contract sends them, and as they are printed:
//! RFC 3339 in UTC. Tally stores microseconds, so nothing finer is sent or shown.

use prost_types::Timestamp;

/// The text is not a time that Tally accepts.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a time of the years 1970 to 9999, such as 2026-01-31 or 2026-01-31T13:45:00Z")]
pub struct InvalidTime(String);

/// Reads RFC 3339 with an offset (`2026-01-31T13:45:00Z`), or a date, which is its midnight in UTC.
pub(crate) fn parse(text: &str) -> Result<jiff::Timestamp, InvalidTime> {
    let is_date = text.len() == "2026-01-31".len();
    let full = if is_date { format!("{text}T00:00:00Z") } else { text.to_owned() };
    let moment = full
        .parse::<jiff::Timestamp>()
        .and_then(|moment| jiff::Timestamp::from_microsecond(moment.as_microsecond()));
    moment
        .ok()
        .filter(|moment| *moment >= jiff::Timestamp::UNIX_EPOCH)
        .ok_or_else(|| InvalidTime(text.to_owned()))
}

/// The time in the contract.
pub(crate) fn timestamp(moment: jiff::Timestamp) -> Timestamp {
    Timestamp { seconds: moment.as_second(), nanos: moment.subsec_nanosecond() }
}

/// The time as text, with as many digits of a second as needed.
pub(crate) fn format(timestamp: &Timestamp) -> String {
    let micros =
        timestamp.seconds.saturating_mul(1_000_000).saturating_add(i64::from(timestamp.nanos / 1_000));
    jiff::Timestamp::from_microsecond(micros)
        .map_or_else(|_| format!("{micros} µs"), |moment| moment.to_string())
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
        assert_eq!(format(&Timestamp { seconds: i64::MAX, nanos: 0 }), format!("{} µs", i64::MAX));
    }

    #[test]
    fn other_texts_are_refused() {
        for text in ["", "yesterday", "2011-13-01", "2011-09-09T12:00:00", "1969-12-31", "-000001-01-01"] {
            assert_eq!(parse(text), Err(InvalidTime(text.to_owned())));
        }
    }
}
