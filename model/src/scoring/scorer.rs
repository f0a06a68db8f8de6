//! The scorer: a history in, a probability with interval, grade and reasons out.
//!
//! It goes by three steps: the [`Row`] of raw values, what the model makes of it as long as it stands
//! ([`PreparedScore`]), and what is [`ScoreView`] at a moment. Every score is made by all three; whoever asks for a customer
//! again may keep the second one, and gets the same bits.

use std::{cell::RefCell, mem};

use super::{
    PreparedScore, ScoreView,
    prepared::{Contribution, Running},
};
use crate::{
    artifact::{Artifact, ArtifactError, Golden},
    encode::Feature,
    features::Measure,
    features::explain::{FeatureValue, comparison},
    features::fold::{Fold, Row},
    history::History,
    scoring::tables::{Lookup, RunningLines, Tables},
    spec::Target,
    time::Time,
    training::snapshot::{Basis, Ineligible},
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

/// What a feature's values do to the log-odds, other features being average.
#[derive(Clone, Debug, PartialEq)]
pub struct Effect {
    /// The feature's name.
    pub feature: String,
    /// A value, and what it adds to the log-odds; numbers rise.
    pub curve: Vec<(FeatureValue, f64)>,
}

/// A model, ready to score.
#[derive(Debug)]
pub struct Scorer {
    artifact: Artifact,
    tables: Tables,
    /// One a feature of the encoder.
    pub(super) known: Vec<Known>,
}

/// What is told of a feature, whoever the customer is.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: String,
    pub(super) measure: Measure,
    /// Its value for an average customer.
    pub(super) typical: f64,
    /// The end of every sentence about it.
    pub(super) comparison: String,
}

impl Known {
    fn new(feature: &Feature) -> Self {
        let (measure, typical) = (&feature.measure, feature.typical());
        let comparison = comparison(measure, typical);
        Self { name: measure.to_string(), measure: measure.clone(), typical, comparison }
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
        let known = artifact.encoder.features.iter().map(Known::new).collect();
        Self { artifact, tables, known }
    }

