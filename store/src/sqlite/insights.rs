//! Insights: facts in by statements with bound values, values of attributes out by `json_each`.

use sqlx::{QueryBuilder, Sqlite as Database};
use tally_model::insight::Cause;

use super::{BOUND_ROWS, Sqlite};
use crate::{
    error::Result,
    insights::StoredFacts,
    shared::{
        Stamp, Transaction,
        insights::{FACT_COLUMNS, InsightSql},
        names::grade_name,
    },
};

impl InsightSql for Sqlite {
    const EACH_ATTRIBUTE: &'static str = "CROSS JOIN json_each(f.attributes) AS a";

    // A path would give some characters of the name a meaning.
    const ATTRIBUTE: [&'static str; 2] = ["(SELECT value FROM json_each(f.attributes) WHERE key = ", ")"];
    const NOTICE_FACTS: Option<&'static str> = None;

    async fn write_facts(tx: &mut Transaction<Self>, pass_id: i64, facts: &[&StoredFacts]) -> Result<()> {
        for part in facts.chunks(BOUND_ROWS) {
            insert(tx, pass_id, part).await?;
        }
        Ok(())
    }
}

async fn insert(tx: &mut Transaction<Sqlite>, pass_id: i64, facts: &[&StoredFacts]) -> Result<()> {
    let mut query = QueryBuilder::<Database>::new(format!("INSERT INTO customer_insights ({FACT_COLUMNS}) "));
    query.push_values(facts, |mut row, f| {
        row.push_bind(&f.customer_id);
        row.push_bind(pass_id);
        row.push_bind(f.placement.life_cycle.name());
        row.push_bind(f.placement.abc.name());
        row.push_bind(f.placement.rfm_cell());
        row.push_bind(&f.rfm_segment);
        row.push_bind(f.placement.value_loyalty.name());
        row.push_bind(f.facts.window.revenue);
        row.push_bind(f.facts.window.returns);
        row.push_bind(f.facts.window.net());
        row.push_bind(f.facts.window.cost);
        row.push_bind(f.facts.window.orders);
        row.push_bind(f.facts.previous_net);
        row.push_bind(f.facts.ever.revenue);
        row.push_bind(f.facts.ever.returns);
        row.push_bind(f.facts.ever.cost);
        row.push_bind(f.facts.ever.orders);
        row.push_bind(f.facts.purchases.map_or(0, |purchases| purchases.count));
        row.push_bind(f.facts.purchases.map(|purchases| purchases.first_purchase).map(Stamp));
        row.push_bind(f.facts.purchases.map(|purchases| purchases.last_purchase).map(Stamp));
        row.push_bind(f.recency_days);
        row.push_bind(f.placement.expected_interval_days);
        row.push_bind(f.placement.overdue_ratio);
        row.push_bind(f.facts.surveys);
        row.push_bind(f.facts.satisfaction_sum);
        row.push_bind(i64::from(f.placement.loyalty_points));
        row.push_bind(f.facts.discounted);
        row.push_bind(f.facts.referrals);
        row.push_bind(f.facts.complaints);
        row.push_bind(f.facts.complaints_open);
        row.push_bind(f.facts.last_contact.map(Stamp));
        row.push_bind(f.lead.map(|lead| lead.probability));
        row.push_bind(f.lead.map(|lead| grade_name(lead.grade)));
        row.push_bind(f.churn.map(|churn| churn.probability));
        row.push_bind(f.churn.map(|churn| grade_name(churn.grade)));
        row.push_bind(f.facts.repeat_revenue);
        row.push_bind(f.p_alive);
        row.push_bind(f.expected_purchases);
        row.push_bind(f.clv);
        row.push_bind(&f.attributes);
        row.push_bind(f.churn_cause.map(Cause::name));
        row.push_bind(f.work.kinds.0);
        row.push_bind(&f.work.action);
        row.push_bind(f.work.value_at_risk);
        row.push_bind(f.work.next_care.map(Stamp));
        row.push_bind(f.work.held_out);
        row.push_bind(f.work.order());
    });
    query.build().execute(&mut **tx).await?;
    Ok(())
}
