//! How rows become messages of the contract. Everything that the server would refuse is refused here, so
//! that a bad row is found before anything is sent.

use csv::StringRecord;
use jiff::{SignedDuration, Timestamp};
use tally_proto::limits;

use super::{
    fields::{Mistake, NumberReader},
    times::TimeReader,
};

/// How the rows of one kind of file are read.
pub(super) trait Layout: Sized + Send + 'static {
    /// A row whose fields are checked.
    type Row<'a>;
    /// The message that a row becomes.
    type Item: prost::Message + 'static;
    /// Most items in one batch.
    const BATCH: usize;
    /// Checks a row.
    fn row<'a>(&self, record: &'a StringRecord) -> Result<Self::Row<'a>, Mistake>;
    /// The row as a message.
    fn item(&self, row: &Self::Row<'_>) -> Result<Self::Item, Mistake>;
    /// Whether the row with this number, from 1, counts, and is not replaced by another one of the file.
    fn counts(&self, number: u32) -> bool;
    /// A hash of the id that must not occur twice in one batch, if there is such a rule.
    fn unique(&self, item: &Self::Item) -> Option<u64>;
}

/// What the user says of the values in a file.
#[derive(Clone, Debug)]
pub(super) struct ValueOptions {
    pub(super) times: TimeReader,
    pub(super) numbers: NumberReader,
    /// Names of columns that are not read.
    pub(super) ignored: Vec<String>,
    /// The latest time that the server accepts.
    pub(super) latest: Timestamp,
}

impl ValueOptions {
    /// The time in a column, which is not after the latest one that the server accepts.
    pub(super) fn time(&self, record: &StringRecord, column: usize) -> Result<Timestamp, Mistake> {
        let text = tally_proto::values::trimmed(&record[column]);
        let time = self.times.read(text).map_err(|message| Mistake::new(column, message))?;
        if time > self.latest {
            return Err(Mistake::new(column, format!("{time} is more than one day in the future")));
        }
        Ok(time)
    }

    /// What stands before the decimals of a number.
    pub(super) const fn decimal_mark(&self) -> char {
        if self.numbers.decimal_comma { ',' } else { '.' }
    }
}

/// The latest time that the server accepts.
pub(super) fn latest(now: Timestamp) -> Timestamp {
    now.checked_add(SignedDuration::from_micros(limits::FUTURE_MICROS)).unwrap_or(Timestamp::MAX)
}
