//! `tally alerts watch`: alerts as they arise.

use tally_proto::v1::{Alert, WatchAlertsRequest};

use super::list::about;
use crate::{
    connection::Connection,
    error::ClientError,
    output::{self, datetime, printable},
};

/// Prints each alert as it arrives, until the server ends the watch.
pub(super) async fn watch(
    server: &Connection,
    cursor: Option<&str>,
    all: bool,
    json: bool,
) -> Result<(), ClientError> {
    let failed = |status| server.error(&status);
    let only_new = cursor.is_none() && !all;
    let request = WatchAlertsRequest { cursor: cursor.unwrap_or_default().to_owned(), only_new };
    let mut messages = server.insights().watch_alerts(request).await.map_err(failed)?.into_inner();
    let mut last = String::new();
    while let Some(message) = messages.message().await.map_err(failed)? {
        if json {
            output::print_json(&message)?;
        } else if let Some(alert) = &message.alert {
            output::print(&line(alert))?;
        }
        last = message.cursor;
    }
    Err(ClientError::CutShort(format!("`tally alerts watch --cursor {}` goes on", printable(&last))))
}

fn line(alert: &Alert) -> String {
    let name = match alert.customer_name.as_str() {
        "" => String::new(),
        name => format!(" ({})", printable(name)),
    };
    format!(
        "{}  {}  {}  {}{name}: {}",
        datetime(alert.create_time.as_ref()),
        printable(&alert.alert_id),
        printable(&alert.rule),
        printable(about(alert)),
        printable(&alert.message)
    )
}
