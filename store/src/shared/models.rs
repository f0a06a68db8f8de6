//! Models, champions and promotions.

use std::collections::HashSet;

use async_trait::async_trait;
use sqlx::{FromRow, types::Json};
use tally_model::{
    artifact::LARGEST,
    spec::Target,
    training::{assessment::Assessment, compare::Pair},
};

use super::{
    Backend, Stamp, Statement, Transaction, audit, names,
    statement::SqlValue,
    transaction::{detached, repeatable},
};
use crate::{
    audit::{Actor, NewAuditEvent},
    error::{Result, StoreError},
    models::{HoldoutScore, ModelStore, Promotion, PromotionKind, StoredEvaluation, StoredModel},
};

/// Holdout rows of a statement, with six values each.
const HOLDOUT_ROWS: usize = 2_000;

#[derive(FromRow)]
struct ModelRow {
    target: String,
    version: i64,
    create_time: Stamp,
    created_by: String,
    artifact: Vec<u8>,
    assessment: Option<Json<Assessment>>,
    champion: bool,
}

impl TryFrom<ModelRow> for StoredModel {
    type Error = StoreError;

    fn try_from(row: ModelRow) -> Result<Self> {
        Ok(Self {
            target: names::target(&row.target)?,
            version: row.version,
            create_time: row.create_time.0,
            created_by: row.created_by,
            artifact: row.artifact,
            assessment: row.assessment.map(|json| json.0).unwrap_or_default(),
            champion: row.champion,
        })
    }
}

#[derive(FromRow)]
struct PromotionRow {
    target: String,
    sequence: i64,
    promote_time: Stamp,
    who: String,
    from_version: Option<i64>,
    to_version: i64,
    kind: String,
    forced: bool,
    reason: String,
    gate_result: String,
}

impl TryFrom<PromotionRow> for Promotion {
    type Error = StoreError;

    fn try_from(row: PromotionRow) -> Result<Self> {
        let kind = PromotionKind::ALL.into_iter().find(|kind| kind.name() == row.kind);
        let unknown = || StoreError::Internal(format!("unknown stored kind of promotion `{}`", row.kind));
        Ok(Self {
            target: names::target(&row.target)?,
            sequence: row.sequence,
            time: row.promote_time.0,
            who: row.who,
            from: row.from_version,
            to: row.to_version,
            kind: kind.ok_or_else(unknown)?,
            forced: row.forced,
            reason: row.reason,
            gate_result: row.gate_result,
        })
    }
}

/// A holdout row of two models.
#[derive(FromRow)]
struct PairRow {
    customer_id: String,
    label: bool,
    candidate: f64,
    champion: f64,
}

impl From<PairRow> for Pair {
    fn from(row: PairRow) -> Self {
        Self {
            customer_id: row.customer_id,
            label: row.label,
            candidate: row.candidate,
            champion: row.champion,
        }
    }
}

/// `SELECT` of a [`ModelRow`] up to the condition. Of an artifact that is too large to be read, no more is fetched
/// than shows that.
fn select_models() -> Statement {
    Statement::new(
        "SELECT m.target, m.version, m.create_time, m.created_by, \
         substr(m.artifact, 1, CAST($1 AS INTEGER)) AS artifact, m.assessment, (c.version IS NOT NULL) AS champion \
         FROM models AS m LEFT JOIN champions AS c ON c.target = m.target AND c.version = m.version WHERE ",
    )
    .bind(LARGEST as i64 + 1)
}

