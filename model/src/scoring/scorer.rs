//! The scorer: a history in, a probability with interval, grade and reasons out.
//!
//! It works in three steps: the [`Row`] of raw values, the [`PreparedScore`], which stays valid for a while, and the
//! [`ScoreView`] at a moment. Every score takes all three; a caller that scores a customer repeatedly may keep the
//! prepared score, and gets the same bits.

use std::{cell::RefCell, mem};

use super::{
    Grade, PreparedScore, ScoreView,
    calibrated::{Calibrated, probability},
    prepared::{Contribution, TimeDependent},
    tables::{DynamicLines, Lookup, Tables},
    view::OldLead,
};
use crate::{
    artifact::{Artifact, ArtifactError, Golden},
    encode::Feature,
    features::{
        Measure,
        explain::Wording,
        fold::{Fold, Row, Wanted},
    },
    history::History,
    label::{Basis, Ineligible},
    special::Z95,
    time::Time,
};

/// A model that is ready to score.
///
/// ```
/// use tally_model::{
///     artifact::SplitKind,
///     features::profile::DataProfile,
///     label::LabelDefinition,
///     scoring::{Score, Scorer},
///     simulate::Business,
///     spec::{Spec, Target},
///     training::{
///         snapshot::{Sampling, Snapshots},
///         train::{TrainingInput, TrainingOptions, train},
///     },
/// };
///
/// // Histories -> plan -> snapshots -> model.
/// let (now, spec) = ("2026-01-01".parse()?, Spec::default());
/// let business = Business { customers: 400, ..Business::new(1, now) };
/// let customers: Vec<_> = business.iter().map(|customer| (customer.customer_id.clone(), customer.history())).collect();
/// let mut profile = DataProfile::default();
/// customers.iter().for_each(|(_, history)| profile.add(history, now));
/// let plan = profile.plan(&spec.features);
/// let sampling = Sampling::new(Target::Lead, &spec, &profile, now);
/// let mut rows = Snapshots::default();
/// customers.iter().for_each(|(id, history)| rows.add(id, history, &plan, &sampling));
/// let options = TrainingOptions { split: SplitKind::Temporal, seed: 1 };
/// let input = TrainingInput { spec: &spec, outcome: &sampling.outcome, as_of: now, lead_ages: profile.lead_ages(), options };
/// let artifact = train(&mut rows, plan, &input, &|_step| ())?.artifact;
///
/// let scorer = Scorer::new(artifact)?;
/// let leads = customers.iter().filter_map(|(_, history)| scorer.score(history, now, now, 3, Score::of).ok());
/// for score in leads {
///     assert!(score.lower <= score.probability && score.probability <= score.upper);
///     assert!(score.reasons.len() <= 3);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Scorer {
    artifact: Artifact,
    tables: Tables,
    /// One for each feature of the encoder.
    pub(super) infos: Vec<FeatureInfo>,
    /// What the encoder reads.
    wanted: Wanted,
}

/// What explanations say about a feature for every customer.
#[derive(Debug)]
pub(super) struct FeatureInfo {
    pub(super) name: String,
    pub(super) measure: Measure,
    /// The value that adds nothing, or the most frequent level of a category.
    pub(super) typical: f64,
    /// The least and the greatest value that was learned from, for numbers.
    learned: Option<[f64; 2]>,
    amount_decimals: u8,
    /// The end of every sentence about it.
    pub(super) comparison: String,
}

impl FeatureInfo {
    fn new(feature: &Feature, weights: &[f64], amount_decimals: u8) -> Self {
        let measure = feature.measure.clone();
        let (name, typical, learned) = (measure.to_string(), feature.neutral(weights), feature.range());
        let info = Self { name, measure, typical, learned, amount_decimals, comparison: String::new() };
        Self { comparison: info.wording().comparison(), ..info }
    }

    /// What sentences about it are written from.
    pub(super) const fn wording(&self) -> Wording<'_> {
        let Self { measure, typical, learned, amount_decimals, .. } = self;
        Wording { measure, typical: *typical, learned: *learned, amount_decimals: *amount_decimals }
    }
}

