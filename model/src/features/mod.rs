//! The features: what there is to know of a customer, by name and in order.
//!
//! A new feature is a variant of [`Measure`], its name, and its value in [`Fold::row`](crate::features::fold::Fold::row);
//! its sentence for people stands in [`crate::features::explain`].

pub mod bg_nbd;
pub mod explain;
pub mod fold;
pub mod profile;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    features::bg_nbd::{BgNbd, Purchases},
    history::{AttributeValue, Attributes},
};

/// What one feature measures. Values are `f64`, `NaN` stands for missing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "measure", rename_all = "snake_case")]
pub enum Measure {
    /// Interactions of a kind in a window, or ever.
    Count {
        /// The kind of interaction.
        kind: String,
        /// Days of the window; None is ever.
        days: Option<u32>,
    },
    /// The sum of their amounts, in minor units of money.
    Amount {
        /// The kind of interaction.
        kind: String,
        /// Days of the window; None is ever.
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
        /// Days of the window; None is ever.
        days: Option<u32>,
    },
    /// Its mean over the interactions of the kind that carry it as a number; missing without.
    PropertyMean {
        /// The kind of interaction.
        kind: String,
        /// The property.
        property: String,
    },
    /// The one that the latest of these interactions carries; missing without.
    PropertyLast {
        /// The kind of interaction.
        kind: String,
        /// The property.
        property: String,
    },
    /// Days since the last interaction of any kind; missing when there is none.
    SilenceDays,
    /// Distinct UTC days with any interaction in a window, or ever.
    ActiveDays {
        /// Days of the window; None is ever.
        days: Option<u32>,
    },
    /// Distinct UTC days with a purchase.
    PurchaseDays,
    /// Mean days between consecutive purchases; missing below two purchases.
    MeanGapDays,
    /// Days since the last purchase divided by the mean gap; missing without a gap above 0.
    RecencyOverGap,
    /// Mean amount of the purchases that carry one, in minor units of money; missing without.
    AverageAmount,
    /// Returns divided by purchases; missing without a purchase.
    ReturnShare,
    /// Complaints without a later resolution.
    OpenComplaints,
    /// `score / expected` of the last survey that has both; missing without.
    Satisfaction,
    /// Interactions in the last 30 days against a third of those in the 90 days before, both plus
    /// one: above 1 is rising.
    Trend,
    /// Days since the relation began, at least 0; missing when that is unknown.
    TenureDays,
    /// Purchases to be expected in so many days, by the BG/NBD model; missing without a purchase.
    ExpectedPurchases {
        /// Days ahead.
        days: u32,
    },
    /// The probability of no purchase in so many days, by the BG/NBD model; missing without a purchase.
    NoPurchaseProbability {
        /// Days ahead.
        days: u32,
    },
    /// An attribute of the customer; missing when it has no (readable) value.
    Attribute {
        /// The attribute's name.
        name: String,
        /// How its values are read.
        #[serde(flatten)]
        scale: Scale,
    },
}

/// How an attribute's values are read.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "scale", rename_all = "snake_case")]
pub enum Scale {
    /// A number, as it is.
    Number,
    /// 0 for false, 1 for true.
    Boolean,
    /// The index of the value among the levels; `levels.len()` stands for any other.
    Category {
        /// The commonest values, commonest first.
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
            Self::TenureDays => f.write_str("tenure_days"),
            Self::ExpectedPurchases { days } => write!(f, "purchase.expected_{days}d"),
            Self::NoPurchaseProbability { days } => write!(f, "purchase.none_probability_{days}d"),
            Self::Attribute { name, .. } => write!(f, "attribute.{name}"),
        }
    }
}

impl Measure {
    /// Whether the value grows as time goes by, without anything happening.
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

/// The BG/NBD model's view of what comes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forecast {
    /// Days ahead.
    pub days: u32,
    /// Fitted in training; before, or when the purchases do not suffice, the features are missing.
    pub model: Option<BgNbd>,
}

impl Forecast {
    /// How many features there are.
    pub const WIDTH: usize = 2;

