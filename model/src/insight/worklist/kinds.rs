//! Kinds of work: on which lists a customer is, and what is at stake.

use super::WorklistSpec;
use crate::{
    insight::{AbcClass, Facts, LifeCycle, Placement},
    time::{DAY, Time},
};

/// Why to turn to a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkKind {
    /// It is likely to leave.
    AtRisk,
    /// It has left.
    WinBack,
    /// It is likely to buy for the first time.
    HotLead,
    /// It brings much, and nobody turns to it.
    Neglected,
    /// A day on which to wish it well is near.
    CareDate,
}

impl WorkKind {
    /// All kinds, in the order in which the items of a customer are listed.
    pub const ALL: [Self; 5] = [Self::AtRisk, Self::WinBack, Self::HotLead, Self::Neglected, Self::CareDate];

    /// The name in tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AtRisk => "AT_RISK",
            Self::WinBack => "WIN_BACK",
            Self::HotLead => "HOT_LEAD",
            Self::Neglected => "NEGLECTED",
            Self::CareDate => "CARE_DATE",
        }
    }

    /// The kind of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The number of the kind in a set.
    #[must_use]
    pub const fn bit(self) -> i64 {
        1 << self as i64
    }
}

/// A set of kinds: the sum of the numbers of its kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WorkKinds(pub i64);

impl WorkKinds {
    /// The kinds of work that a customer needs at `as_of`; `contacts_recorded` says whether contacts with anybody are
    /// known at all.
    #[must_use]
    pub fn of(
        (facts, placement): (&Facts, &Placement),
        likelihood: Likelihood,
        care: Option<Time>,
        (as_of, contacts_recorded): (Time, bool),
        spec: &WorklistSpec,
    ) -> Self {
        let stage = placement.life_cycle;
        let is_current = !matches!(stage, LifeCycle::Lead | LifeCycle::Lost);
        let leaves = likelihood.churn.is_some_and(|churn| likelihood.is_worst_churn || churn >= 0.5);
        let matters = matches!(placement.abc, AbcClass::A | AbcClass::B);
        let silent_since = as_of.plus_days(-i64::from(spec.neglect_days));
        let is_silent = facts.last_contact.is_none_or(|last| last <= silent_since);
        let care_until = Time(as_of.day_number() * DAY).plus_days(spec.care_days.into());
        Self::default()
            .with(WorkKind::AtRisk, is_current && leaves)
            .with(WorkKind::WinBack, stage == LifeCycle::Lost)
            .with(WorkKind::HotLead, stage == LifeCycle::Lead && likelihood.is_best_lead)
            .with(WorkKind::Neglected, is_current && matters && contacts_recorded && is_silent)
            .with(WorkKind::CareDate, care.is_some_and(|care| care <= care_until))
    }

    /// The set, with a kind if it holds.
    #[must_use]
    pub const fn with(self, kind: WorkKind, holds: bool) -> Self {
        if holds { Self(self.0 | kind.bit()) } else { self }
    }

    /// Whether a kind is in the set.
    #[must_use]
    pub const fn has(self, kind: WorkKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// The kinds in order.
    pub fn kinds(self) -> impl Iterator<Item = WorkKind> {
        WorkKind::ALL.into_iter().filter(move |kind| self.has(*kind))
    }
}

impl FromIterator<WorkKind> for WorkKinds {
    fn from_iter<I: IntoIterator<Item = WorkKind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::default(), |set, kind| set.with(kind, true))
    }
}

/// What the champions say of a customer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Likelihood {
    /// The probability that it leaves; None without a champion for churn, and for who is not of those whom it is about.
    pub churn: Option<f64>,
    /// Whether the grade of that is D.
    pub is_worst_churn: bool,
    /// Whether the grade of a lead is A.
    pub is_best_lead: bool,
}

