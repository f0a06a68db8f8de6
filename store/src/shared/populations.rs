//! Scored populations.

use async_trait::async_trait;
use sqlx::{FromRow, types::Json};
use tally_model::{evaluation::drift::Counts, spec::Target};

use super::{
    Backend, Stamp, Statement, names, predictions::remove_of_run, statement::SqlValue, transaction::detached,
};
use crate::{
    error::{Result, StoreError},
    populations::{PopulationStore, ScoredPopulation, ScoringRun},
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

/// A statement about a run.
fn of_run(sql: &'static str, run: &ScoringRun) -> Statement {
    Statement::new(sql)
        .bind(run.target.name())
        .bind(run.model_version)
        .bind(run.as_of)
        .bind(run.score_time)
        .bind(i64::from(run.partition.0))
        .bind(i64::from(run.partition.1))
}

/// Runs about the same as this one that have not ended.
const INTERRUPTED: &str = "SELECT score_time, partition_number, partitions FROM scoring_runs \
     WHERE target = $1 AND model_version = $2 AND as_of_time = $3 AND score_time < $4 \
     AND ($6 = 1 OR partition_number = $5 AND partitions = $6)";

const FORGET: &str = "DELETE FROM scoring_runs WHERE target = $1 AND model_version = $2 AND as_of_time = $3 \
     AND score_time = $4 AND partition_number = $5 AND partitions = $6";

async fn write<B: Backend>(store: &B, statement: Statement) -> Result<()> {
    let owned = store.clone();
    detached(store, async move {
        let mut tx = owned.begin().await?;
        B::run::<()>(&mut tx, statement).await?;
        Ok(tx.commit().await?)
    })
    .await
}

#[async_trait]
impl<B: Backend> PopulationStore for B {
    async fn begin_scoring(&self, run: ScoringRun) -> Result<()> {
        let insert = "INSERT INTO scoring_runs \
             (target, model_version, as_of_time, score_time, partition_number, partitions) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING";
        write(self, of_run(insert, &run)).await
    }

    async fn end_scoring(&self, run: ScoringRun) -> Result<()> {
        let interrupted: Vec<(Stamp, i64, i64)> = self.read(of_run(INTERRUPTED, &run)).await?;
        for (score_time, number, of) in interrupted {
            let left = ScoringRun { score_time: score_time.0, partition: (number as u32, of as u32), ..run };
            remove_of_run(self, &left).await?;
            write(self, of_run(FORGET, &left)).await?;
        }
        write(self, of_run(FORGET, &run)).await
    }

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
        write(self, upsert).await
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
