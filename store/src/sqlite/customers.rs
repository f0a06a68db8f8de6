//! Customers: rows in by `json_each`.

use sqlx::types::Json;
use tally_model::time::Time;

use super::Sqlite;
use crate::{
    customers::NewCustomer,
    error::Result,
    shared::{
        Stamp, Transaction,
        arrivals::KnownRow,
        customers::{CustomerSql, CustomerUpdate, LockedRow, VersionRow, VersionWrite},
        json::to_json,
    },
};

/// The ids of customers as a JSON array.
fn ids(customers: &[NewCustomer]) -> Json<Vec<&str>> {
    Json(customers.iter().map(|customer| customer.customer_id.as_str()).collect())
}

impl CustomerSql for Sqlite {
    async fn lock_customers(
        tx: &mut Transaction<Self>,
        customers: &[NewCustomer],
        now: Time,
    ) -> Result<Vec<LockedRow>> {
        Ok(sqlx::query_as(
            "INSERT INTO customers (customer_id, name, create_time, stated, revision) \
             SELECT value, '', $2, true, 0 FROM json_each($1) WHERE true \
             ON CONFLICT (customer_id) DO UPDATE SET revision = customers.revision + 1 \
             RETURNING customer_id, name, create_time, revision",
        )
        .bind(ids(customers))
        .bind(Stamp(now))
        .fetch_all(&mut **tx)
        .await?)
    }

    async fn latest_versions(
        tx: &mut Transaction<Self>,
        customers: &[NewCustomer],
    ) -> Result<Vec<VersionRow>> {
        Ok(sqlx::query_as(
            "SELECT v.customer_id, v.version, v.create_time, v.attributes \
             FROM json_each($1) AS asked JOIN customer_versions AS v ON v.customer_id = asked.value \
             AND v.version = (SELECT max(version) FROM customer_versions WHERE customer_id = asked.value)",
        )
        .bind(ids(customers))
        .fetch_all(&mut **tx)
        .await?)
    }

    async fn write_customers(tx: &mut Transaction<Self>, updates: &[CustomerUpdate]) -> Result<()> {
        let rows: Vec<_> =
            updates.iter().map(|update| (&update.customer_id, &update.name, update.create_time)).collect();
        sqlx::query(
            "UPDATE customers SET name = new.value ->> 1, create_time = new.value ->> 2, stated = true \
             FROM json_each($1) AS new WHERE customers.customer_id = new.value ->> 0",
        )
        .bind(Json(rows))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn write_versions(tx: &mut Transaction<Self>, versions: &[VersionWrite<'_>]) -> Result<()> {
        let mut rows = Vec::with_capacity(versions.len());
        for version in versions {
            let times = (version.effective_time, version.record_time, version.create_time);
            let attributes = to_json(version.attributes)?;
            rows.push((version.customer_id, version.number, times.0, times.1, times.2, attributes));
        }
        sqlx::query(
            "INSERT INTO customer_versions \
             (customer_id, version, effective_time, record_time, create_time, attributes) \
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5 \
             FROM json_each($1) WHERE true \
             ON CONFLICT (customer_id, version) DO UPDATE SET attributes = excluded.attributes",
        )
        .bind(Json(rows))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// A transaction that writes keeps out all others.
    async fn lock_for_backfill(_: &mut Transaction<Self>, _: &[&str]) -> Result<()> {
        Ok(())
    }

    async fn known_customers(tx: &mut Transaction<Self>, customer_ids: &[&str]) -> Result<Vec<KnownRow>> {
        Ok(sqlx::query_as(
            "SELECT c.customer_id, c.create_time, c.stated FROM json_each($1) AS asked \
             JOIN customers AS c ON c.customer_id = asked.value",
        )
        .bind(Json(customer_ids))
        .fetch_all(&mut **tx)
        .await?)
    }

    async fn create_customers(tx: &mut Transaction<Self>, first_seen: &[(&str, Time)]) -> Result<()> {
        sqlx::query(
            "INSERT INTO customers (customer_id, name, create_time, stated, revision) \
             SELECT value ->> 0, '', value ->> 1, false, 0 FROM json_each($1) WHERE true \
             ON CONFLICT (customer_id) DO UPDATE SET create_time = excluded.create_time \
             WHERE NOT customers.stated AND customers.create_time > excluded.create_time",
        )
        .bind(Json(first_seen))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn existing(tx: &mut Transaction<Self>, ids: &[&str]) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar(
            "SELECT customer_id FROM customers \
             WHERE customer_id IN (SELECT value FROM json_each($1)) AND merged_into IS NULL",
        )
        .bind(Json(ids))
        .fetch_all(&mut **tx)
        .await?)
    }

    const COUNT_ATTRIBUTES: &'static str = "SELECT a.key, a.type, count(*) FROM customers AS c \
         CROSS JOIN json_each((SELECT v.attributes FROM customer_versions AS v \
                               WHERE v.customer_id = c.customer_id ORDER BY v.version DESC LIMIT 1)) AS a \
         WHERE c.merged_into IS NULL GROUP BY a.key, a.type";
}
