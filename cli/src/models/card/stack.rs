//! The stack of recipes that was tried beside the single ones.

use tally_proto::v1::{StackMember, Study};

use super::recipe::pair_penalty;
use crate::output::{number, printable, table};

/// The stack with its members, and whether it is kept; or why there is none. None when there was none to try.
pub(super) fn stack(study: &Study, which: &str) -> Option<String> {
    let Some(stack) = &study.stack else {
        let leaves_out = study.recipe.as_ref().is_some_and(|recipe| recipe.feature_fraction < 1.0);
        return leaves_out.then(|| {
            format!("No stack was tried for the model {which}: its best recipe leaves features out, and a stack has all")
        });
    };
    let verdict = match stack.kept {
        true => "kept: the model is this stack",
        false => {
            "not kept: it has to be better than the best single recipe by more than a standard error,\n\
             and not worse by more than one on the snapshots that the candidates are compared on"
        }
    };
    let header = ["weight", "form", "pairs", "penalty", "pair penalty"];
    Some(format!(
        "Stack for the model {which}: the sum of weight × log-odds of several recipes\n{}\n\
         log loss {} on customers that neither the recipes nor the weights had seen\n\
         excess {:+.4} ± {} over the best single recipe; intercept {:+.4}\n{verdict}",
        table(&header, &[0, 2, 3, 4], stack.members.iter().map(row)),
        number(stack.log_loss),
        stack.excess,
        number(stack.standard_error),
        stack.intercept,
    ))
}

fn row(member: &StackMember) -> Vec<String> {
    let recipe = member.recipe.clone().unwrap_or_default();
    vec![
        number(member.weight),
        printable(&recipe.form),
        recipe.pairs.to_string(),
        recipe.penalty.to_string(),
        pair_penalty(&recipe),
    ]
}
