//! InteractionService.

use std::{collections::HashSet, sync::Arc};

use tally_model::time::Time;
use tally_proto::v1::{
    ListInteractionsRequest, ListInteractionsResponse, RecordInteractionsRequest, RecordInteractionsResponse,
    interaction_service_server::InteractionService,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{middleware::contract_status, page, parse::Validator, reply};
use crate::{app::App, platform::error::Error, scoring::score::run_blocking};
use tally_proto::limits;
use tally_store::Interaction;

/// The service.
pub struct Interactions(pub Arc<App>);

#[async_trait]
impl InteractionService for Interactions {
    async fn record_interactions(
        &self,
        request: Request<RecordInteractionsRequest>,
    ) -> Result<Response<RecordInteractionsResponse>, Status> {
        Ok(Response::new(record(&self.0, request.into_inner()).await?))
    }

    type StreamInteractionsStream = ReceiverStream<Result<RecordInteractionsResponse, Status>>;

    async fn stream_interactions(
        &self,
        request: Request<Streaming<RecordInteractionsRequest>>,
    ) -> Result<Response<Self::StreamInteractionsStream>, Status> {
        let mut batches = request.into_inner();
        let app = Arc::clone(&self.0);
        // One acknowledgement at a time: a client that does not read slows its own stream down.
        let (acknowledge, acknowledgements) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let answer = match batches.message().await {
                    Ok(Some(batch)) => record(&app, batch).await.map_err(Status::from),
                    Ok(None) => break,
                    Err(status) => Err(contract_status(&status).unwrap_or(status)),
                };
                let last = answer.is_err();
                if acknowledge.send(answer).await.is_err() || last {
                    break;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(acknowledgements)))
    }

    async fn list_interactions(
        &self,
        request: Request<ListInteractionsRequest>,
    ) -> Result<Response<ListInteractionsResponse>, Status> {
        let request = request.into_inner();
        let id = request.customer_id;
        let mut check = Validator::new(self.0.now());
        check.id("customer_id", &id);
        let size = check.page_size(request.page_size);
        let size = check.finish(size)?;
        let scope = ("ListInteractions", &id);
        let after: Option<(Time, String)> = self.0.tokens.open(&scope, &request.page_token)?;
        let found = self.0.store.interactions(&id, after, size + 1).await.map_err(Error::from)?;
        if found.is_empty() && self.0.store.customer(&id).await.map_err(Error::from)?.is_none() {
            return Err(Error::unknown_customer(&id).into());
        }
        let cursor = |row: &Interaction| (row.occur_time, row.interaction_id.clone());
        let (interactions, last) = page::cut(found, size, cursor, reply::interaction);
        let next_page_token = self.0.tokens.next(&scope, last)?;
        Ok(Response::new(ListInteractionsResponse { interactions, next_page_token }))
    }
}

/// Interactions that are checked at once; more of them leave the workers that answer requests.
const INLINE: usize = 100;

/// Stores one batch, whole or not at all.
async fn record(app: &App, request: RecordInteractionsRequest) -> Result<RecordInteractionsResponse, Error> {
    let (writer, now) = app.begin_write();
    let large = request.interactions.len() > INLINE;
    let work = move || parse(request, now);
    let (parsed, ids) = if large { run_blocking(work).await? } else { work() }?;
    let (store, histories) = (Arc::clone(&app.store), app.histories.clone());
    let write = async move { histories.around(ids, store.record_interactions(parsed)).await };
    let done = writer.finish(write).await?;
    Ok(RecordInteractionsResponse { recorded: done.recorded as i64, duplicates: done.duplicates as i64 })
}

/// The interactions of a request, and whose they are.
fn parse(request: RecordInteractionsRequest, now: Time) -> Result<(Vec<Interaction>, Vec<String>), Error> {
    let mut check = Validator::new(now);
    let mut parsed = Vec::with_capacity(request.interactions.len());
    if check.batch("interactions", request.interactions.len(), limits::INTERACTIONS) {
        for (n, item) in request.interactions.into_iter().enumerate() {
            parsed.push(check.interaction(format_args!("interactions[{n}]"), item, request.backfill));
        }
    }
    let parsed = check.finish(parsed)?;
    let ids: HashSet<&String> = parsed.iter().map(|interaction| &interaction.customer_id).collect();
    let ids = ids.into_iter().cloned().collect();
    Ok((parsed, ids))
}
