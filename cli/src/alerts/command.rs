//! Chooses what to do with alerts.

use tally_proto::v1::{AcknowledgeAlertRequest, Alert};

use super::{list::list, watch::watch};
use crate::{
    args::AlertsCommand,
    connection::Connection,
    environment::user_at_host,
    error::ClientError,
    output::{self, datetime, printable},
};

/// Runs a command about alerts.
pub(crate) async fn run(server: &Connection, command: &AlertsCommand, json: bool) -> Result<(), ClientError> {
    match command {
        AlertsCommand::List(args) => list(server, args, json).await,
        AlertsCommand::Watch { cursor, all } => watch(server, cursor.as_deref(), *all, json).await,
        AlertsCommand::Ack { alert_id, note } => acknowledge(server, alert_id, note, json).await,
    }
}

async fn acknowledge(server: &Connection, alert_id: &str, note: &str, json: bool) -> Result<(), ClientError> {
    let request =
        AcknowledgeAlertRequest { alert_id: alert_id.to_owned(), who: user_at_host(), note: note.to_owned() };
    let reply = server.insights().acknowledge_alert(request).await;
    let reply = reply.map_err(|status| server.error(&status))?.into_inner();
    Ok(output::show(&reply.alert.unwrap_or_default(), json, seen)?)
}

fn seen(alert: &Alert) -> String {
    let note = match alert.note.as_str() {
        "" => String::new(),
        note => format!(": {}", printable(note)),
    };
    format!(
        "acknowledged by {} at {}{note}",
        printable(&alert.acknowledged_by),
        datetime(alert.acknowledge_time.as_ref())
    )
}
