//! Stored predictions come out again bit for bit, whatever came later, also when writes were under
//! way as they were made; what does not is told; and the change between two is split exactly.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::atomic::{AtomicI64, Ordering},
};

use prost_types::value::Kind;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};
use tally_model::{
    simulate::Business,
    time::{DAY, Time},
};
use tally_proto::v1::{self, batch_result::Result as Item};
use tally_service::{app::App, platform::clock::system_clock};
use tonic::{Code, Status};

use crate::support::{
    Database, Tally, assert_refused, customer, eventually, interaction, on_both_stores, program, text,
    timestamp,
};

on_both_stores!(
    a_prediction_comes_out_again_whatever_came_later,
    what_does_not_come_out_again_is_told,
    a_kept_score_waits_for_the_writes_under_way,
    scores_kept_among_many_writers_come_out_again,
    each_part_of_a_change_can_be_the_only_one,
    a_change_of_every_kind_is_split_exactly,
    what_cannot_be_compared_is_refused,
);

/// The last midnight, at which the simulated business ends.
fn today() -> Time {
    Time(system_clock().day_number() * DAY)
}

fn business() -> Business {
    Business { customers: 600, ..Business::new(3, today()) }
}

/// A server with the business and a model of each target.
async fn trained(tally: &Tally, targets: &[&str]) {
    tally.simulate(&business()).await;
    for target in targets {
        tally.train(&[target, "--as-of", &today().to_string()]);
    }
}

/// Trains a churn model on other features: `churn/2`.
fn retrain(tally: &Tally) {
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("spec.toml");
    std::fs::write(&spec, "[features]\nwindows_days = [14, 60]\n").unwrap();
    let as_of = today().plus_days(-2).to_string();
    tally.train(&["churn", "--as-of", &as_of, "--spec", text(&spec), "--promote", "always"]);
}

/// Ids of simulated customers, by whether they have bought until a month ago.
fn who(bought: bool) -> Vec<String> {
    let early = |customer: &tally_model::simulate::SimulatedCustomer| {
        customer.interactions.iter().any(|i| i.kind == "purchase" && i.occur_time < today().plus_days(-60))
    };
    let never = |customer: &tally_model::simulate::SimulatedCustomer| {
        customer.interactions.iter().all(|i| i.kind != "purchase")
    };
    let business = business();
    let wanted = business.iter().filter(|c| if bought { early(c) } else { never(c) });
    wanted.map(|customer| customer.customer_id).collect()
}

async fn churn(tally: &Tally, id: &str, as_of: Option<Time>, model: &str, persist: bool) -> v1::Score {
    let request = v1::PredictChurnRequest {
        customer_id: id.to_owned(),
        as_of_time: as_of.map(timestamp),
        model: model.to_owned(),
        max_reasons: -1,
        persist,
    };
    tally.scoring().predict_churn(request).await.unwrap().into_inner()
}

async fn lead(tally: &Tally, id: &str, as_of: Option<Time>) -> v1::Score {
    let request = v1::ScoreLeadRequest {
        customer_id: id.to_owned(),
        as_of_time: as_of.map(timestamp),
        persist: true,
        ..Default::default()
    };
    tally.scoring().score_lead(request).await.unwrap().into_inner()
}

/// Records interactions that reach us now.
async fn record(tally: &Tally, interactions: Vec<v1::Interaction>) {
    let request = v1::RecordInteractionsRequest { interactions, backfill: false };
    tally.interactions().record_interactions(request).await.unwrap();
}

/// Something that happened at a moment.
fn event(id: &str, own: &str, kind: &str, occurred: Time) -> v1::Interaction {
    interaction(id, own, kind, &occurred.to_string())
}

async fn replay(tally: &Tally, id: &str) -> Result<v1::ReplayPredictionResponse, Status> {
    let request = v1::ReplayPredictionRequest { prediction_id: id.to_owned() };
    Ok(tally.predictions().replay_prediction(request).await?.into_inner())
}

async fn assert_identical(tally: &Tally, stored: &v1::Score) {
    let replay = replay(tally, &stored.prediction_id).await.unwrap();
    assert!(replay.identical, "{:?}", replay.differences);
    assert_eq!(replay.differences, [""; 0]);
    assert_eq!(replay.stored.as_ref(), Some(stored), "stored as it was told");
    assert_eq!(replay.score.as_ref(), Some(stored));
}

