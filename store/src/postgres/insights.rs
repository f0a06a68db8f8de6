//! Insights: facts in by `COPY`, values of attributes out by `json_each_text`.

use tally_model::insight::Cause;

use super::{Postgres, binary};
use crate::{
    error::Result,
    insights::StoredFacts,
    shared::{
        Transaction,
        insights::{FACT_COLUMNS, InsightSql},
        names::grade_name,
    },
};

impl InsightSql for Postgres {
    const EACH_ATTRIBUTE: &'static str = "CROSS JOIN LATERAL json_each_text(f.attributes) AS a";

    const ATTRIBUTE: [&'static str; 2] = ["(f.attributes ->> ", ")"];
    /// Until its statistics are renewed, PostgreSQL sorts all rows of a pass for each page of a list. Those of all columns
    /// would take a second.
    const NOTICE_FACTS: Option<&'static str> =
        Some("ANALYZE customer_insights (pass_id, work_kinds, life_cycle)");

    async fn write_facts(tx: &mut Transaction<Self>, pass_id: i64, facts: &[&StoredFacts]) -> Result<()> {
        let statement = format!("COPY customer_insights ({FACT_COLUMNS}) FROM STDIN (FORMAT binary)");
        binary::copy_in(tx, &statement, facts, |rows, facts| {
            push(rows, pass_id, facts);
            Ok(())
        })
        .await
    }
}

/// Adds a row with the [`FACT_COLUMNS`].
fn push(rows: &mut binary::EncodedRows, pass_id: i64, f: &StoredFacts) {
    rows.row(47);
    rows.text(&f.customer_id);
    rows.int(pass_id);
    rows.text(f.placement.life_cycle.name());
    rows.text(f.placement.abc.name());
    rows.text(&f.placement.rfm_cell());
    rows.text(&f.rfm_segment);
    rows.text(f.placement.value_loyalty.name());
    rows.int(f.facts.window.revenue);
    rows.int(f.facts.window.returns);
    rows.int(f.facts.window.net());
    rows.int(f.facts.window.cost);
    rows.int(f.facts.window.orders);
    rows.int(f.facts.previous_net);
    rows.int(f.facts.ever.revenue);
    rows.int(f.facts.ever.returns);
    rows.int(f.facts.ever.cost);
    rows.int(f.facts.ever.orders);
    rows.int(f.facts.purchases.map_or(0, |purchases| purchases.count));
    rows.optional_time(f.facts.purchases.map(|purchases| purchases.first_purchase));
    rows.optional_time(f.facts.purchases.map(|purchases| purchases.last_purchase));
    rows.optional_int(f.recency_days);
    rows.optional_float(f.placement.expected_interval_days);
    rows.optional_float(f.placement.overdue_ratio);
    rows.int(f.facts.surveys);
    rows.float(f.facts.satisfaction_sum);
    rows.int(i64::from(f.placement.loyalty_points));
    rows.int(f.facts.discounted);
    rows.int(f.facts.referrals);
    rows.int(f.facts.complaints);
    rows.int(f.facts.complaints_open);
    rows.optional_time(f.facts.last_contact);
    rows.optional_float(f.lead.map(|lead| lead.probability));
    rows.optional_text(f.lead.map(|lead| grade_name(lead.grade)));
    rows.optional_float(f.churn.map(|churn| churn.probability));
    rows.optional_text(f.churn.map(|churn| grade_name(churn.grade)));
    rows.int(f.facts.repeat_revenue);
    rows.optional_float(f.p_alive);
    rows.optional_float(f.expected_purchases);
    rows.optional_int(f.clv);
    rows.text(&f.attributes);
    rows.optional_text(f.churn_cause.map(Cause::name));
    rows.int(f.work.kinds.0);
    rows.text(&f.work.action);
    rows.optional_int(f.work.value_at_risk);
    rows.optional_time(f.work.next_care);
    rows.bool(f.work.held_out);
    rows.int(f.work.order());
}
