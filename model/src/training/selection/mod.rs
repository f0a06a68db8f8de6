//! The selection of a recipe: encoding, penalty, pairs, features and lookback; and of a stack of recipes.
//!
//! The penalty of a form is chosen on other customers of the same times, all else on rows that are later than those
//! fitted to, by their log loss without what a moving level adds to it.
//!
//! A more flexible model is also misled more when times change. So the simpler recipe is kept unless a
//! richer one is better by more than the standard error of the difference ("one standard error
//! rule": Breiman and others 1984). The holdout is never used.

mod calibration;
mod choose;
mod forms;
mod offsets;
mod rounds;
mod significance;
mod stack;
mod trial;

use crate::{
    artifact::{Calibration, Candidate, Recipe, SplitKind, Stack, Study},
    encode::Form,
    features::Measure,
    time::{DAY, Time},
    training::{dataset::Dataset, fit::FitError},
};

use self::{
    choose::USUAL,
    forms::Forms,
    offsets::Groups,
    rounds::{Round, Rounds},
    trial::Trial,
};

/// The shares of the features that are tried, beside all.
const FEATURE_FRACTIONS: [f64; 2] = [0.5, 0.25];
/// The divisors of the time span that give the lookbacks that are tried, beside all of it.
const LOOKBACK_DIVISORS: [i64; 2] = [2, 4];

/// What was selected, and how it was found.
pub struct SelectionResult {
    /// The recipe, or the stack, and all that was tried.
    pub study: Study,
    /// The calibration curve, when the scores need one.
    pub calibration: Option<Calibration>,
}

/// What to select from.
pub struct SelectionInput<'a> {
    /// The rows to fit to.
    pub chosen: &'a [usize],
    /// The wanted validation: on later rows, or on other customers.
    pub split: SplitKind,
    /// The seed of the folds.
    pub seed: u64,
    /// The selection of the model that was evaluated, which is kept unless another one is significantly better.
    pub evaluated: Option<&'a Study>,
}

/// Recipes that are compared on the same rounds.
struct Selection<'a> {
    dataset: Dataset<'a>,
    input: &'a SelectionInput<'a>,
    validation: SplitKind,
    rounds: Vec<Round>,
    /// The labels of the validation rows of all rounds.
    labels: Vec<bool>,
    groups: Groups,
    forms: Forms,
    candidates: Vec<Candidate>,
    /// The trials of the candidates.
    trials: Vec<Trial>,
}

/// What the model is fitted as.
struct Choice {
    /// The best single recipe.
    recipe: Recipe,
    /// The stack that was tried.
    stack: Option<Stack>,
    /// The trial of the stack if it is kept, else of the recipe.
    trial: Trial,
}

impl Dataset<'_> {
    /// Selects the recipe for fitting to some rows. `step` is called with the name of each step.
    ///
    /// # Errors
    /// [`FitError`] when an optimum is not reached.
    pub fn select(
        &self,
        input: &SelectionInput<'_>,
        step: &dyn Fn(&str),
    ) -> Result<SelectionResult, FitError> {
        let mut selection = Selection::new(*self, input);
        step("choosing how far to look back");
        let Some(best) = selection.run_form(Recipe::first(Form::Log, USUAL))? else {
            // Nothing varies; the fit reports it.
            return Ok(selection.result(Recipe::first(Form::Plain, USUAL), None, None));
        };
        let best = selection.select_lookback(best)?;
        let best = selection.select_extras(best)?;
        step("choosing the encoding");
        let (best, rich) = selection.select_form(best)?;
        step("searching pairs of features");
        let best = selection.select_pairs(best, rich)?;
        step("screening the features");
        let best = selection.screen(best)?;
        step("weighing recipes");
        let choice = selection.stack(best)?;
        let Choice { recipe, stack, trial } = selection.keep_evaluated(choice)?;
        let calibration = selection.calibration(&trial);
        Ok(selection.result(recipe, stack, calibration))
    }
}

impl<'a> Selection<'a> {
    fn new(dataset: Dataset<'a>, input: &'a SelectionInput<'a>) -> Self {
        let Rounds { validation, rounds } = Rounds::new(&dataset, input.chosen, input.split, input.seed);
        let labels = rounds.iter().flat_map(|round| dataset.labels(&round.validate)).collect();
        let groups = match validation {
            SplitKind::Temporal => Groups::new(&dataset, &rounds),
            SplitKind::Random => Groups::none(),
        };
        Self {
            dataset,
            input,
            validation,
            rounds,
            labels,
            groups,
            forms: Forms::default(),
            candidates: Vec::new(),
            trials: Vec::new(),
        }
    }

