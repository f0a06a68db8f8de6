//! The gate: what it refuses, what force overrides, and what the audit has of it.

use tally_proto::v1::{self, PromotionKind};
use tonic::{Code, Status};

use super::{
    NOW, assert_unbroken_line, promote, serving_model,
    subscribers::{BLIND, SEEING, store_subscribers},
};
use crate::support::{Tally, assert_refused, on_both_stores};

on_both_stores!(
    the_gate_refuses_a_worse_model_force_overrides_it_and_both_are_audited,
    models_are_compared_on_rows_that_neither_has_learned_from,
    a_candidate_whose_advantage_is_uncertain_does_not_replace_the_champion,
);

fn assert_precondition<T: std::fmt::Debug>(result: Result<T, Status>, reason: &str) {
    assert_refused(result, Code::FailedPrecondition, reason, &[]);
}

/// Trains the better churn/1, the worse churn/2, and churn/3, which is about another horizon.
fn train_three(tally: &Tally) {
    tally.train_with_spec("churn", SEEING, &["--as-of", NOW]);
    let shown = tally.train_with_spec("churn", BLIND, &["--as-of", NOW]);
    assert!(shown.contains("does not serve: worse than churn/1"), "{shown}");
    assert!(!shown.contains("may be chance"), "{shown}");
    tally.train_with_spec("churn", BLIND, &["--as-of", NOW, "--horizon-days", "60"]);
}

async fn the_gate_refuses_a_worse_model_force_overrides_it_and_both_are_audited(tally: Tally) {
    let subscribers = store_subscribers(&tally).await;
    train_three(&tally);
    let customer_id = subscribers.into_iter().find(|subscriber| subscriber.stays).unwrap().id;
    assert_precondition(promote(&tally, "churn/1", false).await, "ALREADY_CHAMPION");
    assert_precondition(promote(&tally, "churn/3", false).await, "NOT_COMPARABLE");
    assert_worse_refused(&tally).await;
    assert_eq!(serving_model(&tally, &customer_id).await.unwrap(), "churn/1", "nothing has moved");
    let unknown = promote(&tally, "churn/9", true).await;
    assert_refused(unknown, Code::NotFound, "MODEL_NOT_FOUND", &[]);

    let forced = promote(&tally, "churn/2", true).await.unwrap().comparison.unwrap();
    assert_eq!(serving_model(&tally, &customer_id).await.unwrap(), "churn/2", "at once on this server");
    assert_figures_of_cards(&tally, &forced).await;
    let back = promote(&tally, "churn/1", false).await.unwrap().comparison.unwrap();
    assert!((back.difference + forced.difference).abs() < 1e-9 && back.upper < 0.0, "{back:?}");
    promote(&tally, "churn/3", true).await.unwrap();
    assert_audited(&tally).await;

    // A deleted customer is erased from the holdouts, too.
    let rows = format!("SELECT count(*) FROM holdout_scores WHERE customer_id = '{customer_id}'");
    assert!(tally.database.sql(&rows).await.unwrap() > 0);
    tally.delete(&customer_id).await.unwrap();
    assert_eq!(tally.database.sql(&rows).await, Some(0));
}

async fn assert_worse_refused(tally: &Tally) {
    let worse = promote(tally, "churn/2", false).await;
    let (better_card, worse_card) = (tally.card("churn/1").await, tally.card("churn/2").await);
    let (have, need) = (worse_card.holdout.unwrap().log_loss, better_card.holdout.unwrap().log_loss);
    let message = worse.as_ref().unwrap_err().message();
    let numbers = format!("have log loss {have:.4}, need {need:.4}");
    assert!(message.contains("worse than churn/1") && message.contains(&numbers), "{message}");
    assert_precondition(worse, "WORSE_THAN_CHAMPION");
}

/// Asserts the comparison of churn/2 with churn/1. They have the whole holdout in common, so the figures are
/// those of their cards.
async fn assert_figures_of_cards(tally: &Tally, compared: &v1::ModelComparison) {
    let champion = tally.card("churn/1").await.holdout.unwrap();
    let candidate = tally.card("churn/2").await.holdout.unwrap();
    assert_eq!((compared.champion.as_str(), compared.rows), ("churn/1", candidate.rows));
    assert!((compared.candidate_log_loss - candidate.log_loss).abs() < 1e-9, "{compared:?} {candidate:?}");
    assert!((compared.champion_log_loss - champion.log_loss).abs() < 1e-9, "{compared:?} {champion:?}");
    assert!(0.0 < compared.lower && compared.lower < compared.difference, "{compared:?}");
    assert!(compared.difference < compared.upper && compared.customers < compared.rows, "{compared:?}");
}

async fn assert_audited(tally: &Tally) {
    let moves = assert_unbroken_line(tally.models()).await;
    let audited: Vec<_> = moves
        .iter()
        .map(|m| (m.from_model.as_str(), m.to_model.as_str(), m.kind(), m.forced, m.reason.as_str()))
        .collect();
    let expected = [
        ("", "churn/1", PromotionKind::Training, false, "passed the gate"),
        ("churn/1", "churn/2", PromotionKind::Promote, true, "a test"),
        ("churn/2", "churn/1", PromotionKind::Promote, false, "a test"),
        ("churn/1", "churn/3", PromotionKind::Promote, true, "a test"),
    ];
    assert_eq!(audited, expected);
    assert!(moves[0].who.contains('@') && moves[1].who == "tester (unchecked) from 127.0.0.1", "{moves:?}");
    assert!(moves[1].gate_result.starts_with("worse than churn/1"), "{moves:?}");
    let other_horizon = "that predicts a cancel within 90 days, this a cancel within 60 days";
    assert!(moves[3].gate_result.contains(other_horizon), "{moves:?}");
    let request =
        v1::ListPromotionsRequest { target: v1::Target::Churn.into(), page_size: 3, ..Default::default() };
    let page = tally.models().list_promotions(request).await.unwrap().into_inner();
    let sequence: Vec<i64> = page.promotions.iter().map(|m| m.sequence).collect();
    assert!(sequence == [4, 3, 2] && !page.next_page_token.is_empty());
}

