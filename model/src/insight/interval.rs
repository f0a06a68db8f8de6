//! Intervals between purchase days, as exact fractions of days: whether a customer counts as lost depends on them to
//! the microsecond, the same on every machine.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::time::{DAY, Time};

/// Decimals in settings are exact to this part of one.
const DECIMAL: i64 = 1_000_000;

/// A number of days of 0 or more, as an exact fraction in lowest terms. Stored as numerator and denominator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "[i64; 2]", into = "[i64; 2]")]
pub struct Interval {
    numerator: i64,
    denominator: i64,
}

/// Two numbers are no interval.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} / {1} is no number of days of 0 or more")]
pub struct NoInterval(i64, i64);

impl Interval {
    /// The typical interval when no customer has one of its own: 90 days.
    pub const DEFAULT: Self = Self { numerator: 90, denominator: 1 };

    /// A number of days of 0 or more, rounded to a millionth.
    #[must_use]
    pub fn days(days: f64) -> Self {
        Self::new(millionths(days), i128::from(DECIMAL))
    }

    /// The fraction in lowest terms; the denominator is above 0.
    fn new(numerator: i128, denominator: i128) -> Self {
        let divisor = greatest_common_divisor(numerator, denominator);
        // Days are counted from 1970 to 9999: three million, which leaves room for the products of two denominators.
        let part = |number: i128| i64::try_from(number / divisor).unwrap_or(i64::MAX);
        Self { numerator: part(numerator), denominator: part(denominator) }
    }

    /// The nearest number of days.
    #[must_use]
    pub fn as_days(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// The median, of an even number of intervals the mean of the middle two; None of none.
    #[must_use]
    pub fn median(mut intervals: Vec<Self>) -> Option<Self> {
        let (middle, count) = (intervals.len() / 2, intervals.len());
        if count == 0 {
            return None;
        }
        let (below, upper, _) = intervals.select_nth_unstable(middle);
        let upper = *upper;
        if count % 2 == 1 {
            return Some(upper);
        }
        below.iter().max().map(|lower| lower.mean(upper))
    }

    /// The mean of two intervals.
    fn mean(self, other: Self) -> Self {
        let [[a, b], [c, d]] =
            [self, other].map(|interval| [interval.numerator, interval.denominator].map(i128::from));
        Self::new(a * d + c * b, 2 * b * d)
    }
}

impl Ord for Interval {
    fn cmp(&self, other: &Self) -> Ordering {
        let product = |numerator: i64, denominator: i64| i128::from(numerator) * i128::from(denominator);
        product(self.numerator, other.denominator).cmp(&product(other.numerator, self.denominator))
    }
}

impl PartialOrd for Interval {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl TryFrom<[i64; 2]> for Interval {
    type Error = NoInterval;

    fn try_from([numerator, denominator]: [i64; 2]) -> Result<Self, NoInterval> {
        if numerator < 0 || denominator <= 0 {
            return Err(NoInterval(numerator, denominator));
        }
        Ok(Self::new(i128::from(numerator), i128::from(denominator)))
    }
}

impl From<Interval> for [i64; 2] {
    fn from(interval: Interval) -> Self {
        [interval.numerator, interval.denominator]
    }
}

/// The mean interval of a customer between its purchase days, of which there are `purchase_days`; None for fewer than
/// two. Days are numbers as of [`Time::day_number`].
#[must_use]
pub fn own_interval(first_day: i64, last_day: i64, purchase_days: i64) -> Option<Interval> {
    if purchase_days < 2 {
        return None;
    }
    let days = last_day.saturating_sub(first_day).max(0);
    Some(Interval::new(i128::from(days), i128::from(purchase_days - 1)))
}

/// The days after which a customer can be expected to buy again: the mean of its own intervals and one typical one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedInterval {
    numerator: i128,
    denominator: i128,
}

impl ExpectedInterval {
    /// After `purchase_days` purchase days (one or more) from the day numbers `first_day` to `last_day`.
    #[must_use]
    pub fn new(first_day: i64, last_day: i64, purchase_days: i64, typical: Interval) -> Self {
        let days = i128::from(last_day.saturating_sub(first_day).max(0));
        let denominator = i128::from(typical.denominator);
        Self {
            numerator: days * denominator + i128::from(typical.numerator),
            denominator: denominator * i128::from(purchase_days.max(1)),
        }
    }

    /// The nearest number of days.
    #[must_use]
    pub fn as_days(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }

