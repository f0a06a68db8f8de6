//! `tally audit list`: events, page by page.

use tally_proto::v1::{AuditEvent, ListAuditEventsRequest};

use crate::{
    args::AuditListArgs,
    connection::Connection,
    error::ClientError,
    output::{self, DASH, count, cut, datetime, narrow_table, narrow_text},
    paging::{self, showing},
};

/// The most columns of an action, and of who did it.
const ACTION: usize = 20;
const CALLER: usize = 30;
/// Digits of a hash that tell customers apart for a reader.
const HASH: usize = 12;

/// Prints the events: JSON page by page, text in one table.
pub(super) async fn list(server: &Connection, args: &AuditListArgs, json: bool) -> Result<(), ClientError> {
    let listed = paging::read(args.limit, json, async |page_size, page_token| {
        let request = ListAuditEventsRequest {
            page_size,
            page_token,
            customer_id: args.customer.clone().unwrap_or_default(),
            ..ListAuditEventsRequest::default()
        };
        let page = server.deployment().list_audit_events(request).await;
        Ok(page.map_err(|status| server.error(&status))?.into_inner())
    });
    let listed = listed.await?;
    let showing = showing(listed.shown, listed.first.total_size);
    if json {
        output::remark(&showing);
        return Ok(());
    }
    Ok(output::print(&text(&listed.items, &showing))?)
}

fn text(events: &[AuditEvent], showing: &str) -> String {
    if events.is_empty() {
        return format!("no events; {showing}");
    }
    let header = ["#", "when", "what", "outcome", "count", "who", "about"];
    let table = narrow_table(&header, &[0, 4], events.iter().map(row));
    format!("{table}\n\n{}", narrow_text(showing))
}

fn row(event: &AuditEvent) -> Vec<String> {
    vec![
        event.sequence.to_string(),
        datetime(event.event_time.as_ref()),
        cut(&event.action, ACTION),
        output::printable(&event.outcome),
        count(event.count),
        if event.caller.is_empty() { DASH.to_owned() } else { cut(&event.caller, CALLER) },
        about(event),
    ]
}

/// What an event is about: the beginning of a customer's hash, or something else.
fn about(event: &AuditEvent) -> String {
    let hash: String = event.customer_hash.iter().map(|byte| format!("{byte:02x}")).collect();
    match (event.subject.as_str(), hash.get(..HASH)) {
        (_, Some(hash)) => format!("customer {hash}"),
        ("", None) => DASH.to_owned(),
        (subject, None) => cut(subject, CALLER),
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    #[test]
    fn events_fit_a_terminal() {
        let event = AuditEvent {
            sequence: 41,
            event_time: Some(Timestamp { seconds: 1_769_839_212, nanos: 0 }),
            caller: "ada as operations team (unchecked) from 192.168.100.100".to_owned(),
            action: "DeleteCustomer".to_owned(),
            customer_hash: vec![0xab; 32],
            outcome: "OK".to_owned(),
            count: 1,
            ..AuditEvent::default()
        };
        let refused = AuditEvent {
            sequence: 42,
            action: "RecordActionOutcome".to_owned(),
            caller: String::new(),
            customer_hash: Vec::new(),
            outcome: "PERMISSION_DENIED".to_owned(),
            count: 12_345,
            ..event.clone()
        };
        let shown = text(&[refused, event], "showing 2 of 42");
        assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
        for cell in ["41", "2026-01-31T06:00:12Z", "PERMISSION_DENIED", "12,345", "customer abababababab"] {
            assert!(shown.contains(cell), "{shown}");
        }
    }
}
