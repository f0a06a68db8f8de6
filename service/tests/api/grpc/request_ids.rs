//! A failed call returns its request id, by which its lines are found in the log.

use tally_proto::v1;
use tonic::{Request, Status};

use crate::support::{Tally, on_both_stores};

on_both_stores!(
    a_failed_call_returns_the_request_id_it_was_sent_or_one_of_its_own,
    a_stream_that_fails_returns_its_request_id
);

/// The request id of a call that fails.
async fn id_of_failure(tally: &Tally, sent: Option<&'static str>) -> String {
    let mut request = Request::new(v1::GetCustomerRequest { customer_id: "nobody".into() });
    if let Some(sent) = sent {
        request.metadata_mut().insert("x-request-id", sent.parse().unwrap());
    }
    let refused: Status = tally.customers().get_customer(request).await.unwrap_err();
    refused.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned()
}

async fn a_failed_call_returns_the_request_id_it_was_sent_or_one_of_its_own(tally: Tally) {
    assert_eq!(id_of_failure(&tally, Some("order-17/retry.2")).await, "order-17/retry.2");
    let made = [id_of_failure(&tally, None).await, id_of_failure(&tally, None).await];
    assert!(!made[0].is_empty() && made[0] != made[1], "{made:?}");
    let with_space = id_of_failure(&tally, Some("two words")).await;
    assert!(!with_space.contains(' '), "an id that could break a log line is replaced: {with_space}");
}

async fn a_stream_that_fails_returns_its_request_id(tally: Tally) {
    let batch = v1::RecordInteractionsRequest::default();
    let mut request = Request::new(tokio_stream::iter([batch]));
    request.metadata_mut().insert("x-request-id", "nightly-3".parse().unwrap());
    let mut replies = tally.interactions().stream_interactions(request).await.unwrap().into_inner();
    let refused = replies.message().await.unwrap_err();
    assert_eq!(refused.metadata().get("x-request-id").unwrap(), "nightly-3");
}
