//! InteractionService.

use std::sync::Arc;

use tally_model::time::Time;
use tally_proto::{
    limits,
    v1::{
        ListInteractionsRequest, ListInteractionsResponse, RecordInteractionsRequest,
        RecordInteractionsResponse, interaction_service_server::InteractionService,
    },
};
use tally_store::Interaction;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, async_trait};
use tracing::Instrument;

use super::{
    convert::{page, response, validator::Validator},
    page_token::PageTokens,
    status::contract_status,
};
use crate::{
    ingest::{Ingest, InteractionBatch},
    platform::{blocking::run_blocking, clock::Clock, error::Result},
};

/// The service.
pub(crate) struct InteractionRpc {
    pub(crate) ingest: Ingest,
    pub(crate) page_tokens: PageTokens,
    pub(crate) clock: Arc<Clock>,
}

/// The most interactions that are checked on an async worker.
const INLINE: usize = 100;

#[async_trait]
impl InteractionService for InteractionRpc {
    async fn retract_interactions(
        &self,
        _: Request<tally_proto::v1::RetractInteractionsRequest>,
    ) -> Result<Response<tally_proto::v1::RetractInteractionsResponse>, Status> {
        Err(Status::unimplemented("to come"))
    }

    async fn record_interactions(
        &self,
        request: Request<RecordInteractionsRequest>,
    ) -> Result<Response<RecordInteractionsResponse>, Status> {
        Ok(Response::new(record(&self.ingest, request.into_inner()).await?))
    }

    type StreamInteractionsStream = ReceiverStream<Result<RecordInteractionsResponse, Status>>;

    async fn stream_interactions(
        &self,
        request: Request<Streaming<RecordInteractionsRequest>>,
    ) -> Result<Response<Self::StreamInteractionsStream>, Status> {
        // One acknowledgement at a time: a client that does not read slows its own stream down.
        let (acknowledge, acknowledgements) = mpsc::channel(1);
        let stream = record_stream(self.ingest.clone(), request.into_inner(), acknowledge);
        tokio::spawn(stream.in_current_span());
        Ok(Response::new(ReceiverStream::new(acknowledgements)))
    }

    async fn list_interactions(
        &self,
        request: Request<ListInteractionsRequest>,
    ) -> Result<Response<ListInteractionsResponse>, Status> {
        let request = request.into_inner();
        let id = request.customer_id;
        let mut validator = Validator::new(self.clock.now());
        validator.id("customer_id", &id);
        let size = validator.page_size(request.page_size);
        let size = validator.finish(size)?;
        let scope = ("ListInteractions", &id);
        let after: Option<(Time, String)> = self.page_tokens.open(&scope, &request.page_token)?;
        let found = self.ingest.interactions(&id, after, size + 1).await?;
        let cursor = |row: &Interaction| (row.occur_time, row.interaction_id.clone());
        let (interactions, last) = page::cut(found, size, cursor, response::interaction);
        let next_page_token = self.page_tokens.next(&scope, last)?;
        Ok(Response::new(ListInteractionsResponse { interactions, next_page_token }))
    }
}

/// Stores batch after batch and acknowledges each, until the client ends, is gone, or a batch fails.
async fn record_stream(
    ingest: Ingest,
    mut batches: Streaming<RecordInteractionsRequest>,
    acknowledge: mpsc::Sender<Result<RecordInteractionsResponse, Status>>,
) {
    loop {
        let response = match batches.message().await {
            Ok(Some(batch)) => record(&ingest, batch).await.map_err(Status::from),
            Ok(None) => break,
            Err(status) => Err(contract_status(&status).unwrap_or(status)),
        };
        let failed = response.is_err();
        if acknowledge.send(response).await.is_err() || failed {
            break;
        }
    }
}

/// Stores one batch, all or nothing.
async fn record(ingest: &Ingest, request: RecordInteractionsRequest) -> Result<RecordInteractionsResponse> {
    let pending = ingest.begin();
    let now = pending.record_time;
    let large = request.interactions.len() > INLINE;
    let parse = move || parse(request, now);
    let batch = if large { run_blocking(parse).await? } else { parse() }?;
    let stored = ingest.record_interactions(pending, batch).await?;
    Ok(RecordInteractionsResponse {
        recorded: stored.recorded as i64,
        duplicates: stored.duplicates as i64,
        ..Default::default()
    })
}

fn parse(request: RecordInteractionsRequest, now: Time) -> Result<InteractionBatch> {
    let mut validator = Validator::new(now);
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
    Ok(InteractionBatch::new(validator.finish(interactions)?))
}
