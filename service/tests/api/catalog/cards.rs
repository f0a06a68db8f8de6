//! Model cards and the list of models.

use std::collections::HashMap;

use tally_proto::v1;

use crate::support::{Tally, business, on_both_stores, time, timestamp};

on_both_stores!(a_model_card_has_all_that_is_known_of_a_model);

const NOW: &str = "2024-06-01";

async fn a_model_card_has_all_that_is_known_of_a_model(tally: Tally) {
    tally.simulate(&business(700, 11, time(NOW))).await;
    for target in ["lead", "churn"] {
        tally.train(&[target, "--as-of", NOW]);
    }
    tally.train(&["churn", "--as-of", "2024-05-01", "--promote", "never", "--seed", "9"]);
    assert_listed_in_pages(&tally).await;
    let card = tally.card("churn").await;
    assert_eq!((card.name.as_str(), card.champion, card.target()), ("churn/1", true, v1::Target::Churn));
    assert_eq!((card.as_of_time, card.horizon_days), (Some(timestamp(time(NOW))), 90));
    let holdout = card.holdout.unwrap();
    assert!(holdout.auc > 0.7 && holdout.rows > 200 && holdout.positives > 50, "{holdout:?}");
    let baselines: HashMap<&str, f64> =
        card.baselines.iter().map(|b| (b.name.as_str(), b.metrics.unwrap().log_loss)).collect();
    assert!(holdout.log_loss < baselines["purchase.days_since_last"]);
    assert!(baselines["purchase.days_since_last"] < baselines["base_rate"]);
    assert_eq!((card.reliability.len(), card.split.as_str()), (10, "temporal"));
    assert!(card.coefficients.iter().all(|c| c.standard_error > 0.0) && card.coefficients.len() > 10);
    assert!(card.spec.contains("horizon_days = 90") && card.created_by.contains('@'));
    assert_eq!((card.schema_hash.len(), card.artifact_hash.len()), (64, 64));
}

async fn assert_listed_in_pages(tally: &Tally) {
    let request = v1::ListModelsRequest { page_size: 2, ..Default::default() };
    let first = tally.models().list_models(request.clone()).await.unwrap().into_inner();
    let request = v1::ListModelsRequest { page_token: first.next_page_token.clone(), ..request };
    let second = tally.models().list_models(request).await.unwrap().into_inner();
    let names: Vec<&str> =
        first.models.iter().chain(&second.models).map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["churn/2", "churn/1", "lead/1"]);
    assert!(second.next_page_token.is_empty());
}
