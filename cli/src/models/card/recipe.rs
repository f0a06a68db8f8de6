//! What a model is fitted as, in words.

use tally_proto::v1::{Recipe, Stack, StackMember, Study};

use crate::output::{counted, printable};

/// What the model is fitted as, in one line; the members of a stack have lines of their own.
pub(super) fn fitted_as(study: Option<&Study>) -> String {
    let study = study.cloned().unwrap_or_default();
    let recipe = study.recipe.unwrap_or_default();
    let own = match study.stack.filter(|stack| stack.kept) {
        Some(stack) => weighted_sum(&stack),
        None => single(&recipe),
    };
    // A stack shares these with the best single recipe.
    let mut shared: Vec<String> = extras(&recipe).map(|name| format!("with {name}")).collect();
    if recipe.feature_fraction < 1.0 {
        shared.push(format!("the most important {} of the features", kept(&recipe)));
    }
    shared.extend(recipe.lookback_days.map(|days| format!("the last {}", counted(days, "day", "days"))));
    shared.push(match study.calibration.as_str() {
        "" => "not recalibrated".to_owned(),
        name => format!("recalibrated ({})", printable(name)),
    });
    own + &shared.join(", ")
}

/// The recipe, up to what follows.
fn single(recipe: &Recipe) -> String {
    let mut words = format!("{}, penalty {}, ", printable(&recipe.form), recipe.penalty);
    if recipe.pairs > 0 {
        let penalty = known_ratio(recipe).map(|ratio| format!(" at {ratio} times the penalty"));
        words.push_str(&format!("{} pairs crossed{}, ", recipe.pairs, penalty.unwrap_or_default()));
    }
    words
}

/// A line for each member, up to what follows.
fn weighted_sum(stack: &Stack) -> String {
    let members: Vec<String> = stack.members.iter().map(member).collect();
    format!("a stack of {}:\n{},\n", members.len(), members.join("\n+ "))
}

fn member(member: &StackMember) -> String {
    let recipe = member.recipe.clone().unwrap_or_default();
    let mut penalties = format!("penalty {}", recipe.penalty);
    let mut pairs = String::new();
    if recipe.pairs > 0 {
        pairs = format!(" with {} pairs crossed", recipe.pairs);
        penalties.extend(known_ratio(&recipe).map(|ratio| format!(", pairs × {ratio}")));
    }
    format!("{:.2} × {}{pairs} ({penalties})", member.weight, printable(&recipe.form))
}

/// The groups of features that it uses beside the usual ones.
pub(super) fn extras(recipe: &Recipe) -> impl Iterator<Item = &'static str> {
    recipe.habits.then_some("habits").into_iter().chain(recipe.calendar.then_some("calendar"))
}

/// The fraction of the features that it keeps.
pub(super) fn kept(recipe: &Recipe) -> String {
    format!("{:.0} %", 100.0 * recipe.feature_fraction)
}

/// The penalty of the crossed pairs, as a multiple of that of the other columns; empty when there are none.
pub(super) fn pair_penalty(recipe: &Recipe) -> String {
    let ratio = known_ratio(recipe).filter(|_| recipe.pairs > 0);
    ratio.map(|ratio| format!("× {ratio}")).unwrap_or_default()
}

/// The ratio of the penalties. Servers that do not have it yet send 0.
fn known_ratio(recipe: &Recipe) -> Option<f64> {
    Some(recipe.pair_ratio).filter(|ratio| *ratio > 0.0)
}
