//! What rules look at: passes, complaints, kinds of interaction, and models that were refused.

use async_trait::async_trait;
use sqlx::FromRow;
use tally_model::{
    insight::{
        AbcClass, LifeCycle,
        alert::{CustomerChange, CustomerState},
    },
    time::Time,
};

use crate::{
    alerts::{AlertSourceStore, ComplaintQuery, OpenComplaint, PromotionRefusal, UnwatchedPass},
    error::{Result, StoreError},
    insights::MemberCursor,
    shared::{Backend, Stamp, Statement, detached, names},
};

#[derive(FromRow)]
struct PassRow {
    pass_id: i64,
    as_of_time: Stamp,
    watched: bool,
}

#[derive(FromRow)]
struct ChangeRow {
    customer_id: String,
    net_minor: i64,
    abc_class: String,
    life_cycle: String,
    churn_probability: Option<f64>,
    churn_grade: Option<String>,
    lead_probability: Option<f64>,
    lead_grade: Option<String>,
    clv_minor: Option<i64>,
    existed: bool,
    before_abc_class: Option<String>,
    before_life_cycle: Option<String>,
    before_churn_probability: Option<f64>,
    before_churn_grade: Option<String>,
    before_lead_probability: Option<f64>,
    before_lead_grade: Option<String>,
    before_clv_minor: Option<i64>,
}

impl ChangeRow {
    fn change(self, pass_id: i64) -> Result<(MemberCursor, CustomerChange)> {
        let cursor = MemberCursor { pass_id, value: self.net_minor, customer_id: self.customer_id.clone() };
        let (abc, stage) = (abc_class(&self.abc_class)?, life_cycle(&self.life_cycle)?);
        let before = CustomerState {
            abc: self.before_abc_class.as_deref().map_or(Ok(abc), abc_class)?,
            life_cycle: self.before_life_cycle.as_deref().map_or(Ok(stage), life_cycle)?,
            churn_probability: self.before_churn_probability,
            churn_grade: self.before_churn_grade.as_deref().map(names::grade).transpose()?,
            lead_probability: self.before_lead_probability,
            lead_grade: self.before_lead_grade.as_deref().map(names::grade).transpose()?,
            clv: self.before_clv_minor,
        };
        let now = CustomerState {
            abc,
            life_cycle: stage,
            churn_probability: self.churn_probability,
            churn_grade: self.churn_grade.as_deref().map(names::grade).transpose()?,
            lead_probability: self.lead_probability,
            lead_grade: self.lead_grade.as_deref().map(names::grade).transpose()?,
            clv: self.clv_minor,
        };
        let before = self.existed.then_some(before);
        Ok((cursor, CustomerChange { customer_id: self.customer_id, before, now }))
    }
}

fn abc_class(name: &str) -> Result<AbcClass> {
    let known = AbcClass::ALL.into_iter().find(|class| class.name() == name);
    known.ok_or_else(|| StoreError::Internal(format!("unknown stored ABC class `{name}`")))
}

fn life_cycle(name: &str) -> Result<LifeCycle> {
    let known = LifeCycle::ALL.into_iter().find(|stage| stage.name() == name);
    known.ok_or_else(|| StoreError::Internal(format!("unknown stored stage `{name}`")))
}

#[derive(FromRow)]
struct ComplaintRow {
    customer_id: String,
    interaction_id: String,
    occur_time: Stamp,
    merged: bool,
}

#[derive(FromRow)]
struct RefusalRow {
    target: String,
    model_version: i64,
    reason: String,
    refuse_time: Stamp,
}

/// Passes that rules look at, the latest first.
const SELECT_PASSES: &str = "SELECT pass_id, as_of_time, watched FROM insight_passes \
     WHERE state = 'complete' AND kept AND as_of_time <= known_time";

#[async_trait]
impl<B: Backend> AlertSourceStore for B {
    async fn unwatched_pass(&self) -> Result<Option<UnwatchedPass>> {
        let mut select = Statement::new(SELECT_PASSES);
        select.push(" ORDER BY as_of_time DESC, pass_id DESC LIMIT 1");
        let latest: Option<PassRow> = self.read_one(select).await?;
        let Some(latest) = latest.filter(|latest| !latest.watched) else { return Ok(None) };
        let as_of = latest.as_of_time.0;
        let mut select = Statement::new(SELECT_PASSES);
        select.push(" AND watched AND as_of_time < ").push_bind(as_of);
        select.push(" ORDER BY as_of_time DESC, pass_id DESC LIMIT 1");
        let before: Option<PassRow> = self.read_one(select).await?;
        let before = before.map(|before| before.pass_id);
        Ok(Some(UnwatchedPass { pass_id: latest.pass_id, as_of, before }))
    }

