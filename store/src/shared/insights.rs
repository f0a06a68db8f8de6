//! Insights.

use std::collections::HashSet;

use async_trait::async_trait;
use sqlx::FromRow;
use tally_model::{
    insight::{Population, Segmentation},
    time::Time,
};

use super::{
    Backend, Engine, SqlValue, Stamp, Statement, Transaction,
    insight_rows::{ContactRow, MemberRow, MoveRow, PassRow, SegmentRow},
    transaction::{detached, repeatable},
};
use crate::{
    error::Result,
    insights::{
        AttributeValues, Contact, InsightStore, Member, MemberCursor, MemberFilter, MemberOrder, NewPass,
        Pass, PassExpiry, SegmentMove, SegmentSums, StoredFacts,
    },
};

/// Facts that are removed at a time.
const REMOVED_ROWS: usize = 2_000;

/// The columns of the facts, in the order in which both databases write them.
pub(crate) const FACT_COLUMNS: &str = "customer_id, pass_id, life_cycle, abc_class, rfm_cell, rfm_segment, value_loyalty, revenue_minor, \
     returns_minor, net_minor, cost_minor, orders, previous_net_minor, total_revenue_minor, \
     total_returns_minor, total_cost_minor, total_orders, purchase_days, first_purchase_time, \
     last_purchase_time, recency_days, expected_interval_days, overdue_ratio, surveys, satisfaction_sum, \
     loyalty_points, discounted_orders, referrals, complaints, complaints_open, last_contact_time, \
     lead_probability, lead_grade, churn_probability, churn_grade, repeat_revenue_minor, p_alive, \
     expected_purchases, clv_minor, attributes, churn_cause, work_kinds, work_action, value_at_risk_minor, \
     next_care_time, held_out, worklist_order";

/// What differs between the databases.
pub(crate) trait InsightSql: Engine {
    /// Joins the attributes of the facts `f` as rows `a` with `key` and `value`.
    const EACH_ATTRIBUTE: &'static str;
    /// The beginning and the end of an expression for the value of an attribute in the facts `f`; the name of the
    /// attribute comes between them.
    const ATTRIBUTE: [&'static str; 2];
    /// What tells the planner of the rows of a new pass, where it would take too long to notice them by itself.
    const NOTICE_FACTS: Option<&'static str>;

    /// Stores facts of existing customers.
    fn write_facts(
        tx: &mut Transaction<Self>,
        pass_id: i64,
        facts: &[&StoredFacts],
    ) -> impl Future<Output = Result<()>> + Send;
}

/// Appends the segment of the facts `f`.
fn push_segment<B: InsightSql>(statement: &mut Statement, segmentation: &Segmentation) {
    match segmentation {
        Segmentation::Abc => statement.push("f.abc_class"),
        Segmentation::Rfm => statement.push("f.rfm_segment"),
        Segmentation::RfmCell => statement.push("f.rfm_cell"),
        Segmentation::LifeCycle => statement.push("f.life_cycle"),
        Segmentation::ValueLoyalty => statement.push("f.value_loyalty"),
        Segmentation::Attribute(name) => {
            let [before, after] = B::ATTRIBUTE;
            statement.push("coalesce(").push(before).push_bind(name.as_str()).push(after).push(", '')")
        }
    };
}

/// Appends `FROM … WHERE …` of the customers that pass the filter, as `f`, with what is joined to them.
fn push_members<B: InsightSql>(statement: &mut Statement, joined: &'static str, filter: &MemberFilter) {
    statement.push(" FROM customer_insights AS f ").push(joined).push(" WHERE f.pass_id = ");
    statement.push_bind(filter.pass_id);
    if let Some(segment) = &filter.segment {
        statement.push(" AND ");
        push_segment::<B>(statement, &filter.segmentation);
        statement.push(" = ").push_bind(segment.as_str());
    }
}

const SELECT_PASS: &str =
    "SELECT pass_id, as_of_time, known_time, kept, revision, population FROM insight_passes WHERE ";

/// Removes the facts of a pass, then the pass.
async fn remove_pass<B: Backend>(store: &B, pass_id: i64) -> Result<()> {
    loop {
        let mut delete = Statement::new(
            "DELETE FROM customer_insights WHERE (customer_id, pass_id) IN \
             (SELECT customer_id, pass_id FROM customer_insights WHERE pass_id = ",
        );
        delete.push_bind(pass_id).push(" LIMIT ").push_bind(REMOVED_ROWS as i64).push(") RETURNING 1");
        let owned = store.clone();
        let removed = detached(store, async move {
            let mut tx = owned.begin().await?;
            let removed = B::run::<()>(&mut tx, delete).await?.len();
            tx.commit().await?;
            Ok(removed)
        });
        if removed.await? < REMOVED_ROWS {
            break;
        }
    }
    let delete = Statement::new("DELETE FROM insight_passes WHERE pass_id = $1").bind(pass_id);
    let owned = store.clone();
    detached(store, async move {
        let mut tx = owned.begin().await?;
        B::run::<()>(&mut tx, delete).await?;
        Ok(tx.commit().await?)
    })
    .await
}

/// A pass that is to be kept.
#[derive(FromRow)]
struct KeptPass {
    pass_id: i64,
    as_of_time: Stamp,
    known_time: Stamp,
    watched: bool,
}

impl KeptPass {
    /// The order of passes.
    const fn order(&self) -> (Time, i64) {
        (self.as_of_time.0, self.pass_id)
    }

