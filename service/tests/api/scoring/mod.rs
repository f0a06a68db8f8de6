//! Scores: the same bits by every way to ask, explained exactly, stored, replayed and compared.

mod batches;
mod changes;
mod comparison;
mod comparison_refusals;
mod eligible;
mod export;
mod known_time;
mod listed;
mod merges;
mod notes;
mod population;
mod predictions;
mod properties;
mod replay;
mod replay_during_writes;
mod scores;
mod today;
mod views;

use tally_model::{simulate::Business, time::Time};
use tally_proto::v1;

use crate::support::{Tally, business, time, timestamp};

/// The moment at which the simulated business ends.
const NOW: &str = "2024-06-01";

fn small_business() -> Business {
    business(700, 11, time(NOW))
}

/// Stores the business and trains both models.
async fn trained(tally: &Tally) {
    tally.simulate(&small_business()).await;
    for target in ["lead", "churn"] {
        tally.train(&[target, "--as-of", NOW]);
    }
}

fn churn_request(id: &str, as_of: Time, max_reasons: i32) -> v1::PredictChurnRequest {
    v1::PredictChurnRequest {
        customer_id: id.to_owned(),
        as_of_time: Some(timestamp(as_of)),
        max_reasons,
        ..Default::default()
    }
}

/// Whether two scores are the same bits, whether stored or not and whenever asked for.
fn is_same(a: &v1::Score, b: &v1::Score) -> bool {
    let comparable = |score: &v1::Score| v1::Score {
        prediction_id: String::new(),
        score_time: None,
        known_time: None,
        ..score.clone()
    };
    comparable(a) == comparable(b) && a.probability.to_bits() == b.probability.to_bits()
}
