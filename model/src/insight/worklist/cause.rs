//! Why a customer may leave: the features of the churn model in groups, each of which is a cause.

use serde::{Deserialize, Serialize};

use crate::{features::Measure, history::kind};

/// Why a customer may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Complaints, and low scores in surveys.
    OpenComplaint,
    /// What it returns.
    Returns,
    /// Nobody turns to it.
    Neglect,
    /// It buys, uses or visits less.
    FallingUse,
    /// What it pays, and how much of it with a discount.
    Price,
    /// It wants other things, or by another channel, or has cancelled.
    NeedChanged,
    /// Nothing of these.
    Unknown,
}

/// The causes that have features of their own.
const KNOWN: [Cause; 6] = [
    Cause::OpenComplaint,
    Cause::Returns,
    Cause::Neglect,
    Cause::FallingUse,
    Cause::Price,
    Cause::NeedChanged,
];

impl Cause {
    /// All causes.
    pub const ALL: [Self; 7] = [
        Self::OpenComplaint,
        Self::Returns,
        Self::Neglect,
        Self::FallingUse,
        Self::Price,
        Self::NeedChanged,
        Self::Unknown,
    ];

    /// The name in tables and settings.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenComplaint => "open_complaint",
            Self::Returns => "returns",
            Self::Neglect => "neglect",
            Self::FallingUse => "falling_use",
            Self::Price => "price",
            Self::NeedChanged => "need_changed",
            Self::Unknown => "unknown",
        }
    }

    /// The cause of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.name() == name)
    }

    /// The table of the groups: which cause a feature tells of. Who a customer is and when it came tells of none.
    fn of(measure: &Measure, contact_kinds: &[String]) -> Self {
        match measure {
            Measure::OpenComplaints | Measure::Satisfaction => Self::OpenComplaint,
            Measure::ReturnShare => Self::Returns,
            Measure::AverageAmount | Measure::DiscountShare { .. } => Self::Price,
            _ if is_of_price(measure) => Self::Price,
            Measure::PropertyDistinct { .. }
            | Measure::PropertyCommonest { .. }
            | Measure::PropertyMean { .. }
            | Measure::PropertyLast { .. }
            | Measure::ChannelLast { .. }
            | Measure::ChannelCommonest { .. }
            | Measure::ChannelCount { .. } => Self::NeedChanged,
            Measure::Count { kind, .. }
            | Measure::Amount { kind, .. }
            | Measure::DaysSinceLast { kind }
            | Measure::DaysSinceFirst { kind }
            | Measure::KindTrend { kind }
            | Measure::PropertySum { kind, .. } => Self::of_kind(kind, contact_kinds),
            Measure::SilenceDays
            | Measure::ActiveDays { .. }
            | Measure::PurchaseDays
            | Measure::MeanGapDays
            | Measure::RecencyOverGap
            | Measure::GapVariation
            | Measure::Trend
            | Measure::Returned
            | Measure::ExpectedPurchases { .. }
            | Measure::NoPurchaseProbability { .. } => Self::FallingUse,
            Measure::ArrivalWeekday | Measure::Month | Measure::TenureDays | Measure::Attribute { .. } => {
                Self::Unknown
            }
        }
    }

    /// The cause that a feature tells of a customer who has bought on one day: what only says how often and how long ago
    /// that was, or by which way and what it bought then, tells of none, since nothing of it can have fallen or changed.
    fn of_one_day(measure: &Measure, contact_kinds: &[String]) -> Self {
        let cause = Self::of(measure, contact_kinds);
        let of_that_day = match measure {
            Measure::Count { kind, .. }
            | Measure::Amount { kind, .. }
            | Measure::DaysSinceLast { kind }
            | Measure::DaysSinceFirst { kind }
            | Measure::KindTrend { kind }
            | Measure::PropertySum { kind, .. }
            | Measure::PropertyMean { kind, .. }
            | Measure::PropertyLast { kind, .. }
            | Measure::PropertyDistinct { kind, .. }
            | Measure::PropertyCommonest { kind, .. } => kind == kind::PURCHASE,
            Measure::Returned => false,
            _ => true,
        };
        match cause {
            Self::FallingUse | Self::NeedChanged if of_that_day => Self::Unknown,
            cause => cause,
        }
    }

    /// The cause that the interactions of a kind tell of.
    fn of_kind(name: &str, contact_kinds: &[String]) -> Self {
        match name {
            kind::COMPLAINT | kind::RESOLUTION | kind::SURVEY => Self::OpenComplaint,
            kind::RETURN => Self::Returns,
            // Who cancels ends its contract. As a part of its use, purchases often outweighed that.
            kind::CANCEL => Self::NeedChanged,
            _ if contact_kinds.iter().any(|contact| contact == name) => Self::Neglect,
            _ => Self::FallingUse,
        }
    }
}

