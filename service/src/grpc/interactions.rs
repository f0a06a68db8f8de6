//! InteractionService.

use std::sync::Arc;

use http::Extensions;
use tally_model::time::Time;
use tally_proto::{
    limits,
    v1::{
        self, ListInteractionsRequest, ListInteractionsResponse, RecordInteractionsRequest,
        RecordInteractionsResponse, RetractInteractionsRequest, RetractInteractionsResponse,
        interaction_service_server::InteractionService,
    },
};
use tally_store::{InteractionCursor, InteractionKey, Recorded};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, async_trait};
use tracing::Instrument;

use super::{
    caller::{actor, actor_of},
    convert::{page, response, validator::Validator},
    page_token::PageTokens,
    status::{about, broken_batch},
};
use crate::{
    deployment::Deployment,
    ingest::{Ingest, InteractionBatch},
    platform::{blocking::run_blocking, clock::Clock, error::Result},
};

/// The service.
pub(crate) struct InteractionRpc {
    pub(crate) ingest: Ingest,
    pub(crate) deployment: Deployment,
    pub(crate) page_tokens: PageTokens,
    pub(crate) clock: Arc<Clock>,
}

/// The most interactions that are checked on an async worker.
const INLINE: usize = 100;

#[async_trait]
impl InteractionService for InteractionRpc {
    async fn retract_interactions(
        &self,
        request: Request<RetractInteractionsRequest>,
    ) -> Result<Response<RetractInteractionsResponse>, Status> {
        let pending = self.ingest.begin();
        let by = actor(&request, "");
        let RetractInteractionsRequest { keys, reason } = request.into_inner();
        let mut validator = Validator::new(pending.record_time);
        validator.remark("reason", &reason, limits::VALUE_CHARS);
        let keys = retracted_keys(&mut validator, keys);
        let keys = validator.finish(keys)?;
        let retracted = self.ingest.retract_interactions(pending, keys, reason, by).await?;
        Ok(Response::new(RetractInteractionsResponse {
            retracted: retracted.retracted as i64,
            already_retracted: retracted.already_retracted as i64,
        }))
    }

    async fn record_interactions(
        &self,
        request: Request<RecordInteractionsRequest>,
    ) -> Result<Response<RecordInteractionsResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        Ok(Response::new(self.recording().record(request, &extensions).await?))
    }

    type StreamInteractionsStream = ReceiverStream<Result<RecordInteractionsResponse, Status>>;

    async fn stream_interactions(
        &self,
        request: Request<Streaming<RecordInteractionsRequest>>,
    ) -> Result<Response<Self::StreamInteractionsStream>, Status> {
        // One acknowledgement at a time: a client that does not read slows its own stream down.
        let (acknowledge, acknowledgements) = mpsc::channel(1);
        let (_, extensions, batches) = request.into_parts();
        let stream = record_stream(self.recording(), batches, extensions, acknowledge);
        tokio::spawn(stream.in_current_span());
        Ok(Response::new(ReceiverStream::new(acknowledgements)))
    }

    async fn list_interactions(
        &self,
        request: Request<ListInteractionsRequest>,
    ) -> Result<Response<ListInteractionsResponse>, Status> {
        let request = request.into_inner();
        let mut validator = Validator::new(self.clock.now());
        let id = validator.id("customer_id", request.customer_id);
        let size = validator.page_size(request.page_size);
        let size = validator.finish(size)?;
        let scope = ("ListInteractions", &id, request.show_retracted);
        let after: Option<InteractionCursor> = self.page_tokens.open(&scope, &request.page_token)?;
        let found = self.ingest.interactions(&id, after, size + 1, request.show_retracted).await;
        let found = found.map_err(about(&[("customer_id", &id)]))?;
        let (interactions, last) = page::cut(found, size, InteractionCursor::new, response::interaction);
        let next_page_token = self.page_tokens.next(&scope, last)?;
        Ok(Response::new(ListInteractionsResponse { interactions, next_page_token }))
    }
}

