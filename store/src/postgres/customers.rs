//! Customers: rows in by `UNNEST`.

use tally_model::time::Time;

use super::{Postgres, column, keeps_statements, try_column};
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

impl CustomerSql for Postgres {
    async fn lock_customers(
        tx: &mut Transaction<Self>,
        customers: &[NewCustomer],
        now: Time,
    ) -> Result<Vec<LockedRow>> {
        Ok(sqlx::query_as(
            "INSERT INTO customers (customer_id, name, create_time, stated, revision) \
             SELECT customer_id, '', $2, true, 0 FROM UNNEST($1::text[]) AS new (customer_id) \
             ON CONFLICT (customer_id) DO UPDATE SET revision = customers.revision + 1 \
             RETURNING customer_id, name, create_time, revision",
        )
        .bind(column(customers, |customer| customer.customer_id.as_str()))
        .bind(Stamp(now))
        .persistent(keeps_statements(tx))
        .fetch_all(&mut **tx)
        .await?)
    }

    async fn latest_versions(
        tx: &mut Transaction<Self>,
        customers: &[NewCustomer],
    ) -> Result<Vec<VersionRow>> {
        Ok(sqlx::query_as(
            "SELECT DISTINCT ON (customer_id) customer_id, version, create_time, attributes \
             FROM customer_versions WHERE customer_id = ANY($1) ORDER BY customer_id, version DESC",
        )
        .bind(column(customers, |customer| customer.customer_id.as_str()))
        .persistent(keeps_statements(tx))
        .fetch_all(&mut **tx)
        .await?)
    }

    async fn write_customers(tx: &mut Transaction<Self>, updates: &[CustomerUpdate]) -> Result<()> {
        sqlx::query(
            "UPDATE customers AS c SET name = new.name, create_time = new.create_time, stated = true \
             FROM UNNEST($1::text[], $2::text[], $3::timestamptz[]) AS new (customer_id, name, create_time) \
             WHERE c.customer_id = new.customer_id",
        )
        .bind(column(updates, |update| update.customer_id.as_str()))
        .bind(column(updates, |update| update.name.as_str()))
        .bind(column(updates, |update| Stamp(update.create_time)))
        .persistent(keeps_statements(tx))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn write_versions(tx: &mut Transaction<Self>, versions: &[VersionWrite<'_>]) -> Result<()> {
        sqlx::query(
            "INSERT INTO customer_versions \
             (customer_id, version, effective_time, record_time, create_time, attributes) \
             SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::timestamptz[], $4::timestamptz[], \
             $5::timestamptz[], $6::text[]::json[]) \
             ON CONFLICT (customer_id, version) DO UPDATE SET attributes = excluded.attributes",
        )
        .bind(column(versions, |version| version.customer_id))
        .bind(column(versions, |version| version.number))
        .bind(column(versions, |version| Stamp(version.effective_time)))
        .bind(column(versions, |version| Stamp(version.record_time)))
        .bind(column(versions, |version| Stamp(version.create_time)))
        .bind(try_column(versions, |version| to_json(version.attributes))?)
        .persistent(keeps_statements(tx))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn lock_for_backfill(tx: &mut Transaction<Self>, customer_ids: &[&str]) -> Result<()> {
        sqlx::query(
            "SELECT 1 FROM customers WHERE customer_id = ANY($1) ORDER BY customer_id FOR NO KEY UPDATE",
        )
        .bind(customer_ids)
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn known_customers(tx: &mut Transaction<Self>, customer_ids: &[&str]) -> Result<Vec<KnownRow>> {
        Ok(sqlx::query_as(
            "SELECT customer_id, create_time, stated FROM customers WHERE customer_id = ANY($1)",
        )
        .bind(customer_ids)
        .persistent(keeps_statements(tx))
        .fetch_all(&mut **tx)
        .await?)
    }

    async fn create_customers(tx: &mut Transaction<Self>, first_seen: &[(&str, Time)]) -> Result<()> {
        sqlx::query(
            "INSERT INTO customers (customer_id, name, create_time, stated, revision) \
             SELECT customer_id, '', create_time, false, 0 \
             FROM UNNEST($1::text[], $2::timestamptz[]) AS new (customer_id, create_time) \
             ON CONFLICT (customer_id) DO UPDATE SET create_time = excluded.create_time \
             WHERE NOT customers.stated AND customers.create_time > excluded.create_time",
        )
        .bind(column(first_seen, |(customer_id, _)| *customer_id))
        .bind(column(first_seen, |(_, time)| Stamp(*time)))
        .persistent(keeps_statements(tx))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn existing(tx: &mut Transaction<Self>, ids: &[&str]) -> Result<Vec<String>> {
        Ok(sqlx::query_scalar(
            "SELECT customer_id FROM customers WHERE customer_id = ANY($1) AND merged_into IS NULL",
        )
        .bind(ids)
        .persistent(keeps_statements(tx))
        .fetch_all(&mut **tx)
        .await?)
    }

    const COUNT_ATTRIBUTES: &'static str = "SELECT a.key, json_typeof(a.value), count(*) FROM customers AS c \
         CROSS JOIN LATERAL (SELECT v.attributes FROM customer_versions AS v \
                             WHERE v.customer_id = c.customer_id ORDER BY v.version DESC LIMIT 1) AS latest \
         CROSS JOIN LATERAL json_each(latest.attributes) AS a \
         WHERE c.merged_into IS NULL GROUP BY 1, 2";
}
