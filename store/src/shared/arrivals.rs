//! Customers of a batch of interactions: those that are unknown are created, unless they were erased.

use std::collections::{HashMap, HashSet};

use sqlx::FromRow;
use tally_model::time::Time;

use super::{Backend, Stamp, Transaction, erasures::erased_among};
use crate::error::{Result, StoreError};

/// A stored customer, as far as an interaction may change it.
#[derive(FromRow)]
pub(crate) struct KnownRow {
    customer_id: String,
    create_time: Stamp,
    stated: bool,
}

/// Creates the customers that do not exist, each with the time of its earliest interaction, and lowers `create_time` of
/// those that only interactions have created. Returns those that were erased, which stay so.
///
/// Most batches change none of their customers, so that writers of the same customers run side by side. When one of
/// them is erased meanwhile, the foreign key of its interactions fails, and the batch is repeated.
pub(super) async fn admit<B: Backend>(
    store: &B,
    tx: &mut Transaction<B>,
    first_seen: &[(&str, Time)],
) -> Result<HashSet<String>> {
    let ids: Vec<&str> = first_seen.iter().map(|(customer_id, _)| *customer_id).collect();
    let known = B::known_customers(tx, &ids).await?;
    let known = known.iter().map(|row| (row.customer_id.as_str(), (row.create_time.0, row.stated))).collect();
    let mut changed = changed(first_seen, &known);
    if changed.is_empty() {
        return Ok(HashSet::new());
    }
    let is_new = |(id, _): &&(&str, Time)| !known.contains_key(id);
    let new: Vec<&str> = changed.iter().filter(is_new).map(|(id, _)| *id).collect();
    let erased = erased_among(store, tx, &new).await?;
    changed.retain(|(id, _)| !erased.contains(*id));
    if changed.is_empty() {
        return Ok(erased);
    }
    B::create_customers(tx, &changed).await?;
    // One may have been created and erased by others since it was looked for.
    if !B::WRITES_ALONE && erased_among(store, tx, &new).await?.len() > erased.len() {
        return Err(StoreError::Aborted);
    }
    Ok(erased)
}

/// Those customers of a batch that are unknown, or that only interactions have created, all of them later.
fn changed<'a>(first_seen: &[(&'a str, Time)], known: &HashMap<&str, (Time, bool)>) -> Vec<(&'a str, Time)> {
    let is_changed = |(id, time): &&(&str, Time)| {
        known.get(id).is_none_or(|(create_time, stated)| !stated && create_time > time)
    };
    first_seen.iter().filter(is_changed).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customers_that_stay_as_they_are_are_left_out() {
        let known = [("later", 9, false), ("earlier", 1, false), ("stated", 9, true)]
            .map(|(id, time, stated)| (id, (Time(time), stated)));
        let seen = ["earlier", "later", "new", "stated"].map(|id| (id, Time(5)));
        assert_eq!(changed(&seen, &known.into()), [("later", Time(5)), ("new", Time(5))]);
    }
}
