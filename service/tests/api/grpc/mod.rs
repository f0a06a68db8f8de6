//! What the edge refuses: each invalid request gets the code of the contract and names the fields, and stores
//! nothing.

use prost_types::Timestamp;
use tally_proto::v1;
use tonic::Code;

use crate::support::{Tally, assert_refused, timestamp};

mod arbitrary_requests;
mod compression;
mod customers_validation;
mod deployment;
mod error_metadata;
mod interactions_validation;
mod lists_validation;
mod messages;
mod metadata;
mod models_validation;
mod request_ids;
mod scoring_validation;

/// Asserts that a request is refused as invalid, and the fields that the error names.
fn assert_invalid<T: std::fmt::Debug>(result: Result<T, tonic::Status>, fields: &[&str]) {
    assert_refused(result, Code::InvalidArgument, "INVALID_REQUEST", fields);
}

async fn assert_empty(tally: &Tally) {
    let response = tally.customers().list_customers(v1::ListCustomersRequest::default()).await.unwrap();
    assert_eq!(response.into_inner().customers, [], "nothing is stored");
}

/// Timestamps that are malformed or out of range.
fn bad_times() -> Vec<Timestamp> {
    let now = tally_service::platform::clock::system_clock();
    let seconds = |seconds| Timestamp { seconds, nanos: 0 };
    vec![
        seconds(-1),
        seconds(253_402_300_800),
        seconds(i64::MAX),
        seconds(i64::MIN),
        Timestamp { seconds: 0, nanos: -1 },
        Timestamp { seconds: 0, nanos: 1_000_000_000 },
        timestamp(now.plus_days(2)),
    ]
}
