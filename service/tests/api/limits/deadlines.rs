//! Deadlines of callers, and callers who go away.

use prost::Message;
use tally_proto::v1;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request};

use super::{ended, framed};
use crate::support::{
    Tally, assert_refused, eventually, interaction, on_both_stores,
    raw_http2::{DATA, END_HEADERS, HEADERS, RST_STREAM, RawConnection},
};

on_both_stores!(
    a_deadline_is_kept_and_garbage_is_ignored,
    a_stream_ends_at_its_deadline,
    calls_whose_callers_go_away_count_as_cancelled,
);

const RECORD: &str = "InteractionService/RecordInteractions";

const STREAM: &str = "InteractionService/StreamInteractions";

/// A request that records one interaction.
fn record(id: &str) -> Vec<u8> {
    let interactions = vec![interaction("c", id, "visit", "2024-01-01")];
    framed(0, &v1::RecordInteractionsRequest { interactions, ..Default::default() }.encode_to_vec())
}

/// Clients of libraries give up at their deadlines themselves, so that this one counts by itself.
async fn a_deadline_is_kept_and_garbage_is_ignored(tally: Tally) {
    let mut connection = RawConnection::open(&tally.url).await;
    let mut streams = (1..).step_by(2);
    let mut call = async |timeout: &str| {
        let stream = streams.next().unwrap();
        connection
            .call_and_wait((stream, RECORD), &[("grpc-timeout", timeout)], &record(&stream.to_string()))
            .await;
    };
    for timeout in ["0n", "0H", "1m", "999999n"] {
        call(timeout).await;
    }
    assert_eq!(ended(&tally, RECORD, "DEADLINE_EXCEEDED").await, 4.0);
    assert_eq!(tally.database.sql("SELECT count(*) FROM interactions").await, Some(0));
    let taken = ["99999999H", "1H", "60S", "-1S", "", "soon", "1.5S", "123456789S"];
    for timeout in taken {
        call(timeout).await;
    }
    assert_eq!(ended(&tally, RECORD, "OK").await, taken.len() as f64);
    let stored = tally.database.sql("SELECT count(*) FROM interactions").await;
    assert_eq!(stored, Some(taken.len() as i64));
}

async fn a_stream_ends_at_its_deadline(tally: Tally) {
    let (batches, stream) = mpsc::channel(1);
    let interactions = vec![interaction("c", "i", "visit", "2024-01-01")];
    batches.send(v1::RecordInteractionsRequest { interactions, ..Default::default() }).await.unwrap();
    let mut request = Request::new(ReceiverStream::new(stream));
    request.metadata_mut().insert("grpc-timeout", "1500m".parse().unwrap());
    let mut replies = tally.interactions().stream_interactions(request).await.unwrap().into_inner();
    assert_eq!(replies.message().await.unwrap().unwrap().recorded, 1);
    assert_refused(replies.message().await, Code::DeadlineExceeded, "DEADLINE_EXCEEDED", &[]);
}

async fn calls_whose_callers_go_away_count_as_cancelled(tally: Tally) {
    const CANCEL: u32 = 8;
    let mut connection = RawConnection::open(&tally.url).await;
    // Half of a message, and then a reset of the stream, or the end of the connection.
    for stream in [1, 3] {
        let call = connection.call(RECORD);
        assert!(connection.send(HEADERS, END_HEADERS, stream, &call).await);
        assert!(connection.send(DATA, 0, stream, &record("i")[..9]).await);
    }
    assert!(connection.send(RST_STREAM, 0, 1, &CANCEL.to_be_bytes()).await);
    eventually(async || ended(&tally, RECORD, "CANCELLED").await == 1.0).await;
    drop(connection);
    eventually(async || ended(&tally, RECORD, "CANCELLED").await == 2.0).await;
    // A stream that is open for a while.
    let mut connection = RawConnection::open(&tally.url).await;
    let call = connection.call(STREAM);
    assert!(connection.send(HEADERS, END_HEADERS, 1, &call).await);
    assert!(connection.send(DATA, 0, 1, &record("i")).await);
    assert!(connection.read_until(|frame| frame.kind == DATA).await.is_some());
    assert!(connection.send(RST_STREAM, 0, 1, &CANCEL.to_be_bytes()).await);
    eventually(async || ended(&tally, STREAM, "CANCELLED").await == 1.0).await;
    let (_, metrics) = tally.get("/metrics").await;
    for code in ["INTERNAL", "UNKNOWN", "UNAVAILABLE", "INVALID_ARGUMENT"] {
        assert!(!metrics.contains(&format!("code=\"{code}\"")), "{metrics}");
    }
}
