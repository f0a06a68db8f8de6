//! The range of a report, and the names of its periods.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use prost_types::Timestamp as Moment;

use crate::{
    args::{PeriodArg, RangeArgs},
    output::DASH,
    time,
};

/// Says what the mark of a partial period means.
pub(super) const PARTIAL: &str = "* not over yet, or cut by the beginning or the end of the report";

/// A range as requests have it.
pub(super) struct Range {
    pub(super) from_time: Option<Moment>,
    pub(super) to_time: Option<Moment>,
    pub(super) period: i32,
    pub(super) time_zone: String,
}

impl Range {
    pub(super) fn of(args: &RangeArgs) -> Self {
        let zone = args.time_zone.clone().unwrap_or(TimeZone::UTC);
        let begin = |moment: Option<time::Moment>| moment.map(|moment| time::timestamp(moment.begin(&zone)));
        Self {
            from_time: begin(args.from),
            to_time: begin(args.to),
            period: args.period.number(),
            time_zone: args.time_zone.as_ref().and_then(TimeZone::iana_name).unwrap_or_default().to_owned(),
        }
    }
}

/// Names periods.
pub(super) struct Names {
    period: PeriodArg,
    zone: TimeZone,
}

impl Names {
    pub(super) fn of(args: &RangeArgs) -> Self {
        Self { period: args.period, zone: args.time_zone.clone().unwrap_or(TimeZone::UTC) }
    }

    /// A word for several periods, such as months.
    pub(super) const fn plural(&self) -> &'static str {
        match self.period {
            PeriodArg::Day => "days",
            PeriodArg::Week => "weeks",
            PeriodArg::Month => "months",
            PeriodArg::Quarter => "quarters",
            PeriodArg::Year => "years",
            PeriodArg::All => "periods",
        }
    }

    /// The name of the period that begins at `start`, such as 2011-07, 2011-W27 or 2011-Q3; with a star when it is
    /// partial.
    pub(super) fn name(&self, start: Option<&Moment>, end: Option<&Moment>, partial: bool) -> String {
        let Some(start) = self.day(start, 0) else { return DASH.to_owned() };
        let name = match self.period {
            PeriodArg::Day => start.to_string(),
            PeriodArg::Week => {
                let week = start.iso_week_date();
                format!("{:04}-W{:02}", week.year(), week.week())
            }
            PeriodArg::Month => format!("{:04}-{:02}", start.year(), start.month()),
            PeriodArg::Quarter => format!("{:04}-Q{}", start.year(), (start.month() + 2) / 3),
            PeriodArg::Year => format!("{:04}", start.year()),
            // The end is the first moment after the period.
            PeriodArg::All => match self.day(end, -1) {
                Some(end) if end > start => format!("{start} to {end}"),
                _ => start.to_string(),
            },
        };
        if partial { format!("{name}*") } else { name }
    }

    /// The day of a moment that lies so many microseconds after another.
    fn day(&self, moment: Option<&Moment>, micros: i64) -> Option<Date> {
        let moment = moment?;
        let whole = moment.seconds.checked_mul(1_000_000)?.checked_add(i64::from(moment.nanos / 1_000))?;
        let moment = Timestamp::from_microsecond(whole.checked_add(micros)?).ok()?;
        Some(self.zone.to_datetime(moment).date())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(period: PeriodArg, zone: &str, start: &str, end: &str) -> String {
        let names = Names { period, zone: TimeZone::get(zone).unwrap() };
        let moment = |text| time::timestamp(time::parse(text).unwrap());
        names.name(Some(&moment(start)), Some(&moment(end)), false)
    }

    #[test]
    fn periods_are_named_by_their_beginning() {
        let (start, end) = ("2011-07-04", "2011-07-05");
        let names = [
            PeriodArg::Day,
            PeriodArg::Week,
            PeriodArg::Month,
            PeriodArg::Quarter,
            PeriodArg::Year,
            PeriodArg::All,
        ]
        .map(|period| name(period, "UTC", start, end));
        assert_eq!(names, ["2011-07-04", "2011-W27", "2011-07", "2011-Q3", "2011", "2011-07-04"]);
        assert_eq!(name(PeriodArg::All, "UTC", "2010-12-01", "2011-12-01"), "2010-12-01 to 2011-11-30");
        assert_eq!(
            name(PeriodArg::All, "UTC", "2010-12-01", "2011-12-01T00:00:00.000001Z"),
            "2010-12-01 to 2011-12-01"
        );
    }

    #[test]
    fn a_week_belongs_to_the_year_of_its_thursday() {
        assert_eq!(name(PeriodArg::Week, "UTC", "2011-01-01", "2011-01-03"), "2010-W52");
        assert_eq!(name(PeriodArg::Week, "UTC", "2018-12-31", "2019-01-07"), "2019-W01");
    }

    #[test]
    fn periods_begin_in_their_time_zone() {
        let start = "2011-06-30T22:00:00Z";
        assert_eq!(name(PeriodArg::Month, "Europe/Berlin", start, "2011-07-31T22:00:00Z"), "2011-07");
        assert_eq!(name(PeriodArg::Month, "UTC", start, "2011-07-31T22:00:00Z"), "2011-06");
        assert_eq!(
            name(PeriodArg::All, "America/New_York", "2011-01-01T05:00:00Z", "2011-07-01T04:00:00Z"),
            "2011-01-01 to 2011-06-30"
        );
    }

    #[test]
    fn a_partial_period_has_a_star_and_no_period_has_a_dash() {
        let names = Names { period: PeriodArg::Month, zone: TimeZone::UTC };
        assert_eq!(names.name(Some(&Moment { seconds: 0, nanos: 0 }), None, true), "1970-01*");
        assert_eq!(names.name(None, None, true), "–");
    }
}
