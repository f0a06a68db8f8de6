//! Warm histories: the same bits as cold ones, and never older than promised.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tally_model::{simulate::Business, time::Time};
use tally_proto::v1;
use tonic::Code;

use crate::support::{Tally, assert_refused, eventually, interaction, on_both_stores, time};

on_both_stores!(
    a_warm_score_is_the_same_bits_as_a_cold_one,
    what_this_server_writes_counts_at_once,
    what_another_server_writes_counts_soon,
);

const NOW: &str = "2024-06-01";

async fn trained(tally: &Tally) {
    tally.simulate(&Business { customers: 500, ..Business::new(5, time(NOW)) }).await;
    tally.train(&["churn", "--as-of", NOW]);
}

async fn predict(tally: &Tally, id: &str) -> Result<v1::Score, tonic::Status> {
    let request = v1::PredictChurnRequest {
        customer_id: id.to_owned(),
        max_reasons: -1,
        ..v1::PredictChurnRequest::default()
    };
    Ok(tally.scoring().predict_churn(request).await?.into_inner())
}

/// What a score says of a feature.
fn value(score: &v1::Score, feature: &str) -> f64 {
    let reason = score.reasons.iter().find(|reason| reason.feature == feature).unwrap();
    match reason.value.as_ref().unwrap().kind {
        Some(prost_types::value::Kind::NumberValue(number)) => number,
        ref other => panic!("{feature} is {other:?}"),
    }
}

/// The ids of some buyers.
async fn buyers(tally: &Tally) -> Vec<String> {
    tally.score_population(v1::Target::Churn, time(NOW)).await.unwrap();
    let request = v1::ListPredictionsRequest { target: v1::Target::Churn.into(), ..Default::default() };
    tally.all_predictions(request).await.into_iter().map(|score| score.customer_id).take(40).collect()
}

async fn metric(tally: &Tally, name: &str) -> f64 {
    let (_, text) = tally.get("/metrics").await;
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).rsplit_once(' ').unwrap().1.parse().unwrap()
}

async fn a_warm_score_is_the_same_bits_as_a_cold_one(tally: Tally) {
    trained(&tally).await;
    let ids = buyers(&tally).await;
    // Another model of the same target, which learned from less.
    tally.train(&["churn", "--as-of", "2024-04-01"]);
    let ask = async |as_of, model: &str, max_reasons, persist| {
        let request = v1::BatchPredictChurnRequest {
            customer_ids: ids.clone(),
            as_of_time: Some(crate::support::timestamp(as_of)),
            max_reasons,
            persist,
            model: model.to_owned(),
        };
        let reply = tally.scoring().batch_predict_churn(request).await.unwrap().into_inner();
        let score = |result: v1::BatchResult| match result.result.unwrap() {
            v1::batch_result::Result::Score(score) => {
                v1::Score { prediction_id: String::new(), score_time: None, ..score }
            }
            v1::batch_result::Result::Status(status) => panic!("{status:?}"),
        };
        reply.results.into_iter().map(score).collect::<Vec<_>>()
    };
    // What is stored is read from the database.
    let now = time(NOW);
    let cold = ask(now, "churn/1", -1, true).await;
    // The first look at what others write comes soon after the start; from then on memory answers.
    eventually(async || {
        assert_eq!(ask(now, "churn/1", -1, false).await, cold);
        metric(&tally, "tally_warm_hits_total").await > 0.0
    })
    .await;
    // Moments forth and back, within the day and beyond it, and by either model.
    let hours = |hours: i64| Time(now.0 + hours * 3_600_000_000);
    let mut different = BTreeSet::new();
    for as_of in
        [hours(0), hours(1), hours(23), hours(5), hours(24), hours(24 * 40), hours(-24 * 40), hours(2)]
    {
        for (model, most) in [("churn/1", 2), ("churn/1", -1), ("churn/2", 3), ("churn/2", 1)] {
            let cold = ask(as_of, model, most, true).await;
            assert_eq!(ask(as_of, model, most, false).await, cold, "{as_of} {model} {most}");
            assert_eq!(ask(as_of, model, most, false).await, cold, "{as_of} {model} {most}, again");
            different.extend(cold.iter().map(|score| score.probability.to_bits()));
        }
    }
    assert!(different.len() > 8 * ids.len(), "{}", different.len());
    let customers = metric(&tally, "tally_warm_customers").await;
    assert!((1.0..=ids.len() as f64).contains(&customers), "{customers}");
    assert!(metric(&tally, "tally_warm_bytes").await > 100.0 * customers);
}

async fn what_this_server_writes_counts_at_once(tally: Tally) {
    trained(&tally).await;
    let tally = Arc::new(tally);
    let id = buyers(&tally).await.swap_remove(0);
    let over = Arc::new(AtomicBool::new(false));
    // Others ask for the customer all the time, so that reads are under way whenever a write ends.
    let ask = |_| {
        let (tally, id, over) = (Arc::clone(&tally), id.clone(), Arc::clone(&over));
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                predict(&tally, &id).await.unwrap();
            }
        })
    };
    let asking: Vec<_> = (0..6).map(ask).collect();
    let before = value(&predict(&tally, &id).await.unwrap(), "purchase.count_ever");
    for n in 1..=60 {
        let mut purchase = interaction(&id, &format!("warm-{n}"), "purchase", "2024-06-02");
        purchase.amount_minor = Some(100);
        assert_eq!(tally.backfill(vec![purchase]).await.unwrap(), (1, 0));
        let after = value(&predict(&tally, &id).await.unwrap(), "purchase.count_ever");
        assert_eq!(after, before + f64::from(n));
    }
    over.store(true, Ordering::Relaxed);
    for task in asking {
        task.await.unwrap();
    }
    let request = v1::DeleteCustomerRequest { customer_id: id.clone() };
    tally.customers().delete_customer(request).await.unwrap();
    let refused = predict(&tally, &id).await;
    assert_refused(refused, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
}

async fn what_another_server_writes_counts_soon(tally: Tally) {
    trained(&tally).await;
    let other = Tally::start(tally.database.again()).await;
    let id = buyers(&tally).await.swap_remove(0);
    let asked = || async { predict(&tally, &id).await };
    eventually(async || {
        asked().await.unwrap();
        metric(&tally, "tally_warm_hits_total").await > 0.0
    })
    .await;
    let before = value(&asked().await.unwrap(), "purchase.count_ever");
    let mut purchase = interaction(&id, "elsewhere", "purchase", "2024-06-02");
    purchase.amount_minor = Some(100);
    other.backfill(vec![purchase]).await.unwrap();
    eventually(async || value(&asked().await.unwrap(), "purchase.count_ever") == before + 1.0).await;
    let request = v1::DeleteCustomerRequest { customer_id: id.clone() };
    other.customers().delete_customer(request).await.unwrap();
    eventually(async || asked().await.is_err_and(|status| status.code() == Code::NotFound)).await;
}
