//! The messages of ExportCustomer.

use std::collections::HashMap;

use prost_types::{ListValue, Struct, Value, value::Kind};
use serde_json::{Map, Value as Json};
use tally_proto::v1::{ExportCustomerResponse, StoredRow, export_customer_response::Part};

use super::{convert::response, insight::alert_response, predictions::Messages};
use crate::{
    ingest::{CustomerExport, ExportPart},
    platform::error::Result,
};

/// Sends an export, row by row. A client that has gone ends it.
pub(super) async fn send(
    mut export: CustomerExport,
    messages: &Messages<ExportCustomerResponse>,
) -> Result<()> {
    while let Some(part) = export.next().await? {
        for part in parts(part) {
            if messages.send(Ok(ExportCustomerResponse { part: Some(part) })).await.is_err() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn parts(part: ExportPart) -> Vec<Part> {
    match part {
        ExportPart::Customer(customer) => vec![Part::Customer(response::customer(*customer))],
        ExportPart::Interactions(found) => {
            found.into_iter().map(|one| Part::Interaction(response::interaction(one))).collect()
        }
        ExportPart::Predictions(found) => {
            found.into_iter().map(|one| Part::Prediction(response::score(one))).collect()
        }
        ExportPart::Alerts(found) => {
            found.into_iter().map(|one| Part::Alert(alert_response(one, &HashMap::new()))).collect()
        }
        ExportPart::Rows(table, rows) => {
            let row = |values| StoredRow { table: table.name().to_owned(), values: Some(to_struct(values)) };
            rows.into_iter().map(|values| Part::Row(row(values))).collect()
        }
    }
}

fn to_struct(values: Map<String, Json>) -> Struct {
    Struct { fields: values.into_iter().map(|(name, value)| (name, to_value(value))).collect() }
}

fn to_value(value: Json) -> Value {
    let kind = match value {
        Json::Null => Kind::NullValue(0),
        Json::Bool(truth) => Kind::BoolValue(truth),
        Json::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Json::String(text) => Kind::StringValue(text),
        Json::Array(values) => {
            Kind::ListValue(ListValue { values: values.into_iter().map(to_value).collect() })
        }
        Json::Object(values) => Kind::StructValue(to_struct(values)),
    };
    Value { kind: Some(kind) }
}
