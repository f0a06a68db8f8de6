//! Cross-validation over customers: the penalty of a form and of its crosses, and the log-odds that stacks are weighted
//! by.
//!
//! Over customers, not over time: the level of later rows differs from that of earlier ones. A penalty so strong that
//! everybody gets the base rate looks good wherever the level has moved, whatever the features say. Customers of the
//! same times have the same level, so that their loss depends on how well a model ranks.

use std::sync::Arc;

use ndarray::{Array1, s};

use super::rounds::thinned;
use crate::{
    artifact::Recipe,
    encode::Encoder,
    evaluation::metrics::log_loss_of_log_odds,
    parallel::par_map,
    training::{
        dataset::{Dataset, Uncrossed},
        design::Design,
        fit::{CrossValidation, FitError, FoldFits, Folds},
        split::folds,
    },
};

/// The penalties that are tried, strongest first: each fit starts from the one before.
const PENALTIES: [f64; 8] = [1_000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3];
/// The penalty when no cross-validation is possible.
pub(super) const USUAL: f64 = 10.0;
/// The ratios of the penalty of crosses to that of the other columns, strongest first.
const PAIR_RATIOS: [f64; 3] = [30.0, 10.0, 3.0];
/// The number of crossed pairs.
const PAIRS: usize = 10;
/// The folds of the customers.
const FOLDS: usize = 5;
/// The most rows; whole customers.
const ROWS: usize = 20_000;

/// Rows with the folds of their customers.
pub(super) struct CustomerFolds {
    pub(super) rows: Vec<usize>,
    pub(super) labels: Vec<bool>,
    pub(super) folds: Folds,
}

/// A form with the penalty of the least loss, and its fits outside of each fold.
pub(super) struct FormFits {
    pub(super) recipe: Recipe,
    encoder: Encoder,
    design: Design,
    fits: Arc<FoldFits>,
}

/// A recipe, and the log-odds of each row by the fit that has not seen it.
#[derive(Clone)]
pub(super) struct OutOfFold {
    pub(super) recipe: Recipe,
    pub(super) log_odds: Array1<f64>,
}

impl CustomerFolds {
    /// Folds of those of some rows that are within the lookback; None when there are too few customers: outside of each
    /// fold there must be both labels.
    pub(super) fn new(
        dataset: &Dataset<'_>,
        chosen: &[usize],
        lookback_days: Option<i64>,
        seed: u64,
    ) -> Option<Self> {
        let rows = thinned(dataset, dataset.within(chosen, lookback_days), ROWS);
        let fold = folds(dataset.rows, seed, FOLDS);
        let folds = Folds { of_row: rows.iter().map(|row| fold[*row]).collect(), count: FOLDS };
        let this = Self { labels: dataset.labels(&rows), rows, folds };
        let has_both = |fold| dataset.has_both(&this.outside(fold), 1);
        (0..FOLDS).all(has_both).then_some(this)
    }

    /// The rows outside of a fold.
    fn outside(&self, fold: usize) -> Vec<usize> {
        let rows = self.rows.iter().zip(&self.folds.of_row);
        rows.filter(|(_, of_row)| **of_row != fold).map(|(row, _)| *row).collect()
    }

