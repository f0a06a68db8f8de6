//! What is told of a customer: numbers, and words for those who ask for them.

use super::{Grade, Scorer, prepared::Contribution, scorer::Known};
use crate::{
    features::explain::{FeatureValue, write_sentence},
    training::snapshot::Basis,
};

/// A score as it is told: numbers, and words that are not strings yet, so that they can be written right where they
/// are sent from.
#[derive(Debug)]
pub struct ScoreView<'a> {
    /// Between 0 and 1, never either.
    pub probability: f64,
    /// Lower end of the 95 % interval.
    pub lower: f64,
    /// Upper end of the 95 % interval.
    pub upper: f64,
    /// Best to worst.
    pub grade: Grade,
    /// What the score rests on.
    pub basis: Basis,
    /// Log-odds of an average customer.
    pub base_log_odds: f64,
    /// What a unit of an uncalibrated contribution counts for.
    pub(super) slope: f64,
    pub(super) scorer: &'a Scorer,
    pub(super) strongest: &'a [Contribution],
    pub(super) missing: &'a [u32],
}

/// What one feature adds to the log-odds, as it is told.
#[derive(Debug)]
pub struct ReasonView<'a> {
    /// Log-odds, signed; a zero has no sign.
    pub contribution: f64,
    raw: f64,
    known: &'a Known,
}

/// A score and what explains it.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Between 0 and 1, never either.
    pub probability: f64,
    /// Lower end of the 95 % interval.
    pub lower: f64,
    /// Upper end of the 95 % interval.
    pub upper: f64,
    /// Best to worst.
    pub grade: Grade,
    /// What the score rests on.
    pub basis: Basis,
    /// Log-odds of an average customer.
    pub base_log_odds: f64,
    /// The strongest contributions first.
    pub reasons: Vec<Reason>,
    /// Names of the features without a value.
    pub missing_features: Vec<String>,
}

/// What one feature adds to the log-odds.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// The feature's name.
    pub feature: String,
    /// What the customer has.
    pub value: FeatureValue,
    /// What is typical.
    pub baseline: FeatureValue,
    /// Log-odds, signed; a zero has no sign.
    pub contribution: f64,
    /// A sentence for people.
    pub text: String,
}

impl<'a> ScoreView<'a> {
    /// The strongest contributions first.
    pub fn reasons(&self) -> impl ExactSizeIterator<Item = ReasonView<'a>> {
        let (scorer, slope) = (self.scorer, self.slope);
        self.strongest.iter().map(move |contribution| ReasonView {
            // Not every store keeps the sign of a zero.
            contribution: slope * contribution.log_odds + 0.0,
            raw: contribution.value,
            known: &scorer.known[contribution.feature as usize],
        })
    }

    /// Names of the features without a value.
    pub fn missing_features(&self) -> impl ExactSizeIterator<Item = &'a str> {
        let scorer = self.scorer;
        self.missing.iter().map(move |feature| scorer.known[*feature as usize].name.as_str())
    }
}

impl Score {
    /// What is told, put into words.
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
        }
    }
}

impl Reason {
    fn of(view: &ReasonView<'_>) -> Self {
        /// Few sentences are longer.
        const ROOM: usize = 80;
        let mut text = String::with_capacity(ROOM);
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
        &self.known.name
    }

    /// What the customer has.
    #[must_use]
    pub fn value(&self) -> FeatureValue {
        FeatureValue::of(&self.known.measure, self.raw)
    }

    /// What is typical.
    #[must_use]
    pub fn baseline(&self) -> FeatureValue {
        FeatureValue::of(&self.known.measure, self.known.typical)
    }

    /// Appends a sentence for people.
    pub fn write_text(&self, text: &mut String) {
        let Known { measure, typical, comparison, .. } = self.known;
        write_sentence(measure, self.raw, *typical, comparison, text);
    }
}
