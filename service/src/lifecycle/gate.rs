//! The gate: a candidate must be at least as good as the champion on holdout rows that neither of the two
//! has learned from. Those are the rows of both holdouts, and those of the candidate's holdout that its
//! training had the champion score.

use std::fmt;

use tally_model::{
    label::LabelDefinition,
    spec::{ChurnEvent, Target},
    training::compare::Comparison,
};
use tally_store::Store;

use crate::{
    catalog::{Model, ModelName},
    platform::{
        blocking::run_blocking,
        error::{Error, Result},
    },
};

/// What the gate finds about a candidate.
#[derive(Clone, Debug, PartialEq)]
pub enum Gate {
    /// No model serves yet.
    NoChampion,
    /// Both models were judged on the same rows.
    Compared(ModelName, Comparison),
    /// There is no fair comparison with the champion, for this reason.
    NotComparable(ModelName, String),
}

impl Gate {
    /// Whether the candidate has the lower log loss, or no champion to compare with. A training promotes such
    /// a candidate by itself.
    #[must_use]
    pub fn is_better(&self) -> bool {
        match self {
            Self::NoChampion => true,
            Self::Compared(_, comparison) => comparison.difference < 0.0,
            Self::NotComparable(..) => false,
        }
    }

    /// Why the candidate is not promoted without force; None when it is.
    #[must_use]
    pub fn refusal(&self, candidate: ModelName) -> Option<Error> {
        let (reason, what) = match self {
            Self::NoChampion => return None,
            Self::Compared(_, comparison) if comparison.difference <= 0.0 => return None,
            Self::Compared(_, comparison) => {
                let Comparison { candidate_log_loss: have, champion_log_loss: need, .. } = comparison;
                ("WORSE_THAN_CHAMPION", format!("; have log loss {have:.4}, need {need:.4}"))
            }
            Self::NotComparable(..) => ("NOT_COMPARABLE", String::new()),
        };
        let message =
            format!("{candidate} is {self}{what}; promote it with `force` if it should serve all the same");
        Some(Error::Precondition { reason, message })
    }

    /// The comparison with the champion, if there is one.
    #[must_use]
    pub const fn comparison(&self) -> Option<(ModelName, Comparison)> {
        match self {
            Self::Compared(champion, comparison) => Some((*champion, *comparison)),
            Self::NoChampion | Self::NotComparable(..) => None,
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoChampion => write!(f, "there was no champion"),
            Self::NotComparable(champion, why) => write!(f, "not comparable with {champion}: {why}"),
            Self::Compared(champion, c) => {
                let words = match c.difference {
                    ..0.0 => "better than",
                    0.0 => "as good as",
                    _ => "worse than",
                };
                let may = c.difference != 0.0 && c.lower <= 0.0 && 0.0 <= c.upper;
                let chance = if may { ", which may be chance" } else { "" };
                write!(
                    f,
                    "{words} {champion} on the same {} rows: log loss {:.4} against {:.4}, \
                     a difference of {:+.4} (95 % {:+.4} to {:+.4}){chance}",
                    c.rows, c.candidate_log_loss, c.champion_log_loss, c.difference, c.lower, c.upper
                )
            }
        }
    }
}

impl Gate {
    /// Compares a stored candidate with the champion of this version.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn examine(
        store: &dyn Store,
        candidate: ModelName,
        predicted: &LabelDefinition,
        champion: Option<i64>,
    ) -> Result<Self> {
        let Some(version) = champion else { return Ok(Self::NoChampion) };
        let name = ModelName { target: candidate.target, version };
        let not_comparable = |why: String| Ok(Self::NotComparable(name, why));
        let stored = store.model(name.target, version).await?;
        let stored = stored.ok_or_else(|| Error::Internal(format!("the champion {name} is not stored")))?;
        let of_champion = match Model::prepare(stored).await {
            Ok(champion) => predicts(&champion.scorer.artifact().outcome),
            Err(error) => return not_comparable(error.to_string()),
        };
        let of_candidate = predicts(predicted);
        if of_champion != of_candidate {
            return not_comparable(format!("that predicts {of_champion}, this {of_candidate}"));
        }
        let pairs = store.pairs(candidate.target, candidate.version, version).await?;
        match run_blocking(move || Comparison::new(&pairs)).await? {
            Ok(comparison) => Ok(Self::Compared(name, comparison)),
            Err(too_few) => not_comparable(too_few.to_string()),
        }
    }
}

/// What a model predicts, in words. Two models can be compared when they predict the same.
#[must_use]
pub fn predicts(outcome: &LabelDefinition) -> String {
    match (outcome.target, outcome.event) {
        (Target::Lead, _) => format!("a purchase within {} days", outcome.horizon_days),
        (Target::Churn, ChurnEvent::Inactivity) => format!("inactivity for {} days", outcome.horizon_days),
        (Target::Churn, ChurnEvent::Cancel) => format!("a cancel within {} days", outcome.horizon_days),
    }
}

/// Which customers a model scores, in words.
#[must_use]
pub fn eligible(outcome: &LabelDefinition) -> String {
    match (outcome.target, outcome.event) {
        (Target::Lead, _) => "customers without a purchase".to_owned(),
        (Target::Churn, ChurnEvent::Inactivity) => "customers with a purchase".to_owned(),
        (Target::Churn, ChurnEvent::Cancel) if outcome.start_kinds.is_empty() => {
            "customers without a cancel, since create_time: no interaction begins a relation".to_owned()
        }
        (Target::Churn, ChurnEvent::Cancel) => {
            format!(
                "customers whose latest {} is later than their latest cancel",
                outcome.start_kinds.join(" or ")
            )
        }
    }
}
