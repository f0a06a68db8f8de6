//! What the metadata of ErrorInfo names, so that programs need not read messages.

use std::collections::HashMap;

use tally_proto::v1;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{
    Tally, customer, interaction, on_both_stores,
    raw_http2::{DATA, END_HEADERS, END_STREAM, HEADERS, RawConnection},
    time, timestamp,
};

on_both_stores!(
    errors_about_stored_things_name_them,
    errors_about_names_in_a_filter_name_them,
    invalid_items_are_named_by_index,
    errors_of_a_stream_name_its_batch,
    an_error_is_headers_alone,
);

fn named<T: std::fmt::Debug>(result: Result<T, Status>) -> Vec<(String, String)> {
    sorted(result.unwrap_err().get_details_error_info().unwrap().metadata)
}

fn sorted(metadata: HashMap<String, String>) -> Vec<(String, String)> {
    let mut named: Vec<_> = metadata.into_iter().collect();
    named.sort();
    named
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

async fn errors_about_stored_things_name_them(tally: Tally) {
    let request = v1::GetCustomerRequest { customer_id: " nobody ".to_owned() };
    let refused = tally.customers().get_customer(request).await;
    assert_eq!(named(refused), pairs(&[("customer_id", "nobody")]));

    tally.backfill(vec![interaction("c", "i", "visit", "2024-01-01")]).await.unwrap();
    let other =
        vec![interaction("c", "j", "visit", "2024-01-01"), interaction("c", "i", "visit", "2024-01-02")];
    let item = [("customer_id", "c"), ("index", "1"), ("interaction_id", "i")];
    assert_eq!(named(tally.backfill(other).await), pairs(&item));

    let key = |id: &str| v1::InteractionKey { customer_id: "c".to_owned(), interaction_id: id.to_owned() };
    let request =
        v1::RetractInteractionsRequest { keys: vec![key("i"), key("unknown")], ..Default::default() };
    let refused = tally.interactions().retract_interactions(request).await;
    assert_eq!(refused.as_ref().unwrap_err().code(), Code::NotFound);
    let item = [("customer_id", "c"), ("index", "1"), ("interaction_id", "unknown")];
    assert_eq!(named(refused), pairs(&item));

    let request = v1::GetModelRequest { model: "churn/7".to_owned() };
    assert_eq!(named(tally.models().get_model(request).await), pairs(&[("model", "churn/7")]));
    let request = v1::GetModelRequest { model: "churn".to_owned() };
    assert_eq!(named(tally.models().get_model(request).await), pairs(&[("target", "churn")]));

    let request = v1::ReplayPredictionRequest { prediction_id: "p".to_owned() };
    let refused = tally.predictions().replay_prediction(request).await;
    assert_eq!(named(refused), pairs(&[("prediction_id", "p")]));
}

async fn errors_about_names_in_a_filter_name_them(tally: Tally) {
    tally.backfill(vec![interaction("c", "i", "visit", "2024-01-01")]).await.unwrap();
    let list = async |customer_id: &str, model: &str, as_of: Option<&str>| {
        let request = v1::ListPredictionsRequest {
            target: v1::Target::Churn.into(),
            customer_id: customer_id.to_owned(),
            model: model.to_owned(),
            as_of_time: as_of.map(|text| timestamp(time(text))),
            ..Default::default()
        };
        named(tally.predictions().list_predictions(request).await)
    };
    assert_eq!(list("nobody", "", None).await, pairs(&[("customer_id", "nobody")]));
    assert_eq!(list("c", "churn/7", None).await, pairs(&[("model", "churn/7")]));
    let run = [("as_of_time", "2024-01-02T00:00:00Z"), ("target", "churn")];
    assert_eq!(list("c", "", Some("2024-01-02")).await, pairs(&run));
}

async fn invalid_items_are_named_by_index(tally: Tally) {
    let customers = vec![customer("a", "2024-01-01", &[]), customer("", "2024-01-01", &[])];
    let refused = tally.upsert(customers).await;
    assert_eq!(named(refused), pairs(&[("field", "customers[1].customer_id"), ("index", "1")]));
    let refused = tally.upsert(vec![]).await;
    assert_eq!(named(refused), pairs(&[("field", "customers")]));
}

async fn errors_of_a_stream_name_its_batch(tally: Tally) {
    let batch = |kind: &str| v1::RecordInteractionsRequest {
        interactions: vec![interaction("c", "i", kind, "2024-01-01")],
        ..Default::default()
    };
    let sent = tokio_stream::iter([batch("visit"), batch("call")]);
    let mut answers = tally.interactions().stream_interactions(sent).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().recorded, 1);
    let refused = answers.message().await;
    let item = [("batch", "1"), ("customer_id", "c"), ("index", "0"), ("interaction_id", "i")];
    assert_eq!(named(refused), pairs(&item));

    let mut large = batch("visit");
    large.interactions[0].properties = (0..5_000).map(|n| (n.to_string(), "x".repeat(1_000))).collect();
    let sent = tokio_stream::iter([batch("visit"), large]);
    let mut answers = tally.interactions().stream_interactions(sent).await.unwrap().into_inner();
    assert_eq!(answers.message().await.unwrap().unwrap().duplicates, 1);
    assert_eq!(named(answers.message().await), pairs(&[("batch", "1"), ("limit", "4194304")]));
}

/// Clients of gRPC in C, such as that of Python, take an error with an empty body for a broken response.
async fn an_error_is_headers_alone(tally: Tally) {
    let mut connection = RawConnection::open(&tally.url).await;
    let methods = [
        "CustomerService/GetCustomer",
        "PredictionService/ScorePopulation",
        "InteractionService/RecordInteractions",
        "InsightService/GetKpis",
        "InsightService/WatchAlerts",
    ];
    for (method, stream) in methods.into_iter().zip((1..).step_by(2)) {
        let headers = connection.call(method);
        assert!(connection.send(HEADERS, END_HEADERS, stream, &headers).await);
        // The field 1 as a number, which none of these messages has.
        assert!(connection.send(DATA, END_STREAM, stream, &[0, 0, 0, 0, 3, 0x09, 1, 1]).await);
        let answer = connection.read_until(|frame| frame.stream == stream && frame.kind <= HEADERS).await;
        let answer = answer.unwrap();
        assert_eq!((answer.kind, answer.flags & END_STREAM), (HEADERS, END_STREAM), "{method}: {answer:?}");
    }
}
