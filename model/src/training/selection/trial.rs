//! Trying a recipe: its log-odds for the validation rows.

use std::sync::Arc;

use ndarray::Array1;

use super::{Round, Selection};
use crate::{
    artifact::{Candidate, Recipe, SplitKind, StackMember},
    encode::Encoder,
    parallel::par_map,
    training::{
        dataset::{EncodedFit, Uncrossed},
        fit::{Fit, FitError},
        split::FEWEST_OF_A_CLASS,
    },
};

/// A recipe, or a stack whose best single recipe it is, and the log-odds it gives to the validation rows, round by
/// round.
#[derive(Clone)]
pub(super) struct Trial {
    pub(super) recipe: Recipe,
    pub(super) log_odds: Vec<f64>,
    /// The log-odds by which recipes are compared: with the offset of each month if the rows are later than those
    /// fitted to.
    pub(super) profiled: Vec<f64>,
    /// The fits of the rounds; none for a stack.
    fits: Arc<[RoundFit]>,
}

/// A fit to a round.
struct RoundFit {
    encoder: Encoder,
    fit: Fit,
}

impl Selection<'_> {
    /// Tries `recipe`, unless it was tried before. None when the rows within the lookback are too few, or no feature
    /// varies.
    pub(super) fn run(&mut self, recipe: Recipe) -> Result<Option<Trial>, FitError> {
        if let Some(known) = self.trials.iter().find(|trial| trial.recipe == recipe) {
            return Ok(Some(known.clone()));
        }
        let simple = self.trials.iter().find(|trial| trial.recipe == recipe.uncrossed());
        let validated = par_map(self.rounds.iter().enumerate(), |(n, round)| {
            self.validate(&recipe, round, simple.map(|trial| &trial.fits[n]))
        });
        let Some(validated) = validated.into_iter().collect::<Result<Option<Vec<_>>, _>>()? else {
            return Ok(None);
        };
        let (fits, log_odds): (Vec<_>, Vec<_>) = validated.into_iter().unzip();
        let log_odds: Vec<f64> = log_odds.into_iter().flatten().collect();
        let profiled = self.groups.profiled(&log_odds, &self.labels);
        let mean_loss = |z: &[f64]| self.losses(z).iter().sum::<f64>() / z.len() as f64;
        self.candidates.push(Candidate {
            recipe,
            log_loss: mean_loss(&log_odds),
            profiled_log_loss: (self.validation == SplitKind::Temporal).then(|| mean_loss(&profiled)),
            excess: 0.0,
            standard_error: 0.0,
        });
        let trial = Trial { recipe, log_odds, profiled, fits: fits.into() };
        self.trials.push(trial.clone());
        Ok(Some(trial))
    }

    /// Tries the weighted sum of recipes.
    pub(super) fn run_members(
        &mut self,
        recipe: Recipe,
        (members, intercept): (&[StackMember], f64),
    ) -> Result<Option<Trial>, FitError> {
        let mut log_odds = vec![intercept; self.labels.len()];
        for member in members {
            let Some(trial) = self.run(member.recipe)? else { return Ok(None) };
            log_odds.iter_mut().zip(trial.log_odds).for_each(|(sum, z)| *sum += member.weight * z);
        }
        let profiled = self.groups.profiled(&log_odds, &self.labels);
        Ok(Some(Trial { recipe, log_odds, profiled, fits: Arc::default() }))
    }

    /// Fits to a round, and returns the fit and its log-odds for the validation rows.
    fn validate(
        &self,
        recipe: &Recipe,
        round: &Round,
        uncrossed: Option<&RoundFit>,
    ) -> Result<Option<(RoundFit, Array1<f64>)>, FitError> {
        let rows = self.dataset.within(&round.fit, recipe.lookback_days);
        if recipe.lookback_days.is_some() && !self.dataset.has_both(&rows, FEWEST_OF_A_CLASS) {
            return Ok(None);
        }
        let uncrossed = uncrossed.map(|RoundFit { encoder, fit }| Uncrossed { encoder, fit });
        let fitted = self.dataset.fit_by(Fit::rough, recipe, rows, uncrossed)?;
        Ok(fitted.map(|EncodedFit { encoder, fit, .. }| {
            let log_odds = fit.log_odds(&self.dataset.design(&encoder, &round.validate));
            (RoundFit { encoder, fit }, log_odds)
        }))
    }
}
