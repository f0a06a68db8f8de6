//! Champions: how they are moved, what is noted of it, and that serving never suffers from it.

use std::{
    collections::{BTreeMap, HashMap},
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use prost_types::value::Kind;
use tally_model::{
    simulate::Business,
    time::{DAY, Time},
};
use tally_proto::v1::{self, batch_result::Result as Item, model_service_client::ModelServiceClient};
use tally_service::{app::App, platform::clock::system_clock};
use tonic::{Code, Status, transport::Channel};

use crate::support::{
    Database, Served, Tally, assert_refused, customer, interaction, on_both_stores, program, text, time,
    timestamp,
};

on_both_stores!(
    the_gate_refuses_force_overrides_and_all_of_it_is_audited,
    rollbacks_walk_back_and_skip_nothing,
    a_retrained_model_is_compared_on_rows_that_neither_has_learned_from,
    a_preview_counts_whose_grade_changes_and_their_money,
    a_thousand_promotions_during_traffic_fail_no_call_and_mix_no_batch,
    damaged_models_are_refused_and_the_old_one_serves_on,
    promotions_at_the_same_time_leave_one_line_of_champions,
    a_server_killed_in_the_middle_leaves_one_champion_and_its_audit,
);

const NOW: &str = "2024-06-01";

fn business(customers: usize) -> Business {
    Business { customers, ..Business::new(11, time(NOW)) }
}

/// Trains churn with a spec of these features.
fn train(tally: &Tally, features: &str, arguments: &[&str]) -> String {
    train_one(tally, "churn", features, arguments)
}

fn train_one(tally: &Tally, target: &str, features: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("spec.toml");
    std::fs::write(&spec, format!("[features]\n{features}\n")).unwrap();
    tally.train(&[[target, "--spec", text(&spec)].as_slice(), arguments].concat())
}

/// Features of a model that is quickly trained.
const POOR: &str = "kinds = []\nwindows_days = []\nattributes = []";
/// A model of [`subscribers`] that knows their plan, and one that does not: the clearly worse one.
const SEEING: &str = "kinds = []\nwindows_days = []\nattributes = [\"plan\"]\n[churn]\nevent = \"cancel\"";
const BLIND: &str = "kinds = []\nwindows_days = []\nattributes = []\n[churn]\nevent = \"cancel\"";

/// Subscribers who pay once, when they come. Of those with the plan `loose` six in ten cancel within any
/// 90 days, of the others one in twenty; nothing else tells them apart.
async fn subscribers(tally: &Tally) -> Vec<Paid> {
    let (mut customers, mut interactions, mut paid) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..500_i64 {
        let draw = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
        let uniform = (draw as f64 + 0.5) / (1_u64 << 53) as f64;
        let (plan, leaving) = if n % 2 == 0 { ("loose", 0.6_f64) } else { ("fixed", 0.05) };
        let came = time("2022-06-01").plus_days(n * 640 / 500);
        let days = uniform.ln() / (1.0 - leaving).ln() * 90.0;
        let left = Time(came.0 + (days * DAY as f64) as i64);
        let (id, amount) = (format!("s{n:03}"), 1_000 + n);
        customers.push(customer(&id, &came.to_string(), &[("plan", Kind::StringValue(plan.to_owned()))]));
        let mut purchase = interaction(&id, "paid", "purchase", &came.to_string());
        purchase.amount_minor = Some(amount);
        interactions.push(purchase);
        if left < time(NOW) {
            interactions.push(interaction(&id, "left", "cancel", &left.to_string()));
        }
        paid.push(Paid { id, time: came, amount, stays: left >= time(NOW) });
    }
    tally.upsert(customers).await.unwrap();
    tally.backfill(interactions).await.unwrap();
    paid
}

/// What a subscriber paid and when, and whether they are still there [`NOW`].
struct Paid {
    id: String,
    time: Time,
    amount: i64,
    stays: bool,
}

async fn promote(tally: &Tally, model: &str, force: bool) -> Result<v1::PromoteModelResponse, Status> {
    let request = v1::PromoteModelRequest {
        model: model.to_owned(),
        force,
        reason: "a test".to_owned(),
        requested_by: "tester".to_owned(),
    };
    Ok(tally.models().promote_model(request).await?.into_inner())
}

async fn roll_back(tally: &Tally, target: v1::Target) -> Result<v1::Promotion, Status> {
    let request = v1::RollbackModelRequest { target: target.into(), ..Default::default() };
    Ok(tally.models().rollback_model(request).await?.into_inner().promotion.unwrap())
}

/// All moves of the churn champion, oldest first, by small pages.
async fn history(client: &mut ModelServiceClient<Channel>) -> Vec<v1::Promotion> {
    let mut request =
        v1::ListPromotionsRequest { target: v1::Target::Churn.into(), page_size: 200, ..Default::default() };
    let mut all = Vec::new();
    loop {
        let page = client.list_promotions(request.clone()).await.unwrap().into_inner();
        all.extend(page.promotions);
        request.page_token = page.next_page_token;
        if request.page_token.is_empty() {
            all.reverse();
            return all;
        }
    }
}

/// Asserts that the moves are one line without a gap that ends at the only champion.
async fn assert_one_line(mut client: ModelServiceClient<Channel>) -> Vec<v1::Promotion> {
    let moves = history(&mut client).await;
    let mut champion = String::new();
    for (n, promotion) in moves.iter().enumerate() {
        assert_eq!((promotion.sequence, &promotion.from_model), (n as i64 + 1, &champion), "{moves:?}");
        champion.clone_from(&promotion.to_model);
    }
    let request = v1::ListModelsRequest { target: v1::Target::Churn.into(), ..Default::default() };
    let models = client.list_models(request).await.unwrap().into_inner().models;
    let champions: Vec<String> =
        models.into_iter().filter(|model| model.champion).map(|model| model.name).collect();
    assert_eq!(champions, [champion]);
    moves
}

async fn card(tally: &Tally, model: &str) -> v1::Model {
    let request = v1::GetModelRequest { model: model.to_owned() };
    tally.models().get_model(request).await.unwrap().into_inner().model.unwrap()
}

/// Somebody who can be asked about churn.
fn buyer(business: &Business) -> String {
    let buys = |i: &tally_model::simulate::SimulatedInteraction| i.kind == "purchase";
    business.iter().find(|customer| customer.interactions.iter().any(buys)).unwrap().customer_id
}

async fn serving(tally: &Tally, customer_id: &str) -> Result<String, Status> {
    let request = v1::PredictChurnRequest {
        customer_id: customer_id.to_owned(),
        as_of_time: Some(timestamp(time(NOW))),
        ..Default::default()
    };
    Ok(tally.scoring().predict_churn(request).await?.into_inner().model)
}

async fn the_gate_refuses_force_overrides_and_all_of_it_is_audited(tally: Tally) {
    let subscribers = subscribers(&tally).await;
    train(&tally, SEEING, &["--as-of", NOW]);
    let told = train(&tally, BLIND, &["--as-of", NOW]);
    assert!(told.contains("does not serve: worse than churn/1") && !told.contains("may be chance"), "{told}");
    train(&tally, BLIND, &["--as-of", NOW, "--horizon-days", "60"]);
    let asked = subscribers.into_iter().find(|subscriber| subscriber.stays).unwrap().id;
    let precondition = |refused, reason| assert_refused(refused, Code::FailedPrecondition, reason, &[]);

    precondition(promote(&tally, "churn/1", false).await, "ALREADY_CHAMPION");
    precondition(promote(&tally, "churn/3", false).await, "NOT_COMPARABLE");
    let worse = promote(&tally, "churn/2", false).await;
    let (good, poor) = (card(&tally, "churn/1").await, card(&tally, "churn/2").await);
    let (good, poor) = (good.holdout.unwrap(), poor.holdout.unwrap());
    let said = worse.as_ref().unwrap_err().message().to_owned();
    let numbers = format!("have log loss {:.4}, need {:.4}", poor.log_loss, good.log_loss);
    assert!(said.contains("worse than churn/1") && said.contains(&numbers), "{said}");
    precondition(worse, "WORSE_THAN_CHAMPION");
    assert_eq!(serving(&tally, &asked).await.unwrap(), "churn/1", "nothing has moved");
    let not_found = promote(&tally, "churn/9", true).await;
    assert_refused(not_found, Code::NotFound, "MODEL_NOT_FOUND", &[]);

    let forced = promote(&tally, "churn/2", true).await.unwrap();
    assert_eq!(serving(&tally, &asked).await.unwrap(), "churn/2", "at once on this server");
    // Both have the whole holdout in common: the figures are those of their cards.
    let compared = forced.comparison.unwrap();
    assert_eq!((compared.champion.as_str(), compared.rows), ("churn/1", poor.rows));
    assert!((compared.candidate_log_loss - poor.log_loss).abs() < 1e-9, "{compared:?} {poor:?}");
    assert!((compared.champion_log_loss - good.log_loss).abs() < 1e-9, "{compared:?} {good:?}");
    assert!(0.0 < compared.lower && compared.lower < compared.difference, "{compared:?}");
    assert!(compared.difference < compared.upper && compared.customers < compared.rows, "{compared:?}");
    let back = promote(&tally, "churn/1", false).await.unwrap().comparison.unwrap();
    assert!((back.difference + compared.difference).abs() < 1e-9 && back.upper < 0.0, "{back:?}");
    promote(&tally, "churn/3", true).await.unwrap();

    let moves = assert_one_line(tally.models()).await;
    let told: Vec<_> = moves
        .iter()
        .map(|m| (m.from_model.as_str(), m.to_model.as_str(), m.kind(), m.forced, m.reason.as_str()))
        .collect();
    use v1::PromotionKind::{Promote, Training};
    assert_eq!(
        told,
        [
            ("", "churn/1", Training, false, "passed the gate"),
            ("churn/1", "churn/2", Promote, true, "a test"),
            ("churn/2", "churn/1", Promote, false, "a test"),
            ("churn/1", "churn/3", Promote, true, "a test"),
        ]
    );
    assert!(moves[0].who.contains('@') && moves[1].who == "tester (unchecked) from 127.0.0.1", "{moves:?}");
    assert!(moves[1].gate_result.starts_with("worse than churn/1"), "{moves:?}");
    assert!(
        moves[3].gate_result.contains("a cancel within 90 days, not a cancel within 60 days"),
        "{moves:?}"
    );
    let request =
        v1::ListPromotionsRequest { target: v1::Target::Churn.into(), page_size: 3, ..Default::default() };
    let page = tally.models().list_promotions(request).await.unwrap().into_inner();
    let sequence: Vec<i64> = page.promotions.iter().map(|m| m.sequence).collect();
    assert!(sequence == [4, 3, 2] && !page.next_page_token.is_empty());

    // A deleted customer is gone from the holdouts, too.
    let rows = format!("SELECT count(*) FROM holdout_scores WHERE customer_id = '{asked}'");
    assert!(tally.database.sql(&rows).await.unwrap() > 0);
    let request = v1::DeleteCustomerRequest { customer_id: asked };
    tally.customers().delete_customer(request).await.unwrap();
    assert_eq!(tally.database.sql(&rows).await, Some(0));
}

async fn rollbacks_walk_back_and_skip_nothing(tally: Tally) {
    tally.simulate(&business(300)).await;
    for _ in 0..4 {
        train(&tally, POOR, &["--as-of", NOW, "--promote", "always"]);
    }
    let churn = v1::Target::Churn;
    let back = roll_back(&tally, churn).await.unwrap();
    assert_eq!((back.from_model.as_str(), back.to_model.as_str()), ("churn/4", "churn/3"));
    assert_eq!(
        (back.kind(), back.sequence, back.who.as_str()),
        (v1::PromotionKind::Rollback, 5, "127.0.0.1")
    );
    assert_eq!(roll_back(&tally, churn).await.unwrap().to_model, "churn/2");
    // What was rolled back is out of the line: 1, 2, 4 are its members now.
    promote(&tally, "churn/4", true).await.unwrap();
    assert_eq!(roll_back(&tally, churn).await.unwrap().to_model, "churn/2");
    // A damaged former champion is named, not skipped.
    let damage =
        "UPDATE models SET artifact = substr(artifact, 1, 100) WHERE target = 'churn' AND version = 1";
    tally.database.sql(damage).await;
    let refused = roll_back(&tally, churn).await;
    assert!(refused.as_ref().unwrap_err().message().contains("churn/1"), "{refused:?}");
    assert_refused(refused, Code::FailedPrecondition, "UNREADABLE_MODEL", &[]);
    let copy = "UPDATE models SET artifact = (SELECT artifact FROM models WHERE target = 'churn' AND version = 2) \
                WHERE target = 'churn' AND version = 1";
    tally.database.sql(copy).await;
    assert_eq!(roll_back(&tally, churn).await.unwrap().to_model, "churn/1");
    let refused = roll_back(&tally, churn).await;
    assert_refused(refused, Code::FailedPrecondition, "NO_FORMER_CHAMPION", &[]);
    promote(&tally, "churn/3", true).await.unwrap();
    assert_eq!(roll_back(&tally, churn).await.unwrap().to_model, "churn/1");
    assert_one_line(tally.models()).await;
}

async fn a_retrained_model_is_compared_on_rows_that_neither_has_learned_from(tally: Tally) {
    subscribers(&tally).await;
    // Eleven days between them: no snapshot of the two stands at the same moment.
    train(&tally, SEEING, &["--as-of", "2024-05-21"]);
    tally.database.sql("CREATE TABLE start AS SELECT min(as_of_time) AS time FROM holdout_scores").await;
    let told = train(&tally, BLIND, &["--as-of", NOW]);
    assert!(told.contains("does not serve: worse than churn/1 on the same"), "{told}");
    let told = train(&tally, SEEING, &["--as-of", NOW, "--promote", "never"]);
    assert!(told.contains("promotion was not wanted; ") && told.contains(" churn/1 on the same"), "{told}");
    // What was said at the training serves the gate later, too.
    let refused = promote(&tally, "churn/2", false).await;
    assert_refused(refused, Code::FailedPrecondition, "WORSE_THAN_CHAMPION", &[]);
    let preview = v1::PreviewPromotionRequest { model: "churn/3".into(), as_of_time: None };
    let preview = tally.models().preview_promotion(preview).await.unwrap().into_inner();
    let holdout = card(&tally, "churn/3").await.holdout.unwrap();
    let compared = preview.comparison.unwrap();
    assert!(compared.rows > 100 && compared.rows <= holdout.rows, "{compared:?} {holdout:?}");
    // Of the holdout of an older training, the rows that the champion's evaluation learned from are
    // left out: its own holdout begins later.
    train(&tally, BLIND, &["--as-of", "2024-05-10", "--promote", "never"]);
    let count = async |which: &str| {
        let asked = format!("SELECT count(*) FROM holdout_scores AS own, start WHERE {which}");
        tally.database.sql(&asked).await.unwrap()
    };
    assert!(count("model_version = 4 AND as_of_time < start.time").await > 0);
    assert_eq!(count("model_version = 1 AND as_of_time < start.time").await, 0);
    let preview = v1::PreviewPromotionRequest { model: "churn/4".into(), as_of_time: None };
    let preview = tally.models().preview_promotion(preview).await.unwrap().into_inner();
    assert!(preview.comparison.is_some(), "what is left suffices: {preview:?}");
}

async fn a_preview_counts_whose_grade_changes_and_their_money(tally: Tally) {
    let subscribers = subscribers(&tally).await;
    train(&tally, SEEING, &["--as-of", NOW]);
    train(&tally, BLIND, &["--as-of", NOW]);
    let request =
        v1::PreviewPromotionRequest { model: "churn/2".into(), as_of_time: Some(timestamp(time(NOW))) };
    let preview = tally.models().preview_promotion(request).await.unwrap().into_inner();

    // The same by scoring everybody with both, and adding up what was paid.
    let mut grades: HashMap<String, Vec<v1::Grade>> = HashMap::new();
    for model in ["churn/1", "churn/2"] {
        let request = v1::BatchPredictChurnRequest {
            customer_ids: subscribers.iter().map(|subscriber| subscriber.id.clone()).collect(),
            as_of_time: Some(timestamp(time(NOW))),
            model: model.to_owned(),
            ..Default::default()
        };
        for item in tally.scoring().batch_predict_churn(request).await.unwrap().into_inner().results {
            if let Some(Item::Score(score)) = item.result {
                let grade = score.grade();
                grades.entry(score.customer_id).or_default().push(grade);
            }
        }
    }
    let since = time(NOW).plus_days(-365);
    let mut cells: BTreeMap<(i32, i32), (i64, i64)> = BTreeMap::new();
    for Paid { id, time, amount, .. } in &subscribers {
        let Some(both) = grades.get(id) else { continue };
        let cell = cells.entry((both[0].into(), both[1].into())).or_default();
        cell.0 += 1;
        cell.1 += if since < *time { *amount } else { 0 };
    }
    let sum = |wanted: &dyn Fn(&(i32, i32)) -> bool| {
        let wanted = cells.iter().filter(|(grades, _)| wanted(grades)).map(|(_, cell)| *cell);
        wanted.fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    };
    assert_eq!((preview.customers, preview.amount_minor), sum(&|_| true));
    assert_eq!((preview.changed_customers, preview.changed_amount_minor), sum(&|(from, to)| from != to));
    assert!(preview.changed_customers > 50 && preview.changed_amount_minor > 0, "{preview:?}");
    assert_eq!(preview.changes.len(), 16);
    for change in &preview.changes {
        let wanted = cells.get(&(change.from_grade, change.to_grade)).copied().unwrap_or_default();
        assert_eq!((change.customers, change.amount_minor), wanted, "{change:?}");
    }
    assert_eq!((preview.model.as_str(), preview.champion.as_str()), ("churn/2", "churn/1"));
    assert!(preview.comparison.as_ref().unwrap().lower > 0.0, "{preview:?}");
    assert!(preview.refusal.contains("worse than churn/1"), "{preview:?}");
    // Nothing changes when the champion takes its own place.
    let request = v1::PreviewPromotionRequest { model: "churn/1".into(), as_of_time: None };
    let same = tally.models().preview_promotion(request).await.unwrap().into_inner();
    assert_eq!((same.changed_customers, same.refusal.as_str()), (0, ""));
    assert!(same.customers > 0);
}

async fn a_thousand_promotions_during_traffic_fail_no_call_and_mix_no_batch(tally: Tally) {
    let business = business(250);
    tally.simulate(&business).await;
    train(&tally, POOR, &["--as-of", NOW]);
    train(&tally, POOR, &["--as-of", NOW, "--horizon-days", "60", "--promote", "always"]);
    for _ in 0..2 {
        train_one(&tally, "lead", POOR, &["--as-of", NOW, "--promote", "always"]);
    }
    let elsewhere = Tally::start(tally.database.again()).await;
    let over = Arc::new(AtomicBool::new(false));
    let ids: Vec<String> = business.iter().map(|customer| customer.customer_id).take(20).collect();
    let asked = buyer(&business);
    let mut traffic = Vec::new();
    for (n, server) in [&tally, &tally, &elsewhere].into_iter().enumerate() {
        let (mut client, over, ids, asked) = (server.scoring(), over.clone(), ids.clone(), asked.clone());
        traffic.push(tokio::spawn(async move {
            let (mut calls, mut models) = (0_u64, std::collections::BTreeSet::new());
            while !over.load(Ordering::Relaxed) {
                let as_of_time = Some(timestamp(time(NOW)));
                if n == 0 {
                    let customer_id = asked.clone();
                    let request = v1::PredictChurnRequest { customer_id, as_of_time, ..Default::default() };
                    models.insert(client.predict_churn(request).await.unwrap().into_inner().model);
                } else {
                    let customer_ids = ids.clone();
                    let request =
                        v1::BatchPredictChurnRequest { customer_ids, as_of_time, ..Default::default() };
                    let results = client.batch_predict_churn(request).await.unwrap().into_inner().results;
                    let mut of_batch: Vec<(String, i32)> = results
                        .into_iter()
                        .filter_map(|result| match result.result {
                            Some(Item::Score(score)) => Some((score.model, score.horizon_days)),
                            _ => None,
                        })
                        .collect();
                    assert!(of_batch.len() > 5);
                    of_batch.dedup();
                    assert_eq!(of_batch.len(), 1, "{of_batch:?}");
                    models.extend(of_batch.into_iter().map(|(model, _)| model));
                }
                calls += 1;
            }
            (calls, models)
        }));
    }
    let promoting = async |target: &str| {
        for n in 0..500 {
            let model = format!("{target}/{}", 1 + n % 2);
            promote(&tally, &model, true).await.unwrap();
            if target == "churn" {
                assert_eq!(serving(&tally, &asked).await.unwrap(), model, "at once on this server");
            }
        }
    };
    tokio::join!(promoting("churn"), promoting("lead"));
    // Elsewhere it is known within seconds.
    promote(&tally, "churn/1", true).await.unwrap();
    let heard = async { while serving(&elsewhere, &asked).await.unwrap() != "churn/1" {} };
    tokio::time::timeout(Duration::from_secs(5), heard).await.expect("within 5 s");
    over.store(true, Ordering::Relaxed);
    for (n, client) in traffic.into_iter().enumerate() {
        let (calls, models) = client.await.unwrap();
        assert!(calls > 100, "client {n} made {calls} calls");
        assert!(n == 2 || models.len() == 2, "client {n} saw {models:?}");
    }
    assert_eq!(assert_one_line(tally.models()).await.len(), 503);
}

/// What may become of stored bytes, by database.
fn damages(database: &Database) -> Vec<(&'static str, String, &'static str)> {
    let sqlite = database.url.starts_with("sqlite");
    let zeros = |bytes: usize| {
        if sqlite { format!("zeroblob({bytes})") } else { format!("decode(repeat('00', {bytes}), 'hex')") }
    };
    let flipped = if sqlite {
        // SQLite has no function for a bit of a blob: a byte of the middle becomes another.
        "CAST(substr(artifact, 1, length(artifact) / 2) || X'00' || substr(artifact, length(artifact) / 2 + 2) \
         AS BLOB)"
    } else {
        "set_bit(artifact, 4 * length(artifact), 1 - get_bit(artifact, 4 * length(artifact)))"
    };
    let foreign = |bytes: &str| {
        if sqlite { format!("CAST('{bytes}' AS BLOB)") } else { format!("convert_to('{bytes}', 'UTF8')") }
    };
    vec![
        ("truncated", "substr(artifact, 1, length(artifact) - 10)".to_owned(), "checksum"),
        ("cut to nothing", zeros(0), "not a model"),
        ("flipped", flipped.to_owned(), "checksum"),
        ("foreign", foreign("PK, a zip file perhaps"), "not a model"),
        (
            "of another target",
            "(SELECT artifact FROM models WHERE target = 'lead' AND version = 1)".to_owned(),
            "is about lead",
        ),
        ("oversize", zeros((64 << 20) + 1), "larger than"),
    ]
}

async fn damaged_models_are_refused_and_the_old_one_serves_on(tally: Tally) {
    let business = business(400);
    tally.simulate(&business).await;
    let asked = buyer(&business);
    train(&tally, POOR, &["--as-of", NOW]);
    train(&tally, POOR, &["--as-of", NOW, "--promote", "never"]);
    tally.train(&["lead", "--as-of", NOW]);
    tally.train(&["lead", "--as-of", NOW, "--promote", "never"]);
    let keep = "CREATE TABLE whole AS SELECT artifact FROM models WHERE target = 'churn' AND version = 2";
    tally.database.sql(keep).await;
    assert_eq!(serving(&tally, &asked).await.unwrap(), "churn/1");
    for (n, (damage, bytes, told)) in damages(&tally.database).into_iter().enumerate() {
        let write = |bytes: &str| {
            format!("UPDATE models SET artifact = {bytes} WHERE target = 'churn' AND version = 2")
        };
        tally.database.sql(&write("(SELECT artifact FROM whole)")).await;
        tally.database.sql(&write(&bytes)).await;
        // It cannot be promoted, not even by force.
        let refused = promote(&tally, "churn/2", true).await;
        assert!(refused.as_ref().unwrap_err().message().contains(told), "{damage}: {refused:?}");
        assert_refused(refused, Code::FailedPrecondition, "UNREADABLE_MODEL", &[]);
        // If it is the champion all the same, the one before serves on. Promoting a lead model makes
        // this server look.
        tally.database.sql("UPDATE champions SET version = 2 WHERE target = 'churn'").await;
        promote(&tally, ["lead/2", "lead/1"][n % 2], true).await.unwrap();
        assert_eq!(serving(&tally, &asked).await.unwrap(), "churn/1", "{damage}");
        // A server that starts now says what is wrong.
        let app = App::new(tally_store::open(&tally.database.url).await.unwrap(), 16 << 20, system_clock)
            .await
            .unwrap();
        let refused = app.catalog.champion(tally_model::spec::Target::Churn).await.unwrap_err();
        assert!(refused.to_string().contains("churn/2 cannot be read"), "{damage}: {refused}");
        // The list and the card say so, and have all others.
        let models = tally.models().list_models(v1::ListModelsRequest::default()).await.unwrap();
        let models = models.into_inner().models;
        assert_eq!(models.len(), 4);
        for model in &models {
            assert_eq!(model.problem.contains(told), model.name == "churn/2", "{damage}: {model:?}");
            assert_eq!(model.holdout.is_some(), model.name != "churn/2", "{damage}: {model:?}");
        }
        assert_eq!(card(&tally, "churn/2").await, models[0]);
        // A training goes on, and says why it does not promote.
        if damage == "flipped" {
            let told = train(&tally, POOR, &["--as-of", NOW]);
            assert!(told.contains("does not serve: not comparable with churn/2"), "{told}");
            tally.database.sql("DELETE FROM models WHERE target = 'churn' AND version = 3").await;
        }
        tally.database.sql("UPDATE champions SET version = 1 WHERE target = 'churn'").await;
    }
    // Repaired, it serves.
    let heal =
        "UPDATE models SET artifact = (SELECT artifact FROM whole) WHERE target = 'churn' AND version = 2";
    tally.database.sql(heal).await;
    promote(&tally, "churn/2", true).await.unwrap();
    assert_eq!(serving(&tally, &asked).await.unwrap(), "churn/2");
}

/// A place for log lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_damaged_champion_is_logged_once() {
    let mut tally = Tally::start(Database::sqlite()).await;
    tally.simulate(&business(300)).await;
    train(&tally, POOR, &["--as-of", NOW]);
    tally.database.sql("UPDATE models SET artifact = substr(artifact, 1, 50)").await;
    // It would log on this thread, too.
    tally.stop().await;
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let app = App::new(tally_store::open(&tally.database.url).await.unwrap(), 16 << 20, system_clock)
        .await
        .unwrap();
    for _ in 0..5 {
        app.catalog.refresh().await.unwrap();
        app.catalog.champion(tally_model::spec::Target::Churn).await.unwrap_err();
    }
    let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let alarms: Vec<&str> = logged.lines().filter(|line| line.contains("cannot be read")).collect();
    assert!(alarms.len() == 1 && alarms[0].contains("ERROR") && alarms[0].contains("churn/1"), "{logged}");
}

