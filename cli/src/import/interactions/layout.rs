//! interactions.csv -> [`Interaction`].

use std::collections::{HashMap, HashSet};

use csv::StringRecord;
use jiff::Timestamp;
use tally_proto::{
    limits,
    v1::Interaction,
    values::{is_placeholder, trimmed},
};

use crate::{
    import::{
        amounts::{Amount, AmountReader, too_large},
        columns::{Columns, columns},
        fields::{Mistake, RowDoubt, check_names, id, text, value},
        layout::{Layout, ValueOptions},
    },
    time::timestamp,
};

pub(super) const PURCHASE: &str = "purchase";
const RETURN: &str = "return";
/// The kind of interaction of which the properties [`SCORE`] and [`EXPECTED`] are numbers.
const SURVEY: &str = "survey";
const SCORE: &str = "score";
/// Above 0.
const EXPECTED: &str = "expected";

/// The columns of interactions.csv.
pub(in crate::import) struct InteractionLayout {
    pub(super) interaction_id: usize,
    pub(super) customer_id: usize,
    pub(super) kind: usize,
    pub(super) occur_time: usize,
    pub(super) amount: Option<usize>,
    pub(super) channel: Option<usize>,
    pub(super) properties: Vec<Property>,
    pub(super) amounts: AmountReader,
    /// The numbers of rows that another row with their key replaces.
    pub(super) replaced: HashSet<u32>,
    pub(super) options: ValueOptions,
}

/// A column of properties.
pub(super) struct Property {
    pub(super) column: usize,
    pub(super) name: String,
    /// Whether its values are numbers; settled by all values of the column.
    pub(super) numeric: bool,
}

/// A row of interactions.csv.
pub(in crate::import) struct InteractionFields<'a> {
    pub(super) interaction_id: &'a str,
    pub(super) customer_id: &'a str,
    pub(super) kind: &'a str,
    pub(super) occur_time: Timestamp,
    pub(super) amount: Option<Amount>,
    pub(super) channel: &'a str,
    record: &'a StringRecord,
}

impl InteractionLayout {
    /// Finds the columns. `decimals` are those of the deployment's amounts. The error is a sentence without its
    /// subject, the file.
    pub(super) fn new(
        header: &StringRecord,
        options: &ValueOptions,
        decimals: Option<u8>,
    ) -> Result<Self, String> {
        let required: [&[&str]; 4] =
            [&["interaction_id"], &["customer_id"], &["kind"], &["occur_time", "occurred_at"]];
        let Columns { required, optional: [amount, channel], rest } =
            columns(header, &options.ignored, required, ["amount", "channel"])?;
        let [interaction_id, customer_id, kind, occur_time] = required;
        check_names(&rest)?;
        let property = |(column, name)| Property { column, name, numeric: false };
        Ok(Self {
            interaction_id,
            customer_id,
            kind,
            occur_time,
            amount,
            channel,
            properties: rest.into_iter().map(property).collect(),
            amounts: AmountReader { mark: options.decimal_mark(), decimals },
            replaced: HashSet::new(),
            options: options.clone(),
        })
    }

    /// The column that names the currency of amounts.
    pub(super) fn currency(&self) -> Option<usize> {
        let property = self.properties.iter().find(|property| property.name.eq_ignore_ascii_case("currency"));
        property.map(|property| property.column)
    }

    /// The decimals of the amounts, which settle those of a deployment that has none, unless all amounts are whole.
    pub(in crate::import) fn decimals_to_settle(&self) -> Option<u8> {
        self.amounts.decimals.filter(|decimals| *decimals > 0)
    }

    fn amount(&self, record: &StringRecord, kind: &str) -> Result<Option<Amount>, Mistake> {
        let Some(column) = self.amount else { return Ok(None) };
        let text = trimmed(&record[column]);
        if text.is_empty() || is_placeholder(text) {
            return Ok(None);
        }
        let amount = self.amounts.read(text).map_err(|message| Mistake::new(column, message))?;
        if amount.is_negative() && kind == PURCHASE {
            let message = format!(
                "`{text}` is negative; money that is paid back is not a `purchase` but a `return` with a positive \
                 amount"
            );
            return Err(Mistake { doubt: Some(RowDoubt::NegativePurchase), ..Mistake::new(column, message) });
        }
        if amount.is_negative() && kind == RETURN {
            let message = format!("`{text}` is negative; the amount of a `return` is positive");
            return Err(Mistake::new(column, message));
        }
        Ok(Some(amount))
    }

