//! Rows of the two CSV files -> customers and interactions of the contract. Everything that the server
//! would refuse is refused here, so that a bad row is known before anything is sent.

use std::collections::{BTreeMap, HashMap};

use csv::StringRecord;
use jiff::{SignedDuration, Timestamp};
use prost_types::{Struct, Value, value::Kind};
use tally_proto::v1::{Customer, Interaction};

use super::{
    csv::{Columns, Mistake, columns},
    fields::{amount, boolean, number, time, value, word, words},
    time::timestamp,
};
use tally_proto::limits;

/// The kind of interaction whose properties [`SCORE`] and [`EXPECTED`] must be numbers.
const SURVEY: &str = "survey";
const SCORE: &str = "score";
const EXPECTED: &str = "expected";

/// How the rows of one kind of file are read.
pub(super) trait Layout: Sized + Send + 'static {
    /// What a row says.
    type Item: prost::Message + 'static;
    /// Most items in one batch.
    const BATCH: usize;
    /// Finds the columns. `now` bounds the times.
    fn new(header: &StringRecord, now: Timestamp) -> Result<Self, String>;
    /// Takes a row into account for what only the whole file can tell.
    fn learn(&mut self, _: &StringRecord) {}
    /// The row as an item.
    fn item(&self, record: &StringRecord) -> Result<Self::Item, Mistake>;
    /// What must not stand twice in one batch.
    fn unique(item: &Self::Item) -> Option<&str>;
}

/// customers.csv
pub(super) struct Customers {
    customer_id: usize,
    create_time: usize,
    name: Option<usize>,
    attributes: Vec<Attribute>,
    latest: Timestamp,
}

/// A column of attributes and what its values have been so far.
struct Attribute {
    column: usize,
    name: String,
    numbers: bool,
    booleans: bool,
}

impl Layout for Customers {
    type Item = Customer;
    const BATCH: usize = limits::CUSTOMERS;

    fn new(header: &StringRecord, now: Timestamp) -> Result<Self, String> {
        let required: [&[&str]; 2] = [&["customer_id"], &["create_time", "created_at"]];
        let Columns { required: [customer_id, create_time], optional: [name], rest } =
            columns(header, required, ["name"])?;
        words(&rest)?;
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
            customer_id: word(record, self.customer_id, 1, limits::ID_BYTES)?,
            create_time,
            attributes: Some(Struct { fields }),
            name: self.name.map_or(Ok(String::new()), |column| word(record, column, 0, limits::ID_BYTES))?,
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

/// interactions.csv
pub(super) struct Interactions {
    interaction_id: usize,
    customer_id: usize,
    kind: usize,
    occur_time: usize,
    amount: Option<usize>,
    channel: Option<usize>,
    properties: Vec<(usize, String)>,
    latest: Timestamp,
}

impl Layout for Interactions {
    type Item = Interaction;
    const BATCH: usize = 5_000;

    fn new(header: &StringRecord, now: Timestamp) -> Result<Self, String> {
        let required: [&[&str]; 4] =
            [&["interaction_id"], &["customer_id"], &["kind"], &["occur_time", "occurred_at"]];
        let Columns { required, optional: [amount, channel], rest: properties } =
            columns(header, required, ["amount", "channel"])?;
        let [interaction_id, customer_id, kind, occur_time] = required;
        words(&properties)?;
        Ok(Self {
            interaction_id,
            customer_id,
            kind,
            occur_time,
            amount,
            channel,
            properties,
            latest: latest(now),
        })
    }

    fn item(&self, record: &StringRecord) -> Result<Interaction, Mistake> {
        let amount = self.amount.map(|column| amount(record, column)).transpose()?.flatten();
        let channel = self.channel.map(|column| word(record, column, 0, limits::WORD_BYTES)).transpose()?;
        Ok(Interaction {
            customer_id: word(record, self.customer_id, 1, limits::ID_BYTES)?,
            interaction_id: word(record, self.interaction_id, 1, limits::ID_BYTES)?,
            kind: word(record, self.kind, 1, limits::WORD_BYTES)?,
            occur_time: Some(timestamp(time(record, self.occur_time, self.latest)?)),
            amount_minor: amount,
            channel: channel.unwrap_or_default(),
            properties: self.properties(record)?,
            record_time: None,
        })
    }

    fn unique(_: &Interaction) -> Option<&str> {
        None
    }
}

impl Interactions {
    fn properties(&self, record: &StringRecord) -> Result<HashMap<String, String>, Mistake> {
        let survey = &record[self.kind] == SURVEY;
        let mut properties = HashMap::new();
        for (column, name) in &self.properties {
            let text = value(record, *column)?;
            if text.is_empty() {
                continue;
            }
            let finite = || text.parse::<f64>().ok().filter(|number| number.is_finite());
            let wanted = match name.as_str() {
                SCORE if survey && finite().is_none() => "the score of a survey is a number",
                EXPECTED if survey && finite().is_none_or(|number| number <= 0.0) => {
                    "what a survey expects is a number above 0"
                }
                _ => {
                    properties.insert(name.clone(), text.to_owned());
                    continue;
                }
            };
            return Err(Mistake { column: *column, message: format!("`{text}`, but {wanted}") });
        }
        if properties.len() > limits::PROPERTIES {
            let message =
                format!("has {} properties; allowed are up to {}", properties.len(), limits::PROPERTIES);
            return Err(Mistake { column: self.interaction_id, message });
        }
        Ok(properties)
    }
}

/// The latest time that the server takes.
fn latest(now: Timestamp) -> Timestamp {
    now.checked_add(SignedDuration::from_micros(limits::FUTURE_MICROS)).unwrap_or(Timestamp::MAX)
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
        let mut layout = Customers::new(&header, NOW).unwrap();
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

    #[test]
    fn interactions_are_read() {
        let header = record("kind,occur_time,customer_id,interaction_id,amount,channel,score,lines");
        let layout = Interactions::new(&header, NOW).unwrap();
        let item = layout.item(&record("purchase,2011-01-01T00:00:00.5Z,C1,I1,12.30,web,x,")).unwrap();
        assert_eq!((item.customer_id.as_str(), item.interaction_id.as_str()), ("C1", "I1"));
        assert_eq!((item.amount_minor, item.channel.as_str()), (Some(1_230), "web"));
        assert_eq!(
            item.occur_time.map(|time| (time.seconds, time.nanos)),
            Some((1_293_840_000, 500_000_000))
        );
        assert_eq!(item.properties, [("score".to_owned(), "x".to_owned())].into());
        let without = layout.item(&record("visit,2011-01-01,C1,I2,,,,")).unwrap();
        assert_eq!((without.amount_minor, without.properties.len()), (None, 0));
        for (row, column) in [
            ("visit,2011-01-01,C1,,,,,", 3),
            ("visit,2011-01-01,,I1,,,,", 2),
            (",2011-01-01,C1,I1,,,,", 0),
            ("visit,,C1,I1,,,,", 1),
            ("visit,2031-01-01,C1,I1,,,,", 1),
            ("visit,2011-01-01,C1,I1,1.234,,,", 4),
            ("visit,2011-01-01,C\u{7}1,I1,,,,", 2),
            ("survey,2011-01-01,C1,I1,,,good,", 6),
        ] {
            assert_eq!(layout.item(&record(row)).unwrap_err().column, column, "{row}");
        }
    }
}
