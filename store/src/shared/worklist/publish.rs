//! Publishing a list: an episode for each item, in one transaction.

use tally_model::time::Time;

use super::items::{push_handed_out, push_listed, push_until};
use crate::{
    audit::{Actor, NewAuditEvent},
    error::{Result, StoreError},
    shared::{Backend, Statement, audit, transaction::repeatable},
    worklist::{Published, WorkFilter},
};

pub(super) async fn publish<B: Backend>(
    store: &B,
    filter: &WorkFilter,
    now: Time,
    by: &Actor,
) -> Result<Published> {
    repeatable(store, (store.clone(), filter.clone(), by.clone()), move |shared| async move {
        let (store, filter, by) = &*shared;
        let mut tx = store.begin().await?;
        // Only one at a time, and each sees the episodes of those before it: the row stays locked until the end.
        let lock = Statement::new(
            "INSERT INTO settings (name, value) VALUES ('worklist_publication', $1) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(now.to_string().as_bytes());
        B::run::<()>(&mut tx, lock).await?;
        let mut count = Statement::new("WITH ").planned_anew();
        push_listed(&mut count, filter);
        count.push(" SELECT count(*) FROM listed");
        let listed = B::run::<(i64,)>(&mut tx, count).await?.pop().map_or(0, |(listed,)| listed);
        let inserted: Vec<(bool,)> = B::run(&mut tx, insert(filter, now)).await?;
        // The facts of a pass are removed after its state says so.
        let whole = Statement::new(
            "SELECT 1 FROM insight_passes WHERE pass_id = $1 AND state IN ('complete', 'replaced')",
        )
        .bind(filter.pass_id);
        if B::run::<()>(&mut tx, whole).await?.is_empty() {
            return Err(StoreError::Aborted);
        }
        let handed_out = match filter.ranking.as_ref().and_then(|ranking| ranking.capacity) {
            None => None,
            Some(_) => {
                let mut count = Statement::new("SELECT ");
                push_handed_out(&mut count, filter.as_of);
                B::run::<(i64,)>(&mut tx, count).await?.pop().map(|(count,)| count)
            }
        };
        let event = NewAuditEvent::done(now, by, "PublishWorklist").about(filter.as_of.to_string());
        let event = NewAuditEvent { count: inserted.len() as i64, ..event };
        audit::append(store, &mut tx, vec![event]).await?;
        tx.commit().await?;
        let published = inserted.len() as i64;
        let held_out = inserted.iter().filter(|(held_out,)| *held_out).count() as i64;
        Ok(Published { published, held_out, still_open: listed - published, handed_out })
    })
    .await
}

fn insert(filter: &WorkFilter, now: Time) -> Statement {
    let mut insert = Statement::new("WITH ").planned_anew();
    push_listed(&mut insert, filter);
    insert
        .push(
            " INSERT INTO worklist_episodes \
             (customer_id, kind, as_of_time, until_time, publish_time, action, held_out) \
             SELECT customer_id, kind, ",
        )
        .push_bind(filter.as_of)
        .push(", ");
    push_until(&mut insert, filter, "life_cycle");
    insert.push(", ").push_bind(now).push(
        ", work_action, held_out FROM listed WHERE is_open = 0 ON CONFLICT DO NOTHING RETURNING held_out",
    );
    insert
}
