//! The features of habits: what a plan has of them.

use serde::{Deserialize, Serialize};

use super::Measure;

/// Which features of habits a plan has. Plans that were stored before there were any have none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Habits {
    /// Whether there is a trend of each kind of the plan.
    #[serde(skip_serializing_if = "is_false")]
    pub trends: bool,
    /// Whether there is the variation of the gaps between purchases.
    #[serde(skip_serializing_if = "is_false")]
    pub gap_variation: bool,
    /// The property of a purchase that is above 0 when it was discounted, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount: Option<String>,
    /// Whether there is the weekday on which the customer came in; plans for leads have it.
    #[serde(skip_serializing_if = "is_false")]
    pub arrival_weekday: bool,
    /// Whether there is the month of the year.
    #[serde(skip_serializing_if = "is_false")]
    pub month: bool,
    /// The common channels, in falling order of frequency; without any there are no features of channels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<String>,
    /// The categorical properties with features.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<Category>,
}

/// A categorical property of the interactions of a kind, such as the category of what was bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Category {
    /// The kind of interaction.
    pub kind: String,
    /// The property.
    pub property: String,
    /// The most frequent values, in falling order of frequency.
    pub levels: Vec<String>,
}

impl Habits {
    /// Appends the measures, for a plan with these kinds.
    pub(super) fn add_measures(&self, kinds: &[String], all: &mut Vec<Measure>) {
        let Self { trends, gap_variation, discount, arrival_weekday, month, channels, categories } = self;
        if *trends {
            all.extend(kinds.iter().map(|kind| Measure::KindTrend { kind: kind.clone() }));
        }
        all.extend(gap_variation.then_some(Measure::GapVariation));
        all.extend(discount.iter().map(|property| Measure::DiscountShare { property: property.clone() }));
        all.extend(arrival_weekday.then_some(Measure::ArrivalWeekday));
        all.extend(month.then_some(Measure::Month));
        if !channels.is_empty() {
            all.push(Measure::ChannelLast { levels: channels.clone() });
            all.push(Measure::ChannelCommonest { levels: channels.clone() });
            all.extend(channels.iter().map(|channel| Measure::ChannelCount { channel: channel.clone() }));
        }
        for Category { kind, property, levels } in categories.iter().cloned() {
            all.push(Measure::PropertyDistinct { kind: kind.clone(), property: property.clone() });
            all.push(Measure::PropertyCommonest { kind, property, levels });
        }
    }

    /// The number of these measures, for a plan with as many kinds.
    pub(super) fn width(&self, kinds: usize) -> usize {
        let Self { trends, gap_variation, discount, arrival_weekday, month, .. } = self;
        let single = [*gap_variation, discount.is_some(), *arrival_weekday, *month];
        usize::from(*trends) * kinds + single.into_iter().filter(|has| *has).count() + self.category_width()
    }

    /// The number of those of channels and categorical properties.
    pub(super) fn category_width(&self) -> usize {
        let of_channels = if self.channels.is_empty() { 0 } else { 2 + self.channels.len() };
        of_channels + 2 * self.categories.len()
    }

    /// Whether there are none.
    pub(super) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}
