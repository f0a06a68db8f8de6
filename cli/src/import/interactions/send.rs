//! Sends interactions in several streams at a time.

use std::sync::Arc;

use futures_util::future::join_all;
use indicatif::ProgressBar;
use tally_proto::v1::RecordInteractionsResponse;
use tokio::sync::mpsc;
use tonic::Status;

use super::{
    InteractionLayout,
    feed::{Feed, requests},
};
use crate::{
    connection::Connection,
    error::ClientError,
    import::{batches::read_ahead, check::Checked, upload::Upload},
    progress,
};

/// Streams at a time.
const STREAMS: usize = 4;
/// Batches of a stream that are sent and not yet acknowledged, at most.
const IN_FLIGHT: usize = 2;

/// Sends the interactions of a file. The order does not matter to the server. When a stream fails, the
/// others finish the batches that they have sent, so that the number of stored rows is exact. Returns the
/// totals of all replies.
pub(in crate::import) async fn send(
    server: &Connection,
    file: Checked<InteractionLayout>,
    backfill: bool,
) -> Result<RecordInteractionsResponse, ClientError> {
    let Checked { path, layout, rows } = file;
    let bar = progress::begin("interactions", rows);
    let feed = Arc::new(Feed::new(read_ahead(path.clone(), layout)));
    let results = join_all((0..STREAMS).map(|_| stream(server, &feed, backfill, &bar))).await;
    let mut upload = Upload::new(server, &path, "interactions");
    let mut totals = RecordInteractionsResponse::default();
    let mut failures = Vec::new();
    for result in results {
        totals.recorded += result.totals.recorded;
        totals.duplicates += result.totals.duplicates;
        upload.rows += result.rows;
        failures.extend(result.failure);
    }
    // The first in the file, when several have failed.
    let first = failures.into_iter().min_by_key(|(lines, _)| lines.first().copied().unwrap_or(u64::MAX));
    if let Some((lines, status)) = first {
        return Err(upload.failed(&lines, &status));
    }
    match feed.take_error().await {
        Some(error) => Err(upload.stopped(error.into())),
        None => upload.complete(rows).map(|()| totals),
    }
}

/// What a stream has done.
#[derive(Default)]
struct StreamResult {
    /// Rows acknowledged.
    rows: u64,
    totals: RecordInteractionsResponse,
    /// The lines of the batch that failed, as far as they are known, and why.
    failure: Option<(Vec<u64>, Status)>,
}

/// Sends batches until there are no more.
async fn stream(server: &Connection, feed: &Arc<Feed>, backfill: bool, bar: &ProgressBar) -> StreamResult {
    let (sender, mut in_flight) = mpsc::channel::<Vec<u64>>(IN_FLIGHT);
    let requests = requests(Arc::clone(feed), sender, backfill);
    let mut result = StreamResult::default();
    let call = async {
        let mut replies = server.interactions().stream_interactions(requests).await?.into_inner();
        while let Some(reply) = replies.message().await? {
            let rows = in_flight.try_recv().map_or(0, |lines| lines.len() as u64);
            result.rows += rows;
            result.totals.recorded += reply.recorded;
            result.totals.duplicates += reply.duplicates;
            bar.inc(rows);
        }
        Ok(())
    };
    let ended: Result<(), Status> = call.await;
    if let Err(status) = ended {
        feed.close().await;
        // Replies come in order, so the failed batch is the oldest without one.
        result.failure = Some((in_flight.try_recv().unwrap_or_default(), status));
    }
    result
}
