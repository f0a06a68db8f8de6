//! Trying a recipe: its log-odds for the validation rows.

use ndarray::Array1;

use super::{Round, Selection};
use crate::{
    artifact::{Candidate, Recipe, SplitKind},
    parallel::par_map,
    training::{
        fit::{Fit, FitError},
        split::FEWEST_OF_A_CLASS,
    },
};

/// A recipe and the log-odds it gives to the validation rows, round by round.
pub(super) struct Trial {
    pub(super) recipe: Recipe,
    pub(super) log_odds: Vec<f64>,
    /// The log-odds by which recipes are compared: with the offset of each month if the rows are later than those
    /// fitted to.
    pub(super) profiled: Vec<f64>,
}

impl Selection<'_> {
    /// Tries `recipe`. None when the rows within the lookback are too few, or no feature varies.
    pub(super) fn run(&mut self, recipe: Recipe) -> Result<Option<Trial>, FitError> {
        let validated = par_map(self.rounds.iter(), |round| self.validate(&recipe, round));
        let Some(log_odds) = validated.into_iter().collect::<Result<Option<Vec<_>>, _>>()? else {
            return Ok(None);
        };
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
        Ok(Some(Trial { recipe, log_odds, profiled }))
    }

    /// Fits to a round, and returns the log-odds of its validation rows.
    fn validate(&self, recipe: &Recipe, round: &Round) -> Result<Option<Array1<f64>>, FitError> {
        let rows = self.dataset.within(&round.fit, recipe.lookback_days);
        if recipe.lookback_days.is_some() && !self.dataset.has_both(&rows, FEWEST_OF_A_CLASS) {
            return Ok(None);
        }
        let encoder = self.dataset.encoder(recipe, &rows)?;
        if encoder.width() == 0 {
            return Ok(None);
        }
        let design = self.dataset.design(&encoder, &rows);
        let fit = Fit::rough(&design, &self.dataset.labels(&rows), recipe.penalty, None)?;
        Ok(Some(fit.log_odds(&self.dataset.design(&encoder, &round.validate))))
    }
}