/// What is at stake with a customer, in minor units: P(churn) · CLV of a buyer, where a probability that is not known
/// counts as 1; the CLV of a lead, which includes the probability that it buys. None when the CLV is not known.
#[must_use]
pub fn value_at_risk(stage: LifeCycle, clv_minor: Option<i64>, churn: Option<f64>) -> Option<i64> {
    let clv = clv_minor?;
    match (stage, churn) {
        (LifeCycle::Lead, _) | (_, None) => Some(clv),
        (_, Some(churn)) => Some((churn * clv as f64).round() as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insight::ValueLoyalty;

    const AS_OF: Time = Time(1_000 * DAY + DAY / 2);

    struct Customer {
        stage: LifeCycle,
        abc: AbcClass,
        last_contact: Option<Time>,
        likelihood: Likelihood,
        care: Option<Time>,
        contacts_recorded: bool,
    }

    impl Default for Customer {
        fn default() -> Self {
            let (likelihood, last_contact) = (Likelihood::default(), Some(AS_OF));
            let (stage, abc) = (LifeCycle::Mature, AbcClass::A);
            Self { stage, abc, last_contact, likelihood, care: None, contacts_recorded: true }
        }
    }

    impl Customer {
        fn kinds(self) -> Vec<WorkKind> {
            let facts = Facts { last_contact: self.last_contact, ..Facts::default() };
            let placement = Placement {
                cancel_time: None,
                life_cycle: self.stage,
                abc: self.abc,
                rfm: None,
                value_loyalty: ValueLoyalty::None,
                loyalty_points: 0,
                expected_interval_days: None,
                overdue_ratio: None,
            };
            let (spec, moment) = (WorklistSpec::default(), (AS_OF, self.contacts_recorded));
            WorkKinds::of((&facts, &placement), self.likelihood, self.care, moment, &spec).kinds().collect()
        }
    }

    fn churn(probability: f64, is_worst_churn: bool) -> Likelihood {
        Likelihood { churn: Some(probability), is_worst_churn, ..Likelihood::default() }
    }

    #[test]
    fn who_may_leave_is_at_risk() {
        let at_risk = |likelihood| Customer { likelihood, ..Customer::default() }.kinds();
        assert_eq!(at_risk(churn(0.5, false)), [WorkKind::AtRisk]);
        assert_eq!(at_risk(churn(0.499_999, false)), []);
        assert_eq!(at_risk(churn(0.2, true)), [WorkKind::AtRisk]);
        assert_eq!(at_risk(Likelihood::default()), [], "without a champion");
        let lost = Customer { stage: LifeCycle::Lost, likelihood: churn(0.9, true), ..Customer::default() };
        assert_eq!(lost.kinds(), [WorkKind::WinBack]);
    }

    #[test]
    fn leads_of_the_best_grade_are_hot() {
        let likelihood = Likelihood { is_best_lead: true, ..Likelihood::default() };
        let lead = |likelihood| Customer {
            stage: LifeCycle::Lead,
            abc: AbcClass::None,
            likelihood,
            ..Customer::default()
        };
        assert_eq!(lead(likelihood).kinds(), [WorkKind::HotLead]);
        assert_eq!(lead(Likelihood::default()).kinds(), []);
    }

    #[test]
    fn who_matters_and_hears_nothing_is_neglected() {
        let silent = |days: i64| Some(AS_OF.plus_days(-days));
        let of = |abc, last_contact| Customer { abc, last_contact, ..Customer::default() };
        assert_eq!(of(AbcClass::B, silent(90)).kinds(), [WorkKind::Neglected]);
        assert_eq!(of(AbcClass::A, None).kinds(), [WorkKind::Neglected]);
        assert_eq!(of(AbcClass::A, silent(89)).kinds(), []);
        assert_eq!(of(AbcClass::C, None).kinds(), []);
        assert_eq!(Customer { contacts_recorded: false, ..of(AbcClass::A, None) }.kinds(), []);
        assert_eq!(Customer { stage: LifeCycle::Lost, ..of(AbcClass::A, None) }.kinds(), [WorkKind::WinBack]);
    }

    #[test]
    fn care_dates_are_near() {
        let care =
            |days: i64| Customer { care: Some(Time((1_000 + days) * DAY)), ..Customer::default() }.kinds();
        assert_eq!((care(0), care(7), care(8)), (vec![WorkKind::CareDate], vec![WorkKind::CareDate], vec![]));
    }

    #[test]
    fn a_customer_may_need_several_kinds() {
        let all = Customer {
            last_contact: None,
            likelihood: churn(0.7, true),
            care: Some(Time(1_001 * DAY)),
            ..Customer::default()
        };
        assert_eq!(all.kinds(), [WorkKind::AtRisk, WorkKind::Neglected, WorkKind::CareDate]);
        assert_eq!(WorkKind::ALL.into_iter().collect::<WorkKinds>().0, 31);
    }

    #[test]
    fn value_at_risk_is_what_may_be_lost() {
        assert_eq!(value_at_risk(LifeCycle::Mature, Some(1_001), Some(0.5)), Some(501));
        assert_eq!(value_at_risk(LifeCycle::Lost, Some(1_000), None), Some(1_000));
        assert_eq!(value_at_risk(LifeCycle::Lead, Some(1_000), None), Some(1_000));
        assert_eq!(value_at_risk(LifeCycle::Mature, None, Some(0.5)), None);
    }
}
