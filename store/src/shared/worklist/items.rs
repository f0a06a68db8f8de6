//! Items of a list. By value at risk they are read in the order of an index, one row a customer; what else they may be
//! ranked by has to be computed for all of them.

use sqlx::FromRow;
use tally_model::{
    insight::{OutcomeDays, WorkKind, WorkKinds},
    time::{DAY, Time},
};

use super::kind;
use crate::{
    error::Result,
    shared::{Backend, Stamp, Statement},
    worklist::{RankedCount, WorkCount, WorkCursor, WorkFilter, WorkItem},
};

/// What an item is made of, of the facts `f` and the customer `c`.
const COLUMNS: &str = "f.customer_id, c.name, f.life_cycle, f.value_at_risk_minor, f.lead_probability, \
     f.churn_probability, f.clv_minor, f.abc_class, f.churn_cause, f.work_action, f.next_care_time, f.held_out, \
     f.total_revenue_minor, f.total_returns_minor, f.purchase_days";

/// Customers who are not merged into others, with work.
const CUSTOMERS: &str = " FROM customer_insights AS f JOIN customers AS c \
     ON c.customer_id = f.customer_id AND c.merged_into IS NULL";

/// Which items a ranked list may have: those that pay, or all. One whose gain is not known may pay, and an action that
/// costs nothing has nothing to lose.
const fn pays(filter: &WorkFilter) -> &'static str {
    if filter.include_not_paying { "true" } else { "(gain IS NULL OR gain > 0 OR (gain = 0 AND cost = 0))" }
}

/// What orders a ranked list first. Items that are not known to gain anything are alike: by gain, those with a cost would
/// come after all without one, the cheapest of them first, and what their actions do would never be measured.
macro_rules! positive_gain {
    () => {
        "CASE WHEN gain > 0 THEN gain ELSE 0 END"
    };
}

/// The order of a ranked list.
const BY_GAIN: &str = concat!(" ORDER BY ", positive_gain!(), " DESC, worklist_order DESC, customer_id, bit");

/// The columns of [`COLUMNS`].
#[derive(Clone, FromRow)]
struct FactsRow {
    customer_id: String,
    name: String,
    life_cycle: String,
    value_at_risk_minor: Option<i64>,
    lead_probability: Option<f64>,
    churn_probability: Option<f64>,
    clv_minor: Option<i64>,
    abc_class: String,
    churn_cause: Option<String>,
    work_action: String,
    next_care_time: Option<Stamp>,
    held_out: bool,
    total_revenue_minor: i64,
    total_returns_minor: i64,
    purchase_days: i64,
}

impl FactsRow {
    fn into_item(self, kind: WorkKind, gain: Option<f64>) -> WorkItem {
        WorkItem {
            customer_id: self.customer_id,
            name: self.name,
            kind,
            value_at_risk: self.value_at_risk_minor,
            gain,
            life_cycle: self.life_cycle,
            lead_probability: self.lead_probability,
            churn_probability: self.churn_probability,
            clv_minor: self.clv_minor,
            abc_class: self.abc_class,
            cause: self.churn_cause,
            action: self.work_action,
            next_care: self.next_care_time.map(|time| time.0),
            held_out: self.held_out,
            total_revenue: self.total_revenue_minor,
            total_returns: self.total_returns_minor,
            purchase_days: self.purchase_days,
        }
    }
}

/// A customer with all its kinds.
#[derive(FromRow)]
struct CustomerRow {
    #[sqlx(flatten)]
    facts: FactsRow,
    work_kinds: i64,
}

/// An item of a ranked list.
#[derive(FromRow)]
struct RankedRow {
    #[sqlx(flatten)]
    facts: FactsRow,
    kind: String,
    gain: Option<f64>,
}