/// All stored predictions.
async fn all(tally: &Tally) -> Vec<v1::Score> {
    let mut all = Vec::new();
    for target in [v1::Target::Lead, v1::Target::Churn] {
        let latest_only = Some(false);
        let request = v1::ListPredictionsRequest { target: target.into(), latest_only, ..Default::default() };
        all.extend(tally.all_predictions(request).await);
    }
    all
}

async fn a_prediction_comes_out_again_whatever_came_later(tally: Tally) {
    trained(&tally, &["lead", "churn"]).await;
    let weeks_ago = today().plus_days(-45);
    tally.upsert(vec![customer("silent", "2024-01-01", &[])]).await.unwrap();
    record(&tally, vec![event("unstated", "first", "visit", weeks_ago)]).await;
    for as_of in [weeks_ago, system_clock()] {
        tally.score_population(v1::Target::Churn, as_of).await.unwrap();
        tally.score_population(v1::Target::Lead, as_of).await.unwrap();
    }
    let buyers = who(true);
    for id in &buyers[..20] {
        churn(&tally, id, None, "", true).await;
    }
    let cold = lead(&tally, "silent", None).await;
    assert_eq!(cold.basis(), v1::Basis::Cold);
    let unstated = lead(&tally, "unstated", None).await;
    let stored = all(&tally).await;
    assert!(stored.contains(&cold) && stored.contains(&unstated) && stored.len() > 800, "{}", stored.len());

    // Everything that may come later: interactions of before, customer records, models, scores.
    let everybody: Vec<String> =
        business().iter().map(|c| c.customer_id).chain(["silent".into(), "unstated".into()]).collect();
    for (own, kind, days) in [("late", "purchase", -50), ("back", "return", -49), ("word", "complaint", -1)] {
        let late = everybody.iter().map(|id| event(id, own, kind, today().plus_days(days)));
        record(&tally, late.collect()).await;
    }
    let other = |id: &String| customer(id, "2023-02-01", &[("region", Kind::StringValue("moon".into()))]);
    tally.upsert(everybody.iter().map(other).collect()).await.unwrap();
    retrain(&tally);
    tally.train(&["lead", "--as-of", &today().plus_days(-3).to_string(), "--promote", "always"]);
    tally.score_population(v1::Target::Churn, system_clock()).await.unwrap();

    for stored in &stored {
        assert_identical(&tally, stored).await;
    }
    let now = churn(&tally, &buyers[0], None, "churn/1", false).await;
    let then =
        stored.iter().rfind(|s| s.customer_id == buyers[0] && s.target() == v1::Target::Churn).unwrap();
    assert_ne!(now.probability, then.probability, "what came later does change the score of today");

    let gone = v1::DeleteCustomerRequest { customer_id: buyers[0].clone() };
    tally.customers().delete_customer(gone).await.unwrap();
    let refused = replay(&tally, &then.prediction_id).await;
    assert_refused(refused, Code::NotFound, "PREDICTION_NOT_FOUND", &[]);
    assert_refused(replay(&tally, "none").await, Code::NotFound, "PREDICTION_NOT_FOUND", &[]);
    let nameless = replay(&tally, "").await;
    assert_refused(nameless, Code::InvalidArgument, "INVALID_REQUEST", &["prediction_id"]);
}

/// A connection past the server, to damage or to lock what it stores.
enum Raw {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Raw {
    async fn open(tally: &Tally) -> Self {
        let url = &tally.database.url;
        if url.starts_with("sqlite") {
            Self::Sqlite(SqliteConnection::connect(url).await.unwrap())
        } else {
            Self::Postgres(PgConnection::connect(url).await.unwrap())
        }
    }

    async fn execute(&mut self, sql: &str) {
        let sql = AssertSqlSafe(sql.to_owned());
        match self {
            Self::Sqlite(connection) => drop(sqlx::query(sql).execute(connection).await.unwrap()),
            Self::Postgres(connection) => drop(sqlx::query(sql).execute(connection).await.unwrap()),
        }
    }

