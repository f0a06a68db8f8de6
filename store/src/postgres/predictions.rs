//! Predictions: in by `COPY` or `UNNEST`.

use sqlx::PgConnection;
use tally_model::{spec::Target, time::Time};

use super::{COPY_ROWS, Postgres, binary, column, keeps_statements, try_column};
use crate::{
    error::{Result, StoreError},
    predictions::Prediction,
    shared::{
        Stamp, Transaction,
        json::to_json,
        names::{basis_name, grade_name},
        prediction_rows::reasons_json,
        predictions::{ListedRow, PredictionSql},
    },
};

impl PredictionSql for Postgres {
    async fn write_predictions(
        tx: &mut Transaction<Self>,
        new: &[&Prediction],
        listed: &[&Prediction],
        ended_by: Option<&str>,
    ) -> Result<()> {
        if new.len() >= COPY_ROWS {
            copy(tx, new).await?;
        } else {
            insert(tx, new).await?;
        }
        upsert_latest(tx, listed, ended_by).await?;
        refuse_merged(tx, new).await
    }

    async fn forget_latest(
        tx: &mut Transaction<Self>,
        (target, as_of): (Target, Time),
        customer_ids: &[String],
    ) -> Result<()> {
        sqlx::query(
            "DELETE FROM latest_predictions WHERE target = $1 AND as_of_time <= $2 AND customer_id = ANY($3)",
        )
        .bind(target.name())
        .bind(Stamp(as_of))
        .bind(customer_ids)
        .persistent(keeps_statements(tx))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn listed_until_ended(
        tx: &mut Transaction<Self>,
        customer_ids: &[String],
    ) -> Result<Vec<ListedRow>> {
        let keeps = keeps_statements(tx);
        let rows = sqlx::query_as(
            "SELECT l.customer_id, l.target, p.model_version FROM latest_predictions AS l JOIN predictions AS p \
             ON p.customer_id = l.customer_id AND p.prediction_id = l.prediction_id \
             WHERE l.ended_by IS NOT NULL AND l.customer_id = ANY($1)",
        );
        Ok(rows.bind(customer_ids).persistent(keeps).fetch_all(&mut **tx).await?)
    }

    async fn forget_ended(tx: &mut Transaction<Self>, ended_by: &str, customer_ids: &[&str]) -> Result<()> {
        let keeps = keeps_statements(tx);
        let delete = sqlx::query(
            "DELETE FROM latest_predictions WHERE ended_by = $1 AND customer_id = ANY($2) \
             AND EXISTS (SELECT 1 FROM interactions AS i WHERE i.customer_id = latest_predictions.customer_id \
             AND i.kind = $1 AND i.occur_time > CASE WHEN latest_predictions.target = 'lead' THEN '-infinity'::timestamptz \
             ELSE latest_predictions.as_of_time END)",
        );
        delete.bind(ended_by).bind(customer_ids).persistent(keeps).execute(&mut **tx).await?;
        Ok(())
    }
}

/// Has the transaction repeated when one of the customers was merged into another after the transaction had looked: a
/// merged id has no latest prediction. From the insert on, whose foreign keys lock the customers, no merge can begin.
async fn refuse_merged(tx: &mut Transaction<Postgres>, new: &[&Prediction]) -> Result<()> {
    let merged: Option<(String,)> = sqlx::query_as(
        "SELECT customer_id FROM customers WHERE customer_id = ANY($1) AND merged_into IS NOT NULL LIMIT 1",
    )
    .bind(column(new, |p| p.customer_id.as_str()))
    .persistent(keeps_statements(tx))
    .fetch_optional(&mut **tx)
    .await?;
    merged.map_or(Ok(()), |_| Err(StoreError::Aborted))
}

async fn upsert_latest(
    tx: &mut Transaction<Postgres>,
    new: &[&Prediction],
    ended_by: Option<&str>,
) -> Result<()> {
    // A batch may hold a customer twice; only one row of a key may reach the upsert.
    sqlx::query(
        "INSERT INTO latest_predictions \
         (customer_id, target, prediction_id, as_of_time, score_time, probability, ended_by) \
         SELECT DISTINCT ON (customer_id, target) new.*, $7::text \
         FROM UNNEST($1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::timestamptz[], $6::float8[]) \
         AS new (customer_id, target, prediction_id, as_of_time, score_time, probability) \
         WHERE $7::text IS NULL OR NOT EXISTS (SELECT 1 FROM interactions AS i \
         WHERE i.customer_id = new.customer_id AND i.kind = $7 AND i.occur_time > \
         CASE WHEN new.target = 'lead' THEN '-infinity'::timestamptz ELSE new.as_of_time END) \
         ORDER BY customer_id, target, as_of_time DESC, score_time DESC, prediction_id DESC \
         ON CONFLICT (customer_id, target) DO UPDATE \
         SET prediction_id = excluded.prediction_id, as_of_time = excluded.as_of_time, \
         score_time = excluded.score_time, probability = excluded.probability, ended_by = excluded.ended_by \
         WHERE (excluded.as_of_time, excluded.score_time) >= \
         (latest_predictions.as_of_time, latest_predictions.score_time)",
    )
    .bind(column(new, |p| p.customer_id.as_str()))
    .bind(column(new, |p| p.target.name()))
    .bind(column(new, |p| p.prediction_id.as_str()))
    .bind(column(new, |p| Stamp(p.as_of)))
    .bind(column(new, |p| Stamp(p.score_time)))
    .bind(column(new, |p| p.probability))
    .bind(ended_by)
    .persistent(keeps_statements(tx))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn insert(tx: &mut Transaction<Postgres>, new: &[&Prediction]) -> Result<()> {
    sqlx::query(
        "INSERT INTO predictions (prediction_id, customer_id, target, model_version, as_of_time, \
         known_time, score_time, horizon_days, probability, lower, upper, grade, basis, base_log_odds, \
         reasons, missing_features, notes) \
         SELECT * FROM UNNEST($1::text[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], \
         $6::timestamptz[], $7::timestamptz[], $8::bigint[], $9::float8[], $10::float8[], $11::float8[], \
         $12::text[], $13::text[], $14::float8[], $15::text[]::json[], $16::text[]::json[], $17::text[]::json[])",
    )
    .bind(column(new, |p| p.prediction_id.as_str()))
    .bind(column(new, |p| p.customer_id.as_str()))
    .bind(column(new, |p| p.target.name()))
    .bind(column(new, |p| p.model_version))
    .bind(column(new, |p| Stamp(p.as_of)))
    .bind(column(new, |p| Stamp(p.known_at)))
    .bind(column(new, |p| Stamp(p.score_time)))
    .bind(column(new, |p| i64::from(p.horizon_days)))
    .bind(column(new, |p| p.probability))
    .bind(column(new, |p| p.lower))
    .bind(column(new, |p| p.upper))
    .bind(column(new, |p| grade_name(p.grade)))
    .bind(column(new, |p| basis_name(p.basis)))
    .bind(column(new, |p| p.base_log_odds))
    .bind(try_column(new, |p| to_json(&reasons_json(p)))?)
    .bind(try_column(new, |p| to_json(&p.missing_features))?)
    .bind(try_column(new, |p| to_json(&p.notes))?)
    .persistent(keeps_statements(tx))
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn copy(connection: &mut PgConnection, new: &[&Prediction]) -> Result<()> {
    let statement = "COPY predictions (prediction_id, customer_id, target, model_version, as_of_time, \
                     known_time, score_time, horizon_days, probability, lower, upper, grade, basis, \
                     base_log_odds, reasons, missing_features, notes) FROM STDIN (FORMAT binary)";
    binary::copy_in(connection, statement, new, |rows, p| {
        rows.row(17);
        rows.text(&p.prediction_id);
        rows.text(&p.customer_id);
        rows.text(p.target.name());
        rows.int(p.model_version);
        rows.time(p.as_of);
        rows.time(p.known_at);
        rows.time(p.score_time);
        rows.int(i64::from(p.horizon_days));
        rows.float(p.probability);
        rows.float(p.lower);
        rows.float(p.upper);
        rows.text(grade_name(p.grade));
        rows.text(basis_name(p.basis));
        rows.float(p.base_log_odds);
        rows.json(&reasons_json(p))?;
        rows.json(&p.missing_features)?;
        rows.json(&p.notes)
    })
    .await
}
