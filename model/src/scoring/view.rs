//! The score of a customer as its readers see it: numbers, and text on demand.

use std::fmt;

use super::{Scorer, prepared::Contribution, scorer::FeatureInfo};
use crate::{counted, features::explain::FeatureValue, label::Basis};

/// The grade of a score, seen from the business: one quarter of the training rows each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// Best: likeliest to buy, or likeliest to stay.
    A,
    /// Second.
    B,
    /// Third.
    C,
    /// Worst.
    D,
}

/// A view of a score: numbers, and texts that are written straight into a response instead of a string first.
#[derive(Debug)]
pub struct ScoreView<'a> {
    /// Between 0 and 1, never either.
    pub probability: f64,
    /// Lower end of the 95 % interval.
    pub lower: f64,
    /// Upper end of the 95 % interval.
    pub upper: f64,
    /// From best to worst.
    pub grade: Grade,
    /// What the score is based on.
    pub basis: Basis,
    /// Log-odds of an average customer.
    pub base_log_odds: f64,
    /// The calibrated log-odds per unit of an uncalibrated contribution.
    pub(super) slope: f64,
    pub(super) scorer: &'a Scorer,
    pub(super) strongest: &'a [Contribution],
    pub(super) missing: &'a [u32],
    pub(super) old_lead: Option<OldLead>,
}

/// A lead that is older than any that the model has learned from, in whole days.
#[derive(Clone, Copy, Debug)]
pub(super) struct OldLead {
    pub(super) days: u32,
    pub(super) learned_days: u32,
}

impl fmt::Display for OldLead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { days, learned_days } = self;
        write!(
            f,
            "The lead is {} old, older than any that the model has learned from ({})",
            counted(*days, "day", "days"),
            counted(*learned_days, "day", "days")
        )
    }
}

/// A view of a reason: what one feature adds to the log-odds.
#[derive(Debug)]
pub struct ReasonView<'a> {
    /// In log-odds, signed; a zero has no sign.
    pub contribution: f64,
    raw: f64,
    info: &'a FeatureInfo,
}

/// A score and its explanation.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Between 0 and 1, never either.
    pub probability: f64,
    /// Lower end of the 95 % interval.
    pub lower: f64,
    /// Upper end of the 95 % interval.
    pub upper: f64,
    /// From best to worst.
    pub grade: Grade,
    /// What the score is based on.
    pub basis: Basis,
    /// Log-odds of an average customer.
    pub base_log_odds: f64,
    /// The strongest contributions first.
    pub reasons: Vec<Reason>,
    /// Names of the features without a value.
    pub missing_features: Vec<String>,
    /// What a reader should know about the score besides, as sentences; mostly none.
    pub notes: Vec<String>,
}

/// What one feature adds to the log-odds.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// The feature's name.
    pub feature: String,
    /// The value of the customer.
    pub value: FeatureValue,
    /// The typical value.
    pub baseline: FeatureValue,
    /// In log-odds, signed; a zero has no sign.
    pub contribution: f64,
    /// A sentence that explains it.
    pub text: String,
}

impl<'a> ScoreView<'a> {
    /// The strongest contributions first.
    pub fn reasons(&self) -> impl ExactSizeIterator<Item = ReasonView<'a>> {
        let (scorer, slope) = (self.scorer, self.slope);
        self.strongest.iter().map(move |contribution| ReasonView {
            // Adding 0 removes the sign of a zero, which not every store keeps.
            contribution: slope * contribution.log_odds + 0.0,
            raw: contribution.value,
            info: &scorer.infos[contribution.feature as usize],
        })
    }

    /// Names of the features without a value.
    pub fn missing_features(&self) -> impl ExactSizeIterator<Item = &'a str> {
        let scorer = self.scorer;
        self.missing.iter().map(move |feature| scorer.infos[*feature as usize].name.as_str())
    }

    /// What a reader should know about the score besides, as sentences; mostly none.
    pub fn notes(&self) -> impl Iterator<Item = String> {
        self.old_lead.iter().map(OldLead::to_string)
    }
}

impl Score {
    /// The score with all its texts.
    #[must_use]
    pub fn of(view: &ScoreView<'_>) -> Self {
        Self {
            probability: view.probability,
            lower: view.lower,
            upper: view.upper,
            grade: view.grade,
            basis: view.basis,
            base_log_odds: view.base_log_odds,
            reasons: view.reasons().map(|reason| Reason::of(&reason)).collect(),
            missing_features: view.missing_features().map(str::to_owned).collect(),
            notes: view.notes().collect(),
        }
    }
}

impl Reason {
    fn of(view: &ReasonView<'_>) -> Self {
        /// Few sentences are longer.
        const CAPACITY: usize = 80;
        let mut text = String::with_capacity(CAPACITY);
        view.write_text(&mut text);
        Self {
            feature: view.feature().to_owned(),
            value: view.value(),
            baseline: view.baseline(),
            contribution: view.contribution,
            text,
        }
    }
}

impl<'a> ReasonView<'a> {
    /// The feature's name.
    #[must_use]
    pub fn feature(&self) -> &'a str {
        &self.info.name
    }

    /// The value of the customer.
    #[must_use]
    pub fn value(&self) -> FeatureValue {
        FeatureValue::of(&self.info.measure, self.raw)
    }

    /// The typical value.
    #[must_use]
    pub fn baseline(&self) -> FeatureValue {
        FeatureValue::of(&self.info.measure, self.info.typical)
    }

    /// Appends the sentence that explains it.
    pub fn write_text(&self, text: &mut String) {
        self.info.wording().write_sentence(self.raw, &self.info.comparison, text);
    }
}
