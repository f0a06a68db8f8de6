//! Whether the model predicts better than the share of customers with the outcome.

use super::{CheckInput, FailedCheck};
use crate::{
    apart,
    training::{
        compare::{Comparison, Pair, sample},
        split::Part,
    },
};

/// A model that may be better than the base rate by chance alone is not promoted as the first champion.
pub const BARELY_BETTER: &str = "BARELY_BETTER_THAN_BASE_RATE";

/// Holdout rows that are compared; a larger holdout is sampled.
const ROWS: usize = 20_000;

/// One feature alone predicts better than the model.
pub(super) fn worse_than_one_feature(input: &CheckInput<'_>) -> Option<FailedCheck> {
    let card = &input.trained.artifact.card;
    let own = card.holdout;
    let (name, metrics) = card.baselines.iter().find(|(_, baseline)| {
        baseline.log_loss < own.log_loss && baseline.auc > own.auc && baseline.auc > 0.5
    })?;
    let [auc, own_auc] = apart([metrics.auc, own.auc], 3);
    let [log_loss, own_log_loss] = apart([metrics.log_loss, own.log_loss], 4);
    let message = format!(
        "on the holdout, {name} alone predicts better than the model: AUC {auc} against {own_auc}, log loss {log_loss} \
         against {own_log_loss}"
    );
    let remedy = "more customers or a longer history help; or fewer features, by the lists under [features] in the spec";
    Some(FailedCheck::remark("WORSE_THAN_ONE_FEATURE", message, remedy.to_owned()))
}

/// The paired bootstrap over customers of the model against the base rate of the rows that it was evaluated with.
pub(super) fn no_better(input: &CheckInput<'_>) -> Option<FailedCheck> {
    let (rows, trained) = (input.rows, input.trained);
    let is_train = |row: &usize| trained.parts[*row] == Part::Train;
    let learned = (0..rows.len()).filter(is_train).count();
    let positives = (0..rows.len()).filter(is_train).filter(|row| rows.label[*row]).count();
    let rate = positives as f64 / learned as f64;
    let pair = |(row, probability): (usize, f64)| Pair {
        customer_id: rows.customer_id(row).to_owned(),
        label: rows.label[row],
        candidate: probability,
        champion: rate,
    };
    let pairs: Vec<Pair> = sample(rows, &trained.holdout, ROWS).into_iter().map(pair).collect();
    let found = Comparison::of(&pairs);
    let Comparison { rows, candidate_log_loss, champion_log_loss, upper, .. } = found;
    if upper < 0.0 {
        return None;
    }
    let by_chance = found.difference < 0.0;
    let (better, therefore) = match by_chance {
        true => (
            "better than the base rate, but perhaps by chance",
            ", so that it is not promoted as the first champion",
        ),
        false => ("no better than the base rate", ""),
    };
    let [log_loss, of_base_rate] = apart([candidate_log_loss, champion_log_loss], 4);
    let message = format!(
        "on {rows} holdout rows the model is {better}{therefore}: the base rate is {:.1} %, and log loss is {log_loss} \
         against {of_base_rate}, a difference of {:+.4} (95 % {:+.4} to {upper:+.4})",
        100.0 * rate,
        found.difference,
        found.lower,
    );
    let remedy = "import more customers, a longer history, or other kinds of interactions and attributes that say \
                  something about the outcome";
    Some(match by_chance {
        true => FailedCheck::remark(BARELY_BETTER, message, remedy.to_owned()),
        false => FailedCheck::blocking("NO_BETTER_THAN_BASE_RATE", message, remedy.to_owned()),
    })
}
