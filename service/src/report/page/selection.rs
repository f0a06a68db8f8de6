//! How a fit was chosen: the candidates, and which of them was taken.

use tally_model::artifact::{Candidate, SplitKind, Study};

/// The candidates of one choice.
pub(super) struct SelectionView<'a> {
    /// Whether the validation rows are later than the rows fitted to; else they are of other customers.
    pub validates_later: bool,
    /// In the order in which they were tried, each with whether it was chosen.
    pub candidates: Vec<(&'a Candidate, bool)>,
}

impl<'a> SelectionView<'a> {
    pub fn new(study: &'a Study) -> Self {
        let candidates = study.candidates.iter();
        let chosen = study.candidates.iter().rposition(|candidate| candidate.recipe == study.recipe);
        Self {
            validates_later: study.validation == SplitKind::Temporal,
            candidates: candidates.enumerate().map(|(n, candidate)| (candidate, Some(n) == chosen)).collect(),
        }
    }
}
