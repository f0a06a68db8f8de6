//! Sentences: what a feature says of a customer, in words that a salesperson understands.
//!
//! One template a measure. Another language is another function beside [`sentence`].

use std::fmt::{self, Display, Formatter, Write};

use crate::{
    features::{Measure, Scale},
    history::kind,
};

/// A value in its own units.
#[derive(Clone, Debug, PartialEq)]
pub enum Natural {
    /// There is none.
    Missing,
    /// A number in the unit of the measure.
    Number(f64),
    /// Yes or no.
    Boolean(bool),
    /// A level of a category.
    Text(String),
}

impl Natural {
    /// The natural value behind a raw feature value.
    #[must_use]
    pub fn of(measure: &Measure, raw: f64) -> Self {
        match measure {
            _ if raw.is_nan() => Self::Missing,
            Measure::Attribute { scale: Scale::Boolean, .. } => Self::Boolean(raw >= 0.5),
            Measure::Attribute { scale: Scale::Category { .. }, .. } => {
                Self::Text(measure.level(raw).to_owned())
            }
            _ => Self::Number(raw),
        }
    }
}

/// The sentence for a raw value, set against the typical one; `comparison` is its [`comparison`].
#[must_use]
pub fn sentence(measure: &Measure, raw: f64, typical: f64, comparison: &str) -> String {
    /// Few sentences are longer.
    const ROOM: usize = 80;
    let says = fmt::from_fn(|f| match raw.is_nan() {
        true => absence(f, measure),
        false => fact(f, measure, raw, typical),
    });
    let mut sentence = String::with_capacity(ROOM);
    // A String takes whatever is written.
    let _ = write!(sentence, "{says}{comparison}");
    sentence
}

/// How a sentence ends that sets a value against the typical one, which is the same for everybody.
#[must_use]
pub fn comparison(measure: &Measure, typical: f64) -> String {
    if typical.is_nan() {
        return String::new();
    }
    let words = fmt::from_fn(|f| typical_words(f, measure, typical));
    format!("; typical is {words}")
}

/// What the value says.
fn fact(f: &mut Formatter<'_>, measure: &Measure, raw: f64, typical: f64) -> fmt::Result {
    match measure {
        Measure::Count { kind, days } => write!(f, "{} {}", count_of(raw, kind), within(*days)),
        Measure::Amount { kind, days } if raw == 0.0 => {
            write!(f, "No money in {} {}", plural(kind), within(*days))
        }
        Measure::Amount { kind, days } => write!(f, "{} in {} {}", money(raw), plural(kind), within(*days)),
        Measure::DaysSinceLast { kind } if raw < 1.0 => write!(f, "Last {} less than a day ago", words(kind)),
        Measure::DaysSinceLast { kind } if raw > typical => write!(f, "No {} for {}", words(kind), days(raw)),
        Measure::DaysSinceLast { kind } => write!(f, "Last {} {} ago", words(kind), days(raw)),
        Measure::DaysSinceFirst { kind } => write!(f, "First {} {} ago", words(kind), days(raw)),
        Measure::PropertySum { kind, property, days } => {
            write!(f, "{} in {} {}", quantity(raw, property), plural(kind), within(*days))
        }
        Measure::PropertyMean { kind, property } => {
            write!(f, "{} per {} on average", quantity(raw, property), words(kind))
        }
        Measure::PropertyLast { kind, property } => {
            write!(f, "{} in the last {}", quantity(raw, property), words(kind))
        }
        Measure::SilenceDays if raw < 1.0 => f.write_str("Last heard of less than a day ago"),
        Measure::SilenceDays if raw > typical => write!(f, "Not heard of for {}", days(raw)),
        Measure::SilenceDays => write!(f, "Last heard of {} ago", days(raw)),
        Measure::ActiveDays { days: Some(window) } => {
            write!(f, "Active on {} of the last {window} days", number(raw))
        }
        Measure::ActiveDays { days: None } => write!(f, "Active on {} so far", days(raw)),
        Measure::PurchaseDays if raw == 0.0 => f.write_str("No purchase so far"),
        Measure::PurchaseDays => write!(f, "Bought on {} so far", days(raw)),
        Measure::MeanGapDays => write!(f, "Buys every {} on average", days(raw)),
        Measure::RecencyOverGap => {
            write!(f, "Last purchase {} usual gaps between purchases ago", number(raw))
        }
        Measure::AverageAmount => write!(f, "Average purchase of {}", money(raw)),
        Measure::ReturnShare => write!(f, "{} returns per purchase", number(raw)),
        Measure::OpenComplaints if raw == 0.0 => f.write_str("No complaint is waiting for a resolution"),
        Measure::OpenComplaints => write!(f, "{} without a resolution", count_of(raw, "complaint")),
        Measure::Satisfaction => write!(f, "Last survey at {} of what was expected", percent(raw)),
        Measure::Trend => write!(f, "Activity of the last 30 days at {} of the 90 days before", percent(raw)),
        Measure::TenureDays => write!(f, "Known for {}", days(raw)),
        Measure::ExpectedPurchases { days } => {
            write!(f, "{} to be expected in the next {days} days", count_of(raw, kind::PURCHASE))
        }
        Measure::NoPurchaseProbability { days } => {
            write!(f, "No purchase in the next {days} days to {} by the purchases so far", percent(raw))
        }
        Measure::Attribute { name, .. } => {
            write!(f, "{} is {}", words(name), attribute(measure, raw))
        }
    }
}

