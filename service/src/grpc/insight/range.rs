//! The range of a report: from when to when, and how it is divided into periods.

use jiff::tz::TimeZone;
use prost_types::Timestamp;
use tally_model::{
    insight::{Period, ReportPeriod, Span, period_start, report_periods, time_zone},
    time::Time,
};
use tally_proto::v1;

use crate::{
    grpc::convert::validator::Validator,
    insight::Insights,
    platform::error::{Error, Result, Shortened, Violation},
};

/// The range that a request names.
pub(super) struct RequestedRange {
    from: Option<Time>,
    to: Time,
    period: Period,
    zone: TimeZone,
}

/// The range of a report, resolved.
pub(super) struct ReportRange {
    /// From when to when.
    pub(super) range: Span,
    /// How time is divided, and where.
    pub(super) period: Period,
    pub(super) zone: TimeZone,
    /// Its periods.
    pub(super) periods: Vec<ReportPeriod>,
}

impl RequestedRange {
    /// Reads the fields `from_time`, `to_time`, `period` and `time_zone` of a request.
    pub(super) fn read(
        validator: &mut Validator,
        (from, to): (Option<&Timestamp>, Option<&Timestamp>),
        period: i32,
        zone: &str,
        now: Time,
    ) -> Self {
        let (from, to) = read_limits(validator, (from, to), now);
        let zone = time_zone(zone).unwrap_or_else(|error| {
            validator.refuse("time_zone", format!("`{}` {error}", Shortened(zone)));
            TimeZone::UTC
        });
        Self { from, to, period: self::period(validator, period), zone }
    }

    /// The periods; a range without a beginning begins with the period of the first purchase.
    ///
    /// # Errors
    /// INVALID_ARGUMENT when there are too many; when the store fails.
    pub(super) async fn resolve(self, insights: &Insights, now: Time) -> Result<ReportRange> {
        let Self { from, to, period, zone } = self;
        let start = match from {
            Some(from) => from,
            // Nothing is reported of a time before the first purchase.
            None => insights
                .first_purchase()
                .await?
                .filter(|first| *first < to)
                .map_or(to, |first| period_start(period, &zone, first)),
        };
        let range = Span { start, end: to };
        let periods = report_periods(period, &zone, range, now).map_err(|error| {
            Error::Invalid(vec![Violation { field: "from_time".into(), description: error.to_string() }])
        })?;
        Ok(ReportRange { range, period, zone, periods })
    }
}

/// Reads the fields `from_time` and `to_time` of a request.
pub(super) fn read_limits(
    validator: &mut Validator,
    (from, to): (Option<&Timestamp>, Option<&Timestamp>),
    now: Time,
) -> (Option<Time>, Time) {
    let from = from.map(|time| validator.time("from_time", time));
    let to = to.map_or(now, |time| validator.time("to_time", time));
    // A time that was refused is not compared.
    if let Some(from) = from.filter(|from| validator.is_fine() && *from >= to) {
        validator
            .refuse("from_time", format!("is {from}, not before to_time {to}; allowed is before to_time"));
    }
    (from, to)
}

fn period(validator: &mut Validator, period: i32) -> Period {
    match v1::Period::try_from(period) {
        Ok(v1::Period::Unspecified | v1::Period::Month) => Period::Month,
        Ok(v1::Period::Day) => Period::Day,
        Ok(v1::Period::Week) => Period::Week,
        Ok(v1::Period::Quarter) => Period::Quarter,
        Ok(v1::Period::Year) => Period::Year,
        Ok(v1::Period::All) => Period::All,
        Err(_) => {
            validator.refuse("period", format!("is {period}; allowed are PERIOD_DAY to PERIOD_ALL"));
            Period::Month
        }
    }
}
