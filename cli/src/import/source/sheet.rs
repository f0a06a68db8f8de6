//! Sheets of an .xlsx workbook as rows.

use std::path::Path;

use calamine::{Data, ExcelDateTime, Range, Reader, Xlsx, open_workbook};
use csv::StringRecord;

use crate::{error::CsvError, import::rows::Rows};

/// The rows of one sheet.
pub(super) struct SheetRows {
    cells: Range<Data>,
    header: StringRecord,
    /// The next row, counted from the first that has a cell.
    next: usize,
}

impl SheetRows {
    /// Reads a sheet, the first one if `sheet` is None. `path` is the file that `file` stands for.
    pub(super) fn open(file: &Path, path: &Path, sheet: Option<&str>) -> Result<Self, CsvError> {
        let not_read = |error| {
            CsvError::of_file(
                file,
                format!("is a zip archive, but cannot be read as an .xlsx workbook: {error}"),
            )
        };
        let mut book: Xlsx<_> = open_workbook(path).map_err(not_read)?;
        let names = book.sheet_names();
        let name = match sheet {
            None => names.first().cloned(),
            Some(sheet) => names.iter().find(|name| *name == sheet).cloned(),
        };
        let name = name.ok_or_else(|| {
            let wanted = sheet.map(|sheet| format!(" `{sheet}`")).unwrap_or_default();
            CsvError::of_file(file, format!("has no sheet{wanted}; it has: {}", names.join(", ")))
        })?;
        let cells = book.worksheet_range(&name).map_err(not_read)?;
        let mut rows = Self { cells, header: StringRecord::new(), next: 0 };
        let mut header = StringRecord::new();
        rows.read(&mut header)
            .ok_or_else(|| CsvError::of_file(file, format!("has the empty sheet `{name}`")))?;
        rows.header = header.iter().map(tally_proto::values::trimmed).collect();
        Ok(rows)
    }

    /// Reads the next row that is not empty, and returns its number.
    fn read(&mut self, record: &mut StringRecord) -> Option<u64> {
        let (height, width) = self.cells.get_size();
        while self.next < height {
            let row = self.next;
            self.next += 1;
            let cells = (0..width).map(|column| self.cells.get((row, column)).map(text).unwrap_or_default());
            record.clear();
            record.extend(cells);
            if record.iter().any(|text| !text.is_empty()) {
                let first_row = self.cells.start().map_or(0, |(row, _)| row);
                return Some(u64::from(first_row) + row as u64 + 1);
            }
        }
        None
    }
}

impl Rows for SheetRows {
    fn header(&self) -> &StringRecord {
        &self.header
    }

    fn next(&mut self, record: &mut StringRecord) -> Result<Option<u64>, CsvError> {
        Ok(self.read(record))
    }
}

/// A cell as CSV has it.
fn text(cell: &Data) -> String {
    match cell {
        Data::Empty => String::new(),
        Data::Int(number) => number.to_string(),
        Data::Float(number) => decimal(*number),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Bool(truth) => truth.to_string(),
        Data::DateTime(time) => moment(*time),
        Data::Error(error) => error.to_string(),
    }
}

/// A number with at most 15 digits, as Excel shows it: 0.1 + 0.2 is 0.3.
fn decimal(number: f64) -> String {
    format!("{number:.14e}").parse::<f64>().unwrap_or(number).to_string()
}

/// A time without an offset; without a time of the day if that is midnight. A duration is its hours and minutes.
fn moment(time: ExcelDateTime) -> String {
    if time.is_duration() || time.as_f64() < 1.0 {
        return decimal(time.as_f64());
    }
    let (year, month, day, hour, minute, second, milli) = time.to_ymd_hms_milli();
    let date = format!("{year:04}-{month:02}-{day:02}");
    match (hour, minute, second, milli) {
        (0, 0, 0, 0) => date,
        (.., 0) => format!("{date} {hour:02}:{minute:02}:{second:02}"),
        _ => format!("{date} {hour:02}:{minute:02}:{second:02}.{milli:03}"),
    }
}