impl Scorer {
    /// Prepares a validated artifact for scoring.
    ///
    /// # Errors
    /// [`ArtifactError::Golden`] when this program computes other scores from it than the one that
    /// wrote it.
    pub fn new(artifact: Artifact) -> Result<Self, ArtifactError> {
        let scorer = Self::unchecked(artifact);
        let same = |golden: &Golden| {
            let (log_odds, standard_error) = scorer.assess(&golden.values());
            log_odds.to_bits() == golden.log_odds.to_bits()
                && standard_error.to_bits() == golden.standard_error.to_bits()
        };
        if scorer.artifact.golden.iter().all(same) { Ok(scorer) } else { Err(ArtifactError::Golden) }
    }

    /// Prepares an artifact that has no golden rows yet.
    pub(crate) fn unchecked(artifact: Artifact) -> Self {
        let tables = Tables::new(&artifact);
        let features = &artifact.encoder.features;
        let infos = artifact.encoder.columns().map(|(feature, columns)| {
            FeatureInfo::new(feature, &artifact.weights[columns], artifact.amount_decimals)
        });
        let infos = infos.collect();
        let wanted = Wanted::by(features.iter().map(|feature| &feature.measure));
        Self { artifact, tables, infos, wanted }
    }

    /// The model's data.
    #[must_use]
    pub const fn artifact(&self) -> &Artifact {
        &self.artifact
    }

    /// Scores a customer at `as_of`, as known at `known_at`, with at most `max_reasons` reasons, and calls `f` with
    /// the score; [`Score::of`](super::Score::of) copies it.
    ///
    /// # Errors
    /// [`Ineligible`] when the model does not apply to the customer.
    pub fn score<T>(
        &self,
        history: &History,
        as_of: Time,
        known_at: Time,
        max_reasons: usize,
        f: impl FnOnce(&ScoreView<'_>) -> T,
    ) -> Result<T, Ineligible> {
        let with_view = |prepared: &PreparedScore| self.with_view(prepared, as_of, max_reasons, f);
        self.with_prepared(history, as_of, known_at, max_reasons, with_view)
    }

    /// Does the first two steps of a score with at most `max_reasons` reasons, for a caller that keeps them.
    ///
    /// # Errors
    /// [`Ineligible`] when the model does not apply to the customer.
    pub fn prepared(
        &self,
        history: &History,
        as_of: Time,
        known_at: Time,
        max_reasons: usize,
    ) -> Result<PreparedScore, Ineligible> {
        let keep = |prepared: &PreparedScore| {
            let mut until = self.artifact.plan.valid_until(history, as_of, known_at);
            for TimeDependent { feature, elapsed, .. } in &prepared.time_dependent {
                if let Some(edge) = self.tables.next_edge(*feature as usize, elapsed.value(as_of)) {
                    until = until.min(elapsed.at_most_until(edge));
                }
            }
            // A clone has no spare capacity.
            PreparedScore { until, ..prepared.clone() }
        };
        self.with_prepared(history, as_of, known_at, max_reasons, keep)
    }

    fn with_prepared<T>(
        &self,
        history: &History,
        as_of: Time,
        known_at: Time,
        max_reasons: usize,
        f: impl FnOnce(&PreparedScore) -> T,
    ) -> Result<T, Ineligible> {
        let (mut row, mut prepared) = SCRATCH.with_borrow_mut(|scratch| mem::take(&mut scratch.steps));
        let result = self.row(history, as_of, known_at, &mut row).map(|()| {
            self.prepare(&row, max_reasons, &mut prepared);
            f(&prepared)
        });
        SCRATCH.with_borrow_mut(|scratch| scratch.steps = (row, prepared));
        result
    }

    /// The first step: writes the raw values of a customer.
    ///
    /// # Errors
    /// [`Ineligible`] when the model does not apply to the customer.
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
        row.elapsed.clear();
        if basis == Basis::Model {
            let mut fold = Fold::of_wanted(plan, self.wanted, history);
            fold.row(as_of, known_at, &mut row.raw);
            row.elapsed.extend_from_slice(fold.elapsed());
        }
        (row.as_of, row.known_at) = (as_of, known_at);
        row.create_time = history.create_time(as_of, known_at);
        Ok(())
    }

