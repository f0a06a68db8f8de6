//! Alerts: the list, the stream, and who has seen them.

use std::collections::HashMap;

use tally_model::insight::alert::AlertKind;
use tally_proto::{
    limits,
    v1::{
        self, AcknowledgeAlertRequest, AcknowledgeAlertResponse, AlertDeliveryState, ListAlertsRequest,
        ListAlertsResponse, WatchAlertsRequest, WatchAlertsResponse,
    },
};
use tally_store::{Alert, AlertFilter, Delivery, DeliveryState};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};

use super::InsightRpc;
use crate::{
    grpc::{
        caller::{is_known, person},
        convert::{page, response::timestamp, validator::Validator},
        page_token::PageTokens,
        predictions::{Messages, stream},
        status::about,
    },
    insight::Alerts,
    platform::error::{Error, Result, Shortened},
};

/// Alerts that a watch reads at a time.
const WATCHED_AT_ONCE: usize = 100;
/// What the cursor of a watch is of.
const WATCH: &str = "WatchAlerts";

/// ListAlerts.
pub(super) async fn list(rpc: &InsightRpc, request: ListAlertsRequest) -> Result<ListAlertsResponse, Status> {
    let mut validator = Validator::new(rpc.clock.now());
    let size = validator.page_size(request.page_size);
    let filter = filter(&mut validator, &request);
    let (size, filter) = validator.finish((size, filter))?;
    if let Some(rule) = &filter.rule {
        rpc.alerts.check_rule(rule).await?;
    }
    let scope = ("ListAlerts", &filter);
    let before: Option<i64> = rpc.page_tokens.open(&scope, &request.page_token)?;
    let (found, total) = rpc.alerts.list(filter.clone(), before, size + 1).await?;
    let names = rpc.alerts.customer_names(&found).await?;
    let (alerts, last) = page::cut(found, size, |alert| alert.sequence, |alert| response(alert, &names));
    let next_page_token = rpc.page_tokens.next(&scope, last)?;
    Ok(ListAlertsResponse { alerts, next_page_token, total_size: total as i64 })
}

/// AcknowledgeAlert.
pub(super) async fn acknowledge(
    rpc: &InsightRpc,
    request: Request<AcknowledgeAlertRequest>,
) -> Result<AcknowledgeAlertResponse, Status> {
    let (_, extensions, request) = request.into_parts();
    let mut validator = Validator::new(rpc.clock.now());
    let id = validator.id("alert_id", request.alert_id);
    let may_be_empty = is_known(&extensions) && request.who.is_empty();
    let said = if may_be_empty { String::new() } else { validator.id("who", request.who) };
    let who = person(&extensions, &said);
    validator.remark("note", &request.note, limits::VALUE_CHARS);
    let (id, who) = validator.finish((id, who))?;
    let alert = rpc.alerts.acknowledge(&id, who, request.note).await;
    let alert = alert.map_err(about(&[("alert_id", &id)]))?;
    let names = rpc.alerts.customer_names(std::slice::from_ref(&alert)).await?;
    Ok(AcknowledgeAlertResponse { alert: Some(response(alert, &names)) })
}

/// WatchAlerts.
pub(super) async fn watch(
    rpc: &InsightRpc,
    request: WatchAlertsRequest,
) -> Result<ReceiverStream<Result<WatchAlertsResponse, Status>>, Status> {
    let refused =
        || Error::invalid("cursor", "is not the cursor of a message of WatchAlerts of this deployment");
    let cursor = match rpc.page_tokens.open::<i64>(&WATCH, &request.cursor) {
        Err(Error::Invalid(_)) => return Err(refused().into()),
        cursor => cursor?,
    };
    let (alerts, tokens) = (rpc.alerts.clone(), rpc.page_tokens.clone());
    let new_from = match cursor {
        None if request.only_new => Some(alerts.last().await?),
        _ => None,
    };
    Ok(stream(move |messages| async move {
        if let Some(last) = new_from {
            let start = WatchAlertsResponse { alert: None, cursor: tokens.next(&WATCH, Some(last))? };
            if messages.send(Ok(start)).await.is_err() {
                return Ok(());
            }
        }
        send(&alerts, &tokens, new_from.or(cursor).unwrap_or_default(), &messages).await
    }))
}

