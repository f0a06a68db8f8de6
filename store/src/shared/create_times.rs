//! When customers begin of whom nobody has stated it: with their earliest interaction.

use std::collections::HashMap;

use tally_model::time::Time;

use super::{Backend, Stamp, Statement, Transaction, merges::merged_ids};
use crate::error::Result;

/// Customers whose time is set in one statement; SQLite allows 32,766 values.
const ROWS: usize = 4_000;

/// Sets the `create_time` of customers without a stated one to that of the earliest interaction that counts, of theirs and
/// of those merged into them. It stays if there is none. New rows alone lower it as they are stored; this is for rows
/// that were not stored or no longer count, and for those of merged ids.
pub(super) async fn settle_create_times<B: Backend>(
    tx: &mut Transaction<B>,
    customer_ids: &[&str],
) -> Result<()> {
    let families = merged_ids::<B>(tx, customer_ids.iter().map(|id| (*id).to_owned()).collect()).await?;
    let members = families.values().flatten().map(|merged| merged.customer_id.as_str());
    let all: Vec<&str> = customer_ids.iter().copied().chain(members).collect();
    let mut select =
        Statement::new("SELECT customer_id, min(occur_time) FROM interactions WHERE customer_id IN (");
    select.push_list(all.iter().map(|id| (*id).into())).push(") GROUP BY customer_id");
    let first: HashMap<String, Stamp> = B::run::<(String, Stamp)>(tx, select).await?.into_iter().collect();
    let of = |id: &str| first.get(id).map(|stamp| stamp.0);
    let with_family = |id: &&str| -> Option<(String, Time)> {
        let merged = families.get(*id).into_iter().flatten().filter_map(|merged| of(&merged.customer_id));
        merged.chain(of(id)).min().map(|time| ((*id).to_owned(), time))
    };
    let times: Vec<(String, Time)> = customer_ids.iter().filter_map(with_family).collect();
    for part in times.chunks(ROWS) {
        let mut update = Statement::new("UPDATE customers SET create_time = first.column2 FROM (");
        update.push_rows(part.iter().map(|(id, time)| [id.as_str().into(), (*time).into()])).push(
            ") AS first WHERE customer_id = first.column1 AND NOT stated AND create_time <> first.column2",
        );
        B::run::<()>(tx, update).await?;
    }
    Ok(())
}
