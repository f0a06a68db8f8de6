//! The truth of the simulation: what makes leads convert and buyers leave, and the season.

use crate::time::{DAY, Time};

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const WEEK: i64 = 7 * DAY;

/// The conversion of leads: the log-odds of a first purchase within a week, per unit of each covariate of the
/// history at the start of that week. A lead's weeks count from its `create_time`.
///
/// - `visits_4_weeks`: ln(1 + visits in the last 28 days); `opens_4_weeks`: likewise, mails opened
/// - `meetings`: meetings so far, at most 3
/// - `source_referral`: 1 if the attribute `source` is `referral`
/// - `company_size`: ln(`company_size` / 20), 0 if missing
/// - `age_weeks`: ln(1 + weeks since `create_time`)
pub const CONVERTING: [(&str, f64); 7] = [
    ("intercept", -3.2),
    ("visits_4_weeks", 1.0),
    ("opens_4_weeks", 0.7),
    ("meetings", 0.8),
    ("source_referral", 1.3),
    ("company_size", 0.7),
    ("age_weeks", -0.9),
];

/// The leaving of buyers: the log-odds of leaving within a week, per unit of each covariate of the history at the
/// start of that week. A buyer's weeks count from its first purchase.
///
/// - `open_complaints`: complaints without a later resolution, at most 3
/// - `satisfaction`: score / expected of the last survey, minus 1; 0 without a survey
/// - `discounted`: share of the purchases that had a discount
/// - `overdue`: ln(1 + time since the last purchase / mean gap between purchases), the mean taken over
///   the gaps so far and one more of six weeks
/// - `tenure_weeks`: ln(1 + weeks since the first purchase)
/// - `referred`: 1 if the customer ever referred someone
/// - `region_north`: 1 if the attribute `region` is `north`
pub const LEAVING: [(&str, f64); 8] = [
    ("intercept", -5.8),
    ("open_complaints", 1.2),
    ("satisfaction", -2.5),
    ("discounted", 1.5),
    ("overdue", 0.9),
    ("tenure_weeks", -0.4),
    ("referred", -1.0),
    ("region_north", 0.8),
];

/// The rate of purchases on a day of the year (1 for January 1st), relative to an ordinary day: a peak of 1.8 in
/// the middle of December. Rates change week by week.
#[must_use]
pub fn season(day_of_year: f64) -> f64 {
    1.0 + 0.8 * (-((day_of_year - 349.0) / 14.0).powi(2)).exp()
}

/// The mean length of a year.
pub(super) const DAYS_A_YEAR: f64 = 365.2425;

/// The day of the year, 1 to 366, from the mean length of a year: exact to a day or two, without a
/// calendar.
pub(super) fn day_of_year(time: Time) -> f64 {
    (time.day_number() as f64 % DAYS_A_YEAR).floor() + 1.0
}
