//! Rows of passes, segments and members, as the statements return them.

use sqlx::{FromRow, types::Json};
use tally_model::insight::{Population, PurchaseDays};

use super::Stamp;
use crate::insights::{Contact, Member, Pass, SegmentSums};

#[derive(FromRow)]
pub(super) struct PassRow {
    pass_id: i64,
    as_of_time: Stamp,
    known_time: Stamp,
    kept: bool,
    revision: i64,
    population: Json<Population>,
}

impl From<PassRow> for Pass {
    fn from(row: PassRow) -> Self {
        let PassRow { pass_id, as_of_time, known_time, kept, revision, population } = row;
        Self {
            pass_id,
            as_of: as_of_time.0,
            known_at: known_time.0,
            kept,
            revision,
            population: population.0,
        }
    }
}

#[derive(FromRow)]
pub(super) struct SegmentRow {
    segment: String,
    customers: i64,
    revenue: i64,
    returns: i64,
    orders: i64,
    previous_net: i64,
    surveys: i64,
    satisfaction_sum: f64,
    clv: Option<i64>,
}

impl From<SegmentRow> for SegmentSums {
    fn from(row: SegmentRow) -> Self {
        let SegmentRow {
            segment,
            customers,
            revenue,
            returns,
            orders,
            previous_net,
            surveys,
            satisfaction_sum,
            clv,
        } = row;
        Self { segment, customers, revenue, returns, orders, previous_net, surveys, satisfaction_sum, clv }
    }
}

#[derive(FromRow)]
pub(super) struct MoveRow {
    pub(super) from_segment: Option<String>,
    pub(super) to_segment: String,
    pub(super) customers: i64,
}

#[derive(FromRow)]
pub(super) struct MemberRow {
    customer_id: String,
    segment: String,
    revenue_minor: i64,
    returns_minor: i64,
    orders: i64,
    net_minor: i64,
    previous_net_minor: i64,
    recency_days: Option<i64>,
    rfm_cell: String,
    abc_class: String,
    life_cycle: String,
    loyalty_points: i64,
    expected_interval_days: Option<f64>,
    overdue_ratio: Option<f64>,
    churn_probability: Option<f64>,
    first_purchase_time: Option<Stamp>,
    last_purchase_time: Option<Stamp>,
    purchase_days: i64,
    repeat_revenue_minor: i64,
    expected_purchases: Option<f64>,
    clv_minor: Option<i64>,
}

impl From<MemberRow> for Member {
    fn from(row: MemberRow) -> Self {
        Self {
            customer_id: row.customer_id,
            segment: row.segment,
            revenue: row.revenue_minor,
            returns: row.returns_minor,
            orders: row.orders,
            net: row.net_minor,
            previous_net: row.previous_net_minor,
            recency_days: row.recency_days,
            rfm_cell: row.rfm_cell,
            abc_class: row.abc_class,
            life_cycle: row.life_cycle,
            loyalty_points: row.loyalty_points,
            expected_interval_days: row.expected_interval_days,
            overdue_ratio: row.overdue_ratio,
            churn_probability: row.churn_probability,
            purchases: row.first_purchase_time.zip(row.last_purchase_time).map(|(first, last)| {
                PurchaseDays { first_purchase: first.0, last_purchase: last.0, count: row.purchase_days }
            }),
            repeat_revenue: row.repeat_revenue_minor,
            expected_purchases: row.expected_purchases,
            clv: row.clv_minor,
        }
    }
}

#[derive(FromRow)]
pub(super) struct ContactRow {
    interaction_id: String,
    kind: String,
    occur_time: Stamp,
    channel: String,
}

impl From<ContactRow> for Contact {
    fn from(row: ContactRow) -> Self {
        let ContactRow { interaction_id, kind, occur_time, channel } = row;
        Self { interaction_id, kind, occur_time: occur_time.0, channel }
    }
}
