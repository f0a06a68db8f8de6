//! The label: what a model predicts, and for which customers.
//!
//! Training and scoring share these rules: which customers are eligible, and which label a moment has. A label
//! looks at (as_of, as_of + horizon].

use serde::{Deserialize, Serialize};

use crate::{
    features::{Forecast, Plan, profile::DataProfile},
    history::{History, kind},
    spec::{ChurnEvent, Spec, Target},
    time::Time,
};

/// What a score is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The model.
    Model,
    /// Neither interactions nor attributes are known: the score of an average customer.
    Cold,
}

/// Why a customer has no score for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ineligible {
    /// A score was requested about a moment before the customer existed.
    NotYetCreated,
    /// A lead score was requested for a customer that has bought.
    NotALead,
    /// A churn score was requested for a customer that has not bought yet.
    NotABuyer,
    /// A churn score was requested for a customer without a relation that a `cancel` could end.
    NotSubscribed,
    /// A churn score was requested for a customer that has cancelled and not come back.
    AlreadyCancelled,
}

/// Which customers a target applies to, and what its outcome is.
///
/// ```
/// use tally_model::{
///     features::profile::DataProfile,
///     history::{History, kind},
///     label::{Basis, Ineligible, LabelDefinition},
///     spec::{Spec, Target},
///     time::Time,
/// };
///
/// let lead = LabelDefinition::new(Target::Lead, &Spec::default(), &DataProfile::default());
/// let (visit, purchase): (Time, Time) = ("2026-01-05".parse()?, "2026-01-20".parse()?);
/// let mut history = History::default();
/// history.push("visit", visit, visit, None, None);
/// history.push(kind::PURCHASE, purchase, purchase, Some(1_999), None);
///
/// assert_eq!(lead.eligible(&history, visit, visit), Ok(Basis::Model));
/// assert!(lead.label(&history, visit, purchase), "bought within 30 days");
/// assert_eq!(lead.eligible(&history, purchase, purchase), Err(Ineligible::NotALead));
/// # Ok::<(), tally_model::time::ParseTimeError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelDefinition {
    /// What is predicted.
    pub target: Target,
    /// What counts as leaving, when the target is churn.
    pub event: ChurnEvent,
    /// The length of the horizon in days.
    pub horizon_days: u32,
    /// The kinds of interaction that begin a relation which a `cancel` ends, when that counts as leaving. Without
    /// any, as in models that were stored before there were such kinds, everybody has a relation until the first
    /// `cancel`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub start_kinds: Vec<String>,
}

impl LabelDefinition {
    /// The outcome that `spec` defines for `target`; `profile` says which kinds of interaction occur.
    #[must_use]
    pub fn new(target: Target, spec: &Spec, profile: &DataProfile) -> Self {
        let event = spec.churn.event;
        let start_kinds = match (target, event) {
            (Target::Churn, ChurnEvent::Cancel) => profile.start_kinds(&spec.churn),
            _ => Vec::new(),
        };
        Self { target, event, horizon_days: spec.horizon_days(target), start_kinds }
    }

    /// Whether a customer can be scored at `as_of`, as known at `known_at`, and on which basis.
    ///
    /// # Errors
    /// [`Ineligible`] is the reason why not.
    pub fn eligible(&self, history: &History, as_of: Time, known_at: Time) -> Result<Basis, Ineligible> {
        if !history.existed(as_of) {
            return Err(Ineligible::NotYetCreated);
        }
        let has = |kind: &str| history.has(kind, None, as_of, known_at);
        match (self.target, self.event) {
            (Target::Lead, _) if has(kind::PURCHASE) => return Err(Ineligible::NotALead),
            (Target::Churn, ChurnEvent::Inactivity) if !has(kind::PURCHASE) => {
                return Err(Ineligible::NotABuyer);
            }
            (Target::Churn, ChurnEvent::Cancel) => self.check_relation(history, as_of, known_at)?,
            _ => {}
        }
        let silent = history.visible(as_of, known_at).next().is_none();
        let blank = history.version_at(as_of, known_at).is_none_or(|version| version.attributes.is_empty());
        Ok(if silent && blank { Basis::Cold } else { Basis::Model })
    }

    /// Checks that there is a relation to end: its latest start is later than its latest `cancel`.
    fn check_relation(&self, history: &History, as_of: Time, known_at: Time) -> Result<(), Ineligible> {
        let latest = |kind: &str| history.latest(kind, as_of, known_at);
        let started = self.start_kinds.iter().filter_map(|kind| latest(kind)).max();
        match latest(kind::CANCEL) {
            None if started.is_some() || self.start_kinds.is_empty() => Ok(()),
            None => Err(Ineligible::NotSubscribed),
            Some(cancelled) if started.is_some_and(|started| started > cancelled) => Ok(()),
            Some(_) => Err(Ineligible::AlreadyCancelled),
        }
    }

    /// The kind of interaction after which a customer is not eligible any more; None if there is none.
    #[must_use]
    pub const fn ended_by(&self) -> Option<&'static str> {
        match (self.target, self.event) {
            (Target::Lead, _) => Some(kind::PURCHASE),
            (Target::Churn, ChurnEvent::Cancel) => Some(kind::CANCEL),
            (Target::Churn, ChurnEvent::Inactivity) => None,
        }
    }

    /// The kind of interaction that decides the outcome.
    #[must_use]
    pub const fn decided_by(&self) -> &'static str {
        match (self.target, self.event) {
            (Target::Churn, ChurnEvent::Cancel) => kind::CANCEL,
            _ => kind::PURCHASE,
        }
    }

    /// Whether the outcome happened in (as_of, as_of + horizon], as known at `known_at`.
    #[must_use]
    pub fn label(&self, history: &History, as_of: Time, known_at: Time) -> bool {
        let happened = history.has(self.decided_by(), Some(as_of), self.horizon_end(as_of), known_at);
        match (self.target, self.event) {
            (Target::Churn, ChurnEvent::Inactivity) => !happened,
            _ => happened,
        }
    }

    /// Whether the outcome has come to a customer by `now`: a lead has bought, a subscriber has cancelled, or a buyer has
    /// made no purchase for as long as the horizon.
    #[must_use]
    pub fn has_come_about(&self, history: &History, now: Time) -> bool {
        match (self.target, self.event) {
            (Target::Churn, ChurnEvent::Inactivity) => {
                self.label(history, now.plus_days(-i64::from(self.horizon_days)), now)
            }
            _ => self.eligible(history, now, now).is_err(),
        }
    }

    /// Adds the features that only this outcome has: for churn by inactivity those of the BG/NBD model, which is not
    /// fitted yet, for churn by `cancel` who came back, for leads the weekday of their arrival; and the month, when
    /// snapshots can be of every month.
    pub fn add_features(&self, profile: &DataProfile, plan: &mut Plan) {
        plan.forecast = (self.target == Target::Churn && self.event == ChurnEvent::Inactivity)
            .then_some(Forecast { days: self.horizon_days, model: None });
        plan.start_kinds.clone_from(&self.start_kinds);
        plan.habits.arrival_weekday = self.target == Target::Lead;
        plan.habits.month = profile.activity().covers_every_month_before_the_last(self.horizon_days);
    }

    /// The end of the horizon of a snapshot at `as_of`.
    #[must_use]
    pub const fn horizon_end(&self, as_of: Time) -> Time {
        as_of.plus_days(self.horizon_days as i64)
    }
}
