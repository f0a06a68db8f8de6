//! A statement that both databases understand, with the values of its placeholders.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use sqlx::{Arguments, AssertSqlSafe, Database, Encode, SqlSafeStr, SqlStr, Type, types::Json};
use tally_model::time::Time;

use crate::error::{Result, StoreError};

/// Statements with more values than this have a row of values for each item of a batch.
const MANY_VALUES: usize = 100;

/// A moment as a column: TIMESTAMPTZ in PostgreSQL, microseconds since 1970 in SQLite. The column types of the two
/// databases differ in nothing else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp(pub(crate) Time);

/// Moments as one value: an array of TIMESTAMPTZ in PostgreSQL, of microseconds since 1970 in JSON in SQLite.
#[derive(Clone, Debug)]
pub(crate) struct Stamps(pub(crate) Vec<Time>);

/// A value of a placeholder.
#[derive(Debug)]
pub(crate) enum SqlValue {
    Text(String),
    Int(Option<i64>),
    Float(Option<f64>),
    Bool(bool),
    Time(Time),
    Times(Vec<Time>),
    Bytes(Vec<u8>),
    Json(Box<RawValue>),
}

impl SqlValue {
    /// A document for a column of JSON.
    pub(crate) fn json(document: &impl Serialize) -> Result<Self> {
        to_raw_value(document).map(Self::Json).map_err(|error| StoreError::Internal(error.to_string()))
    }
}

impl From<&str> for SqlValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for SqlValue {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

impl From<Option<i64>> for SqlValue {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}

impl From<f64> for SqlValue {
    fn from(number: f64) -> Self {
        Self::Float(Some(number))
    }
}

impl From<Option<f64>> for SqlValue {
    fn from(number: Option<f64>) -> Self {
        Self::Float(number)
    }
}

impl From<bool> for SqlValue {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<Time> for SqlValue {
    fn from(time: Time) -> Self {
        Self::Time(time)
    }
}

impl From<&[u8]> for SqlValue {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_owned())
    }
}

/// SQL and the values of its placeholders `$1`, `$2`, …. The SQL is made of literals alone, so that nothing that
/// a caller sends can become part of it; it has a `$` in placeholders only.
#[derive(Debug)]
pub(crate) struct Statement {
    sql: Cow<'static, str>,
    values: Vec<SqlValue>,
    planned_anew: bool,
    lasts: bool,
}

impl Statement {
    pub(crate) const fn new(sql: &'static str) -> Self {
        Self { sql: Cow::Borrowed(sql), values: Vec::new(), planned_anew: false, lasts: false }
    }

    /// Has the statement planned for its values each time. Otherwise PostgreSQL keeps it prepared and may soon use one
    /// plan for all values, which is much slower where the best plan depends on how many rows they select.
    pub(crate) const fn planned_anew(mut self) -> Self {
        self.planned_anew = true;
        self
    }

    /// Whether the statement is planned for its values each time.
    pub(crate) const fn is_planned_anew(&self) -> bool {
        self.planned_anew
    }

    /// Whether the statement has a row of values for each item of a batch. There is another one for each number of items,
    /// so it is not kept prepared: a connection keeps a hundred, and each may take a megabyte.
    pub(crate) const fn has_many_values(&self) -> bool {
        self.values.len() > MANY_VALUES
    }

    /// Says that the statement reads many rows, and so ends with its caller where that is possible.
    pub(crate) const fn lasting(mut self) -> Self {
        self.lasts = true;
        self
    }

    /// Whether the statement may take long. Those that are planned for each call count, too.
    pub(crate) const fn may_last(&self) -> bool {
        self.lasts || self.planned_anew
    }

