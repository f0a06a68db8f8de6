//! The selection of a recipe: encoding, penalty, pairs, features and lookback, by the log loss on rows that are
//! later than those fitted to.
//!
//! A more flexible model is also misled more when times change. So the simpler recipe is kept unless a
//! richer one is better by more than the standard error of the difference ("one standard error
//! rule": Breiman and others 1984). The holdout is never used.

mod calibration;
mod rounds;
mod significance;
mod trial;

use crate::{
    artifact::{Calibration, Candidate, Recipe, SplitKind, Study},
    encode::Form,
    features::Measure,
    time::{DAY, Time},
    training::{dataset::Dataset, fit::FitError},
};

use self::{
    rounds::{Round, Rounds},
    trial::{PENALTIES, Trial},
};

/// The numbers of crossed pairs that are tried.
const PAIRS: [usize; 1] = [10];
/// The shares of the features that are tried, beside all.
const FEATURE_FRACTIONS: [f64; 2] = [0.5, 0.25];
/// The divisors of the time span that give the lookbacks that are tried, beside all of it.
const LOOKBACK_DIVISORS: [i64; 2] = [2, 4];

/// The selected recipe, and how it was found.
pub struct SelectionResult {
    /// The recipe.
    pub recipe: Recipe,
    /// All recipes that were tried, in order.
    pub candidates: Vec<Candidate>,
    /// Whether validation rows were later than those fitted to.
    pub validation: SplitKind,
    /// The calibration curve, when the scores need one.
    pub calibration: Option<Calibration>,
}

impl SelectionResult {
    /// The record of the selection in the artifact.
    #[must_use]
    pub fn study(&self) -> Study {
        Study {
            recipe: self.recipe,
            calibration: self.calibration.as_ref().map(|curve| curve.name().to_owned()),
            validation: self.validation,
            candidates: self.candidates.clone(),
        }
    }
}

/// Recipes that are compared on the same rounds.
struct Selection<'a> {
    dataset: Dataset<'a>,
    validation: SplitKind,
    rounds: Vec<Round>,
    candidates: Vec<Candidate>,
}

impl Dataset<'_> {
    /// Selects the recipe for fitting to `chosen`, with a validation in time if `split` is temporal. `step` is called
    /// with the name of each step.
    ///
    /// # Errors
    /// [`FitError`] when an optimum is not reached.
    pub fn select(
        &self,
        chosen: &[usize],
        split: SplitKind,
        seed: u64,
        step: &dyn Fn(&str),
    ) -> Result<SelectionResult, FitError> {
        let Rounds { validation, rounds } = Rounds::new(self, chosen, split, seed);
        let mut selection = Selection { dataset: *self, validation, rounds, candidates: Vec::new() };
        step("choosing how far to look back");
        let Some(mut best) = selection.run(Recipe::first(Form::Log, PENALTIES[0]))? else {
            // Nothing varies; the fit reports it.
            let recipe = Recipe::first(Form::Plain, PENALTIES[0]);
            return Ok(SelectionResult { recipe, candidates: Vec::new(), validation, calibration: None });
        };
        best = selection.select_lookback(best, chosen)?;
        best = selection.select_extras(best)?;
        best = selection.select_form(best, step)?;
        step("searching pairs of features");
        for pairs in PAIRS {
            if let Some(trial) = selection.run(Recipe { pairs, ..best.recipe })? {
                best = selection.richer_if_better(best, trial);
            }
        }
        // The penalty suppresses features that do not help. Leaving features out takes a significant gain, since
        // one of several fractions may be better by chance.
        step("screening the features");
        for feature_fraction in FEATURE_FRACTIONS {
            if let Some(trial) = selection.run(Recipe { feature_fraction, ..best.recipe })? {
                best = selection.significantly_better(best, trial);
            }
        }
        let calibration = selection.calibration(&best);
        let candidates = selection.candidates;
        Ok(SelectionResult { recipe: best.recipe, candidates, validation, calibration })
    }
}

impl Selection<'_> {
    /// Selects how far back to look: all the way, unless less is significantly better.
    fn select_lookback(&mut self, mut best: Trial, chosen: &[usize]) -> Result<Trial, FitError> {
        if self.validation == SplitKind::Temporal {
            let oldest = chosen.iter().map(|row| self.dataset.rows.as_of[*row]).min().unwrap_or(Time(0));
            let span = (self.dataset.newest(chosen).0 - oldest.0) / DAY;
            for divisor in LOOKBACK_DIVISORS {
                let near = Recipe { lookback_days: Some(span / divisor), ..best.recipe };
                if let Some(trial) = self.run(near)? {
                    best = self.significantly_better(best, trial);
                }
            }
        }
        Ok(best)
    }

    /// Adds the features of habits and of the calendar if they help. In a validation in time, those of the calendar must
    /// help at most times, since they follow trends.
    fn select_extras(&mut self, mut best: Trial) -> Result<Trial, FitError> {
        if self.dataset.measures.iter().any(Measure::is_habit)
            && let Some(trial) = self.run(Recipe { habits: true, ..best.recipe })?
        {
            best = self.richer_if_better(best, trial);
        }
        if self.dataset.measures.iter().any(Measure::is_calendar)
            && let Some(trial) = self.run(Recipe { calendar: true, ..best.recipe })?
        {
            best = match self.validation {
                SplitKind::Temporal => self.significantly_better(best, trial),
                SplitKind::Random => self.richer_if_better(best, trial),
            };
        }
        Ok(best)
    }

    fn select_form(&mut self, mut best: Trial, step: &dyn Fn(&str)) -> Result<Trial, FitError> {
        // Straight lines on either scale are equally simple.
        if let Some(plain) = self.run(Recipe { form: Form::Plain, ..best.recipe })? {
            best = self.lesser_loss(best, plain);
        }
        step("choosing the encoding");
        for form in [Form::Spline, Form::Steps] {
            if let Some(trial) = self.run(Recipe { form, ..best.recipe })? {
                best = self.richer_if_better(best, trial);
            }
        }
        Ok(best)
    }
}
