//! Where a customer stands among all: ABC class, RFM scores, life cycle, loyalty.

use super::{
    ExpectedInterval, Facts, LifeCycleSpec, Population, Relation,
    population::abc_value,
    spec::{NONE, OTHER},
};
use crate::{
    history::{History, kind},
    time::{DAY, Time},
};

/// What each of the five parts of loyalty is worth.
const POINTS: i32 = 20;
/// The points from which on a customer is loyal.
const LOYAL_FROM: i32 = 60;
/// The age in days from which on a relation is an old one.
const OLD_RELATION_DAYS: i64 = 365;

/// The ABC class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum AbcClass {
    /// Those who bring the first 80 %.
    A,
    /// Those who bring the next 15 %.
    B,
    /// The others who bought in the window.
    C,
    /// Those who did not.
    None,
}

impl AbcClass {
    /// All classes in order.
    pub const ALL: [Self; 4] = [Self::A, Self::B, Self::C, Self::None];

    /// The name in tables and replies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::None => NONE,
        }
    }
}

/// The stage of the relation with a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LifeCycle {
    /// Never bought.
    Lead,
    /// One purchase day.
    New,
    /// Several purchase days.
    Growing,
    /// Many purchase days.
    Mature,
    /// The last purchase day ended a loss.
    WonBack,
    /// Overdue.
    Declining,
    /// Cancelled, or long overdue.
    Lost,
}

impl LifeCycle {
    /// All stages, from the first contact to the loss.
    pub const ALL: [Self; 7] =
        [Self::Lead, Self::New, Self::Growing, Self::Mature, Self::WonBack, Self::Declining, Self::Lost];

    /// The name in tables and replies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lead => "lead",
            Self::New => "new",
            Self::Growing => "growing",
            Self::Mature => "mature",
            Self::WonBack => "won_back",
            Self::Declining => "declining",
            Self::Lost => "lost",
        }
    }

    /// The stage at a moment, by the purchases and cancels up to it.
    pub(super) fn of(relation: &Relation, as_of: Time, spec: &LifeCycleSpec) -> Self {
        let rhythm = relation.expected_interval().zip(relation.first_and_last_day());
        let Some((expected, (_, last_day))) = rhythm else { return Self::Lead };
        match relation.purchase_days() {
            _ if relation.loss().is_some_and(|loss| loss <= as_of) => Self::Lost,
            _ if as_of > expected.reached(last_day, spec.declining_after) => Self::Declining,
            _ if relation.is_won_back() => Self::WonBack,
            1 => Self::New,
            days if days < i64::from(spec.mature_from) => Self::Growing,
            _ => Self::Mature,
        }
    }
}

/// Value and loyalty together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ValueLoyalty {
    /// Class A, and loyal.
    High,
    /// One of the two.
    Potential,
    /// Neither.
    Low,
    /// Nothing bought in the window.
    None,
}

impl ValueLoyalty {
    /// All in order.
    pub const ALL: [Self; 4] = [Self::High, Self::Potential, Self::Low, Self::None];

    /// The name in tables and replies.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Potential => "potential",
            Self::Low => "low",
            Self::None => NONE,
        }
    }
}

/// Where a customer stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// The stage of the relation.
    pub life_cycle: LifeCycle,
    /// When a buyer cancelled after its last purchase.
    pub cancel_time: Option<Time>,
    /// The ABC class.
    pub abc: AbcClass,
    /// The scores for recency, frequency and money, from 1 to 5; None without a purchase in the window.
    pub rfm: Option<[u8; 3]>,
    /// Value and loyalty.
    pub value_loyalty: ValueLoyalty,
    /// 0 to 100.
    pub loyalty_points: i32,
    /// The days after which the customer can be expected to buy again; None for a lead.
    pub expected_interval_days: Option<f64>,
    /// The days since the last purchase day by that.
    pub overdue_ratio: Option<f64>,
}

