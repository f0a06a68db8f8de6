//! Sentences: what a feature says of a customer, in words that a salesperson understands.
//!
//! One template a measure. Another language is another function beside [`sentence`].

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
    let mut sentence = if raw.is_nan() { absence(measure) } else { fact(measure, raw, typical) };
    sentence.push_str(comparison);
    sentence
}

/// How a sentence ends that sets a value against the typical one, which is the same for everybody.
#[must_use]
pub fn comparison(measure: &Measure, typical: f64) -> String {
    typical_words(measure, typical).map_or(String::new(), |words| format!("; typical is {words}"))
}

/// What the value says.
fn fact(measure: &Measure, raw: f64, typical: f64) -> String {
    match measure {
        Measure::Count { kind, days } => format!("{} {}", count_of(raw, kind), within(*days)),
        Measure::Amount { kind, days } if raw == 0.0 => {
            format!("No money in {} {}", plural(kind), within(*days))
        }
        Measure::Amount { kind, days } => format!("{} in {} {}", money(raw), plural(kind), within(*days)),
        Measure::DaysSinceLast { kind } if raw < 1.0 => format!("Last {} less than a day ago", words(kind)),
        Measure::DaysSinceLast { kind } if raw > typical => format!("No {} for {}", words(kind), days(raw)),
        Measure::DaysSinceLast { kind } => format!("Last {} {} ago", words(kind), days(raw)),
        Measure::DaysSinceFirst { kind } => format!("First {} {} ago", words(kind), days(raw)),
        Measure::PropertySum { kind, property, days } => {
            format!("{} in {} {}", quantity(raw, property), plural(kind), within(*days))
        }
        Measure::PropertyMean { kind, property } => {
            format!("{} per {} on average", quantity(raw, property), words(kind))
        }
        Measure::PropertyLast { kind, property } => {
            format!("{} in the last {}", quantity(raw, property), words(kind))
        }
        Measure::SilenceDays if raw < 1.0 => "Last heard of less than a day ago".to_owned(),
        Measure::SilenceDays if raw > typical => format!("Not heard of for {}", days(raw)),
        Measure::SilenceDays => format!("Last heard of {} ago", days(raw)),
        Measure::ActiveDays { days: Some(window) } => {
            format!("Active on {} of the last {window} days", number(raw))
        }
        Measure::ActiveDays { days: None } => format!("Active on {} so far", days(raw)),
        Measure::PurchaseDays if raw == 0.0 => "No purchase so far".to_owned(),
        Measure::PurchaseDays => format!("Bought on {} so far", days(raw)),
        Measure::MeanGapDays => format!("Buys every {} on average", days(raw)),
        Measure::RecencyOverGap => {
            format!("Last purchase {} usual gaps between purchases ago", number(raw))
        }
        Measure::AverageAmount => format!("Average purchase of {}", money(raw)),
        Measure::ReturnShare => format!("{} returns per purchase", number(raw)),
        Measure::OpenComplaints if raw == 0.0 => "No complaint is waiting for a resolution".to_owned(),
        Measure::OpenComplaints => format!("{} without a resolution", count_of(raw, "complaint")),
        Measure::Satisfaction => format!("Last survey at {} of what was expected", percent(raw)),
        Measure::Trend => format!("Activity of the last 30 days at {} of the 90 days before", percent(raw)),
        Measure::TenureDays => format!("Known for {}", days(raw)),
        Measure::ExpectedPurchases { days } => {
            format!("{} to be expected in the next {days} days", count_of(raw, kind::PURCHASE))
        }
        Measure::NoPurchaseProbability { days } => {
            format!("No purchase in the next {days} days to {} by the purchases so far", percent(raw))
        }
        Measure::Attribute { name, .. } => {
            format!("{} is {}", words(name), attribute_words(measure, raw).unwrap_or_default())
        }
    }
}

