//! Messages that break the encoding are refused as the caller's mistake, and the connection goes on.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use prost::Message;
use prost_types::{ListValue, Struct, Value, value::Kind};
use tally_proto::{limits::MESSAGE_BYTES, v1};
use tonic::{Code, body::Body};
use tower::ServiceExt;

use super::{framed, send, send_body};
use crate::support::{Tally, assert_refused, customer, on_both_stores};

on_both_stores!(
    bytes_that_are_no_message_are_refused,
    a_message_is_read_up_to_its_limit_and_no_further,
    a_message_is_nested_to_its_limit_and_no_deeper,
    many_tiny_items_are_refused_before_they_are_decoded,
    flags_of_compression_are_checked,
    what_is_no_post_is_no_call,
);

const PREDICT: &str = "ScoringService/PredictChurn";

async fn bytes_that_are_no_message_are_refused(tally: Tally) {
    for (name, message) in [
        ("invalid UTF-8", vec![0x0a, 2, 0xff, 0xfe]),
        ("a varint that does not end", vec![0x0a, 0x80]),
        (
            "a varint of eleven bytes",
            vec![0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ),
        ("a length beyond the end", vec![0x0a, 5, b'c']),
        ("a number where text belongs", vec![0x08, 1]),
        ("the field 0", vec![0x02, 0]),
        ("the wire type 7", vec![0x0f]),
        ("a group that does not end", vec![0x1b; 100_000]),
    ] {
        let refused = send(&tally, PREDICT, framed(0, &message), &[]).await;
        assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["message"]);
        let plain = send(&tally, PREDICT, framed(0, &[0x0a, 1, b'c']), &[]).await;
        assert!([Code::NotFound, Code::FailedPrecondition].contains(&plain.unwrap_err().code()), "{name}");
    }
    let body = framed(0, &[0x0a, 1, b'c']);
    for cut in [0, 1, 4, 5, body.len() - 1] {
        let refused = send(&tally, PREDICT, body[..cut].to_vec(), &[]).await;
        assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["message"]);
    }
}

/// Where a page in a browser reads, or a proxy looks whether somebody is there.
async fn what_is_no_post_is_no_call(tally: Tally) {
    let uri = format!("{}/tally.v1.ScoringService/PredictChurn", tally.url);
    for method in [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE] {
        let request = Request::builder().method(&method).uri(&uri).header("content-type", "application/grpc");
        let request = request.body(Body::new(Full::new(Bytes::from(framed(0, &[0x0a, 1, b'c']))))).unwrap();
        let response = tally.channel.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(response.headers()["allow"], "POST");
        assert!(!response.headers().contains_key("grpc-status"));
    }
    let by_post = send(&tally, PREDICT, framed(0, &[0x0a, 1, b'c']), &[]).await;
    assert_eq!(by_post.unwrap_err().code(), Code::FailedPrecondition, "there is no model");
}

/// A request whose attribute is a list of a list, so many deep.
fn nested(lists: usize) -> Vec<u8> {
    let list = |values| Value { kind: Some(Kind::ListValue(ListValue { values })) };
    let value = (0..lists).fold(list(Vec::new()), |inner, _| list(vec![inner]));
    let attributes = Struct { fields: [("a".to_owned(), value)].into() };
    let nested = v1::Customer { attributes: Some(attributes), ..customer("c", "2024-01-01", &[]) };
    v1::UpsertCustomersRequest { customers: vec![nested], ..Default::default() }.encode_to_vec()
}

async fn a_message_is_nested_to_its_limit_and_no_deeper(tally: Tally) {
    // Each list is two messages, and five are around them.
    for (lists, field) in [(40, "customers[0].attributes.a"), (60, "message"), (200, "message")] {
        let refused = send(&tally, "CustomerService/UpsertCustomers", framed(0, &nested(lists)), &[]).await;
        assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &[field]);
    }
}

async fn a_message_is_read_up_to_its_limit_and_no_further(tally: Tally) {
    let of_size = |bytes: usize| {
        // The key and the length of the id take five bytes.
        let message = v1::PredictChurnRequest { customer_id: "x".repeat(bytes - 5), ..Default::default() };
        assert_eq!(message.encoded_len(), bytes);
        framed(0, &message.encode_to_vec())
    };
    let read = send(&tally, PREDICT, of_size(MESSAGE_BYTES), &[]).await;
    assert_refused(read, Code::InvalidArgument, "INVALID_REQUEST", &["customer_id"]);
    let refused = send(&tally, PREDICT, of_size(MESSAGE_BYTES + 1), &[]).await;
    assert_refused(refused, Code::ResourceExhausted, "MESSAGE_TOO_LARGE", &[]);

    // Of two gigabytes that are announced, nothing is waited for.
    let announced = [0, 0x7f, 0xff, 0xff, 0xff].to_vec();
    let (chunks, body) = tokio::sync::mpsc::channel(1);
    chunks.send(Ok::<_, tonic::Status>(http_body::Frame::data(announced.into()))).await.unwrap();
    let body = http_body_util::StreamBody::new(tokio_stream::wrappers::ReceiverStream::new(body));
    let refused = send_body(&tally, PREDICT, Body::new(body), &[]).await;
    assert_refused(refused, Code::ResourceExhausted, "MESSAGE_TOO_LARGE", &[]);
    drop(chunks);
}

async fn many_tiny_items_are_refused_before_they_are_decoded(tally: Tally) {
    for (items, field) in [(10_001, "interactions"), (20_000, "interactions"), (20_001, "message")] {
        // Each is two bytes: the key of field 1, and the length of nothing.
        let message = [0x0a, 0].repeat(items);
        let refused = send(&tally, "InteractionService/RecordInteractions", framed(0, &message), &[]).await;
        assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &[field]);
    }
}

async fn flags_of_compression_are_checked(tally: Tally) {
    let message = [0x0a, 1, b'c'];
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&message).unwrap();
    let gzip = gzip.finish().unwrap();
    let read = send(&tally, PREDICT, framed(1, &gzip), &[("grpc-encoding", "gzip")]).await;
    let code = read.unwrap_err().code();
    assert!([Code::NotFound, Code::FailedPrecondition].contains(&code), "{code:?}");
    // The code is that of the gRPC specification.
    let refused = send(&tally, PREDICT, framed(1, &gzip), &[]).await;
    assert_refused(refused, Code::Internal, "COMPRESSION_WITHOUT_ENCODING", &[]);
    for headers in [&[][..], &[("grpc-encoding", "gzip")]] {
        let refused = send(&tally, PREDICT, framed(2, &message), headers).await;
        assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["message"]);
    }
}
