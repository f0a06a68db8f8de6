//! Measures: what one feature measures, and how attributes become numbers.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};

use crate::history::{AttributeValue, Attributes};

/// The levels of [`Measure::ArrivalWeekday`].
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
/// The levels of [`Measure::Month`].
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// What one feature measures. Values are `f64`, missing ones `NaN`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "measure", rename_all = "snake_case")]
pub enum Measure {
    /// The number of interactions of a kind in a window, or ever.
    Count {
        /// The kind of interaction.
        kind: String,
        /// The length of the window in days; None is ever.
        days: Option<u32>,
    },
    /// The sum of the amounts of a kind in a window, or ever, in minor units of money.
    Amount {
        /// The kind of interaction.
        kind: String,
        /// The length of the window in days; None is ever.
        days: Option<u32>,
    },
    /// Days since the last interaction of a kind; missing when there is none.
    DaysSinceLast {
        /// The kind of interaction.
        kind: String,
    },
    /// Days since the first interaction of a kind; missing when there is none.
    DaysSinceFirst {
        /// The kind of interaction.
        kind: String,
    },
    /// The sum of a numeric property over the interactions of a kind in a window, or ever.
    PropertySum {
        /// The kind of interaction.
        kind: String,
        /// The property.
        property: String,
        /// The length of the window in days; None is ever.
        days: Option<u32>,
    },
    /// The mean of a numeric property over the interactions of a kind that have it; missing when none has.
    PropertyMean {
        /// The kind of interaction.
        kind: String,
        /// The property.
        property: String,
    },
    /// The value of a numeric property in the latest interaction of a kind that has it; missing when none has.
    PropertyLast {
        /// The kind of interaction.
        kind: String,
        /// The property.
        property: String,
    },
    /// Days since the last interaction of any kind; missing when there is none.
    SilenceDays,
    /// The number of UTC days with any interaction in a window, or ever.
    ActiveDays {
        /// The length of the window in days; None is ever.
        days: Option<u32>,
    },
    /// The number of UTC days with a purchase.
    PurchaseDays,
    /// The mean number of days between consecutive purchases; missing below two purchases.
    MeanGapDays,
    /// Days since the last purchase divided by the mean gap; missing unless the gap is above 0.
    RecencyOverGap,
    /// The mean amount of the purchases that have one, in minor units of money; missing when none has.
    AverageAmount,
    /// The number of returns divided by that of purchases; missing without a purchase.
    ReturnShare,
    /// The number of complaints without a later resolution.
    OpenComplaints,
    /// `score / expected` of the last survey that has both; missing when none has.
    Satisfaction,
    /// The number of interactions in the last 30 days divided by a third of that in the 90 days before, both
    /// plus one: above 1 is rising.
    Trend,
    /// The same for the interactions of one kind.
    KindTrend {
        /// The kind of interaction.
        kind: String,
    },
    /// How irregular purchases are: the coefficient of variation of the gaps between the UTC days with a purchase,
    /// √(n · Σ gap² − (Σ gap)²) / Σ gap for n gaps; missing below three such days.
    GapVariation,
    /// The number of purchases with a discount, those whose property is a number above 0, divided by that of all
    /// purchases; missing without a purchase.
    DiscountShare {
        /// The property.
        property: String,
    },
    /// The weekday in UTC on which the relation began, 0 for Monday; missing when the beginning is unknown.
    ArrivalWeekday,
    /// The month of the calendar in UTC, 0 for January.
    Month,
    /// The channel of the latest interaction that has one, as the index among the levels, `levels.len()` for any other
    /// channel; missing when none has.
    ChannelLast {
        /// The common channels.
        levels: Vec<String>,
    },
    /// The channel of most interactions, as that index. All channels that are no level count as one; of equally
    /// frequent ones the first in the order of the levels, the others last. Missing when no interaction has a channel.
    ChannelCommonest {
        /// The common channels.
        levels: Vec<String>,
    },
    /// The number of interactions by a channel, ever.
    ChannelCount {
        /// The channel.
        channel: String,
    },
    /// The number of distinct texts of a property over the interactions of a kind, as far as they are
    /// [kept](crate::history::Text::value).
    PropertyDistinct {
        /// The kind of interaction.
        kind: String,
        /// The property.
        property: String,
    },
    /// The text that a property has in most interactions of a kind, as the index among the levels; others and ties are
    /// treated as for [`Measure::ChannelCommonest`]. Missing when none has a text that is kept.
    PropertyCommonest {
        /// The kind of interaction.
        kind: String,
        /// The property.
        property: String,
        /// The most frequent values.
        levels: Vec<String>,
    },
    /// Days since the relation began, at least 0; missing when the beginning is unknown.
    TenureDays,
    /// Whether a relation began again after a `cancel`: 1 if it did, else 0.
    Returned,
    /// The expected number of purchases in the next days, by the BG/NBD model; missing without a purchase.
    ExpectedPurchases {
        /// Days ahead.
        days: u32,
    },
    /// The probability of no purchase in the next days, by the BG/NBD model; missing without a purchase.
    NoPurchaseProbability {
        /// Days ahead.
        days: u32,
    },
    /// An attribute of the customer; missing when it has no value on its scale.
    Attribute {
        /// The attribute's name.
        name: String,
        /// How its values become numbers.
        #[serde(flatten)]
        scale: Scale,
    },
}

