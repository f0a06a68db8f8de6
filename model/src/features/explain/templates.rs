//! The templates: one sentence for each measure. Each is one arm of a match, so that no measure is forgotten.

use super::{
    FeatureValue,
    phrases::{Sentence, unit},
};
use crate::{features::Measure, history::kind};

/// How a trend compares two rates: one interaction in the last 30 days after none is twice one in 30 days, and no rate is
/// twice none.
const ONE_MORE: &str = "before, counting one more in each 30 days";

impl Sentence<'_> {
    /// Writes what a value means.
    pub(super) fn fact(&mut self, measure: &Measure, raw: f64, typical: f64) -> &mut Self {
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
                self.text("Active on ").number(raw).text(" of the last ").whole_days(*window)
            }
            Measure::ActiveDays { days: None } => self.text("Active on ").days(raw).text(" so far"),
            Measure::PurchaseDays if raw == 0.0 => self.text("Bought on no day so far"),
            Measure::PurchaseDays => self.text("Bought on ").days(raw).text(" so far"),
            Measure::MeanGapDays => self.text("Buys every ").days(raw).text(" on average"),
            Measure::RecencyOverGap => {
                self.text("Last purchase ").number(raw).text(" usual gaps between purchases ago")
            }
            Measure::AverageAmount => self.text("Average purchase of ").money(raw),
            Measure::ReturnShare => self.count(raw, kind::RETURN).text(" per purchase"),
            Measure::OpenComplaints if raw == 0.0 => self.text("No complaint is waiting for a resolution"),
            Measure::OpenComplaints => self.count(raw, kind::COMPLAINT).text(" without a resolution"),
            Measure::Satisfaction => self.text("Last survey at ").percent(raw).text(" of what was expected"),
            Measure::Trend => self
                .text("Activity of the last 30 days at ")
                .number(raw)
                .text(" times that of the 90 days ")
                .text(ONE_MORE),
            Measure::KindTrend { kind } => self
                .text("Rate of ")
                .plural(kind)
                .text(" in the last 30 days at ")
                .number(raw)
                .text(" times that in the 90 days ")
                .text(ONE_MORE),
            Measure::GapVariation => {
                self.text("Time between purchases varies by ").percent(raw).text(" of its mean")
            }
            Measure::DiscountShare { .. } if raw == 0.0 => self.text("No purchase at a discount so far"),
            Measure::DiscountShare { .. } => self.percent(raw).text(" of purchases at a discount"),
            Measure::ArrivalWeekday => self.text("Came in on a ").text(measure.level(raw)),
            Measure::Month => self.text("The month is ").text(measure.level(raw)),
            Measure::ChannelLast { .. } => self.text("Last interaction by ").level(measure, raw, "channel"),
            Measure::ChannelCommonest { .. } => {
                self.text("Most interactions by ").level(measure, raw, "channel")
            }
            Measure::ChannelCount { channel } => {
                self.count(raw, "interaction").text(" by ").text(channel).text(" so far")
            }
            Measure::PropertyDistinct { kind, property } if raw == 0.0 => {
                self.text("No ").words(property).text(" in ").plural(kind).text(" so far")
            }
            Measure::PropertyDistinct { kind, property } if raw == 1.0 => {
                self.text("Always the same ").words(property).text(" in ").plural(kind).text(" so far")
            }
            Measure::PropertyDistinct { kind, property } => self
                .number(raw)
                .text(" different ")
                .plural(property)
                .text(" in ")
                .plural(kind)
                .text(" so far"),
            Measure::PropertyCommonest { kind, property, .. } => {
                self.text("Most ").plural(kind).text(" with ").level(measure, raw, property)
            }
            Measure::TenureDays => self.text("Known for ").days(raw),
            Measure::Returned if raw >= 0.5 => self.text("Came back after a cancel"),
            Measure::Returned => self.text("No cancel so far"),
            Measure::ExpectedPurchases { days } => {
                self.count(raw, kind::PURCHASE).text(" to be expected in the next ").whole_days(*days)
            }
            Measure::NoPurchaseProbability { days } => self
                .percent(raw)
                .text(" likely to buy nothing in the next ")
                .whole_days(*days)
                .text(", by the purchases so far"),
            Measure::Attribute { name, .. } => self.words(name).text(" is ").attribute(measure, raw),
        }
    }

    /// Writes what a missing value means.
    pub(super) fn absence(&mut self, measure: &Measure) -> &mut Self {
        match measure {
            Measure::DaysSinceLast { kind } => self.text("No ").words(kind).text(" so far"),
            Measure::DaysSinceFirst { kind } => self.text("No first ").words(kind).text(" so far"),
            Measure::PropertyMean { kind, property } => {
                let property = unit(property).0;
                self.text("No ").words(kind).text(" with ").words(property).text(" to average so far")
            }
            Measure::PropertyLast { kind, property } => {
                self.text("No ").words(kind).text(" with ").words(unit(property).0).text(" so far")
            }
            Measure::SilenceDays => self.text("Never heard of so far"),
            Measure::MeanGapDays => self.text("No two purchases with a gap between them so far"),
            Measure::RecencyOverGap => self.text("No usual gap between purchases so far"),
            Measure::ArrivalWeekday => self.text("The day of arrival is not known"),
            Measure::ChannelLast { .. } => self.text("No last interaction with a channel so far"),
            Measure::ChannelCommonest { .. } => self.text("No channel of most interactions so far"),
            Measure::PropertyCommonest { kind, property, .. } => {
                self.text("No ").words(property).text(" of most ").plural(kind).text(" so far")
            }
            Measure::GapVariation => self.text("No three days with purchases so far"),
            Measure::DiscountShare { .. } => self.text("No purchase so far that could be at a discount"),
            Measure::ExpectedPurchases { .. } => self.text("No purchase so far to expect others from"),
            Measure::NoPurchaseProbability { .. } => self.text("No purchase so far that others could follow"),
            Measure::ReturnShare => self.text("No purchase so far that could be returned"),
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
            | Measure::KindTrend { .. }
            | Measure::Month
            | Measure::ChannelCount { .. }
            | Measure::PropertyDistinct { .. }
            | Measure::TenureDays
            | Measure::Returned => self.text(&measure.to_string()).text(" is not known"),
        }
    }

    /// Writes the typical value, after "typical is".
    pub(super) fn typical(&mut self, measure: &Measure, typical: f64) -> &mut Self {
        match measure {
            Measure::Amount { .. } | Measure::AverageAmount => self.money(typical),
            Measure::PropertySum { property, .. }
            | Measure::PropertyMean { property, .. }
            | Measure::PropertyLast { property, .. } => unit(property).1(self, typical),
            Measure::Satisfaction
            | Measure::GapVariation
            | Measure::DiscountShare { .. }
            | Measure::NoPurchaseProbability { .. } => self.percent(typical),
            Measure::Attribute { .. } => self.attribute(measure, typical),
            Measure::ArrivalWeekday
            | Measure::Month
            | Measure::ChannelLast { .. }
            | Measure::ChannelCommonest { .. }
            | Measure::PropertyCommonest { .. } => self.text(measure.level(typical)),
            Measure::Returned if typical >= 0.5 => self.text("a return after a cancel"),
            Measure::Returned => self.text("no cancel so far"),
            _ => self.number(typical),
        }
    }

    /// Writes a level of a category: `web`, or `another channel`.
    fn level(&mut self, measure: &Measure, raw: f64, of_what: &str) -> &mut Self {
        match measure.level_count() {
            Some(levels) if raw as usize + 1 == levels => self.text("another ").words(of_what),
            _ => self.text(measure.level(raw)),
        }
    }

    fn attribute(&mut self, measure: &Measure, raw: f64) -> &mut Self {
        match FeatureValue::of(measure, raw) {
            FeatureValue::Missing => self,
            FeatureValue::Number(value) => self.number(value),
            FeatureValue::Boolean(truth) => self.text(if truth { "yes" } else { "no" }),
            FeatureValue::Text(level) => self.text(&level),
        }
    }
}
