//! What a server has no room for is refused at once, with the time after which to try again, and the rest goes on.

use std::time::Duration;

use prost::Message;
use tally_proto::v1;
use tally_service::grpc::server::Capacity;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, body::Body};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_types::StatusExt;

use super::{ended, framed, in_flight, memory, metric, record_many, send, send_body};
use crate::support::{
    Database, DirectConnection, Tally, assert_refused, customer, eventually, interaction, on_both_stores,
    raw_http2::RawConnection,
};

on_both_stores!(
    writes_beyond_their_class_are_refused_and_others_go_on,
    a_call_that_waits_past_its_deadline_stores_nothing,
    a_stream_is_slowed_down_instead_of_refused,
);

const RECORD: &str = "InteractionService/RecordInteractions";
/// Calls of one interaction that run at a time, and those that wait.
const RUNNING: usize = 8;
const WAITING: usize = 64;

/// The delay after which a refused call may be made again.
fn retry_delay(status: &Status) -> Duration {
    let info = status.get_details_retry_info().expect("a refusal says when to try again");
    info.retry_delay.expect("a delay")
}

async fn refused(tally: &Tally, class: &str, reason: &str) -> f64 {
    metric(tally, &format!("tally_calls_refused_total{{class=\"{class}\",reason=\"{reason}\"}}")).await
}

