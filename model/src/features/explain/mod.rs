//! Sentences: the features of a customer in words that a salesperson understands.
//!
//! There is one template for each measure. Another language would be another function beside
//! [`write_sentence`].

mod phrases;
mod templates;

use self::phrases::Sentence;
use super::{Measure, Scale};

/// The value of a feature in its own unit or type.
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureValue {
    /// No value.
    Missing,
    /// A number in the unit of the measure.
    Number(f64),
    /// Yes or no.
    Boolean(bool),
    /// A level of a category.
    Text(String),
}

impl FeatureValue {
    /// The value that a raw feature value encodes.
    #[must_use]
    pub fn of(measure: &Measure, raw: f64) -> Self {
        match measure {
            _ if raw.is_nan() => Self::Missing,
            Measure::Attribute { scale: Scale::Boolean, .. } => Self::Boolean(raw >= 0.5),
            Measure::Attribute { scale: Scale::Category { .. }, .. } => {
                Self::Text(measure.level(raw).to_owned())
            }
            // Adding 0 removes the sign of a zero, which not every store keeps.
            _ => Self::Number(raw + 0.0),
        }
    }
}

/// Appends the sentence for a raw value, compared with the typical one; `comparison` is that of [`comparison`].
pub fn write_sentence(measure: &Measure, raw: f64, typical: f64, comparison: &str, text: &mut String) {
    let mut sentence = Sentence(text);
    match raw.is_nan() {
        true => sentence.absence(measure),
        false => sentence.fact(measure, raw, typical),
    }
    .text(comparison);
}

/// The end of a sentence, which compares with the typical value and is the same for all customers.
#[must_use]
pub fn comparison(measure: &Measure, typical: f64) -> String {
    let mut end = String::new();
    if !typical.is_nan() {
        Sentence(&mut end).text("; typical is ").typical(measure, typical);
    }
    end
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
            let mut sentence = String::new();
            write_sentence(&measure, raw, typical, &comparison(&measure, typical), &mut sentence);
            assert_eq!(sentence, wanted);
        }
    }
}