    fn month(&self) -> Time {
        self.as_of_time.0.month_start()
    }
}

/// Of the complete passes that are to be kept, those that are neither the last of their month nor new enough, but for
/// the latest one that rules have looked at: they compare the next one with it.
fn expired(kept: &[KeptPass], before: Time) -> Vec<i64> {
    let last_of_month = |pass: &KeptPass| {
        !kept.iter().any(|other| other.order() > pass.order() && other.month() == pass.month())
    };
    let is_compared = |pass: &KeptPass| pass.watched && pass.as_of_time.0 <= pass.known_time.0;
    let compared = kept.iter().filter(|pass| is_compared(pass)).map(KeptPass::order).max();
    let is_expired = |pass: &&KeptPass| {
        pass.known_time.0 < before && !last_of_month(pass) && Some(pass.order()) != compared
    };
    kept.iter().filter(is_expired).map(|pass| pass.pass_id).collect()
}

#[async_trait]
impl<B: Backend> InsightStore for B {
    async fn begin_pass(&self, pass: NewPass) -> Result<i64> {
        let insert = Statement::new(
            "INSERT INTO insight_passes (as_of_time, known_time, kept, state, population) \
             VALUES ($1, $2, $3, 'building', '{}') RETURNING pass_id",
        )
        .bind(pass.as_of)
        .bind(pass.known_at)
        .bind(pass.kept);
        let store = self.clone();
        detached(self, async move {
            let mut tx = store.begin().await?;
            let ids: Vec<(i64,)> = B::run(&mut tx, insert).await?;
            tx.commit().await?;
            Ok(ids.first().map_or(0, |(pass_id,)| *pass_id))
        })
        .await
    }