async fn promotions_at_the_same_time_leave_one_line_of_champions(tally: Tally) {
    tally.simulate(&business(250)).await;
    for _ in 0..3 {
        train(&tally, POOR, &["--as-of", NOW, "--promote", "never"]);
    }
    let elsewhere = Tally::start(tally.database.again()).await;
    let (mut moved, mut lost) = (0, 0);
    for round in 0..10 {
        let calls = (0..6_usize).map(|n| {
            let server = if n % 2 == 0 { &tally } else { &elsewhere };
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
                Err(status) => {
                    assert_refused(Err::<(), _>(status), Code::FailedPrecondition, "ALREADY_CHAMPION", &[]);
                }
            }
        }
    }
    assert!(moved >= 10 && lost > 0, "{moved} moved, {lost} lost the race");
    assert_eq!(assert_one_line(tally.models()).await.len(), moved);
}

async fn a_server_killed_in_the_middle_leaves_one_champion_and_its_audit(tally: Tally) {
    tally.simulate(&business(250)).await;
    for _ in 0..2 {
        train(&tally, POOR, &["--as-of", NOW, "--promote", "always"]);
    }
    let mut known = 2;
    for round in 0..5 {
        let served = Served::start(&tally.database.url, &[]);
        let channel = Channel::from_shared(served.url()).unwrap().connect().await.unwrap();
        let (promoted, mut seen) = tokio::sync::mpsc::channel(1);
        let promoting = tokio::spawn(async move {
            let mut client = ModelServiceClient::new(channel);
            let mut acknowledged = 0;
            for n in 0.. {
                let model = ["churn/1", "churn/2"][n % 2].to_owned();
                let request = v1::PromoteModelRequest { model, force: true, ..Default::default() };
                match client.promote_model(request).await {
                    Ok(_) => acknowledged += 1,
                    // The one before was not acknowledged, but made.
                    Err(status) if status.code() == Code::FailedPrecondition => {}
                    Err(_) => break,
                }
                let _ = promoted.send(()).await;
            }
            acknowledged
        });
        for _ in 0..=round {
            seen.recv().await.unwrap();
        }
        // Killed, not asked to end, while further promotions are on their way.
        drop(served);
        drop(seen);
        known += promoting.await.unwrap();
        let moves = assert_one_line(tally.models()).await.len();
        assert!((known..=known + 1).contains(&moves), "{known} acknowledged, {moves} audited");
        known = moves;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_moves_champions() {
    let database = Database::sqlite();
    let served = Served::start(&database.url, &[]);
    let tally = Tally::start(database).await;
    subscribers(&tally).await;
    train(&tally, SEEING, &["--as-of", NOW]);
    train(&tally, BLIND, &["--as-of", NOW]);
    let run = |arguments: &[&str]| {
        let server = served.url();
        let output = program("tally", "").args(["--server", &server, "models"]).args(arguments).output();
        let output = output.unwrap();
        let (told, failed) = (String::from_utf8(output.stdout), String::from_utf8(output.stderr));
        if output.status.success() { Ok(told.unwrap()) } else { Err(failed.unwrap()) }
    };
    let preview = run(&["preview", "churn/2", "--as-of", NOW]).unwrap();
    assert!(
        preview.contains("customers would change grade") && preview.contains("would refuse: "),
        "{preview}"
    );
    let refused = run(&["promote", "churn/2"]).unwrap_err();
    assert!(refused.contains("worse than churn/1") && refused.contains("WORSE_THAN_CHAMPION"), "{refused}");
    let moved = run(&["promote", "churn/2", "--force", "--reason", "a try"]).unwrap();
    assert!(
        moved.starts_with("churn/2 serves now, in place of churn/1, by force: worse than churn/1 on"),
        "{moved}"
    );
    let moved = run(&["rollback", "churn", "--reason", "it was bad"]).unwrap();
    assert_eq!(moved, "churn/1 serves now, in place of churn/2\n");
    let history = run(&["history", "churn"]).unwrap();
    for word in ["a try", "it was bad", "rollback", "forced", "(unchecked) from 127.0.0.1"] {
        assert!(history.contains(word), "{word}: {history}");
    }
    let lines = run(&["history", "churn", "--json"]).unwrap();
    let kinds: Vec<serde_json::Value> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["kind"].clone())
        .collect();
    assert_eq!(kinds, ["ROLLBACK", "PROMOTE", "TRAINING"]);
}
