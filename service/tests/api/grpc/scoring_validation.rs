//! The scoring RPCs refuse invalid requests, and all requests while there is no champion.

use tally_proto::v1;
use tonic::{Code, Status};

use super::{assert_invalid, bad_times};
use crate::support::{Tally, assert_refused, on_both_stores};

on_both_stores!(invalid_scoring_requests_are_refused, without_a_champion_nobody_is_scored);

async fn churn(
    tally: &Tally,
    change: impl FnOnce(&mut v1::PredictChurnRequest),
) -> Result<v1::Score, Status> {
    let mut request = v1::PredictChurnRequest { customer_id: "c".into(), ..Default::default() };
    change(&mut request);
    tally.predict_churn(request).await
}

async fn invalid_scoring_requests_are_refused(tally: Tally) {
    assert_invalid(churn(&tally, |r| r.customer_id.clear()).await, &["customer_id"]);
    assert_invalid(churn(&tally, |r| r.customer_id = "\0".into()).await, &["customer_id"]);
    assert_invalid(churn(&tally, |r| r.customer_id = "\u{a0}".into()).await, &["customer_id"]);
    assert_invalid(churn(&tally, |r| r.max_reasons = -2).await, &["max_reasons"]);
    for model in [
        "lead/1",
        "churn",
        "churn/0",
        "churn/-1",
        "churn/+1",
        "churn/1/2",
        "../churn/1",
        "churn/99999999999999999999",
    ] {
        assert_invalid(churn(&tally, |r| r.model = model.into()).await, &["model"]);
    }
    for bad in bad_times() {
        assert_invalid(churn(&tally, |r| r.as_of_time = Some(bad)).await, &["as_of_time"]);
    }
    for ids in [vec![], vec!["c".to_owned(); 10_001]] {
        let request = v1::BatchPredictChurnRequest { customer_ids: ids, ..Default::default() };
        assert_invalid(tally.scoring().batch_predict_churn(request).await, &["customer_ids"]);
    }
    for target in [0, 99, -1] {
        let request = v1::ScorePopulationRequest { target, ..Default::default() };
        assert_invalid(tally.predictions().score_population(request).await, &["target"]);
    }
}

async fn without_a_champion_nobody_is_scored(tally: Tally) {
    assert_refused(churn(&tally, |_| ()).await, Code::FailedPrecondition, "NO_CHAMPION", &[]);
    let named = churn(&tally, |r| r.model = "churn/1".into()).await;
    assert_refused(named, Code::NotFound, "MODEL_NOT_FOUND", &[]);
    let request = v1::ScorePopulationRequest { target: v1::Target::Lead.into(), ..Default::default() };
    let refused = tally.predictions().score_population(request).await;
    assert_refused(refused, Code::FailedPrecondition, "NO_CHAMPION", &[]);
}