/// Whether a feature is of a price or a discount that interactions carry.
fn is_of_price(measure: &Measure) -> bool {
    match measure {
        Measure::DiscountShare { .. } => true,
        Measure::PropertySum { property, .. }
        | Measure::PropertyMean { property, .. }
        | Measure::PropertyLast { property, .. } => {
            property.starts_with("discount") || property.starts_with("price")
        }
        _ => false,
    }
}

/// The cause of each feature of a model, in the order of its encoder.
#[derive(Clone, Debug)]
pub struct FeatureCauses {
    causes: Vec<Cause>,
    /// Those of a customer who has bought on one day.
    of_one_day: Vec<Cause>,
    /// Where a raw row has the number of purchase days.
    purchase_days: Option<usize>,
    /// Where a raw row tells of returns and complaints, and of which.
    events: Vec<(Cause, usize)>,
}

/// The causes that are no cause of a customer to whom nothing of the kind has happened. Where most customers return
/// something and stay, having returned nothing speaks for leaving, but it is not why.
const OF_EVENTS: [Cause; 2] = [Cause::OpenComplaint, Cause::Returns];

impl FeatureCauses {
    /// The causes of these features, of a model whose raw rows have the measures `raw`, where these kinds of interaction
    /// are contacts. Where no interaction carries a price or a discount, what a customer pays tells of no price.
    #[must_use]
    pub fn new<'a>(
        features: impl Iterator<Item = &'a Measure>,
        raw: &[Measure],
        contact_kinds: &[String],
    ) -> Self {
        let has_prices = raw.iter().any(is_of_price);
        let features: Vec<&Measure> = features.collect();
        let causes = |of: fn(&Measure, &[String]) -> Cause| {
            let cause = |measure: &&Measure| match of(measure, contact_kinds) {
                Cause::Price if !has_prices => Cause::Unknown,
                cause => cause,
            };
            features.iter().map(cause).collect()
        };
        Self {
            causes: causes(Cause::of),
            of_one_day: causes(Cause::of_one_day),
            purchase_days: raw.iter().position(|measure| *measure == Measure::PurchaseDays),
            events: raw
                .iter()
                .enumerate()
                // A trend is a quotient that is never 0.
                .filter(|(_, measure)| !matches!(measure, Measure::KindTrend { .. }))
                .map(|(place, measure)| (Cause::of(measure, contact_kinds), place))
                .filter(|(cause, _)| OF_EVENTS.contains(cause))
                .collect(),
        }
    }

    /// Whether the raw row of a customer tells that something of this cause has happened: a number above 0, or a time.
    fn has_happened(&self, cause: Cause, row: &[f64]) -> bool {
        let is_told = |place: &usize| row.get(*place).is_some_and(|value| *value > 0.0);
        self.events.iter().any(|(of, place)| *of == cause && is_told(place))
    }

    /// The causes that the features tell of a customer with this raw row.
    fn of(&self, row: &[f64]) -> &[Cause] {
        let days = self.purchase_days.and_then(|place| row.get(place));
        if days == Some(&1.0) { &self.of_one_day } else { &self.causes }
    }
}

/// What the features of each cause contribute towards leaving.
#[derive(Debug)]
pub struct CauseSums<'a> {
    causes: &'a [Cause],
    sums: [f64; Cause::ALL.len()],
    /// The causes of which nothing has happened.
    ruled_out: [bool; OF_EVENTS.len()],
}

impl<'a> CauseSums<'a> {
    /// Nothing contributes yet to the score of this raw row.
    #[must_use]
    pub fn new(causes: &'a FeatureCauses, row: &[f64]) -> Self {
        let ruled_out = OF_EVENTS.map(|cause| !causes.has_happened(cause, row));
        Self { causes: causes.of(row), sums: [0.0; Cause::ALL.len()], ruled_out }
    }

