//! Old predictions are removed, but never the latest of a customer; old interactions by their kind.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::Stdio,
};

use tally_proto::v1;
use tally_service::platform::clock::system_clock;
use tonic::Code;

use super::NOW;
use crate::support::{
    ServeProcess, Tally, business, eventually, interaction, on_both_stores, program, time, timestamp,
};

on_both_stores!(
    old_predictions_are_removed_but_for_the_latest_of_a_customer,
    old_interactions_are_removed_by_kind,
    kinds_of_which_nothing_is_stored_are_named_in_the_log,
);

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

async fn old_interactions_are_removed_by_kind(tally: Tally) {
    let days_ago = |days: i64| system_clock().plus_days(-days).to_string();
    // A few days beside the limit, more of one customer than a transaction removes, and some that are retracted.
    let mut all = Vec::new();
    for (kind, days) in
        [("visit", 29), ("visit", 31), ("email", 9), ("email", 11), ("call", 99), ("call", 101)]
    {
        let count = if kind == "visit" { 1_500 } else { 3 };
        let item = |n: usize| interaction("large", &format!("{kind}-{days}-{n}"), kind, &days_ago(days));
        all.extend((0..count).map(item));
        all.push(interaction(&format!("small-{kind}"), &days.to_string(), kind, &days_ago(days)));
    }
    for part in all.chunks(2_000) {
        tally.backfill(part.to_vec()).await.unwrap();
    }
    tally.retract(&[("large", "call-99-0"), ("large", "call-101-0")]).await.unwrap();
    tally.merge("small-call", "small-email").await.unwrap();
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let ids = store.customer_ids("", 10).await.unwrap();
    store.pack(ids.clone()).await.unwrap();
    // They are warm, too.
    tally.app().histories.get(&ids).await.unwrap();

    let _server =
        ServeProcess::start(&tally.database.url, &["--keep-interactions", "visit=30,email=10,*=100"]);
    let count = async || {
        let live = tally.database.sql("SELECT count(*) FROM interactions").await.unwrap();
        let retracted = tally.database.sql("SELECT count(*) FROM retracted_interactions").await.unwrap();
        (live, retracted)
    };
    eventually(async || count().await == (1_500 + 1 + 3 + 1 + 2 + 1, 1)).await;
    let old = "SELECT count(*) FROM interactions WHERE interaction_id LIKE 'visit-31-%' OR interaction_id LIKE 'email-11-%' \
               OR interaction_id LIKE 'call-101-%' OR interaction_id IN ('31', '11', '101')";
    assert_eq!(tally.database.sql(old).await, Some(0));
    // Neither what was packed nor what is in the memory of another server has them any more.
    let events = async |histories: Vec<_>| -> Vec<usize> {
        let count =
            |history: tally_model::history::Packed| history.with(tally_model::history::History::len).unwrap();
        histories.into_iter().map(|history| count(Option::unwrap(history))).collect()
    };
    let expected = [1_500 + 3 + 3, 2, 1];
    assert_eq!(events(store.histories(&ids).await.unwrap()).await, expected);
    eventually(async || {
        let warm = tally.app().histories.get(&ids).await.unwrap().into_iter();
        events(warm.map(|warm| warm.map(|warm| warm.history.clone())).collect()).await == expected
    })
    .await;
    let audited = "SELECT count FROM audit_log WHERE action = 'RemoveOldInteractions'";
    eventually(async || tally.database.sql(audited).await == Some(1_500 + 1 + 3 + 1 + 2 + 1 + 1)).await;
}

async fn kinds_of_which_nothing_is_stored_are_named_in_the_log(tally: Tally) {
    tally.backfill(vec![interaction("a", "1", "visit", "2024-01-01")]).await.unwrap();
    let mut serve = program("tally-serve", &tally.database.url);
    serve.args(["--listen", "127.0.0.1:0", "--keep-interactions", "visit=36500,vist=30,*=36500,email=9"]);
    serve.stderr(Stdio::piped());
    let mut process = ServeProcess::spawn(serve);
    let log = BufReader::new(process.stderr()).lines().map(Result::unwrap);
    let named: Vec<String> = log.filter(|line| line.contains("--keep-interactions")).take(2).collect();
    assert!(
        named[0].contains("no interaction of it is stored") && named[0].contains("\"vist\""),
        "{named:?}"
    );
    assert!(named[1].contains("\"email\""), "{named:?}");
    process.terminate();
}
