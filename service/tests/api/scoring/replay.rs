//! A stored prediction is replayed bit for bit, whatever becomes known later; where it is not, the replay
//! names the differences.

use prost_types::value::Kind;
use tally_proto::v1;
use tally_service::platform::clock::system_clock;
use tonic::Code;

use super::today::{
    assert_identical, business_until_today, buyers, churn, compare, event, leads, replay, retrain,
    stored_churn, stored_lead, today, trained_today,
};
use crate::support::{
    DirectConnection, Tally, assert_refused, customer, on_both_stores, simulated_interactions,
};

on_both_stores!(
    a_prediction_is_replayed_bit_for_bit_whatever_becomes_known_later,
    a_replay_names_the_fields_that_differ_from_what_is_stored,
    a_backfill_changes_the_past_and_the_replay_says_so,
    a_second_import_with_backfill_marks_the_predictions_that_it_concerns,
    backfills_beside_a_population_run_leave_no_silent_difference,
    a_score_after_a_retraction_is_that_of_a_customer_without_the_interaction,
);

/// Stores predictions about now and weeks ago, of everybody and of single customers, one of them cold.
/// Returns all.
async fn store_predictions(tally: &Tally) -> Vec<v1::Score> {
    let weeks_ago = today().plus_days(-45);
    tally.upsert(vec![customer("silent", "2024-01-01", &[])]).await.unwrap();
    tally.record(vec![event("unstated", "first", "visit", weeks_ago)]).await;
    for as_of in [weeks_ago, system_clock()] {
        tally.score_population(v1::Target::Churn, as_of).await.unwrap();
        tally.score_population(v1::Target::Lead, as_of).await.unwrap();
    }
    for id in &buyers()[..20] {
        stored_churn(tally, id).await;
    }
    let cold = stored_lead(tally, "silent", None).await;
    assert_eq!(cold.basis(), v1::Basis::Cold);
    let unstated = stored_lead(tally, "unstated", None).await;
    let mut stored = tally.every_prediction(v1::Target::Lead).await;
    stored.extend(tally.every_prediction(v1::Target::Churn).await);
    assert!(stored.contains(&cold) && stored.contains(&unstated) && stored.len() > 800, "{}", stored.len());
    stored
}

/// Retracts a third of all interactions of before, and corrects another.
async fn mend(tally: &Tally) {
    let before: Vec<v1::Interaction> = business_until_today()
        .iter()
        .flat_map(|customer| simulated_interactions(&customer).collect::<Vec<_>>())
        .collect();
    let keys: Vec<(String, String)> = before
        .iter()
        .step_by(3)
        .map(|item| (item.customer_id.clone(), item.interaction_id.clone()))
        .collect();
    for keys in keys.chunks(10_000) {
        assert_eq!(tally.retract(keys).await.unwrap(), (keys.len() as i64, 0));
    }
    let corrected = before.into_iter().skip(1).step_by(3).map(|item| v1::Interaction {
        amount_minor: Some(item.amount_minor.unwrap_or(0) + 12_300),
        kind: if item.kind == "visit" { "purchase".to_owned() } else { item.kind.clone() },
        ..item
    });
    for interactions in corrected.collect::<Vec<_>>().chunks(10_000) {
        let request = v1::RecordInteractionsRequest {
            interactions: interactions.to_vec(),
            backfill: true,
            on_conflict: v1::OnConflict::Correct.into(),
            ..Default::default()
        };
        let response = tally.interactions().record_interactions(request).await.unwrap().into_inner();
        assert_eq!(response.corrected as usize, interactions.len());
        assert_eq!(response.outdated_predictions, 0, "a correction does not change the past");
    }
}

/// Everything that may become known later: interactions of before, that they were wrong, customer records, models,
/// scores.
async fn learn_later(tally: &Tally) {
    let everybody: Vec<String> = business_until_today()
        .iter()
        .map(|customer| customer.customer_id)
        .chain(["silent".into(), "unstated".into()])
        .collect();
    for (own, kind, days) in [("late", "purchase", -50), ("back", "return", -49), ("word", "complaint", -1)] {
        let late = everybody.iter().map(|id| event(id, own, kind, today().plus_days(days)));
        tally.record(late.collect()).await;
    }
    mend(tally).await;
    let other = |id: &String| customer(id, "2023-02-01", &[("region", Kind::StringValue("moon".into()))]);
    tally.upsert(everybody.iter().map(other).collect()).await.unwrap();
    retrain(tally);
    tally.train(&["lead", "--as-of", &today().plus_days(-3).to_string(), "--promote", "always"]);
    tally.score_population(v1::Target::Churn, system_clock()).await.unwrap();
}

