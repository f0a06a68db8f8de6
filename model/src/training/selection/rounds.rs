//! The rounds of a validation: rows to fit to, and rows to validate on.

use crate::{
    artifact::SplitKind,
    time::Time,
    training::{
        dataset::Dataset,
        split::{FEWEST_OF_A_CLASS, folds},
    },
};

/// The most rows that a round fits to, and that it validates on; whole customers.
const ROUND_ROWS: usize = 10_000;
/// The beginnings of the validation in time, as shares of the rows in the order of time.
const ORIGINS: [f64; 3] = [0.4, 0.6, 0.8];
/// The folds of the customers for a validation that is not in time.
const FOLDS: usize = 5;
/// With more rows than this, one round of validation on other customers is precise enough.
const PLENTY_OF_ROWS: usize = 20_000;

/// Rows to fit to and rows to validate on.
pub(super) struct Round {
    pub(super) fit: Vec<usize>,
    pub(super) validate: Vec<usize>,
}

/// The rounds of a validation, in time or by customer.
pub(super) struct Rounds {
    pub(super) validation: SplitKind,
    pub(super) rounds: Vec<Round>,
}

impl Rounds {
    /// The rounds for `chosen`: in time when that is wanted and each round has enough rows, else by customer.
    pub(super) fn new(dataset: &Dataset<'_>, chosen: &[usize], wanted: SplitKind, seed: u64) -> Self {
        let in_time = match wanted {
            SplitKind::Temporal => in_time(dataset, chosen),
            SplitKind::Random => Vec::new(),
        };
        if in_time.is_empty() {
            Self { validation: SplitKind::Random, rounds: by_customer(dataset, chosen, seed) }
        } else {
            Self { validation: SplitKind::Temporal, rounds: in_time }
        }
    }
}

/// Rounds whose validation begins when the horizons of the rows fitted to are over.
fn in_time(dataset: &Dataset<'_>, chosen: &[usize]) -> Vec<Round> {
    let as_of = |row: &usize| dataset.rows.as_of[*row];
    let mut moments: Vec<Time> = chosen.iter().map(as_of).collect();
    moments.sort_unstable();
    let mut origins: Vec<Time> =
        ORIGINS.iter().map(|q| moments[(q * moments.len() as f64) as usize]).collect();
    origins.dedup();
    let ends: Vec<Time> = origins.iter().copied().skip(1).chain([Time::MAX]).collect();
    let round = |(origin, end): (&Time, Time)| {
        let is_over = |row: &usize| dataset.outcome.horizon_end(as_of(row)) <= *origin;
        let fit = chosen.iter().copied().filter(is_over).collect();
        let validate = chosen.iter().copied().filter(|row| (*origin..end).contains(&as_of(row))).collect();
        Round { fit, validate }.thinned(dataset)
    };
    let is_enough = |part: &[usize]| dataset.has_both(part, FEWEST_OF_A_CLASS);
    let rounds = origins.iter().zip(ends).map(round);
    rounds.filter(|round| is_enough(&round.fit) && is_enough(&round.validate)).collect()
}

/// Rounds that validate on customers other than those fitted to.
fn by_customer(dataset: &Dataset<'_>, chosen: &[usize], seed: u64) -> Vec<Round> {
    let fold = folds(dataset.rows, seed, FOLDS);
    let tried = if chosen.len() > PLENTY_OF_ROWS { 1 } else { FOLDS };
    let round = |validation| {
        let (validate, fit) = chosen.iter().partition(|row| fold[**row] == validation);
        Round { fit, validate }.thinned(dataset)
    };
    (0..tried)
        .map(round)
        .filter(|round: &Round| dataset.has_both(&round.fit, 1) && !round.validate.is_empty())
        .collect()
}

impl Round {
    fn thinned(self, dataset: &Dataset<'_>) -> Self {
        Self {
            fit: thinned(dataset, self.fit, ROUND_ROWS),
            validate: thinned(dataset, self.validate, ROUND_ROWS),
        }
    }
}

/// The rows of a part of the customers, when there are more rows than a comparison needs.
pub(super) fn thinned(dataset: &Dataset<'_>, mut rows: Vec<usize>, most: usize) -> Vec<usize> {
    let parts = rows.len().div_ceil(most);
    if parts > 1 {
        let part = folds(dataset.rows, 0, parts);
        rows.retain(|row| part[*row] == 0);
    }
    rows
}
