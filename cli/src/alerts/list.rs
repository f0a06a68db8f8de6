//! `tally alerts list`: alerts, page by page.

use tally_proto::v1::{Alert, AlertDelivery, AlertDeliveryState, ListAlertsRequest};

use crate::{
    args::AlertsListArgs,
    connection::Connection,
    error::ClientError,
    output::{self, DASH, cut, datetime, insert_texts, narrow_table, narrow_text},
    paging::{self, showing},
};

/// The most columns of a rule, of what an alert is about, of who acknowledged it, and of the note.
const RULE: usize = 20;
const ABOUT: usize = 20;
/// The fewest columns of the name of a customer.
const NAME: usize = 16;
const WHO: usize = 60;
const NOTE: usize = 80;

/// Prints the alerts: JSON page by page, text in one table.
pub(super) async fn list(server: &Connection, args: &AlertsListArgs, json: bool) -> Result<(), ClientError> {
    let listed = paging::read(args.limit, json, async |page_size, page_token| {
        let request = ListAlertsRequest { page_size, page_token, ..request(args) };
        let page = server.insights().list_alerts(request).await;
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

fn request(args: &AlertsListArgs) -> ListAlertsRequest {
    ListAlertsRequest {
        rule: args.rule.clone().unwrap_or_default(),
        kind: args.kind.clone().unwrap_or_default(),
        customer_id: args.customer.clone().unwrap_or_default(),
        acknowledged: args.open.then_some(false),
        delivery_state: args.delivery.map_or(AlertDeliveryState::Unspecified, Into::into).into(),
        ..ListAlertsRequest::default()
    }
}

fn text(alerts: &[Alert], showing: &str) -> String {
    if alerts.is_empty() {
        return format!("no alerts; {showing}");
    }
    // Where nobody has seen an alert, or there is no webhook, the column would be empty.
    let with = Columns {
        seen: alerts.iter().any(|alert| alert.acknowledge_time.is_some()),
        note: alerts.iter().any(|alert| !alert.note.is_empty()),
        sent: alerts.iter().any(|alert| alert.delivery.is_some()),
    };
    let mut header = vec!["when", "rule", "about", "why"];
    header.extend(with.seen.then_some("acknowledged by"));
    header.extend(with.note.then_some("note"));
    header.extend(with.sent.then_some("sent"));
    header.push("id");
    let mut rows: Vec<Vec<String>> = alerts.iter().map(|alert| row(alert, with)).collect();
    if alerts.iter().any(|alert| !alert.customer_name.is_empty()) {
        let names = alerts.iter().map(|alert| match alert.customer_name.as_str() {
            "" => DASH,
            name => name,
        });
        insert_texts(&mut header, &mut rows, (3, "name"), NAME, names);
    }
    let table = narrow_table(&header, &[], rows);
    let notes = format!("{showing}\n`tally alerts ack ID` says that somebody has seen one");
    format!("{table}\n\n{}", narrow_text(&notes))
}

/// Which of the columns that may be empty a table has.
#[derive(Clone, Copy)]
struct Columns {
    seen: bool,
    note: bool,
    sent: bool,
}

fn row(alert: &Alert, with: Columns) -> Vec<String> {
    let sent = || alert.delivery.as_ref().map_or_else(|| DASH.to_owned(), sent);
    let seen = || match alert.acknowledge_time.as_ref() {
        None => DASH.to_owned(),
        time => format!("{} {}", cut(&alert.acknowledged_by, WHO), datetime(time)),
    };
    let mut cells = vec![
        datetime(alert.create_time.as_ref()),
        cut(&alert.rule, RULE),
        cut(about(alert), ABOUT),
        output::printable(&alert.message),
    ];
    cells.extend(with.seen.then(seen));
    cells.extend(with.note.then(|| cut(&alert.note, NOTE)));
    cells.extend(with.sent.then(sent));
    cells.push(output::printable(&alert.alert_id));
    cells
}

/// What became of a delivery, and why the last try failed.
fn sent(delivery: &AlertDelivery) -> String {
    let state = delivery.state().as_str_name().trim_start_matches("ALERT_DELIVERY_STATE_").to_lowercase();
    match delivery.last_error.as_str() {
        "" => state,
        error => format!("{state}: {}", output::printable(error)),
    }
}

/// Whom or what an alert is about.
pub(super) fn about(alert: &Alert) -> &str {
    if alert.customer_id.is_empty() { &alert.subject } else { &alert.customer_id }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    #[test]
    fn alerts_fit_a_terminal() {
        let alert = Alert {
            alert_id: "019a3f5e-6f3c-7c52-9a6e-0c5d1f1b2a77".to_owned(),
            rule: "good customer about to leave us".to_owned(),
            customer_id: "C1042-and-a-much-longer-number".to_owned(),
            message: "the churn grade fell from B to D".to_owned(),
            create_time: Some(Timestamp { seconds: 1_769_839_212, nanos: 0 }),
            acknowledge_time: Some(Timestamp { seconds: 1_769_839_272, nanos: 0 }),
            acknowledged_by: "ada@desk".to_owned(),
            note: "I call".to_owned(),
            customer_name: "Ada Augusta King, Countess of Lovelace".to_owned(),
            delivery: Some(AlertDelivery {
                state: AlertDeliveryState::Parked.into(),
                last_error: "the receiver refuses connections".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let other = Alert {
            alert_id: "019a3f5e-6f3c-7c52-9a6e-0c5d1f1b2a78".to_owned(),
            rule: "nobody scores".to_owned(),
            subject: "churn/7".to_owned(),
            message: "churn/7 has not scored a population for more than 2 days".to_owned(),
            create_time: alert.create_time,
            ..Default::default()
        };
        let without = text(std::slice::from_ref(&other), "showing 1 of 1");
        assert!(
            !without.contains("acknowledged") && !without.contains("note") && !without.contains("sent –"),
            "{without}"
        );
        let shown = text(&[alert, other], "showing 2 of 2");
        assert!(shown.lines().all(|line| line.chars().count() <= 100), "{shown}");
        insta::assert_snapshot!(shown, @r"
        when                  rule                  about                 name
        ────────────────────────────────────────────────────────────────────────────────────────────────────
        2026-01-31T06:00:12Z  good customer about…  C1042-and-a-much-lo…  Ada Augusta King, Countess of Lo…
          why the churn grade fell from B to D  acknowledged by ada@desk 2026-01-31T06:01:12Z  note I call
          sent parked: the receiver refuses connections  id 019a3f5e-6f3c-7c52-9a6e-0c5d1f1b2a77
        2026-01-31T06:00:12Z  nobody scores         churn/7               –
          why churn/7 has not scored a population for more than 2 days  acknowledged by –  sent –
          id 019a3f5e-6f3c-7c52-9a6e-0c5d1f1b2a78

        showing 2 of 2
        `tally alerts ack ID` says that somebody has seen one
        ");
    }
}
