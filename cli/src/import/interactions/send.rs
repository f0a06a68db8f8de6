//! Sends interactions in several streams at a time.

use std::{pin::pin, sync::Arc};

use futures_util::{Stream, future::join_all};
use indicatif::ProgressBar;
use tally_proto::v1::{OnConflict, RecordInteractionsRequest, RecordInteractionsResponse};
use tally_terminal::{Interrupts, progress};
use tokio::time::sleep;
use tonic::Status;

use super::{
    InteractionLayout,
    feed::{Feed, InFlight, requests},
};
use crate::{
    connection::Connection,
    error::ClientError,
    import::{batches::read_ahead, check::Checked, retries::Retries, upload::Upload},
};

/// How interactions are recorded.
#[derive(Clone, Copy, Debug)]
pub(in crate::import) struct UploadOptions {
    pub(in crate::import) backfill: bool,
    pub(in crate::import) on_conflict: OnConflict,
    /// With how many decimals amounts have become minor units; None if it does not matter.
    pub(in crate::import) amount_decimals: Option<u8>,
    pub(in crate::import) recreate_erased: bool,
}

/// Streams at a time.
const STREAMS: usize = 4;
/// Batches of a stream that are sent and not yet acknowledged, at most.
const IN_FLIGHT: usize = 2;

/// Sends the interactions of a file. Their order does not matter, since of rows with the same key and other content one
/// alone is sent. When a stream fails or a signal comes, the others finish the batches that they have sent, so that the number of stored
/// rows is exact. Returns the totals of all replies.
pub(in crate::import) async fn send(
    server: &Connection,
    file: Checked<InteractionLayout>,
    options: UploadOptions,
    interrupts: &Interrupts,
) -> Result<RecordInteractionsResponse, ClientError> {
    let Checked { source, layout, rows } = file;
    let bar = progress::begin("interactions", rows);
    let feed = Arc::new(Feed::new(read_ahead(source.clone(), layout)));
    let mut sending =
        pin!(join_all((0..STREAMS).map(|_| stream(server, &feed, options, (&bar, interrupts)))));
    let results = tokio::select! {
        results = &mut sending => results,
        _ = interrupts.received() => {
            feed.close().await;
            sending.await
        }
    };
    let mut upload = Upload::new(server, source.name(), "interactions");
    let mut totals = RecordInteractionsResponse::default();
    let mut failures = Vec::new();
    for result in results {
        add(&mut totals, &result.totals);
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
        None => match interrupts.get() {
            Some(signal) if upload.rows < rows => Err(upload.interrupted(signal)),
            _ => upload.complete(rows).map(|()| totals),
        },
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

/// Sends batches until there are no more; those without a reply again, when the failure passes by itself.
async fn stream(
    server: &Connection,
    feed: &Arc<Feed>,
    options: UploadOptions,
    (bar, interrupts): (&ProgressBar, &Interrupts),
) -> StreamResult {
    let mut result = StreamResult::default();
    let mut retries = Retries::new();
    loop {
        let rows = result.rows;
        let in_flight = Arc::new(InFlight::new(IN_FLIGHT));
        let sent = send_all(server, requests(Arc::clone(feed), Arc::clone(&in_flight), options), |reply| {
            let acknowledged = in_flight.acknowledge().map_or(0, |batch| batch.lines.len() as u64);
            result.rows += acknowledged;
            add(&mut result.totals, reply);
            bar.inc(acknowledged);
        });
        let Err(status) = sent.await else { return result };
        if result.rows > rows {
            retries = Retries::new();
        }
        let mut unanswered = in_flight.end();
        let Some(wait) = retries.wait(&status) else {
            feed.close().await;
            // Replies come in order, so the failed batch is the oldest without one.
            let failed = unanswered.pop_front().map(|batch| batch.lines);
            result.failure = Some((failed.unwrap_or_default(), status));
            return result;
        };
        feed.give_back(unanswered).await;
        tokio::select! {
            () = sleep(wait) => {}
            // The feed is closed.
            _ = interrupts.received() => return result,
        }
    }
}

/// Sends requests in one call, whose replies go to `acknowledged`.
async fn send_all(
    server: &Connection,
    requests: impl Stream<Item = RecordInteractionsRequest> + Send + 'static,
    mut acknowledged: impl FnMut(&RecordInteractionsResponse),
) -> Result<(), Status> {
    let mut replies = server.interactions().stream_interactions(requests).await?.into_inner();
    while let Some(reply) = replies.message().await? {
        acknowledged(&reply);
    }
    Ok(())
}

fn add(totals: &mut RecordInteractionsResponse, reply: &RecordInteractionsResponse) {
    totals.recorded += reply.recorded;
    totals.duplicates += reply.duplicates;
    totals.corrected += reply.corrected;
    totals.skipped += reply.skipped;
    totals.late += reply.late;
    totals.moved += reply.moved;
    totals.outdated_predictions += reply.outdated_predictions;
    totals.erased += reply.erased;
}
