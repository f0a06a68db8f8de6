//! Trying a recipe: the best penalty for it, and its log-odds for the validation rows.

use ndarray::Array1;

use super::{Round, Selection};
use crate::{
    artifact::{Candidate, Recipe},
    parallel::par_map,
    training::{
        design::Design,
        fit::{Fit, FitError},
        split::FEWEST_OF_A_CLASS,
    },
};

/// The penalties that are tried, strongest first: each fit starts from the one before.
pub(super) const PENALTIES: [f64; 11] =
    [10_000.0, 3_000.0, 1_000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3, 0.1];
/// The first penalty that is tried for a variation of a recipe, as a multiple of that recipe's.
const STRONGER: f64 = 11.0;

/// A recipe at its best penalty, and the log-odds it gives to the validation rows, round by round.
pub(super) struct Trial {
    pub(super) recipe: Recipe,
    pub(super) log_odds: Vec<f64>,
}

/// A round, encoded by a recipe.
struct EncodedRound {
    design: Design,
    labels: Vec<bool>,
    validation: Design,
    /// The fit at the previous penalty.
    fit: Option<Fit>,
}

impl Selection<'_> {
    /// Tries `recipe` with falling penalties, from just above its own on until the loss rises. None when
    /// the rows within the lookback are too few, or no feature varies.
    pub(super) fn run(&mut self, recipe: Recipe) -> Result<Option<Trial>, FitError> {
        let rounds = par_map(self.rounds.iter(), |round| self.encode(&recipe, round));
        let Some(mut rounds) = rounds.into_iter().collect::<Result<Option<Vec<_>>, _>>()? else {
            return Ok(None);
        };
        let mut best: Option<(f64, Trial)> = None;
        // A variation of a recipe has a similar penalty.
        let strongest = STRONGER * recipe.penalty;
        for penalty in PENALTIES.into_iter().filter(|penalty| *penalty <= strongest) {
            let validated = par_map(rounds.iter_mut(), |round| round.validate(penalty));
            let validated = validated.into_iter().collect::<Result<Vec<_>, _>>()?;
            let log_odds: Vec<f64> = validated.into_iter().flatten().collect();
            let loss = self.losses(&log_odds).iter().sum::<f64>() / log_odds.len() as f64;
            if best.as_ref().is_none_or(|(least, _)| loss < *least) {
                best = Some((loss, Trial { recipe: Recipe { penalty, ..recipe }, log_odds }));
            } else {
                break;
            }
        }
        let Some((log_loss, trial)) = best else { return Ok(None) };
        self.candidates.push(Candidate { recipe: trial.recipe, log_loss, excess: 0.0, standard_error: 0.0 });
        Ok(Some(trial))
    }

    fn encode(&self, recipe: &Recipe, round: &Round) -> Result<Option<EncodedRound>, FitError> {
        let rows = self.dataset.within(&round.fit, recipe.lookback_days);
        if recipe.lookback_days.is_some() && !self.dataset.has_both(&rows, FEWEST_OF_A_CLASS) {
            return Ok(None);
        }
        let encoder = self.dataset.encoder(recipe, &rows)?;
        if encoder.width() == 0 {
            return Ok(None);
        }
        Ok(Some(EncodedRound {
            design: self.dataset.design(&encoder, &rows),
            labels: self.dataset.labels(&rows),
            validation: self.dataset.design(&encoder, &round.validate),
            fit: None,
        }))
    }
}

impl EncodedRound {
    /// Fits with a penalty, and returns the log-odds of the validation rows.
    fn validate(&mut self, penalty: f64) -> Result<Array1<f64>, FitError> {
        let fit = Fit::rough(&self.design, &self.labels, penalty, self.fit.as_ref())?;
        let log_odds = fit.log_odds(&self.validation);
        self.fit = Some(fit);
        Ok(log_odds)
    }
}
