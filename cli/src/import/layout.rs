//! How rows become messages of the contract. Everything that the server would refuse is refused here, so
//! that a bad row is found before anything is sent.

use csv::StringRecord;
use jiff::{SignedDuration, Timestamp};
use tally_proto::limits;

use super::reader::Mistake;

/// How the rows of one kind of file are read.
pub(super) trait Layout: Sized + Send + 'static {
    /// The message that a row becomes.
    type Item: prost::Message + 'static;
    /// Most items in one batch.
    const BATCH: usize;
    /// Finds the columns. `now` bounds the times. The error is a sentence without its subject, the file.
    fn new(header: &StringRecord, now: Timestamp) -> Result<Self, String>;
    /// Takes a row into account for what depends on the whole file.
    fn learn(&mut self, _: &StringRecord) {}
    /// The row as a message.
    fn item(&self, record: &StringRecord) -> Result<Self::Item, Mistake>;
    /// The id that must not occur twice in one batch, if there is such a rule.
    fn unique(item: &Self::Item) -> Option<&str>;
}

/// The latest time that the server accepts.
pub(super) fn latest(now: Timestamp) -> Timestamp {
    now.checked_add(SignedDuration::from_micros(limits::FUTURE_MICROS)).unwrap_or(Timestamp::MAX)
}
