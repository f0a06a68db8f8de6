//! The scorer: a history in, a probability with interval, grade and reasons out.

use crate::{
    artifact::Artifact,
    encode::Feature,
    explain::{Natural, sentence},
    history::History,
    snapshot::{Basis, Ineligible},
    spec::Target,
    time::Time,
};

/// The 97.5 % quantile of the standard normal distribution.
const Z95: f64 = 1.959_963_984_540_054;
/// Log-odds are kept within ±this, so that a probability is never exactly 0 or 1.
const MOST_LOG_ODDS: f64 = 30.0;

/// The quarter of the training rows that a score falls into, seen from the business.
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

/// What one feature adds to the log-odds.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// The feature's name.
    pub feature: String,
    /// What the customer has.
    pub value: Natural,
    /// What is typical.
    pub baseline: Natural,
    /// Log-odds, signed.
    pub contribution: f64,
    /// A sentence for people.
    pub text: String,
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
    /// The raw feature values in the order of the plan; empty when nothing is known of the customer.
    pub raw: Vec<f64>,
}

/// A model, ready to score.
#[derive(Debug)]
pub struct Scorer {
    artifact: Artifact,
    columns: usize,
}

impl Scorer {
    /// Makes a validated artifact ready.
    #[must_use]
    pub fn new(artifact: Artifact) -> Self {
        let columns = artifact.encoder.width();
        Self { artifact, columns }
    }

    /// The model's data.
    #[must_use]
    pub const fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// Scores a customer at `as_of`, as known at `known_at`, with at most `max_reasons` reasons.
    ///
    /// # Errors
    /// [`Ineligible`] when the model is not about such a customer.
    pub fn score(
        &self,
        history: &History,
        as_of: Time,
        known_at: Time,
        max_reasons: usize,
    ) -> Result<Score, Ineligible> {
        let basis = self.artifact.outcome.eligible(history, as_of, known_at)?;
        let mut row = vec![0.0; self.columns];
        let mut raw = Vec::new();
        if basis == Basis::Model {
            raw.reserve_exact(self.artifact.plan.width());
            self.artifact.plan.fold(history, as_of, known_at, &mut raw);
            self.artifact.encoder.encode(&raw, &mut row);
        }
        let contributions = self.contributions(&row);
        let log_odds = self.artifact.intercept + contributions.iter().sum::<f64>();
        let margin = Z95 * self.standard_error(&row);
        let cold = basis == Basis::Cold;
        Ok(Score {
            probability: probability(log_odds),
            lower: probability(log_odds - margin),
            upper: probability(log_odds + margin),
            grade: self.grade(probability(log_odds)),
            basis,
            base_log_odds: self.artifact.intercept,
            reasons: if cold { Vec::new() } else { self.reasons(&raw, &contributions, max_reasons) },
            missing_features: self.missing(&raw),
            raw,
        })
    }

    /// What each feature of the encoder adds to the log-odds of a design row.
    fn contributions(&self, row: &[f64]) -> Vec<f64> {
        let dot = |columns: std::ops::Range<usize>| {
            row[columns.clone()].iter().zip(&self.artifact.weights[columns]).map(|(x, w)| x * w).sum()
        };
        self.artifact.encoder.columns().map(|(_, columns)| dot(columns)).collect()
    }

    /// Of the log-odds: ‖W·(1, x)‖.
    fn standard_error(&self, row: &[f64]) -> f64 {
        let mut rest = self.artifact.whitener.as_slice();
        let mut variance = 0.0;
        for length in 1..=row.len() + 1 {
            let (line, below) = rest.split_at(length);
            rest = below;
            let dot = line[0] + line[1..].iter().zip(row).map(|(w, x)| w * x).sum::<f64>();
            variance += dot * dot;
        }
        variance.sqrt()
    }

    fn grade(&self, probability: f64) -> Grade {
        let below = self.artifact.quartiles.iter().filter(|edge| probability < **edge).count();
        let best_first = match self.artifact.outcome.target {
            Target::Lead => below,
            Target::Churn => 3 - below,
        };
        [Grade::A, Grade::B, Grade::C, Grade::D][best_first]
    }

    fn reasons(&self, raw: &[f64], contributions: &[f64], most: usize) -> Vec<Reason> {
        let features = &self.artifact.encoder.features;
        let mut order: Vec<usize> = (0..features.len()).collect();
        order.sort_by(|a, b| contributions[*b].abs().total_cmp(&contributions[*a].abs()));
        order.truncate(most);
        order.into_iter().map(|n| reason(&features[n], raw, contributions[n])).collect()
    }

    fn missing(&self, raw: &[f64]) -> Vec<String> {
        let absent = |feature: &&Feature| raw.get(feature.place).is_some_and(|value| value.is_nan());
        self.artifact.encoder.features.iter().filter(absent).map(|f| f.measure.to_string()).collect()
    }
}

fn reason(feature: &Feature, raw: &[f64], contribution: f64) -> Reason {
    let (measure, value, typical) = (&feature.measure, raw[feature.place], feature.typical());
    Reason {
        feature: measure.to_string(),
        value: Natural::of(measure, value),
        baseline: Natural::of(measure, typical),
        contribution,
        text: sentence(measure, value, typical),
    }
}

/// The probability of log-odds, never exactly 0 or 1.
#[must_use]
pub fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds.clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS)).exp())
}
