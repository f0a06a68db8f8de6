//! Scored populations.

use async_trait::async_trait;
use sqlx::{FromRow, types::Json};
use tally_model::{evaluation::drift::Counts, spec::Target};

use super::{Backend, Stamp, Statement, names, statement::SqlValue, transaction::detached};
use crate::{
    error::{Result, StoreError},
    populations::{PopulationStore, ScoredPopulation},
};

#[derive(FromRow)]
struct PopulationRow {
    target: String,
    model_version: i64,
    as_of_time: Stamp,
    score_time: Stamp,
    counts: Json<Counts>,
}

impl TryFrom<PopulationRow> for ScoredPopulation {
    type Error = StoreError;

    fn try_from(row: PopulationRow) -> Result<Self> {
        Ok(Self {
            target: names::target(&row.target)?,
            model_version: row.model_version,
            as_of: row.as_of_time.0,
            score_time: row.score_time.0,
            counts: row.counts.0,
        })
    }
}

#[async_trait]
impl<B: Backend> PopulationStore for B {
    async fn insert_population(&self, population: ScoredPopulation) -> Result<()> {
        let upsert = Statement::new(
            "INSERT INTO populations (target, model_version, as_of_time, score_time, customers, counts) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (target, model_version) DO UPDATE \
             SET as_of_time = excluded.as_of_time, score_time = excluded.score_time, \
             customers = excluded.customers, counts = excluded.counts \
             WHERE (excluded.as_of_time, excluded.score_time) >= (populations.as_of_time, populations.score_time)",
        )
        .bind(population.target.name())
        .bind(population.model_version)
        .bind(population.as_of)
        .bind(population.score_time)
        .bind(population.counts.customers as i64)
        .bind(SqlValue::json(&population.counts)?);
        let store = self.clone();
        detached(self, async move {
            let mut tx = store.begin().await?;
            B::run::<()>(&mut tx, upsert).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn population(&self, target: Target, version: i64) -> Result<Option<ScoredPopulation>> {
        let select = Statement::new(
            "SELECT target, model_version, as_of_time, score_time, counts FROM populations \
             WHERE target = $1 AND model_version = $2",
        )
        .bind(target.name())
        .bind(version);
        self.read_one::<PopulationRow>(select).await?.map(ScoredPopulation::try_from).transpose()
    }
}