    /// Keeps writes about a customer from going on, until [`Raw::unlock`]. The foreign key of an interaction
    /// waits for nothing less than FOR UPDATE.
    async fn lock(&mut self, id: &str) {
        match self {
            Self::Sqlite(_) => self.execute("BEGIN IMMEDIATE").await,
            Self::Postgres(_) => {
                self.execute("BEGIN").await;
                let row = format!("SELECT 1 FROM customers WHERE customer_id = '{id}' FOR UPDATE");
                self.execute(&row).await;
            }
        }
    }

    async fn unlock(&mut self) {
        self.execute("ROLLBACK").await;
    }

    /// Waits until some connection waits for the lock. SQLite does not tell.
    async fn somebody_waits(&mut self) {
        let Self::Postgres(connection) = self else { return };
        let waiting = "SELECT count(*) FROM pg_stat_activity \
                       WHERE wait_event_type = 'Lock' AND datname = current_database()";
        eventually(async || {
            let count: i64 = sqlx::query_scalar(waiting).fetch_one(&mut *connection).await.unwrap();
            count > 0
        })
        .await;
    }
}

async fn what_does_not_come_out_again_is_told(tally: Tally) {
    trained(&tally, &["lead", "churn"]).await;
    let mut raw = Raw::open(&tally).await;
    let buyers = who(true);
    for (n, (change, field)) in [
        ("probability = probability * 0.999999", "probability: stored "),
        ("upper = 0.9999", "upper: stored 0.9999, now "),
        ("grade = CASE WHEN grade = 'A' THEN 'B' ELSE 'A' END", "grade: stored "),
        ("basis = 'cold'", "basis: stored Cold, now Model"),
        ("base_log_odds = base_log_odds + 0.5", "base_log_odds: stored "),
        ("missing_features = '[\"luck\"]'", "missing_features: stored [\"luck\"], now "),
        ("reasons = replace(CAST(reasons AS TEXT), '; typical', '; usual')TYPE", "reasons[0].text: stored "),
        ("horizon_days = 7", "horizon_days: stored 7, now 90"),
    ]
    .into_iter()
    .enumerate()
    {
        let stored = churn(&tally, &buyers[n], None, "", true).await;
        assert_identical(&tally, &stored).await;
        let change = change.replace("TYPE", if matches!(raw, Raw::Sqlite(_)) { "" } else { "::json" });
        let id = &stored.prediction_id;
        raw.execute(&format!("UPDATE predictions SET {change} WHERE prediction_id = '{id}'")).await;
        let told = replay(&tally, id).await.unwrap();
        assert!(!told.identical && told.differences[0].starts_with(field), "{field} {:?}", told.differences);
        assert!(told.differences.len() == 1 || field.starts_with("reasons"), "{:?}", told.differences);
        assert_eq!(told.score, Some(stored), "what comes out is right");
        assert_ne!(told.stored, told.score);
    }

    // A backfill says that something was known before: the past is another one.
    let id = &who(false)[0];
    let (first, second) = (lead(&tally, id, None).await, lead(&tally, id, None).await);
    assert_identical(&tally, &first).await;
    tally.backfill(vec![event(id, "before", "visit", today().plus_days(-3))]).await.unwrap();
    let told = replay(&tally, &first.prediction_id).await.unwrap();
    assert!(!told.identical && told.differences[0].starts_with("probability: stored "), "{told:?}");
    let refused = compare(&tally, &first.prediction_id, &second.prediction_id).await;
    assert_refused(refused, Code::FailedPrecondition, "NOT_REPRODUCIBLE", &[]);
    tally.backfill(vec![event(id, "bought", "purchase", today().plus_days(-2))]).await.unwrap();
    let told = replay(&tally, &first.prediction_id).await.unwrap();
    assert!(!told.identical && told.score.is_none() && told.stored == Some(first), "{told:?}");
    assert!(told.differences[0].contains("has bought before as_of_time"), "{told:?}");
}

/// A write that has taken its record time but not ended yet counts in a score that is kept, whether
/// or not its caller still waits; a score that is not kept does not wait.
async fn a_kept_score_waits_for_the_writes_under_way(tally: Tally) {
    trained(&tally, &["lead"]).await;
    let leads = who(false);
    for (id, gives_up) in [(&leads[0], false), (&leads[1], true)] {
        let plain = || async {
            for _ in 0..30 {
                let request = v1::ScoreLeadRequest { customer_id: id.clone(), ..Default::default() };
                tally.scoring().score_lead(request).await.unwrap();
            }
        };
        let mut raw = Raw::open(&tally).await;
        raw.lock(id).await;
        let visits = (0..5).map(|n| event(id, &format!("under-way-{n}"), "visit", today())).collect();
        let request = v1::RecordInteractionsRequest { interactions: visits, backfill: false };
        let mut client = tally.interactions();
        let write = tokio::spawn(async move { client.record_interactions(request).await });
        raw.somebody_waits().await;
        plain().await;
        if gives_up {
            write.abort();
            plain().await;
        }
        let request = v1::ScoreLeadRequest { customer_id: id.clone(), persist: true, ..Default::default() };
        let mut client = tally.scoring();
        let kept = tokio::spawn(async move { client.score_lead(request).await });
        plain().await;
        assert!(!kept.is_finished());
        raw.unlock().await;
        let kept = kept.await.unwrap().unwrap().into_inner();
        assert_identical(&tally, &kept).await;
        if !gives_up {
            assert_eq!(write.await.unwrap().unwrap().into_inner().recorded, 5);
        }
    }
}

async fn scores_kept_among_many_writers_come_out_again(tally: Tally) {
    trained(&tally, &["lead"]).await;
    let leads: Vec<String> = who(false).into_iter().take(15).collect();
    let kept = async {
        let mut kept = Vec::new();
        for _ in 0..25 {
            let request = v1::BatchScoreLeadsRequest {
                customer_ids: leads.clone(),
                persist: true,
                ..Default::default()
            };
            let results = tally.scoring().batch_score_leads(request).await.unwrap().into_inner().results;
            kept.extend(results.into_iter().map(|item| match item.result {
                Some(Item::Score(score)) => score,
                other => panic!("{other:?}"),
            }));
        }
        kept
    };
    let writers = futures_util::future::join_all((0..3).map(|writer| {
        let (tally, leads) = (&tally, &leads);
        async move {
            for round in 0..25 {
                let visits = leads.iter().flat_map(|id| {
                    (0..20).map(move |n| event(id, &format!("{writer}-{round}-{n}"), "visit", today()))
                });
                record(tally, visits.collect()).await;
                let stated = [("round", Kind::NumberValue(f64::from(round * 3 + writer)))];
                tally
                    .upsert(vec![customer(&leads[round as usize % 15], "2024-01-01", &stated)])
                    .await
                    .unwrap();
            }
        }
    }));
    let (kept, _) = tokio::join!(kept, writers);
    for stored in &kept {
        assert_identical(&tally, stored).await;
    }
}

/// What is recorded after a score has a later time than the score, also when the clock is set back.
#[tokio::test]
async fn time_neither_stands_still_nor_goes_back() {
    static LOOKS: AtomicI64 = AtomicI64::new(0);
    let set_back = || Time(1_000_000_000 - LOOKS.fetch_add(1, Ordering::Relaxed) / 3);
    let database = Database::sqlite();
    let app = App::new(tally_store::open(&database.url).await.unwrap(), 16 << 20, set_back).await.unwrap();
    let (looks, again) = std::thread::scope(|scope| {
        let look = || (0..1_000).map(|_| app.clock.now()).collect::<Vec<_>>();
        let threads = [scope.spawn(look), scope.spawn(look)];
        threads.map(|thread| thread.join().unwrap()).into()
    });
    assert!(looks.is_sorted_by(|a, b| a < b) && again.is_sorted_by(|a, b| a < b));
    assert_eq!(looks.iter().chain(&again).collect::<HashSet<_>>().len(), 2_000, "nobody is told the same");
}

async fn compare(tally: &Tally, from: &str, to: &str) -> Result<v1::ComparePredictionsResponse, Status> {
    let (from_prediction_id, to_prediction_id) = (from.to_owned(), to.to_owned());
    let request = v1::ComparePredictionsRequest { from_prediction_id, to_prediction_id };
    Ok(tally.predictions().compare_predictions(request).await?.into_inner())
}

/// Log-odds of a score with all its reasons.
fn log_odds(score: &v1::Score) -> f64 {
    score.base_log_odds + score.reasons.iter().map(|reason| reason.contribution).sum::<f64>()
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

/// Whether a part of a change is what lies between two scores that are given with all their reasons.
fn assert_between(part: &v1::LogOddsChange, from: &v1::Score, to: &v1::Score) {
    let reasons = |score: &v1::Score| -> BTreeMap<String, v1::Reason> {
        score.reasons.iter().map(|reason| (reason.feature.clone(), reason.clone())).collect()
    };
    let (old, new) = (reasons(from), reasons(to));
    assert!(near(part.log_odds, log_odds(to) - log_odds(from)));
    assert!(near(part.base_log_odds, to.base_log_odds - from.base_log_odds));
    let told: HashMap<&str, &v1::FeatureChange> =
        part.features.iter().map(|feature| (feature.feature.as_str(), feature)).collect();
    assert_eq!(told.len(), part.features.len(), "each feature once");
    for feature in old.keys().chain(new.keys()) {
        let (from, to) = (old.get(feature), new.get(feature));
        let of = |reason: Option<&v1::Reason>| reason.map_or(0.0, |reason| reason.contribution);
        match told.get(feature.as_str()) {
            Some(told) => {
                assert_eq!((told.from_reason.as_ref(), told.to_reason.as_ref()), (from, to));
                assert!(near(told.log_odds, of(to) - of(from)), "{told:?}");
            }
            None => assert_eq!(from, to, "what did not change is left out"),
        }
    }
    let strengths: Vec<f64> = part.features.iter().map(|feature| feature.log_odds.abs()).collect();
    assert!(strengths.windows(2).all(|pair| pair[0] >= pair[1]), "strongest first");
}

/// Whether the parts add up to the change, and each part's features to the part.
fn assert_adds_up(change: &v1::ComparePredictionsResponse) {
    let parts = [&change.late_data, &change.behaviour, &change.retraining].map(|part| part.as_ref().unwrap());
    assert!(near(change.change, change.to_log_odds - change.from_log_odds));
    assert!(near(change.change, parts.iter().map(|part| part.log_odds).sum()));
    for part in parts {
        let features: f64 = part.features.iter().map(|feature| feature.log_odds).sum();
        assert!(near(part.log_odds, part.base_log_odds + features));
    }
}

fn assert_nothing(part: &Option<v1::LogOddsChange>) {
    assert_eq!(part.as_ref(), Some(&v1::LogOddsChange::default()));
}

async fn each_part_of_a_change_can_be_the_only_one(tally: Tally) {
    trained(&tally, &["churn"]).await;
    retrain(&tally);
    let id = &who(true)[0];
    let id = id.as_str();
    let (earlier, later) = (today().plus_days(-40), today().plus_days(-5));

    // The same data, a later moment.
    let from = churn(&tally, id, Some(earlier), "churn/1", true).await;
    let to = churn(&tally, id, Some(later), "churn/1", true).await;
    let change = compare(&tally, &from.prediction_id, &to.prediction_id).await.unwrap();
    assert_adds_up(&change);
    assert_nothing(&change.late_data);
    assert_between(change.behaviour.as_ref().unwrap(), &from, &to);
    assert!(change.behaviour.as_ref().unwrap().log_odds != 0.0);
    assert_nothing(&change.retraining);
    assert_eq!((change.from_score.unwrap(), change.to_score.unwrap()), (from, to.clone()));

    // The same moment, another model.
    let by_other = churn(&tally, id, Some(later), "churn/2", true).await;
    let change = compare(&tally, &to.prediction_id, &by_other.prediction_id).await.unwrap();
    assert_adds_up(&change);
    assert_nothing(&change.late_data);
    assert_nothing(&change.behaviour);
    let retraining = change.retraining.as_ref().unwrap();
    assert_between(retraining, &to, &by_other);
    assert!(retraining.log_odds != 0.0 && retraining.base_log_odds != 0.0);
    let of_one_model =
        |feature: &&v1::FeatureChange| feature.from_reason.is_none() != feature.to_reason.is_none();
    assert!(retraining.features.iter().any(|feature| of_one_model(&feature)));

    // The same moment, which is not over yet, and something of before reported between the two.
    let soon = Time(system_clock().0 + DAY / 24);
    let from = churn(&tally, id, Some(soon), "churn/1", true).await;
    record(&tally, vec![event(id, "late", "purchase", today().plus_days(-1))]).await;
    let to = churn(&tally, id, Some(soon), "churn/1", true).await;
    let change = compare(&tally, &from.prediction_id, &to.prediction_id).await.unwrap();
    assert_adds_up(&change);
    assert_between(change.late_data.as_ref().unwrap(), &from, &to);
    assert!(change.late_data.as_ref().unwrap().log_odds != 0.0);
    assert_nothing(&change.behaviour);
    assert_nothing(&change.retraining);

    // Nothing at all.
    let change = compare(&tally, &to.prediction_id, &to.prediction_id).await.unwrap();
    assert_eq!(change.change, 0.0);
    for part in [&change.late_data, &change.behaviour, &change.retraining] {
        assert_nothing(part);
    }
}

async fn a_change_of_every_kind_is_split_exactly(tally: Tally) {
    trained(&tally, &["lead", "churn"]).await;
    retrain(&tally);
    let id = &who(true)[1];
    let from = churn(&tally, id, None, "churn/1", true).await;
    // Late, and new: a purchase of yesterday, and one that happens as it is recorded.
    record(&tally, vec![event(id, "late", "purchase", today().plus_days(-1))]).await;
    record(
        &tally,
        vec![event(id, "new", "purchase", system_clock()), event(id, "oh", "complaint", system_clock())],
    )
    .await;
    let to = churn(&tally, id, None, "churn/2", true).await;
    let change = compare(&tally, &from.prediction_id, &to.prediction_id).await.unwrap();
    assert_adds_up(&change);
    assert!(near(change.from_log_odds, log_odds(&from)) && near(change.to_log_odds, log_odds(&to)));
    // The moment of the second is over by now, so that what was known then is what is known of it.
    let at_second = |score: &v1::Score| {
        let seen = score.as_of_time.unwrap();
        Time(seen.seconds * 1_000_000 + i64::from(seen.nanos) / 1_000)
    };
    let between = churn(&tally, id, Some(at_second(&to)), "churn/1", false).await;
    assert_between(change.retraining.as_ref().unwrap(), &between, &to);
    let [late, behaviour] = [&change.late_data, &change.behaviour].map(|part| part.as_ref().unwrap());
    assert!(near(late.log_odds + behaviour.log_odds, log_odds(&between) - log_odds(&from)));
    assert!(late.log_odds != 0.0 && behaviour.log_odds != 0.0);
    let counted = |part: &v1::LogOddsChange, side: fn(&v1::FeatureChange) -> &Option<v1::Reason>| {
        let count = part.features.iter().find(|feature| feature.feature == "purchase.count_ever").unwrap();
        match side(count).as_ref().unwrap().value.as_ref().unwrap().kind {
            Some(Kind::NumberValue(number)) => number,
            ref other => panic!("{other:?}"),
        }
    };
    let before = counted(late, |feature| &feature.from_reason);
    assert_eq!(counted(late, |feature| &feature.to_reason), before + 1.0, "the late one");
    assert_eq!(counted(behaviour, |feature| &feature.to_reason), before + 2.0, "and the new one");

    // Named the other way round, everything is turned.
    let back = compare(&tally, &to.prediction_id, &from.prediction_id).await.unwrap();
    assert_adds_up(&back);
    let negated = |part: &Option<v1::LogOddsChange>| {
        let mut part = part.clone().unwrap();
        (part.log_odds, part.base_log_odds) = (-part.log_odds, -part.base_log_odds);
        for feature in &mut part.features {
            feature.log_odds = -feature.log_odds;
            std::mem::swap(&mut feature.from_reason, &mut feature.to_reason);
        }
        part.features.sort_by(|a, b| a.feature.cmp(&b.feature));
        part
    };
    let sorted = |part: &Option<v1::LogOddsChange>| {
        let mut part = part.clone().unwrap();
        part.features.sort_by(|a, b| a.feature.cmp(&b.feature));
        part
    };
    assert_eq!(sorted(&back.late_data), negated(&change.late_data));
    assert_eq!(sorted(&back.behaviour), negated(&change.behaviour));
    assert_eq!(sorted(&back.retraining), negated(&change.retraining));
    assert_eq!((back.change, back.from_score), (-change.change, change.to_score.clone()));

    // From nothing but the average to a model.
    tally.upsert(vec![customer("silent", "2024-01-01", &[])]).await.unwrap();
    let cold = lead(&tally, "silent", None).await;
    record(&tally, vec![event("silent", "at last", "visit", system_clock())]).await;
    let warm = lead(&tally, "silent", None).await;
    assert_eq!((cold.basis(), warm.basis()), (v1::Basis::Cold, v1::Basis::Model));
    let warmed = compare(&tally, &cold.prediction_id, &warm.prediction_id).await.unwrap();
    assert_adds_up(&warmed);
    let behaviour = warmed.behaviour.unwrap();
    assert!(behaviour.log_odds != 0.0 && behaviour.features.iter().all(|f| f.from_reason.is_none()));

    // As a person and as a program would ask.
    let server = crate::support::Served::start(&tally.database.url, &[]);
    let ask = |arguments: &[&str]| {
        let output =
            program("tally", "").args(["--server", &server.url(), "predictions"]).args(arguments).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let shown = ask(&["compare", &from.prediction_id, &to.prediction_id]);
    for part in ["late data", "behaviour", "retraining", &format!("{:+.4}", change.change)] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let shown = ask(&["compare", &from.prediction_id, &to.prediction_id, "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["late_data"]["log_odds"].as_f64(), change.late_data.map(|part| part.log_odds));
    assert_eq!(shown["from_score"]["prediction_id"], from.prediction_id);
    assert!(ask(&["replay", &from.prediction_id]).contains("identical, bit for bit, to what was stored"));
    let shown: serde_json::Value =
        serde_json::from_str(&ask(&["replay", &from.prediction_id, "--json"])).unwrap();
    assert_eq!((&shown["identical"], &shown["score"]), (&true.into(), &shown["stored"]));
}

async fn what_cannot_be_compared_is_refused(tally: Tally) {
    const INVALID: (Code, &str) = (Code::InvalidArgument, "INVALID_REQUEST");
    trained(&tally, &["lead", "churn"]).await;
    let (buyers, leads) = (who(true), who(false));
    let one = churn(&tally, &buyers[0], None, "", true).await.prediction_id;
    let other = churn(&tally, &buyers[1], None, "", true).await.prediction_id;
    let refused = compare(&tally, &one, &other).await;
    assert!(refused.as_ref().unwrap_err().message().contains("another customer"), "{refused:?}");
    assert_refused(refused, INVALID.0, INVALID.1, &["to_prediction_id"]);
    let refused = compare(&tally, "", "\n").await;
    assert_refused(refused, INVALID.0, INVALID.1, &["from_prediction_id", "to_prediction_id"]);
    for (from, to) in [(one.as_str(), "none"), ("none", one.as_str())] {
        let refused = compare(&tally, from, to).await;
        assert_refused(refused, Code::NotFound, "PREDICTION_NOT_FOUND", &[]);
    }

    // Two targets of one customer: a lead that buys.
    let id = &leads[0];
    let before = lead(&tally, id, None).await.prediction_id;
    record(&tally, vec![event(id, "first", "purchase", system_clock())]).await;
    let after = churn(&tally, id, None, "", true).await.prediction_id;
    let refused = compare(&tally, &before, &after).await;
    assert!(refused.as_ref().unwrap_err().message().contains("another target"), "{refused:?}");
    assert_refused(refused, INVALID.0, INVALID.1, &["to_prediction_id"]);

    // The first is about tonight, the second about now; of the purchase between only the second knew.
    let id = &leads[1];
    let now = system_clock();
    let tonight = lead(&tally, id, Some(Time(now.0 + DAY / 2))).await.prediction_id;
    record(&tally, vec![event(id, "planned", "purchase", Time(now.0 + DAY / 4))]).await;
    let sooner = lead(&tally, id, None).await.prediction_id;
    for (from, to) in [(&tonight, &sooner), (&sooner, &tonight)] {
        let refused = compare(&tally, from, to).await;
        assert!(refused.as_ref().unwrap_err().message().contains("has bought before"), "{refused:?}");
        assert_refused(refused, Code::FailedPrecondition, "NOT_COMPARABLE", &[]);
    }
}
