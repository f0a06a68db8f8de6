//! Scores of merged customers: what was scored before replays, and from the merge on the score is that of one customer
//! who has all interactions.

use prost_types::value::Kind;
use tally_model::simulate::SimulatedCustomer;
use tally_proto::v1;
use tally_service::platform::clock::system_clock;

use super::today::{
    assert_identical, business_until_today, buyers, churn, event, stored_churn, today, trained_today,
};
use crate::support::{
    Tally, eventually, metric_value, on_both_stores, score_of, simulated_customer, simulated_interactions,
    timestamp,
};

on_both_stores!(
    predictions_of_all_ids_are_replayed_bit_for_bit_after_a_merge,
    a_merged_customer_scores_as_one_who_has_all_interactions,
    lists_and_populations_have_one_prediction_for_all_ids,
    a_backfill_under_a_merged_id_marks_predictions_of_its_survivor,
    a_merge_counts_at_once_here_and_soon_on_other_servers,
);

/// The merges of the tests: of each pair the first into the second, the last pair into a merged survivor.
fn merges() -> Vec<(String, String)> {
    let buyers = buyers();
    let pair = |from: usize, into: usize| (buyers[from].clone(), buyers[into].clone());
    vec![pair(0, 1), pair(1, 2), pair(3, 4), pair(5, 6), pair(7, 6), pair(8, 4)]
}

async fn merge_all(tally: &Tally) {
    for (from, into) in merges() {
        tally.merge(&from, &into).await.unwrap();
    }
}

async fn predictions_of_all_ids_are_replayed_bit_for_bit_after_a_merge(tally: Tally) {
    trained_today(&tally, &["lead", "churn"]).await;
    for as_of in [today().plus_days(-45), system_clock()] {
        tally.score_population(v1::Target::Churn, as_of).await.unwrap();
        tally.score_population(v1::Target::Lead, as_of).await.unwrap();
    }
    let mut stored = tally.every_prediction(v1::Target::Churn).await;
    stored.extend(tally.every_prediction(v1::Target::Lead).await);
    merge_all(&tally).await;
    // Between the merges and after them.
    for (from, into) in merges() {
        stored.push(stored_churn(&tally, &into).await);
        let late = |id: &str, own: &str| event(id, own, "purchase", today().plus_days(-2));
        tally.record(vec![late(&from, "late"), late(&into, "late")]).await;
        stored.push(stored_churn(&tally, &from).await);
    }
    assert!(stored.len() > 1_000, "{}", stored.len());
    for stored in &stored {
        assert_identical(&tally, stored).await;
    }
}

/// The customers of a merge with all their interactions, stored as one customer from the beginning.
async fn store_whole(tally: &Tally, ids: &[&String], record: v1::Customer) -> String {
    let whole = format!("whole-{}", record.customer_id);
    tally.upsert(vec![v1::Customer { customer_id: whole.clone(), ..record }]).await.unwrap();
    let business: Vec<SimulatedCustomer> = business_until_today().iter().collect();
    let own = business.iter().filter(|customer| ids.contains(&&customer.customer_id));
    let interactions = own.flat_map(simulated_interactions).map(|one| v1::Interaction {
        interaction_id: format!("{} {}", one.customer_id, one.interaction_id),
        customer_id: whole.clone(),
        ..one
    });
    tally.backfill(interactions.collect()).await.unwrap();
    whole
}

async fn a_merged_customer_scores_as_one_who_has_all_interactions(tally: Tally) {
    trained_today(&tally, &["churn"]).await;
    merge_all(&tally).await;
    let buyers = buyers();
    // The same moment for all, and late enough that all is known.
    let moment = Some(today().plus_days(1));
    for own in [vec![0, 1, 2], vec![4, 3, 8], vec![6, 5, 7]] {
        let ids: Vec<&String> = own.into_iter().map(|n| &buyers[n]).collect();
        let survivor = tally.customer(ids[0]).await.unwrap();
        let whole = store_whole(&tally, &ids, survivor.clone()).await;
        let expected = churn(&tally, &whole, moment, "", false).await;
        for id in &ids {
            let score = churn(&tally, id, moment, "", false).await;
            assert_eq!(score.customer_id, survivor.customer_id);
            assert_eq!(score.probability.to_bits(), expected.probability.to_bits());
            assert_eq!(score.reasons, expected.reasons);
            assert!(score.reasons.len() > 20);
        }
    }
}

