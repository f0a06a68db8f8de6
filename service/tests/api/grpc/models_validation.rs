//! The RPCs that move champions refuse invalid requests, and all requests while there is no champion.

use tally_proto::v1;
use tonic::Code;

use super::{assert_invalid, bad_times};
use crate::support::{Tally, assert_refused, on_both_stores};

on_both_stores!(
    invalid_promotions_are_refused,
    invalid_rollbacks_previews_and_histories_are_refused,
    without_models_no_champion_moves,
);

fn promote_request() -> v1::PromoteModelRequest {
    v1::PromoteModelRequest { model: "churn/1".into(), force: true, ..Default::default() }
}

async fn invalid_promotions_are_refused(tally: Tally) {
    type Change = fn(&mut v1::PromoteModelRequest);
    let cases: [(Change, &str); 7] = [
        (|r| r.model.clear(), "model"),
        (|r| r.model = "churn".into(), "model"),
        (|r| r.model = "churn/0".into(), "model"),
        (|r| r.reason = "x".repeat(1_025), "reason"),
        (|r| r.reason = "\u{1b}[2J".into(), "reason"),
        (|r| r.requested_by = "x".repeat(257), "requested_by"),
        (|r| r.requested_by = "\0".into(), "requested_by"),
    ];
    for (change, field) in cases {
        let mut request = promote_request();
        change(&mut request);
        assert_invalid(tally.models().promote_model(request).await, &[field]);
    }
}

async fn invalid_rollbacks_previews_and_histories_are_refused(tally: Tally) {
    let request = v1::RollbackModelRequest { reason: "\n".into(), ..Default::default() };
    assert_invalid(tally.models().rollback_model(request).await, &["target", "reason"]);
    let request = v1::PreviewPromotionRequest { model: "lead".into(), as_of_time: Some(bad_times()[0]) };
    assert_invalid(tally.models().preview_promotion(request).await, &["model", "as_of_time"]);
    let request = v1::ListPromotionsRequest { page_size: -1, ..Default::default() };
    assert_invalid(tally.models().list_promotions(request).await, &["target", "page_size"]);
}

async fn without_models_no_champion_moves(tally: Tally) {
    let unknown = tally.models().promote_model(promote_request()).await;
    assert_refused(unknown, Code::NotFound, "MODEL_NOT_FOUND", &[]);
    let request = v1::RollbackModelRequest { target: v1::Target::Lead.into(), ..Default::default() };
    let refused = tally.models().rollback_model(request).await;
    assert_refused(refused, Code::FailedPrecondition, "NO_CHAMPION", &[]);
    let request = v1::PreviewPromotionRequest { model: "lead/1".into(), as_of_time: None };
    let refused = tally.models().preview_promotion(request).await;
    assert_refused(refused, Code::FailedPrecondition, "NO_CHAMPION", &[]);
}