async fn a_prediction_is_replayed_bit_for_bit_whatever_becomes_known_later(tally: Tally) {
    trained_today(&tally, &["lead", "churn"]).await;
    let stored = store_predictions(&tally).await;
    learn_later(&tally).await;
    for stored in &stored {
        assert_identical(&tally, stored).await;
    }
    let buyer = &buyers()[0];
    let now = churn(&tally, buyer, None, "churn/1", false).await;
    let then = stored.iter().rfind(|s| s.customer_id == *buyer && s.target() == v1::Target::Churn).unwrap();
    assert_ne!(now.probability, then.probability, "what became known later changes the score of today");

    tally.delete(buyer).await.unwrap();
    let refused = replay(&tally, &then.prediction_id).await;
    assert_refused(refused, Code::NotFound, "PREDICTION_NOT_FOUND", &[]);
    assert_refused(replay(&tally, "none").await, Code::NotFound, "PREDICTION_NOT_FOUND", &[]);
    let nameless = replay(&tally, "").await;
    assert_refused(nameless, Code::InvalidArgument, "INVALID_REQUEST", &["prediction_id"]);
}

async fn a_replay_names_the_fields_that_differ_from_what_is_stored(tally: Tally) {
    trained_today(&tally, &["churn"]).await;
    let mut direct = DirectConnection::open(&tally).await;
    let json = if tally.database.is_sqlite() { "" } else { "::json" };
    let reasons = format!("reasons = replace(CAST(reasons AS TEXT), '; typical', '; usual'){json}");
    let buyers = buyers();
    for (n, (change, difference)) in [
        ("probability = probability * 0.999999", "probability: stored "),
        ("upper = 0.9999", "upper: stored 0.9999, now "),
        ("grade = CASE WHEN grade = 'A' THEN 'B' ELSE 'A' END", "grade: stored "),
        ("basis = 'cold'", "basis: stored Cold, now Model"),
        ("base_log_odds = base_log_odds + 0.5", "base_log_odds: stored "),
        ("missing_features = '[\"luck\"]'", "missing_features: stored [\"luck\"], now "),
        (&reasons, "reasons[0].text: stored "),
        ("horizon_days = 7", "horizon_days: stored 7, now 90"),
    ]
    .into_iter()
    .enumerate()
    {
        let stored = stored_churn(&tally, &buyers[n]).await;
        assert_identical(&tally, &stored).await;
        let id = &stored.prediction_id;
        direct.execute(&format!("UPDATE predictions SET {change} WHERE prediction_id = '{id}'")).await;
        let replay = replay(&tally, id).await.unwrap();
        let differences = &replay.differences;
        assert!(!replay.identical && differences[0].starts_with(difference), "{difference} {differences:?}");
        assert!(differences.len() == 1 || difference.starts_with("reasons"), "{differences:?}");
        assert_eq!(replay.score, Some(stored), "the recomputed score is right");
        assert_ne!(replay.stored, replay.score);
    }
}

/// A backfill says that something was known before.
async fn a_backfill_changes_the_past_and_the_replay_says_so(tally: Tally) {
    trained_today(&tally, &["lead"]).await;
    let id = &leads()[0];
    let first = stored_lead(&tally, id, None).await;
    let second = stored_lead(&tally, id, None).await;
    assert_identical(&tally, &first).await;
    tally.backfill(vec![event(id, "before", "visit", today().plus_days(-3))]).await.unwrap();
    let replayed = replay(&tally, &first.prediction_id).await.unwrap();
    assert!(!replayed.identical, "{replayed:?}");
    assert!(replayed.differences[0].starts_with("the history was backfilled at "), "{replayed:?}");
    assert!(replayed.differences[1].starts_with("probability: stored "), "{replayed:?}");
    let refused = compare(&tally, &first, &second).await;
    assert_refused(refused, Code::FailedPrecondition, "NOT_REPRODUCIBLE", &[]);
    tally.backfill(vec![event(id, "bought", "purchase", today().plus_days(-2))]).await.unwrap();
    let replayed = replay(&tally, &first.prediction_id).await.unwrap();
    assert!(!replayed.identical && replayed.score.is_none(), "{replayed:?}");
    let stored = replayed.stored.as_ref().unwrap();
    assert!(moment(stored.backfill_time) > moment(first.score_time), "{stored:?}");
    assert_eq!(v1::Score { backfill_time: None, ..stored.clone() }, first);
    assert!(replayed.differences[1].contains("has bought before as_of_time"), "{replayed:?}");
}

fn moment(time: Option<prost_types::Timestamp>) -> Option<(i64, i32)> {
    time.map(|time| (time.seconds, time.nanos))
}

