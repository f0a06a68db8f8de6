//! The scorer: a history in, a probability with interval, grade and reasons out.

use std::cell::RefCell;

use crate::{
    artifact::{Artifact, ArtifactError, Golden},
    encode::Feature,
    explain::{Natural, comparison, sentence},
    history::History,
    snapshot::{Basis, Ineligible},
    spec::Target,
    tables::{Reading, Tables},
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

/// What a feature's values do to the log-odds, other features being average.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// The feature's name.
    pub feature: String,
    /// A value, and what it adds to the log-odds; numbers rise.
    pub curve: Vec<(Natural, f64)>,
}

/// A model, ready to score.
#[derive(Debug)]
pub struct Scorer {
    artifact: Artifact,
    tables: Tables,
    /// One a feature of the encoder.
    told: Vec<Told>,
}

/// What is told of a feature, whoever the customer is.
#[derive(Debug)]
struct Told {
    name: String,
    /// Its value for an average customer.
    typical: f64,
    /// The end of every sentence about it.
    comparison: String,
}

impl Told {
    fn new(feature: &Feature) -> Self {
        let (measure, typical) = (&feature.measure, feature.typical());
        Self { name: measure.to_string(), typical, comparison: comparison(measure, typical) }
    }
}

impl Scorer {
    /// Makes a validated artifact ready.
    ///
    /// # Errors
    /// [`ArtifactError::Golden`] when this program computes other scores from it than the one that
    /// wrote it.
    pub fn new(artifact: Artifact) -> Result<Self, ArtifactError> {
        let scorer = Self::unchecked(artifact);
        let same = |golden: &Golden| {
            let (log_odds, standard_error) = scorer.assess(&Golden::values(&golden.raw));
            log_odds.to_bits() == golden.log_odds.to_bits()
                && standard_error.to_bits() == golden.standard_error.to_bits()
        };
        if scorer.artifact.golden.iter().all(same) { Ok(scorer) } else { Err(ArtifactError::Golden) }
    }

    /// Before there are golden rows.
    pub(crate) fn unchecked(artifact: Artifact) -> Self {
        let tables = Tables::new(&artifact);
        let told = artifact.encoder.features.iter().map(Told::new).collect();
        Self { artifact, tables, told }
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
        // Empty when nothing is known.
        let mut raw = Vec::new();
        if basis != Basis::Cold {
            raw.reserve_exact(self.artifact.plan.width());
            self.artifact.plan.fold(history, as_of, known_at, &mut raw);
        }
        Ok(SCRATCH.with_borrow_mut(|scratch| self.score_row(basis, raw, max_reasons, scratch)))
    }

    /// The probability of a raw row, which is that of [`Scorer::score`]: for whoever looks at very many.
    #[must_use]
    pub fn probability_of(&self, raw: &[f64]) -> f64 {
        SCRATCH.with_borrow_mut(|scratch| probability(self.explain(Some(raw), scratch).log_odds))
    }

    /// Scores a raw row, which is empty when nothing is known.
    fn score_row(&self, basis: Basis, raw: Vec<f64>, max_reasons: usize, scratch: &mut Scratch) -> Score {
        let known = (!raw.is_empty()).then_some(&*raw);
        let explained = self.explain(known, scratch);
        let margin = Z95 * self.standard_error(known.is_some(), scratch);
        let bound = |z: f64| probability(self.calibrated(z));
        let reasons = if raw.is_empty() { Vec::new() } else { self.reasons(&raw, max_reasons, scratch) };
        Score {
            probability: probability(explained.log_odds),
            lower: bound(explained.uncalibrated - margin),
            upper: bound(explained.uncalibrated + margin),
            grade: self.grade(probability(explained.log_odds)),
            basis,
            base_log_odds: explained.base,
            reasons,
            missing_features: self.missing(&raw),
            raw,
        }
    }

    /// The log-odds of a raw row, and their standard error before calibration.
    #[must_use]
    pub fn assess(&self, raw: &[f64]) -> (f64, f64) {
        SCRATCH.with_borrow_mut(|scratch| {
            let explained = self.explain(Some(raw), scratch);
            (explained.log_odds, self.standard_error(true, scratch))
        })
    }

