//! The change between two predictions is split exactly into late data, behaviour and retraining.

use prost_types::value::Kind;
use tally_model::time::{DAY, Time};
use tally_proto::v1;
use tally_service::platform::clock::system_clock;

use super::{
    changes::{assert_adds_up, assert_between, assert_reversed, assert_unchanged, is_near, log_odds},
    today::{buyers, churn, compare, event, retrain, stored_lead, today, trained_today},
};
use crate::support::{Tally, customer, on_both_stores};

on_both_stores!(each_part_of_a_change_can_be_the_only_one, a_change_of_every_kind_is_split_exactly);

async fn each_part_of_a_change_can_be_the_only_one(tally: Tally) {
    trained_today(&tally, &["churn"]).await;
    retrain(&tally);
    let id = &buyers()[0];
    let later = assert_behaviour_alone(&tally, id).await;
    assert_retraining_alone(&tally, id, &later).await;
    let latest = assert_late_data_alone(&tally, id).await;
    let change = compare(&tally, &latest, &latest).await.unwrap();
    assert_eq!(change.change, 0.0);
    for part in [&change.late_data, &change.behaviour, &change.retraining] {
        assert_unchanged(part);
    }
}

/// The same model at an earlier and at a later moment. Returns the later score.
async fn assert_behaviour_alone(tally: &Tally, id: &str) -> v1::Score {
    let from = churn(tally, id, Some(today().plus_days(-40)), "churn/1", true).await;
    let to = churn(tally, id, Some(today().plus_days(-5)), "churn/1", true).await;
    let change = compare(tally, &from, &to).await.unwrap();
    assert_adds_up(&change);
    assert_unchanged(&change.late_data);
    assert_between(change.behaviour.as_ref().unwrap(), &from, &to);
    assert!(change.behaviour.as_ref().unwrap().log_odds != 0.0);
    assert_unchanged(&change.retraining);
    assert_eq!((change.from_score.unwrap(), change.to_score.unwrap()), (from, to.clone()));
    to
}

/// Another model at the same moment.
async fn assert_retraining_alone(tally: &Tally, id: &str, from: &v1::Score) {
    let to = churn(tally, id, Some(today().plus_days(-5)), "churn/2", true).await;
    let change = compare(tally, from, &to).await.unwrap();
    assert_adds_up(&change);
    assert_unchanged(&change.late_data);
    assert_unchanged(&change.behaviour);
    let retraining = change.retraining.as_ref().unwrap();
    assert_between(retraining, from, &to);
    assert!(retraining.log_odds != 0.0 && retraining.base_log_odds != 0.0);
    let of_one_model =
        |feature: &v1::FeatureChange| feature.from_reason.is_none() != feature.to_reason.is_none();
    assert!(retraining.features.iter().any(of_one_model));
}

/// The same model at the same moment, which is still ahead; between the two scores an earlier purchase is
/// recorded. Returns the second score.
async fn assert_late_data_alone(tally: &Tally, id: &str) -> v1::Score {
    let soon = Time(system_clock().0 + DAY / 24);
    let from = churn(tally, id, Some(soon), "churn/1", true).await;
    tally.record(vec![event(id, "late", "purchase", today().plus_days(-1))]).await;
    let to = churn(tally, id, Some(soon), "churn/1", true).await;
    let change = compare(tally, &from, &to).await.unwrap();
    assert_adds_up(&change);
    assert_between(change.late_data.as_ref().unwrap(), &from, &to);
    assert!(change.late_data.as_ref().unwrap().log_odds != 0.0);
    assert_unchanged(&change.behaviour);
    assert_unchanged(&change.retraining);
    to
}

async fn a_change_of_every_kind_is_split_exactly(tally: Tally) {
    trained_today(&tally, &["lead", "churn"]).await;
    retrain(&tally);
    let id = &buyers()[1];
    let from = churn(&tally, id, None, "churn/1", true).await;
    // A late purchase, and one that happens as it is recorded.
    tally.record(vec![event(id, "late", "purchase", today().plus_days(-1))]).await;
    let now = system_clock();
    tally.record(vec![event(id, "new", "purchase", now), event(id, "oh", "complaint", now)]).await;
    let to = churn(&tally, id, None, "churn/2", true).await;
    let change = compare(&tally, &from, &to).await.unwrap();
    assert_adds_up(&change);
    assert_split(&tally, &change, &from, &to).await;
    let back = compare(&tally, &to, &from).await.unwrap();
    assert_adds_up(&back);
    assert_reversed(&back, &change);
    assert_change_from_a_cold_score(&tally).await;
    assert_program_shows(&tally, &from, &change);
}

