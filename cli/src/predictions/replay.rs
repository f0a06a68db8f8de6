//! A stored prediction and its recomputation as text.

use tally_proto::v1::ReplayPredictionResponse;

use crate::{
    output::printable,
    scoring::{heading, scores_table},
};

/// The recomputed score, and whether it is what was stored.
pub(super) fn replay(replay: &ReplayPredictionResponse) -> String {
    let result = if replay.identical {
        "identical, bit for bit, to what was stored".to_owned()
    } else {
        let lines = replay.differences.iter().map(|line| format!("\n  {}", printable(line)));
        format!("not identical to what was stored:{}", lines.collect::<String>())
    };
    match &replay.score {
        Some(score) => {
            format!("{}\n\n{}\n\n{result}", heading(score), scores_table(std::slice::from_ref(score)))
        }
        None => result,
    }
}