    /// Adds what a feature contributes, in log-odds.
    pub fn add(&mut self, feature: usize, log_odds: f64) {
        if let Some(cause) = self.causes.get(feature) {
            self.sums[*cause as usize] += log_odds;
        }
    }

    /// The cause with the greatest sum above 0, the first of equal ones; unknown when there is none. Complaints and
    /// returns are none of a customer without any.
    #[must_use]
    pub fn cause(&self) -> Cause {
        let is_ruled_out =
            |cause| OF_EVENTS.into_iter().zip(self.ruled_out).any(|(of, is_out)| of == cause && is_out);
        let mut found = (Cause::Unknown, 0.0);
        for cause in KNOWN.into_iter().filter(|cause| !is_ruled_out(*cause)) {
            if self.sums[cause as usize] > found.1 {
                found = (cause, self.sums[cause as usize]);
            }
        }
        found.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_with_the_greatest_sum_is_the_cause() {
        let contacts = ["call".to_owned()];
        let count = |kind: &str| Measure::Count { kind: kind.to_owned(), days: None };
        let features = [count("call"), Measure::SilenceDays, Measure::Trend, Measure::Month, count("return")];
        let causes = FeatureCauses::new(features.iter(), &features, &contacts);
        let of = |log_odds: [f64; 5]| {
            let mut sums = CauseSums::new(&causes, &[0.0, 3.0, 1.0, 6.0, 2.0]);
            log_odds.into_iter().enumerate().for_each(|(feature, log_odds)| sums.add(feature, log_odds));
            sums.cause()
        };
        assert_eq!(of([0.3, 0.2, 0.2, 5.0, 0.1]), Cause::FallingUse, "0.2 + 0.2 is more than 0.3");
        assert_eq!(of([0.3, 0.5, -0.3, 0.0, 0.1]), Cause::Neglect);
        assert_eq!(of([-0.3, 0.5, -0.6, 0.0, 0.1]), Cause::Returns);
        assert_eq!(of([-0.3, -0.5, 0.0, 9.0, 0.0]), Cause::Unknown, "the month is no cause");
    }

    #[test]
    fn who_cancelled_needs_something_else() {
        let cancel = || kind::CANCEL.to_owned();
        for measure in [
            Measure::Count { kind: cancel(), days: Some(90) },
            Measure::Amount { kind: cancel(), days: None },
            Measure::DaysSinceLast { kind: cancel() },
            Measure::DaysSinceFirst { kind: cancel() },
            Measure::KindTrend { kind: cancel() },
            Measure::PropertySum { kind: cancel(), property: "months_left".to_owned(), days: None },
        ] {
            assert_eq!(Cause::of(&measure, &[]), Cause::NeedChanged, "{measure}");
            // A business may count it among its contacts.
            assert_eq!(Cause::of(&measure, &[cancel()]), Cause::NeedChanged, "{measure}");
        }
        let of_cancel = Measure::DaysSinceLast { kind: cancel() };
        let features = [of_cancel, Measure::SilenceDays, Measure::AverageAmount];
        let causes = FeatureCauses::new(features.iter(), &features, &[]);
        let mut sums = CauseSums::new(&causes, &[]);
        [2.0, -0.5, 0.4].into_iter().enumerate().for_each(|(feature, log_odds)| sums.add(feature, log_odds));
        assert_eq!(sums.cause(), Cause::NeedChanged, "what purchases say does not hide it");
    }

    #[test]
    fn nothing_has_fallen_or_changed_of_who_bought_on_one_day() {
        let of = |kind: &str| kind.to_owned();
        let features = [
            Measure::PurchaseDays,
            Measure::RecencyOverGap,
            Measure::SilenceDays,
            Measure::DaysSinceLast { kind: of("purchase") },
            Measure::NoPurchaseProbability { days: 90 },
            Measure::ChannelLast { levels: Vec::new() },
            Measure::PropertyCommonest { kind: of("purchase"), property: of("category"), levels: Vec::new() },
            Measure::DaysSinceLast { kind: of("visit") },
            Measure::DaysSinceLast { kind: of("cancel") },
            Measure::ReturnShare,
        ];
        let causes = FeatureCauses::new(features.iter(), &features, &[]);
        let of = |purchase_days: f64, log_odds: &[(usize, f64)]| {
            let row = [purchase_days, f64::NAN, 1.0, 1.0, 0.9, 0.0, 0.0, 1.0, f64::NAN, 0.5];
            let mut sums = CauseSums::new(&causes, &row);
            log_odds.iter().for_each(|(feature, log_odds)| sums.add(*feature, *log_odds));
            sums.cause()
        };
        for (place, feature) in features.iter().enumerate().take(7) {
            assert_eq!(of(1.0, &[(place, 2.0)]), Cause::Unknown, "{feature}");
            let more = if place < 5 { Cause::FallingUse } else { Cause::NeedChanged };
            assert_eq!(of(2.0, &[(place, 2.0)]), more, "{feature}");
        }
        // What it does besides can fall, and other groups tell of it what they tell of all.
        assert_eq!(of(1.0, &[(0, 2.0), (3, 2.0), (7, 0.1)]), Cause::FallingUse);
        assert_eq!(of(1.0, &[(0, 2.0), (8, 0.2), (9, 0.1)]), Cause::NeedChanged);
        assert_eq!(of(1.0, &[(0, 2.0), (9, 0.1)]), Cause::Returns);
        assert_eq!(of(2.0, &[(0, 2.0), (9, 0.1)]), Cause::FallingUse);
    }

    #[test]
    fn what_never_happened_is_no_cause() {
        let of = |kind: &str| kind.to_owned();
        let features = [
            Measure::ReturnShare,
            Measure::DaysSinceLast { kind: of("return") },
            Measure::OpenComplaints,
            Measure::Count { kind: of("complaint"), days: None },
            Measure::Satisfaction,
            Measure::SilenceDays,
        ];
        let causes = FeatureCauses::new(features.iter(), &features, &[]);
        let of = |row: [f64; 6], log_odds: [f64; 6]| {
            let mut sums = CauseSums::new(&causes, &row);
            log_odds.into_iter().enumerate().for_each(|(feature, log_odds)| sums.add(feature, log_odds));
            sums.cause()
        };
        let (nan, returns, complaints) =
            (f64::NAN, [1.0, 1.0, 0.0, 0.0, 0.0, 0.5], [0.0, 0.0, 1.0, 1.0, 0.0, 0.5]);
        assert_eq!(of([0.0, nan, 0.0, 0.0, nan, 9.0], returns), Cause::FallingUse);
        assert_eq!(of([0.0, nan, 0.0, 0.0, nan, 9.0], complaints), Cause::FallingUse);
        assert_eq!(
            of([0.0, 400.0, 0.0, 0.0, nan, 9.0], returns),
            Cause::Returns,
            "it returned something once"
        );
        assert_eq!(
            of([0.2, 3.0, 0.0, 0.0, nan, 9.0], complaints),
            Cause::FallingUse,
            "returns are no complaint"
        );
        assert_eq!(of([0.0, nan, 0.0, 1.0, nan, 9.0], complaints), Cause::OpenComplaint);
        assert_eq!(
            of([0.0, nan, 0.0, 0.0, 0.3, 9.0], complaints),
            Cause::OpenComplaint,
            "it answered a survey"
        );
    }

    #[test]
    fn a_price_is_a_cause_where_there_are_prices() {
        let with = |raw: &[Measure]| {
            let causes = FeatureCauses::new([Measure::AverageAmount].iter(), raw, &[]);
            let mut sums = CauseSums::new(&causes, &[]);
            sums.add(0, 1.0);
            sums.cause()
        };
        assert_eq!(with(&[Measure::AverageAmount, Measure::PurchaseDays]), Cause::Unknown);
        let discount = Measure::DiscountShare { property: "voucher".to_owned() };
        assert_eq!(with(&[Measure::AverageAmount, discount]), Cause::Price);
        let price = |property: &str| Measure::PropertyMean {
            kind: "visit".to_owned(),
            property: property.to_owned(),
        };
        assert_eq!(with(&[price("price_plan")]), Cause::Price);
        assert_eq!(with(&[price("units")]), Cause::Unknown);
    }

    #[test]
    fn causes_have_names() {
        for (n, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!((cause as usize, Cause::named(cause.name())), (n, Some(cause)));
            assert_eq!(serde_json::to_value(cause).unwrap(), cause.name());
        }
        assert_eq!(Cause::named("weather"), None);
    }
}
