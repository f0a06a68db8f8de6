//! The periods of a report: those of the calendar of a time zone, with what they are compared with.

use jiff::{
    Timestamp, ToSpan,
    civil::{Date, date},
    tz::TimeZone,
};

use crate::time::Time;

/// The most periods of a report.
const MOST: usize = 1_000;

/// The first moment after all that Tally stores.
const AFTER_ALL: Time = Time(Time::MAX.0 + 1);

/// How time is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// Days.
    Day,
    /// Weeks from Monday.
    Week,
    /// Months.
    Month,
    /// Quarters.
    Quarter,
    /// Years.
    Year,
    /// Not at all: one period from the first to the last moment.
    All,
}

/// The moments from `start` on and before `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first moment.
    pub start: Time,
    /// The first moment after it.
    pub end: Time,
}

/// A period of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportPeriod {
    /// The whole period of the calendar.
    pub calendar: Span,
    /// What counts: the part of it within the range of the report.
    pub counted: Span,
    /// Whether the range cuts it, or it is not over yet. Nothing is compared with a partial period.
    pub partial: bool,
    /// The period of the calendar before; None for a partial one, and for [`Period::All`].
    pub previous: Option<Span>,
    /// The same period of the year before, for weeks the one 52 weeks before; None as for `previous`, and for
    /// 29 February.
    pub year_before: Option<Span>,
}

/// A report would have too many periods.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "the range has more than {MOST} periods; allowed are {MOST}, so choose longer periods or a shorter range"
)]
pub struct TooManyPeriods;

/// A time zone has no such name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("is no time zone; allowed are IANA names such as Europe/Berlin, and nothing for UTC")]
pub struct UnknownTimeZone;

/// The time zone of an IANA name; UTC for an empty one.
///
/// # Errors
/// [`UnknownTimeZone`].
pub fn time_zone(name: &str) -> Result<TimeZone, UnknownTimeZone> {
    if name.is_empty() { Ok(TimeZone::UTC) } else { TimeZone::get(name).map_err(|_| UnknownTimeZone) }
}

/// The periods that overlap `range`, in order; none when it is empty.
///
/// # Errors
/// [`TooManyPeriods`] when there are more than 1,000.
pub fn report_periods(
    period: Period,
    zone: &TimeZone,
    range: Span,
    now: Time,
) -> Result<Vec<ReportPeriod>, TooManyPeriods> {
    if range.start >= range.end {
        return Ok(Vec::new());
    }
    if period == Period::All {
        let all = ReportPeriod {
            calendar: range,
            counted: range,
            partial: false,
            previous: None,
            year_before: None,
        };
        return Ok(vec![all]);
    }
    let calendar = Calendar { period, zone };
    let mut periods = Vec::new();
    let mut first = calendar.first_day(range.start);
    loop {
        let next = calendar.shifted(first, 1);
        let whole = calendar.span(first);
        if whole.start >= range.end {
            return Ok(periods);
        }
        if periods.len() == MOST {
            return Err(TooManyPeriods);
        }
        let partial = whole.start < range.start || whole.end > range.end.min(now);
        let compared = |day: Option<Date>| day.filter(|_| !partial).map(|day| calendar.span(day));
        periods.push(ReportPeriod {
            calendar: whole,
            counted: Span { start: whole.start.max(range.start), end: whole.end.min(range.end) },
            partial,
            previous: compared(calendar.shifted(first, -1)),
            year_before: compared(calendar.year_before(first)),
        });
        let Some(next) = next else { return Ok(periods) };
        first = next;
    }
}

/// When the period of the calendar begins that holds `moment`; the moment itself for [`Period::All`].
#[must_use]
pub fn period_start(period: Period, zone: &TimeZone, moment: Time) -> Time {
    let calendar = Calendar { period, zone };
    if period == Period::All { moment } else { calendar.span(calendar.first_day(moment)).start }
}

/// The period of the calendar before the one that holds `moment`; None for [`Period::All`], and beyond the years that
/// dates can have.
#[must_use]
pub fn period_before(period: Period, zone: &TimeZone, moment: Time) -> Option<Span> {
    let calendar = Calendar { period, zone };
    let before = calendar.shifted(calendar.first_day(moment), -1);
    before.filter(|_| period != Period::All).map(|first| calendar.span(first))
}