    /// The second step: writes the prepared score of a row, for scores with at most `max_reasons` reasons.
    pub fn prepare(&self, row: &Row, max_reasons: usize, prepared: &mut PreparedScore) {
        self.prepare_fixed(row, max_reasons, prepared, |_, _| ());
    }

    /// Does the same, and calls `f` with what each feature of the encoder adds to the uncalibrated log-odds at the
    /// moment of the row. Time-dependent features come last.
    pub fn prepare_with(
        &self,
        row: &Row,
        max_reasons: usize,
        prepared: &mut PreparedScore,
        mut f: impl FnMut(usize, f64),
    ) {
        self.prepare_fixed(row, max_reasons, prepared, &mut f);
        let values = prepared.time_dependent.iter().map(|feature| Contribution {
            feature: feature.feature,
            value: feature.elapsed.value(row.as_of),
            log_odds: feature.effect,
        });
        SCRATCH.with_borrow_mut(|scratch| {
            let lines = &mut scratch.lines;
            self.add_lines(values, lines, |added| f(added.feature as usize, added.log_odds));
        });
    }

    /// The second step, which calls `f` with what the features add that are not time-dependent.
    fn prepare_fixed(
        &self,
        row: &Row,
        max_reasons: usize,
        prepared: &mut PreparedScore,
        f: impl FnMut(usize, f64),
    ) {
        prepared.clear();
        prepared.max_reasons = max_reasons;
        (prepared.as_of, prepared.known_at, prepared.until) = (row.as_of, row.known_at, row.as_of);
        prepared.create_time = row.create_time;
        if row.raw.is_empty() {
            prepared.basis = Basis::Cold;
            (prepared.sum, prepared.variance) = (0.0, self.tables.average_variance());
        } else {
            prepared.basis = Basis::Model;
            SCRATCH.with_borrow_mut(|scratch| self.prepare_features(row, &mut scratch.lookup, prepared, f));
        }
    }

    fn prepare_features(
        &self,
        row: &Row,
        lookup: &mut Lookup,
        prepared: &mut PreparedScore,
        mut f: impl FnMut(usize, f64),
    ) {
        prepared.sum = self.look_up(&row.raw, lookup);
        prepared.variance = self.tables.variance(lookup);
        prepared.projection.extend_from_slice(self.tables.projection(lookup));
        let mut row_elapsed = row.elapsed.iter();
        for (n, log_odds) in lookup.contributions.iter().enumerate() {
            let (feature, place) = (n as u32, self.artifact.encoder.features[n].place);
            let value = row.raw[place];
            if value.is_nan() {
                prepared.missing.push(feature);
            }
            // Features and elapsed times are both in the order of their places.
            if lookup.time_dependent.get(prepared.time_dependent.len()) != Some(&n) {
                f(n, *log_odds);
                Contribution { feature, value, log_odds: *log_odds }
                    .insert_into(&mut prepared.strongest, prepared.max_reasons);
            } else if let Some((_, elapsed)) = row_elapsed.find(|(at, _)| *at == place) {
                let elapsed = TimeDependent { feature, elapsed: *elapsed, effect: *log_odds };
                prepared.time_dependent.push(elapsed);
            }
        }
    }