    /// The loss of each row.
    pub(super) fn losses<'b>(&self, log_odds: impl IntoIterator<Item = &'b f64>) -> Vec<f64> {
        log_odds.into_iter().zip(&self.labels).map(|(z, label)| log_loss_of_log_odds(*z, *label)).collect()
    }

    fn mean_loss(&self, log_odds: &Array1<f64>) -> f64 {
        self.losses(log_odds).iter().sum::<f64>() / self.rows.len() as f64
    }

    /// Fits the form of `recipe`, without crosses, with the penalty that suits it. None when no feature varies.
    pub(super) fn fit_form(
        &self,
        dataset: &Dataset<'_>,
        recipe: &Recipe,
    ) -> Result<Option<FormFits>, FitError> {
        let encoder = dataset.uncrossed_encoder(&Recipe { feature_fraction: 1.0, ..*recipe }, &self.rows)?;
        if encoder.width() == 0 {
            return Ok(None);
        }
        let design = dataset.design(&encoder, &self.rows);
        let validation = CrossValidation { x: &design, y: &self.labels, folds: &self.folds };
        let (mut best, mut latest) = (Best::default(), None::<Arc<FoldFits>>);
        for penalty in PENALTIES {
            let fits = Arc::new(validation.fit(penalty, latest.as_deref()));
            best.offer(self.mean_loss(&fits.log_odds), (penalty, Arc::clone(&fits)));
            latest = Some(fits);
        }
        Ok(best.of_all().map(|(penalty, fits)| FormFits {
            recipe: Recipe { penalty, pairs: 0, ..*recipe },
            encoder,
            design,
            fits,
        }))
    }

    /// Adds crosses to a form, with the ratio of the penalties that suits them.
    pub(super) fn fit_pairs(&self, dataset: &Dataset<'_>, form: &FormFits) -> Option<OutOfFold> {
        let mut by_ratio = vec![Array1::zeros(self.rows.len()); PAIR_RATIOS.len()];
        let of_folds = par_map(0..FOLDS, |fold| self.pairs_of_fold(dataset, form, fold));
        for (fold, log_odds) in of_folds.into_iter().enumerate() {
            for (whole, part) in by_ratio.iter_mut().zip(log_odds) {
                let own = self
                    .folds
                    .of_row
                    .iter()
                    .zip(part)
                    .enumerate()
                    .filter(|(_, (of_row, _))| **of_row == fold);
                own.for_each(|(row, (_, z))| whole[row] = z);
            }
        }
        let mut best = Best::default();
        for (pair_ratio, log_odds) in PAIR_RATIOS.into_iter().zip(by_ratio) {
            best.offer(self.mean_loss(&log_odds), (pair_ratio, log_odds));
        }
        best.of_all().map(|(pair_ratio, log_odds)| OutOfFold {
            recipe: Recipe { pairs: PAIRS, pair_ratio, ..form.recipe },
            log_odds,
        })
    }

    /// For each ratio, the log-odds of all rows by the fit outside of a fold, whose rows choose the pairs, too.
    fn pairs_of_fold(&self, dataset: &Dataset<'_>, form: &FormFits, fold: usize) -> Vec<Array1<f64>> {
        let (base, penalty) = (&form.fits, form.recipe.penalty);
        let outside = self.outside(fold);
        let width = form.encoder.width();
        let uncrossed = Uncrossed { encoder: &form.encoder, fit: &base.fits[fold] };
        let recipe = Recipe { pairs: PAIRS, pair_ratio: PAIR_RATIOS[0], ..form.recipe };
        let encoder = dataset.crossed_encoder(&recipe, &outside, uncrossed);
        let mut design = dataset.design(&encoder, &self.rows);
        let validation = CrossValidation { x: &form.design, y: &self.labels, folds: &self.folds };
        let mut start = base.fits[fold].widened(encoder.width());
        let mut before = PAIR_RATIOS[0];
        let fit = |ratio: f64| {
            // The columns have another scale, the products with their weights have not.
            let scale = (before / ratio).sqrt();
            design.scale_from_column(width, scale);
            start.weights.slice_mut(s![width..]).map_inplace(|w| *w /= scale);
            before = ratio;
            let log_odds;
            (start, log_odds) = validation.fit_crossed((base, fold), &design, penalty, &start);
            log_odds
        };
        PAIR_RATIOS.into_iter().map(fit).collect()
    }
}

impl FormFits {
    /// The log-odds of each row by the fit that has not seen it.
    pub(super) fn out_of_fold(&self) -> OutOfFold {
        OutOfFold { recipe: self.recipe, log_odds: self.fits.log_odds.clone() }
    }
}

/// The value with the least loss, the first of equal ones. A path of penalties has several minima when the features
/// differ much in how strong a penalty suits them.
struct Best<T>(Option<(f64, T)>);

impl<T> Default for Best<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Best<T> {
    fn offer(&mut self, loss: f64, value: T) {
        if self.0.as_ref().is_none_or(|(least, _)| loss < *least) {
            self.0 = Some((loss, value));
        }
    }

    fn of_all(self) -> Option<T> {
        self.0.map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn best(losses: &[f64]) -> Option<usize> {
        let mut best = Best::default();
        losses.iter().enumerate().for_each(|(n, loss)| best.offer(*loss, n));
        best.of_all()
    }

    #[test]
    fn of_two_minima_the_lower_one_is_chosen() {
        assert_eq!(best(&[0.3075, 0.3088, 0.3070, 0.3063, 0.3066]), Some(3));
        assert_eq!(best(&[0.30, 0.32, 0.31, 0.33]), Some(0));
        assert_eq!(best(&[0.3, 0.3]), Some(0), "the strongest of equal ones");
        assert_eq!(best(&[]), None);
    }
}