    fn check_properties(&self, record: &StringRecord, is_survey: bool) -> Result<(), Mistake> {
        let mut count = 0;
        for Property { column, name, .. } in &self.properties {
            let text = value(record, *column)?;
            if text.is_empty() {
                continue;
            }
            count += 1;
            if !is_survey || is_placeholder(text) {
                continue;
            }
            let number = self.options.numbers.with_point(text).parse::<f64>().ok();
            let number = number.filter(|number| number.is_finite());
            let rule = match name.as_str() {
                SCORE if number.is_none() => "the score of a survey must be a number",
                EXPECTED if number.is_none_or(|number| number <= 0.0) => {
                    "the expected score of a survey must be a number above 0"
                }
                _ => continue,
            };
            return Err(Mistake::new(*column, format!("`{text}`, but {rule}")));
        }
        if count > limits::PROPERTIES {
            let message = format!("has {count} properties; allowed are up to {}", limits::PROPERTIES);
            return Err(Mistake::new(self.interaction_id, message));
        }
        Ok(())
    }

    fn properties(&self, record: &StringRecord, is_survey: bool) -> HashMap<String, String> {
        let mut properties = HashMap::new();
        for Property { column, name, numeric } in &self.properties {
            let text = trimmed(&record[*column]);
            let is_number = *numeric || (is_survey && (name == SCORE || name == EXPECTED));
            if text.is_empty() || (is_number && is_placeholder(text)) {
                continue;
            }
            let text = if is_number { self.options.numbers.with_point(text) } else { text.to_owned() };
            properties.insert(name.clone(), text);
        }
        properties
    }
}

impl Layout for InteractionLayout {
    type Row<'a> = InteractionFields<'a>;
    type Item = Interaction;
    const BATCH: usize = 5_000;

    fn row<'a>(&self, record: &'a StringRecord) -> Result<InteractionFields<'a>, Mistake> {
        let kind = text(record, self.kind, 1, limits::WORD_CHARS)?;
        if is_placeholder(kind) {
            return Err(Mistake::new(self.kind, format!("`{kind}` stands for no value; a kind is required")));
        }
        let channel = self.channel.map_or(Ok(""), |column| text(record, column, 0, limits::WORD_CHARS))?;
        let row = InteractionFields {
            interaction_id: id(record, self.interaction_id)?,
            customer_id: id(record, self.customer_id)?,
            kind,
            occur_time: self.options.time(record, self.occur_time)?,
            amount: self.amount(record, kind)?,
            channel: if is_placeholder(channel) { "" } else { channel },
            record,
        };
        let bytes = row.interaction_id.len() + row.customer_id.len() + kind.len();
        if bytes > limits::KEY_BYTES {
            let message = format!(
                "has {bytes} bytes together with customer_id and kind; allowed are up to {}",
                limits::KEY_BYTES
            );
            return Err(Mistake::new(self.interaction_id, message));
        }
        self.check_properties(record, kind == SURVEY)?;
        Ok(row)
    }

    fn item(&self, row: &InteractionFields<'_>) -> Result<Interaction, Mistake> {
        let amount_minor = match row.amount {
            Some(amount) => {
                let column = self.amount.unwrap_or_default();
                let minor = amount.minor(self.amounts.decimals.unwrap_or_default());
                Some(minor.ok_or_else(|| Mistake::new(column, too_large(&row.record[column])))?)
            }
            None => None,
        };
        Ok(Interaction {
            customer_id: row.customer_id.to_owned(),
            interaction_id: row.interaction_id.to_owned(),
            kind: row.kind.to_owned(),
            occur_time: Some(timestamp(row.occur_time)),
            amount_minor,
            channel: row.channel.to_owned(),
            properties: self.properties(row.record, row.kind == SURVEY),
            record_time: None,
            retract_time: None,
        })
    }

    fn counts(&self, number: u32) -> bool {
        !self.replaced.contains(&number)
    }

    /// The server counts a repeated interaction once.
    fn unique(&self, _: &Interaction) -> Option<u64> {
        None
    }
}
