//! An alert as a row.

use sqlx::FromRow;
use tally_model::insight::alert::{AlertKind, Finding};

use crate::{
    alerts::{Acknowledgement, Alert, Delivery, DeliveryState, NewAlert},
    error::{Result, StoreError},
    shared::Stamp,
};

/// Selects alerts `a` with their deliveries `d`.
pub(super) const SELECT_ALERTS: &str = "SELECT a.customer_id, a.alert_id, a.sequence, a.rule, a.kind, a.subject, \
     a.cause, a.as_of_time, a.create_time, a.message, a.value, a.previous_value, a.limit_value, a.acknowledge_time, \
     a.acknowledged_by, a.note, d.state AS delivery_state, d.attempts, d.last_error, d.first_attempt_time, \
     d.next_attempt_time, d.deliver_time FROM alerts AS a LEFT JOIN alert_deliveries AS d \
     ON d.customer_id = a.customer_id AND d.alert_id = a.alert_id";

#[derive(FromRow)]
pub(super) struct AlertRow {
    customer_id: String,
    alert_id: String,
    sequence: i64,
    rule: String,
    kind: String,
    subject: String,
    cause: String,
    as_of_time: Stamp,
    create_time: Stamp,
    message: String,
    value: Option<f64>,
    previous_value: Option<f64>,
    limit_value: Option<f64>,
    acknowledge_time: Option<Stamp>,
    acknowledged_by: String,
    note: String,
    delivery_state: Option<String>,
    attempts: Option<i64>,
    last_error: Option<String>,
    first_attempt_time: Option<Stamp>,
    next_attempt_time: Option<Stamp>,
    deliver_time: Option<Stamp>,
}

impl TryFrom<AlertRow> for Alert {
    type Error = StoreError;

    fn try_from(row: AlertRow) -> Result<Self> {
        let delivery = delivery(&row)?;
        let (who, note) = (row.acknowledged_by, row.note);
        let acknowledgement = row.acknowledge_time.map(|time| Acknowledgement { time: time.0, who, note });
        let (value, previous, limit) = (row.value, row.previous_value, row.limit_value);
        let found = NewAlert {
            alert_id: row.alert_id,
            customer_id: Some(row.customer_id).filter(|id| !id.is_empty()),
            subject: row.subject,
            rule: row.rule,
            kind: kind(&row.kind)?,
            cause: row.cause,
            as_of: row.as_of_time.0,
            finding: Finding { message: row.message, value, previous, limit },
        };
        Ok(Self { found, sequence: row.sequence, create_time: row.create_time.0, acknowledgement, delivery })
    }
}

fn delivery(row: &AlertRow) -> Result<Option<Delivery>> {
    let (Some(state), Some(next)) = (&row.delivery_state, row.next_attempt_time) else { return Ok(None) };
    let known = DeliveryState::ALL.into_iter().find(|known| known.name() == state);
    let state = known.ok_or_else(|| StoreError::Internal(format!("unknown stored delivery `{state}`")))?;
    Ok(Some(Delivery {
        state,
        attempts: row.attempts.unwrap_or_default(),
        last_error: row.last_error.clone().unwrap_or_default(),
        first_attempt: row.first_attempt_time.map(|time| time.0),
        next_attempt: next.0,
        deliver_time: row.deliver_time.map(|time| time.0),
    }))
}

fn kind(name: &str) -> Result<AlertKind> {
    let known = AlertKind::ALL.into_iter().find(|kind| kind.name() == name);
    known.ok_or_else(|| StoreError::Internal(format!("unknown stored kind of alert `{name}`")))
}