async fn preview(tally: &Tally, model: &str) -> v1::PreviewPromotionResponse {
    let request = v1::PreviewPromotionRequest { model: model.to_owned(), as_of_time: None };
    tally.models().preview_promotion(request).await.unwrap().into_inner()
}

async fn models_are_compared_on_rows_that_neither_has_learned_from(tally: Tally) {
    store_subscribers(&tally).await;
    // Eleven days apart, the two trainings have no snapshot at the same moment.
    tally.train_with_spec("churn", SEEING, &["--as-of", "2024-05-21"]);
    tally.database.sql("CREATE TABLE start AS SELECT min(as_of_time) AS time FROM holdout_scores").await;
    let shown = tally.train_with_spec("churn", BLIND, &["--as-of", NOW]);
    assert!(shown.contains("does not serve: worse than churn/1 on the same"), "{shown}");
    let shown = tally.train_with_spec("churn", SEEING, &["--as-of", NOW, "--promote", "never"]);
    assert!(
        shown.contains("promotion was not wanted; ") && shown.contains(" churn/1 on the same"),
        "{shown}"
    );
    // The comparison that the training has made is used by the gate later.
    assert_precondition(promote(&tally, "churn/2", false).await, "WORSE_THAN_CHAMPION");
    let holdout = tally.card("churn/3").await.holdout.unwrap();
    let compared = preview(&tally, "churn/3").await.comparison.unwrap();
    assert!(compared.rows > 100 && compared.rows <= holdout.rows, "{compared:?} {holdout:?}");
    // Of the holdout of an older training, the rows that the champion has learned from are left out: the
    // champion's own holdout begins later.
    tally.train_with_spec("churn", BLIND, &["--as-of", "2024-05-10", "--promote", "never"]);
    let count = async |which: &str| {
        let count = format!("SELECT count(*) FROM holdout_scores AS own, start WHERE {which}");
        tally.database.sql(&count).await.unwrap()
    };
    assert!(count("model_version = 4 AND as_of_time < start.time").await > 0);
    assert_eq!(count("model_version = 1 AND as_of_time < start.time").await, 0);
    let preview = preview(&tally, "churn/4").await;
    assert!(preview.comparison.is_some(), "the rows that are left suffice: {preview:?}");
}

/// Gives churn/1 the probability ½ on the common holdout, and churn/2 one whose loss is lower by `gain` for about
/// half of the customers and higher by `harm` for the others.
async fn set_losses(tally: &Tally, gain: f64, harm: f64) {
    tally.database.sql("UPDATE holdout_scores SET probability = 0.5").await;
    let right = [gain, -harm].map(|less| 0.5 * less.exp());
    for (label, [gaining, losing]) in [("label", right), ("NOT label", right.map(|p| 1.0 - p))] {
        let update = format!(
            "UPDATE holdout_scores SET probability = \
             CASE WHEN substr(customer_id, 4) > '4' THEN {gaining} ELSE {losing} END \
             WHERE model_version = 2 AND {label}"
        );
        tally.database.sql(&update).await;
    }
}

async fn a_candidate_whose_advantage_is_uncertain_does_not_replace_the_champion(tally: Tally) {
    store_subscribers(&tally).await;
    tally.train_with_spec("churn", SEEING, &["--as-of", NOW]);
    tally.train_with_spec("churn", BLIND, &["--as-of", NOW, "--promote", "never"]);

    // The better point estimate alone does not suffice …
    set_losses(&tally, 0.24, 0.28).await;
    let compared = preview(&tally, "churn/2").await.comparison.unwrap();
    assert!(compared.difference < 0.0 && compared.upper > 0.002, "{compared:?}");
    let refused = promote(&tally, "churn/2", false).await;
    let message = refused.as_ref().unwrap_err().message();
    assert!(message.starts_with("churn/2 is no better than churn/1 on the same"), "{message}");
    let need = format!("have an upper end of the interval of {:+.4}, need less than +0.002", compared.upper);
    assert!(message.contains(&need) && message.contains("which may be chance"), "{message}");
    assert_precondition(refused, "NO_BETTER_THAN_CHAMPION");
    // … nor does an equal one.
    set_losses(&tally, 0.0, 0.0).await;
    assert_precondition(promote(&tally, "churn/2", false).await, "NO_BETTER_THAN_CHAMPION");
    // Hardly any risk of being worse does, although the interval contains 0.
    set_losses(&tally, 0.0024, 0.0028).await;
    let compared = preview(&tally, "churn/2").await.comparison.unwrap();
    assert!(compared.difference < 0.0 && 0.0 < compared.upper && compared.upper < 0.002, "{compared:?}");
    let promotion = promote(&tally, "churn/2", false).await.unwrap().promotion.unwrap();
    assert!(!promotion.forced && promotion.gate_result.starts_with("better than churn/1"), "{promotion:?}");
}
