//! Old predictions are removed, but never the latest of a customer.

use std::collections::BTreeSet;

use tally_proto::v1;
use tonic::Code;

use super::NOW;
use crate::support::{ServeProcess, Tally, business, eventually, on_both_stores, time, timestamp};

on_both_stores!(old_predictions_are_removed_but_for_the_latest_of_a_customer);

const EARLIER: &str = "2024-05-20";

/// The ids of all stored predictions.
async fn stored(tally: &Tally) -> BTreeSet<String> {
    let all = tally.every_prediction(v1::Target::Churn).await;
    all.into_iter().map(|score| score.prediction_id).collect()
}

/// Scores everybody. Returns the ids of the predictions.
async fn score_everybody(tally: &Tally, as_of: &str) -> BTreeSet<String> {
    let before = stored(tally).await;
    tally.score_population(v1::Target::Churn, time(as_of)).await.unwrap();
    &stored(tally).await - &before
}

async fn old_predictions_are_removed_but_for_the_latest_of_a_customer(tally: Tally) {
    tally.simulate(&business(700, 11, time(NOW))).await;
    tally.train(&["churn", "--as-of", NOW]);
    let first = score_everybody(&tally, EARLIER).await;
    let second = score_everybody(&tally, NOW).await;
    assert!(first.len() > 200 && second.len() >= first.len());
    let customer_id = tally.latest_predictions(v1::Target::Churn).await.remove(0).customer_id;
    // All of them were stored years ago. A prediction that is stored today is young, although it is about an
    // earlier moment.
    let old = if tally.database.is_sqlite() { "1577836800000000" } else { "'2020-01-01Z'" };
    tally.database.sql(&format!("UPDATE predictions SET score_time = {old}")).await;
    let request = v1::PredictChurnRequest {
        customer_id,
        as_of_time: Some(timestamp(time(EARLIER))),
        persist: true,
        ..Default::default()
    };
    let mut kept = second.clone();
    kept.insert(tally.predict_churn(request).await.unwrap().prediction_id);

    let _server = ServeProcess::start(&tally.database.url, &["--keep-predictions-days", "30"]);
    let count = || tally.database.sql("SELECT count(*) FROM predictions");
    eventually(async || count().await == Some(kept.len() as i64)).await;
    assert_eq!(stored(&tally).await, kept);
    let latest = tally.database.sql("SELECT count(*) FROM v_latest_predictions").await;
    assert_eq!(latest, Some(second.len() as i64));
    let removed = v1::ReplayPredictionRequest { prediction_id: first.first().unwrap().clone() };
    let refused = tally.predictions().replay_prediction(removed).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound);
}
