//! Sentences: what a feature says of a customer, in words that a salesperson understands.
//!
//! One template a measure. Another language is another function beside [`write_sentence`].

use crate::{
    features::{Measure, Scale},
    history::kind,
};

/// A value in its own units.
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureValue {
    /// There is none.
    Missing,
    /// A number in the unit of the measure.
    Number(f64),
    /// Yes or no.
    Boolean(bool),
    /// A level of a category.
    Text(String),
}

impl FeatureValue {
    /// The natural value behind a raw feature value.
    #[must_use]
    pub fn of(measure: &Measure, raw: f64) -> Self {
        match measure {
            _ if raw.is_nan() => Self::Missing,
            Measure::Attribute { scale: Scale::Boolean, .. } => Self::Boolean(raw >= 0.5),
            Measure::Attribute { scale: Scale::Category { .. }, .. } => {
                Self::Text(measure.level(raw).to_owned())
            }
            // Not every store keeps the sign of a zero.
            _ => Self::Number(raw + 0.0),
        }
    }
}

/// Appends the sentence for a raw value, set against the typical one; `comparison` is its [`comparison`].
pub fn write_sentence(measure: &Measure, raw: f64, typical: f64, comparison: &str, text: &mut String) {
    let mut sentence = Sentence(text);
    match raw.is_nan() {
        true => sentence.absence(measure),
        false => sentence.fact(measure, raw, typical),
    }
    .text(comparison);
}

/// How a sentence ends that sets a value against the typical one, which is the same for everybody.
#[must_use]
pub fn comparison(measure: &Measure, typical: f64) -> String {
    let mut end = String::new();
    if !typical.is_nan() {
        Sentence(&mut end).text("; typical is ").typical(measure, typical);
    }
    end
}

/// A sentence that is being written, piece by piece. Every score has some, and `write!` would take several times as
/// long.
struct Sentence<'a>(&'a mut String);

