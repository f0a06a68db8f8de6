//! Compressed messages: read in gzip and zstd, answered in what the caller accepts, and limited in size.

use tally_proto::v1;
use tonic::{Code, Status, codec::CompressionEncoding};
use tonic_health::pb::health_client::HealthClient;
use tower::{Service, ServiceExt};

use super::{assert_empty, assert_invalid};
use crate::support::{Tally, assert_refused, customer, interaction, on_both_stores};

on_both_stores!(
    gzip_and_zstd_are_read_and_answered,
    a_message_that_is_too_large_after_decompression_is_refused,
    damaged_and_unknown_compressions_are_refused,
);

const ENCODINGS: [(CompressionEncoding, &str); 2] =
    [(CompressionEncoding::Gzip, "gzip"), (CompressionEncoding::Zstd, "zstd")];

async fn gzip_and_zstd_are_read_and_answered(tally: Tally) {
    for (encoding, name) in ENCODINGS {
        let mut client = tally.customers().send_compressed(encoding).accept_compressed(encoding);
        let customers = (0..500).map(|n| customer(&format!("{name}{n}"), "2024-01-01", &[])).collect();
        let request = v1::UpsertCustomersRequest { customers, ..Default::default() };
        assert_eq!(client.upsert_customers(request).await.unwrap().into_inner().upserted, 500);

        let request = v1::ListCustomersRequest { page_size: 1_000, ..Default::default() };
        let compressed = client.list_customers(request.clone()).await.unwrap();
        assert_eq!(compressed.metadata().get("grpc-encoding").unwrap(), name);
        let plain = tally.customers().list_customers(request).await.unwrap();
        assert_eq!(plain.metadata().get("grpc-encoding"), None);
        assert_eq!(compressed.into_inner(), plain.into_inner());

        // A client compresses all that it sends over a channel, also to services that are not ours.
        let mut health = HealthClient::new(tally.channel.clone()).send_compressed(encoding);
        health.check(tonic_health::pb::HealthCheckRequest::default()).await.unwrap();
    }
}

async fn a_message_that_is_too_large_after_decompression_is_refused(tally: Tally) {
    let mut large = interaction("c", "i", "visit", "2024-01-01");
    large.properties = (0..50).map(|n| (n.to_string(), "x".repeat(1_000))).collect();
    for (encoding, _) in ENCODINGS {
        let mut client = tally.interactions().send_compressed(encoding);
        let request =
            v1::RecordInteractionsRequest { interactions: vec![large.clone(); 1_000], ..Default::default() };
        let refused = client.record_interactions(request).await;
        assert!(refused.as_ref().unwrap_err().message().contains("4194304 bytes"), "{refused:?}");
        assert_refused(refused, Code::ResourceExhausted, "MESSAGE_TOO_LARGE", &[]);
    }
    assert_empty(&tally).await;
}

/// Sends a message as it stands on the wire, with this `grpc-encoding`.
async fn send(tally: &Tally, encoding: &str, message: &str) -> Result<(), Status> {
    let flag_and_length = format!("\u{1}\0\0\0{}", message.len() as u8 as char);
    let request = http::Request::post(format!("{}/tally.v1.CustomerService/UpsertCustomers", tally.url))
        .header("content-type", "application/grpc")
        .header("grpc-encoding", encoding)
        .body(tonic::body::Body::new(flag_and_length + message))
        .unwrap();
    let mut channel = tally.channel.clone();
    let response = channel.ready().await.unwrap().call(request).await.unwrap();
    Status::from_header_map(response.headers()).map_or(Ok(()), Err)
}

async fn damaged_and_unknown_compressions_are_refused(tally: Tally) {
    for (_, name) in ENCODINGS {
        assert_invalid(send(&tally, name, "no compression").await, &["message"]);
    }
    let refused = send(&tally, "deflate", "whatever").await;
    let allowed = refused.as_ref().unwrap_err().metadata().get("grpc-accept-encoding").unwrap().clone();
    assert_eq!(allowed, "gzip,zstd,identity");
    assert_refused(refused, Code::Unimplemented, "UNKNOWN_COMPRESSION", &[]);
    assert_empty(&tally).await;
}