    /// The first microsecond at which `times` intervals (0 or more, rounded to a millionth) have passed since the
    /// midnight that begins `last_day`; the greatest time when that is later.
    #[must_use]
    pub fn reached(self, last_day: i64, times: f64) -> Time {
        // A day has a whole number of microseconds for each millionth.
        let dividend = millionths(times) * i128::from(DAY / DECIMAL) * self.numerator;
        let passed = (dividend + self.denominator - 1) / self.denominator;
        let moment = i128::from(last_day) * i128::from(DAY) + passed;
        Time(i64::try_from(moment).unwrap_or(i64::MAX))
    }
}

/// A setting of 0 or more in millionths.
fn millionths(decimal: f64) -> i128 {
    (decimal.max(0.0) * DECIMAL as f64).round() as i64 as i128
}

/// The greatest number that divides both, of which the second is above 0.
fn greatest_common_divisor(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fraction(numerator: i64, denominator: i64) -> Interval {
        Interval::try_from([numerator, denominator]).unwrap()
    }

    #[test]
    fn the_own_interval_is_the_mean_between_purchase_days() {
        assert_eq!(own_interval(100, 100, 1), None);
        assert_eq!(own_interval(100, 110, 2), Some(fraction(10, 1)));
        assert_eq!(own_interval(100, 110, 4), Some(fraction(10, 3)));
        assert_eq!(own_interval(100, 104, 3), Some(fraction(2, 1)), "in lowest terms");
    }

    #[test]
    fn the_median_is_exact() {
        let thirds = |numerators: &[i64]| numerators.iter().map(|n| fraction(*n, 3)).collect::<Vec<_>>();
        assert_eq!(Interval::median(Vec::new()), None);
        assert_eq!(Interval::median(thirds(&[7])), Some(fraction(7, 3)));
        assert_eq!(Interval::median(thirds(&[100, 1, 7])), Some(fraction(7, 3)));
        assert_eq!(Interval::median(thirds(&[100, 8, 1, 7])), Some(fraction(5, 2)), "(7/3 + 8/3) / 2");
        assert_eq!(Interval::median(vec![fraction(1, 2), fraction(1, 3)]), Some(fraction(5, 12)));
        assert_eq!(Interval::median(vec![fraction(3, 2); 4]), Some(fraction(3, 2)));
    }

    #[test]
    fn configured_days_are_rounded_to_a_millionth() {
        assert_eq!(Interval::days(90.0), Interval::DEFAULT);
        assert_eq!(Interval::days(30.4), fraction(152, 5));
        assert_eq!(Interval::days(1.000_000_4), fraction(1, 1));
        assert_eq!(Interval::days(30.4).as_days(), 30.4);
    }

    #[test]
    fn intervals_survive_storage_and_bad_ones_are_refused() {
        let text = serde_json::to_string(&fraction(7, 3)).unwrap();
        assert_eq!(text, "[7,3]");
        assert_eq!(serde_json::from_str::<Interval>(&text).unwrap(), fraction(7, 3));
        for bad in ["[1,0]", "[-1,2]", "[1,-2]"] {
            assert!(serde_json::from_str::<Interval>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_expected_interval_counts_one_typical_interval() {
        let one_day = ExpectedInterval::new(100, 100, 1, Interval::DEFAULT);
        assert_eq!(one_day.as_days(), 90.0);
        assert_eq!(one_day.reached(100, 3.0), Time(370 * DAY));
        // (20 + 90) / 3 days = 36 days 16 hours; 1.5 times = 55 days.
        let three_days = ExpectedInterval::new(100, 120, 3, Interval::DEFAULT);
        assert_eq!(three_days.reached(120, 1.0), Time(156 * DAY + DAY / 3 * 2));
        assert_eq!(three_days.reached(120, 1.5), Time(175 * DAY));
    }

    #[test]
    fn a_moment_between_two_microseconds_is_the_later_one() {
        // A seventh of a day is 12,342,857,142.86 µs.
        let seventh = ExpectedInterval::new(0, 0, 1, fraction(1, 7));
        assert_eq!(seventh.reached(0, 1.0), Time(12_342_857_143));
        assert_eq!(seventh.reached(0, 7.0), Time(DAY), "exact, not rounded up twice");
        assert_eq!(seventh.reached(0, 0.000_001), Time(12_343), "12,342.86 µs");
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        let last = Time::MAX.day_number();
        let typical = Interval::median(vec![
            own_interval(0, last, last - 1).unwrap(),
            own_interval(0, last, last - 2).unwrap(),
        ]);
        let expected = ExpectedInterval::new(0, last, 1, typical.unwrap());
        assert!((expected.as_days() - (last + 1) as f64).abs() < 1e-5);
        assert!((expected.reached(last, 10.0).0 / DAY - 11 * last - 10).abs() <= 1);
        assert_eq!(expected.reached(last, 100.0), Time(i64::MAX));
    }

    proptest! {
        #[test]
        fn the_order_and_the_median_are_those_of_the_numbers(
            parts in prop::collection::vec((0_i64..1_000, 1_i64..50), 1..30)
        ) {
            let intervals: Vec<Interval> = parts.iter().map(|(n, d)| fraction(*n, *d)).collect();
            let mut numbers: Vec<f64> = parts.iter().map(|(n, d)| *n as f64 / *d as f64).collect();
            numbers.sort_by(f64::total_cmp);
            let (lower, upper) = (numbers[(numbers.len() - 1) / 2], numbers[numbers.len() / 2]);
            let median = Interval::median(intervals).unwrap().as_days();
            prop_assert!((median - (lower + upper) / 2.0).abs() < 1e-9, "{median} of {numbers:?}");
        }
    }
}
