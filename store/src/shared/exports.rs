//! Rows of any table as they are, with all columns, so that a column that is added later is not forgotten.

use async_trait::async_trait;
use serde_json::{Map, Value};
use sqlx::{Column, FromRow, Row, TypeInfo, ValueRef, postgres::PgRow, sqlite::SqliteRow, types::Json};
use tally_model::time::Time;

use super::{Backend, Stamp, Statement};
use crate::{
    error::Result,
    exports::{ExportStore, ExportTable},
};

/// Columns that SQLite has as 0 and 1.
const BOOLEANS: [&str; 4] = ["has_merged", "held_out", "label", "stated"];
/// Columns with JSON; some are texts.
const DOCUMENTS: [&str; 2] = ["attributes", "properties"];
/// How SQLite's columns of moments end.
const TIMES: [&str; 2] = ["_time", "_until"];

/// A row of any table.
struct AnyRow(Map<String, Value>);

impl FromRow<'_, SqliteRow> for AnyRow {
    fn from_row(row: &SqliteRow) -> sqlx::Result<Self> {
        let value = |n: usize, name: &str| -> sqlx::Result<Value> {
            let raw = row.try_get_raw(n)?;
            Ok(match raw.type_info().name() {
                _ if raw.is_null() => Value::Null,
                "INTEGER" if TIMES.iter().any(|end| name.ends_with(end)) => {
                    Time(row.try_get(n)?).to_string().into()
                }
                "INTEGER" if BOOLEANS.contains(&name) => row.try_get::<bool, _>(n)?.into(),
                "INTEGER" => row.try_get::<i64, _>(n)?.into(),
                "REAL" => row.try_get::<f64, _>(n)?.into(),
                _ => text(name, row.try_get(n)?),
            })
        };
        let columns = row.columns().iter().map(|column| (column.ordinal(), column.name()));
        columns.map(|(n, name)| Ok((name.to_owned(), value(n, name)?))).collect::<sqlx::Result<_>>().map(Self)
    }
}

impl FromRow<'_, PgRow> for AnyRow {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let value = |n: usize, name: &str| -> sqlx::Result<Value> {
            let raw = row.try_get_raw(n)?;
            Ok(match raw.type_info().name() {
                _ if raw.is_null() => Value::Null,
                "TIMESTAMPTZ" => row.try_get::<Stamp, _>(n)?.0.to_string().into(),
                "BOOL" => row.try_get::<bool, _>(n)?.into(),
                "INT8" => row.try_get::<i64, _>(n)?.into(),
                "FLOAT8" => row.try_get::<f64, _>(n)?.into(),
                "JSON" => row.try_get::<Json<Value>, _>(n)?.0,
                _ => text(name, row.try_get(n)?),
            })
        };
        let columns = row.columns().iter().map(|column| (column.ordinal(), column.name()));
        columns.map(|(n, name)| Ok((name.to_owned(), value(n, name)?))).collect::<sqlx::Result<_>>().map(Self)
    }
}

/// A text, or the document in it.
fn text(name: &str, text: String) -> Value {
    let document = if DOCUMENTS.contains(&name) { serde_json::from_str(&text).ok() } else { None };
    document.unwrap_or(Value::String(text))
}

/// The rows of a customer up to the limit; their order is that of the primary key.
const fn select(table: ExportTable) -> (&'static str, &'static str) {
    match table {
        ExportTable::Customers => ("SELECT * FROM customers WHERE customer_id = $1", "customer_id"),
        ExportTable::CustomerVersions => {
            ("SELECT * FROM customer_versions WHERE customer_id = $1", "version")
        }
        ExportTable::RetractedInteractions => (
            "SELECT * FROM retracted_interactions WHERE customer_id = $1",
            "occur_time, interaction_id, retract_time",
        ),
        ExportTable::CustomerInsights => (
            "SELECT f.*, p.as_of_time, p.known_time FROM customer_insights AS f \
             JOIN insight_passes AS p ON p.pass_id = f.pass_id WHERE f.customer_id = $1",
            "f.pass_id",
        ),
        ExportTable::WorklistEpisodes => {
            ("SELECT * FROM worklist_episodes WHERE customer_id = $1", "as_of_time, kind")
        }
        ExportTable::HoldoutScores => {
            ("SELECT * FROM holdout_scores WHERE customer_id = $1", "target, model_version, as_of_time")
        }
        ExportTable::AlertDeliveries => ("SELECT * FROM alert_deliveries WHERE customer_id = $1", "alert_id"),
    }
}

#[async_trait]
impl<B: Backend> ExportStore for B {
    async fn export_rows(
        &self,
        table: ExportTable,
        customer_id: &str,
        offset: usize,
        limit: usize,
    ) -> Result<Vec<Map<String, Value>>> {
        let (rows, key) = select(table);
        let mut select = Statement::new(rows).bind(customer_id);
        select.push(" ORDER BY ").push(key).push(" LIMIT ").push_bind(limit as i64);
        select.push(" OFFSET ").push_bind(offset as i64);
        Ok(self.read::<AnyRow>(select).await?.into_iter().map(|row| row.0).collect())
    }
}