/// How the values of an attribute become numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "scale", rename_all = "snake_case")]
pub enum Scale {
    /// A number, as it is.
    Number,
    /// 0 for false, 1 for true.
    Boolean,
    /// The index of the value among the levels; `levels.len()` for any other value.
    Category {
        /// The most frequent values, in falling order of frequency.
        levels: Vec<String>,
    },
}

/// The feature's name, unique within a plan: `purchase.count_30d`, `tenure_days`, `attribute.region`.
impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = |days: &Option<u32>| days.map_or("ever".to_owned(), |days| format!("{days}d"));
        match self {
            Self::Count { kind, days } => write!(f, "{kind}.count_{}", window(days)),
            Self::Amount { kind, days } => write!(f, "{kind}.amount_minor_{}", window(days)),
            Self::DaysSinceLast { kind } => write!(f, "{kind}.days_since_last"),
            Self::DaysSinceFirst { kind } => write!(f, "{kind}.days_since_first"),
            Self::PropertySum { kind, property, days } => {
                write!(f, "{kind}.{property}_sum_{}", window(days))
            }
            Self::PropertyMean { kind, property } => write!(f, "{kind}.{property}_mean"),
            Self::PropertyLast { kind, property } => write!(f, "{kind}.{property}_last"),
            Self::SilenceDays => f.write_str("days_since_last"),
            Self::ActiveDays { days } => write!(f, "active_days_{}", window(days)),
            Self::PurchaseDays => f.write_str("purchase.days_ever"),
            Self::MeanGapDays => f.write_str("purchase.mean_gap_days"),
            Self::RecencyOverGap => f.write_str("purchase.recency_over_gap"),
            Self::AverageAmount => f.write_str("purchase.average_amount_minor"),
            Self::ReturnShare => f.write_str("return_share"),
            Self::OpenComplaints => f.write_str("open_complaints"),
            Self::Satisfaction => f.write_str("satisfaction"),
            Self::Trend => f.write_str("trend"),
            Self::KindTrend { kind } => write!(f, "{kind}.trend"),
            Self::GapVariation => f.write_str("purchase.gap_variation"),
            Self::DiscountShare { .. } => f.write_str("purchase.discount_share"),
            Self::ArrivalWeekday => f.write_str("arrival_weekday"),
            Self::Month => f.write_str("month"),
            Self::ChannelLast { .. } => f.write_str("channel_last"),
            Self::ChannelCommonest { .. } => f.write_str("channel_commonest"),
            Self::ChannelCount { channel } => write!(f, "channel.{channel}_count"),
            Self::PropertyDistinct { kind, property } => write!(f, "{kind}.{property}_distinct"),
            Self::PropertyCommonest { kind, property, .. } => write!(f, "{kind}.{property}_commonest"),
            Self::TenureDays => f.write_str("tenure_days"),
            Self::Returned => f.write_str("returned"),
            Self::ExpectedPurchases { days } => write!(f, "purchase.expected_{days}d"),
            Self::NoPurchaseProbability { days } => write!(f, "purchase.none_probability_{days}d"),
            Self::Attribute { name, .. } => write!(f, "attribute.{name}"),
        }
    }
}