async fn lists_and_populations_have_one_prediction_for_all_ids(tally: Tally) {
    trained_today(&tally, &["churn"]).await;
    let first = tally.score_population(v1::Target::Churn, today()).await.unwrap();
    merge_all(&tally).await;
    let merged: Vec<String> = merges().into_iter().map(|(from, _)| from).collect();
    let shown = async || -> Vec<String> {
        let latest = tally.latest_predictions(v1::Target::Churn).await;
        latest.into_iter().map(|score| score.customer_id).collect()
    };
    assert_eq!(shown().await.len() as i64, first.stored - merged.len() as i64);
    let second = tally.score_population(v1::Target::Churn, system_clock()).await.unwrap();
    assert_eq!(second.total, first.total - merged.len() as i64);
    assert_eq!(second.stored, first.stored - merged.len() as i64);
    assert!(shown().await.iter().all(|id| !merged.contains(id)));
    // A list of a merged id is that of its survivor, and a batch with both has two scores of one customer.
    let (from, into) = merges().swap_remove(2);
    let request = v1::ListPredictionsRequest {
        target: v1::Target::Churn.into(),
        customer_id: from.clone(),
        ..Default::default()
    };
    let listed = tally.all_predictions(request).await;
    assert_eq!(listed.iter().map(|score| &score.customer_id).collect::<Vec<_>>(), [&into]);
    let request = v1::BatchPredictChurnRequest {
        customer_ids: vec![from, into.clone()],
        as_of_time: Some(timestamp(today())),
        persist: true,
        ..Default::default()
    };
    let results = tally.scoring().batch_predict_churn(request).await.unwrap().into_inner().results;
    let ids: Vec<String> = results.into_iter().map(score_of).map(|score| score.customer_id).collect();
    assert_eq!(ids, [into.clone(), into]);
}

async fn a_backfill_under_a_merged_id_marks_predictions_of_its_survivor(tally: Tally) {
    trained_today(&tally, &["churn"]).await;
    let (from, into) = merges().swap_remove(2);
    let before = stored_churn(&tally, &into).await;
    let late = event(&from, "late", "visit", today().plus_days(-3));
    tally.record(vec![late.clone()]).await;
    tally.merge(&from, &into).await.unwrap();
    let after = stored_churn(&tally, &into).await;
    let of = async |interactions, outdated_predictions| {
        let request = v1::RecordInteractionsRequest { interactions, backfill: true, ..Default::default() };
        let response = tally.interactions().record_interactions(request).await.unwrap().into_inner();
        assert_eq!(response.outdated_predictions, outdated_predictions, "{response:?}");
    };
    // Since the merge the survivor has known of it.
    of(vec![late], 0).await;
    assert_identical(&tally, &after).await;
    of(vec![event(&from, "new", "visit", today().plus_days(-2))], 1).await;
    assert_identical(&tally, &before).await;
    let request = v1::ReplayPredictionRequest { prediction_id: after.prediction_id };
    let replayed = tally.predictions().replay_prediction(request).await.unwrap().into_inner();
    assert!(replayed.differences[0].starts_with("the history was backfilled at "), "{replayed:?}");
}

/// The number of purchases that a score now is based on.
async fn purchases(tally: &Tally, id: &str) -> f64 {
    let score = churn(tally, id, None, "", false).await;
    let reason = score.reasons.iter().find(|reason| reason.feature == "purchase.count_ever").unwrap();
    match reason.value.as_ref().unwrap().kind {
        Some(Kind::NumberValue(number)) => number,
        ref other => panic!("{other:?}"),
    }
}

async fn a_merge_counts_at_once_here_and_soon_on_other_servers(tally: Tally) {
    trained_today(&tally, &["churn"]).await;
    let other = Tally::start(tally.database.again()).await;
    let (from, into) = merges().swap_remove(2);
    for server in [&tally, &other] {
        eventually(async || {
            purchases(server, &from).await;
            purchases(server, &into).await;
            metric_value(server, "tally_warm_hits_total").await > 0.0
        })
        .await;
    }
    let both = purchases(&tally, &from).await + purchases(&tally, &into).await;
    tally.merge(&from, &into).await.unwrap();
    assert_eq!([purchases(&tally, &from).await, purchases(&tally, &into).await], [both; 2]);
    eventually(async || purchases(&other, &from).await == both && purchases(&other, &into).await == both)
        .await;
    // Whichever server and id a write comes by.
    let buy = |id: &str, own: &str| event(id, own, "purchase", today().plus_days(-1));
    other.backfill(vec![buy(&from, "new")]).await.unwrap();
    assert_eq!(purchases(&other, &into).await, both + 1.0);
    eventually(async || purchases(&tally, &into).await == both + 1.0).await;
    tally.backfill(vec![buy(&from, "newer")]).await.unwrap();
    assert_eq!(purchases(&tally, &into).await, both + 2.0);
    // A server that starts now knows it, too.
    let third = Tally::start(tally.database.again()).await;
    assert_eq!(purchases(&third, &from).await, both + 2.0);
    let erased =
        simulated_customer(&business_until_today().iter().find(|one| one.customer_id == into).unwrap());
    tally.delete(&from).await.unwrap();
    tally.recreate(vec![v1::Customer { customer_id: from.clone(), ..erased }]).await.unwrap();
    tally.backfill(vec![buy(&from, "alone")]).await.unwrap();
    assert_eq!(purchases(&tally, &from).await, 1.0);
    eventually(async || {
        let request = v1::PredictChurnRequest { customer_id: from.clone(), ..Default::default() };
        other.predict_churn(request).await.is_ok_and(|score| score.customer_id == from)
    })
    .await;
}
