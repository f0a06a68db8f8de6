//! Promotions during traffic, at the same time, and in a server that is killed.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tally_proto::v1::{
    self, batch_result::Result as Item, model_service_client::ModelServiceClient,
    scoring_service_client::ScoringServiceClient,
};
use tokio::{sync::mpsc, task::JoinHandle};
use tonic::{Code, transport::Channel};

use super::{NOW, POOR, assert_unbroken_line, promote, serving_model};
use crate::support::{
    ServeProcess, Tally, assert_refused, business, has_kind, on_both_stores, time, timestamp,
};

on_both_stores!(
    a_thousand_promotions_during_traffic_fail_no_call_and_mix_no_batch,
    promotions_at_the_same_time_leave_an_unbroken_line_of_champions,
    a_killed_server_leaves_one_champion_and_a_complete_audit,
);

/// Trains two models of each target, and promotes them.
async fn trained(tally: &Tally) {
    tally.simulate(&business(250, 11, time(NOW))).await;
    tally.train_with_spec("churn", POOR, &["--as-of", NOW]);
    tally.train_with_spec("churn", POOR, &["--as-of", NOW, "--horizon-days", "60", "--promote", "always"]);
    for _ in 0..2 {
        tally.train_with_spec("lead", POOR, &["--as-of", NOW, "--promote", "always"]);
    }
}

/// What a client asks for, again and again.
#[derive(Clone)]
enum Question {
    One(String),
    Batch(Vec<String>),
}

/// The models that answer one call. A batch has one model.
async fn models_of_call(client: &mut ScoringServiceClient<Channel>, question: &Question) -> String {
    let as_of_time = Some(timestamp(time(NOW)));
    match question.clone() {
        Question::One(customer_id) => {
            let request = v1::PredictChurnRequest { customer_id, as_of_time, ..Default::default() };
            client.predict_churn(request).await.unwrap().into_inner().model
        }
        Question::Batch(customer_ids) => {
            let request = v1::BatchPredictChurnRequest { customer_ids, as_of_time, ..Default::default() };
            let results = client.batch_predict_churn(request).await.unwrap().into_inner().results;
            let mut models: Vec<(String, i32)> = results
                .into_iter()
                .filter_map(|result| match result.result {
                    Some(Item::Score(score)) => Some((score.model, score.horizon_days)),
                    _ => None,
                })
                .collect();
            assert!(models.len() > 5);
            models.dedup();
            assert_eq!(models.len(), 1, "{models:?}");
            models.remove(0).0
        }
    }
}

/// Asks until `stop` is set. Returns the number of calls and the models that answered.
fn start_client(
    tally: &Tally,
    question: Question,
    stop: &Arc<AtomicBool>,
) -> JoinHandle<(u64, BTreeSet<String>)> {
    let (mut client, stop) = (tally.scoring(), Arc::clone(stop));
    tokio::spawn(async move {
        let (mut calls, mut models) = (0, BTreeSet::new());
        while !stop.load(Ordering::Relaxed) {
            models.insert(models_of_call(&mut client, &question).await);
            calls += 1;
        }
        (calls, models)
    })
}