    /// The third step: calls `f` with the score at the moment of the row, or at another one at which the prepared
    /// score [is valid](PreparedScore::is_valid_at).
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
        let values = prepared.time_dependent.iter().map(|feature| Contribution {
            feature: feature.feature,
            value: feature.elapsed.value(as_of),
            log_odds: feature.effect,
        });
        let insert = |contribution: Contribution| contribution.insert_into(&mut strongest, max_reasons);
        let sum = prepared.sum + self.add_lines(values, &mut lines, insert);
        let variance = prepared.variance + self.tables.dynamic_variance(&prepared.projection, &lines);
        let Calibrated { base, slope, log_odds, uncalibrated } = self.calibrate_sum(sum);
        let (probability_now, margin) = (probability(log_odds), Z95 * standard_error(variance));
        let bound = |z: f64| probability(self.calibrate(z));
        let result = f(&ScoreView {
            probability: probability_now,
            lower: bound(uncalibrated - margin),
            upper: bound(uncalibrated + margin),
            grade: self.grade(probability_now),
            basis: prepared.basis,
            base_log_odds: base,
            slope,
            scorer: self,
            strongest: &strongest,
            missing: &prepared.missing,
            old_lead: self.old_lead(prepared.create_time, as_of),
        });
        SCRATCH.with_borrow_mut(|scratch| (scratch.lines, scratch.strongest) = (lines, strongest));
        result
    }

    /// The ages to note when a lead is older than any that the model has learned from.
    fn old_lead(&self, create_time: Option<Time>, as_of: Time) -> Option<OldLead> {
        let (create_time, learned) = create_time.zip(self.artifact.card.leads)?;
        let (days, learned_days) = (as_of.days_since(create_time), learned.oldest_days);
        // In whole days, as leads are counted; shown as the features show it.
        (days as u32 > learned_days).then_some(OldLead { days: days.round() as u32, learned_days })
    }

    /// The probability of a raw row, the same as that of its score, without interval and reasons.
    #[must_use]
    pub fn probability_of(&self, raw: &[f64]) -> f64 {
        SCRATCH.with_borrow_mut(|scratch| probability(self.calibrate_sum(self.sum_of(raw, scratch)).log_odds))
    }

    /// The grade of a raw row, the same as that of its score.
    #[must_use]
    pub fn grade_of(&self, raw: &[f64]) -> Grade {
        self.grade(self.probability_of(raw))
    }

    /// The log-odds of a raw row, and their standard error before calibration.
    #[must_use]
    pub fn assess(&self, raw: &[f64]) -> (f64, f64) {
        SCRATCH.with_borrow_mut(|scratch| {
            let sum = self.sum_of(raw, scratch);
            let Scratch { lookup, lines, .. } = scratch;
            let fixed = self.tables.variance(lookup);
            let variance = fixed + self.tables.dynamic_variance(self.tables.projection(lookup), lines);
            (self.calibrate_sum(sum).log_odds, standard_error(variance))
        })
    }

    /// Looks a raw row up, and returns what the features add that are not time-dependent.
    fn look_up(&self, raw: &[f64], lookup: &mut Lookup) -> f64 {
        self.tables.look_up(&self.artifact.encoder, raw, lookup);
        let mut time_dependent = lookup.time_dependent.iter().peekable();
        let others =
            lookup.contributions.iter().enumerate().filter(|(n, _)| time_dependent.next_if_eq(&n).is_none());
        others.map(|(_, contribution)| contribution).sum()
    }

    /// Adds the lines of time-dependent features to what their cells add, calls `f` with each contribution, and
    /// returns their sum.
    fn add_lines(
        &self,
        of_cells: impl Iterator<Item = Contribution>,
        lines: &mut DynamicLines,
        mut f: impl FnMut(Contribution),
    ) -> f64 {
        self.tables.clear(lines);
        let mut sum = 0.0;
        for Contribution { feature, value, log_odds } in of_cells {
            let line = self.tables.write_lines(&self.artifact.encoder, feature as usize, value, lines);
            let log_odds = log_odds + line;
            sum += log_odds;
            f(Contribution { feature, value, log_odds });
        }
        sum
    }

    /// What all features of a raw row add: nothing when it is empty.
    fn sum_of(&self, raw: &[f64], Scratch { lookup, lines, .. }: &mut Scratch) -> f64 {
        if raw.is_empty() {
            return 0.0;
        }
        let others = self.look_up(raw, lookup);
        let time_dependent = lookup.time_dependent.iter().map(|n| {
            let value = raw[self.artifact.encoder.features[*n].place];
            Contribution { feature: *n as u32, value, log_odds: lookup.contributions[*n] }
        });
        others + self.add_lines(time_dependent, lines, |_| ())
    }
}

/// Buffers that a thread reuses, so that scoring allocates nothing but its result.
#[derive(Default)]
struct Scratch {
    lookup: Lookup,
    lines: DynamicLines,
    strongest: Vec<Contribution>,
    /// The first two steps of a score that is not kept.
    steps: (Row, PreparedScore),
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// The standard error. Rounding may make a tiny variance negative.
fn standard_error(variance: f64) -> f64 {
    variance.max(0.0).sqrt()
}