    /// The expected purchases, and the probability of none.
    #[must_use]
    pub fn values(&self, purchases: Option<&Purchases>) -> [f64; Self::WIDTH] {
        let weeks = f64::from(self.days) / 7.0;
        match (&self.model, purchases) {
            (Some(model), Some(purchases)) => {
                [model.expected_purchases(purchases, weeks), model.probability_of_none(purchases, weeks)]
            }
            _ => [f64::NAN; Self::WIDTH],
        }
    }
}

/// What the features are made of: the spec, resolved against the data that a model is trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Lengths of the windows in days, rising.
    pub windows_days: Vec<u32>,
    /// The kinds of interaction that get features of their own.
    pub kinds: Vec<String>,
    /// The numeric properties that get features: kind of interaction and name.
    pub properties: Vec<(String, String)>,
    /// The attributes that get a feature: name and scale.
    pub attributes: Vec<(String, Scale)>,
    /// The BG/NBD features, which come last; churn by inactivity has them.
    pub forecast: Option<Forecast>,
}

impl Plan {
    /// All features in the order of the fold's row.
    #[must_use]
    pub fn measures(&self) -> Vec<Measure> {
        let windows = || self.windows_days.iter().copied().map(Some).chain([None]);
        let mut all = Vec::new();
        for kind in &self.kinds {
            let kind = || kind.clone();
            all.extend(windows().map(|days| Measure::Count { kind: kind(), days }));
            all.extend(windows().map(|days| Measure::Amount { kind: kind(), days }));
            all.extend([Measure::DaysSinceLast { kind: kind() }, Measure::DaysSinceFirst { kind: kind() }]);
        }
        for (kind, property) in &self.properties {
            let own = || (kind.clone(), property.clone());
            all.extend(windows().map(|days| {
                let (kind, property) = own();
                Measure::PropertySum { kind, property, days }
            }));
            let (kind, property) = own();
            all.push(Measure::PropertyMean { kind, property });
            let (kind, property) = own();
            all.push(Measure::PropertyLast { kind, property });
        }
        all.push(Measure::SilenceDays);
        all.extend(windows().map(|days| Measure::ActiveDays { days }));
        all.extend([
            Measure::PurchaseDays,
            Measure::MeanGapDays,
            Measure::RecencyOverGap,
            Measure::AverageAmount,
            Measure::ReturnShare,
            Measure::OpenComplaints,
            Measure::Satisfaction,
            Measure::Trend,
            Measure::TenureDays,
        ]);
        all.extend(
            self.attributes
                .iter()
                .map(|(name, scale)| Measure::Attribute { name: name.clone(), scale: scale.clone() }),
        );
        if let Some(Forecast { days, .. }) = self.forecast {
            all.extend([Measure::ExpectedPurchases { days }, Measure::NoPurchaseProbability { days }]);
        }
        all
    }

    /// How many features a row has.
    #[must_use]
    pub fn width(&self) -> usize {
        let windows = self.windows_days.len() + 1;
        self.kinds.len() * (2 * windows + 2)
            + self.properties.len() * (windows + 2)
            + windows
            + 10
            + self.attributes.len()
            + self.forecast.map_or(0, |_| Forecast::WIDTH)
    }

    /// Whether the features are those of another plan, the same parameters of the forecast left aside.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let Self { windows_days, kinds, properties, attributes, forecast } = self;
        *windows_days == other.windows_days
            && *kinds == other.kinds
            && *properties == other.properties
            && *attributes == other.attributes
            && forecast.map(|forecast| forecast.days) == other.forecast.map(|forecast| forecast.days)
    }
}

impl Scale {
    /// The value of attribute `name` on this scale, `NaN` when there is none that fits.
    pub(crate) fn read(&self, attributes: &Attributes, name: &str) -> f64 {
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

/// How a value is called when it is a level of a category.
#[must_use]
pub fn level_name(value: &AttributeValue) -> std::borrow::Cow<'_, str> {
    match value {
        AttributeValue::Text(text) => text.as_str().into(),
        AttributeValue::Number(number) => number.to_string().into(),
        AttributeValue::Boolean(truth) => truth.to_string().into(),
    }
}