impl Sentence<'_> {
    /// What the value says.
    fn fact(&mut self, measure: &Measure, raw: f64, typical: f64) -> &mut Self {
        match measure {
            Measure::Count { kind, days } => self.count(raw, kind).text(" ").within(*days),
            Measure::Amount { kind, days } if raw == 0.0 => {
                self.text("No money in ").plural(kind).text(" ").within(*days)
            }
            Measure::Amount { kind, days } => {
                self.money(raw).text(" in ").plural(kind).text(" ").within(*days)
            }
            Measure::DaysSinceLast { kind } if raw < 1.0 => {
                self.text("Last ").words(kind).text(" less than a day ago")
            }
            Measure::DaysSinceLast { kind } if raw > typical => {
                self.text("No ").words(kind).text(" for ").days(raw)
            }
            Measure::DaysSinceLast { kind } => {
                self.text("Last ").words(kind).text(" ").days(raw).text(" ago")
            }
            Measure::DaysSinceFirst { kind } => {
                self.text("First ").words(kind).text(" ").days(raw).text(" ago")
            }
            Measure::PropertySum { kind, property, days } => {
                self.quantity(raw, property).text(" in ").plural(kind).text(" ").within(*days)
            }
            Measure::PropertyMean { kind, property } => {
                self.quantity(raw, property).text(" per ").words(kind).text(" on average")
            }
            Measure::PropertyLast { kind, property } => {
                self.quantity(raw, property).text(" in the last ").words(kind)
            }
            Measure::SilenceDays if raw < 1.0 => self.text("Last heard of less than a day ago"),
            Measure::SilenceDays if raw > typical => self.text("Not heard of for ").days(raw),
            Measure::SilenceDays => self.text("Last heard of ").days(raw).text(" ago"),
            Measure::ActiveDays { days: Some(window) } => {
                self.text("Active on ").number(raw).text(" of the last ").integer(*window).text(" days")
            }
            Measure::ActiveDays { days: None } => self.text("Active on ").days(raw).text(" so far"),
            Measure::PurchaseDays if raw == 0.0 => self.text("No purchase so far"),
            Measure::PurchaseDays => self.text("Bought on ").days(raw).text(" so far"),
            Measure::MeanGapDays => self.text("Buys every ").days(raw).text(" on average"),
            Measure::RecencyOverGap => {
                self.text("Last purchase ").number(raw).text(" usual gaps between purchases ago")
            }
            Measure::AverageAmount => self.text("Average purchase of ").money(raw),
            Measure::ReturnShare => self.number(raw).text(" returns per purchase"),
            Measure::OpenComplaints if raw == 0.0 => self.text("No complaint is waiting for a resolution"),
            Measure::OpenComplaints => self.count(raw, kind::COMPLAINT).text(" without a resolution"),
            Measure::Satisfaction => self.text("Last survey at ").percent(raw).text(" of what was expected"),
            Measure::Trend => {
                self.text("Activity of the last 30 days at ").percent(raw).text(" of the 90 days before")
            }
            Measure::TenureDays => self.text("Known for ").days(raw),
            Measure::ExpectedPurchases { days } => self
                .count(raw, kind::PURCHASE)
                .text(" to be expected in the next ")
                .integer(*days)
                .text(" days"),
            Measure::NoPurchaseProbability { days } => self
                .text("No purchase in the next ")
                .integer(*days)
                .text(" days to ")
                .percent(raw)
                .text(" by the purchases so far"),
            Measure::Attribute { name, .. } => self.words(name).text(" is ").attribute(measure, raw),
        }
    }

    /// What the lack of a value says.
    fn absence(&mut self, measure: &Measure) -> &mut Self {
        match measure {
            Measure::DaysSinceLast { kind } | Measure::DaysSinceFirst { kind } => {
                self.text("No ").words(kind).text(" so far")
            }
            Measure::PropertyMean { kind, property } | Measure::PropertyLast { kind, property } => {
                self.text("No ").words(kind).text(" with ").words(unit(property).0).text(" so far")
            }
            Measure::SilenceDays => self.text("Never heard of so far"),
            Measure::MeanGapDays | Measure::RecencyOverGap => self.text("Fewer than two purchases so far"),
            Measure::ExpectedPurchases { .. }
            | Measure::NoPurchaseProbability { .. }
            | Measure::ReturnShare => self.text("No purchase so far"),
            Measure::AverageAmount => self.text("No purchase with an amount so far"),
            Measure::Satisfaction => self.text("No survey answered so far"),
            Measure::Attribute { name, .. } => self.words(name).text(" is not known"),
            Measure::Count { .. }
            | Measure::Amount { .. }
            | Measure::PropertySum { .. }
            | Measure::ActiveDays { .. }
            | Measure::PurchaseDays
            | Measure::OpenComplaints
            | Measure::Trend
            | Measure::TenureDays => self.text(&measure.to_string()).text(" is not known"),
        }
    }

    /// The typical value as it stands behind "typical is".
    fn typical(&mut self, measure: &Measure, typical: f64) -> &mut Self {
        match measure {
            Measure::Amount { .. } | Measure::AverageAmount => self.money(typical),
            Measure::PropertySum { property, .. }
            | Measure::PropertyMean { property, .. }
            | Measure::PropertyLast { property, .. } => unit(property).1(self, typical),
            Measure::Satisfaction | Measure::Trend | Measure::NoPurchaseProbability { .. } => {
                self.percent(typical)
            }
            Measure::Attribute { .. } => self.attribute(measure, typical),
            _ => self.number(typical),
        }
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.0.push_str(text);
        self
    }

    fn integer(&mut self, integer: impl itoa::Integer) -> &mut Self {
        self.text(itoa::Buffer::new().format(integer))
    }

    fn attribute(&mut self, measure: &Measure, raw: f64) -> &mut Self {
        match FeatureValue::of(measure, raw) {
            FeatureValue::Missing => self,
            FeatureValue::Number(value) => self.number(value),
            FeatureValue::Boolean(truth) => self.text(if truth { "yes" } else { "no" }),
            FeatureValue::Text(level) => self.text(&level),
        }
    }

    fn within(&mut self, days: Option<u32>) -> &mut Self {
        match days {
            None => self.text("so far"),
            Some(days) => self.text("in the last ").integer(days).text(" days"),
        }
    }

    fn count(&mut self, count: f64, kind: &str) -> &mut Self {
        match tenths(count) {
            Some(0) => self.text("No ").words(kind),
            Some(10) => self.text("1 ").words(kind),
            _ => self.number(count).text(" ").plural(kind),
        }
    }

    /// So much of a property: `412 units`, `12.50 cost`, `No units`.
    fn quantity(&mut self, value: f64, property: &str) -> &mut Self {
        let (unit, write) = unit(property);
        match value {
            0.0 => self.text("No "),
            _ => write(self, value).text(" "),
        }
        .words(unit)
    }

    fn days(&mut self, days: f64) -> &mut Self {
        match tenths(days) {
            Some(10) => self.text("1 day"),
            _ => self.number(days).text(" days"),
        }
    }

    /// Whole numbers as such, small ones with a decimal.
    fn number(&mut self, value: f64) -> &mut Self {
        match tenths(value) {
            None => self.text(&format!("{value:.0}")),
            Some(tenths) if tenths.abs() >= 200 => self.integer(value.round() as i64),
            Some(tenths) if tenths % 10 == 0 => self.integer(tenths / 10),
            Some(tenths) => self.whole(tenths, 10).integer(tenths.abs() % 10),
        }
    }

    /// Minor units as money.
    fn money(&mut self, minor: f64) -> &mut Self {
        let cents = minor.round();
        if cents.abs() >= EXACT {
            return self.text(&format!("{:.2}", cents / 100.0));
        }
        let cents = cents as i64;
        self.whole(cents, 100).integer(cents.abs() / 10 % 10).integer(cents.abs() % 10)
    }

    /// The sign and what is before the point of a number of parts.
    fn whole(&mut self, parts: i64, of_one: i64) -> &mut Self {
        self.text(if parts < 0 { "-" } else { "" }).integer(parts.abs() / of_one).text(".")
    }

    fn percent(&mut self, share: f64) -> &mut Self {
        let percent = share * 100.0;
        if percent.abs() < EXACT {
            self.integer(percent.round_ties_even() as i64)
        } else {
            self.text(&format!("{percent:.0}"))
        }
        .text(" %")
    }

    /// A name from the data as words: `email_open` is "email open".
    fn words(&mut self, name: &str) -> &mut Self {
        for (n, word) in name.split('_').enumerate() {
            self.text(if n > 0 { " " } else { "" }).text(word);
        }
        self
    }

    fn plural(&mut self, kind: &str) -> &mut Self {
        match kind.as_bytes() {
            [.., b's' | b'x' | b'z'] | [.., b'c' | b's', b'h'] => self.words(kind).text("es"),
            [.., before, b'y'] if !b"aeiou".contains(before) => {
                self.words(&kind[..kind.len() - 1]).text("ies")
            }
            _ => self.words(kind).text("s"),
        }
    }
}

/// Writes a value.
type Write<'a> = for<'b> fn(&'b mut Sentence<'a>, f64) -> &'b mut Sentence<'a>;

/// What a property is called, and how its values are written: `cost_minor` is money.
fn unit<'a>(property: &str) -> (&str, Write<'a>) {
    match property.strip_suffix("_minor") {
        Some(name) => (name, Sentence::money),
        None => (property, Sentence::number),
    }
}

/// Numbers beyond this are not handled as integers.
const EXACT: f64 = 1e15;

/// A number as so many tenths, unless it is large. Integers are written many times faster than floating point
/// numbers.
fn tenths(value: f64) -> Option<i64> {
    let tenths = (value * 10.0).round();
    (tenths.abs() < EXACT).then_some(tenths as i64)
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
