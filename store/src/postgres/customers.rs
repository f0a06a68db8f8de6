//! Customers: rows in by `UNNEST`.

use std::collections::HashMap;

use tally_model::time::Time;

use super::{Postgres, column, keeps_statements, try_column};
use crate::{
    customers::NewCustomer,
    error::Result,
    shared::{
        Stamp, Transaction,
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

    async fn create_customers(tx: &mut Transaction<Self>, first_seen: &[(&str, Time)]) -> Result<()> {
        // The upsert locks every row that it meets. Most batches change none of their customers: these are left out,
        // so that writers of the same customers run side by side. When one of them is erased meanwhile, the foreign
        // key of its interactions fails, and the batch is repeated.
        let known: Vec<(String, Stamp, bool)> = sqlx::query_as(
            "SELECT customer_id, create_time, stated FROM customers WHERE customer_id = ANY($1)",
        )
        .bind(column(first_seen, |(customer_id, _)| *customer_id))
        .persistent(keeps_statements(tx))
        .fetch_all(&mut **tx)
        .await?;
        let changed = changed(first_seen, &known);
        if changed.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO customers (customer_id, name, create_time, stated, revision) \
             SELECT customer_id, '', create_time, false, 0 \
             FROM UNNEST($1::text[], $2::timestamptz[]) AS new (customer_id, create_time) \
             ON CONFLICT (customer_id) DO UPDATE SET create_time = excluded.create_time \
             WHERE NOT customers.stated AND customers.create_time > excluded.create_time",
        )
        .bind(column(&changed, |(customer_id, _)| *customer_id))
        .bind(column(&changed, |(_, time)| Stamp(*time)))
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

/// Those customers of a batch that are unknown, or that only interactions have created, all of them later.
fn changed<'a>(first_seen: &[(&'a str, Time)], known: &[(String, Stamp, bool)]) -> Vec<(&'a str, Time)> {
    let known: HashMap<&str, (Time, bool)> =
        known.iter().map(|(id, create_time, stated)| (id.as_str(), (create_time.0, *stated))).collect();
    let is_changed = |(id, time): &&(&str, Time)| {
        known.get(id).is_none_or(|(create_time, stated)| !stated && create_time > time)
    };
    first_seen.iter().filter(is_changed).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_that_stay_as_they_are_are_left_out() {
        let known = [("later", 9, false), ("earlier", 1, false), ("stated", 9, true)]
            .map(|(id, time, stated)| (id.to_owned(), Stamp(Time(time)), stated));
        let seen = ["earlier", "later", "new", "stated"].map(|id| (id, Time(5)));
        assert_eq!(changed(&seen, &known), [("later", Time(5)), ("new", Time(5))]);
    }
}
