//! Batches of scores: errors stay with their item, and the encoded results are valid messages.

use std::{
    collections::{BTreeSet, HashSet},
    mem::Discriminant,
};

use prost::Message;
use prost_types::{Timestamp, value::Kind};
use tally_model::time::Time;
use tally_proto::{
    EncodedBatch,
    v1::{self, batch_result::Result as Item},
};
use tally_service::platform::clock::system_clock;
use tonic::Code;
use tonic_types::RpcStatusExt;

use super::{NOW, churn_request, small_business, trained};
use crate::support::{Tally, assert_refused, customer, on_both_stores, time, timestamp};

on_both_stores!(an_invalid_id_fails_alone_in_its_batch, results_of_a_batch_are_the_bytes_that_prost_writes,);

/// A lead and a buyer of the simulated business.
async fn lead_and_buyer(tally: &Tally) -> (String, String) {
    tally.score_population(v1::Target::Lead, time(NOW)).await.unwrap();
    let lead = tally.latest_predictions(v1::Target::Lead).await.remove(0).customer_id;
    tally.score_population(v1::Target::Churn, time(NOW)).await.unwrap();
    let buyer = tally.latest_predictions(v1::Target::Churn).await.remove(0).customer_id;
    (lead, buyer)
}

async fn an_invalid_id_fails_alone_in_its_batch(tally: Tally) {
    trained(&tally).await;
    tally.upsert(vec![customer("silent", "2024-01-01", &[])]).await.unwrap();
    let (lead, buyer) = lead_and_buyer(&tally).await;
    let ids = [&lead, "nobody", "", &buyer, "silent", &lead, "a\0b"].map(str::to_owned);
    for persist in [false, true] {
        let request = v1::BatchScoreLeadsRequest {
            customer_ids: ids.to_vec(),
            as_of_time: Some(timestamp(time(NOW))),
            persist,
            ..Default::default()
        };
        let results = tally.scoring().batch_score_leads(request).await.unwrap().into_inner().results;
        let outcome = |item: &v1::BatchResult| match item.result.as_ref().unwrap() {
            Item::Score(score) => Ok((score.customer_id.clone(), score.basis())),
            Item::Status(status) => Err(Code::from_i32(status.code)),
        };
        let expected = [
            Ok((lead.clone(), v1::Basis::Model)),
            Err(Code::NotFound),
            Err(Code::InvalidArgument),
            Err(Code::FailedPrecondition),
            Ok(("silent".to_owned(), v1::Basis::Cold)),
            Ok((lead.clone(), v1::Basis::Model)),
            Err(Code::InvalidArgument),
        ];
        assert_eq!(results.iter().map(outcome).collect::<Vec<_>>(), expected);
        assert_eq!(metadata(&results[2]), [("field", "customer_id"), ("index", "2")].map(owned));
        for (index, id) in [(1, "nobody"), (3, &*buyer)] {
            let index = index.to_string();
            let subject = [
                ("as_of_time", "2024-06-01T00:00:00Z"),
                ("customer_id", id),
                ("index", &index),
                ("model", "lead/1"),
                ("target", "lead"),
            ];
            assert_eq!(metadata(&results[index.parse::<usize>().unwrap()]), subject.map(owned));
        }
    }
    assert_cold_score_is_the_average(&tally, "silent").await;
    assert_refused_alone(&tally, &lead, buyer).await;
}

/// The metadata of an item's ErrorInfo, sorted by name.
fn metadata(item: &v1::BatchResult) -> Vec<(String, String)> {
    let Some(Item::Status(status)) = &item.result else { panic!("{item:?}") };
    let mut metadata: Vec<_> = status.get_details_error_info().unwrap().metadata.into_iter().collect();
    metadata.sort();
    metadata
}

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

async fn assert_cold_score_is_the_average(tally: &Tally, customer_id: &str) {
    let request = v1::ListPredictionsRequest {
        target: v1::Target::Lead.into(),
        customer_id: customer_id.to_owned(),
        ..Default::default()
    };
    let cold = tally.all_predictions(request).await.remove(0);
    let log_odds = (cold.probability / (1.0 - cold.probability)).ln();
    assert!((cold.base_log_odds - log_odds).abs() < 1e-9 && cold.reasons.is_empty(), "{cold:?}");
}

