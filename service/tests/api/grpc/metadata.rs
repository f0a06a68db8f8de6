//! Too much metadata is refused as one call, while other calls on the same connection go on.

use tally_proto::v1;
use tokio_stream::StreamExt;
use tonic::{Code, Request};
use tonic_types::StatusExt;

use crate::support::{Tally, assert_refused, interaction, on_both_stores};

on_both_stores!(metadata_above_the_limit_is_refused_and_its_neighbours_live);

/// A request with this many bytes of a header.
fn request(bytes: usize) -> Request<v1::ListCustomersRequest> {
    let mut request = Request::new(v1::ListCustomersRequest::default());
    request.metadata_mut().insert("x-note", "x".repeat(bytes).parse().unwrap());
    request
}

async fn metadata_above_the_limit_is_refused_and_its_neighbours_live(tally: Tally) {
    // A stream that is open on the same connection all the time.
    let (batches, sent) = tokio::sync::mpsc::channel(1);
    let sent = tokio_stream::wrappers::ReceiverStream::new(sent);
    let mut neighbour = tally.interactions().stream_interactions(sent).await.unwrap().into_inner();
    let mut number = 0;
    let mut assert_alive = async || {
        number += 1;
        let interactions = vec![interaction("c", &number.to_string(), "visit", "2024-01-01")];
        batches.send(v1::RecordInteractionsRequest { interactions, ..Default::default() }).await.unwrap();
        assert_eq!(neighbour.next().await.unwrap().unwrap().recorded, 1);
    };
    assert_alive().await;

    tally.customers().list_customers(request(15 << 10)).await.unwrap();
    for kibibytes in [16, 20, 64, 300, 1_000] {
        let refused = tally.customers().list_customers(request(kibibytes << 10)).await;
        let status = refused.as_ref().unwrap_err();
        assert!(status.message().contains("16384 (16 KiB)"), "{status:?}");
        assert_eq!(status.get_details_error_info().unwrap().metadata["limit"], "16384");
        assert_refused(refused, Code::ResourceExhausted, "METADATA_TOO_LARGE", &[]);
        assert_alive().await;
    }
}
