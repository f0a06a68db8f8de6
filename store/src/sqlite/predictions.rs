//! Predictions: in by statements with bound values.

use sqlx::{QueryBuilder, Sqlite as Database, types::Json};
use tally_model::{spec::Target, time::Time};

use super::{BOUND_ROWS, Sqlite};
use crate::{
    error::Result,
    predictions::Prediction,
    shared::{
        Stamp, Transaction,
        names::{basis_name, grade_name},
        prediction_rows::reasons_json,
        predictions::{ListedRow, PredictionSql},
    },
};

impl PredictionSql for Sqlite {
    async fn write_predictions(
        tx: &mut Transaction<Self>,
        new: &[&Prediction],
        listed: &[&Prediction],
        ended_by: Option<&str>,
    ) -> Result<()> {
        for part in new.chunks(BOUND_ROWS) {
            insert_predictions(tx, part).await?;
        }
        for part in listed.chunks(BOUND_ROWS) {
            upsert_latest(tx, part, ended_by).await?;
        }
        Ok(())
    }

    async fn forget_latest(
        tx: &mut Transaction<Self>,
        (target, as_of): (Target, Time),
        customer_ids: &[String],
    ) -> Result<()> {
        sqlx::query(
            "DELETE FROM latest_predictions WHERE target = $1 AND as_of_time <= $2 \
             AND customer_id IN (SELECT value FROM json_each($3))",
        )
        .bind(target.name())
        .bind(Stamp(as_of))
        .bind(Json(customer_ids))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    async fn listed_until_ended(
        tx: &mut Transaction<Self>,
        customer_ids: &[String],
    ) -> Result<Vec<ListedRow>> {
        let rows = sqlx::query_as(
            "SELECT l.customer_id, l.target, p.model_version FROM latest_predictions AS l JOIN predictions AS p \
             ON p.customer_id = l.customer_id AND p.prediction_id = l.prediction_id \
             WHERE l.ended_by IS NOT NULL AND l.customer_id IN (SELECT value FROM json_each($1))",
        );
        Ok(rows.bind(Json(customer_ids)).fetch_all(&mut **tx).await?)
    }

    async fn forget_ended(tx: &mut Transaction<Self>, ended_by: &str, customer_ids: &[&str]) -> Result<()> {
        let delete = sqlx::query(
            "DELETE FROM latest_predictions WHERE ended_by = $1 AND customer_id IN (SELECT value FROM json_each($2)) \
             AND EXISTS (SELECT 1 FROM interactions AS i WHERE i.customer_id = latest_predictions.customer_id \
             AND i.kind = $1 AND i.occur_time > CASE WHEN latest_predictions.target = 'lead' THEN 0 \
             ELSE latest_predictions.as_of_time END)",
        );
        delete.bind(ended_by).bind(Json(customer_ids)).execute(&mut **tx).await?;
        Ok(())
    }
}

async fn insert_predictions(tx: &mut Transaction<Sqlite>, new: &[&Prediction]) -> Result<()> {
    let mut query = QueryBuilder::<Database>::new(
        "INSERT INTO predictions (prediction_id, customer_id, target, model_version, as_of_time, \
         known_time, score_time, horizon_days, probability, lower, upper, grade, basis, \
         base_log_odds, reasons, missing_features, notes) ",
    );
    query.push_values(new, |mut row, p| {
        row.push_bind(&p.prediction_id).push_bind(&p.customer_id).push_bind(p.target.name());
        row.push_bind(p.model_version).push_bind(Stamp(p.as_of)).push_bind(Stamp(p.known_at));
        row.push_bind(Stamp(p.score_time)).push_bind(i64::from(p.horizon_days));
        row.push_bind(p.probability).push_bind(p.lower).push_bind(p.upper);
        row.push_bind(grade_name(p.grade)).push_bind(basis_name(p.basis)).push_bind(p.base_log_odds);
        row.push_bind(reasons_json(p)).push_bind(Json(&p.missing_features));
        row.push_bind(Json(&p.notes));
    });
    query.build().execute(&mut **tx).await?;
    Ok(())
}

async fn upsert_latest(
    tx: &mut Transaction<Sqlite>,
    new: &[&Prediction],
    ended_by: Option<&str>,
) -> Result<()> {
    let keys: Vec<_> = new.iter().map(|p| (&p.customer_id, &p.prediction_id)).collect();
    sqlx::query(
        "INSERT INTO latest_predictions \
         (customer_id, target, prediction_id, as_of_time, score_time, probability, ended_by) \
         SELECT p.customer_id, p.target, p.prediction_id, p.as_of_time, p.score_time, p.probability, $2 \
         FROM json_each($1) AS new JOIN predictions AS p \
         ON p.customer_id = new.value ->> 0 AND p.prediction_id = new.value ->> 1 \
         WHERE $2 IS NULL OR NOT EXISTS (SELECT 1 FROM interactions AS i \
         WHERE i.customer_id = p.customer_id AND i.kind = $2 \
         AND i.occur_time > CASE WHEN p.target = 'lead' THEN 0 ELSE p.as_of_time END) \
         ON CONFLICT (customer_id, target) DO UPDATE \
         SET prediction_id = excluded.prediction_id, as_of_time = excluded.as_of_time, \
         score_time = excluded.score_time, probability = excluded.probability, ended_by = excluded.ended_by \
         WHERE (excluded.as_of_time, excluded.score_time) >= \
         (latest_predictions.as_of_time, latest_predictions.score_time)",
    )
    .bind(Json(keys))
    .bind(ended_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