/// Stores the holdout scores of a new model, and those of the champion on the same rows.
async fn insert_holdout_scores<B: Backend>(
    tx: &mut Transaction<B>,
    target: Target,
    version: i64,
    evaluation: &StoredEvaluation,
) -> Result<()> {
    let ids: Vec<&str> = evaluation.scores.iter().map(|row| row.customer_id.as_str()).collect();
    let existing: HashSet<String> = B::existing(tx, &ids).await?.into_iter().collect();
    let known = || evaluation.scores.iter().filter(|row| existing.contains(&row.customer_id));
    let own = known().map(|row| (row, version, row.probability));
    let incumbent = known().filter_map(|row| Some((row, evaluation.incumbent?, row.incumbent?)));
    let rows: Vec<(&HoldoutScore, i64, f64)> = own.chain(incumbent).collect();
    for part in rows.chunks(HOLDOUT_ROWS) {
        let mut insert = Statement::new(
            "INSERT INTO holdout_scores \
             (customer_id, target, model_version, as_of_time, label, probability) ",
        );
        insert.push_rows(part.iter().map(|(row, version, probability)| {
            let key = (row.customer_id.as_str().into(), target.name().into());
            [key.0, key.1, (*version).into(), row.as_of.into(), row.label.into(), (*probability).into()]
        }));
        // The scores that the champion had in its own evaluation remain.
        insert.push(" ON CONFLICT DO NOTHING");
        B::run::<()>(tx, insert).await?;
    }
    Ok(())
}

/// Moves a champion; returns no row when `promotion.from` is no longer the champion.
fn move_champion(promotion: &Promotion) -> Statement {
    let statement = match promotion.from {
        None => Statement::new(
            "INSERT INTO champions (target, version, promote_time) VALUES ($1, $2, $3) \
             ON CONFLICT (target) DO NOTHING RETURNING version",
        ),
        Some(_) => Statement::new(
            "UPDATE champions SET version = $2, promote_time = $3 \
             WHERE target = $1 AND version = $4 RETURNING version",
        ),
    };
    let statement = statement.bind(promotion.target.name()).bind(promotion.to).bind(promotion.time);
    if promotion.from.is_some() { statement.bind(promotion.from) } else { statement }
}

/// Adds a promotion to the line of champions; returns no row when the sequence number is taken, as it is when the champion
/// changed and changed back in the meantime.
fn insert_promotion(promotion: &Promotion) -> Statement {
    Statement::new(
        "INSERT INTO promotions (target, sequence, promote_time, who, from_version, to_version, \
         kind, forced, reason, gate_result) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
         ON CONFLICT (target, sequence) DO NOTHING RETURNING sequence",
    )
    .bind(promotion.target.name())
    .bind(promotion.sequence)
    .bind(promotion.time)
    .bind(promotion.who.as_str())
    .bind(promotion.from)
    .bind(promotion.to)
    .bind(promotion.kind.name())
    .bind(promotion.forced)
    .bind(promotion.reason.as_str())
    .bind(promotion.gate_result.as_str())
}

/// The event of a move in the audit log.
fn audit_event(promotion: &Promotion, request_id: &str) -> NewAuditEvent {
    let by = Actor { name: promotion.who.clone(), request_id: request_id.to_owned() };
    let action = match promotion.kind {
        PromotionKind::Rollback => "RollbackModel",
        PromotionKind::Promote | PromotionKind::Training => "PromoteModel",
    };
    let model = format!("{}/{}", promotion.target.name(), promotion.to);
    NewAuditEvent::done(promotion.time, &by, action).about(model)
}

#[async_trait]
impl<B: Backend> ModelStore for B {
    async fn insert_model(&self, model: StoredModel, evaluation: StoredEvaluation) -> Result<i64> {
        repeatable(self, (self.clone(), model, evaluation), |shared| async move {
            let (store, model, evaluation) = &*shared;
            let mut tx = store.begin().await?;
            // Two trainings that end together take the same number; one of them is repeated.
            let insert = Statement::new(
                "INSERT INTO models (target, version, create_time, created_by, artifact, evaluated, assessment) \
                 SELECT $1, coalesce(max(version), 0) + 1, $2, $3, $4, $5, $6 FROM models WHERE target = $1 \
                 RETURNING version",
            )
            .bind(model.target.name())
            .bind(model.create_time)
            .bind(model.created_by.as_str())
            .bind(model.artifact.as_slice())
            .bind(evaluation.evaluated.as_slice())
            .bind(SqlValue::json(&model.assessment)?);
            let inserted: Option<(i64,)> = B::run(&mut tx, insert).await?.pop();
            let (version,) = inserted
                .ok_or_else(|| StoreError::Internal("an inserted model has no version".to_owned()))?;
            insert_holdout_scores::<B>(&mut tx, model.target, version, evaluation).await?;
            tx.commit().await?;
            Ok(version)
        })
        .await
    }

