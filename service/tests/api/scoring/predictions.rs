//! Stored predictions are filtered, ordered and paged.

use std::collections::HashSet;

use tally_proto::v1;
use tonic::Code;

use super::{NOW, trained};
use crate::support::{Tally, assert_refused, customer, on_both_stores, time, timestamp};

on_both_stores!(predictions_are_filtered_ordered_and_paged, what_is_not_stored_has_no_list_of_predictions);

fn churn_predictions() -> v1::ListPredictionsRequest {
    v1::ListPredictionsRequest { target: v1::Target::Churn.into(), ..Default::default() }
}

async fn predictions_are_filtered_ordered_and_paged(tally: Tally) {
    trained(&tally).await;
    for as_of in ["2024-03-01", NOW, "2024-01-01"] {
        tally.score_population(v1::Target::Churn, time(as_of)).await.unwrap();
    }
    let paged = v1::ListPredictionsRequest { page_size: 7, ..churn_predictions() };
    let latest = tally.all_predictions(paged).await;
    assert_latest(&latest);
    assert_newest_first(&tally, latest.len()).await;
    assert_between(&tally, &latest).await;
    assert_grades(&tally, &latest).await;
    let of_model = v1::ListPredictionsRequest { model: "churn/1".into(), ..churn_predictions() };
    assert_eq!(tally.all_predictions(of_model).await.len(), latest.len());
    assert_eq!(tally.latest_predictions(v1::Target::Lead).await.len(), 0);
    tally.delete(&latest[0].customer_id).await.unwrap();
    assert_eq!(tally.all_predictions(churn_predictions()).await.len(), latest.len() - 1);
}

/// Asserts one prediction a customer, the one with the latest as_of_time, the most probable first.
fn assert_latest(latest: &[v1::Score]) {
    let customers: HashSet<&str> = latest.iter().map(|score| score.customer_id.as_str()).collect();
    assert_eq!(customers.len(), latest.len());
    assert!(latest.iter().all(|score| score.as_of_time == Some(timestamp(time(NOW)))));
    assert!(latest.windows(2).all(|pair| pair[0].probability >= pair[1].probability));
}

/// Asserts the order by score_time over all predictions, which are more than the latest.
async fn assert_newest_first(tally: &Tally, latest: usize) {
    let request = v1::ListPredictionsRequest {
        latest_only: Some(false),
        order_by: "score_time desc".into(),
        ..churn_predictions()
    };
    let all = tally.all_predictions(request).await;
    assert!(all.len() > latest);
    let moments: Vec<_> = all.iter().map(|score| score.score_time.map(|t| (t.seconds, t.nanos))).collect();
    assert!(moments.windows(2).all(|pair| pair[0] >= pair[1]));
}

async fn assert_between(tally: &Tally, latest: &[v1::Score]) {
    let (low, high) = (latest[latest.len() / 2].probability, latest[10].probability);
    let request = v1::ListPredictionsRequest {
        min_probability: Some(low),
        max_probability: Some(high),
        ..churn_predictions()
    };
    let expected = latest.iter().filter(|score| (low..=high).contains(&score.probability)).count();
    assert_eq!(tally.all_predictions(request).await.len(), expected);
}

/// Asserts the filter by grades, and that the best grade has the lower probability of leaving.
async fn assert_grades(tally: &Tally, latest: &[v1::Score]) {
    // More than a statement can bind; each grade counts once.
    let grades = [v1::Grade::A.into(), v1::Grade::D.into()].repeat(50_000);
    let graded = tally.all_predictions(v1::ListPredictionsRequest { grades, ..churn_predictions() }).await;
    let expected =
        latest.iter().filter(|score| [v1::Grade::A, v1::Grade::D].contains(&score.grade())).count();
    assert!(graded.len() == expected && expected > 0);
    let mean = |grade: v1::Grade| {
        let own: Vec<f64> = graded.iter().filter(|s| s.grade() == grade).map(|s| s.probability).collect();
        own.iter().sum::<f64>() / own.len() as f64
    };
    assert!(mean(v1::Grade::A) < mean(v1::Grade::D));
}

async fn what_is_not_stored_has_no_list_of_predictions(tally: Tally) {
    tally.upsert(vec![customer("a", "2024-01-01", &[]), customer("b", "2024-01-01", &[])]).await.unwrap();
    tally.merge("a", "b").await.unwrap();
    for (customer_id, model, reason) in [
        ("nobody", "", "CUSTOMER_NOT_FOUND"),
        ("a", "churn/9", "MODEL_NOT_FOUND"),
        ("", "churn/9", "MODEL_NOT_FOUND"),
    ] {
        let request = v1::ListPredictionsRequest {
            customer_id: customer_id.into(),
            model: model.into(),
            ..churn_predictions()
        };
        let export = v1::ExportPredictionsRequest {
            target: request.target,
            customer_id: request.customer_id.clone(),
            model: request.model.clone(),
            ..Default::default()
        };
        for latest_only in [None, Some(false)] {
            let request = v1::ListPredictionsRequest { latest_only, ..request.clone() };
            let listed = tally.predictions().list_predictions(request).await;
            let unknown = if reason == "CUSTOMER_NOT_FOUND" { customer_id } else { model };
            assert!(listed.as_ref().unwrap_err().message().contains(&format!("`{unknown}`")), "{listed:?}");
            assert_refused(listed, Code::NotFound, reason, &[]);
        }
        assert_refused(tally.predictions().export_predictions(export).await, Code::NotFound, reason, &[]);
    }
    // Those who are stored have an empty list, also under an id that is merged.
    for id in ["a", "b"] {
        let request = v1::ListPredictionsRequest { customer_id: id.into(), ..churn_predictions() };
        assert_eq!(tally.all_predictions(request).await.len(), 0);
    }
}
