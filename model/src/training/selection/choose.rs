//! The choice of a penalty, by cross-validation over customers.
//!
//! Over customers, not over time: the level of later rows differs from that of earlier ones. A penalty so strong that
//! everybody gets the base rate looks good wherever the level has moved, whatever the features say. Customers of the
//! same times have the same level, so that their loss depends on how well a model ranks.

use super::rounds::thinned;
use crate::{
    artifact::Recipe,
    evaluation::metrics::log_loss_of_log_odds,
    training::{
        dataset::Dataset,
        fit::{Fit, FitError, Folds},
        split::folds,
    },
};

/// The penalties that are tried, strongest first: each fit starts from the one before.
const PENALTIES: [f64; 7] = [300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3];
/// The penalty when no cross-validation is possible.
pub(super) const USUAL: f64 = 10.0;
/// The folds of the customers.
const FOLDS: usize = 5;
/// The most rows; whole customers. More rows change the penalty by less than a step of the path.
const ROWS: usize = 10_000;

/// A penalty and the mean loss with it.
type Loss = (f64, f64);

impl Dataset<'_> {
    /// The penalty for `recipe` on those of some rows that are within its lookback; its own when there are too few
    /// customers to choose by, or when no feature varies.
    ///
    /// The encoder is fitted to all rows, as it does not know the labels without crosses and screening.
    pub(super) fn choose_penalty(
        &self,
        recipe: &Recipe,
        chosen: &[usize],
        seed: u64,
    ) -> Result<f64, FitError> {
        let rows = thinned(self, self.within(chosen, recipe.lookback_days), ROWS);
        let fold = folds(self.rows, seed, FOLDS);
        let folds = Folds { of_row: rows.iter().map(|row| fold[*row]).collect(), count: FOLDS };
        let encoder = self.encoder(&Recipe { pairs: 0, feature_fraction: 1.0, ..*recipe }, &rows)?;
        if encoder.width() == 0 || !self.is_enough_outside(&rows, &folds) {
            return Ok(recipe.penalty);
        }
        let (design, labels) = (self.design(&encoder, &rows), self.labels(&rows));
        let (mut path, mut fits) = (Vec::new(), Vec::new());
        for penalty in PENALTIES {
            let (next, log_odds) = Fit::cross_validated((&design, &labels), &folds, penalty, &fits);
            let losses = log_odds.iter().zip(&labels).map(|(z, label)| log_loss_of_log_odds(*z, *label));
            path.push((penalty, losses.sum::<f64>() / labels.len() as f64));
            fits = next;
        }
        Ok(least(&path).unwrap_or(recipe.penalty))
    }

    /// Whether both labels occur outside of each fold.
    fn is_enough_outside(&self, rows: &[usize], folds: &Folds) -> bool {
        (0..folds.count).all(|fold| {
            let outside = rows.iter().zip(&folds.of_row).filter(|(_, of_row)| **of_row != fold);
            self.has_both(&outside.map(|(row, _)| *row).collect::<Vec<_>>(), 1)
        })
    }
}

/// The penalty of the least loss on the whole path, the strongest of equal ones. The path has several minima when the
/// features differ much in how strong a penalty suits them.
fn least(path: &[Loss]) -> Option<f64> {
    path.iter()
        .copied()
        .reduce(|best, next| if next.1 < best.1 { next } else { best })
        .map(|(penalty, _)| penalty)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_minima_the_lower_one_is_chosen() {
        let path = [(10_000.0, 0.3075), (3_000.0, 0.3088), (100.0, 0.3070), (10.0, 0.3063), (3.0, 0.3066)];
        assert_eq!(least(&path), Some(10.0));
        let stronger_is_lower = [(100.0, 0.30), (30.0, 0.32), (10.0, 0.31), (3.0, 0.33)];
        assert_eq!(least(&stronger_is_lower), Some(100.0));
        assert_eq!(least(&[(30.0, 0.3), (10.0, 0.3)]), Some(30.0), "the strongest of equal ones");
        assert_eq!(least(&[]), None);
    }
}