    /// The model's data.
    #[must_use]
    pub const fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// Scores a customer at `as_of`, as known at `known_at`, with at most `max_reasons` reasons. What is told is
    /// there as long as `f` runs: [`Score::of`] keeps it.
    ///
    /// # Errors
    /// [`Ineligible`] when the model is not about such a customer.
    pub fn score<T>(
        &self,
        history: &History,
        as_of: Time,
        known_at: Time,
        max_reasons: usize,
        f: impl FnOnce(&ScoreView<'_>) -> T,
    ) -> Result<T, Ineligible> {
        let with_view = |prepared: &PreparedScore| self.with_view(prepared, as_of, max_reasons, f);
        self.by_steps(history, as_of, known_at, max_reasons, with_view)
    }

    /// The first two steps, to be kept: what stands, for scores with at most so many reasons.
    ///
    /// # Errors
    /// [`Ineligible`] when the model is not about such a customer.
    pub fn prepared(
        &self,
        history: &History,
        as_of: Time,
        known_at: Time,
        max_reasons: usize,
    ) -> Result<PreparedScore, Ineligible> {
        let keep = |prepared: &PreparedScore| {
            let mut until = self.artifact.plan.valid_until(history, as_of, known_at);
            for Running { feature, clock, .. } in &prepared.running {
                if let Some(edge) = self.tables.next_edge(*feature as usize, clock.value(as_of)) {
                    until = until.min(clock.at_most_until(edge));
                }
            }
            // A clone has no room to spare.
            PreparedScore { until, ..prepared.clone() }
        };
        self.by_steps(history, as_of, known_at, max_reasons, keep)
    }

    fn by_steps<T>(
        &self,
        history: &History,
        as_of: Time,
        known_at: Time,
        max_reasons: usize,
        last: impl FnOnce(&PreparedScore) -> T,
    ) -> Result<T, Ineligible> {
        let (mut row, mut prepared) = SCRATCH.with_borrow_mut(|scratch| mem::take(&mut scratch.steps));
        let result = self.row(history, as_of, known_at, &mut row).map(|()| {
            self.prepare(&row, max_reasons, &mut prepared);
            last(&prepared)
        });
        SCRATCH.with_borrow_mut(|scratch| scratch.steps = (row, prepared));
        result
    }

    /// The first step: writes the raw values of a customer.
    ///
    /// # Errors
    /// [`Ineligible`] when the model is not about such a customer.
    pub fn row(
        &self,
        history: &History,
        as_of: Time,
        known_at: Time,
        row: &mut Row,
    ) -> Result<(), Ineligible> {
        let Artifact { outcome, plan, .. } = &self.artifact;
        let basis = outcome.eligible(history, as_of, known_at)?;
        row.raw.clear();
        row.clocks.clear();
        if basis == Basis::Model {
            let mut fold = Fold::new(plan, history);
            fold.row(as_of, known_at, &mut row.raw);
            row.clocks.extend_from_slice(fold.clocks());
        }
        (row.as_of, row.known_at) = (as_of, known_at);
        Ok(())
    }

    /// The second step: writes what the model makes of a row, for scores with at most so many reasons.
    pub fn prepare(&self, row: &Row, max_reasons: usize, prepared: &mut PreparedScore) {
        let PreparedScore { running, projection, strongest, missing, .. } = prepared;
        running.clear();
        projection.clear();
        strongest.clear();
        missing.clear();
        let (mut sum, mut variance) = (0.0, self.tables.average_variance());
        if !row.raw.is_empty() {
            SCRATCH.with_borrow_mut(|Scratch { reading, .. }| {
                sum = self.read(&row.raw, reading);
                variance = self.tables.variance(reading);
                projection.extend_from_slice(self.tables.projection(reading));
                let mut row_clocks = row.clocks.iter();
                for (n, log_odds) in reading.contributions.iter().enumerate() {
                    let (feature, place) = (n as u32, self.artifact.encoder.features[n].place);
                    let value = row.raw[place];
                    if value.is_nan() {
                        missing.push(feature);
                    }
                    // Features and clocks both go by place.
                    if reading.running.get(running.len()) != Some(&n) {
                        Contribution { feature, value, log_odds: *log_odds }
                            .put_among(strongest, max_reasons);
                    } else if let Some((_, clock)) = row_clocks.find(|(at, _)| *at == place) {
                        running.push(Running { feature, clock: *clock, effect: *log_odds });
                    }
                }
            });
        }
        *prepared = PreparedScore {
            basis: if row.raw.is_empty() { Basis::Cold } else { Basis::Model },
            as_of: row.as_of,
            known_at: row.known_at,
            until: row.as_of,
            max_reasons,
            sum,
            variance,
            ..mem::take(prepared)
        };
    }

    /// The third step: the score at the moment of the row, or at another one at which this
    /// [stands](PreparedScore::stands).
    pub fn with_view<T>(
        &self,
        prepared: &PreparedScore,
        as_of: Time,
        max_reasons: usize,
        f: impl FnOnce(&ScoreView<'_>) -> T,
    ) -> T {
        let (mut lines, mut strongest) = SCRATCH
            .with_borrow_mut(|Scratch { lines, strongest, .. }| (mem::take(lines), mem::take(strongest)));
        strongest.clear();
        strongest.extend(prepared.strongest.iter().take(max_reasons));
        let values = prepared.running.iter().map(|running| Contribution {
            feature: running.feature,
            value: running.clock.value(as_of),
            log_odds: running.effect,
        });
        let put = |contribution: Contribution| contribution.put_among(&mut strongest, max_reasons);
        let sum = prepared.sum + self.run(values, &mut lines, put);
        let variance = prepared.variance + self.tables.running_variance(&prepared.projection, &lines);
        let Calibrated { base, slope, log_odds, before } = self.calibrated_sum(sum);
        let (view, margin) = (probability(log_odds), Z95 * error(variance));
        let bound = |z: f64| probability(self.calibrated(z));
        let result = f(&ScoreView {
            probability: view,
            lower: bound(before - margin),
            upper: bound(before + margin),
            grade: self.grade(view),
            basis: prepared.basis,
            base_log_odds: base,
            slope,
            scorer: self,
            strongest: &strongest,
            missing: &prepared.missing,
        });
        SCRATCH.with_borrow_mut(|scratch| (scratch.lines, scratch.strongest) = (lines, strongest));
        result
    }

    /// The probability of a raw row, which is that of the score: for whoever looks at very many.
    #[must_use]
    pub fn probability_of(&self, raw: &[f64]) -> f64 {
        SCRATCH
            .with_borrow_mut(|scratch| probability(self.calibrated_sum(self.sum_of(raw, scratch)).log_odds))
    }

    /// The grade of a raw row, which is that of the score.
    #[must_use]
    pub fn grade_of(&self, raw: &[f64]) -> Grade {
        self.grade(self.probability_of(raw))
    }

    /// The log-odds of a raw row, and their standard error before calibration.
    #[must_use]
    pub fn assess(&self, raw: &[f64]) -> (f64, f64) {
        SCRATCH.with_borrow_mut(|scratch| {
            let sum = self.sum_of(raw, scratch);
            let Scratch { reading, lines, .. } = scratch;
            let prepared = self.tables.variance(reading);
            let variance = prepared + self.tables.running_variance(self.tables.projection(reading), lines);
            (self.calibrated_sum(sum).log_odds, error(variance))
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
                (FeatureValue::of(&feature.measure, value), slope * log_odds)
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

    /// Looks a raw row up: what the features add that do not run.
    fn read(&self, raw: &[f64], reading: &mut Lookup) -> f64 {
        self.tables.read(&self.artifact.encoder, raw, reading);
        let mut running = reading.running.iter().peekable();
        let prepared =
            reading.contributions.iter().enumerate().filter(|(n, _)| running.next_if_eq(&n).is_none());
        prepared.map(|(_, contribution)| contribution).sum()
    }

    /// What the features add that run, one by one and in all; what their cells add is given.
    fn run(
        &self,
        of_cells: impl Iterator<Item = Contribution>,
        lines: &mut RunningLines,
        mut each: impl FnMut(Contribution),
    ) -> f64 {
        self.tables.begin_to_run(lines);
        let mut sum = 0.0;
        for Contribution { feature, value, log_odds } in of_cells {
            let line = self.tables.run(&self.artifact.encoder, feature as usize, value, lines);
            let log_odds = log_odds + line;
            sum += log_odds;
            each(Contribution { feature, value, log_odds });
        }
        sum
    }

    /// What all features of a raw row add: nothing when it is empty.
    fn sum_of(&self, raw: &[f64], Scratch { reading, lines, .. }: &mut Scratch) -> f64 {
        if raw.is_empty() {
            return 0.0;
        }
        let prepared = self.read(raw, reading);
        let running = reading.running.iter().map(|n| {
            let value = raw[self.artifact.encoder.features[*n].place];
            Contribution { feature: *n as u32, value, log_odds: reading.contributions[*n] }
        });
        prepared + self.run(running, lines, |_| ())
    }

    /// What the contributions come to, whose sum before calibration this is. A calibration that bends scales all
    /// alike.
    fn calibrated_sum(&self, sum: f64) -> Calibrated {
        let before = self.artifact.intercept + sum;
        let (base, slope) = (self.calibrated(self.artifact.intercept), self.slope(before));
        Calibrated { base, slope, log_odds: base + slope * sum, before }
    }

    fn grade(&self, probability: f64) -> Grade {
        let below = self.artifact.quartiles.iter().filter(|edge| probability < **edge).count();
        let best_first = match self.artifact.outcome.target {
            Target::Lead => below,
            Target::Churn => 3 - below,
        };
        [Grade::A, Grade::B, Grade::C, Grade::D][best_first]
    }
}

/// What contributions come to.
struct Calibrated {
    /// Log-odds of an average customer.
    base: f64,
    /// What a unit of a contribution counts for.
    slope: f64,
    log_odds: f64,
    /// The log-odds before calibration.
    before: f64,
}

/// What it takes to score: kept from score to score, so that a score allocates nothing but itself.
#[derive(Default)]
struct Scratch {
    reading: Lookup,
    lines: RunningLines,
    strongest: Vec<Contribution>,
    /// Of a score that is not kept.
    steps: (Row, PreparedScore),
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The standard error. Rounding may leave nothing of a variance that is nearly nothing.
fn error(variance: f64) -> f64 {
    variance.max(0.0).sqrt()
}

/// The probability of log-odds, never exactly 0 or 1.
#[must_use]
pub fn probability(log_odds: f64) -> f64 {
    1.0 / (1.0 + (-log_odds.clamp(-MOST_LOG_ODDS, MOST_LOG_ODDS)).exp())
}
