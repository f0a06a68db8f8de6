//! The selection of a calibration curve.

use super::{Selection, Trial};
use crate::{
    artifact::{Calibration, SplitKind},
    time::Time,
    training::{
        calibrate::{fit_isotonic, fit_platt},
        split::folds,
    },
};

/// The log-odds and the label of a row.
type LabelledLogOdds = (f64, bool);

/// The validation rows in blocks, on which a curve is tested in turn.
struct Blocks {
    scores: Vec<LabelledLogOdds>,
    /// Per row.
    block: Vec<usize>,
}

impl Blocks {
    fn count(&self) -> usize {
        self.block.iter().max().map_or(0, |last| last + 1)
    }

    /// The scores of the blocks that are wanted.
    fn part(&self, is_wanted: impl Fn(usize) -> bool) -> Vec<LabelledLogOdds> {
        let wanted = self.scores.iter().zip(&self.block).filter(|(_, block)| is_wanted(**block));
        wanted.map(|(score, _)| *score).collect()
    }
}

impl Selection<'_> {
    /// The calibration curve for a trial; None when none is significantly better than no curve. It is tested
    /// on validation rows that it was not fitted to, later ones when the validation is in time.
    pub(super) fn calibration(&self, trial: &Trial) -> Option<Calibration> {
        let blocks = self.blocks(trial);
        let mut best: Option<(Vec<f64>, Calibration)> = None;
        for method in [fit_platt, fit_isotonic] {
            let calibrated = self.calibrated(trial, &blocks, method);
            let against = best.as_ref().map_or(&trial.log_odds, |(calibrated, _)| calibrated);
            if self.is_significantly_better(&calibrated, against)
                && let Some(curve) = method(&blocks.scores)
            {
                best = Some((calibrated, curve));
            }
        }
        best.map(|(_, curve)| curve)
    }

    /// The log-odds of the validation rows, each calibrated by a curve that was not fitted to its block.
    fn calibrated(
        &self,
        trial: &Trial,
        blocks: &Blocks,
        method: fn(&[LabelledLogOdds]) -> Option<Calibration>,
    ) -> Vec<f64> {
        let mut calibrated = trial.log_odds.clone();
        // In time, there is nothing before the first block to fit to.
        for test in usize::from(self.validation == SplitKind::Temporal)..blocks.count() {
            let curve = method(&blocks.part(|block| match self.validation {
                SplitKind::Temporal => block < test,
                SplitKind::Random => block != test,
            }));
            let tested = calibrated.iter_mut().zip(&blocks.block).filter(|(_, block)| **block == test);
            if let Some(curve) = curve {
                tested.for_each(|(z, _)| *z = curve.apply(*z));
            }
        }
        calibrated
    }

    /// Thirds of the validation rows in the order of time, or halves of the customers.
    fn blocks(&self, trial: &Trial) -> Blocks {
        let rows: Vec<usize> = self.validation_rows().collect();
        let label = |row: usize| self.dataset.rows.label[row];
        let scores = trial.log_odds.iter().zip(&rows).map(|(z, row)| (*z, label(*row))).collect();
        let block = if self.validation == SplitKind::Temporal {
            let mut moments: Vec<Time> = rows.iter().map(|row| self.dataset.rows.as_of[*row]).collect();
            moments.sort_unstable();
            let edges = [moments[moments.len() / 3], moments[moments.len() * 2 / 3]];
            let block =
                |row: &usize| edges.iter().filter(|edge| self.dataset.rows.as_of[*row] > **edge).count();
            rows.iter().map(block).collect()
        } else {
            let fold = folds(self.dataset.rows, 0, 2);
            rows.iter().map(|row| fold[*row]).collect()
        };
        Blocks { scores, block }
    }
}
