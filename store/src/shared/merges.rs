//! Merges. An id points to the one that it was merged into, which may have been merged itself later; following these
//! pointers to their end gives the survivor. No id is merged twice, and only into another survivor, so that there are
//! no cycles. Each merged id also has its survivor in `survivor_id`, for statements that cannot follow pointers.

use std::collections::HashMap;

use async_trait::async_trait;
use sqlx::{Database, FromRow, types::Json};
use tally_model::{
    history::{Attributes, History},
    time::Time,
};

use super::{
    Backend, Engine, Stamp, Statement, Transaction, alerts::merge_alerts, audit, changes::note_merge,
    customers::VersionWrite, histories::HistorySql, transaction::repeatable,
};
use crate::{
    audit::{Actor, NewAuditEvent},
    error::{Result, StoreError},
    merges::{MergeResult, MergeStore},
};

/// What differs between the databases.
pub(crate) trait MergeSql: Engine {
    /// Locks a customer against every other write about it; waits for those in progress.
    fn lock_customer(
        tx: &mut Transaction<Self>,
        customer_id: &str,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// A connection of an engine, inside of a transaction or not.
pub(crate) type Connection<E> = <<E as Engine>::Db as Database>::Connection;

/// A merged id, and from when on what is stored under it counts as that of the survivor asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MergedId {
    pub(crate) customer_id: String,
    pub(crate) known_from: Time,
}

#[derive(FromRow)]
struct PointerRow {
    customer_id: String,
    merged_into: String,
    merge_time: Stamp,
}

/// The ids that are merged into each of these, also by way of others, in the order of the times from which they
/// count, then of their ids. Ids into which none is merged are left out.
pub(crate) async fn merged_ids<E: Engine>(
    connection: &mut Connection<E>,
    survivors: Vec<String>,
) -> Result<HashMap<String, Vec<MergedId>>> {
    let mut pointers: HashMap<String, Vec<MergedId>> = HashMap::new();
    let mut asked = survivors.clone();
    while !asked.is_empty() {
        let mut select = Statement::new(
            "SELECT customer_id, merged_into, merge_time FROM customers WHERE merged_into IN (",
        );
        select.push_list(asked.iter().map(|id| id.as_str().into())).push(")");
        let rows: Vec<PointerRow> = E::run(connection, select).await?;
        asked.clear();
        for PointerRow { customer_id, merged_into, merge_time } in rows {
            asked.push(customer_id.clone());
            let merged = MergedId { customer_id, known_from: merge_time.0 };
            pointers.entry(merged_into).or_default().push(merged);
        }
        // What is merged into two ids of one request by way of each other is read once.
        asked.retain(|id| !pointers.contains_key(id) && !survivors.contains(id));
    }
    let all = survivors.into_iter().map(|id| (collect(&id, &pointers), id));
    Ok(all.filter(|(merged, _)| !merged.is_empty()).map(|(merged, id)| (id, merged)).collect())
}

/// Follows the pointers to `survivor` backwards.
fn collect(survivor: &str, pointers: &HashMap<String, Vec<MergedId>>) -> Vec<MergedId> {
    let mut all: Vec<MergedId> = pointers.get(survivor).cloned().unwrap_or_default();
    let mut n = 0;
    while let Some(MergedId { customer_id, known_from }) = all.get(n).cloned() {
        for earlier in pointers.get(&customer_id).into_iter().flatten() {
            all.push(MergedId { known_from: earlier.known_from.max(known_from), ..earlier.clone() });
        }
        n += 1;
    }
    all.sort_by(|a, b| (a.known_from, &a.customer_id).cmp(&(b.known_from, &b.customer_id)));
    all
}

/// The histories of those customers that exist, from their rows, each with those of the ids merged into it.
pub(crate) async fn united_histories<B: HistorySql>(
    connection: &mut Connection<B>,
    customer_ids: &[String],
) -> Result<HashMap<String, History>> {
    let mut stored = B::read_histories(connection, customer_ids).await?;
    let survivors: Vec<String> =
        stored.iter().filter(|(_, stored)| stored.has_merged).map(|(id, _)| id.clone()).collect();
    if survivors.is_empty() {
        return Ok(stored.into_iter().map(|(id, stored)| (id, stored.history)).collect());
    }
    let families = merged_ids::<B>(connection, survivors).await?;
    let mut missing: Vec<String> =
        families.values().flatten().map(|merged| merged.customer_id.clone()).collect();
    missing.sort_unstable();
    missing.dedup();
    missing.retain(|id| !stored.contains_key(id));
    stored.extend(B::read_histories(connection, &missing).await?);
    let united = |id: &String| {
        let own = stored.get(id)?.history.clone();
        let Some(merged) = families.get(id) else { return Some((id.clone(), own)) };
        // One that was erased meanwhile has no history.
        let other =
            |merged: &MergedId| Some((stored.get(&merged.customer_id)?.history.clone(), merged.known_from));
        let others: Vec<_> = merged.iter().filter_map(other).collect();
        Some((id.clone(), own.unite(&others)))
    };
    Ok(customer_ids.iter().filter_map(united).collect())
}

/// What the ids of a write are merged into, directly or by way of others: the customers whose histories have rows of
/// these ids.
#[derive(Default)]
pub(super) struct SurvivorsOf(HashMap<String, MergedInto>);

/// The id that another one is merged into, since when.
struct MergedInto {
    customer_id: String,
    merge_time: Time,
}

impl SurvivorsOf {
    pub(super) async fn read<E: Engine>(tx: &mut Transaction<E>, customer_ids: &[&str]) -> Result<Self> {
        let mut pointers = HashMap::new();
        // Nearly always there is none at all, which the index on them finds out.
        let any = Statement::new("SELECT 1 FROM customers WHERE merged_into IS NOT NULL LIMIT 1");
        if customer_ids.len() > 1 && E::run::<()>(tx, any).await?.is_empty() {
            return Ok(Self::default());
        }
        let mut asked: Vec<String> = customer_ids.iter().map(|id| (*id).to_owned()).collect();
        while !asked.is_empty() {
            let mut select = Statement::new(
                "SELECT customer_id, merged_into, merge_time FROM customers \
                 WHERE merged_into IS NOT NULL AND customer_id IN (",
            );
            select.push_list(asked.iter().map(|id| id.as_str().into())).push(")");
            let rows: Vec<PointerRow> = E::run(tx, select).await?;
            asked.clear();
            for PointerRow { customer_id, merged_into, merge_time } in rows {
                asked.push(merged_into.clone());
                let into = MergedInto { customer_id: merged_into, merge_time: merge_time.0 };
                pointers.insert(customer_id, into);
            }
        }
        Ok(Self(pointers))
    }