async fn writes_beyond_their_class_are_refused_and_others_go_on(tally: Tally) {
    tally.upsert(vec![customer("c", "2024-01-01", &[])]).await.unwrap();
    let mut other = DirectConnection::open(&tally).await;
    other.lock_customer("c").await;
    let mut calls = record_many(&tally, 0..RUNNING + WAITING + 20);
    for _ in 0..20 {
        let status = calls.join_next().await.unwrap().unwrap().unwrap_err();
        assert!(retry_delay(&status) > Duration::ZERO);
        assert_refused(Err::<(), _>(status), Code::ResourceExhausted, "SERVER_BUSY", &[]);
    }
    assert_eq!(refused(&tally, "ingest", "SERVER_BUSY").await, 20.0);
    // Other kinds of calls, and health, are none the wiser.
    tally.customer("c").await.unwrap();
    let scored =
        tally.predict_churn(v1::PredictChurnRequest { customer_id: "c".to_owned(), ..Default::default() });
    assert_eq!(scored.await.unwrap_err().code(), Code::FailedPrecondition);
    HealthClient::new(tally.channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    other.unlock().await;
    while let Some(call) = calls.join_next().await {
        call.unwrap().unwrap();
    }
    let stored = tally.database.sql("SELECT count(*) FROM interactions").await;
    assert_eq!(stored, Some((RUNNING + WAITING) as i64));
    eventually(async || in_flight(&tally).await == 0.0).await;
}

async fn a_call_that_waits_past_its_deadline_stores_nothing(tally: Tally) {
    tally.upsert(vec![customer("c", "2024-01-01", &[])]).await.unwrap();
    let mut other = DirectConnection::open(&tally).await;
    other.lock_customer("c").await;
    let mut running = record_many(&tally, 0..RUNNING);
    // Those that run hold the memory of their calls, so that one that comes now has to wait.
    eventually(async || in_flight(&tally).await >= (RUNNING << 14) as f64).await;
    let late = v1::RecordInteractionsRequest {
        interactions: vec![interaction("c", "late", "visit", "2024-01-01")],
        ..Default::default()
    };
    let (late, deadline) = (framed(0, &late.encode_to_vec()), [("grpc-timeout", "100m")]);
    RawConnection::open(&tally.url).await.call_and_wait((1, RECORD), &deadline, &late).await;
    assert_eq!(ended(&tally, RECORD, "DEADLINE_EXCEEDED").await, 1.0);
    other.unlock().await;
    while let Some(call) = running.join_next().await {
        call.unwrap().unwrap();
    }
    let stored = tally.database.sql("SELECT count(*) FROM interactions").await;
    assert_eq!(stored, Some(RUNNING as i64));
}

async fn a_stream_is_slowed_down_instead_of_refused(tally: Tally) {
    tally.upsert(vec![customer("c", "2024-01-01", &[])]).await.unwrap();
    let (batches, stream) = mpsc::channel(1);
    let mut replies =
        tally.interactions().stream_interactions(ReceiverStream::new(stream)).await.unwrap().into_inner();
    let mut other = DirectConnection::open(&tally).await;
    other.lock_customer("c").await;
    let mut calls = record_many(&tally, 0..RUNNING + WAITING + 1);
    calls.join_next().await.unwrap().unwrap().unwrap_err();
    let batch = v1::RecordInteractionsRequest {
        interactions: vec![interaction("c", "streamed", "visit", "2024-01-01")],
        ..Default::default()
    };
    batches.send(batch).await.unwrap();
    other.unlock().await;
    assert_eq!(replies.message().await.unwrap().unwrap().recorded, 1);
    while let Some(call) = calls.join_next().await {
        call.unwrap().unwrap();
    }
    drop(batches);
    assert_eq!(replies.message().await.unwrap(), None);
}

/// The beginning of a message of this length, which goes on when the sender is used and ends when it is dropped.
async fn begun(length: u32) -> (mpsc::Sender<Result<http_body::Frame<bytes::Bytes>, Status>>, Body) {
    let (sender, receiver) = mpsc::channel(1);
    let header = [&[0][..], &length.to_be_bytes()].concat();
    sender.send(Ok(http_body::Frame::data(header.into()))).await.unwrap();
    (sender, Body::new(http_body_util::StreamBody::new(ReceiverStream::new(receiver))))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_for_which_there_is_no_memory_is_refused_before_it_is_sent() {
    let tally = Tally::start_with_capacity(Database::sqlite(), memory(1 << 20)).await;
    // A byte of a message counts as eight, and a call as 16 KiB.
    let length = ((1 << 20) - (16 << 10)) / 8;
    let (sender, body) = begun(length).await;
    let first = tokio::spawn({
        let (channel, url) = (tally.channel.clone(), tally.url.clone());
        async move {
            let request = http::Request::post(format!("{url}/tally.v1.{RECORD}"))
                .header("content-type", "application/grpc")
                .body(body)
                .unwrap();
            let response = tower::ServiceExt::oneshot(channel, request).await.unwrap();
            Status::from_header_map(response.headers()).unwrap()
        }
    });
    eventually(async || in_flight(&tally).await == f64::from(1 << 20)).await;
    let (_unused, body) = begun(1).await;
    let status = send_body(&tally, RECORD, body, &[]).await.unwrap_err();
    assert!(retry_delay(&status) > Duration::ZERO);
    assert_refused(Err::<(), _>(status), Code::ResourceExhausted, "OUT_OF_MEMORY_IN_FLIGHT", &[]);
    assert_eq!(refused(&tally, "ingest", "OUT_OF_MEMORY_IN_FLIGHT").await, 1.0);
    drop(sender);
    assert_eq!(first.await.unwrap().code(), Code::InvalidArgument);
    eventually(async || in_flight(&tally).await == 0.0).await;
    // All of the memory is there again, and a message that needs more than that is read alone.
    for length in [length, 4 << 20] {
        let message = framed(0, &vec![0; length as usize]);
        let refused = send(&tally, RECORD, message, &[]).await;
        assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["message"]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_has_its_quota_of_calls() {
    let capacity = Capacity { memory_in_flight: 1 << 20, calls_per_second: Some(3) };
    let tally = Tally::start_with_capacity(Database::sqlite(), capacity).await;
    for _ in 0..3 {
        assert_eq!(tally.customer("nobody").await.unwrap_err().code(), Code::NotFound);
    }
    let status = tally.customer("nobody").await.unwrap_err();
    assert!((1..=334).contains(&retry_delay(&status).as_millis()), "{status:?}");
    assert_refused(Err::<(), _>(status), Code::ResourceExhausted, "QUOTA_EXCEEDED", &[]);
    assert_eq!(refused(&tally, "control", "QUOTA_EXCEEDED").await, 1.0);
    HealthClient::new(tally.channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
    eventually(async || tally.customer("nobody").await.unwrap_err().code() == Code::NotFound).await;
}