    fn result(
        self,
        recipe: Recipe,
        stack: Option<Stack>,
        calibration: Option<Calibration>,
    ) -> SelectionResult {
        let study = Study {
            recipe,
            stack,
            calibration: calibration.as_ref().map(|curve| curve.name().to_owned()),
            validation: self.validation,
            candidates: self.candidates,
        };
        SelectionResult { study, calibration }
    }

    /// Tries a recipe with the penalty that suits its form.
    fn run_form(&mut self, recipe: Recipe) -> Result<Option<Trial>, FitError> {
        let penalty = self.forms.penalty(&self.dataset, self.input, recipe)?.unwrap_or(recipe.penalty);
        self.run(Recipe { penalty, ..recipe })
    }

    /// Selects how far back to look: all the way, unless less is significantly better.
    fn select_lookback(&mut self, mut best: Trial) -> Result<Trial, FitError> {
        if self.validation == SplitKind::Temporal {
            let chosen = self.input.chosen;
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

    /// The form, and the better one of the rich forms.
    fn select_form(&mut self, best: Trial) -> Result<(Trial, Option<Trial>), FitError> {
        // The lookback and the features may have changed since the penalty was chosen.
        let mut best = self.run_form(best.recipe)?.unwrap_or(best);
        // Straight lines on either scale are equally simple.
        if let Some(plain) = self.run_form(Recipe { form: Form::Plain, ..best.recipe })? {
            best = self.lesser_loss(best, plain);
        }
        // Splines and steps are equally rich: the better one must be better than lines.
        let spline = self.run_form(Recipe { form: Form::Spline, ..best.recipe })?;
        let steps = self.run_form(Recipe { form: Form::Steps, ..best.recipe })?;
        let (Some(spline), Some(steps)) = (spline, steps) else { return Ok((best, None)) };
        self.compare(&best, &spline);
        let rich = self.lesser_loss(spline, steps);
        Ok((self.richer_if_better(best, rich.clone()), Some(rich)))
    }

    /// Crosses features of the better rich form. That form need not be better by itself: features may matter only
    /// together.
    fn select_pairs(&mut self, mut best: Trial, rich: Option<Trial>) -> Result<Trial, FitError> {
        if let Some(rich) = rich
            && let Some(recipe) = self.forms.with_pairs(&self.dataset, &rich.recipe)
            && let Some(trial) = self.run(recipe)?
        {
            best = self.richer_if_better(best, trial);
        }
        Ok(best)
    }

    /// The penalty suppresses features that do not help. Leaving features out takes a significant gain, since one of
    /// several fractions may be better by chance.
    fn screen(&mut self, mut best: Trial) -> Result<Trial, FitError> {
        for feature_fraction in FEATURE_FRACTIONS {
            if let Some(trial) = self.run(Recipe { feature_fraction, ..best.recipe })? {
                best = self.significantly_better(best, trial);
            }
        }
        Ok(best)
    }

    /// Weighs the finalists. The stack is kept if it is better than the best single recipe by more than a standard error
    /// for customers that it has not seen, and not worse by more than that on later rows.
    fn stack(&mut self, best: Trial) -> Result<Choice, FitError> {
        let Trial { recipe, .. } = best;
        let Some(mut stack) = self.forms.stack(&self.dataset, &recipe) else {
            return Ok(Choice { recipe, stack: None, trial: best });
        };
        let mut trial = best;
        if -stack.excess > stack.standard_error
            && let Some(stacked) = self.run_members(recipe, (&stack.members, stack.intercept))?
        {
            let (excess, standard_error) = self.excess(&stacked.profiled, &trial.profiled);
            stack.kept = excess <= standard_error;
            trial = if stack.kept { stacked } else { trial };
        }
        Ok(Choice { recipe, stack: Some(stack), trial })
    }

    /// What was evaluated, unless the new choice is significantly better: what serves should be what was judged.
    fn keep_evaluated(&mut self, choice: Choice) -> Result<Choice, FitError> {
        let Some(evaluated) = self.input.evaluated else {
            return Ok(choice);
        };
        let (members, intercept) = evaluated.members();
        let Some(trial) = self.run_members(evaluated.recipe, (&members, intercept))? else {
            return Ok(choice);
        };
        let is_better = self.is_significantly_better(&choice.trial.profiled, &trial.profiled);
        Ok(match is_better {
            true => choice,
            false => Choice { recipe: evaluated.recipe, stack: evaluated.stack.clone(), trial },
        })
    }
}
