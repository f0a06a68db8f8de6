//! Scores from warm histories are the same bits as cold ones, and no older than promised.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use prost_types::value::Kind;
use tally_model::time::Time;
use tally_proto::v1;
use tonic::{Code, Status};

use crate::support::{
    Tally, assert_refused, business, eventually, interaction, metric_value, on_both_stores, score_of, time,
    timestamp,
};

on_both_stores!(
    a_warm_score_is_the_same_bits_as_a_cold_one,
    a_write_by_this_server_counts_at_once,
    a_write_by_another_server_counts_soon,
);

const NOW: &str = "2024-06-01";

async fn trained(tally: &Tally) {
    tally.simulate(&business(500, 5, time(NOW))).await;
    tally.train(&["churn", "--as-of", NOW]);
}

/// The churn score of a customer now, with all reasons.
async fn predict(tally: &Tally, id: &str) -> Result<v1::Score, Status> {
    let request =
        v1::PredictChurnRequest { customer_id: id.to_owned(), max_reasons: -1, ..Default::default() };
    tally.predict_churn(request).await
}

/// The number of purchases that a score is based on.
async fn purchases(tally: &Tally, id: &str) -> f64 {
    let score = predict(tally, id).await.unwrap();
    let reason = score.reasons.iter().find(|reason| reason.feature == "purchase.count_ever").unwrap();
    match reason.value.as_ref().unwrap().kind {
        Some(Kind::NumberValue(number)) => number,
        ref other => panic!("{other:?}"),
    }
}

fn purchase(customer_id: &str, id: &str) -> v1::Interaction {
    let purchase = interaction(customer_id, id, "purchase", "2024-06-02");
    v1::Interaction { amount_minor: Some(100), ..purchase }
}

/// The ids of some buyers.
async fn buyers(tally: &Tally) -> Vec<String> {
    tally.score_population(v1::Target::Churn, time(NOW)).await.unwrap();
    let latest = tally.latest_predictions(v1::Target::Churn).await;
    latest.into_iter().map(|score| score.customer_id).take(40).collect()
}

/// A batch of churn scores, without what differs in the same score asked twice.
async fn batch(tally: &Tally, request: v1::BatchPredictChurnRequest) -> Vec<v1::Score> {
    let results = tally.scoring().batch_predict_churn(request).await.unwrap().into_inner().results;
    let comparable = |score| v1::Score { prediction_id: String::new(), score_time: None, ..score };
    results.into_iter().map(score_of).map(comparable).collect()
}

async fn a_warm_score_is_the_same_bits_as_a_cold_one(tally: Tally) {
    trained(&tally).await;
    let ids = buyers(&tally).await;
    // Another model of the same target, which has learned from less.
    tally.train(&["churn", "--as-of", "2024-04-01"]);
    // A score to be stored is computed from the database.
    let ask = |as_of, model: &str, max_reasons, persist| {
        let (customer_ids, as_of_time, model) = (ids.clone(), Some(timestamp(as_of)), model.to_owned());
        batch(&tally, v1::BatchPredictChurnRequest { customer_ids, as_of_time, max_reasons, persist, model })
    };
    let now = time(NOW);
    let cold = ask(now, "churn/1", -1, true).await;
    // The server first polls the changes of others soon after its start; from then on it answers from memory.
    eventually(async || {
        assert_eq!(ask(now, "churn/1", -1, false).await, cold);
        metric_value(&tally, "tally_warm_hits_total").await > 0.0
    })
    .await;
    // Moments forth and back, within the day and beyond it, and by either model.
    let mut different = BTreeSet::new();
    for hours in [0, 1, 23, 5, 24, 24 * 40, -24 * 40, 2] {
        let as_of = Time(now.0 + hours * 3_600_000_000);
        for (model, most) in [("churn/1", 2), ("churn/1", -1), ("churn/2", 3), ("churn/2", 1)] {
            let cold = ask(as_of, model, most, true).await;
            assert_eq!(ask(as_of, model, most, false).await, cold, "{as_of} {model} {most}");
            assert_eq!(ask(as_of, model, most, false).await, cold, "{as_of} {model} {most}, again");
            different.extend(cold.iter().map(|score| score.probability.to_bits()));
        }
    }
    assert!(different.len() > 8 * ids.len(), "{}", different.len());
    let customers = metric_value(&tally, "tally_warm_customers").await;
    assert!((1.0..=ids.len() as f64).contains(&customers), "{customers}");
    assert!(metric_value(&tally, "tally_warm_bytes").await > 100.0 * customers);
}

async fn a_write_by_this_server_counts_at_once(tally: Tally) {
    trained(&tally).await;
    let tally = Arc::new(tally);
    let id = buyers(&tally).await.swap_remove(0);
    let stop = Arc::new(AtomicBool::new(false));
    // Others ask for the customer all the time, so that reads are in progress whenever a write ends.
    let ask = |_| {
        let (tally, id, stop) = (Arc::clone(&tally), id.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                predict(&tally, &id).await.unwrap();
            }
        })
    };
    let asking: Vec<_> = (0..6).map(ask).collect();
    let before = purchases(&tally, &id).await;
    for n in 1..=60 {
        assert_eq!(tally.backfill(vec![purchase(&id, &format!("warm-{n}"))]).await.unwrap(), (1, 0));
        assert_eq!(purchases(&tally, &id).await, before + f64::from(n));
    }
    stop.store(true, Ordering::Relaxed);
    for task in asking {
        task.await.unwrap();
    }
    tally.delete(&id).await.unwrap();
    let refused = predict(&tally, &id).await;
    assert_refused(refused, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
}

async fn a_write_by_another_server_counts_soon(tally: Tally) {
    trained(&tally).await;
    let other = Tally::start(tally.database.again()).await;
    let id = buyers(&tally).await.swap_remove(0);
    eventually(async || {
        predict(&tally, &id).await.unwrap();
        metric_value(&tally, "tally_warm_hits_total").await > 0.0
    })
    .await;
    let before = purchases(&tally, &id).await;
    other.backfill(vec![purchase(&id, "elsewhere")]).await.unwrap();
    eventually(async || purchases(&tally, &id).await == before + 1.0).await;
    other.delete(&id).await.unwrap();
    eventually(async || predict(&tally, &id).await.is_err_and(|status| status.code() == Code::NotFound))
        .await;
}
