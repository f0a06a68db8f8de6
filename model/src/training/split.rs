//! The split of the snapshots into training rows and a holdout for the evaluation.

use sha2::{Digest, Sha256};

use crate::{label::LabelDefinition, time::Time, training::snapshot::Snapshots};

/// What a row is used for in the evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Fitted to.
    Train,
    /// Evaluated on.
    Holdout,
    /// Neither, since its label looks beyond the start of the holdout.
    Gap,
}

impl Part {
    /// The name in the training matrix.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Holdout => "holdout",
            Self::Gap => "gap",
        }
    }
}

/// The fewest rows of each label that a part must have.
pub const FEWEST_OF_A_CLASS: usize = 50;

/// Chooses the latest quarter of the snapshots as holdout. The horizons of the training rows are over
/// when the holdout begins, so that no label overlaps. None when either part would have fewer than
/// [`FEWEST_OF_A_CLASS`] rows of a label.
#[must_use]
pub fn temporal_split(rows: &Snapshots, outcome: &LabelDefinition) -> Option<Vec<Part>> {
    let mut moments = rows.as_of.clone();
    moments.sort_unstable();
    let start = *moments.get(moments.len() * 3 / 4)?;
    let part = |as_of: &Time| match *as_of {
        as_of if as_of >= start => Part::Holdout,
        as_of if outcome.horizon_end(as_of) <= start => Part::Train,
        _ => Part::Gap,
    };
    let parts: Vec<Part> = rows.as_of.iter().map(part).collect();
    let enough = |wanted: Part| {
        let labels = parts.iter().zip(&rows.label).filter(|(part, _)| **part == wanted);
        let (rows, positives) =
            labels.fold((0, 0), |(rows, positives), (_, label)| (rows + 1, positives + usize::from(*label)));
        positives >= FEWEST_OF_A_CLASS && rows - positives >= FEWEST_OF_A_CLASS
    };
    (enough(Part::Train) && enough(Part::Holdout)).then_some(parts)
}

/// Draws 30 % of the customers as holdout; all rows of a customer are on the same side.
#[must_use]
pub fn random_split(rows: &Snapshots, seed: u64) -> Vec<Part> {
    let fold = folds(rows, seed, 10);
    fold.into_iter().map(|fold| if fold < 3 { Part::Holdout } else { Part::Train }).collect()
}

/// The fold of each row, below `folds` and the same for all rows of a customer; folds have equally
/// many customers (±1). They depend on the seed and the ids, not on the order of the customers.
#[must_use]
pub fn folds(rows: &Snapshots, seed: u64, folds: usize) -> Vec<usize> {
    let draw = |customer: &usize| {
        let id = rows.customers[*customer].as_bytes();
        Sha256::digest([seed.to_be_bytes().as_slice(), id].concat())
    };
    let mut order: Vec<usize> = (0..rows.customers.len()).collect();
    order.sort_by_cached_key(draw);
    let mut fold = vec![0; order.len()];
    for (place, customer) in order.into_iter().enumerate() {
        fold[customer] = place % folds;
    }
    rows.customer.iter().map(|customer| fold[*customer as usize]).collect()
}