    /// Whether none is merged.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These ids and all that they are merged into, each once.
    pub(super) fn with<'a>(&'a self, customer_ids: &[&'a str]) -> Vec<&'a str> {
        let mut all = customer_ids.to_vec();
        all.extend(self.0.values().map(|into| into.customer_id.as_str()));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// These ids and what each of them is merged into, each once.
    pub(super) fn with_those_of<'a>(&'a self, customer_ids: &[&'a str]) -> Vec<&'a str> {
        let survivors = customer_ids.iter().flat_map(|id| self.of(id)).map(|(survivor, _)| survivor);
        let mut all: Vec<&str> = customer_ids.iter().copied().chain(survivors).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The survivors of an id, each with the time from which the rows of the id count as its own.
    pub(super) fn of<'a>(&'a self, customer_id: &str) -> impl Iterator<Item = (&'a str, Time)> {
        let start = self.0.get(customer_id).map(|into| (into, into.merge_time));
        std::iter::successors(start, |(into, known_from)| {
            let next = self.0.get(&into.customer_id)?;
            Some((next, next.merge_time.max(*known_from)))
        })
        .map(|(into, known_from)| (into.customer_id.as_str(), known_from))
    }
}

/// The customer that an id is; None for an unknown id.
pub(crate) async fn survivor<E: Engine>(
    connection: &mut Connection<E>,
    customer_id: &str,
) -> Result<Option<String>> {
    let mut id = customer_id.to_owned();
    loop {
        let select =
            Statement::new("SELECT merged_into FROM customers WHERE customer_id = $1").bind(id.as_str());
        match E::run::<(Option<String>,)>(connection, select).await?.pop() {
            None => return Ok(None),
            Some((None,)) => return Ok(Some(id)),
            Some((Some(merged_into),)) => id = merged_into,
        }
    }
}

/// A customer that takes part in a merge.
#[derive(FromRow)]
struct PartRow {
    name: String,
    create_time: Stamp,
    stated: bool,
    merged_into: Option<String>,
    /// The latest version, if there is one.
    version: Option<i64>,
    version_create_time: Option<Stamp>,
    attributes: Option<Json<Attributes>>,
}

/// Reads a customer that the transaction has locked.
///
/// # Errors
/// [`StoreError::Aborted`] when it was erased or merged before it was locked.
async fn part<B: Backend>(tx: &mut Transaction<B>, customer_id: &str) -> Result<PartRow> {
    let select = Statement::new(
        "SELECT c.name, c.create_time, c.stated, c.merged_into, v.version, v.create_time AS version_create_time, \
         v.attributes FROM customers AS c LEFT JOIN customer_versions AS v ON v.customer_id = c.customer_id \
         WHERE c.customer_id = $1 ORDER BY v.version DESC LIMIT 1",
    )
    .bind(customer_id);
    let row: Option<PartRow> = B::run(tx, select).await?.pop();
    row.filter(|row| row.merged_into.is_none()).ok_or(StoreError::Aborted)
}

/// The new version of the survivor, if the other one adds anything: its number, `create_time` and attributes.
fn united_version(into: &PartRow, from: PartRow, create_time: Time) -> Option<(i64, Attributes)> {
    if into.version.is_none() && from.version.is_none() {
        return None;
    }
    let own = into.attributes.as_ref().map(|json| json.0.clone()).unwrap_or_default();
    let mut attributes = from.attributes.map(|json| json.0).unwrap_or_default();
    attributes.extend(own.clone());
    let same_time = into.version_create_time.is_some_and(|own| own.0 == create_time);
    (!same_time || attributes != own).then(|| (into.version.unwrap_or(0) + 1, attributes))
}

/// Writes a merge of two survivors that are locked.
async fn write_merge<B: Backend>(tx: &mut Transaction<B>, from: &str, into: &str, now: Time) -> Result<()> {
    let (old, kept) = (part::<B>(tx, from).await?, part::<B>(tx, into).await?);
    // One that was stated counts rather than one that follows from interactions, which may be retracted yet.
    let create_time = match (kept.stated, old.stated) {
        (true, false) => kept.create_time.0,
        (false, true) => old.create_time.0,
        _ => kept.create_time.0.min(old.create_time.0),
    };
    let name = if kept.name.is_empty() { old.name.as_str() } else { kept.name.as_str() };
    let keep = Statement::new(
        "UPDATE customers SET name = $1, create_time = $2, stated = $3, has_merged = true WHERE customer_id = $4",
    )
    .bind(name)
    .bind(create_time)
    .bind(kept.stated || old.stated)
    .bind(into);
    let point =
        Statement::new("UPDATE customers SET merged_into = $1, merge_time = $2 WHERE customer_id = $3")
            .bind(into)
            .bind(now)
            .bind(from);
    let survive =
        Statement::new("UPDATE customers SET survivor_id = $1 WHERE customer_id = $2 OR survivor_id = $3")
            .bind(into)
            .bind(from)
            .bind(from);
    let forget = Statement::new("DELETE FROM latest_predictions WHERE customer_id = $1").bind(from);
    // What was computed of the customers of a pass may count the two apart.
    let merged = Statement::new("UPDATE insight_passes SET revision = revision + 1");
    for statement in [keep, point, survive, forget, merged] {
        B::run::<()>(tx, statement).await?;
    }
    merge_alerts::<B>(tx, from, into).await?;
    if let Some((number, attributes)) = united_version(&kept, old, create_time) {
        let (customer_id, effective_time, record_time, attributes) = (into, now, now, &attributes);
        let version =
            VersionWrite { customer_id, number, effective_time, record_time, create_time, attributes };
        B::write_versions(tx, &[version]).await?;
    }
    Ok(())
}

/// What a merge finds before it writes: the survivor that `from` is to be merged into, or why it is not.
async fn check_merge<B: Backend>(
    tx: &mut Transaction<B>,
    from: &str,
    into: &str,
) -> Result<Result<String, MergeResult>> {
    let unknown = |id: &str| Ok(Err(MergeResult::Unknown { customer_id: id.to_owned() }));
    let Some(of_from) = survivor::<B>(tx, from).await? else { return unknown(from) };
    let Some(of_into) = survivor::<B>(tx, into).await? else { return unknown(into) };
    Ok(match (of_from == from, of_from == of_into) {
        (true, false) => Ok(of_into),
        (true, true) => Err(MergeResult::Contradiction { merged: into.to_owned(), survivor: of_from }),
        (false, true) => Err(MergeResult::Unchanged { survivor: of_from }),
        (false, false) => Err(MergeResult::Contradiction { merged: from.to_owned(), survivor: of_from }),
    })
}

async fn merge<B: Backend>(
    store: &B,
    (from, into): (&str, &str),
    (now, by): (Time, &Actor),
) -> Result<MergeResult> {
    let mut tx = store.begin().await?;
    let survivor = match check_merge::<B>(&mut tx, from, into).await? {
        Ok(survivor) => survivor,
        Err(result) => return Ok(result),
    };
    let mut locked = [from, survivor.as_str()];
    // In the order of their ids, so that two merges cannot deadlock.
    locked.sort_unstable();
    for id in locked {
        B::lock_customer(&mut tx, id).await?;
    }
    write_merge::<B>(&mut tx, from, &survivor, now).await?;
    B::forget_packed(&mut tx, &[&survivor]).await?;
    let event = |id: &&str| NewAuditEvent::done(now, by, "MergeCustomers").about_customer(id);
    audit::append(store, &mut tx, [from, survivor.as_str()].iter().map(event).collect()).await?;
    note_merge(store, &mut tx, &locked).await?;
    tx.commit().await?;
    Ok(MergeResult::Merged { survivor })
}

#[async_trait]
impl<B: Backend> MergeStore for B {
    async fn merge_customers(&self, from: &str, into: &str, now: Time, by: &Actor) -> Result<MergeResult> {
        let context = (self.clone(), from.to_owned(), into.to_owned(), by.clone());
        repeatable(self, context, move |shared| async move {
            let (store, from, into, by) = &*shared;
            merge(store, (from.as_str(), into.as_str()), (now, by)).await
        })
        .await
    }

    async fn merges(&self) -> Result<Vec<(String, String)>> {
        let select =
            Statement::new("SELECT customer_id, merged_into FROM customers WHERE merged_into IS NOT NULL");
        let pointers: HashMap<String, String> = self.read(select).await?.into_iter().collect();
        Ok(pointers.keys().map(|id| (id.clone(), end_of(&pointers, id).clone())).collect())
    }
}

/// Follows the pointers from an id to their end.
fn end_of<'a>(pointers: &'a HashMap<String, String>, mut id: &'a String) -> &'a String {
    while let Some(merged_into) = pointers.get(id) {
        id = merged_into;
    }
    id
}