    async fn insert_facts(&self, pass_id: i64, facts: Vec<StoredFacts>) -> Result<()> {
        repeatable(self, (self.clone(), facts), move |shared| async move {
            let (store, facts) = &*shared;
            let mut tx = store.begin().await?;
            let ids: Vec<&str> = facts.iter().map(|facts| facts.customer_id.as_str()).collect();
            let existing = B::existing(&mut tx, &ids).await?;
            let existing: HashSet<&str> = existing.iter().map(String::as_str).collect();
            let kept: Vec<&StoredFacts> =
                facts.iter().filter(|facts| existing.contains(facts.customer_id.as_str())).collect();
            if !kept.is_empty() {
                B::write_facts(&mut tx, pass_id, &kept).await?;
            }
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn complete_pass(&self, pass_id: i64, population: &Population, on_demand: bool) -> Result<()> {
        // Of two passes about one moment that end together, one is refused by the index and tries again.
        repeatable(self, (self.clone(), population.clone()), move |shared| async move {
            let (store, population) = &*shared;
            let replace = Statement::new(
                "UPDATE insight_passes SET state = 'replaced' WHERE state = 'complete' AND as_of_time = $1 \
                 RETURNING watched",
            )
            .bind(population.as_of);
            let mut tx = store.begin().await?;
            let replaced: Vec<(bool,)> = B::run(&mut tx, replace).await?;
            let watched = on_demand && replaced.iter().any(|(watched,)| *watched);
            let complete = Statement::new(
                "UPDATE insight_passes SET state = 'complete', population = $1, watched = $2 WHERE pass_id = $3",
            )
            .bind(SqlValue::json(population)?)
            .bind(watched)
            .bind(pass_id);
            if let Some(notice) = B::NOTICE_FACTS {
                B::run::<()>(&mut tx, Statement::new(notice)).await?;
            }
            B::run::<()>(&mut tx, complete).await?;
            Ok(tx.commit().await?)
        })
        .await
    }

    async fn pass(&self, pass_id: i64) -> Result<Option<Pass>> {
        let mut select = Statement::new(SELECT_PASS);
        select.push("state IN ('complete', 'replaced') AND pass_id = ").push_bind(pass_id);
        Ok(self.read_one::<PassRow>(select).await?.map(Pass::from))
    }

    async fn pass_about(&self, as_of: Time) -> Result<Option<Pass>> {
        let mut select = Statement::new(SELECT_PASS);
        select
            .push("state = 'complete' AND as_of_time = ")
            .push_bind(as_of)
            .push(" ORDER BY pass_id DESC LIMIT 1");
        Ok(self.read_one::<PassRow>(select).await?.map(Pass::from))
    }

    async fn latest_pass(&self, until: Time) -> Result<Option<Pass>> {
        let mut select = Statement::new(SELECT_PASS);
        select
            .push("state = 'complete' AND as_of_time <= ")
            .push_bind(until)
            .push(" AND as_of_time <= known_time ORDER BY as_of_time DESC, pass_id DESC LIMIT 1");
        Ok(self.read_one::<PassRow>(select).await?.map(Pass::from))
    }

    async fn remove_passes(&self, expiry: PassExpiry) -> Result<u64> {
        let select = Statement::new(
            "SELECT pass_id FROM insight_passes WHERE state IN ('replaced', 'removed') \
             OR (known_time < $1 AND (state = 'building' OR NOT kept))",
        )
        .bind(expiry.on_demand);
        let mut passes: Vec<i64> = self.read(select).await?.into_iter().map(|(pass_id,)| pass_id).collect();
        let select = Statement::new(
            "SELECT pass_id, as_of_time, known_time, watched FROM insight_passes \
             WHERE state = 'complete' AND kept",
        );
        passes.extend(expired(&self.read(select).await?, expiry.kept));
        for pass_id in &passes {
            // From now on nobody finds it.
            let hide = Statement::new("UPDATE insight_passes SET state = 'removed' WHERE pass_id = $1")
                .bind(*pass_id);
            let store = self.clone();
            detached(self, async move {
                let mut tx = store.begin().await?;
                B::run::<()>(&mut tx, hide).await?;
                Ok(tx.commit().await?)
            })
            .await?;
            remove_pass(self, *pass_id).await?;
        }
        Ok(passes.len() as u64)
    }

    async fn segments(
        &self,
        pass_id: i64,
        segmentation: &Segmentation,
        limit: usize,
    ) -> Result<Vec<SegmentSums>> {
        let mut select = Statement::new("SELECT ").lasting();
        push_segment::<B>(&mut select, segmentation);
        select
            .push(
                " AS segment, count(*) AS customers, CAST(sum(f.revenue_minor) AS BIGINT) AS revenue, \
                 CAST(sum(f.returns_minor) AS BIGINT) AS returns, CAST(sum(f.orders) AS BIGINT) AS orders, \
                 CAST(sum(f.previous_net_minor) AS BIGINT) AS previous_net, \
                 CAST(sum(f.surveys) AS BIGINT) AS surveys, sum(f.satisfaction_sum) AS satisfaction_sum, \
                 CAST(sum(f.clv_minor) AS BIGINT) AS clv FROM customer_insights AS f WHERE f.pass_id = ",
            )
            .push_bind(pass_id)
            .push(" GROUP BY 1 LIMIT ")
            .push_bind(limit as i64);
        Ok(self.read::<SegmentRow>(select).await?.into_iter().map(SegmentSums::from).collect())
    }

    async fn segment_moves(
        &self,
        [from, to]: [i64; 2],
        segmentation: &Segmentation,
        limit: usize,
    ) -> Result<Vec<SegmentMove>> {
        let mut select =
            Statement::new("SELECT before.segment AS from_segment, after.segment AS to_segment, ").lasting();
        select.push("count(*) AS customers FROM (SELECT f.customer_id, ");
        push_segment::<B>(&mut select, segmentation);
        select.push(" AS segment FROM customer_insights AS f WHERE f.pass_id = ").push_bind(to);
        select.push(") AS after LEFT JOIN (SELECT f.customer_id, ");
        push_segment::<B>(&mut select, segmentation);
        select.push(" AS segment FROM customer_insights AS f WHERE f.pass_id = ").push_bind(from);
        select.push(") AS before ON before.customer_id = after.customer_id GROUP BY 1, 2 LIMIT ");
        select.push_bind(limit as i64);
        let rows: Vec<MoveRow> = self.read(select).await?;
        let as_move = |row: MoveRow| SegmentMove {
            from: row.from_segment,
            to: row.to_segment,
            customers: row.customers,
        };
        Ok(rows.into_iter().map(as_move).collect())
    }

    async fn members(
        &self,
        filter: &MemberFilter,
        order: MemberOrder,
        after: Option<MemberCursor>,
        limit: usize,
    ) -> Result<Vec<Member>> {
        // An index by lifetime value would make every pass slower for a list that is read now and then.
        let key = match order {
            MemberOrder::Net => "f.net_minor",
            MemberOrder::Clv => "coalesce(f.clv_minor, -1)",
        };
        let mut select = Statement::new("SELECT f.customer_id, ");
        push_segment::<B>(&mut select, &filter.segmentation);
        select.push(
            " AS segment, f.revenue_minor, f.returns_minor, f.orders, f.net_minor, f.previous_net_minor, \
             f.recency_days, f.rfm_cell, f.abc_class, f.life_cycle, f.loyalty_points, \
             f.expected_interval_days, f.overdue_ratio, f.churn_probability, f.first_purchase_time, \
             f.last_purchase_time, f.purchase_days, f.repeat_revenue_minor, f.expected_purchases, f.clv_minor",
        );
        push_members::<B>(&mut select, "", filter);
        if let Some(after) = after {
            select.push(" AND ").push(key).push(" <= ").push_bind(after.value).push(" AND (").push(key);
            select.push(" < ").push_bind(after.value).push(" OR f.customer_id > ");
            select.push_bind(after.customer_id.as_str()).push(")");
        }
        select.push(" ORDER BY ").push(key).push(" DESC, f.customer_id LIMIT ").push_bind(limit as i64);
        Ok(self.read::<MemberRow>(select).await?.into_iter().map(Member::from).collect())
    }

    async fn count_members(&self, filter: &MemberFilter) -> Result<u64> {
        let mut select = Statement::new("SELECT count(*)");
        push_members::<B>(&mut select, "", filter);
        self.count(select).await
    }

    async fn attribute_values(&self, filter: &MemberFilter, top: usize) -> Result<Vec<AttributeValues>> {
        let mut select =
            Statement::new("WITH counted AS (SELECT a.key AS name, a.value AS value, count(*) AS customers")
                .lasting();
        push_members::<B>(&mut select, B::EACH_ATTRIBUTE, filter);
        select.push(
            " GROUP BY 1, 2), ranked AS (SELECT name, value, customers, \
             CAST(sum(customers) OVER (PARTITION BY name) AS BIGINT) AS total, count(*) OVER (PARTITION BY name) AS distinct_values, \
             row_number() OVER (PARTITION BY name ORDER BY customers DESC, value",
        );
        select.push(B::BYTEWISE).push(
            ") AS place FROM counted) \
             SELECT name, total, distinct_values, value, customers FROM ranked WHERE place <= ",
        );
        select.push_bind(top as i64);
        let mut rows: Vec<(String, i64, i64, String, i64)> = self.read(select).await?;
        // The order of the places, and names by their bytes on both databases.
        rows.sort_by(|a, b| (&a.0, -a.4, &a.3).cmp(&(&b.0, -b.4, &b.3)));
        let mut attributes: Vec<AttributeValues> = Vec::new();
        for (name, customers, distinct, value, count) in rows {
            if attributes.last().is_none_or(|last| last.name != name) {
                attributes.push(AttributeValues { name, customers, distinct, top: Vec::new() });
            }
            if let Some(last) = attributes.last_mut() {
                last.top.push((value, count));
            }
        }
        Ok(attributes)
    }

    async fn contacts(
        &self,
        customer_id: &str,
        kinds: &[String],
        (after, until): (Option<Time>, Time),
        limit: usize,
    ) -> Result<Vec<Contact>> {
        let mut select =
            Statement::new("SELECT interaction_id, kind, occur_time, channel FROM interactions WHERE ");
        push_family(&mut select, customer_id);
        select.push(" AND kind IN (").push_list(kinds.iter().map(|kind| kind.as_str().into())).push(")");
        select.push(" AND occur_time <= ").push_bind(until);
        if let Some(after) = after {
            select.push(" AND occur_time > ").push_bind(after);
        }
        select.push(" ORDER BY occur_time DESC, interaction_id DESC LIMIT ").push_bind(limit as i64);
        Ok(self.read::<ContactRow>(select).await?.into_iter().map(Contact::from).collect())
    }

    async fn referred_customers(&self, customer_id: &str, until: Time) -> Result<Vec<String>> {
        let mut select = Statement::new(
            "SELECT DISTINCT properties ->> 'referred_customer_id' FROM interactions \
             WHERE kind = 'referral' AND properties ->> 'referred_customer_id' IS NOT NULL AND ",
        );
        push_family(&mut select, customer_id);
        select.push(" AND occur_time <= ").push_bind(until);
        Ok(self.read::<(String,)>(select).await?.into_iter().map(|(id,)| id).collect())
    }
}

/// Appends that an interaction is of this customer, or of an id that is merged into it.
pub(super) fn push_family(statement: &mut Statement, customer_id: &str) {
    statement.push("customer_id IN (SELECT customer_id FROM customers WHERE customer_id = ");
    statement.push_bind(customer_id).push(" OR survivor_id = ").push_bind(customer_id).push(")");
}

/// Appends that an interaction is of one of these customers, or of an id that is merged into one.
pub(super) fn push_families(statement: &mut Statement, customer_ids: &[String]) {
    let ids = || customer_ids.iter().map(|id| id.as_str().into());
    // With both conditions in one WHERE, PostgreSQL reads all customers.
    statement.push("customer_id IN (SELECT customer_id FROM customers WHERE customer_id IN (");
    statement.push_list(ids());
    statement.push(") UNION ALL SELECT customer_id FROM customers WHERE survivor_id IN (");
    statement.push_list(ids()).push("))");
}
