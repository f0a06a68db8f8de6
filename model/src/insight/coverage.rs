//! How far back the data reach. What compares with a time before the first purchase compares with nothing, or with a
//! part of it: that is when the data begin, and says nothing of the business. The numbers stay as they are defined; the
//! sentences of this module stand beside them.

use super::{ReportPeriod, Span};
use crate::{
    counted,
    time::{DAY, Time},
};

/// The part of a time that may lie before the first purchase. A month may begin with a holiday.
const TOLERATED: f64 = 0.05;

/// How much of a time lies before the first purchase, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Uncovered {
    Nothing,
    Part,
    All,
}

impl Uncovered {
    fn of(span: Span, first: Time) -> Self {
        let days = |from: Time, to: Time| to.days_since(from).max(0.0);
        match days(span.start, first) / days(span.start, span.end) {
            _ if first >= span.end => Self::All,
            part if part > TOLERATED => Self::Part,
            _ => Self::Nothing,
        }
    }
}

/// The warning that the growth of customers compares a window of so many days up to `as_of` with one that the purchases
/// cover in part. Where they cover nothing of it, there is no growth.
#[must_use]
pub fn growth_warning(as_of: Time, window_days: u32, first: Option<Time>) -> Option<String> {
    let first = first?;
    let [start, end] = [2, 1].map(|windows| as_of.plus_days(-windows * i64::from(window_days)));
    (Uncovered::of(Span { start, end }, first) == Uncovered::Part).then(|| {
        format!(
            "the first purchase that is known is of {}, and the window before begins on {}: growth compares {} with \
             the last {} of the {window_days} before, so that it is too great",
            date(first),
            date(start),
            counted(window_days, "day", "days"),
            (end.0 - first.0 + DAY - 1) / DAY
        )
    })
}

/// The warning that key figures of periods stand beside values of a time before the first purchase.
#[must_use]
pub fn kpi_warning(periods: &[ReportPeriod], first: Option<Time>) -> Option<String> {
    let what = "their previous and year-before values are 0 or too small";
    periods_warning(periods, first?, what, |uncovered| uncovered != Uncovered::Nothing)
}

/// The warning that the growth of sales compares with periods that the purchases cover in part. Where they cover nothing,
/// there is no growth.
#[must_use]
pub fn sales_warning(periods: &[ReportPeriod], first: Option<Time>) -> Option<String> {
    let what = "their growth is too great";
    periods_warning(periods, first?, what, |uncovered| uncovered == Uncovered::Part)
}

fn periods_warning(
    periods: &[ReportPeriod],
    first: Time,
    what: &str,
    matters: fn(Uncovered) -> bool,
) -> Option<String> {
    let is_compared =
        |compared: Option<Span>| compared.is_some_and(|compared| matters(Uncovered::of(compared, first)));
    let count = |of: fn(&ReportPeriod) -> Option<Span>| {
        periods.iter().filter(|period| is_compared(of(period))).count()
    };
    let [previous, year_before] = [count(|period| period.previous), count(|period| period.year_before)];
    (previous + year_before > 0).then(|| {
        format!(
            "the first purchase that is known is of {}: of {}, {} with a period before and {year_before} with a year \
             before that begins earlier; {what}",
            date(first),
            counted(periods.len(), "period", "periods"),
            counted(previous, "is compared", "are compared")
        )
    })
}

/// The date of a moment, in UTC.
fn date(time: Time) -> String {
    time.to_string().chars().take("2024-02-10".len()).collect()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::insight::{Period, report_periods};

    fn time(text: &str) -> Time {
        Time(text.parse::<jiff::Timestamp>().unwrap().as_microsecond())
    }

    #[test]
    fn growth_is_questionable_where_the_window_before_is_covered_in_part() {
        // The window before is from 2023-07-02 to 2024-07-01.
        let of = |first: &str| growth_warning(time("2025-07-01T00:00:00Z"), 365, Some(time(first)));
        assert_eq!(
            of("2024-02-10T12:00:00Z").unwrap(),
            "the first purchase that is known is of 2024-02-10, and the window before begins on 2023-07-02: growth compares \
             365 days with the last 142 of the 365 before, so that it is too great"
        );
        // 18 of 365 days are less than a twentieth, and 19 are more.
        assert_eq!((of("2023-07-20T00:00:00Z"), of("2023-07-21T00:00:00Z").is_some()), (None, true));
        assert_eq!(of("2020-01-01T00:00:00Z"), None);
        assert!(of("2024-06-30T23:59:59Z").unwrap().contains("with the last 1 of the 365"));
        assert_eq!(
            (of("2024-07-01T00:00:00Z"), of("2025-06-01T00:00:00Z")),
            (None, None),
            "no growth at all"
        );
        assert_eq!(growth_warning(time("2025-07-01T00:00:00Z"), 365, None), None);
    }

    #[test]
    fn reports_say_which_periods_are_compared_with_too_little() {
        let range = |start: &str, end: &str| Span { start: time(start), end: time(end) };
        let year = range("2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z");
        let now = time("2026-03-01T00:00:00Z");
        let months = report_periods(Period::Month, &TimeZone::UTC, year, now).unwrap();
        let first = |text: &str| Some(time(text));
        // The year before of January to March has nothing, of April a half.
        let kpis = kpi_warning(&months, first("2024-04-15T12:00:00Z")).unwrap();
        assert!(
            kpis.starts_with("the first purchase that is known is of 2024-04-15: of 12 periods, 0 are compared with a period \
                              before and 4 with a year before that begins earlier; their previous"),
            "{kpis}"
        );
        let sales = sales_warning(&months, first("2024-04-15T12:00:00Z")).unwrap();
        assert!(sales.contains(" 0 are compared with a period before and 1 with a year before "), "{sales}");
        // On the second of the month.
        assert_eq!(sales_warning(&months, first("2024-04-02T12:00:00Z")), None);
        // The period before of January 2025 is December 2024.
        let kpis = kpi_warning(&months, first("2024-12-20T00:00:00Z")).unwrap();
        assert!(kpis.contains(" 1 is compared with a period before and 12 with a year before "), "{kpis}");
        assert_eq!(kpi_warning(&months, first("2023-12-31T00:00:00Z")), None);
        let all = report_periods(Period::All, &TimeZone::UTC, year, now).unwrap();
        assert_eq!(kpi_warning(&all, first("2025-06-01T00:00:00Z")), None, "it is compared with nothing");
    }
}