    /// The effect curve of each feature: the value's own, without what crosses add, at the slope that
    /// the calibration has for an average customer.
    #[must_use]
    pub fn effects(&self) -> Vec<Effect> {
        let slope = self.slope(self.artifact.intercept);
        let effect = |(feature, columns): (&Feature, std::ops::Range<usize>)| {
            let mut row = vec![0.0; columns.len()];
            let weights = &self.artifact.weights[columns];
            let curve = feature.curve_values().into_iter().map(|value| {
                feature.write(value, &mut row);
                let log_odds: f64 = row.iter().zip(weights).map(|(x, w)| x * w).sum();
                (Natural::of(&feature.measure, value), slope * log_odds)
            });
            Effect { feature: feature.measure.to_string(), curve: curve.collect() }
        };
        self.artifact.encoder.columns().map(effect).collect()
    }

    fn calibrated(&self, z: f64) -> f64 {
        self.artifact.calibration.as_ref().map_or(z, |curve| curve.apply(z))
    }

    /// What a unit of the regression's log-odds counts for between the intercept and `z`.
    fn slope(&self, z: f64) -> f64 {
        self.artifact
            .calibration
            .as_ref()
            .map_or(1.0, |curve| curve.slope_between(self.artifact.intercept, z))
    }

    /// What each feature of the encoder adds to the log-odds of a raw row, or of an average customer when
    /// there is none: into the scratch. A calibration that bends scales all alike.
    fn explain(&self, raw: Option<&[f64]>, scratch: &mut Scratch) -> Explained {
        match raw {
            Some(raw) => self.tables.read(&self.artifact.encoder, raw, &mut scratch.reading),
            // Nothing is added to the average.
            None => scratch.reading.contributions.clear(),
        }
        let contributions = &mut scratch.reading.contributions;
        let uncalibrated = self.artifact.intercept + contributions.iter().sum::<f64>();
        let slope = self.slope(uncalibrated);
        contributions.iter_mut().for_each(|contribution| *contribution *= slope);
        let base = self.calibrated(self.artifact.intercept);
        let log_odds = base + contributions.iter().sum::<f64>();
        Explained { base, log_odds, uncalibrated }
    }

    /// The standard error of the uncalibrated log-odds, of the row explained last or of an average customer.
    fn standard_error(&self, known: bool, scratch: &mut Scratch) -> f64 {
        let variance = match known {
            true => self.tables.variance(&mut scratch.reading),
            false => self.tables.average_variance(),
        };
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

    fn reasons(&self, raw: &[f64], most: usize, scratch: &mut Scratch) -> Vec<Reason> {
        let Scratch { reading: Reading { contributions, .. }, order } = scratch;
        let features = &self.artifact.encoder.features;
        order.clear();
        order.extend(0..features.len());
        let stronger =
            |a: &usize, b: &usize| contributions[*b].abs().total_cmp(&contributions[*a].abs()).then(a.cmp(b));
        if most < order.len() {
            order.select_nth_unstable_by(most, stronger);
            order.truncate(most);
        }
        order.sort_unstable_by(stronger);
        order.iter().map(|n| reason(&features[*n], &self.told[*n], raw, contributions[*n])).collect()
    }

    fn missing(&self, raw: &[f64]) -> Vec<String> {
        let absent = |feature: &Feature| raw.get(feature.place).is_some_and(|value| value.is_nan());
        let named = self.artifact.encoder.features.iter().zip(&self.told);
        named.filter(|(feature, _)| absent(feature)).map(|(_, told)| told.name.clone()).collect()
    }
}

/// The log-odds of a row.
struct Explained {
    /// Of an average customer, calibrated.
    base: f64,
    /// Calibrated.
    log_odds: f64,
    /// Before calibration.
    uncalibrated: f64,
}

/// What it takes to score: kept from score to score, so that a score allocates nothing but itself.
#[derive(Default)]
struct Scratch {
    reading: Reading,
    /// Features, the strongest contributions first.
    order: Vec<usize>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

fn reason(feature: &Feature, told: &Told, raw: &[f64], contribution: f64) -> Reason {
    let (measure, value, typical) = (&feature.measure, raw[feature.place], told.typical);
    Reason {
        feature: told.name.clone(),
        value: Natural::of(measure, value),
        baseline: Natural::of(measure, typical),
        contribution,
        text: sentence(measure, value, typical, &told.comparison),
    }
}

/// The probability of log-odds, never exactly 0 or 1.
#[must_use]
pub fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds.clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS)).exp())
}
