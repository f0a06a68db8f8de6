//! How a fit was chosen: the candidates, and which of them was taken.

use tally_model::artifact::{Candidate, SplitKind, Stack, Study};

/// The candidates of one choice.
pub(super) struct SelectionView<'a> {
    /// Whether the validation rows are later than the rows fitted to; else they are of other customers.
    pub validates_later: bool,
    /// In the order in which they were tried, each with whether it is the best single recipe.
    pub candidates: Vec<(&'a Candidate, bool)>,
    /// The stack that was tried.
    pub stack: Option<&'a Stack>,
    /// Whether the best single recipe is one of the candidates. That of a stack that was kept from before need not be.
    pub has_best: bool,
    /// Whether the model is that stack rather than the best single recipe.
    pub is_stack: bool,
}

impl<'a> SelectionView<'a> {
    pub fn new(study: &'a Study) -> Self {
        let candidates = study.candidates.iter();
        let chosen = study.candidates.iter().rposition(|candidate| candidate.recipe == study.recipe);
        Self {
            validates_later: study.validation == SplitKind::Temporal,
            candidates: candidates.enumerate().map(|(n, candidate)| (candidate, Some(n) == chosen)).collect(),
            stack: study.stack.as_ref(),
            has_best: chosen.is_some(),
            is_stack: study.stack.as_ref().is_some_and(|stack| stack.kept),
        }
    }
}
