//! Sentences: the features of a customer in words that a salesperson understands.
//!
//! There is one template for each measure. Another language would be another function beside
//! [`Wording::write_sentence`].

mod phrases;
mod templates;

use self::phrases::Sentence;
use super::Measure;

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
            _ if measure.is_boolean() => Self::Boolean(raw >= 0.5),
            _ if measure.is_category() => Self::Text(measure.level(raw).to_owned()),
            // Adding 0 removes the sign of a zero, which not every store keeps.
            _ => Self::Number(raw + 0.0),
        }
    }
}

/// What the sentences about one feature of a model are written from.
#[derive(Clone, Copy, Debug)]
pub struct Wording<'a> {
    /// What the feature measures.
    pub measure: &'a Measure,
    /// The raw value of an average customer.
    pub typical: f64,
    /// The least and the greatest value that the model has learned from, for numbers.
    pub learned: Option<[f64; 2]>,
    /// How many decimals money has.
    pub amount_decimals: u8,
}

impl Wording<'_> {
    /// Appends the sentence for a raw value. It says when the value lies beyond what was learned from, and compares it
    /// with the typical one unless it is the same; `comparison` is that of [`comparison`](Self::comparison).
    pub fn write_sentence(&self, raw: f64, comparison: &str, text: &mut String) {
        let mut sentence = Sentence { text, amount_decimals: self.amount_decimals };
        let fact = match raw.is_nan() {
            true => sentence.absence(self.measure),
            false => sentence.fact(self.measure, raw, self.typical),
        };
        if let Some([low, high]) = self.beyond(raw) {
            fact.text(", beyond what was learned from (").text(&low);
            if low != high {
                fact.text(" to ").text(&high);
            }
            fact.text(")");
        }
        if raw != self.typical {
            fact.text(comparison);
        }
    }

    /// The ends of the range that was learned from when the value lies beyond it, and when that shows: not for a value
    /// that rounds to one of the ends.
    fn beyond(&self, raw: f64) -> Option<[String; 2]> {
        let [low, high] = self.learned.filter(|[low, high]| raw < *low || raw > *high)?;
        let [low, high, own] = [low, high, raw].map(|value| {
            let mut text = String::new();
            Sentence { text: &mut text, amount_decimals: self.amount_decimals }.typical(self.measure, value);
            text
        });
        (own != low && own != high).then_some([low, high])
    }

    /// The end of a sentence, which compares with the typical value and is the same for all customers.
    #[must_use]
    pub fn comparison(&self) -> String {
        let mut text = String::new();
        if !self.typical.is_nan() {
            let mut end = Sentence { text: &mut text, amount_decimals: self.amount_decimals };
            end.text("; typical is ").typical(self.measure, self.typical);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Scale;

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
        let discount = Measure::DiscountShare { property: "discount_percent".into() };
        let own = |levels: [&str; 2]| levels.map(str::to_owned).to_vec();
        let last_channel = Measure::ChannelLast { levels: own(["web", "shop"]) };
        let channel = Measure::ChannelCommonest { levels: own(["web", "shop"]) };
        let by_web = Measure::ChannelCount { channel: "web".into() };
        let (bought, property) = (kind("purchase"), "category".to_owned());
        let distinct = Measure::PropertyDistinct { kind: bought.clone(), property: property.clone() };
        let category = Measure::PropertyCommonest { kind: bought, property, levels: own(["tea", "coffee"]) };
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
            (mean, f64::NAN, 6.0, "No visit with call minutes to average so far; typical is 6"),
            (newest.clone(), 3.0, 12.0, "3 lines in the last purchase; typical is 12"),
            (newest.clone(), 1.0, 12.0, "1 line in the last purchase; typical is 12"),
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
            (Measure::ReturnShare, 1.0, 0.1, "1 return per purchase; typical is 0.1"),
            (Measure::ReturnShare, 0.3, 0.1, "0.3 returns per purchase; typical is 0.1"),
            (Measure::SilenceDays, 143.2, 42.1, "Not heard of for 143 days; typical is 42"),
            (Measure::SilenceDays, 1.04, 42.1, "Last heard of 1 day ago; typical is 42"),
            (Measure::SilenceDays, 0.4, 42.1, "Last heard of less than a day ago; typical is 42"),
            (Measure::PurchaseDays, 12.0, 2.6, "Bought on 12 days so far; typical is 2.6"),
            (
                Measure::KindTrend { kind: kind("delivery") },
                0.5,
                1.0,
                "Rate of deliveries in the last 30 days at 0.5 times that in the 90 days before, counting one more in each \
                 30 days; typical is 1",
            ),
            (
                Measure::Trend,
                2.0,
                1.2,
                "Activity of the last 30 days at 2 times that of the 90 days before, counting one more in each 30 days; \
                 typical is 1.2",
            ),
            (
                Measure::GapVariation,
                0.816,
                0.6,
                "Time between purchases varies by 82 % of its mean; typical is 60 %",
            ),
            (Measure::GapVariation, f64::NAN, 0.6, "No three days with purchases so far; typical is 60 %"),
            (discount.clone(), 0.4, 0.1, "40 % of purchases at a discount; typical is 10 %"),
            (discount.clone(), 0.0, 0.1, "No purchase at a discount so far; typical is 10 %"),
            (discount, f64::NAN, 0.1, "No purchase so far that could be at a discount; typical is 10 %"),
            (Measure::ArrivalWeekday, 0.0, 4.0, "Came in on a Monday; typical is Friday"),
            (Measure::ArrivalWeekday, f64::NAN, 4.0, "The day of arrival is not known; typical is Friday"),
            (Measure::Month, 11.0, 4.0, "The month is December; typical is May"),
            (Measure::Month, 4.0, 4.0, "The month is May"),
            (last_channel.clone(), 0.0, 1.0, "Last interaction by web; typical is shop"),
            (last_channel.clone(), 2.0, 1.0, "Last interaction by another channel; typical is shop"),
            (last_channel, f64::NAN, 1.0, "No last interaction with a channel so far; typical is shop"),
            (channel.clone(), 1.0, 0.0, "Most interactions by shop; typical is web"),
            (channel, f64::NAN, 0.0, "No channel of most interactions so far; typical is web"),
            (by_web.clone(), 3.0, 1.0, "3 interactions by web so far; typical is 1"),
            (by_web, 0.0, 1.0, "No interaction by web so far; typical is 1"),
            (distinct.clone(), 3.0, 1.5, "3 different categories in purchases so far; typical is 1.5"),
            (distinct.clone(), 1.0, 1.5, "Always the same category in purchases so far; typical is 1.5"),
            (distinct, 0.0, 1.5, "No category in purchases so far; typical is 1.5"),
            (category.clone(), 0.0, 1.0, "Most purchases with tea; typical is coffee"),
            (category.clone(), 2.0, 1.0, "Most purchases with another category; typical is coffee"),
            (category, f64::NAN, 1.0, "No category of most purchases so far; typical is coffee"),
            (Measure::OpenComplaints, 2.0, 0.1, "2 complaints without a resolution; typical is 0.1"),
            (Measure::Satisfaction, 0.8, 1.0, "Last survey at 80 % of what was expected; typical is 100 %"),
            (region.clone(), 0.0, 1.0, "region is north; typical is south"),
            (region, f64::NAN, 1.0, "region is not known; typical is south"),
            (vip, 1.0, 0.2, "is vip is yes; typical is no"),
            (Measure::Returned, 1.0, 0.2, "Came back after a cancel; typical is no cancel so far"),
            (Measure::Returned, 0.0, 0.8, "No cancel so far; typical is a return after a cancel"),
        ] {
            assert_eq!(written(&measure, raw, typical, 2), wanted);
        }
    }

    fn written(measure: &Measure, raw: f64, typical: f64, amount_decimals: u8) -> String {
        let wording = Wording { measure, typical, learned: None, amount_decimals };
        let mut sentence = String::new();
        wording.write_sentence(raw, &wording.comparison(), &mut sentence);
        sentence
    }

    #[test]
    fn a_value_beyond_what_was_learned_from_is_said_to_be_so() {
        let days = Measure::DaysSinceLast { kind: "purchase".into() };
        let rate = Measure::Attribute { name: "rate".into(), scale: Scale::Number };
        let sum = Measure::PropertySum { kind: "call".into(), property: "cost_minor".into(), days: None };
        let habit = Measure::DiscountShare { property: "discount_percent".into() };
        for (measure, raw, [low, high], wanted) in [
            (&rate, 4.8, [1.0, 4.0], "rate is 4.8, beyond what was learned from (1 to 4); typical is 2"),
            (&rate, 0.9, [1.0, 4.0], "rate is 0.9, beyond what was learned from (1 to 4); typical is 2"),
            (&rate, 4.8, [4.0, 4.0], "rate is 4.8, beyond what was learned from (4); typical is 2"),
            (&rate, 2.0, [3.0, 4.0], "rate is 2, beyond what was learned from (3 to 4)"),
            (&rate, 1.0, [1.0, 4.0], "rate is 1; typical is 2"),
            (&rate, 4.0, [1.0, 4.0], "rate is 4; typical is 2"),
            // It would not show.
            (&rate, 4.01, [1.0, 4.0], "rate is 4; typical is 2"),
            (&rate, f64::NAN, [1.0, 4.0], "rate is not known; typical is 2"),
            (
                &days,
                143.2,
                [0.3, 90.2],
                "No purchase for 143 days, beyond what was learned from (0.3 to 90); typical is 2",
            ),
            (
                &Measure::AverageAmount,
                9_950.0,
                [-100.0, 2_050.0],
                "Average purchase of 99.50, beyond what was learned from (-1.00 to 20.50); typical is 0.02",
            ),
            (
                &sum,
                0.0,
                [100.0, 2_050.0],
                "No cost in calls so far, beyond what was learned from (1.00 to 20.50); typical is 0.02",
            ),
            (
                &habit,
                0.8,
                [0.0, 0.5],
                "80 % of purchases at a discount, beyond what was learned from (0 % to 50 %); typical is 200 %",
            ),
        ] {
            let wording = Wording { measure, typical: 2.0, learned: Some([low, high]), amount_decimals: 2 };
            let mut sentence = String::new();
            wording.write_sentence(raw, &wording.comparison(), &mut sentence);
            assert_eq!(sentence, wanted);
        }
    }

    #[test]
    fn a_window_of_one_day_is_in_the_singular() {
        let window = Measure::ActiveDays { days: Some(1) };
        assert_eq!(written(&window, 1.0, 2.0, 2), "Active on 1 of the last 1 day; typical is 2");
    }

    #[test]
    fn money_has_the_decimals_of_its_currency() {
        let cost = Measure::PropertyLast { kind: "call".to_owned(), property: "cost_minor".to_owned() };
        for (decimals, raw, wanted) in [
            (0, 1_500.4, "Average purchase of 1500; typical is 7"),
            (2, 1_500.4, "Average purchase of 15.00; typical is 0.07"),
            (3, -1_500.0, "Average purchase of -1.500; typical is 0.007"),
            (4, 12.0, "Average purchase of 0.0012; typical is 0.0007"),
            (0, 3e15, "Average purchase of 3000000000000000; typical is 7"),
            (2, 3e15, "Average purchase of 30000000000000.00; typical is 0.07"),
            (3, 3e15, "Average purchase of 3000000000000.000; typical is 0.007"),
        ] {
            assert_eq!(written(&Measure::AverageAmount, raw, 7.0, decimals), wanted);
        }
        assert_eq!(written(&cost, 1_250.0, 300.0, 0), "1250 cost in the last call; typical is 300");
        assert_eq!(written(&cost, 1_250.0, 300.0, 3), "1.250 cost in the last call; typical is 0.300");
    }
}
