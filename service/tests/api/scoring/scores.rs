//! A score is the same bits alone, in a batch and in a run over the population, on both databases, and its
//! reasons add up to it.

use tally_proto::v1;
use tonic::Code;

use super::{NOW, churn_request, is_same, small_business, trained};
use crate::support::{
    Database, Tally, assert_refused, business, has_kind, interaction, on_both_stores, score_of, time,
    timestamp,
};

on_both_stores!(
    a_score_is_the_same_bits_alone_in_a_batch_and_in_the_population,
    contributions_add_up_to_the_log_odds,
    subscriptions_are_scored_by_their_cancellations,
);

async fn a_score_is_the_same_bits_alone_in_a_batch_and_in_the_population(tally: Tally) {
    trained(&tally).await;
    for as_of in [time(NOW), time("2024-01-15T10:11:12.123456Z")] {
        let last = tally.score_population(v1::Target::Churn, as_of).await.unwrap();
        assert_eq!((last.done, last.total), (700, 700));
        let mut stored = tally.every_prediction(v1::Target::Churn).await;
        stored.retain(|score| score.as_of_time == Some(timestamp(as_of)));
        assert_eq!(stored.len() as i64, last.stored);
        assert!(stored.len() > 100, "{}", stored.len());
        let request = v1::BatchPredictChurnRequest {
            customer_ids: stored.iter().map(|score| score.customer_id.clone()).collect(),
            as_of_time: Some(timestamp(as_of)),
            ..Default::default()
        };
        let batch = tally.scoring().batch_predict_churn(request).await.unwrap().into_inner().results;
        assert_eq!(batch.len(), stored.len());
        for (stored, in_batch) in stored.iter().zip(batch.into_iter().map(score_of)) {
            assert!(is_same(stored, &in_batch), "{stored:?}\n{in_batch:?}");
        }
        for stored in &stored[..40] {
            let alone = tally.predict_churn(churn_request(&stored.customer_id, as_of, 0)).await.unwrap();
            assert!(is_same(stored, &alone), "{stored:?}\n{alone:?}");
            assert!(alone.prediction_id.is_empty() && !stored.prediction_id.is_empty());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_databases_give_the_same_model_and_scores_in_any_order_of_arrival() {
    let [sqlite, postgres] = Database::both().await;
    let (in_order, in_disorder) = (Tally::start(sqlite).await, Tally::start(postgres).await);
    in_order.simulate(&small_business()).await;
    in_disorder.simulate_in_disorder(&small_business()).await;
    let mut hashes = Vec::new();
    let mut scores = Vec::new();
    for tally in [&in_order, &in_disorder] {
        tally.train(&["lead", "--as-of", NOW]);
        tally.train(&["churn", "--as-of", NOW]);
        hashes.push(tally.card("churn").await.artifact_hash);
        tally.score_population(v1::Target::Lead, time(NOW)).await.unwrap();
        let mut all = tally.latest_predictions(v1::Target::Lead).await;
        all.sort_by(|a, b| a.customer_id.cmp(&b.customer_id));
        scores.push(all);
    }
    assert_eq!(hashes[0], hashes[1], "the artifact is the same bytes");
    assert_eq!(scores[0].len(), scores[1].len());
    assert!(scores[0].iter().zip(&scores[1]).all(|(a, b)| is_same(a, b)));
}

async fn contributions_add_up_to_the_log_odds(tally: Tally) {
    trained(&tally).await;
    tally.score_population(v1::Target::Churn, time(NOW)).await.unwrap();
    for score in tally.latest_predictions(v1::Target::Churn).await.iter().take(50) {
        let ask =
            |max_reasons| tally.predict_churn(churn_request(&score.customer_id, time(NOW), max_reasons));
        let all = ask(-1).await.unwrap();
        let sum: f64 = all.base_log_odds + all.reasons.iter().map(|reason| reason.contribution).sum::<f64>();
        let log_odds = (all.probability / (1.0 - all.probability)).ln();
        assert!((sum - log_odds).abs() < 1e-9, "{sum} {log_odds}");
        assert!(0.0 < all.lower && all.lower < all.probability, "{all:?}");
        assert!(all.probability < all.upper && all.upper < 1.0, "{all:?}");
        assert!(all.reasons.len() > 3 && all.reasons.iter().all(|reason| !reason.text.is_empty()));
        let strengths: Vec<f64> = all.reasons.iter().map(|reason| reason.contribution.abs()).collect();
        assert!(strengths.windows(2).all(|pair| pair[0] >= pair[1]), "the strongest first");
        assert_eq!(score.reasons, all.reasons[..3], "three by default");
        assert_eq!(ask(1).await.unwrap().reasons, all.reasons[..1]);
    }
}

async fn subscriptions_are_scored_by_their_cancellations(tally: Tally) {
    let business = tally_model::simulate::Business { subscription: true, ..business(700, 11, time(NOW)) };
    tally.simulate(&business).await;
    let spec = "[churn]\nevent = \"cancel\"\nhorizon_days = 60\n";
    tally.train_with_spec("churn", spec, &["--as-of", NOW, "--promote", "always"]);
    let card = tally.card("churn").await;
    assert_eq!(card.eligible, "customers whose latest purchase is later than their latest cancel");
    let ask = |id: &str, as_of| tally.predict_churn(churn_request(id, as_of, -1));
    let cancelled: Vec<_> = business.iter().filter(|customer| has_kind(customer, "cancel")).collect();
    let refused = ask(&cancelled[0].customer_id, time(NOW)).await;
    assert_refused(refused, Code::FailedPrecondition, "ALREADY_CANCELLED", &[]);
    let lead = business.iter().find(|c| !has_kind(c, "purchase") && !has_kind(c, "cancel")).unwrap();
    let refused = ask(&lead.customer_id, time(NOW)).await;
    assert_refused(refused, Code::FailedPrecondition, "NOT_SUBSCRIBED", &[]);
    let is_bound = |c: &_| has_kind(c, "purchase") && !has_kind(c, "cancel");
    let bound = business.iter().filter(is_bound).count() as i64;
    let last = tally.score_population(v1::Target::Churn, time(NOW)).await.unwrap();
    assert_eq!(last.stored, bound);

    // A purchase after the cancel makes a customer of it again.
    let later = "2024-06-02T00:00:00Z";
    tally
        .backfill(vec![interaction(&cancelled[0].customer_id, "again", "purchase", "2024-06-01T12:00:00Z")])
        .await
        .unwrap();
    let score = ask(&cancelled[0].customer_id, time(later)).await.unwrap();
    assert_eq!((score.horizon_days, score.basis()), (60, v1::Basis::Model));
    let last = tally.score_population(v1::Target::Churn, time(later)).await.unwrap();
    assert_eq!(last.stored, bound + 1);
}
