//! The plan: the spec, resolved against the data that a model is trained on.

use serde::{Deserialize, Serialize};

use super::{
    Habits, Measure, Scale,
    bg_nbd::{BgNbd, Purchases},
};

/// The features of the BG/NBD model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forecast {
    /// Days ahead.
    pub days: u32,
    /// Fitted in training. The features are missing before, and when there are too few purchases to fit to.
    pub model: Option<BgNbd>,
}

impl Forecast {
    /// The number of features.
    pub const WIDTH: usize = 2;

    /// The expected number of purchases, and the probability of none.
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

/// The features of a model, in order.
///
/// ```
/// use tally_model::{
///     features::{Measure, Plan, profile::DataProfile},
///     history::History,
///     spec::Spec,
///     time::Time,
/// };
///
/// let monday: Time = "2026-01-05".parse()?;
/// let mut history = History::default();
/// history.push("visit", monday, monday, None, None);
/// let mut profile = DataProfile::default();
/// profile.add(&history, monday);
/// let plan: Plan = profile.plan(&Spec::default().features);
///
/// let mut row = Vec::new();
/// plan.fold(&history, monday.plus_days(8), monday.plus_days(8), &mut row);
/// let visits = |days| {
///     let measure = Measure::Count { kind: "visit".into(), days };
///     row[plan.measures().iter().position(|known| *known == measure).unwrap()]
/// };
/// assert_eq!((visits(Some(7)), visits(Some(30))), (0.0, 1.0));
/// # Ok::<(), tally_model::time::ParseTimeError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// Lengths of the windows in days, rising.
    pub windows_days: Vec<u32>,
    /// The kinds of interaction with features of their own.
    pub kinds: Vec<String>,
    /// The numeric properties with features: kind of interaction and name.
    pub properties: Vec<(String, String)>,
    /// The attributes with a feature: name and scale.
    pub attributes: Vec<(String, Scale)>,
    /// The kinds that begin a relation which a `cancel` ends. Plans for churn by `cancel` have them, and with them
    /// the feature that says who came back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub start_kinds: Vec<String>,
    /// The features of habits.
    #[serde(default, skip_serializing_if = "Habits::is_none")]
    pub habits: Habits,
    /// The BG/NBD features, which come last; plans for churn by inactivity have them.
    pub forecast: Option<Forecast>,
}

impl Plan {
    /// All features in the order of the fold's row.
    #[must_use]
    pub fn measures(&self) -> Vec<Measure> {
        let mut all = Vec::new();
        self.kinds.iter().for_each(|kind| self.add_kind(kind, &mut all));
        self.properties.iter().for_each(|(kind, property)| self.add_property(kind, property, &mut all));
        all.push(Measure::SilenceDays);
        all.extend(self.windows().map(|days| Measure::ActiveDays { days }));
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
        all.extend(self.has_returned().then_some(Measure::Returned));
        let attribute =
            |(name, scale): &(String, Scale)| Measure::Attribute { name: name.clone(), scale: scale.clone() };
        all.extend(self.attributes.iter().map(attribute));
        self.habits.add_measures(&self.kinds, &mut all);
        if let Some(Forecast { days, .. }) = self.forecast {
            all.extend([Measure::ExpectedPurchases { days }, Measure::NoPurchaseProbability { days }]);
        }
        all
    }

    /// Whether there is the feature that says who came back after a `cancel`.
    pub(super) const fn has_returned(&self) -> bool {
        !self.start_kinds.is_empty()
    }

    /// The windows, and "ever".
    fn windows(&self) -> impl Iterator<Item = Option<u32>> {
        self.windows_days.iter().copied().map(Some).chain([None])
    }

    fn add_kind(&self, kind: &str, all: &mut Vec<Measure>) {
        let kind = || kind.to_owned();
        all.extend(self.windows().map(|days| Measure::Count { kind: kind(), days }));
        all.extend(self.windows().map(|days| Measure::Amount { kind: kind(), days }));
        all.extend([Measure::DaysSinceLast { kind: kind() }, Measure::DaysSinceFirst { kind: kind() }]);
    }

    fn add_property(&self, kind: &str, property: &str, all: &mut Vec<Measure>) {
        let (kind, property) = (|| kind.to_owned(), || property.to_owned());
        let sum = |days| Measure::PropertySum { kind: kind(), property: property(), days };
        all.extend(self.windows().map(sum));
        all.push(Measure::PropertyMean { kind: kind(), property: property() });
        all.push(Measure::PropertyLast { kind: kind(), property: property() });
    }

    /// The number of features in a row.
    #[must_use]
    pub fn width(&self) -> usize {
        let windows = self.windows_days.len() + 1;
        self.kinds.len() * (2 * windows + 2)
            + self.properties.len() * (windows + 2)
            + windows
            + 10
            + usize::from(self.has_returned())
            + self.habits.width(self.kinds.len())
            + self.attributes.len()
            + self.forecast.map_or(0, |_| Forecast::WIDTH)
    }

    /// Whether another plan has the same features, whatever the fitted parameters of the forecast.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let Self { windows_days, kinds, properties, attributes, start_kinds, habits, forecast } = self;
        *windows_days == other.windows_days
            && *kinds == other.kinds
            && *properties == other.properties
            && *attributes == other.attributes
            && *start_kinds == other.start_kinds
            && *habits == other.habits
            && forecast.map(|forecast| forecast.days) == other.forecast.map(|forecast| forecast.days)
    }
}