impl Placement {
    /// Where the customer of a history stands at `as_of`; `facts` are its own at the same moment.
    #[must_use]
    pub fn of(
        history: &History,
        facts: &Facts,
        (as_of, known_at): (Time, Time),
        population: &Population,
    ) -> Self {
        let rhythm = Rhythm::new(history, (as_of, known_at), population);
        let abc = abc_class(facts, population);
        let loyalty_points = loyalty_points(facts, rhythm.as_ref(), as_of);
        Self {
            life_cycle: rhythm.as_ref().map_or(LifeCycle::Lead, |rhythm| rhythm.stage),
            cancel_time: rhythm.as_ref().and_then(|rhythm| rhythm.cancel_time),
            abc,
            rfm: rfm(facts, as_of, population),
            value_loyalty: match (abc, loyalty_points >= LOYAL_FROM) {
                (AbcClass::None, _) => ValueLoyalty::None,
                (AbcClass::A, true) => ValueLoyalty::High,
                (AbcClass::A, false) | (_, true) => ValueLoyalty::Potential,
                _ => ValueLoyalty::Low,
            },
            loyalty_points,
            expected_interval_days: rhythm.as_ref().map(|rhythm| rhythm.expected.as_days()),
            overdue_ratio: rhythm.as_ref().map(Rhythm::overdue_ratio),
        }
    }

    /// The RFM scores as three digits, such as `543`.
    #[must_use]
    pub fn rfm_cell(&self) -> String {
        self.rfm.map_or_else(|| NONE.to_owned(), |scores| scores.map(|score| score.to_string()).concat())
    }

    /// The RFM segment.
    #[must_use]
    pub fn rfm_segment<'a>(&self, population: &'a Population) -> &'a str {
        let Some(scores) = self.rfm else { return NONE };
        let found = population.spec.rfm.segment.iter().find(|segment| segment.holds(scores));
        found.map_or(OTHER, |segment| segment.name.as_str())
    }
}

/// How often a buyer buys, and how long it has not.
struct Rhythm {
    expected: ExpectedInterval,
    /// The days since the midnight that begins the last purchase day.
    days_since_last: f64,
    is_overdue: bool,
    stage: LifeCycle,
    cancel_time: Option<Time>,
}

impl Rhythm {
    /// None for a lead.
    fn new(history: &History, (as_of, known_at): (Time, Time), population: &Population) -> Option<Self> {
        let spec = &population.spec.life_cycle;
        let mut relation = Relation::new(population.typical_interval, spec);
        let [purchase, cancel] = [kind::PURCHASE, kind::CANCEL].map(|kind| history.kind_slot(kind));
        for event in history.visible(as_of, known_at) {
            match Some(event.kind) {
                kind if kind == purchase => relation.purchase(event.occur_time, |_, _| {}),
                kind if kind == cancel => relation.cancel(event.occur_time),
                _ => {}
            }
        }
        let (expected, (_, last_day)) = relation.expected_interval().zip(relation.first_and_last_day())?;
        Some(Self {
            expected,
            days_since_last: as_of.days_since(Time(last_day * DAY)),
            is_overdue: as_of > expected.reached(last_day, spec.declining_after),
            stage: LifeCycle::of(&relation, as_of, spec),
            cancel_time: relation.cancel_time(),
        })
    }

    fn overdue_ratio(&self) -> f64 {
        self.days_since_last / self.expected.as_days()
    }
}

/// The ABC class of a customer.
#[must_use]
pub fn abc_class(facts: &Facts, population: &Population) -> AbcClass {
    let value = abc_value(facts, &population.spec);
    let reaches = |least: Option<i64>| least.is_some_and(|least| value >= least);
    match () {
        () if facts.window.orders == 0 => AbcClass::None,
        () if reaches(population.a_from) => AbcClass::A,
        () if reaches(population.b_from) => AbcClass::B,
        () => AbcClass::C,
    }
}