async fn a_thousand_promotions_during_traffic_fail_no_call_and_mix_no_batch(tally: Tally) {
    trained(&tally).await;
    let business = business(250, 11, time(NOW));
    let buyer = business.iter().find(|customer| has_kind(customer, "purchase")).unwrap().customer_id;
    let batch =
        Question::Batch(business.iter().map(|customer| customer.customer_id).take(20).collect::<Vec<_>>());
    let other = Tally::start(tally.database.again()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let clients = [
        start_client(&tally, Question::One(buyer.clone()), &stop),
        start_client(&tally, batch.clone(), &stop),
        start_client(&other, batch, &stop),
    ];
    let promoting = async |target: &str| {
        for n in 0..500 {
            let model = format!("{target}/{}", 1 + n % 2);
            promote(&tally, &model, true).await.unwrap();
            if target == "churn" {
                assert_eq!(serving_model(&tally, &buyer).await.unwrap(), model, "at once on this server");
            }
        }
    };
    tokio::join!(promoting("churn"), promoting("lead"));
    promote(&tally, "churn/1", true).await.unwrap();
    let picked_up = async { while serving_model(&other, &buyer).await.unwrap() != "churn/1" {} };
    let picked_up = tokio::time::timeout(Duration::from_secs(5), picked_up).await;
    picked_up.expect("the other server knows within 5 s");
    stop.store(true, Ordering::Relaxed);
    for (n, client) in clients.into_iter().enumerate() {
        let (calls, models) = client.await.unwrap();
        assert!(calls > 100, "client {n} made {calls} calls");
        assert!(n == 2 || models.len() == 2, "client {n} saw {models:?}");
    }
    assert_eq!(assert_unbroken_line(tally.models()).await.len(), 503);
}

async fn promotions_at_the_same_time_leave_an_unbroken_line_of_champions(tally: Tally) {
    tally.simulate(&business(250, 11, time(NOW))).await;
    for _ in 0..3 {
        tally.train_with_spec("churn", POOR, &["--as-of", NOW, "--promote", "never"]);
    }
    let other = Tally::start(tally.database.again()).await;
    let (mut moved, mut lost) = (0, 0);
    for round in 0..10 {
        let calls = (0..6_usize).map(|n| {
            let server = if n % 2 == 0 { &tally } else { &other };
            let model = format!("churn/{}", 1 + (round + n / 2) % 3);
            async move { promote(server, &model, true).await.map(drop) }
        });
        for result in futures_util::future::join_all(calls).await {
            match result {
                Ok(()) => moved += 1,
                Err(status) if status.code() == Code::Aborted => {
                    assert!(status.message().contains("moved by somebody else meanwhile"), "{status:?}");
                    assert_refused(Err::<(), _>(status), Code::Aborted, "LOST_RACE", &[]);
                    lost += 1;
                }
                refused => assert_refused(refused, Code::FailedPrecondition, "ALREADY_CHAMPION", &[]),
            }
        }
    }
    assert!(moved >= 10 && lost > 0, "{moved} moved, {lost} lost the race");
    assert_eq!(assert_unbroken_line(tally.models()).await.len(), moved);
}

/// Promotes two models in turn until the server is gone, and signals each answer. Returns the number of
/// acknowledged promotions.
async fn promote_in_turn(mut client: ModelServiceClient<Channel>, answered: mpsc::Sender<()>) -> usize {
    let mut acknowledged = 0;
    for n in 0.. {
        let model = ["churn/1", "churn/2"][n % 2].to_owned();
        let request = v1::PromoteModelRequest { model, force: true, ..Default::default() };
        match client.promote_model(request).await {
            Ok(_) => acknowledged += 1,
            // The champion already: a promotion that was made but not acknowledged.
            Err(status) if status.code() == Code::FailedPrecondition => {}
            Err(_) => break,
        }
        let _ = answered.send(()).await;
    }
    acknowledged
}

async fn a_killed_server_leaves_one_champion_and_a_complete_audit(tally: Tally) {
    tally.simulate(&business(250, 11, time(NOW))).await;
    for _ in 0..2 {
        tally.train_with_spec("churn", POOR, &["--as-of", NOW, "--promote", "always"]);
    }
    let mut known = 2;
    for round in 0..5 {
        let process = ServeProcess::start(&tally.database.url, &[]);
        let channel = Channel::from_shared(process.url()).unwrap().connect().await.unwrap();
        let (answered, mut answers) = mpsc::channel(1);
        let promoting = tokio::spawn(promote_in_turn(ModelServiceClient::new(channel), answered));
        for _ in 0..=round {
            answers.recv().await.unwrap();
        }
        // Killed, not terminated, while further promotions are in progress.
        drop(process);
        drop(answers);
        known += promoting.await.unwrap();
        let moves = assert_unbroken_line(tally.models()).await.len();
        assert!((known..=known + 1).contains(&moves), "{known} acknowledged, {moves} audited");
        known = moves;
    }
}