impl Measure {
    /// The name of a raw value of a category: the level, `other`, or empty when the measure is no category.
    #[must_use]
    pub fn level(&self, raw: f64) -> &str {
        let level = raw as usize;
        let name = match self {
            Self::Attribute { scale: Scale::Category { levels }, .. }
            | Self::ChannelLast { levels }
            | Self::ChannelCommonest { levels }
            | Self::PropertyCommonest { levels, .. } => levels.get(level).map(String::as_str),
            Self::ArrivalWeekday => WEEKDAYS.get(level).copied(),
            Self::Month => MONTHS.get(level).copied(),
            _ => return "",
        };
        name.unwrap_or("other")
    }

    /// The number of levels of a category, "other" included if there is one; None when the measure is no category.
    #[must_use]
    pub const fn level_count(&self) -> Option<usize> {
        match self {
            Self::Attribute { scale: Scale::Category { levels }, .. }
            | Self::ChannelLast { levels }
            | Self::ChannelCommonest { levels }
            | Self::PropertyCommonest { levels, .. } => Some(levels.len() + 1),
            Self::ArrivalWeekday => Some(WEEKDAYS.len()),
            Self::Month => Some(MONTHS.len()),
            _ => None,
        }
    }

    /// Whether the raw values are levels of a category.
    #[must_use]
    pub const fn is_category(&self) -> bool {
        self.level_count().is_some()
    }

    /// Whether the raw values are 0 for no and 1 for yes.
    #[must_use]
    pub const fn is_boolean(&self) -> bool {
        matches!(self, Self::Returned | Self::Attribute { scale: Scale::Boolean, .. })
    }

    /// Whether it tells a habit: how something is done, rather than how much of it and when.
    #[must_use]
    pub const fn is_habit(&self) -> bool {
        matches!(
            self,
            Self::KindTrend { .. }
                | Self::GapVariation
                | Self::DiscountShare { .. }
                | Self::ChannelLast { .. }
                | Self::ChannelCommonest { .. }
                | Self::ChannelCount { .. }
                | Self::PropertyDistinct { .. }
                | Self::PropertyCommonest { .. }
        )
    }

    /// Whether it tells a date, whatever the customer does.
    #[must_use]
    pub const fn is_calendar(&self) -> bool {
        matches!(self, Self::ArrivalWeekday | Self::Month)
    }

    /// Whether the value grows with time alone, without anything happening.
    #[must_use]
    pub const fn is_time_dependent(&self) -> bool {
        matches!(
            self,
            Self::DaysSinceLast { .. }
                | Self::DaysSinceFirst { .. }
                | Self::SilenceDays
                | Self::RecencyOverGap
                | Self::TenureDays
        )
    }
}

impl Scale {
    /// The value of attribute `name` on this scale; `NaN` when there is none or it is of another type.
    pub(super) fn read(&self, attributes: &Attributes, name: &str) -> f64 {
        match (self, attributes.get(name)) {
            (Self::Number, Some(AttributeValue::Number(number))) => *number,
            (Self::Boolean, Some(AttributeValue::Boolean(truth))) => f64::from(*truth),
            (Self::Category { levels }, Some(value)) => {
                let level = level_name(value);
                levels.iter().position(|known| *known == *level).unwrap_or(levels.len()) as f64
            }
            _ => f64::NAN,
        }
    }
}

/// The name of a value as a level of a category.
#[must_use]
pub fn level_name(value: &AttributeValue) -> Cow<'_, str> {
    match value {
        AttributeValue::Text(text) => text.as_str().into(),
        AttributeValue::Number(number) => number.to_string().into(),
        AttributeValue::Boolean(truth) => truth.to_string().into(),
    }
}