/// Stores batch after batch and acknowledges each, until the client ends, is gone, or a batch fails.
async fn record_stream(
    recording: Recording,
    mut batches: Streaming<RecordInteractionsRequest>,
    extensions: Extensions,
    acknowledge: mpsc::Sender<Result<RecordInteractionsResponse, Status>>,
) {
    for number in 0_usize.. {
        let response = match batches.message().await {
            Ok(Some(batch)) => {
                recording.record(batch, &extensions).await.map_err(about(&[("batch", &number)]))
            }
            Ok(None) => break,
            Err(status) => Err(broken_batch(&status, number)),
        };
        let failed = response.is_err();
        if acknowledge.send(response).await.is_err() || failed {
            break;
        }
    }
}

/// What storing a batch takes.
struct Recording {
    ingest: Ingest,
    deployment: Deployment,
}

impl InteractionRpc {
    fn recording(&self) -> Recording {
        Recording { ingest: self.ingest.clone(), deployment: self.deployment.clone() }
    }
}

impl Recording {
    /// Stores one batch of a call with these extensions, all or nothing.
    async fn record(
        &self,
        request: RecordInteractionsRequest,
        extensions: &Extensions,
    ) -> Result<RecordInteractionsResponse> {
        let pending = self.ingest.begin();
        let now = pending.record_time;
        let (by, recreate_erased) = (|| actor_of(extensions, ""), request.recreate_erased);
        let large = request.interactions.len() > INLINE;
        let parse = move || parse(request, now);
        let (batch, amount_decimals) = if large { run_blocking(parse).await? } else { parse() }?;
        if let Some(decimals) = amount_decimals {
            self.deployment.accept_decimals(decimals, by, now).await?;
        }
        if recreate_erased {
            self.ingest.lift_erasures(batch.customer_ids().to_vec(), &by(), now).await?;
        }
        Ok(recorded(self.ingest.record_interactions(pending, batch).await?))
    }
}

const fn recorded(stored: Recorded) -> RecordInteractionsResponse {
    RecordInteractionsResponse {
        recorded: stored.recorded as i64,
        duplicates: stored.duplicates as i64,
        corrected: stored.corrected as i64,
        skipped: stored.skipped as i64,
        late: stored.late as i64,
        moved: stored.moved as i64,
        outdated_predictions: stored.outdated_predictions as i64,
        erased: stored.erased as i64,
    }
}

/// The interactions, and the number of decimals of their amounts.
fn parse(request: RecordInteractionsRequest, now: Time) -> Result<(InteractionBatch, Option<u8>)> {
    let mut validator = Validator::new(now);
    let on_conflict = validator.on_conflict(request.on_conflict);
    let amount_decimals = validator.amount_decimals(request.amount_decimals);
    let mut interactions = Vec::with_capacity(request.interactions.len());
    if validator.batch("interactions", request.interactions.len(), limits::INTERACTIONS) {
        for (n, item) in request.interactions.into_iter().enumerate() {
            interactions.push(validator.interaction(
                format_args!("interactions[{n}]"),
                item,
                request.backfill,
            ));
        }
    }
    let interactions = validator.finish(interactions)?;
    Ok((InteractionBatch::new(interactions, request.backfill, on_conflict), amount_decimals))
}

fn retracted_keys(validator: &mut Validator, keys: Vec<v1::InteractionKey>) -> Vec<InteractionKey> {
    if !validator.batch("keys", keys.len(), limits::INTERACTIONS) {
        return Vec::new();
    }
    let mut key = |(n, key): (usize, v1::InteractionKey)| InteractionKey {
        customer_id: validator.id(format_args!("keys[{n}].customer_id"), key.customer_id),
        interaction_id: validator.id(format_args!("keys[{n}].interaction_id"), key.interaction_id),
    };
    keys.into_iter().enumerate().map(&mut key).collect()
}