/// Items by value at risk. The index has all that decides which customers are on the page.
pub(super) async fn by_value<B: Backend>(
    store: &B,
    filter: &WorkFilter,
    include_held_out: bool,
    after: Option<&WorkCursor>,
    limit: usize,
) -> Result<Vec<WorkItem>> {
    let mut select = Statement::new("SELECT ");
    select
        .push(COLUMNS)
        .push(", f.work_kinds FROM (SELECT f.customer_id, f.pass_id, c.name, f.worklist_order");
    select.push(CUSTOMERS).push(" WHERE f.pass_id = ").push_bind(filter.pass_id);
    select.push(" AND f.work_kinds > 0 AND (f.work_kinds & ").push_bind(filter.kinds.0).push(") > 0");
    if !include_held_out {
        select.push(" AND NOT f.held_out");
    }
    if let Some(after) = after {
        // The customer of the last item may have more kinds.
        select.push(" AND f.worklist_order <= ").push_bind(after.value);
        select.push(" AND (f.worklist_order < ").push_bind(after.value);
        select.push(" OR f.customer_id >= ").push_bind(after.customer_id.as_str()).push(")");
    }
    // One customer more, since the first may have had all of its items.
    select.push(" ORDER BY f.worklist_order DESC, f.customer_id LIMIT ").push_bind(limit as i64 + 1);
    // With the pass as a value, PostgreSQL would look for each customer in an index by pass while it does not know yet
    // how many rows the pass has.
    select.push(
        ") AS c JOIN customer_insights AS f ON f.customer_id = c.customer_id AND f.pass_id = c.pass_id \
         ORDER BY c.worklist_order DESC, c.customer_id",
    );
    let mut items = Vec::new();
    for row in store.read::<CustomerRow>(select).await? {
        let seen = after.filter(|after| after.customer_id == row.facts.customer_id).map(|after| after.kind);
        let kinds = WorkKinds(row.work_kinds & filter.kinds.0);
        let kinds = kinds.kinds().filter(|kind| seen.is_none_or(|seen| kind.bit() > seen));
        items.extend(kinds.map(|kind| row.facts.clone().into_item(kind, None)));
    }
    items.truncate(limit);
    Ok(items)
}

/// How many customers have which kinds of work. Those of merged ids, who are few, are subtracted: looking for the
/// customer of each row would take much longer.
pub(super) async fn counts<B: Backend>(store: &B, pass_id: i64) -> Result<Vec<WorkCount>> {
    let counted = async |from: &'static str| {
        let mut select = Statement::new("SELECT f.work_kinds, f.held_out, count(*) FROM ").lasting();
        select.push(from).push("f.pass_id = ").push_bind(pass_id);
        select.push(" AND f.work_kinds > 0 GROUP BY f.work_kinds, f.held_out");
        store.read::<(i64, bool, i64)>(select).await
    };
    let merged = counted(
        "customers AS m JOIN customer_insights AS f ON f.customer_id = m.customer_id \
         WHERE m.survivor_id IS NOT NULL AND ",
    );
    let (all, merged) = (counted("customer_insights AS f WHERE ").await?, merged.await?);
    let of_merged = |kinds: i64, held_out: bool| {
        let found = merged.iter().find(|row| (row.0, row.1) == (kinds, held_out));
        found.map_or(0, |(_, _, customers)| *customers)
    };
    let count = |(kinds, held_out, customers)| WorkCount {
        kinds: WorkKinds(kinds),
        held_out,
        customers: customers - of_merged(kinds, held_out),
    };
    Ok(all.into_iter().map(count).collect())
}

/// Items by expected gain.
pub(super) async fn by_gain<B: Backend>(
    store: &B,
    filter: &WorkFilter,
    include_held_out: bool,
    after: Option<&WorkCursor>,
    limit: usize,
) -> Result<Vec<WorkItem>> {
    let mut select = Statement::new("WITH ").planned_anew();
    push_listed(&mut select, filter);
    select.push(" SELECT * FROM listed WHERE true");
    if !include_held_out {
        select.push(" AND NOT held_out");
    }
    if let Some(after) = after {
        let gain = f64::from_bits(after.gain.cast_unsigned());
        select.push(concat!(" AND ", positive_gain!(), " <= ")).push_bind(gain);
        select.push(concat!(" AND (", positive_gain!(), " < ")).push_bind(gain);
        select.push(" OR worklist_order < ").push_bind(after.value);
        select.push(" OR (worklist_order = ").push_bind(after.value);
        select.push(" AND (customer_id > ").push_bind(after.customer_id.as_str());
        select.push(" OR (customer_id = ").push_bind(after.customer_id.as_str());
        select.push(" AND bit > ").push_bind(after.kind).push("))))");
    }
    select.push(BY_GAIN).push(" LIMIT ").push_bind(limit as i64);
    let rows: Vec<RankedRow> = store.read(select).await?;
    rows.into_iter().map(|row| Ok(row.facts.into_item(kind(&row.kind)?, row.gain))).collect()
}

