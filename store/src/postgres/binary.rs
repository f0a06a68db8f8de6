//! PostgreSQL's binary format: rows in by COPY
//! (<https://www.postgresql.org/docs/current/sql-copy.html>), and arrays out. In both, a value is its length and its
//! bytes, and NULL has the length −1.

use serde::Serialize;
use sqlx::PgConnection;
use tally_model::time::Time;

use crate::{
    error::{Result, StoreError},
    shared::json::to_json,
};

/// 2000-01-01T00:00:00Z, from which PostgreSQL counts, in microseconds since 1970.
const EPOCH: i64 = 946_684_800_000_000;
/// The beginning of every COPY; two words that are 0 follow.
const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";
const NULL: i32 = -1;
/// Follows the last row in place of a number of fields.
const END: i16 = -1;

/// Encoded rows on their way into the database.
pub(super) struct EncodedRows(Vec<u8>);

impl EncodedRows {
    /// Begins a row with this number of fields, which must follow.
    pub(super) fn row(&mut self, fields: i16) {
        self.0.extend_from_slice(&fields.to_be_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.value(text.as_bytes());
    }

    pub(super) fn time(&mut self, time: Time) {
        self.value(&micros(time));
    }

    pub(super) fn int(&mut self, number: i64) {
        self.value(&number.to_be_bytes());
    }

    pub(super) fn bool(&mut self, truth: bool) {
        self.value(&[truth.into()]);
    }

    pub(super) fn optional_text(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.text(text),
            None => self.null(),
        }
    }

    pub(super) fn float(&mut self, number: f64) {
        self.value(&number.to_be_bytes());
    }

    pub(super) fn null(&mut self) {
        self.0.extend_from_slice(&NULL.to_be_bytes());
    }

    pub(super) fn optional_time(&mut self, time: Option<Time>) {
        match time {
            Some(time) => self.time(time),
            None => self.null(),
        }
    }

    pub(super) fn optional_int(&mut self, number: Option<i64>) {
        match number {
            Some(number) => self.int(number),
            None => self.null(),
        }
    }

    pub(super) fn optional_float(&mut self, number: Option<f64>) {
        match number {
            Some(number) => self.float(number),
            None => self.null(),
        }
    }

    pub(super) fn json(&mut self, value: &impl Serialize) -> Result<()> {
        self.text(&to_json(value)?);
        Ok(())
    }

    fn value(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(&(bytes.len() as i32).to_be_bytes());
        self.0.extend_from_slice(bytes);
    }
}

/// Runs a COPY FROM STDIN of rows as `push` writes them.
pub(super) async fn copy_in<T>(
    connection: &mut PgConnection,
    statement: &str,
    items: &[T],
    push: impl Fn(&mut EncodedRows, &T) -> Result<()>,
) -> Result<()> {
    /// Rows that are sent at a time: while the database stores them, the next are encoded.
    const ROWS: usize = 500;
    let mut copy = connection.copy_in_raw(statement).await?;
    let mut rows = EncodedRows([SIGNATURE.as_slice(), &[0; 8]].concat());
    for part in items.chunks(ROWS) {
        part.iter().try_for_each(|item| push(&mut rows, item))?;
        copy.send(rows.0.as_slice()).await?;
        rows.0.clear();
    }
    copy.send(END.to_be_bytes().as_slice()).await?;
    copy.finish().await?;
    Ok(())
}

/// Splits off the first value, which is None for NULL. Returns None when the bytes end within it.
fn split_value(bytes: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    match i32::from_be_bytes(*length) {
        NULL => Some((None, rest)),
        length => rest.split_at_checked(length as usize).map(|(value, rest)| (Some(value), rest)),
    }
}

/// The elements of an array with one dimension; None for NULL.
pub(super) fn elements(array: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    /// The number of dimensions, whether NULL occurs, the type, and for the only dimension its length and first
    /// index. An empty array has no dimension.
    const HEADER_BYTES: usize = 5 * 4;
    let mut rest = array.get(HEADER_BYTES..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (value, after) = split_value(rest)?;
        rest = after;
        Some(value)
    })
}

/// A TIMESTAMPTZ in binary.
pub(super) const fn micros(time: Time) -> [u8; 8] {
    (time.0 - EPOCH).to_be_bytes()
}

pub(super) fn int(value: &[u8]) -> Result<i64> {
    Ok(i64::from_be_bytes(value.try_into().map_err(|_| unreadable("number"))?))
}

pub(super) fn time(value: &[u8]) -> Result<Time> {
    Ok(Time(int(value)?.saturating_add(EPOCH)))
}

pub(super) fn text(value: &[u8]) -> Result<&str> {
    std::str::from_utf8(value).map_err(|_| unreadable("text"))
}

fn unreadable(what: &str) -> StoreError {
    StoreError::Internal(format!("a stored {what} is not valid"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_an_array_are_split() {
        // Dimensions, NULL occurs, type, length, first index; "ab", NULL, "".
        let header: [i32; 5] = [1, 1, 25, 3, 1];
        let mut array: Vec<u8> = header.iter().flat_map(|word| word.to_be_bytes()).collect();
        array.extend(2_i32.to_be_bytes());
        array.extend(b"ab");
        array.extend(NULL.to_be_bytes());
        array.extend(0_i32.to_be_bytes());

        let found: Vec<Option<&[u8]>> = elements(&array).collect();

        assert_eq!(found, [Some(b"ab".as_slice()), None, Some(b"".as_slice())]);
        assert_eq!(elements(&[]).count(), 0);
    }

    #[test]
    fn a_time_survives_its_encoding() {
        for micros_since_1970 in [0, EPOCH, 1_700_000_000_123_456] {
            assert_eq!(time(&micros(Time(micros_since_1970))).unwrap(), Time(micros_since_1970));
        }
        assert!(time(&[1, 2, 3]).is_err());
    }
}