/// What the lack of a value says.
fn absence(f: &mut Formatter<'_>, measure: &Measure) -> fmt::Result {
    match measure {
        Measure::DaysSinceLast { kind } | Measure::DaysSinceFirst { kind } => {
            write!(f, "No {} so far", words(kind))
        }
        Measure::PropertyMean { kind, property } | Measure::PropertyLast { kind, property } => {
            write!(f, "No {} with {} so far", words(kind), words(unit(property).0))
        }
        Measure::SilenceDays => f.write_str("Never heard of so far"),
        Measure::MeanGapDays | Measure::RecencyOverGap => f.write_str("Fewer than two purchases so far"),
        Measure::ExpectedPurchases { .. } | Measure::NoPurchaseProbability { .. } => {
            f.write_str("No purchase so far")
        }
        Measure::AverageAmount => f.write_str("No purchase with an amount so far"),
        Measure::ReturnShare => f.write_str("No purchase so far"),
        Measure::Satisfaction => f.write_str("No survey answered so far"),
        Measure::Attribute { name, .. } => write!(f, "{} is not known", words(name)),
        _ => write!(f, "{measure} is not known"),
    }
}

/// The typical value as it stands behind "typical is".
fn typical_words(f: &mut Formatter<'_>, measure: &Measure, typical: f64) -> fmt::Result {
    match measure {
        Measure::Amount { .. } | Measure::AverageAmount => money(typical).fmt(f),
        Measure::PropertySum { property, .. }
        | Measure::PropertyMean { property, .. }
        | Measure::PropertyLast { property, .. } => unit(property).1(typical).fmt(f),
        Measure::Satisfaction | Measure::Trend | Measure::NoPurchaseProbability { .. } => {
            percent(typical).fmt(f)
        }
        Measure::Attribute { .. } => attribute(measure, typical).fmt(f),
        _ => number(typical).fmt(f),
    }
}

fn attribute(measure: &Measure, raw: f64) -> impl Display {
    fmt::from_fn(move |f| match Natural::of(measure, raw) {
        Natural::Missing => Ok(()),
        Natural::Number(value) => number(value).fmt(f),
        Natural::Boolean(truth) => f.write_str(if truth { "yes" } else { "no" }),
        Natural::Text(level) => f.write_str(&level),
    })
}