/// How many items a ranked list has, how many have no place or do not pay, and how many lists of the day have handed out.
pub(super) async fn ranked_count<B: Backend>(
    store: &B,
    filter: &WorkFilter,
    include_held_out: bool,
) -> Result<RankedCount> {
    let mut select = Statement::new("WITH ").planned_anew();
    push_listed(&mut select, filter);
    select.push(" SELECT (SELECT count(*) FROM listed WHERE ").push_bind(include_held_out);
    select.push(" OR NOT held_out), (SELECT count(*) FROM items WHERE (");
    push_wanted(&mut select, filter);
    select.push(") AND (").push_bind(include_held_out);
    select.push(" OR NOT held_out)), (SELECT count(*) FROM items WHERE NOT ").push(pays(filter));
    select.push(if has_capacity(filter) { " AND is_open = 0" } else { "" });
    select.push(" AND (").push_bind(include_held_out).push(" OR NOT held_out)), ");
    push_handed_out(&mut select, filter.as_of);
    let counted: Option<(i64, i64, i64, i64)> = store.read_one(select).await?;
    let (items, wanted, not_paying, handed_out) = counted.unwrap_or_default();
    Ok(RankedCount { items, without_place: wanted - items, not_paying, handed_out })
}

/// Appends how many items the lists of the UTC day of `as_of` have handed out.
pub(super) fn push_handed_out(statement: &mut Statement, as_of: Time) {
    statement.push("(SELECT count(*) FROM worklist_episodes WHERE NOT held_out AND ");
    push_of_day(statement, as_of);
    statement.push(")");
}

/// Appends that an episode is of a list of the UTC day of `as_of`.
fn push_of_day(statement: &mut Statement, as_of: Time) {
    let day = Time(as_of.day_number() * DAY);
    statement.push("as_of_time >= ").push_bind(day).push(" AND as_of_time < ").push_bind(day.plus_days(1));
}

/// Appends when the windows of a list's episodes end, by the column of the life cycle.
pub(super) fn push_until(statement: &mut Statement, filter: &WorkFilter, life_cycle: &'static str) {
    let OutcomeDays { leads, buyers } = filter.outcome_days;
    statement.push("CASE WHEN ").push(life_cycle).push(" = 'lead' THEN ");
    statement.push_bind(filter.as_of.plus_days(leads.into())).push(" ELSE ");
    statement.push_bind(filter.as_of.plus_days(buyers.into())).push(" END");
}

