//! How long predictions are kept: the old ones go, but never the latest of a customer.

use std::collections::BTreeSet;

use tally_model::simulate::Business;
use tally_proto::v1;

use crate::support::{Served, Tally, eventually, on_both_stores, time, timestamp};

on_both_stores!(old_predictions_go_but_for_the_latest_of_a_customer);

const NOW: &str = "2024-06-01";
const EARLIER: &str = "2024-05-20";

/// Everything that is stored, by id.
async fn stored(tally: &Tally) -> BTreeSet<String> {
    let request = v1::ListPredictionsRequest {
        target: v1::Target::Churn.into(),
        latest_only: Some(false),
        page_size: 1_000,
        ..Default::default()
    };
    tally.all_predictions(request).await.into_iter().map(|score| score.prediction_id).collect()
}

async fn old_predictions_go_but_for_the_latest_of_a_customer(tally: Tally) {
    tally.simulate(&Business { customers: 700, ..Business::new(11, time(NOW)) }).await;
    tally.train(&["churn", "--as-of", NOW]);
    let run = async |as_of| {
        let before = stored(&tally).await;
        tally.score_population(v1::Target::Churn, time(as_of)).await.unwrap();
        &stored(&tally).await - &before
    };
    let (first, second) = (run(EARLIER).await, run(NOW).await);
    assert!(first.len() > 200 && second.len() >= first.len());
    let latest = v1::ListPredictionsRequest { target: v1::Target::Churn.into(), ..Default::default() };
    let one = tally.all_predictions(latest).await.remove(0).customer_id;
    // All of that was years ago. What is asked for today is young, although it is about a moment before.
    let old = if tally.database.url.starts_with("sqlite") { "1577836800000000" } else { "'2020-01-01Z'" };
    tally.database.sql(&format!("UPDATE predictions SET score_time = {old}")).await;
    let request = v1::PredictChurnRequest {
        customer_id: one,
        as_of_time: Some(timestamp(time(EARLIER))),
        persist: true,
        ..Default::default()
    };
    let young = tally.scoring().predict_churn(request).await.unwrap().into_inner().prediction_id;
    let mut kept = second.clone();
    kept.insert(young);

    let _server = Served::start(&tally.database.url, &["--keep-predictions-days", "30"]);
    let count = || tally.database.sql("SELECT count(*) FROM predictions");
    eventually(async || count().await == Some(kept.len() as i64)).await;
    assert_eq!(stored(&tally).await, kept);
    let latest = tally.database.sql("SELECT count(*) FROM v_latest_predictions").await;
    assert_eq!(latest, Some(second.len() as i64));
    let gone = v1::ReplayPredictionRequest { prediction_id: first.first().unwrap().clone() };
    let refused = tally.predictions().replay_prediction(gone).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound);
}
