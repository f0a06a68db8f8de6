//! Messages of the contract as JSON: its field names, times in RFC 3339, enums without their prefix
//! (`LEAD`, `COLD`, `A`). A field that is not set is null, except in a oneof, which shows the one that is.
//!
//! The messages are read by reflection, so that a new field shows up without code here. The mapping is
//! ours, since that of Protobuf (`prost-reflect` with serde, `pbjson`) leaves unset fields out or writes
//! 64-bit integers as text, keeps the prefixes of enums, pads fractions of seconds, and writes 143 as
//! 143.0.

use std::{io, sync::LazyLock};

use prost::{Message, Name};
use prost_reflect::{
    DescriptorError, DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey,
    ReflectMessage, Value as Field,
};
use prost_types::{Struct, Timestamp, Value, value};
use serde_json::{Map, Value as Json, json};
use tonic_types::{RpcStatusExt, Status};

use crate::time;

static CONTRACT: LazyLock<Result<DescriptorPool, DescriptorError>> =
    LazyLock::new(|| DescriptorPool::decode(tally_proto::DESCRIPTOR_SET));

/// A message of the contract.
///
/// # Errors
/// When the descriptors of the contract do not fit the message, which only a faulty build brings about.
pub(super) fn message<M: Message + Name>(message: &M) -> io::Result<Json> {
    let contract = CONTRACT.as_ref().map_err(io::Error::other)?;
    let name = M::full_name();
    let descriptor = contract.get_message_by_name(&name).ok_or_else(|| io::Error::other(name))?;
    object(&DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?)
}

fn object(message: &DynamicMessage) -> io::Result<Json> {
    let descriptor = message.descriptor();
    let fields = descriptor.fields().filter(|field| message.has_field(field) || !is_alternative(field));
    fields
        .map(|field| {
            let unset = field.supports_presence() && !message.has_field(&field);
            let shown = if unset { Json::Null } else { value(&message.get_field(&field), &field.kind())? };
            Ok((field.name().to_owned(), shown))
        })
        .collect()
}

/// Whether the field is one of a oneof. An optional field is a oneof of its own in a descriptor.
fn is_alternative(field: &FieldDescriptor) -> bool {
    field.containing_oneof().is_some() && !field.field_descriptor_proto().proto3_optional()
}

fn value(value: &Field, kind: &Kind) -> io::Result<Json> {
    Ok(match (value, kind) {
        (Field::Bool(truth), _) => json!(truth),
        (Field::I32(number), _) => json!(number),
        (Field::I64(number), _) => json!(number),
        (Field::F64(number), _) => json!(number),
        (Field::String(text), _) => json!(text),
        // Hashes, as the commands print and take them.
        (Field::Bytes(bytes), _) => json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        (Field::EnumNumber(number), Kind::Enum(names)) => json!(enum_name(names, *number)),
        (Field::List(items), _) => {
            items.iter().map(|item| self::value(item, kind)).collect::<Result<_, _>>()?
        }
        (Field::Map(entries), Kind::Message(entry)) if entry.is_map_entry() => {
            let kind = entry.map_entry_value_field().kind();
            let one = |(key, field): (&MapKey, &Field)| Ok((key_text(key), self::value(field, &kind)?));
            entries.iter().map(one).collect::<io::Result<Map<String, Json>>>()?.into()
        }
        (Field::Message(message), _) => match message.descriptor().full_name() {
            "google.protobuf.Timestamp" => json!(time::format(&message.transcode_to::<Timestamp>()?)),
            "google.protobuf.Struct" => {
                natural(&Value { kind: Some(value::Kind::StructValue(message.transcode_to::<Struct>()?)) })
            }
            "google.protobuf.Value" => natural(&message.transcode_to::<Value>()?),
            _ => object(message)?,
        },
        (other, _) => return Err(io::Error::other(format!("no JSON is defined for {other:?}"))),
    })
}

fn key_text(key: &MapKey) -> String {
    key.as_str().map_or_else(|| format!("{key:?}"), str::to_owned)
}

/// `PROMOTION_KIND_ROLLBACK` -> `ROLLBACK`. A number that the contract does not have is UNSPECIFIED.
fn enum_name(names: &EnumDescriptor, number: i32) -> String {
    let unspecified = names.default_value();
    let prefix = unspecified.name().trim_end_matches("UNSPECIFIED");
    let name = names.get_value(number).unwrap_or_else(|| unspecified.clone());
    name.name().trim_start_matches(prefix).to_owned()
}

/// What the value says, without its wrapping. Whole numbers have no fraction.
fn natural(value: &Value) -> Json {
    match &value.kind {
        None | Some(value::Kind::NullValue(_)) => Json::Null,
        Some(value::Kind::BoolValue(truth)) => json!(truth),
        Some(value::Kind::NumberValue(number)) if number.fract() == 0.0 && number.abs() < 9e15 => {
            json!(*number as i64)
        }
        Some(value::Kind::NumberValue(number)) => json!(number),
        Some(value::Kind::StringValue(text)) => json!(text),
        Some(value::Kind::ListValue(list)) => list.values.iter().map(natural).collect(),
        Some(value::Kind::StructValue(fields)) => {
            fields.fields.iter().map(|(name, value)| (name.clone(), natural(value))).collect()
        }
    }
}

/// The line of a customer that has no score. The details of the status are not part of the contract's
/// descriptors; those that Tally sends are shown.
pub(crate) fn unscored(customer_id: &str, status: &Status) -> Json {
    let details = status.get_error_details();
    let mut shown = Vec::new();
    if let Some(info) = details.error_info() {
        shown.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": info.reason, "domain": info.domain, "metadata": info.metadata,
        }));
    }
    if let Some(bad) = details.bad_request() {
        let violation =
            |v: &tonic_types::FieldViolation| json!({"field": v.field, "description": v.description});
        shown.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "field_violations": bad.field_violations.iter().map(violation).collect::<Vec<_>>(),
        }));
    }
    let status = json!({"code": status.code, "message": status.message, "details": shown});
    json!({"customer_id": customer_id, "status": status})
}

#[cfg(test)]
mod tests;