/// Appends the queries of `WITH` up to `listed`, the items of a list, with `is_open`, 1 for customers with an open
/// episode of the kind.
pub(super) fn push_listed(statement: &mut Statement, filter: &WorkFilter) {
    push_rules(statement, filter);
    push_open(statement, filter);
    statement.push(", items AS (SELECT ").push(COLUMNS).push(
        ", f.worklist_order, r.bit, r.kind, r.cost, \
               CAST(f.value_at_risk_minor AS DOUBLE PRECISION) * r.effect - r.cost AS gain, \
               CASE WHEN o.first_time < ",
    );
    push_until(statement, filter, "f.life_cycle");
    statement
        .push(" THEN 1 ELSE 0 END AS is_open, coalesce(o.is_of_day, 0) AS is_of_day")
        .push(CUSTOMERS)
        .push(
            " JOIN rules AS r ON (f.work_kinds & r.bit) > 0 AND coalesce(r.action, f.work_action) = f.work_action \
             LEFT JOIN open_episodes AS o ON o.customer_id = f.customer_id AND o.kind = r.kind \
             WHERE f.pass_id = ",
        )
        .push_bind(filter.pass_id)
        .push(" AND f.work_kinds > 0), ");
    let Some(ranking) = &filter.ranking else {
        statement.push("listed AS (SELECT * FROM items)");
        return;
    };
    statement.push("wanted AS (SELECT * FROM items WHERE ");
    push_wanted(statement, filter);
    let Some(capacity) = ranking.capacity else {
        statement.push("), listed AS (SELECT * FROM wanted)");
        return;
    };
    statement
        .push(
            "), placed AS (SELECT wanted.*, \
             coalesce(sum(CASE WHEN held_out OR is_of_day = 1 THEN 0 ELSE 1 END) OVER (",
        )
        .push(BY_GAIN)
        .push(" ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS before FROM wanted), ")
        .push("listed AS (SELECT * FROM placed WHERE is_of_day = 1 OR before < ")
        .push_bind(capacity)
        .push(" - ");
    push_handed_out(statement, filter.as_of);
    statement.push(")");
}

/// Appends which `items` would be on a ranked list whose day had places for all. With a capacity, what the lists of the day
/// have handed out stays, and has taken its place from the others of the day; what lists of another day have handed out
/// needs no place of this one.
fn push_wanted(statement: &mut Statement, filter: &WorkFilter) {
    if has_capacity(filter) {
        statement.push("is_of_day = 1 OR (is_open = 0 AND ").push(pays(filter)).push(")");
    } else {
        statement.push(pays(filter));
    }
}

fn has_capacity(filter: &WorkFilter) -> bool {
    filter.ranking.as_ref().is_some_and(|ranking| ranking.capacity.is_some())
}

/// Appends `rules`, what each action brings by kind. Without a ranking it has the kinds, for any action.
fn push_rules(statement: &mut Statement, filter: &WorkFilter) {
    statement.push("rules AS (");
    let begin = |statement: &mut Statement, n: usize, kind: WorkKind| {
        statement.push(if n == 0 { "SELECT " } else { " UNION ALL SELECT " });
        statement.push_bind(kind.bit()).push(" AS bit, ").push_bind(kind.name()).push(" AS kind, ");
    };
    match &filter.ranking {
        None => {
            for (n, kind) in filter.kinds.kinds().enumerate() {
                begin(statement, n, kind);
                statement.push("CAST(NULL AS TEXT) AS action, CAST(NULL AS DOUBLE PRECISION) AS effect, ");
                statement.push("CAST(NULL AS DOUBLE PRECISION) AS cost");
            }
        }
        Some(ranking) => {
            let wanted = ranking.rules.iter().filter(|rule| filter.kinds.has(rule.kind));
            for (n, rule) in wanted.enumerate() {
                begin(statement, n, rule.kind);
                statement.push_bind(rule.action.as_str()).push(" AS action, ");
                statement.push_bind(rule.effect.unwrap_or(1.0)).push(" AS effect, ");
                statement.push_bind(rule.cost_minor as f64).push(" AS cost");
            }
        }
    }
    statement.push(")");
}

/// Appends `open_episodes`, one row for each customer and kind with an episode whose window is not over at the moment of
/// the list: the moment of its first such list, and whether one is of a list of the same UTC day.
fn push_open(statement: &mut Statement, filter: &WorkFilter) {
    statement.push(
        ", open_episodes AS (SELECT coalesce(m.survivor_id, e.customer_id) AS customer_id, e.kind, \
             min(e.as_of_time) AS first_time, max(CASE WHEN ",
    );
    push_of_day(statement, filter.as_of);
    statement
        .push(
            " THEN 1 ELSE 0 END) AS is_of_day FROM worklist_episodes AS e LEFT JOIN customers AS m \
             ON m.customer_id = e.customer_id AND m.survivor_id IS NOT NULL WHERE e.until_time > ",
        )
        .push_bind(filter.as_of)
        .push(" GROUP BY 1, e.kind)");
}
