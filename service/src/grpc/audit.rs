//! ListAuditEvents.

use tally_proto::v1::{self, ListAuditEventsRequest, ListAuditEventsResponse};
use tally_store::{AuditEvent, AuditFilter};
use tonic::Status;

use super::{
    convert::{page, response::timestamp, validator::Validator},
    deployment::DeploymentRpc,
};

pub(super) async fn list(
    rpc: &DeploymentRpc,
    request: ListAuditEventsRequest,
) -> Result<ListAuditEventsResponse, Status> {
    let mut validator = Validator::new(rpc.clock.now());
    let size = validator.page_size(request.page_size);
    let is_given = !request.customer_id.is_empty();
    let customer_id = is_given.then(|| validator.id("customer_id", request.customer_id));
    let (size, customer_id) = validator.finish((size, customer_id))?;
    let scope = ("ListAuditEvents", &customer_id, request.oldest_first);
    let after: Option<i64> = rpc.page_tokens.open(&scope, &request.page_token)?;
    let filter = AuditFilter { customer_id: customer_id.clone(), oldest_first: request.oldest_first };
    let found = rpc.audit.list(&filter, after, size + 1).await?;
    let (events, last) = page::cut(found, size, |event| event.sequence, response);
    let (total, head) = rpc.audit.extent(&filter).await?;
    Ok(ListAuditEventsResponse {
        events,
        next_page_token: rpc.page_tokens.next(&scope, last)?,
        total_size: total as i64,
        head_sequence: head.sequence,
        head_hash: head.hash,
    })
}

fn response(event: AuditEvent) -> v1::AuditEvent {
    v1::AuditEvent {
        sequence: event.sequence,
        event_time: Some(timestamp(event.time)),
        caller: event.by.name,
        request_id: event.by.request_id,
        action: event.action,
        subject: event.subject,
        customer_hash: event.customer_hash,
        outcome: event.outcome,
        count: event.count,
        hash: event.hash,
    }
}
