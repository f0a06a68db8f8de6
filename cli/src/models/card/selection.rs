//! How the model is fitted, and the candidates that it was chosen from.

use tally_proto::v1::{Candidate, Recipe, Study};

use crate::output::{number, printable, table};

/// How the model is fitted, in one line.
pub(super) fn recipe(study: Option<&Study>) -> String {
    let study = study.cloned().unwrap_or_default();
    let recipe = study.recipe.unwrap_or_default();
    let mut words = vec![printable(&recipe.form)];
    words.extend(extras(&recipe).map(|name| format!("with {name}")));
    if recipe.pairs > 0 {
        words.push(format!("{} pairs crossed", recipe.pairs));
    }
    if recipe.feature_fraction < 1.0 {
        words.push(format!("the most important {} of the features", kept(&recipe)));
    }
    words.extend(recipe.lookback_days.map(|days| format!("the last {days} days")));
    words.push(format!("penalty {}", recipe.penalty));
    words.push(match study.calibration.as_str() {
        "" => "not recalibrated".to_owned(),
        name => format!("recalibrated ({})", printable(name)),
    });
    words.join(", ")
}

/// The groups of features that it uses beside the usual ones.
fn extras(recipe: &Recipe) -> impl Iterator<Item = &'static str> {
    recipe.habits.then_some("habits").into_iter().chain(recipe.calendar.then_some("calendar"))
}

fn kept(recipe: &Recipe) -> String {
    format!("{:.0} %", 100.0 * recipe.feature_fraction)
}

/// The candidates, the chosen one marked. None when there was no choice.
pub(super) fn selection(study: &Study, which: &str) -> Option<String> {
    let chosen = study.candidates.iter().rposition(|candidate| candidate.recipe == study.recipe);
    let rows: Vec<_> =
        study.candidates.iter().enumerate().map(|(n, candidate)| row(candidate, chosen == Some(n))).collect();
    if rows.is_empty() {
        return None;
    }
    let header = [
        "",
        "form",
        "with",
        "pairs",
        "kept",
        "lookback",
        "penalty",
        "log loss",
        "with offsets",
        "excess",
        "± std. error",
    ];
    let validation = match study.validation.as_str() {
        "temporal" => "later than those fitted to",
        _ => "of other customers than those fitted to",
    };
    let offsets = match study.candidates.iter().any(|candidate| candidate.profiled_log_loss.is_some()) {
        true => ",\nby the log loss with an offset for each month",
        false => "",
    };
    Some(format!(
        "Candidates for the model {which} (* is chosen), compared on snapshots {validation}{offsets}\n{}",
        table(&header, &[3, 4, 5, 6, 7, 8, 9, 10], rows)
    ))
}

fn row(candidate: &Candidate, is_chosen: bool) -> Vec<String> {
    let recipe = candidate.recipe.clone().unwrap_or_default();
    vec![
        if is_chosen { "*" } else { "" }.to_owned(),
        printable(&recipe.form),
        extras(&recipe).collect::<Vec<_>>().join(", "),
        recipe.pairs.to_string(),
        kept(&recipe),
        recipe.lookback_days.map_or_else(|| "all".to_owned(), |days| format!("{days} days")),
        recipe.penalty.to_string(),
        number(candidate.log_loss),
        candidate.profiled_log_loss.map(number).unwrap_or_default(),
        format!("{:+.4}", candidate.excess),
        number(candidate.standard_error),
    ]
}