/// The calendar of a time zone, divided into periods, each of which is known by its first day.
struct Calendar<'a> {
    period: Period,
    zone: &'a TimeZone,
}

impl Calendar<'_> {
    /// The first day of the period that holds a moment.
    fn first_day(&self, moment: Time) -> Date {
        let day = timestamp(moment).to_zoned(self.zone.clone()).date();
        match self.period {
            Period::Day | Period::All => day,
            Period::Week => {
                let after_monday = i64::from(day.weekday().to_monday_zero_offset());
                day.checked_sub(after_monday.days()).unwrap_or(day)
            }
            Period::Month => day.first_of_month(),
            Period::Quarter => date(day.year(), (day.month() - 1) / 3 * 3 + 1, 1),
            Period::Year => day.first_of_year(),
        }
    }

    /// The first day of the period that is `by` periods later; None beyond the years that dates can have.
    fn shifted(&self, first: Date, by: i64) -> Option<Date> {
        let span = match self.period {
            Period::Day | Period::All => by.days(),
            Period::Week => by.weeks(),
            Period::Month => by.months(),
            Period::Quarter => (3 * by).months(),
            Period::Year => by.years(),
        };
        first.checked_add(span).ok()
    }

    fn year_before(&self, first: Date) -> Option<Date> {
        match self.period {
            Period::Week => self.shifted(first, -52),
            // Subtracting a year would make 28 February of 29 February.
            _ => Date::new(first.year() - 1, first.month(), first.day()).ok(),
        }
    }

    /// The moments of the period that begins on this day.
    fn span(&self, first: Date) -> Span {
        let moment = |day: Option<Date>| day.and_then(|day| self.midnight(day)).unwrap_or(AFTER_ALL);
        Span { start: moment(Some(first)), end: moment(self.shifted(first, 1)) }
    }

    /// The first moment of a day, which is not always midnight.
    fn midnight(&self, day: Date) -> Option<Time> {
        let start = day.to_zoned(self.zone.clone()).ok()?;
        Some(Time(start.timestamp().as_microsecond()))
    }
}

