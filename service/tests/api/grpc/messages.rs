//! Messages that are too large, cannot be decoded or are too many are refused with the contract's codes, not
//! with tonic's.

use tally_proto::v1;
use tonic::Code;

use super::{assert_empty, assert_invalid};
use crate::support::{Tally, assert_refused, customer, interaction, on_both_stores};

on_both_stores!(
    messages_above_the_limit_are_refused,
    messages_that_cannot_be_decoded_are_refused,
    a_unary_call_with_two_messages_is_refused_and_stores_nothing,
    an_unknown_rpc_is_refused,
);

async fn messages_above_the_limit_are_refused(tally: Tally) {
    let mut large = interaction("c", "i", "visit", "2024-01-01");
    large.properties = (0..50).map(|n| (n.to_string(), "x".repeat(1_000))).collect();
    let refused = tally.backfill(vec![large; 100]).await;
    assert!(refused.as_ref().unwrap_err().message().contains("4194304 bytes"), "{refused:?}");
    assert_refused(refused, Code::ResourceExhausted, "MESSAGE_TOO_LARGE", &[]);
    assert_empty(&tally).await;
}

async fn messages_that_cannot_be_decoded_are_refused(tally: Tally) {
    // Field 1 is a number in the message that is sent, and a list of messages in the one that is expected.
    let mut raw = tonic::client::Grpc::new(tally.channel.clone());
    let path = "/tally.v1.CustomerService/UpsertCustomers".parse().unwrap();
    let codec = tonic_prost::ProstCodec::<v1::ListCustomersRequest, v1::UpsertCustomersResponse>::default();
    raw.ready().await.unwrap();
    let foreign = tonic::Request::new(v1::ListCustomersRequest { page_size: 5, ..Default::default() });
    assert_invalid(raw.unary(foreign, path, codec).await, &["message"]);
    assert_empty(&tally).await;
}

async fn a_unary_call_with_two_messages_is_refused_and_stores_nothing(tally: Tally) {
    let upsert = |id: &str| v1::UpsertCustomersRequest {
        customers: vec![customer(id, "2024-01-01", &[])],
        ..Default::default()
    };
    let send = async |messages: Vec<v1::UpsertCustomersRequest>| {
        let mut raw = tonic::client::Grpc::new(tally.channel.clone());
        let path = "/tally.v1.CustomerService/UpsertCustomers".parse().unwrap();
        let codec =
            tonic_prost::ProstCodec::<v1::UpsertCustomersRequest, v1::UpsertCustomersResponse>::default();
        raw.ready().await.unwrap();
        raw.client_streaming(tonic::Request::new(tokio_stream::iter(messages)), path, codec).await
    };
    assert_invalid(send(vec![upsert("first"), upsert("second")]).await, &["message"]);
    assert_empty(&tally).await;
    let stored: tonic::Response<v1::UpsertCustomersResponse> = send(vec![upsert("only")]).await.unwrap();
    assert_eq!(stored.into_inner().upserted, 1);
}

async fn an_unknown_rpc_is_refused(tally: Tally) {
    for path in ["/tally.v1.CustomerService/DeleteCustomers", "/tally.v2.CustomerService/GetCustomer"] {
        let mut raw = tonic::client::Grpc::new(tally.channel.clone());
        let codec = tonic_prost::ProstCodec::<v1::GetCustomerRequest, v1::GetCustomerResponse>::default();
        raw.ready().await.unwrap();
        let request = tonic::Request::new(v1::GetCustomerRequest::default());
        let refused = raw.unary(request, path.parse().unwrap(), codec).await;
        assert_refused(refused, Code::Unimplemented, "UNKNOWN_METHOD", &[]);
    }
}