fn rfm(facts: &Facts, as_of: Time, population: &Population) -> Option<[u8; 3]> {
    let purchases = facts.purchases.filter(|_| facts.window.orders > 0)?;
    let Population { recency, frequency, money, .. } = population;
    Some([
        recency.score(-purchases.recency_days(as_of)),
        frequency.score(facts.window.orders),
        money.score(facts.window.net()),
    ])
}

fn loyalty_points(facts: &Facts, rhythm: Option<&Rhythm>, as_of: Time) -> i32 {
    let of_buyer = facts.purchases.map_or([false; 4], |purchases| {
        [
            purchases.count >= 2,
            rhythm.is_some_and(|rhythm| !rhythm.is_overdue),
            as_of >= purchases.first_purchase.plus_days(OLD_RELATION_DAYS),
            2 * facts.discounted <= facts.ever.orders,
        ]
    });
    let fulfilled = of_buyer.into_iter().chain([facts.referrals > 0]).filter(|fulfilled| *fulfilled);
    POINTS * fulfilled.count() as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insight::InsightSpec;

    const AS_OF: Time = Time(10_000 * DAY);

    /// Events by their days before `AS_OF`, at noon of their day.
    fn placed(spec: &str, events: &[(&str, i64)]) -> Placement {
        let mut history = History::default();
        for (kind, days) in events {
            let time = Time(AS_OF.0 - days * DAY + DAY / 2);
            history.push(kind, time, time, Some(100), None);
        }
        let spec = InsightSpec::parse(spec).unwrap();
        let facts = Facts::of(&history, AS_OF, AS_OF, &spec).unwrap();
        Placement::of(&history, &facts, (AS_OF, AS_OF), &Population::nobody(AS_OF, &spec))
    }

    /// The stage when the typical interval is 10 days.
    fn stage(events: &[(&str, i64)]) -> &'static str {
        placed("[life_cycle]\ntypical_interval_days = 10", events).life_cycle.name()
    }

    #[test]
    fn the_first_stage_that_fits_counts() {
        assert_eq!(stage(&[("visit", 5)]), "lead");
        assert_eq!(stage(&[("purchase", 15)]), "new");
        assert_eq!(stage(&[("purchase", 16)]), "declining");
        assert_eq!(stage(&[("purchase", 29)]), "declining");
        assert_eq!(stage(&[("purchase", 30)]), "lost");
        assert_eq!(stage(&[("purchase", 5), ("cancel", 4)]), "lost");
        assert_eq!(stage(&[("purchase", 5), ("cancel", 4), ("purchase", 3)]), "won_back");
        assert_eq!(stage(&[("purchase", 60), ("purchase", 3)]), "won_back");
        assert_eq!(stage(&[("purchase", 60), ("purchase", 3), ("purchase", 2)]), "growing");
        let daily: Vec<_> = (1..6).rev().map(|day| ("purchase", day)).collect();
        assert_eq!((stage(&daily[..4]), stage(&daily)), ("growing", "mature"));
    }

    #[test]
    fn loyalty_has_five_parts() {
        let points = |events: &[(&str, i64)]| placed("", events).loyalty_points;
        assert_eq!(points(&[("visit", 5)]), 0, "a lead");
        assert_eq!(points(&[("referral", 5)]), 20);
        assert_eq!(points(&[("purchase", 5)]), 40, "in time, and without discounts");
        assert_eq!(points(&[("purchase", 364), ("purchase", 5)]), 60);
        assert_eq!(points(&[("purchase", 366), ("purchase", 5)]), 80);
        assert_eq!(points(&[("purchase", 366), ("referral", 7), ("purchase", 5)]), 100);
    }

    #[test]
    fn the_overdue_ratio_is_by_the_expected_interval() {
        let placement = placed("", &[("purchase", 100), ("purchase", 80)]);
        assert_eq!(placement.expected_interval_days, Some((20.0 + 90.0) / 2.0));
        assert_eq!(placement.overdue_ratio, Some(80.0 / 55.0));
        assert_eq!((placement.rfm_cell(), placement.abc), ("111".to_owned(), AbcClass::C));
    }
}
