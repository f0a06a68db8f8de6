//! Offset-profiled log-odds: what is compared when validation rows are later than those fitted to.
//!
//! The log loss on later rows mixes how well a model ranks customers and how far the level has moved since. The level
//! moves for all recipes, and which of them is misled least by that is chance. So each group of validation rows, those
//! of a month, gets an offset of its own, fitted to its labels with a weak prior: one number for hundreds of rows.

use std::collections::BTreeMap;

use super::rounds::Round;
use crate::{
    time::Time,
    training::{dataset::Dataset, fit::Folds},
};

/// The fewest rows of a group; a month with fewer joins the next ones.
const FEWEST_ROWS: usize = 200;
/// The precision of the prior of an offset, N(0, ½): a level that triples is within two standard deviations.
const PRECISION: f64 = 2.0;
/// The most steps to an offset; bisection alone gets within 1e-9 of it.
const STEPS: usize = 60;

/// The groups of validation rows that have an offset each, by their places among the validation rows of all rounds.
pub(super) struct Groups(Vec<Vec<usize>>);

impl Groups {
    /// No groups: the rows are of the same times as those fitted to.
    pub(super) const fn none() -> Self {
        Self(Vec::new())
    }

    /// The folds of a cross-validation. The fits outside of a fold know its base rate only from the others', and where it
    /// is high, theirs is low.
    pub(super) fn of_folds(folds: &Folds) -> Self {
        let rows_of = |fold| (0..folds.of_row.len()).filter(|row| folds.of_row[*row] == fold).collect();
        Self((0..folds.count).map(rows_of).collect())
    }

    /// The months of each round, small ones joined.
    pub(super) fn new(dataset: &Dataset<'_>, rounds: &[Round]) -> Self {
        let (mut groups, mut before) = (Vec::new(), 0);
        for round in rounds {
            let mut months = BTreeMap::<Time, Vec<usize>>::new();
            for (place, row) in round.validate.iter().enumerate() {
                let month = dataset.rows.as_of[*row].month_start();
                months.entry(month).or_default().push(before + place);
            }
            before += round.validate.len();
            groups.extend(joined(months.into_values()));
        }
        Self(groups)
    }

    /// The log-odds plus the offset of their group.
    pub(super) fn profiled(&self, log_odds: &[f64], labels: &[bool]) -> Vec<f64> {
        let mut profiled = log_odds.to_vec();
        for group in &self.0 {
            let (z, y): (Vec<f64>, Vec<bool>) = group.iter().map(|n| (log_odds[*n], labels[*n])).unzip();
            let offset = offset(&z, &y);
            group.iter().for_each(|n| profiled[*n] += offset);
        }
        profiled
    }
}

/// Joins groups to later ones until they have [`FEWEST_ROWS`]; what is left at the end joins the last one.
fn joined(groups: impl Iterator<Item = Vec<usize>>) -> Vec<Vec<usize>> {
    let mut all: Vec<Vec<usize>> = Vec::new();
    for group in groups {
        match all.last_mut() {
            Some(last) if last.len() < FEWEST_ROWS => last.extend(group),
            _ => all.push(group),
        }
    }
    if all.len() > 1 && all.last().is_some_and(|last| last.len() < FEWEST_ROWS) {
        let rest = all.pop().unwrap_or_default();
        all.last_mut().into_iter().for_each(|last| last.extend(&rest));
    }
    all
}

/// The mode b of the posterior of an offset: Σ (p(z + b) − y) + b·[`PRECISION`] = 0, whose left side rises in b.
/// Newton's steps, halving the bracket where they would leave it.
fn offset(log_odds: &[f64], labels: &[bool]) -> f64 {
    let reach = labels.len() as f64 / PRECISION;
    let (mut low, mut high, mut offset) = (-reach, reach, 0.0);
    for _ in 0..STEPS {
        let (mut slope, mut curvature) = (PRECISION * offset, PRECISION);
        for (z, label) in log_odds.iter().zip(labels) {
            let p = 1.0 / (1.0 + (-(z + offset)).exp());
            slope += p - f64::from(u8::from(*label));
            curvature += p * (1.0 - p);
        }
        *(if slope > 0.0 { &mut high } else { &mut low }) = offset;
        let step = slope / curvature;
        if step.abs() < 1e-10 {
            break;
        }
        let next = offset - step;
        offset = if next > low && next < high { next } else { f64::midpoint(low, high) };
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluation::metrics::log_loss_of_log_odds;

    /// The penalised loss of an offset, by its definition.
    fn objective(z: &[f64], y: &[bool], offset: f64) -> f64 {
        let loss = z.iter().zip(y).map(|(z, y)| log_loss_of_log_odds(z + offset, *y)).sum::<f64>();
        loss + offset * offset
    }

    #[test]
    fn an_offset_minimises_the_penalised_loss() {
        let z: Vec<f64> = (0..300).map(|n| f64::from(n % 17) / 4.0 - 3.0).collect();
        let some: Vec<bool> = (0..300).map(|n| n % 3 == 0).collect();
        // Far from the labels, plain Newton steps from 0 would leap back and forth.
        let far = vec![-12.0; 300];
        let (all, none) = (vec![true; 300], vec![false; 300]);
        for (z, y) in [(&z, &some), (&z, &all), (&z, &none), (&far, &all), (&far, &some)] {
            let offset = offset(z, y);
            let best = (-2_500..=2_500).map(|n| f64::from(n) / 100.0);
            let grid = best.min_by(|a, b| objective(z, y, *a).total_cmp(&objective(z, y, *b))).unwrap();
            assert!((offset - grid).abs() <= 0.011, "{offset}, by search {grid}");
        }
    }

    #[test]
    fn the_profiled_loss_ignores_the_level() {
        let z: Vec<f64> = (0..600).map(|n| f64::from(n % 13) / 3.0 - 2.0).collect();
        let labels: Vec<bool> = (0..600).map(|n| n % 13 > 8 && n % 2 == 0 || n % 7 == 0).collect();
        let groups = Groups(vec![(0..300).collect(), (300..600).collect()]);
        let loss = |z: &[f64]| {
            let profiled = groups.profiled(z, &labels);
            profiled.iter().zip(&labels).map(|(z, y)| log_loss_of_log_odds(*z, *y)).sum::<f64>() / 600.0
        };
        let moved: Vec<f64> =
            z.iter().enumerate().map(|(n, z)| z + if n < 300 { 0.5 } else { -0.7 }).collect();
        assert!((loss(&z) - loss(&moved)).abs() < 1e-4, "{} and {}", loss(&z), loss(&moved));
        let flat = vec![0.0; 600];
        assert!(loss(&z) < loss(&flat), "what ranks better is better");
    }

    #[test]
    fn small_months_join_and_no_row_is_lost() {
        let months = [50, 100, 70, 500, 30].into_iter();
        let mut next = 0;
        let months = months.map(|rows| {
            next += rows;
            (next - rows..next).collect::<Vec<usize>>()
        });
        let groups = joined(months);
        let sizes: Vec<usize> = groups.iter().map(Vec::len).collect();
        assert_eq!(sizes, [220, 530]);
        assert!(groups.concat().into_iter().eq(0..750));
        assert_eq!(joined([vec![1, 2]].into_iter()), [vec![1, 2]], "too few rows are one group");
        assert!(joined(std::iter::empty()).is_empty());
    }
}
