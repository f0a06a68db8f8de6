//! Rows of customers.csv, and how they are grouped.

use std::{iter, path::Path};

use csv::StringRecord;
use jiff::Timestamp;
use prost_types::value::Kind;
use tally_proto::v1::Customer;

use super::CustomerLayout;
use crate::{
    error::CsvError,
    import::{
        batches::{BATCH_BYTES, in_batches},
        fields::NumberReader,
        findings::ValueType,
        layout::{Layout, ValueOptions},
        times::TimeReader,
    },
};

fn record(row: &str) -> StringRecord {
    row.split(',').collect()
}

fn layout(header: &str) -> CustomerLayout {
    let options = ValueOptions {
        times: TimeReader::default(),
        numbers: NumberReader::default(),
        ignored: vec!["secret".to_owned()],
        latest: Timestamp::constant(1_400_000_000, 0),
    };
    CustomerLayout::new(&record(header), &options).unwrap()
}

#[test]
fn values_have_the_type_of_their_column() {
    let mut layout = layout("customer_id,created_at,n,b,t,name,secret");
    let types = [ValueType::Number, ValueType::Boolean, ValueType::Text];
    for (attribute, value_type) in layout.attributes.iter_mut().zip(types) {
        attribute.value_type = value_type;
    }
    let customer = |row: &str| {
        let record = record(row);
        layout.item(&layout.row(&record).unwrap()).unwrap()
    };
    let first = customer(" C1 ,2011-01-01,1, False,7 ,Ann,x");
    assert_eq!((first.customer_id.as_str(), first.name.as_str()), ("C1", "Ann"));
    let fields = first.attributes.unwrap().fields;
    let kinds: Vec<_> =
        fields.iter().map(|(name, value)| (name.as_str(), value.kind.clone().unwrap())).collect();
    let wanted = [
        ("b", Kind::BoolValue(false)),
        ("n", Kind::NumberValue(1.0)),
        ("t", Kind::StringValue("7".to_owned())),
    ];
    assert_eq!(kinds, wanted);
    for row in ["C2,,,\u{a0},,,", "C2,NULL,many,n/a,-,,", "C2,0000-00-00,,,,,"] {
        let customer = customer(row);
        assert_eq!((customer.create_time, customer.attributes), (None, None), "{row}");
    }
    for (row, column) in [("NULL,,,,,,", 0), (" ,,,,,,", 0), ("C1,1970-01-01,,,,,", 1), ("C1,soon,,,,,", 1)] {
        assert_eq!(layout.row(&record(row)).err().unwrap().column, column, "{row}");
    }
}

fn sizes(ids: impl Iterator<Item = String>) -> Vec<usize> {
    let layout = layout("customer_id,create_time");
    let row = |(line, customer_id)| Ok((line, Customer { customer_id, ..Customer::default() }));
    in_batches(&layout, (2..).zip(ids).map(row)).map(|batch| batch.unwrap().items.len()).collect()
}

#[test]
fn batches_are_full_but_not_too_large_and_have_no_customer_twice() {
    assert_eq!(sizes((0..2_500).map(|n| format!("C{n}"))), [1_000, 1_000, 500]);
    assert_eq!(sizes(["a", "b", "a", "a", "c"].map(str::to_owned).into_iter()), [2, 1, 2]);
    assert_eq!(sizes(iter::empty()), [0; 0]);
    let long = "x".repeat(BATCH_BYTES / 3);
    assert_eq!(sizes((0..5).map(|n| format!("{n}{long}"))), [2, 2, 1]);
}

#[test]
fn a_row_that_cannot_be_read_ends_the_batches() {
    let layout = layout("customer_id,create_time");
    let rows = [Ok((2, Customer::default())), Err(CsvError::of_file(Path::new("x"), "y"))];
    let mut batches = in_batches(&layout, rows.into_iter());
    assert!(batches.next().unwrap().is_err());
}
