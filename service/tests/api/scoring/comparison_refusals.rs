//! Predictions that cannot be compared are refused.

use tally_model::time::{DAY, Time};
use tally_service::platform::clock::system_clock;
use tonic::{Code, Status};

use super::today::{buyers, compare, compare_ids, event, leads, stored_churn, stored_lead, trained_today};
use crate::support::{Tally, assert_refused, on_both_stores};

on_both_stores!(predictions_that_cannot_be_compared_are_refused);

async fn predictions_that_cannot_be_compared_are_refused(tally: Tally) {
    trained_today(&tally, &["lead", "churn"]).await;
    let (buyers, leads) = (buyers(), leads());
    let one = stored_churn(&tally, &buyers[0]).await;
    let other = stored_churn(&tally, &buyers[1]).await;
    assert_invalid(compare(&tally, &one, &other).await, "another customer");
    let refused = compare_ids(&tally, "", "\n").await;
    let fields = ["from_prediction_id", "to_prediction_id"];
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &fields);
    for (from, to) in [(one.prediction_id.as_str(), "none"), ("none", one.prediction_id.as_str())] {
        let refused = compare_ids(&tally, from, to).await;
        assert_refused(refused, Code::NotFound, "PREDICTION_NOT_FOUND", &[]);
    }
    assert_other_target_refused(&tally, &leads[0]).await;
    assert_purchase_in_between_refused(&tally, &leads[1]).await;
}

/// Asserts that the second prediction is refused, and the words of the error.
fn assert_invalid<T: std::fmt::Debug>(result: Result<T, Status>, words: &str) {
    assert!(result.as_ref().unwrap_err().message().contains(words), "{result:?}");
    assert_refused(result, Code::InvalidArgument, "INVALID_REQUEST", &["to_prediction_id"]);
}

/// Two targets of one customer: a lead that has bought since.
async fn assert_other_target_refused(tally: &Tally, id: &str) {
    let before = stored_lead(tally, id, None).await;
    tally.record(vec![event(id, "first", "purchase", system_clock())]).await;
    let after = stored_churn(tally, id).await;
    assert_invalid(compare(tally, &before, &after).await, "another target");
}

/// The first score is about tonight, the second about now; only the second knows of a purchase before
/// tonight.
async fn assert_purchase_in_between_refused(tally: &Tally, id: &str) {
    let now = system_clock();
    let tonight = stored_lead(tally, id, Some(Time(now.0 + DAY / 2))).await;
    tally.record(vec![event(id, "planned", "purchase", Time(now.0 + DAY / 4))]).await;
    let sooner = stored_lead(tally, id, None).await;
    for (from, to) in [(&tonight, &sooner), (&sooner, &tonight)] {
        let refused = compare(tally, from, to).await;
        assert!(refused.as_ref().unwrap_err().message().contains("has bought before"), "{refused:?}");
        assert_refused(refused, Code::FailedPrecondition, "NOT_COMPARABLE", &[]);
    }
}
