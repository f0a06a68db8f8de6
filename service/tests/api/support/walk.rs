//! A walk over all tables of a database, whatever they are, so that no test forgets one that is added later.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{Connection, PgConnection, SqliteConnection};

use super::Database;

/// A column of a table.
#[derive(Clone, Debug)]
pub struct TableColumn {
    pub name: String,
    /// As the database calls it.
    of_type: String,
    generated: bool,
}

/// What a text is in rows that a test makes up; in all other columns it is what the test says.
const VALID: [(&str, &str); 11] = [
    ("basis", "model"),
    ("delivery_state", "pending"),
    ("grade", "B"),
    ("kind", "grade_fell"),
    ("life_cycle", "active"),
    ("missing_features", "[]"),
    ("notes", "[]"),
    ("reasons", "[]"),
    ("state", "pending"),
    ("target", "lead"),
    ("work_kinds", "1"),
];

impl Database {
    /// All tables with their columns.
    pub async fn tables(&self) -> BTreeMap<String, Vec<TableColumn>> {
        let select = match self.is_sqlite() {
            true => {
                "SELECT t.name, c.name, lower(c.type), c.hidden <> 0 FROM sqlite_schema AS t, \
                 pragma_table_xinfo(t.name) AS c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'"
            }
            false => {
                "SELECT c.table_name::text, c.column_name::text, c.data_type::text, c.is_generated <> 'NEVER' \
                 FROM information_schema.columns AS c JOIN information_schema.tables AS t \
                 ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
                 WHERE c.table_schema = current_schema() AND t.table_type = 'BASE TABLE'"
            }
        };
        let rows: Vec<(String, String, String, bool)> = if self.is_sqlite() {
            let mut connection = SqliteConnection::connect(&self.url).await.unwrap();
            sqlx::query_as(select).fetch_all(&mut connection).await.unwrap()
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            sqlx::query_as(select).fetch_all(&mut connection).await.unwrap()
        };
        let mut tables: BTreeMap<String, Vec<TableColumn>> = BTreeMap::new();
        for (table, name, of_type, generated) in rows {
            tables.entry(table).or_default().push(TableColumn { name, of_type, generated });
        }
        tables
    }

    /// The tables with a `customer_id`.
    pub async fn tables_of_customers(&self) -> BTreeMap<String, Vec<TableColumn>> {
        let mut tables = self.tables().await;
        tables.retain(|_, columns| columns.iter().any(|column| column.name == "customer_id"));
        tables
    }

    /// Which columns, as `table.column`, have these bytes anywhere.
    pub async fn columns_with(&self, text: &str) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for (table, columns) in self.tables().await {
            for TableColumn { name, of_type, .. } in columns {
                let condition = match (self.is_sqlite(), of_type.as_str()) {
                    (true, _) => format!("instr(CAST({name} AS BLOB), CAST('{text}' AS BLOB)) > 0"),
                    (false, "bytea") => format!("position('{text}'::bytea IN {name}) > 0"),
                    (false, _) => format!("position('{text}' IN {name}::text) > 0"),
                };
                let select = format!("SELECT count(*) FROM {table} WHERE {condition}");
                if self.sql(&select).await != Some(0) {
                    found.insert(format!("{table}.{name}"));
                }
            }
        }
        found
    }

    /// How many rows each table has of a customer.
    pub async fn rows_of(&self, customer_id: &str) -> BTreeMap<String, i64> {
        let mut rows = BTreeMap::new();
        for table in self.tables_of_customers().await.into_keys() {
            let select = format!("SELECT count(*) FROM {table} WHERE customer_id = '{customer_id}'");
            rows.insert(table, self.sql(&select).await.unwrap());
        }
        rows
    }

    /// Makes up a row of the customer in each table that has none of it; texts are `text`.
    pub async fn fill_tables(&self, customer_id: &str, text: &str) {
        let rows = self.rows_of(customer_id).await;
        for (table, columns) in self.tables_of_customers().await {
            if rows[&table] > 0 {
                continue;
            }
            let columns: Vec<TableColumn> = columns
                .into_iter()
                .filter(|column| !column.generated && column.name != "merged_into")
                .collect();
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            let values: Vec<String> =
                columns.iter().map(|column| self.value(column, customer_id, text)).collect();
            let insert = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "));
            self.sql(&insert).await;
        }
    }

    fn value(
        &self,
        TableColumn { name, of_type, .. }: &TableColumn,
        customer_id: &str,
        text: &str,
    ) -> String {
        let valid = VALID.iter().find(|(column, _)| column == name).map(|(_, value)| *value);
        match of_type.as_str() {
            "text" if name == "customer_id" => format!("'{customer_id}'"),
            // Of SQLite, where documents are texts.
            "text" if name == "attributes" || name == "properties" => format!("'{{\"a\": \"{text}\"}}'"),
            "text" => format!("'{}'", valid.unwrap_or(text)),
            "json" => valid.map_or_else(|| format!("'{{\"a\": \"{text}\"}}'"), |valid| format!("'{valid}'")),
            "blob" => format!("CAST('{text}' AS BLOB)"),
            "bytea" => format!("'{text}'::bytea"),
            "boolean" => "true".to_owned(),
            "timestamp with time zone" => "'2024-01-01'".to_owned(),
            "real" | "double precision" => "0.5".to_owned(),
            _ => "1".to_owned(),
        }
    }
}
