//! Erased customers: what is left of them is a keyed hash of their ids, by which what comes late of them is recognised.

use std::collections::{HashMap, HashSet};

use tally_model::time::Time;
use uuid::Uuid;

use super::{
    Backend, Engine, Statement, Transaction,
    alerts::lock_alerts,
    audit,
    changes::{note_change, note_erasure},
    customer_key::CustomerKey,
    json::{from_json, to_json},
    merges::{merged_ids, survivor},
    referrals::{forget_references, keep_out_references},
    transaction::repeatable,
};
use crate::{
    audit::{Actor, NewAuditEvent},
    error::{Result, StoreError},
    settings::SettingStore,
};

/// The setting with the key.
pub(super) const KEY: &str = "customer_hash_key";
/// Hashes of a statement; SQLite allows 32,766 values.
const HASHES: usize = 10_000;
/// The action of those who lift the mark of an erasure.
const RECREATE: &str = "RecreateCustomer";

/// Reads the key of a database; the first program that opens it makes one.
pub(crate) async fn read_key<B: Backend>(store: &B) -> Result<CustomerKey> {
    if let Some(key) = store.stored_setting(KEY).await? {
        return Ok(CustomerKey(key));
    }
    let fresh = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
    Ok(CustomerKey(store.setting(KEY, &fresh, None).await?))
}

/// Returns those of these ids, of whom none is stored, that were erased.
pub(super) async fn erased_among<E: Engine>(
    store: &E,
    tx: &mut Transaction<E>,
    unknown: &[&str],
) -> Result<HashSet<String>> {
    let mut erased = HashSet::new();
    let any = Statement::new("SELECT 1 FROM erased_customers LIMIT 1");
    if unknown.is_empty() || E::run::<()>(tx, any).await?.is_empty() {
        return Ok(erased);
    }
    for part in unknown.chunks(HASHES) {
        let by_hash: HashMap<Vec<u8>, &str> =
            part.iter().map(|id| (store.customer_key().hash(id), *id)).collect();
        let mut select =
            Statement::new("SELECT customer_hash FROM erased_customers WHERE customer_hash IN (");
        select.push_list(by_hash.keys().map(|hash| hash.as_slice().into())).push(")");
        let found: Vec<(Vec<u8>,)> = E::run(tx, select).await?;
        erased.extend(found.iter().filter_map(|(hash,)| by_hash.get(hash)).map(|id| (*id).to_owned()));
    }
    Ok(erased)
}

/// Erases the customer that an id is, and all ids that are the same one. Returns these ids and the customers that had
/// referred it, None when it is not stored.
pub(super) async fn erase<B: Backend>(
    store: &B,
    customer_id: &str,
    by: &Actor,
    now: Time,
) -> Result<Option<Vec<String>>> {
    let mut tx = store.begin().await?;
    keep_out_references::<B>(&mut tx).await?;
    let Some(id) = survivor::<B>(&mut tx, customer_id).await? else { return Ok(None) };
    B::lock_customer(&mut tx, &id).await?;
    // It may have been merged before it was locked.
    if survivor::<B>(&mut tx, &id).await?.as_ref() != Some(&id) {
        return Err(StoreError::Aborted);
    }
    let merged = merged_ids::<B>(&mut tx, vec![id.clone()]).await?;
    let merged = merged.values().flatten().map(|merged| merged.customer_id.as_str());
    let ids: Vec<&str> = std::iter::once(id.as_str()).chain(merged).collect();
    delete_rows::<B>(&mut tx, &ids).await?;
    insert_hashes(store, &mut tx, &ids, now).await?;
    let referrers = forget_references::<B>(&mut tx, &ids).await?;
    forget_in_changes::<B>(&mut tx, &ids).await?;
    B::note_erasure_in_files(&mut tx).await?;
    let event = |id: &&str| NewAuditEvent::done(now, by, "DeleteCustomer").about_customer(id);
    audit::append(store, &mut tx, ids.iter().map(event).collect()).await?;
    note_change(store, &mut tx, referrers.iter().map(String::as_str).collect()).await?;
    note_erasure(store, &mut tx, ids.len() > 1).await?;
    tx.commit().await?;
    let erased = ids.into_iter().map(str::to_owned);
    Ok(Some(erased.chain(referrers.iter().cloned()).collect()))
}