/// What the lack of a value says.
fn absence(measure: &Measure) -> String {
    match measure {
        Measure::DaysSinceLast { kind } | Measure::DaysSinceFirst { kind } => {
            format!("No {} so far", words(kind))
        }
        Measure::PropertyMean { kind, property } | Measure::PropertyLast { kind, property } => {
            format!("No {} with {} so far", words(kind), unit(property).0)
        }
        Measure::SilenceDays => "Never heard of so far".to_owned(),
        Measure::MeanGapDays | Measure::RecencyOverGap => "Fewer than two purchases so far".to_owned(),
        Measure::ExpectedPurchases { .. } | Measure::NoPurchaseProbability { .. } => {
            "No purchase so far".to_owned()
        }
        Measure::AverageAmount => "No purchase with an amount so far".to_owned(),
        Measure::ReturnShare => "No purchase so far".to_owned(),
        Measure::Satisfaction => "No survey answered so far".to_owned(),
        Measure::Attribute { name, .. } => format!("{} is not known", words(name)),
        _ => format!("{measure} is not known"),
    }
}

/// The typical value as it stands behind "typical is".
fn typical_words(measure: &Measure, typical: f64) -> Option<String> {
    if typical.is_nan() {
        return None;
    }
    Some(match measure {
        Measure::Amount { .. } | Measure::AverageAmount => money(typical),
        Measure::PropertySum { property, .. }
        | Measure::PropertyMean { property, .. }
        | Measure::PropertyLast { property, .. } => unit(property).1(typical),
        Measure::Satisfaction | Measure::Trend | Measure::NoPurchaseProbability { .. } => percent(typical),
        Measure::Attribute { .. } => return attribute_words(measure, typical),
        _ => number(typical),
    })
}

fn attribute_words(measure: &Measure, raw: f64) -> Option<String> {
    match Natural::of(measure, raw) {
        Natural::Missing => None,
        Natural::Number(value) => Some(number(value)),
        Natural::Boolean(truth) => Some(if truth { "yes" } else { "no" }.to_owned()),
        Natural::Text(level) => Some(level),
    }
}

fn within(days: Option<u32>) -> String {
    days.map_or("so far".to_owned(), |days| format!("in the last {days} days"))
}

fn count_of(count: f64, kind: &str) -> String {
    match number(count).as_str() {
        "0" => format!("No {}", words(kind)),
        "1" => format!("1 {}", words(kind)),
        many => format!("{many} {}", plural(kind)),
    }
}

/// So much of a property: `412 units`, `12.50 cost`, `No units`.
fn quantity(value: f64, property: &str) -> String {
    let (unit, shown) = unit(property);
    if value == 0.0 { format!("No {unit}") } else { format!("{} {unit}", shown(value)) }
}

/// What a property is called, and how its values are shown: `cost_minor` is money.
fn unit(property: &str) -> (String, fn(f64) -> String) {
    match property.strip_suffix("_minor") {
        Some(name) => (words(name), money),
        None => (words(property), number),
    }
}

fn days(days: f64) -> String {
    match number(days).as_str() {
        "1" => "1 day".to_owned(),
        many => format!("{many} days"),
    }
}

/// Whole numbers as such, small ones with a decimal.
fn number(value: f64) -> String {
    let tenths = (value * 10.0).round() / 10.0;
    // Adding 0 makes a negative zero positive.
    if tenths.abs() >= 20.0 { format!("{:.0}", value.round() + 0.0) } else { format!("{}", tenths + 0.0) }
}

/// Minor units as money.
fn money(minor: f64) -> String {
    format!("{:.2}", minor.round() / 100.0 + 0.0)
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A name from the data as words: `email_open` is "email open".
fn words(name: &str) -> String {
    name.replace('_', " ")
}

fn plural(kind: &str) -> String {
    let word = words(kind);
    match word.as_bytes() {
        [.., b's' | b'x' | b'z'] | [.., b'c' | b's', b'h'] => format!("{word}es"),
        [.., before, b'y'] if !b"aeiou".contains(before) => format!("{}ies", &word[..word.len() - 1]),
        _ => format!("{word}s"),
    }
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
