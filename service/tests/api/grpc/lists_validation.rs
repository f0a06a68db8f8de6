//! Lists refuse invalid page sizes, page tokens and filters.

use tally_proto::v1;
use tonic::{Code, Status};

use super::assert_invalid;
use crate::support::{Tally, assert_refused, customer, on_both_stores};

on_both_stores!(
    invalid_page_sizes_and_forged_page_tokens_are_refused,
    invalid_prediction_filters_are_refused,
    invalid_model_names_are_refused,
);

async fn invalid_page_sizes_and_forged_page_tokens_are_refused(tally: Tally) {
    tally.upsert((0..3).map(|n| customer(&format!("c{n}"), "2024-01-01", &[])).collect()).await.unwrap();
    let list = async |page_size, page_token: &str| {
        let request = v1::ListCustomersRequest { page_size, page_token: page_token.to_owned() };
        Ok::<_, Status>(tally.customers().list_customers(request).await?.into_inner())
    };
    assert_invalid(list(-1, "").await, &["page_size"]);
    assert_eq!(list(1_000_000_000, "").await.unwrap().customers.len(), 3, "a page size is cut");
    let token = list(1, "").await.unwrap().next_page_token;
    assert!(!token.is_empty());
    for n in 0..token.len() {
        let mut forged = token.clone().into_bytes();
        forged[n] = if forged[n] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).unwrap();
        assert_invalid(list(1, &forged).await, &["page_token"]);
    }
    let request = v1::ListModelsRequest { page_token: token, ..Default::default() };
    assert_invalid(tally.models().list_models(request).await, &["page_token"]);
}

async fn invalid_prediction_filters_are_refused(tally: Tally) {
    type Change = fn(&mut v1::ListPredictionsRequest);
    let predictions: [(Change, &str); 8] = [
        (|r| r.target = 0, "target"),
        (|r| r.min_probability = Some(f64::NAN), "min_probability"),
        (|r| r.max_probability = Some(1.1), "max_probability"),
        (|r| (r.min_probability, r.max_probability) = (Some(0.6), Some(0.5)), "min_probability"),
        (|r| r.grades = vec![7], "grades[0]"),
        (|r| r.order_by = "probability".into(), "order_by"),
        (|r| r.model = "lead/1".into(), "model"),
        (|r| r.customer_id = "\0".into(), "customer_id"),
    ];
    for (change, field) in predictions {
        let mut request =
            v1::ListPredictionsRequest { target: v1::Target::Churn.into(), ..Default::default() };
        change(&mut request);
        assert_invalid(tally.predictions().list_predictions(request).await, &[field]);
    }
}

async fn invalid_model_names_are_refused(tally: Tally) {
    let invalid = tally.models().get_model(v1::GetModelRequest { model: "best".into() }).await;
    assert_invalid(invalid, &["model"]);
    let unknown = tally.models().get_model(v1::GetModelRequest { model: "lead/3".into() }).await;
    assert_refused(unknown, Code::NotFound, "MODEL_NOT_FOUND", &[]);
}