fn timestamp(moment: Time) -> Timestamp {
    Timestamp::from_microsecond(moment.0).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn periods(period: Period, zone: &str, from: &str, to: &str) -> Vec<ReportPeriod> {
        let range = Span { start: at(from), end: at(to) };
        report_periods(period, &time_zone(zone).unwrap(), range, at("2030-01-01")).unwrap()
    }

    fn spans(periods: &[ReportPeriod]) -> Vec<String> {
        let shown = |p: &ReportPeriod| {
            let mark = if p.partial { " partial" } else { "" };
            format!("{} {}{mark}", p.calendar.start, p.calendar.end)
        };
        periods.iter().map(shown).collect()
    }

    #[test]
    fn months_follow_the_time_zone_and_its_daylight_saving() {
        let found = periods(Period::Month, "America/New_York", "2011-03-01T05:00:00Z", "2011-05-15");
        assert_eq!(
            spans(&found),
            [
                "2011-03-01T05:00:00Z 2011-04-01T04:00:00Z",
                "2011-04-01T04:00:00Z 2011-05-01T04:00:00Z",
                "2011-05-01T04:00:00Z 2011-06-01T04:00:00Z partial",
            ]
        );
        assert_eq!(found[0].previous.unwrap().start, at("2011-02-01T05:00:00Z"));
        assert_eq!(found[0].year_before.unwrap().end, at("2010-04-01T04:00:00Z"));
        assert_eq!((found[2].previous, found[2].year_before), (None, None));
        assert_eq!(found[2].counted.end, at("2011-05-15"));
    }

    #[test]
    fn weeks_begin_on_monday_and_years_before_are_52_weeks_before() {
        let found = periods(Period::Week, "", "2024-01-01", "2024-01-15");
        assert_eq!(
            spans(&found),
            ["2024-01-01T00:00:00Z 2024-01-08T00:00:00Z", "2024-01-08T00:00:00Z 2024-01-15T00:00:00Z"]
        );
        assert_eq!(found[0].year_before.unwrap().start, at("2023-01-02"));
        assert_eq!(
            spans(&periods(Period::Week, "", "2024-01-03", "2024-01-04")),
            ["2024-01-01T00:00:00Z 2024-01-08T00:00:00Z partial"]
        );
    }

    #[test]
    fn a_leap_day_has_no_year_before() {
        let found = periods(Period::Day, "", "2024-02-29", "2024-03-02");
        assert_eq!(found[0].year_before, None);
        assert_eq!(found[0].previous.unwrap().start, at("2024-02-28"));
        assert_eq!(found[1].year_before.unwrap().start, at("2023-03-01"));
    }

    #[test]
    fn quarters_and_years_begin_in_january() {
        let found = periods(Period::Quarter, "", "2024-02-01", "2024-07-01");
        assert_eq!(spans(&found)[0], "2024-01-01T00:00:00Z 2024-04-01T00:00:00Z partial");
        assert_eq!(found[1].previous.unwrap().start, at("2024-01-01"));
        assert_eq!(periods(Period::Year, "", "2020-01-01", "2024-01-01").len(), 4);
    }

    #[test]
    fn every_period_has_one_before() {
        let zone = time_zone("America/New_York").unwrap();
        let before = |period: Period, moment: &str| {
            period_before(period, &zone, at(moment)).map(|span| format!("{} {}", span.start, span.end))
        };
        let march = Some("2011-03-01T05:00:00Z 2011-04-01T04:00:00Z".to_owned());
        assert_eq!(before(Period::Month, "2011-04-01T04:00:00Z"), march);
        assert_eq!(before(Period::Month, "2011-04-20"), march);
        let week = Some("2011-03-07T05:00:00Z 2011-03-14T04:00:00Z".to_owned());
        assert_eq!(before(Period::Week, "2011-03-14T04:00:00Z"), week);
        assert_eq!(before(Period::All, "2011-04-20"), None);
    }

    #[test]
    fn a_day_may_lack_its_midnight() {
        // Clocks went from 0:00 to 1:00.
        let found = periods(Period::Day, "America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-05T02:00:00Z");
        assert_eq!(spans(&found), ["2018-11-04T03:00:00Z 2018-11-05T02:00:00Z"]);
    }

    #[test]
    fn all_is_one_period_that_is_never_partial() {
        let found = periods(Period::All, "", "2024-02-01T12:00:00Z", "2024-02-02");
        assert_eq!(spans(&found), ["2024-02-01T12:00:00Z 2024-02-02T00:00:00Z"]);
        assert_eq!(found[0].previous, None);
    }

    #[test]
    fn a_period_that_is_not_over_is_partial() {
        let range = Span { start: at("2024-01-01"), end: at("2024-02-01") };
        let now = at("2024-01-31T23:00:00Z");
        let found = report_periods(Period::Month, &TimeZone::UTC, range, now).unwrap();
        assert!(found[0].partial);
    }

    #[test]
    fn a_thousand_periods_are_allowed() {
        let range = |days: i64| Span { start: at("2000-01-01"), end: at("2000-01-01").plus_days(days) };
        let count = |days: i64| report_periods(Period::Day, &TimeZone::UTC, range(days), at("2030-01-01"));
        assert_eq!(count(1_000).unwrap().len(), 1_000);
        assert_eq!(count(1_001), Err(TooManyPeriods));
        assert_eq!(count(0).unwrap(), []);
    }

    #[test]
    fn the_ends_of_time_have_periods() {
        let zone = TimeZone::UTC;
        for (start, end) in [(Time::MIN, Time(1)), (Time::MAX, Time(Time::MAX.0 + 1))] {
            for period in [Period::Day, Period::Week, Period::Month, Period::Quarter, Period::Year] {
                assert_eq!(report_periods(period, &zone, Span { start, end }, Time::MAX).unwrap().len(), 1);
            }
        }
    }

    #[test]
    fn unknown_time_zones_are_refused() {
        assert_eq!(time_zone("Mars/Olympus").err(), Some(UnknownTimeZone));
        assert!(time_zone("Europe/Berlin").is_ok() && time_zone("").is_ok());
    }
}
