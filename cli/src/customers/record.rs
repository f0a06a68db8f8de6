//! A customer as text.

use std::collections::BTreeMap;

use prost_types::{Value, value::Kind};
use tally_proto::v1::Customer;

use crate::output::{datetime, printable};

/// The customer's record, one line a field.
pub(super) fn record(customer: &Customer) -> String {
    let mut lines = vec![
        ("customer", printable(&customer.customer_id)),
        ("name", printable(&customer.name)),
        ("created", datetime(customer.create_time.as_ref())),
        ("merged", printable(&customer.merged_customer_ids.join(", "))),
    ];
    lines.retain(|(_, value)| !value.is_empty());
    let mut lines: Vec<(String, String)> =
        lines.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    // A map has no order.
    let attributes: BTreeMap<_, _> = customer.attributes.iter().flat_map(|all| &all.fields).collect();
    lines.extend(attributes.into_iter().map(|(name, value)| (format!("  {}", printable(name)), text(value))));
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or_default();
    let lines: Vec<String> =
        lines.into_iter().map(|(name, value)| format!("{name:width$}  {value}")).collect();
    lines.join("\n")
}

fn text(value: &Value) -> String {
    match &value.kind {
        Some(Kind::BoolValue(truth)) => truth.to_string(),
        Some(Kind::NumberValue(number)) => number.to_string(),
        Some(Kind::StringValue(text)) => printable(text),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use prost_types::{Struct, Timestamp};

    use super::*;

    #[test]
    fn a_record_has_a_line_for_each_field_that_is_set() {
        let value = |kind| Value { kind: Some(kind) };
        let fields = [
            ("region".to_owned(), value(Kind::StringValue("no\nrth".to_owned()))),
            ("employees".to_owned(), value(Kind::NumberValue(12.0))),
            ("vip".to_owned(), value(Kind::BoolValue(true))),
        ];
        let customer = Customer {
            customer_id: "C1".to_owned(),
            create_time: Some(Timestamp { seconds: 1_315_526_400, nanos: 0 }),
            attributes: Some(Struct { fields: fields.into() }),
            name: String::new(),
            merged_customer_ids: vec!["C2".to_owned(), "C7".to_owned()],
        };
        insta::assert_snapshot!(record(&customer), @r"
        customer     C1
        created      2011-09-09T00:00:00Z
        merged       C2, C7
          employees  12
          region     no�rth
          vip        true
        ");
    }
}