/// Sends all alerts after the one with this sequence, until the client has gone or the server stops.
async fn send(
    alerts: &Alerts,
    tokens: &PageTokens,
    mut last: i64,
    messages: &Messages<WatchAlertsResponse>,
) -> Result<()> {
    let mut feed = alerts.feed().subscribe();
    loop {
        let state = *feed.borrow_and_update();
        if state.closing {
            return Ok(());
        }
        let found = alerts.after(last, WATCHED_AT_ONCE).await?;
        let any = !found.is_empty();
        let names = alerts.customer_names(&found).await?;
        for alert in found {
            last = alert.sequence;
            let message = WatchAlertsResponse {
                cursor: tokens.next(&WATCH, Some(last))?,
                alert: Some(response(alert, &names)),
            };
            if messages.send(Ok(message)).await.is_err() {
                return Ok(());
            }
        }
        if any {
            continue;
        }
        tokio::select! {
            changed = feed.changed() => if changed.is_err() { return Ok(()) },
            () = messages.closed() => return Ok(()),
        }
    }
}

fn filter(validator: &mut Validator, request: &ListAlertsRequest) -> AlertFilter {
    let given = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let known = |name: &String| AlertKind::ALL.into_iter().find(|kind| kind.name() == name);
    let kind = given(&request.kind).and_then(|name| {
        let kind = known(&name);
        if kind.is_none() {
            let names = AlertKind::ALL.map(AlertKind::name).join(", ");
            validator.refuse("kind", format!("is `{}`; allowed are {names}", Shortened(&name)));
        }
        kind.map(AlertKind::name)
    });
    let delivery = match AlertDeliveryState::try_from(request.delivery_state) {
        Ok(AlertDeliveryState::Unspecified) => None,
        Ok(AlertDeliveryState::Pending) => Some(DeliveryState::Pending),
        Ok(AlertDeliveryState::Delivered) => Some(DeliveryState::Delivered),
        Ok(AlertDeliveryState::Parked) => Some(DeliveryState::Parked),
        Err(_) => {
            let allowed = "ALERT_DELIVERY_STATE_PENDING to ALERT_DELIVERY_STATE_PARKED";
            validator
                .refuse("delivery_state", format!("is {}; allowed are {allowed}", request.delivery_state));
            None
        }
    };
    AlertFilter {
        rule: given(&request.rule).map(|rule| validator.word("rule", rule)),
        kind,
        customer_id: given(&request.customer_id).map(|id| validator.id("customer_id", id)),
        acknowledged: request.acknowledged,
        delivery,
    }
}

/// An alert with the name of its customer, of `names` by id.
pub(in crate::grpc) fn response(alert: Alert, names: &HashMap<String, String>) -> v1::Alert {
    let Alert { found, create_time, acknowledgement, delivery, .. } = alert;
    let customer_name = found.customer_id.as_ref().and_then(|id| names.get(id)).cloned();
    let seen = acknowledgement.as_ref();
    v1::Alert {
        alert_id: found.alert_id,
        rule: found.rule,
        kind: found.kind.name().to_owned(),
        customer_id: found.customer_id.unwrap_or_default(),
        subject: found.subject,
        message: found.finding.message,
        value: found.finding.value,
        previous_value: found.finding.previous,
        limit_value: found.finding.limit,
        as_of_time: Some(timestamp(found.as_of)),
        create_time: Some(timestamp(create_time)),
        acknowledge_time: seen.map(|seen| timestamp(seen.time)),
        acknowledged_by: seen.map(|seen| seen.who.clone()).unwrap_or_default(),
        note: seen.map(|seen| seen.note.clone()).unwrap_or_default(),
        delivery: delivery.map(delivered),
        customer_name: customer_name.unwrap_or_default(),
    }
}

fn delivered(delivery: Delivery) -> v1::AlertDelivery {
    let state = match delivery.state {
        DeliveryState::Pending => AlertDeliveryState::Pending,
        DeliveryState::Delivered => AlertDeliveryState::Delivered,
        DeliveryState::Parked => AlertDeliveryState::Parked,
    };
    v1::AlertDelivery {
        state: state.into(),
        attempts: delivery.attempts,
        last_error: delivery.last_error,
        next_attempt_time: (delivery.state == DeliveryState::Pending)
            .then(|| timestamp(delivery.next_attempt)),
        deliver_time: delivery.deliver_time.map(timestamp),
    }
}
