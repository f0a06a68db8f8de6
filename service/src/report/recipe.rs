//! What a model is fitted as, in words.

use tally_model::artifact::{Recipe, Study};

/// The recipe, or the recipes of a stack with their weights: `a stack of 2: 0.60 × spline (penalty 10) + …`.
pub(super) fn fitted_as(study: &Study) -> String {
    let Some(stack) = study.stack.as_ref().filter(|stack| stack.kept) else {
        return words(&study.recipe);
    };
    let members =
        stack.members.iter().map(|member| format!("{:.2} × {}", member.weight, words(&member.recipe)));
    format!("a stack of {}: {}", stack.members.len(), members.collect::<Vec<_>>().join(" + "))
}

fn words(recipe: &Recipe) -> String {
    let (form, penalty) = (recipe.form.name(), recipe.penalty);
    match recipe.pairs {
        0 => format!("{form} (penalty {penalty})"),
        pairs => {
            format!("{form} with {pairs} pairs crossed (penalty {penalty}, pairs × {})", recipe.pair_ratio)
        }
    }
}
