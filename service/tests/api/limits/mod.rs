//! How much a server takes on, and from whom: what is refused, what is cut off, and that the calls of others go on.

mod blocked_log;
mod connections;
mod deadlines;
mod hostile_http2;
mod malformed_messages;
mod overload;
mod shutdown;

use bytes::Bytes;
use http_body_util::Full;
use tally_proto::v1;
use tally_service::grpc::server::Capacity;
use tokio::task::JoinSet;
use tonic::{Status, body::Body};
use tower::ServiceExt;

use crate::support::{Tally, interaction};

/// A capacity with this budget of memory.
const fn memory(bytes: usize) -> Capacity {
    Capacity { memory_in_flight: bytes, calls_per_second: None }
}

/// Sends bytes as the body of a call.
async fn send(tally: &Tally, method: &str, bytes: Vec<u8>, headers: &[(&str, &str)]) -> Result<(), Status> {
    send_body(tally, method, Body::new(Full::new(Bytes::from(bytes))), headers).await
}

/// Sends a body as that of a call.
async fn send_body(tally: &Tally, method: &str, body: Body, headers: &[(&str, &str)]) -> Result<(), Status> {
    let mut request = http::Request::post(format!("{}/tally.v1.{method}", tally.url))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = tally.channel.clone().oneshot(request.body(body).unwrap()).await.unwrap();
    Status::from_header_map(response.headers()).map_or(Ok(()), Err)
}

/// The value of a metric with its labels, 0 while there is none.
async fn metric(tally: &Tally, name: &str) -> f64 {
    let (_, text) = tally.get("/metrics").await;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0.0, |value| value.parse().unwrap())
}

/// How many calls of a method have ended with this code.
async fn ended(tally: &Tally, method: &str, code: &str) -> f64 {
    metric(tally, &format!("tally_rpc_calls_total{{method=\"tally.v1.{method}\",code=\"{code}\"}}")).await
}

/// The memory that calls hold, in bytes.
async fn in_flight(tally: &Tally) -> f64 {
    metric(tally, "tally_memory_in_flight_bytes").await
}

/// A message with what precedes it.
fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![flag];
    bytes.extend((message.len() as u32).to_be_bytes());
    bytes.extend(message);
    bytes
}

/// Starts so many calls that record one interaction of the customer `c`.
fn record_many(tally: &Tally, numbers: std::ops::Range<usize>) -> JoinSet<Result<(), Status>> {
    let mut calls = JoinSet::new();
    for number in numbers {
        let mut client = tally.interactions();
        calls.spawn(async move {
            let interactions = vec![interaction("c", &number.to_string(), "visit", "2024-01-01")];
            let request = v1::RecordInteractionsRequest { interactions, ..Default::default() };
            client.record_interactions(request).await.map(drop)
        });
    }
    calls
}
