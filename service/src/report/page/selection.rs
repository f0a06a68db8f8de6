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
    /// Whether the choice is that of the evaluated fit.
    pub is_kept: bool,
    /// Whether the best recipe leaves features out, so that no stack was tried.
    pub leaves_out: bool,
}

impl<'a> SelectionView<'a> {
    /// The candidates of a study; `evaluated` is that of the fit that was judged before, if any.
    pub fn new(study: &'a Study, evaluated: Option<&Study>) -> Self {
        let candidates = study.candidates.iter();
        let chosen = study.candidates.iter().rposition(|candidate| candidate.recipe == study.recipe);
        Self {
            validates_later: study.validation == SplitKind::Temporal,
            candidates: candidates.enumerate().map(|(n, candidate)| (candidate, Some(n) == chosen)).collect(),
            stack: study.stack.as_ref(),
            has_best: chosen.is_some(),
            is_stack: study.stack.as_ref().is_some_and(|stack| stack.kept),
            is_kept: evaluated
                .is_some_and(|other| (&study.recipe, &study.stack) == (&other.recipe, &other.stack)),
            leaves_out: study.recipe.feature_fraction < 1.0,
        }
    }
}
