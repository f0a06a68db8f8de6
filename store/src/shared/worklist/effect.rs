//! The episodes whose window is over, and how many of their customers bought in it.

use sqlx::FromRow;
use tally_model::time::Time;

use super::{BOUGHT, CHOSEN, PURCHASES, kind};
use crate::{
    error::Result,
    shared::{Backend, Statement},
    worklist::{EffectFilter, EpisodeCount},
};

#[derive(FromRow)]
struct CountRow {
    kind: String,
    action: String,
    held_out: bool,
    judged: i64,
    acted: i64,
    successes: i64,
    open: i64,
}

pub(super) async fn counts<B: Backend>(store: &B, filter: EffectFilter) -> Result<Vec<EpisodeCount>> {
    let rows: Vec<CountRow> = store.read(select(filter)).await?;
    let count = |row: CountRow| {
        Ok(EpisodeCount {
            kind: kind(&row.kind)?,
            action: row.action,
            held_out: row.held_out,
            judged: row.judged,
            acted: row.acted,
            successes: row.successes,
            open: row.open,
        })
    };
    rows.into_iter().map(count).collect()
}

pub(super) async fn count_ended<B: Backend>(store: &B, filter: EffectFilter, after: Time) -> Result<u64> {
    let mut select =
        Statement::new("SELECT count(*) FROM worklist_episodes AS e WHERE e.kind IN (").planned_anew();
    push_filter(&mut select, filter);
    select.push(" AND e.until_time < ").push_bind(filter.now).push(" AND e.until_time > ").push_bind(after);
    store.count(select).await
}

/// Appends the kinds of a filter, which are in parentheses, and its other conditions.
fn push_filter(statement: &mut Statement, filter: EffectFilter) {
    statement.push_list(filter.kinds.kinds().map(|kind| kind.name().into()));
    statement.push(") AND e.as_of_time < ").push_bind(filter.to);
    if let Some(from) = filter.from {
        statement.push(" AND e.as_of_time >= ").push_bind(from);
    }
}

/// An episode of an id that was merged is of its survivor, and so are all purchases of both.
fn select(filter: EffectFilter) -> Statement {
    let mut statement = Statement::new(CHOSEN).planned_anew();
    push_filter(&mut statement, filter);
    // SQLite finds the index of purchases and returns by that.
    statement.push(PURCHASES).push_bind(filter.now).push(" AND i.kind IN ('purchase', 'return')");
    statement.push(BOUGHT).push("SELECT e.kind, e.action, e.held_out, ");
    let judged = |statement: &mut Statement, what: &'static str, name: &'static str| {
        statement.push("count(").push(what).push(") FILTER (WHERE e.until_time < ").push_bind(filter.now);
        statement.push(") AS ").push(name).push(", ");
    };
    judged(&mut statement, "*", "judged");
    judged(&mut statement, "CASE WHEN e.outcome = 'DONE' THEN 1 END", "acted");
    judged(&mut statement, "b.kind", "successes");
    statement.push("count(*) FILTER (WHERE e.until_time >= ").push_bind(filter.now);
    statement.push(
        ") AS open FROM chosen AS e LEFT JOIN bought AS b ON b.customer_id = e.customer_id \
         AND b.kind = e.kind AND b.as_of_time = e.as_of_time GROUP BY e.kind, e.action, e.held_out",
    );
    statement
}
