//! The candidates that a model was chosen from.

use tally_proto::v1::{Candidate, Study};

use super::recipe::{extras, kept, pair_penalty};
use crate::output::{counted, number, printable, table};

const HEADER: [&str; 12] = [
    "",
    "form",
    "with",
    "pairs",
    "kept",
    "lookback",
    "penalty",
    "pair penalty",
    "log loss",
    "with offsets",
    "excess",
    "± std. error",
];

/// The candidates, the best single recipe marked. None when there was no choice.
pub(super) fn selection(study: &Study, which: &str) -> Option<String> {
    let chosen = study.candidates.iter().rposition(|candidate| candidate.recipe == study.recipe);
    let rows: Vec<_> =
        study.candidates.iter().enumerate().map(|(n, candidate)| row(candidate, chosen == Some(n))).collect();
    if rows.is_empty() {
        return None;
    }
    let mark = match (chosen, study.stack.as_ref().is_some_and(|stack| stack.kept)) {
        (Some(_), false) => " (* is chosen)",
        (Some(_), true) => " (* is the best single one; the model is a stack)",
        // The best single recipe of a stack that was kept from before need not be among those tried.
        (None, true) => " (the model is a stack)",
        (None, false) => "",
    };
    let validation = match study.validation.as_str() {
        "temporal" => "later than those fitted to",
        _ => "of other customers than those fitted to",
    };
    let offsets = match study.candidates.iter().any(|candidate| candidate.profiled_log_loss.is_some()) {
        true => ",\nby the log loss with an offset for each month",
        false => "",
    };
    Some(format!(
        "Candidates for the model {which}{mark}, compared on snapshots {validation}{offsets}\n{}",
        table(&HEADER, &[3, 4, 5, 6, 7, 8, 9, 10, 11], rows)
    ))
}

fn row(candidate: &Candidate, is_chosen: bool) -> Vec<String> {
    let recipe = candidate.recipe.clone().unwrap_or_default();
    let [excess, standard_error] = compared(candidate);
    vec![
        if is_chosen { "*" } else { "" }.to_owned(),
        printable(&recipe.form),
        extras(&recipe).collect::<Vec<_>>().join(", "),
        recipe.pairs.to_string(),
        kept(&recipe),
        recipe.lookback_days.map_or_else(|| "all".to_owned(), |days| counted(days, "day", "days")),
        recipe.penalty.to_string(),
        pair_penalty(&recipe),
        number(candidate.log_loss),
        candidate.profiled_log_loss.map(number).unwrap_or_default(),
        excess,
        standard_error,
    ]
}

/// The excess and its standard error. Both are empty if the candidate was not compared with the best one so far: it is
/// the first one, or was only tried as a member of a stack or because the evaluated model had its recipe.
fn compared(candidate: &Candidate) -> [String; 2] {
    if candidate.standard_error == 0.0 {
        return [String::new(), String::new()];
    }
    [format!("{:+.4}", candidate.excess), number(candidate.standard_error)]
}