    async fn models(
        &self,
        target: Option<Target>,
        after: Option<(Target, i64)>,
        limit: usize,
    ) -> Result<Vec<StoredModel>> {
        let mut statement = select_models();
        statement.push("true");
        if let Some(target) = target {
            statement.push(" AND m.target = ").push_bind(target.name());
        }
        if let Some((target, version)) = after {
            statement.push(" AND (m.target > ").push_bind(target.name());
            statement.push(" OR m.target = ").push_bind(target.name());
            statement.push(" AND m.version < ").push_bind(version).push(")");
        }
        statement.push(" ORDER BY m.target, m.version DESC LIMIT ").push_bind(limit as i64);
        self.read::<ModelRow>(statement).await?.into_iter().map(StoredModel::try_from).collect()
    }

    async fn model(&self, target: Target, version: i64) -> Result<Option<StoredModel>> {
        let mut statement = select_models();
        statement.push("m.target = ").push_bind(target.name());
        statement.push(" AND m.version = ").push_bind(version);
        self.read_one::<ModelRow>(statement).await?.map(StoredModel::try_from).transpose()
    }

    async fn champion(&self, target: Target) -> Result<Option<i64>> {
        let select = Statement::new("SELECT version FROM champions WHERE target = $1").bind(target.name());
        Ok(self.read_one(select).await?.map(|(version,)| version))
    }

    async fn evaluated(&self, target: Target, version: i64) -> Result<Option<Vec<u8>>> {
        let select = Statement::new("SELECT evaluated FROM models WHERE target = $1 AND version = $2")
            .bind(target.name())
            .bind(version);
        Ok(self.read_one(select).await?.map(|(evaluated,)| evaluated))
    }

    async fn pairs(&self, target: Target, candidate: i64, champion: i64) -> Result<Vec<Pair>> {
        let select = Statement::new(
            "SELECT a.customer_id, a.label, a.probability AS candidate, b.probability AS champion \
             FROM holdout_scores AS a JOIN holdout_scores AS b ON b.customer_id = a.customer_id \
             AND b.target = a.target AND b.as_of_time = a.as_of_time \
             WHERE a.target = $1 AND a.model_version = $2 AND b.model_version = $3 \
             ORDER BY a.customer_id, a.as_of_time",
        )
        .bind(target.name())
        .bind(candidate)
        .bind(champion);
        Ok(self.read::<PairRow>(select).await?.into_iter().map(Pair::from).collect())
    }

    async fn promote(&self, promotion: Promotion, request_id: &str) -> Result<bool> {
        let (store, event) = (self.clone(), audit_event(&promotion, request_id));
        detached(self, async move {
            let mut tx = store.begin().await?;
            for statement in [move_champion(&promotion), insert_promotion(&promotion)] {
                if B::run::<(i64,)>(&mut tx, statement).await?.is_empty() {
                    tx.rollback().await?;
                    return Ok(false);
                }
            }
            audit::append(&store, &mut tx, vec![event]).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn promotions(&self, target: Target, before: Option<i64>, limit: usize) -> Result<Vec<Promotion>> {
        let select = Statement::new(
            "SELECT * FROM promotions WHERE target = $1 AND sequence < $2 ORDER BY sequence DESC LIMIT $3",
        )
        .bind(target.name())
        .bind(before.unwrap_or(i64::MAX))
        .bind(limit as i64);
        self.read::<PromotionRow>(select).await?.into_iter().map(Promotion::try_from).collect()
    }
}
