//! An alert as the event that a receiver gets: CloudEvents 1.0 in the JSON format
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>). It names the customer by its
//! id, and nothing else of it.

use serde::Serialize;
use tally_store::Alert;

use crate::platform::error::{Error, Result};

/// The content type of an event.
pub(super) const CONTENT_TYPE: &str = "application/cloudevents+json; charset=utf-8";

#[derive(Serialize)]
struct Event<'a> {
    specversion: &'static str,
    id: &'a str,
    source: &'static str,
    r#type: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    subject: &'a str,
    time: String,
    datacontenttype: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    alert_id: &'a str,
    rule: &'a str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    subject: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_value: Option<f64>,
    as_of_time: String,
}

/// The event of an alert, the same at every try.
///
/// # Errors
/// INTERNAL when it cannot be written, which is a bug.
pub(super) fn body(alert: &Alert) -> Result<Vec<u8>> {
    let found = &alert.found;
    let customer_id = found.customer_id.as_deref();
    let event = Event {
        specversion: "1.0",
        id: &found.alert_id,
        source: "/tally",
        r#type: format!("tally.alert.{}", found.kind.name()),
        subject: customer_id.unwrap_or(&found.subject),
        time: alert.create_time.to_string(),
        datacontenttype: "application/json",
        data: Data {
            alert_id: &found.alert_id,
            rule: &found.rule,
            kind: found.kind.name(),
            customer_id,
            subject: &found.subject,
            message: &found.finding.message,
            value: found.finding.value,
            previous_value: found.finding.previous,
            limit_value: found.finding.limit,
            as_of_time: found.as_of.to_string(),
        },
    };
    serde_json::to_vec(&event).map_err(|error| Error::Internal(format!("an event: {error}")))
}