    async fn customer_changes(
        &self,
        pass: UnwatchedPass,
        after: Option<MemberCursor>,
        limit: usize,
    ) -> Result<Vec<(MemberCursor, CustomerChange)>> {
        let mut select = Statement::new(
            "SELECT f.customer_id, f.net_minor, f.abc_class, f.life_cycle, f.churn_probability, f.churn_grade, \
             f.lead_probability, f.lead_grade, f.clv_minor, b.customer_id IS NOT NULL AS existed, \
             b.abc_class AS before_abc_class, b.life_cycle AS before_life_cycle, \
             b.churn_probability AS before_churn_probability, b.churn_grade AS before_churn_grade, \
             b.lead_probability AS before_lead_probability, b.lead_grade AS before_lead_grade, b.clv_minor AS before_clv_minor \
             FROM customer_insights AS f LEFT JOIN customer_insights AS b \
             ON b.customer_id = f.customer_id AND b.pass_id = ",
        );
        select.push_bind(pass.before.unwrap_or_default()).push(" WHERE f.pass_id = ").push_bind(pass.pass_id);
        if let Some(after) = after {
            select.push(" AND f.net_minor <= ").push_bind(after.value).push(" AND (f.net_minor < ");
            select.push_bind(after.value).push(" OR f.customer_id > ");
            select.push_bind(after.customer_id.as_str()).push(")");
        }
        select.push(" ORDER BY f.net_minor DESC, f.customer_id LIMIT ").push_bind(limit as i64);
        let rows: Vec<ChangeRow> = self.read(select).await?;
        if let Some(before) = pass.before {
            // Its facts are removed after it was marked as removed, so that none were missing if it is not yet.
            let there = Statement::new(
                "SELECT 1 FROM insight_passes WHERE pass_id = $1 AND state IN ('complete', 'replaced')",
            );
            if self.read::<()>(there.bind(before)).await?.is_empty() {
                return Err(StoreError::Aborted);
            }
        }
        rows.into_iter().map(|row| row.change(pass.pass_id)).collect()
    }

    async fn mark_watched(&self, pass_id: i64) -> Result<()> {
        let update =
            Statement::new("UPDATE insight_passes SET watched = true WHERE pass_id = $1").bind(pass_id);
        let store = self.clone();
        detached(self, async move {
            let mut tx = store.begin().await?;
            B::run::<()>(&mut tx, update).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn open_complaints(
        &self,
        query: ComplaintQuery,
        after: Option<&OpenComplaint>,
        limit: usize,
    ) -> Result<Vec<OpenComplaint>> {
        let ComplaintQuery { after: from, until, news } = query;
        // Citus joins by the customer alone, so resolutions under other ids of a merged customer are found elsewhere.
        let mut select = Statement::new(
            "SELECT i.customer_id, i.interaction_id, i.occur_time, \
             (c.has_merged OR c.survivor_id IS NOT NULL) AS merged \
             FROM interactions AS i JOIN customers AS c ON c.customer_id = i.customer_id \
             WHERE i.kind = 'complaint' AND i.occur_time > ",
        );
        select.push_bind(from).push(" AND i.occur_time <= ").push_bind(until);
        if let Some(news) = news {
            select.push(" AND (i.occur_time > ").push_bind(news.after).push(" OR i.record_time > ");
            select.push_bind(news.recorded_after).push(")");
        }
        if let Some(after) = after {
            select.push(" AND (i.occur_time, i.customer_id, i.interaction_id) > (");
            select.push_bind(after.occur_time).push(", ").push_bind(after.customer_id.as_str()).push(", ");
            select.push_bind(after.interaction_id.as_str()).push(")");
        }
        select.push(
            " AND NOT EXISTS (SELECT 1 FROM interactions AS r WHERE r.customer_id = i.customer_id \
             AND r.kind = 'resolution' AND r.occur_time >= i.occur_time) \
             ORDER BY i.occur_time, i.customer_id, i.interaction_id LIMIT ",
        );
        select.push_bind(limit as i64);
        let rows: Vec<ComplaintRow> = self.read(select).await?;
        let complaint = |row: ComplaintRow| OpenComplaint {
            customer_id: row.customer_id,
            interaction_id: row.interaction_id,
            occur_time: row.occur_time.0,
            merged: row.merged,
        };
        Ok(rows.into_iter().map(complaint).collect())
    }

    async fn has_kind_since(&self, kind: &str, since: Time) -> Result<bool> {
        // The maximum rather than one with LIMIT 1, for which PostgreSQL reads the table in its order, hoping to find one
        // soon, instead of what the index says was recorded lately.
        let select =
            Statement::new("SELECT max(record_time) FROM interactions WHERE kind = $1 AND record_time > $2")
                .bind(kind)
                .bind(since);
        let last: Option<(Option<Stamp>,)> = self.read_one(select).await?;
        Ok(last.is_some_and(|(last,)| last.is_some()))
    }

    async fn last_of_kind(&self, kind: &str) -> Result<Option<Time>> {
        let select = Statement::new("SELECT max(record_time) FROM interactions WHERE kind = $1").bind(kind);
        let select = select.lasting();
        let last: Option<(Option<Stamp>,)> = self.read_one(select).await?;
        Ok(last.and_then(|(last,)| last).map(|last| last.0))
    }

    async fn note_refusal(&self, refusal: PromotionRefusal) -> Result<()> {
        let insert = Statement::new(
            "INSERT INTO promotion_refusals (target, model_version, reason, refuse_time) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (target, model_version, reason) DO NOTHING",
        )
        .bind(refusal.target.name())
        .bind(refusal.model_version)
        .bind(refusal.reason.as_str())
        .bind(refusal.refuse_time);
        let store = self.clone();
        detached(self, async move {
            let mut tx = store.begin().await?;
            B::run::<()>(&mut tx, insert).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn refusals(&self, since: Time) -> Result<Vec<PromotionRefusal>> {
        let select = Statement::new(
            "SELECT target, model_version, reason, refuse_time FROM promotion_refusals \
             WHERE refuse_time > $1 ORDER BY refuse_time, target, model_version",
        )
        .bind(since);
        let rows: Vec<RefusalRow> = self.read(select).await?;
        let refusal = |row: RefusalRow| {
            Ok(PromotionRefusal {
                target: names::target(&row.target)?,
                model_version: row.model_version,
                reason: row.reason,
                refuse_time: row.refuse_time.0,
            })
        };
        rows.into_iter().map(refusal).collect()
    }
}