fn within(days: Option<u32>) -> impl Display {
    fmt::from_fn(move |f| match days {
        None => f.write_str("so far"),
        Some(days) => write!(f, "in the last {days} days"),
    })
}

fn count_of(count: f64, kind: &str) -> impl Display {
    fmt::from_fn(move |f| match tenths(count) {
        Some(0) => write!(f, "No {}", words(kind)),
        Some(10) => write!(f, "1 {}", words(kind)),
        _ => write!(f, "{} {}", number(count), plural(kind)),
    })
}

/// So much of a property: `412 units`, `12.50 cost`, `No units`.
fn quantity(value: f64, property: &str) -> impl Display {
    let (unit, shown) = unit(property);
    fmt::from_fn(move |f| match value {
        0.0 => write!(f, "No {}", words(unit)),
        _ => write!(f, "{} {}", shown(value), words(unit)),
    })
}

/// What a property is called, and how its values are shown: `cost_minor` is money.
fn unit(property: &str) -> (&str, fn(f64) -> Shown) {
    match property.strip_suffix("_minor") {
        Some(name) => (name, money),
        None => (property, number),
    }
}

fn days(days: f64) -> impl Display {
    fmt::from_fn(move |f| match tenths(days) {
        Some(10) => f.write_str("1 day"),
        _ => write!(f, "{} days", number(days)),
    })
}

/// Numbers beyond this are not handled as integers.
const EXACT: f64 = 1e15;

/// A number as so many tenths, unless it is large.
fn tenths(value: f64) -> Option<i64> {
    let tenths = (value * 10.0).round();
    (tenths.abs() < EXACT).then_some(tenths as i64)
}

/// A number with so many decimals. Integers are written many times faster than floating point numbers.
enum Shown {
    Whole(i64),
    Tenths(i64),
    Hundredths(i64),
    /// With so many decimals, if there are any at that size.
    Large(f64, usize),
}

impl Display for Shown {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let sign = |number: i64| if number < 0 { "-" } else { "" };
        match *self {
            Self::Whole(number) => number.fmt(f),
            Self::Tenths(tenths) => {
                write!(f, "{}{}.{}", sign(tenths), tenths.abs() / 10, tenths.abs() % 10)
            }
            Self::Hundredths(cents) => {
                write!(f, "{}{}.{:02}", sign(cents), cents.abs() / 100, cents.abs() % 100)
            }
            Self::Large(number, decimals) => write!(f, "{number:.decimals$}"),
        }
    }
}

/// Whole numbers as such, small ones with a decimal.
fn number(value: f64) -> Shown {
    match tenths(value) {
        None => Shown::Large(value, 0),
        Some(tenths) if tenths.abs() >= 200 => Shown::Whole(value.round() as i64),
        Some(tenths) if tenths % 10 == 0 => Shown::Whole(tenths / 10),
        Some(tenths) => Shown::Tenths(tenths),
    }
}

/// Minor units as money.
fn money(minor: f64) -> Shown {
    let cents = minor.round();
    if cents.abs() < EXACT { Shown::Hundredths(cents as i64) } else { Shown::Large(cents / 100.0, 2) }
}

fn percent(share: f64) -> impl Display {
    let percent = share * 100.0;
    let shown = if percent.abs() < EXACT {
        Shown::Whole(percent.round_ties_even() as i64)
    } else {
        Shown::Large(percent, 0)
    };
    fmt::from_fn(move |f| write!(f, "{shown} %"))
}

/// A name from the data as words: `email_open` is "email open".
fn words(name: &str) -> impl Display {
    fmt::from_fn(move |f| {
        for (n, word) in name.split('_').enumerate() {
            if n > 0 {
                f.write_char(' ')?;
            }
            f.write_str(word)?;
        }
        Ok(())
    })
}

