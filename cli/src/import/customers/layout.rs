//! customers.csv -> [`Customer`].

use std::{collections::BTreeMap, hash::BuildHasher};

use csv::StringRecord;
use foldhash::fast::FixedState;
use jiff::Timestamp;
use prost_types::{Struct, Value, value::Kind};
use tally_proto::{
    limits,
    v1::Customer,
    values::{boolean, is_placeholder, trimmed},
};

use crate::{
    import::{
        columns::{Columns, columns},
        fields::{Mistake, check_names, id, text, value},
        findings::ValueType,
        layout::{Layout, ValueOptions},
    },
    time::timestamp,
};

/// The columns of customers.csv.
pub(in crate::import) struct CustomerLayout {
    pub(super) customer_id: usize,
    pub(super) create_time: usize,
    pub(super) name: Option<usize>,
    pub(super) attributes: Vec<Attribute>,
    pub(super) options: ValueOptions,
}

/// A column of attributes.
pub(super) struct Attribute {
    pub(super) column: usize,
    pub(super) name: String,
    /// Settled by all values of the column.
    pub(super) value_type: ValueType,
}

/// A row of customers.csv.
pub(in crate::import) struct CustomerFields<'a> {
    pub(super) customer_id: &'a str,
    pub(super) create_time: Option<Timestamp>,
    pub(super) name: &'a str,
    record: &'a StringRecord,
}

impl CustomerLayout {
    /// Finds the columns. The error is a sentence without its subject, the file.
    pub(super) fn new(header: &StringRecord, options: &ValueOptions) -> Result<Self, String> {
        let required: [&[&str]; 2] = [&["customer_id"], &["create_time", "created_at"]];
        let Columns { required: [customer_id, create_time], optional: [name], rest } =
            columns(header, &options.ignored, required, ["name"])?;
        check_names(&rest)?;
        if rest.len() > limits::ATTRIBUTES {
            return Err(format!(
                "has {} columns of attributes; allowed are up to {}. --ignore leaves columns out",
                rest.len(),
                limits::ATTRIBUTES
            ));
        }
        let attribute = |(column, name)| Attribute { column, name, value_type: ValueType::Text };
        let attributes = rest.into_iter().map(attribute).collect();
        Ok(Self { customer_id, create_time, name, attributes, options: options.clone() })
    }

    /// The names of the attributes.
    pub(in crate::import) fn attribute_names(&self) -> Vec<String> {
        self.attributes.iter().map(|attribute| attribute.name.clone()).collect()
    }

    fn create_time(&self, record: &StringRecord) -> Result<Option<Timestamp>, Mistake> {
        let text = trimmed(&record[self.create_time]);
        if text.is_empty() || is_placeholder(text) || text.starts_with("0000-00-00") {
            return Ok(None);
        }
        self.options.time(record, self.create_time).map(Some)
    }

    fn kind(&self, attribute: &Attribute, text: &str) -> Option<Kind> {
        match attribute.value_type {
            _ if text.is_empty() || is_placeholder(text) => None,
            ValueType::Number => self.options.numbers.number(text).map(Kind::NumberValue),
            ValueType::Boolean => boolean(text).map(Kind::BoolValue),
            ValueType::Text => Some(Kind::StringValue(text.to_owned())),
        }
    }
}

impl Layout for CustomerLayout {
    type Row<'a> = CustomerFields<'a>;
    type Item = Customer;
    const BATCH: usize = limits::CUSTOMERS;

    fn row<'a>(&self, record: &'a StringRecord) -> Result<CustomerFields<'a>, Mistake> {
        for attribute in &self.attributes {
            value(record, attribute.column)?;
        }
        Ok(CustomerFields {
            customer_id: id(record, self.customer_id)?,
            create_time: self.create_time(record)?,
            name: self.name.map_or(Ok(""), |column| text(record, column, 0, limits::ID_CHARS))?,
            record,
        })
    }

    fn item(&self, row: &CustomerFields<'_>) -> Result<Customer, Mistake> {
        let mut fields = BTreeMap::new();
        for attribute in &self.attributes {
            let kind = self.kind(attribute, trimmed(&row.record[attribute.column]));
            if kind.is_some() {
                fields.insert(attribute.name.clone(), Value { kind });
            }
        }
        Ok(Customer {
            customer_id: row.customer_id.to_owned(),
            create_time: row.create_time.map(timestamp),
            attributes: Some(Struct { fields }).filter(|attributes| !attributes.fields.is_empty()),
            name: row.name.to_owned(),
            merged_customer_ids: Vec::new(),
        })
    }

    fn counts(&self, _: u32) -> bool {
        true
    }

    fn unique(&self, item: &Customer) -> Option<u64> {
        Some(FixedState::default().hash_one(&item.customer_id))
    }
}
