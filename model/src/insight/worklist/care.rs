//! Care dates: days of the year on which a customer can be wished well.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use crate::{
    history::{AttributeValue, Attributes},
    time::{DAY, Time},
};

/// The midnight in UTC that begins the next care date, today's included: of the attributes named by `care_dates` with a
/// date such as `1980-02-29`, which return every year, and of the anniversaries of the first purchase. In years without
/// a 29 February the day before takes its place. None for a customer without any.
#[must_use]
pub fn next_care_time(
    attributes: Option<&Attributes>,
    care_dates: &[String],
    first_purchase: Option<Time>,
    as_of: Time,
) -> Option<Time> {
    let today = date(as_of)?;
    let named = care_dates.iter().filter_map(|name| match attributes?.get(name)? {
        AttributeValue::Text(text) => read_date(text),
        _ => None,
    });
    let named = named.filter_map(|date| in_year(date, today.year(), today));
    // The first purchase is no anniversary of itself.
    let anniversary = first_purchase
        .and_then(date)
        .and_then(|first| in_year(first, today.year().max(first.year() + 1), today));
    named.chain(anniversary).min().map(midnight)
}

/// `YYYY-MM-DD` and nothing else.
fn read_date(text: &str) -> Option<Date> {
    let parsed: Date = text.parse().ok()?;
    // The parser also takes shorter and longer forms.
    (text.len() == 10 && parsed.to_string() == text).then_some(parsed)
}

/// The first return of a date that is not before `today`, from a year on.
fn in_year(date: Date, year: i16, today: Date) -> Option<Date> {
    let of_year = |year: i16| {
        let same_day = Date::new(year, date.month(), date.day());
        // Only 29 February is missing in some years.
        same_day.or_else(|_| Date::new(year, date.month(), 28)).ok()
    };
    of_year(year).filter(|found| *found >= today).or_else(|| of_year(year.checked_add(1)?))
}

fn date(time: Time) -> Option<Date> {
    Some(Timestamp::from_microsecond(time.0).ok()?.to_zoned(TimeZone::UTC).date())
}

fn midnight(date: Date) -> Time {
    let epoch = Date::constant(1970, 1, 1);
    Time(date.duration_since(epoch).as_hours() / 24 * DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(born: Option<&str>, first_purchase: Option<&str>, as_of: &str) -> Option<String> {
        let mut attributes = Attributes::new();
        if let Some(born) = born {
            attributes.insert("birth_date".to_owned(), AttributeValue::Text(born.to_owned()));
        }
        let time = |text: &str| text.parse::<Time>().unwrap();
        let names = ["birth_date".to_owned()];
        let found = next_care_time(Some(&attributes), &names, first_purchase.map(time), time(as_of));
        found.map(|found| found.to_string()[..10].to_owned())
    }

    #[test]
    fn dates_return_every_year() {
        for (born, as_of, expected) in [
            ("1980-06-05", "2024-06-05T23:59:59Z", "2024-06-05"),
            ("1980-06-05", "2024-06-06", "2025-06-05"),
            ("1980-12-31", "2024-12-31T12:00:00Z", "2024-12-31"),
            ("1980-01-01", "2024-12-31T12:00:00Z", "2025-01-01"),
            ("1980-02-29", "2024-02-28", "2024-02-29"),
            ("1980-02-29", "2023-02-28", "2023-02-28"),
            ("1980-02-29", "2023-03-01", "2024-02-29"),
            ("1980-02-29", "2024-03-01", "2025-02-28"),
            ("2030-05-01", "2024-03-01", "2024-05-01"),
        ] {
            assert_eq!(next(Some(born), None, as_of).as_deref(), Some(expected), "{born} at {as_of}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in ["", "05.06.1980", "1980-13-01", "1980-02-30", "1980-06-05T00:00:00", "19800605", "today"]
        {
            assert_eq!(next(Some(text), None, "2024-06-01"), None, "{text}");
        }
        assert_eq!(next(None, None, "2024-06-01"), None);
        assert_eq!(next_care_time(None, &["birth_date".to_owned()], None, Time(0)), None);
    }

    #[test]
    fn the_first_purchase_has_anniversaries() {
        let first = Some("2023-06-05T10:00:00Z");
        for (as_of, expected) in [
            ("2023-06-05T10:00:00Z", "2024-06-05"),
            ("2024-06-05T09:00:00Z", "2024-06-05"),
            ("2024-06-06", "2025-06-05"),
        ] {
            assert_eq!(next(None, first, as_of).as_deref(), Some(expected), "{as_of}");
        }
        assert_eq!(next(None, Some("2024-02-29"), "2024-02-29").as_deref(), Some("2025-02-28"));
        assert_eq!(
            next(Some("1980-06-04"), first, "2024-06-01").as_deref(),
            Some("2024-06-04"),
            "the earlier"
        );
    }
}
