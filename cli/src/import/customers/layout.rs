//! customers.csv -> [`Customer`].

use std::collections::BTreeMap;

use csv::StringRecord;
use jiff::Timestamp;
use prost_types::{Struct, Value, value::Kind};
use tally_proto::{limits, v1::Customer};

use crate::{
    import::{
        columns::{Columns, columns},
        fields::{boolean, check_names, number, text, time, value},
        layout::{Layout, latest},
        reader::Mistake,
    },
    time::timestamp,
};

/// The columns of customers.csv.
pub(in crate::import) struct CustomerLayout {
    customer_id: usize,
    create_time: usize,
    name: Option<usize>,
    attributes: Vec<Attribute>,
    latest: Timestamp,
}

/// A column of attributes, and the types that all its values so far have.
struct Attribute {
    column: usize,
    name: String,
    numbers: bool,
    booleans: bool,
}

impl Layout for CustomerLayout {
    type Item = Customer;
    const BATCH: usize = limits::CUSTOMERS;

    fn new(header: &StringRecord, now: Timestamp) -> Result<Self, String> {
        let required: [&[&str]; 2] = [&["customer_id"], &["create_time", "created_at"]];
        let Columns { required: [customer_id, create_time], optional: [name], rest } =
            columns(header, required, ["name"])?;
        check_names(&rest)?;
        let attribute = |(column, name)| Attribute { column, name, numbers: true, booleans: true };
        let attributes = rest.into_iter().map(attribute).collect();
        Ok(Self { customer_id, create_time, name, attributes, latest: latest(now) })
    }

    fn learn(&mut self, record: &StringRecord) {
        for attribute in &mut self.attributes {
            let text = &record[attribute.column];
            if !text.is_empty() {
                attribute.numbers = attribute.numbers && number(text).is_some();
                attribute.booleans = attribute.booleans && boolean(text).is_some();
            }
        }
    }

    fn item(&self, record: &StringRecord) -> Result<Customer, Mistake> {
        let mut fields = BTreeMap::new();
        for attribute in &self.attributes {
            let text = value(record, attribute.column)?;
            if !text.is_empty() {
                fields.insert(attribute.name.clone(), Value { kind: Some(attribute.kind(text)) });
            }
        }
        if fields.len() > limits::ATTRIBUTES {
            let message =
                format!("has {} attributes; allowed are up to {}", fields.len(), limits::ATTRIBUTES);
            return Err(Mistake { column: self.customer_id, message });
        }
        let create_time = if record[self.create_time].is_empty() {
            None
        } else {
            Some(timestamp(time(record, self.create_time, self.latest)?))
        };
        Ok(Customer {
            customer_id: text(record, self.customer_id, 1, limits::ID_CHARS)?,
            create_time,
            attributes: Some(Struct { fields }),
            name: self.name.map_or(Ok(String::new()), |column| text(record, column, 0, limits::ID_CHARS))?,
            merged_customer_ids: Vec::new(),
        })
    }

    fn unique(item: &Customer) -> Option<&str> {
        Some(&item.customer_id)
    }
}

impl Attribute {
    fn kind(&self, text: &str) -> Kind {
        if let Some(number) = number(text).filter(|_| self.numbers) {
            Kind::NumberValue(number)
        } else if let Some(truth) = boolean(text).filter(|_| self.booleans) {
            Kind::BoolValue(truth)
        } else {
            Kind::StringValue(text.to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::constant(1_400_000_000, 0);

    fn record(row: &str) -> StringRecord {
        row.split(',').collect()
    }

    #[test]
    fn types_are_inferred_from_the_whole_column() {
        let header = record("customer_id,created_at,n,code,b,mixed,empty,plus,big,name");
        let mut layout = CustomerLayout::new(&header, NOW).unwrap();
        let rows = [
            "C1,2011-01-01,1,7,true,1,,+1,1e3,Ann",
            "C2,2011-01-01,-0.5,007,False,true,,2,1e999,",
            "C3,,,,,,,,,",
        ]
        .map(record);
        for row in &rows {
            layout.learn(row);
        }
        let customer = layout.item(&rows[0]).unwrap();
        assert_eq!(customer.name, "Ann");
        let fields = customer.attributes.unwrap().fields;
        let kind = |name: &str| fields.get(name).and_then(|value| value.kind.clone());
        let text = |text: &str| Some(Kind::StringValue(text.to_owned()));
        assert_eq!(kind("n"), Some(Kind::NumberValue(1.0)));
        assert_eq!(kind("b"), Some(Kind::BoolValue(true)));
        assert_eq!(
            [kind("code"), kind("mixed"), kind("plus"), kind("big")],
            [text("7"), text("1"), text("+1"), text("1e3")]
        );
        assert_eq!(kind("empty"), None);
        assert_eq!(kind("name"), None);
        let third = layout.item(&rows[2]).unwrap();
        assert_eq!(third.create_time, None);
        assert_eq!(third.attributes, Some(Struct::default()));
    }
}
