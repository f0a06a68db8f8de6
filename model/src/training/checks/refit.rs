//! Whether the model that serves is like the one that was evaluated: it is fitted again, to all snapshots.

use super::{CheckInput, FailedCheck};
use crate::scoring::probability;

/// The greatest difference in log-odds, the root of the mean square over the holdout. At 1, where one model says 50 %
/// the other says 27 or 73 %. Probabilities below 0.1 % or above 99.9 % count as those, so that rows which both models
/// are sure of, one more than the other, raise no alarm.
const DIFFERENCE: f64 = 1.0;

/// The two models differ so much that the figures of one say little about the other.
pub(super) fn differs(input: &CheckInput<'_>) -> Option<FailedCheck> {
    let difference = input.trained.artifact.card.log_odds_difference?;
    (difference > DIFFERENCE).then(|| failed(difference))
}

fn failed(difference: f64) -> FailedCheck {
    let upper = 100.0 * probability(difference);
    let message = format!(
        "the model that serves is fitted to all snapshots, and differs much from the one fitted without the holdout, \
         whose figures these are: typically, where one says 50 %, the other says {:.0} or {upper:.0} % \
         (RMS difference in log-odds over the holdout {difference:.2}, more than {DIFFERENCE})",
        100.0 - upper,
    );
    let remedy = "judge the model by what really happens, by `tally models realised`; more customers or a longer \
                  history bring the two together, and so do fewer features, by the lists under [features] in the spec";
    FailedCheck::remark("DIFFERS_FROM_EVALUATED", message, remedy.to_owned())
}