fn plural(kind: &str) -> impl Display {
    let (stem, end) = match kind.as_bytes() {
        [.., b's' | b'x' | b'z'] | [.., b'c' | b's', b'h'] => (kind, "es"),
        [.., before, b'y'] if !b"aeiou".contains(before) => (&kind[..kind.len() - 1], "ies"),
        _ => (kind, "s"),
    };
    fmt::from_fn(move |f| write!(f, "{}{end}", words(stem)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_read_well() {
        let kind = |kind: &str| kind.to_owned();
        let visits = |days| Measure::Count { kind: kind("visit"), days };
        let last = Measure::DaysSinceLast { kind: kind("purchase") };
        let units =
            |days| Measure::PropertySum { kind: kind("purchase"), property: "units".to_owned(), days };
        let mean = Measure::PropertyMean { kind: kind("visit"), property: "call_minutes".to_owned() };
        let newest = Measure::PropertyLast { kind: kind("purchase"), property: "lines".to_owned() };
        let levels = vec!["north".to_owned(), "south".to_owned()];
        let region = Measure::Attribute { name: "region".into(), scale: Scale::Category { levels } };
        let vip = Measure::Attribute { name: "is_vip".into(), scale: Scale::Boolean };
        for (measure, raw, typical, wanted) in [
            (last.clone(), 143.2, 42.1, "No purchase for 143 days; typical is 42"),
            (last.clone(), 3.04, 42.1, "Last purchase 3 days ago; typical is 42"),
            (last, f64::NAN, 42.1, "No purchase so far; typical is 42"),
            (visits(Some(30)), 0.0, 1.26, "No visit in the last 30 days; typical is 1.3"),
            (visits(None), 1.0, 0.0, "1 visit so far; typical is 0"),
            (
                Measure::Amount { kind: kind("delivery"), days: Some(7) },
                -12_345.0,
                99.6,
                "-123.45 in deliveries in the last 7 days; typical is 1.00",
            ),
            (
                Measure::Amount { kind: kind("purchase"), days: Some(365) },
                0.0,
                20_881.0,
                "No money in purchases in the last 365 days; typical is 208.81",
            ),
            (units(Some(90)), 412.3, 97.0, "412 units in purchases in the last 90 days; typical is 97"),
            (units(None), 0.0, 2.5, "No units in purchases so far; typical is 2.5"),
            (mean.clone(), 8.44, 6.0, "8.4 call minutes per visit on average; typical is 6"),
            (mean, f64::NAN, 6.0, "No visit with call minutes so far; typical is 6"),
            (newest.clone(), 3.0, 12.0, "3 lines in the last purchase; typical is 12"),
            (newest, f64::NAN, 12.0, "No purchase with lines so far; typical is 12"),
            (
                Measure::PropertySum {
                    kind: kind("call"),
                    property: "cost_minor".to_owned(),
                    days: Some(30),
                },
                1_250.0,
                300.0,
                "12.50 cost in calls in the last 30 days; typical is 3.00",
            ),
            (Measure::SilenceDays, 143.2, 42.1, "Not heard of for 143 days; typical is 42"),
            (Measure::SilenceDays, 1.04, 42.1, "Last heard of 1 day ago; typical is 42"),
            (Measure::SilenceDays, 0.4, 42.1, "Last heard of less than a day ago; typical is 42"),
            (Measure::PurchaseDays, 12.0, 2.6, "Bought on 12 days so far; typical is 2.6"),
            (Measure::OpenComplaints, 2.0, 0.1, "2 complaints without a resolution; typical is 0.1"),
            (Measure::Satisfaction, 0.8, 1.0, "Last survey at 80 % of what was expected; typical is 100 %"),
            (region.clone(), 0.0, 1.0, "region is north; typical is south"),
            (region, f64::NAN, 1.0, "region is not known; typical is south"),
            (vip, 1.0, 0.2, "is vip is yes; typical is no"),
        ] {
            assert_eq!(sentence(&measure, raw, typical, &comparison(&measure, typical)), wanted);
        }
    }
}