async fn delete_rows<B: Backend>(tx: &mut Transaction<B>, ids: &[&str]) -> Result<()> {
    lock_alerts::<B>(tx).await?;
    let delete = Statement::new("DELETE FROM customers WHERE customer_id IN (");
    // This table has no foreign key. Writers of predictions keep the customer until they are done.
    let delete_latest = Statement::new("DELETE FROM latest_predictions WHERE customer_id IN (");
    // Nor have these: they are not distributed.
    let delete_alerts = Statement::new("DELETE FROM alerts WHERE customer_id IN (");
    let delete_deliveries = Statement::new("DELETE FROM alert_deliveries WHERE customer_id IN (");
    for mut statement in [delete, delete_latest, delete_alerts, delete_deliveries] {
        statement.push_list(ids.iter().map(|id| (*id).into())).push(")");
        B::run::<()>(tx, statement).await?;
    }
    let erased = Statement::new("UPDATE insight_passes SET revision = revision + 1");
    B::run::<()>(tx, erased).await?;
    Ok(())
}

async fn insert_hashes<E: Engine>(store: &E, tx: &mut Transaction<E>, ids: &[&str], now: Time) -> Result<()> {
    for id in ids {
        let insert = Statement::new(
            "INSERT INTO erased_customers (customer_hash, erase_time) VALUES ($1, $2) \
             ON CONFLICT (customer_hash) DO UPDATE SET erase_time = excluded.erase_time",
        )
        .bind(store.customer_key().hash(id).as_slice())
        .bind(now);
        E::run::<()>(tx, insert).await?;
    }
    Ok(())
}

/// Takes ids out of the log of changes, whose readers learn of them by the erasure.
async fn forget_in_changes<E: Engine>(tx: &mut Transaction<E>, ids: &[&str]) -> Result<()> {
    let mut select = Statement::new("SELECT change_id, customer_ids FROM changes WHERE false");
    for id in ids {
        // Both databases have it, and no character has a meaning in it.
        select.push(" OR replace(customer_ids, ").push_bind(to_json(id)?.as_str());
        select.push(", '') <> customer_ids");
    }
    for (change_id, customer_ids) in E::run::<(i64, String)>(tx, select).await? {
        let mut kept: Vec<String> = from_json(&customer_ids)?;
        kept.retain(|id| !ids.contains(&id.as_str()));
        let update = Statement::new("UPDATE changes SET customer_ids = $1 WHERE change_id = $2")
            .bind(to_json(&kept)?.as_str())
            .bind(change_id);
        E::run::<()>(tx, update).await?;
    }
    Ok(())
}

/// Lifts the marks of these ids, so that they can be stored again; returns how many of them had one.
pub(super) async fn lift<B: Backend>(store: &B, ids: Vec<String>, by: &Actor, now: Time) -> Result<usize> {
    repeatable(store, (store.clone(), ids, by.clone()), move |shared| async move {
        let (store, ids, by) = &*shared;
        let mut tx = store.begin().await?;
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let mut erased: Vec<String> = erased_among(store, &mut tx, &ids).await?.into_iter().collect();
        erased.sort_unstable();
        for id in &erased {
            let delete = Statement::new("DELETE FROM erased_customers WHERE customer_hash = $1")
                .bind(store.customer_key().hash(id).as_slice());
            B::run::<()>(&mut tx, delete).await?;
        }
        let event = |id: &String| NewAuditEvent::done(now, by, RECREATE).about_customer(id);
        audit::append(store, &mut tx, erased.iter().map(event).collect()).await?;
        tx.commit().await?;
        Ok(erased.len())
    })
    .await
}
