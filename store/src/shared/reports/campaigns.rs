//! Campaigns: whom they reached, and what those bought within a window of days.

use sqlx::FromRow;

use super::{MERGED, ReportSql, customer, sum};
use crate::{
    error::Result,
    reports::{CampaignQuery, CampaignSums},
    shared::{Engine, Statement},
};

/// The property that names a campaign.
const CAMPAIGN: &str = "campaign";

#[derive(FromRow)]
struct CampaignRow {
    campaign: String,
    reached: i64,
    judged: i64,
    converted: i64,
    revenue: i64,
}

impl From<CampaignRow> for CampaignSums {
    fn from(row: CampaignRow) -> Self {
        Self {
            campaign: row.campaign,
            reached: row.reached,
            judged: row.judged,
            converted: row.converted,
            revenue_minor: row.revenue,
        }
    }
}

pub(super) async fn campaigns<E: ReportSql + Engine>(
    store: &E,
    query: CampaignQuery,
) -> Result<Vec<CampaignSums>> {
    let rows: Vec<CampaignRow> = store.read(select::<E>(query)).await?;
    Ok(rows.into_iter().map(CampaignSums::from).collect())
}

fn select<E: ReportSql>(query: CampaignQuery) -> Statement {
    let mut statement = Statement::new("WITH ").planned_anew();
    push_reached::<E>(&mut statement, query);
    push_bought::<E>(&mut statement, query);
    statement
        .push("SELECT r.campaign, count(*) AS reached, count(*) FILTER (WHERE r.start_time <= ")
        .push_bind(query.now.plus_days(-query.window_days))
        .push(
            ") AS judged, coalesce(max(b.converted), 0) AS converted, coalesce(max(b.revenue), 0) AS revenue \
             FROM reached AS r LEFT JOIN bought AS b ON b.campaign = r.campaign GROUP BY r.campaign LIMIT ",
        )
        .push_bind(query.limit as i64);
    statement
}

/// Appends `reached`, a row for each campaign and customer whom it reached for the first time within the range.
fn push_reached<E: ReportSql>(statement: &mut Statement, query: CampaignQuery) {
    let key = E::json_key(CAMPAIGN);
    statement
        .push(concat!(
            "reached AS MATERIALIZED (SELECT campaign, customer, min(occur_time) AS start_time FROM (SELECT ",
            customer!(),
            " AS customer, i.occur_time, (i.properties ->> "
        ))
        .push_bind(key.as_str())
        .push(")")
        .push(E::BYTEWISE)
        .push(" AS campaign FROM interactions AS i")
        .push(MERGED)
        .push(" WHERE i.kind NOT IN ('purchase', 'return') AND i.occur_time < ")
        .push_bind(query.to)
        .push(") AS carriers WHERE campaign IS NOT NULL GROUP BY campaign, customer");
    if let Some(from) = query.from {
        statement.push(" HAVING min(occur_time) >= ").push_bind(from);
    }
    statement.push("), ");
}

/// Appends `bought`, what the customers bought in those windows that are over, by campaign.
fn push_bought<E: ReportSql>(statement: &mut Statement, query: CampaignQuery) {
    statement.push(concat!(
        "purchases AS MATERIALIZED (SELECT ",
        customer!(),
        " AS customer, i.occur_time, i.amount_minor FROM interactions AS i"
    ));
    statement.push(MERGED).push(" WHERE i.kind IN ('purchase', 'return') AND i.kind = 'purchase'");
    if let Some(from) = query.from {
        statement.push(" AND i.occur_time > ").push_bind(from);
    }
    statement.push(concat!(
        "), bought AS (SELECT r.campaign, count(DISTINCT r.customer) AS converted, ",
        sum!("p.amount_minor"),
        " AS revenue FROM reached AS r JOIN purchases AS p ON p.customer = r.customer \
             AND p.occur_time > r.start_time AND p.occur_time <= r.start_time + "
    ));
    E::push_days(statement, query.window_days);
    statement
        .push(" WHERE r.start_time <= ")
        .push_bind(query.now.plus_days(-query.window_days))
        .push(" GROUP BY r.campaign) ");
}
