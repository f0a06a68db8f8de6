//! What a model predicts, of which customers, and what its label is.
//!
//! Training and scoring ask the same questions (is the customer eligible, which label does a moment get), so
//! both take the answers from here. A label looks at (as_of, as_of + horizon].

use serde::{Deserialize, Serialize};

use crate::{
    features::Forecast,
    history::{History, kind},
    spec::{ChurnEvent, Spec, Target},
    time::Time,
};

/// What a score of a customer can rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The model.
    Model,
    /// Neither interactions nor attributes are known: the average.
    Cold,
}

/// Why a customer has no score for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ineligible {
    /// A lead score was asked for, but there is a purchase already.
    NotALead,
    /// A churn score was asked for, but there is no purchase yet.
    NotABuyer,
    /// A churn score was asked for, but the customer has cancelled.
    AlreadyCancelled,
}

/// Which customers a target is about, and what its outcome is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelDefinition {
    /// What is foretold.
    pub target: Target,
    /// What counts as leaving, when the target is churn.
    pub event: ChurnEvent,
    /// Days after `as_of` that decide.
    pub horizon_days: u32,
}

impl LabelDefinition {
    /// The outcome that `spec` defines for `target`.
    #[must_use]
    pub const fn new(target: Target, spec: &Spec) -> Self {
        Self { target, event: spec.churn.event, horizon_days: spec.horizon_days(target) }
    }

    /// Whether a customer can be scored at `as_of`, as known at `known_at`, and on which basis.
    ///
    /// # Errors
    /// [`Ineligible`] says why not.
    pub fn eligible(self, history: &History, as_of: Time, known_at: Time) -> Result<Basis, Ineligible> {
        let has = |kind: &str| history.has(kind, None, as_of, known_at);
        match (self.target, self.event) {
            (Target::Lead, _) if has(kind::PURCHASE) => return Err(Ineligible::NotALead),
            (Target::Churn, ChurnEvent::Inactivity) if !has(kind::PURCHASE) => {
                return Err(Ineligible::NotABuyer);
            }
            (Target::Churn, ChurnEvent::Cancel) if has(kind::CANCEL) => {
                return Err(Ineligible::AlreadyCancelled);
            }
            _ => {}
        }
        let silent = history.visible(as_of, known_at).next().is_none();
        let blank = history.version_at(as_of, known_at).is_none_or(|version| version.attributes.is_empty());
        Ok(if silent && blank { Basis::Cold } else { Basis::Model })
    }

    /// Whether the outcome came about in (as_of, as_of + horizon], as known at `known_at`.
    #[must_use]
    pub fn label(self, history: &History, as_of: Time, known_at: Time) -> bool {
        let wanted = match (self.target, self.event) {
            (Target::Churn, ChurnEvent::Cancel) => kind::CANCEL,
            _ => kind::PURCHASE,
        };
        let happened = history.has(wanted, Some(as_of), self.horizon_end(as_of), known_at);
        match (self.target, self.event) {
            (Target::Churn, ChurnEvent::Inactivity) => !happened,
            _ => happened,
        }
    }

    /// The BG/NBD features that foretell this outcome, not fitted yet: of churn by inactivity.
    #[must_use]
    pub fn forecast(self) -> Option<Forecast> {
        (self.target == Target::Churn && self.event == ChurnEvent::Inactivity)
            .then_some(Forecast { days: self.horizon_days, model: None })
    }

    /// The last moment that decides about a snapshot at `as_of`.
    #[must_use]
    pub const fn horizon_end(self, as_of: Time) -> Time {
        as_of.plus_days(self.horizon_days as i64)
    }
}
