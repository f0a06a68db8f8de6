//! interactions.csv -> [`Interaction`].

use std::collections::HashMap;

use csv::StringRecord;
use jiff::Timestamp;
use tally_proto::{limits, v1::Interaction};

use crate::{
    import::{
        columns::{Columns, columns},
        fields::{amount, check_names, finite, text, time, value},
        layout::{Layout, latest},
        reader::Mistake,
    },
    time::timestamp,
};

/// The kind of interaction of which the properties [`SCORE`] and [`EXPECTED`] are numbers.
const SURVEY: &str = "survey";
const SCORE: &str = "score";
/// Above 0.
const EXPECTED: &str = "expected";

/// The columns of interactions.csv.
pub(in crate::import) struct InteractionLayout {
    interaction_id: usize,
    customer_id: usize,
    kind: usize,
    occur_time: usize,
    amount: Option<usize>,
    channel: Option<usize>,
    properties: Vec<(usize, String)>,
    latest: Timestamp,
}

impl Layout for InteractionLayout {
    type Item = Interaction;
    const BATCH: usize = 5_000;

    fn new(header: &StringRecord, now: Timestamp) -> Result<Self, String> {
        let required: [&[&str]; 4] =
            [&["interaction_id"], &["customer_id"], &["kind"], &["occur_time", "occurred_at"]];
        let Columns { required, optional: [amount, channel], rest: properties } =
            columns(header, required, ["amount", "channel"])?;
        let [interaction_id, customer_id, kind, occur_time] = required;
        check_names(&properties)?;
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
        let channel = self.channel.map(|column| text(record, column, 0, limits::WORD_CHARS)).transpose()?;
        Ok(Interaction {
            customer_id: text(record, self.customer_id, 1, limits::ID_CHARS)?,
            interaction_id: text(record, self.interaction_id, 1, limits::ID_CHARS)?,
            kind: text(record, self.kind, 1, limits::WORD_CHARS)?,
            occur_time: Some(timestamp(time(record, self.occur_time, self.latest)?)),
            amount_minor: amount,
            channel: channel.unwrap_or_default(),
            properties: self.properties(record)?,
            record_time: None,
            retract_time: None,
        })
    }

    fn unique(_: &Interaction) -> Option<&str> {
        None
    }
}

impl InteractionLayout {
    fn properties(&self, record: &StringRecord) -> Result<HashMap<String, String>, Mistake> {
        let is_survey = &record[self.kind] == SURVEY;
        let mut properties = HashMap::new();
        for (column, name) in &self.properties {
            let text = value(record, *column)?;
            if text.is_empty() {
                continue;
            }
            let rule = match name.as_str() {
                SCORE if is_survey && finite(text).is_none() => "the score of a survey must be a number",
                EXPECTED if is_survey && finite(text).is_none_or(|number| number <= 0.0) => {
                    "the expected score of a survey must be a number above 0"
                }
                _ => {
                    properties.insert(name.clone(), text.to_owned());
                    continue;
                }
            };
            return Err(Mistake { column: *column, message: format!("`{text}`, but {rule}") });
        }
        if properties.len() > limits::PROPERTIES {
            let message =
                format!("has {} properties; allowed are up to {}", properties.len(), limits::PROPERTIES);
            return Err(Mistake { column: self.interaction_id, message });
        }
        Ok(properties)
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
    fn interactions_are_read() {
        let header = record("kind,occur_time,customer_id,interaction_id,amount,channel,score,lines");
        let layout = InteractionLayout::new(&header, NOW).unwrap();
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