    /// Gives the next placeholder of the SQL its value.
    pub(crate) fn bind(mut self, value: impl Into<SqlValue>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Appends SQL.
    pub(crate) fn push(&mut self, sql: &'static str) -> &mut Self {
        self.sql.to_mut().push_str(sql);
        self
    }

    /// Appends a placeholder with its value.
    pub(crate) fn push_bind(&mut self, value: impl Into<SqlValue>) -> &mut Self {
        self.values.push(value.into());
        let placeholder = format!("${}", self.values.len());
        self.sql.to_mut().push_str(&placeholder);
        self
    }

    /// Appends `$1, $2, …`.
    pub(crate) fn push_list(&mut self, values: impl IntoIterator<Item = SqlValue>) -> &mut Self {
        for (n, value) in values.into_iter().enumerate() {
            if n > 0 {
                self.push(", ");
            }
            self.push_bind(value);
        }
        self
    }

    /// Appends `VALUES ($1, $2, …), …`. SQLite allows 32,766 values a statement.
    pub(crate) fn push_rows<const N: usize>(
        &mut self,
        rows: impl IntoIterator<Item = [SqlValue; N]>,
    ) -> &mut Self {
        for (n, row) in rows.into_iter().enumerate() {
            self.push(if n == 0 { "VALUES (" } else { ", (" }).push_list(row).push(")");
        }
        self
    }

    /// The SQL and the values.
    pub(crate) fn into_parts(self) -> (SqlStr, Vec<SqlValue>) {
        let sql = match self.sql {
            Cow::Borrowed(sql) => sql.into_sql_str(),
            Cow::Owned(sql) => AssertSqlSafe(sql).into_sql_str(),
        };
        (sql, self.values)
    }

    /// The SQL and the values, with `?` for every placeholder of SQL that was put together. SQLite keeps a list of
    /// the placeholders that have a name or a number and searches it for each: the time for the 12,000 values of a
    /// large insert would grow with their square. Each value then has one placeholder, in the order of the values.
    pub(crate) fn into_unnumbered_parts(self) -> (SqlStr, Vec<SqlValue>) {
        match self.sql {
            Cow::Borrowed(_) => self.into_parts(),
            Cow::Owned(sql) => {
                let sql = without_numbers(&sql);
                debug_assert_eq!(sql.matches('?').count(), self.values.len(), "{sql}");
                (AssertSqlSafe(sql).into_sql_str(), self.values)
            }
        }
    }
}

/// Replaces `$1`, `$2`, … by `?`.
fn without_numbers(sql: &str) -> String {
    let mut parts = sql.split('$');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push('?');
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}

/// The values as the driver takes them. The bounds say what a database must be able to store.
pub(crate) fn arguments<D: Database>(values: Vec<SqlValue>) -> Result<D::Arguments>
where
    for<'q> String: Encode<'q, D> + Type<D>,
    for<'q> Option<i64>: Encode<'q, D> + Type<D>,
    for<'q> Option<f64>: Encode<'q, D> + Type<D>,
    for<'q> bool: Encode<'q, D> + Type<D>,
    for<'q> Stamp: Encode<'q, D> + Type<D>,
    for<'q> Stamps: Encode<'q, D> + Type<D>,
    for<'q> Vec<u8>: Encode<'q, D> + Type<D>,
    for<'q> Json<Box<RawValue>>: Encode<'q, D> + Type<D>,
{
    let mut arguments = D::Arguments::default();
    for value in values {
        match value {
            SqlValue::Text(text) => arguments.add(text),
            SqlValue::Int(number) => arguments.add(number),
            SqlValue::Float(number) => arguments.add(number),
            SqlValue::Bool(truth) => arguments.add(truth),
            SqlValue::Time(time) => arguments.add(Stamp(time)),
            SqlValue::Times(times) => arguments.add(Stamps(times)),
            SqlValue::Bytes(bytes) => arguments.add(bytes),
            SqlValue::Json(document) => arguments.add(Json(document)),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_across_all_parts() {
        let mut statement = Statement::new("SELECT $1 WHERE x IN (").bind("a");
        statement.push_list([1.into(), 2.into()]).push(") AND (y, z) IN (");
        statement.push_rows([[3.into(), "b".into()], [4.into(), "c".into()]]).push(")");

        let (sql, values) = statement.into_parts();

        let expected = "SELECT $1 WHERE x IN ($2, $3) AND (y, z) IN (VALUES ($4, $5), ($6, $7))";
        assert_eq!((sql.as_str(), values.len()), (expected, 7));
    }

    #[test]
    fn statements_with_a_row_for_each_item_have_many_values() {
        let mut statement = Statement::new("VALUES ");
        statement.push_rows((0..MANY_VALUES as i64).map(|number| [number.into()]));
        assert!(!statement.has_many_values());
        assert!(statement.bind(0).has_many_values());
    }

    #[test]
    fn built_sql_can_have_placeholders_without_numbers() {
        let mut statement = Statement::new("SELECT ");
        statement.push_bind(1.5).push(", ").push_bind(true);
        assert_eq!(statement.into_unnumbered_parts().0.as_str(), "SELECT ?, ?");
    }
}