/// Only what was known later than it is said to have been is marked.
async fn a_second_import_with_backfill_marks_the_predictions_that_it_concerns(tally: Tally) {
    trained_today(&tally, &["lead"]).await;
    let [moved, new, other] = [&leads()[0], &leads()[1], &leads()[2]].map(String::clone);
    let early = stored_lead(&tally, &moved, Some(today().plus_days(-10))).await;
    let before = stored_lead(&tally, &moved, None).await;
    let visit = event(&moved, "visited", "visit", today().plus_days(-3));
    tally.record(vec![visit.clone()]).await;
    let after = stored_lead(&tally, &moved, None).await;
    let of_new = stored_lead(&tally, &new, None).await;
    let of_other = stored_lead(&tally, &other, None).await;
    let stored_other = event(&other, "visited", "visit", today().plus_days(-3));
    tally.backfill(vec![stored_other.clone()]).await.unwrap();
    let of_other_later = stored_lead(&tally, &other, None).await;

    let interactions = vec![visit, event(&new, "visited", "visit", today().plus_days(-3)), stored_other];
    let request = v1::RecordInteractionsRequest { interactions, backfill: true, ..Default::default() };
    let response = tally.interactions().record_interactions(request).await.unwrap().into_inner();
    let expected = v1::RecordInteractionsResponse {
        recorded: 1,
        duplicates: 2,
        moved: 1,
        outdated_predictions: 2,
        ..Default::default()
    };
    assert_eq!(response, expected);
    for unchanged in [&early, &after, &of_other_later] {
        assert_identical(&tally, unchanged).await;
    }
    let listed = tally.every_prediction(v1::Target::Lead).await;
    for marked in [&before, &of_new, &of_other] {
        let replayed = replay(&tally, &marked.prediction_id).await.unwrap();
        assert!(replayed.differences[0].starts_with("the history was backfilled at "), "{replayed:?}");
        let listed = listed.iter().find(|score| score.prediction_id == marked.prediction_id).unwrap();
        assert!(moment(listed.backfill_time) > moment(marked.score_time));
        assert_eq!(replayed.stored.as_ref(), Some(listed));
    }
}

/// A prediction that is computed before a backfill and stored after it is marked, too.
async fn backfills_beside_a_population_run_leave_no_silent_difference(tally: Tally) {
    trained_today(&tally, &["churn"]).await;
    let ids = buyers();
    let backfills = async {
        for (n, own) in ids.chunks(20).enumerate() {
            let visit = |id: &String| event(id, &format!("late {n}"), "visit", today().plus_days(-3));
            tally.backfill(own.iter().map(visit).collect()).await.unwrap();
        }
    };
    let scores = async {
        for _ in 0..3 {
            tally.score_population(v1::Target::Churn, system_clock()).await.unwrap();
        }
    };
    tokio::join!(backfills, scores);
    let mut marked = 0;
    for stored in tally.every_prediction(v1::Target::Churn).await {
        let replayed = replay(&tally, &stored.prediction_id).await.unwrap();
        let says_so = |text: &String| text.starts_with("the history was backfilled at ");
        assert!(replayed.identical || replayed.differences.first().is_some_and(says_so), "{replayed:?}");
        marked += usize::from(stored.backfill_time.is_some());
    }
    assert!(marked > 0);
}

async fn a_score_after_a_retraction_is_that_of_a_customer_without_the_interaction(tally: Tally) {
    trained_today(&tally, &["churn"]).await;
    let mut events = Vec::new();
    for (n, id) in ["one", "twin"].into_iter().cycle().take(24).enumerate() {
        events.push(event(
            id,
            &format!("{:02}", n / 2),
            "purchase",
            today().plus_days(n as i64 / 2 * 20 - 300),
        ));
    }
    events.push(event("one", "05-mistake", "complaint", today().plus_days(-200)));
    events.push(event("one", "99-mistake", "purchase", today().plus_days(-1)));
    tally.backfill(events).await.unwrap();
    let score = async |id: &str| churn(&tally, id, None, "", false).await;
    let facts = |score: v1::Score| (score.probability.to_bits(), score.lower.to_bits(), score.reasons);
    // From the second score on, what the model makes of a customer is kept.
    for _ in 0..3 {
        assert_ne!(score("one").await.probability, score("twin").await.probability);
    }
    let stored = stored_churn(&tally, "one").await;
    tally.retract(&[("one", "05-mistake"), ("one", "99-mistake")]).await.unwrap();
    let at = Some(system_clock());
    let (one, twin) = (churn(&tally, "one", at, "", false).await, churn(&tally, "twin", at, "", false).await);
    assert_eq!(facts(one), facts(twin));
    assert_identical(&tally, &stored).await;
}