/// Asserts that the parts lie between the first score, what the first model makes of the second moment, and
/// the second score.
async fn assert_split(
    tally: &Tally,
    change: &v1::ComparePredictionsResponse,
    from: &v1::Score,
    to: &v1::Score,
) {
    assert!(is_near(change.from_log_odds, log_odds(from)) && is_near(change.to_log_odds, log_odds(to)));
    // The second moment is past, so a score about it now knows what was known then.
    let moment = to.as_of_time.unwrap();
    let moment = Time(moment.seconds * 1_000_000 + i64::from(moment.nanos) / 1_000);
    let between = churn(tally, &from.customer_id, Some(moment), "churn/1", false).await;
    assert_between(change.retraining.as_ref().unwrap(), &between, to);
    let [late, behaviour] = [&change.late_data, &change.behaviour].map(|part| part.as_ref().unwrap());
    assert!(is_near(late.log_odds + behaviour.log_odds, log_odds(&between) - log_odds(from)));
    assert!(late.log_odds != 0.0 && behaviour.log_odds != 0.0);
    let before = purchases(late, |feature| &feature.from_reason);
    assert_eq!(purchases(late, |feature| &feature.to_reason), before + 1.0, "the late purchase");
    assert_eq!(purchases(behaviour, |feature| &feature.to_reason), before + 2.0, "and the new one");
}

/// The number of purchases on one side of a part of a change.
fn purchases(part: &v1::LogOddsChange, side: fn(&v1::FeatureChange) -> &Option<v1::Reason>) -> f64 {
    let count = part.features.iter().find(|feature| feature.feature == "purchase.count_ever").unwrap();
    match side(count).as_ref().unwrap().value.as_ref().unwrap().kind {
        Some(Kind::NumberValue(number)) => number,
        ref other => panic!("{other:?}"),
    }
}

async fn assert_change_from_a_cold_score(tally: &Tally) {
    tally.upsert(vec![customer("silent", "2024-01-01", &[])]).await.unwrap();
    let cold = stored_lead(tally, "silent", None).await;
    tally.record(vec![event("silent", "at last", "visit", system_clock())]).await;
    let warm = stored_lead(tally, "silent", None).await;
    assert_eq!((cold.basis(), warm.basis()), (v1::Basis::Cold, v1::Basis::Model));
    let change = compare(tally, &cold, &warm).await.unwrap();
    assert_adds_up(&change);
    let behaviour = change.behaviour.unwrap();
    assert!(behaviour.log_odds != 0.0 && behaviour.features.iter().all(|f| f.from_reason.is_none()));
}

/// Asserts what `tally predictions compare` and `replay` print, for people and as JSON.
fn assert_program_shows(tally: &Tally, from: &v1::Score, change: &v1::ComparePredictionsResponse) {
    let to = &change.to_score.as_ref().unwrap().prediction_id;
    let from = &from.prediction_id;
    let shown = tally.cli(&["predictions", "compare", from, to]);
    for part in ["late data", "behaviour", "retraining", &format!("{:+.4}", change.change)] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let json = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&tally.cli(&[&["predictions"], arguments, &["--json"]].concat())).unwrap()
    };
    let shown = json(&["compare", from, to]);
    let late_data = change.late_data.as_ref().map(|part| part.log_odds);
    assert_eq!(shown["late_data"]["log_odds"].as_f64(), late_data);
    assert_eq!(shown["from_score"]["prediction_id"], *from);
    let shown = tally.cli(&["predictions", "replay", from]);
    assert!(shown.contains("identical, bit for bit, to what was stored"), "{shown}");
    let shown = json(&["replay", from]);
    assert_eq!((&shown["identical"], &shown["score"]), (&true.into(), &shown["stored"]));
}
