//! Predictions beside insights: lists that follow a pass, and the scores of one customer.

use tally_model::time::Time;
use tally_proto::v1;
use tally_store::PassExpiry;
use tonic::Code;

use super::{AS_OF, paid, passes::trained};
use crate::support::{Tally, assert_refused, on_both_stores, time, timestamp};

on_both_stores!(
    customers_without_facts_come_last,
    pages_of_predictions_follow_one_pass,
    the_history_of_scores_reaches_behind_later_ones,
);

fn by_net() -> v1::ListPredictionsRequest {
    v1::ListPredictionsRequest {
        target: v1::Target::Churn.into(),
        order_by: "net_revenue desc".into(),
        page_size: 7,
        ..Default::default()
    }
}

fn ids(predictions: &[v1::Score]) -> Vec<String> {
    predictions.iter().map(|score| score.customer_id.clone()).collect()
}

/// Stores a churn score.
async fn score(tally: &Tally, customer_id: &str, as_of: &str) {
    let request = v1::PredictChurnRequest {
        customer_id: customer_id.into(),
        as_of_time: Some(timestamp(time(as_of))),
        persist: true,
        ..Default::default()
    };
    tally.predict_churn(request).await.unwrap();
}

async fn customers_without_facts_come_last(tally: Tally) {
    trained(&tally).await;
    let owing =
        [paid("owing", "1", "purchase", "2024-05-01", 1), paid("owing", "2", "return", "2024-05-02", 10_000)];
    tally.backfill(owing.to_vec()).await.unwrap();
    tally.refresh_insights(AS_OF).await.unwrap();
    tally.backfill(vec![paid("late", "1", "purchase", "2024-05-20", 1_000_000_000)]).await.unwrap();
    score(&tally, "late", AS_OF).await;

    let all = ids(&tally.all_predictions(by_net()).await);
    assert_eq!(all.last().unwrap(), "late", "behind those who owe");
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(sorted(all.clone()), sorted(ids(&tally.latest_predictions(v1::Target::Churn).await)));
    let export = v1::ExportPredictionsRequest {
        target: v1::Target::Churn.into(),
        order_by: "net_revenue desc".into(),
        ..Default::default()
    };
    let mut messages = tally.predictions().export_predictions(export).await.unwrap().into_inner();
    let mut exported = Vec::new();
    while let Some(message) = messages.message().await.unwrap() {
        exported.extend(ids(&message.predictions));
    }
    assert_eq!(exported, all);
    let abc_classes = ["A", "B", "C", "none"].map(str::to_owned).to_vec();
    let classed = tally.all_predictions(v1::ListPredictionsRequest { abc_classes, ..by_net() }).await;
    assert_eq!(ids(&classed), all[..all.len() - 1], "it has no class");
}

async fn pages_of_predictions_follow_one_pass(tally: Tally) {
    trained(&tally).await;
    tally.refresh_insights(AS_OF).await.unwrap();
    let order = ids(&tally.all_predictions(by_net()).await);
    let list = async |request: &v1::ListPredictionsRequest| {
        tally.predictions().list_predictions(request.clone()).await.map(tonic::Response::into_inner)
    };
    let mut request = v1::ListPredictionsRequest { page_size: 50, ..by_net() };
    let first = list(&request).await.unwrap();
    assert!(!first.next_page_token.is_empty());
    // The last one becomes the first, in a pass that scores nobody anew.
    let last = order.last().unwrap();
    tally.backfill(vec![paid(last, "new", "purchase", "2024-06-01", 1_000_000_000_000)]).await.unwrap();
    assert!(!tally.sizes("abc", Some("2024-06-02")).await.is_empty());
    assert_eq!(list(&request).await.unwrap().predictions[0].customer_id, *last, "of the new pass");
    let mut found = ids(&first.predictions);
    request.page_token = first.next_page_token.clone();
    while !request.page_token.is_empty() {
        let page = list(&request).await.unwrap();
        found.extend(ids(&page.predictions));
        request.page_token = page.next_page_token;
    }
    assert_eq!(found, order);

    // Once its facts are removed, the list has to begin again.
    tally.refresh_insights(AS_OF).await.unwrap();
    let store = tally_store::open(&tally.database.url).await.unwrap();
    assert_eq!(
        store.remove_passes(PassExpiry { kept: Time::MIN, on_demand: Time::MIN }).await.unwrap(),
        1,
        "the one that was replaced"
    );
    request.page_token = first.next_page_token;
    assert_refused(list(&request).await, Code::Aborted, "LOST_RACE", &[]);
}

async fn the_history_of_scores_reaches_behind_later_ones(tally: Tally) {
    trained(&tally).await;
    tally.score_population(v1::Target::Churn, time("2024-02-01")).await.unwrap();
    let id = tally.latest_predictions(v1::Target::Churn).await[0].customer_id.clone();
    for _ in 0..101 {
        score(&tally, &id, AS_OF).await;
    }
    // Stored last, about the earliest moment.
    score(&tally, &id, "2024-01-25").await;
    let history = async |as_of| {
        let points = tally.insight(&id, as_of).await.unwrap().score_history;
        points.into_iter().map(|point| point.as_of_time.unwrap()).collect::<Vec<_>>()
    };
    let before = ["2024-02-01", "2024-01-25"].map(|moment| timestamp(time(moment)));
    assert_eq!(history("2024-03-01").await, before);
    assert_eq!(history("2024-01-31").await, before[1..]);
    assert_eq!(history(AS_OF).await, vec![timestamp(time(AS_OF)); 24]);
}
