//! Sheets of an .xlsx workbook as rows.

use std::{io::BufReader, iter::Peekable, path::Path, vec::IntoIter};

use calamine::{Data, DataRef, ExcelDateTime, Reader, Xlsx, XlsxError, open_workbook};
use csv::StringRecord;

use crate::{error::CsvError, import::rows::Rows};

/// The rows of one sheet. Only cells that have something are kept: the last of a million rows may be all there is.
pub(super) struct SheetRows {
    /// The cells that are not read yet, row by row.
    cells: Peekable<IntoIter<SheetCell>>,
    first_column: u32,
    /// The number of columns from the first that has a cell to the last.
    width: usize,
    header: StringRecord,
}

/// A cell of a row and a column, counted from 0.
struct SheetCell {
    row: u32,
    column: u32,
    value: Data,
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
        let cells = cells(&mut book, &name).map_err(not_read)?;
        let columns = || cells.iter().map(|cell| cell.column);
        let (first_column, last) = (columns().min().unwrap_or(0), columns().max().unwrap_or(0));
        let width = (last - first_column) as usize + 1;
        let cells = cells.into_iter().peekable();
        let mut rows = Self { cells, first_column, width, header: StringRecord::new() };
        let mut header = StringRecord::new();
        rows.read(&mut header)
            .ok_or_else(|| CsvError::of_file(file, format!("has the empty sheet `{name}`")))?;
        rows.header = header.iter().map(tally_proto::values::trimmed).collect();
        Ok(rows)
    }

    /// Reads the next row that is not empty, and returns its number.
    fn read(&mut self, record: &mut StringRecord) -> Option<u64> {
        loop {
            let row = self.cells.peek()?.row;
            let mut fields = vec![String::new(); self.width];
            while let Some(cell) = self.cells.next_if(|cell| cell.row == row) {
                fields[(cell.column - self.first_column) as usize] = text(&cell.value);
            }
            if fields.iter().any(|text| !text.is_empty()) {
                record.clear();
                record.extend(&fields);
                return Some(u64::from(row) + 1);
            }
        }
    }
}

/// The cells of a sheet that have something, row by row. Of several in one place, the last comes last.
fn cells(book: &mut Xlsx<BufReader<std::fs::File>>, sheet: &str) -> Result<Vec<SheetCell>, XlsxError> {
    let (mut cells, mut reader) = (Vec::new(), book.worksheet_cells_reader(sheet)?);
    while let Some(cell) = reader.next_cell()? {
        let (row, column) = cell.get_position();
        if *cell.get_value() != DataRef::Empty {
            cells.push(SheetCell { row, column, value: cell.get_value().clone().into() });
        }
    }
    cells.sort_by_key(|cell| (cell.row, cell.column));
    Ok(cells)
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
