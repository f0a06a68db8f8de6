//! Tables that are read row by row.

use csv::StringRecord;

use crate::error::CsvError;

/// A table that is read row by row.
pub(super) trait Rows: Send {
    /// The names of the columns.
    fn header(&self) -> &StringRecord;
    /// Reads the next row into `record` and returns its line number, None at the end. A `CsvError` with a line concerns that row alone, and reading may go on; one without a line ends the table.
    fn next(&mut self, record: &mut StringRecord) -> Result<Option<u64>, CsvError>;
}