/// Asserts that what fails in a batch is refused when asked for alone.
async fn assert_refused_alone(tally: &Tally, lead: &str, buyer: String) {
    let churn_of_lead = tally.predict_churn(churn_request(lead, time(NOW), 0)).await;
    assert_refused(churn_of_lead, Code::FailedPrecondition, "NOT_A_BUYER", &[]);
    let request = v1::ScoreLeadRequest {
        customer_id: buyer,
        as_of_time: Some(timestamp(time(NOW))),
        ..Default::default()
    };
    assert_refused(tally.score_lead(request).await, Code::FailedPrecondition, "NOT_A_LEAD", &[]);
    let nobody = tally.predict_churn(churn_request("nobody", time(NOW), 0)).await;
    assert_refused(nobody, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
}

/// Stores customers that are hard to encode: an id whose length takes two bytes, a letter that takes two, and
/// a customer of whom nothing is known. Returns their ids after those of the business.
async fn customers_to_encode(tally: &Tally) -> Vec<String> {
    let (long, short) = ("a".repeat(256), "Ø".to_owned());
    let north: &[(&str, Kind)] = &[("region", Kind::StringValue("north".to_owned()))];
    let own = [(&long, north), (&short, north), (&"silent".to_owned(), &[])];
    tally.upsert(own.map(|(id, attributes)| customer(id, "2024-01-01", attributes)).to_vec()).await.unwrap();
    let own = own.into_iter().map(|(id, _)| id.clone());
    small_business().iter().map(|customer| customer.customer_id).chain(own).collect()
}

/// What the decoded scores contain, to show that the cases cover it.
#[derive(Default)]
struct Covered {
    kinds_of_values: HashSet<Discriminant<Kind>>,
    missing_features: BTreeSet<usize>,
}

impl Covered {
    fn note(&mut self, score: &v1::Score) {
        for reason in &score.reasons {
            let value = reason.value.as_ref().unwrap().kind.as_ref().unwrap();
            self.kinds_of_values.insert(std::mem::discriminant(value));
        }
        self.missing_features.insert(score.missing_features.len());
    }
}

/// A batch as the bytes of its results.
async fn encoded_batch(tally: &Tally, request: v1::BatchScoreLeadsRequest) -> EncodedBatch {
    let mut client = tonic::client::Grpc::new(tally.channel.clone()).max_decoding_message_size(64 << 20);
    client.ready().await.unwrap();
    let path = "/tally.v1.ScoringService/BatchScoreLeads".parse().unwrap();
    let codec = tonic_prost::ProstCodec::<_, EncodedBatch>::default();
    client.unary(tonic::Request::new(request), path, codec).await.unwrap().into_inner()
}

async fn results_of_a_batch_are_the_bytes_that_prost_writes(tally: Tally) {
    trained(&tally).await;
    let customer_ids = customers_to_encode(&tally).await;
    let soon = timestamp(Time(system_clock().0 + 3_600_000_000));
    let past = timestamp(time("2023-12-31T23:59:59.999999Z"));
    let mut covered = Covered::default();
    for max_reasons in [0, 1, -1] {
        for as_of_time in [None, Some(soon), Some(timestamp(time(NOW))), Some(past)] {
            let request = v1::BatchScoreLeadsRequest {
                customer_ids: customer_ids.clone(),
                as_of_time,
                max_reasons,
                ..Default::default()
            };
            let encoded = encoded_batch(&tally, request).await;
            assert_eq!(encoded.results.len(), customer_ids.len());
            for (bytes, id) in encoded.results.iter().zip(&customer_ids) {
                let result = v1::BatchResult::decode(&**bytes).unwrap();
                assert_eq!(result.encode_to_vec(), *bytes, "{result:?}");
                let Some(Item::Score(score)) = result.result else { continue };
                assert_eq!(score.customer_id, *id);
                assert_eq!(is_about_the_future(&score), as_of_time == Some(soon), "{score:?}");
                covered.note(&score);
            }
        }
    }
    assert_eq!(covered.kinds_of_values.len(), 4, "numbers, booleans, texts and null");
    let missing = covered.missing_features;
    assert!(missing.contains(&0) && missing.len() > 2, "{missing:?}");
}

fn is_about_the_future(score: &v1::Score) -> bool {
    let seconds = |time: &Option<Timestamp>| time.unwrap().seconds;
    seconds(&score.known_time) < seconds(&score.as_of_time)
}
