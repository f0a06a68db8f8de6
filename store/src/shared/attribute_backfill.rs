//! Attributes that are brought into the past: they count as known from the beginning of the customer. Stored versions
//! change in place, so predictions that were made since are marked.

use std::collections::{BTreeMap, HashMap};

use sqlx::{FromRow, types::Json};
use tally_model::{history::Attributes, time::Time};

use super::{
    Backend, Stamp, Statement, Transaction,
    backfill::{ChangedPast, mark_predictions},
    customers::{LockedRow, VersionWrite},
};
use crate::{
    customers::{NewCustomer, Upserted},
    error::Result,
};

/// A stored version of a customer record.
#[derive(FromRow)]
struct StoredVersionRow {
    customer_id: String,
    version: i64,
    effective_time: Stamp,
    record_time: Stamp,
    create_time: Stamp,
    attributes: Json<Attributes>,
}

/// What is brought into the past of one customer.
struct Backfill<'a> {
    customer_id: &'a str,
    create_time: Time,
    /// From when on it counts as known.
    start: Time,
    attributes: Attributes,
    /// By their numbers.
    versions: Vec<StoredVersionRow>,
}

/// Brings those of the attributes `names` that a customer has never had into all its stored versions, and into a
/// version of its own before them when they do not begin with the customer. New customers are left out, since their
/// first version is known from the beginning anyway. The customers are locked. Returns those that it concerned.
pub(super) async fn backfill<'a, B: Backend>(
    tx: &mut Transaction<B>,
    customers: &'a [NewCustomer],
    locked: &HashMap<&str, &LockedRow>,
    (names, now): (&[String], Time),
) -> Result<(Vec<&'a str>, Upserted)> {
    let mut found: BTreeMap<&str, Backfill<'a>> = BTreeMap::new();
    for customer in customers {
        let mut attributes = customer.attributes.clone();
        attributes.retain(|name, _| names.contains(name));
        let id = customer.customer_id.as_str();
        if let Some(row) = locked.get(id).filter(|row| row.revision > 0 && !attributes.is_empty()) {
            let create_time = customer.create_time.unwrap_or(row.create_time.0);
            let versions = Vec::new();
            let backfill =
                Backfill { customer_id: id, create_time, start: create_time, attributes, versions };
            found.insert(id, backfill);
        }
    }
    read_versions::<B>(tx, &mut found).await?;
    for backfill in found.values_mut() {
        let Backfill { attributes, versions, .. } = backfill;
        attributes.retain(|name, _| versions.iter().all(|version| !version.attributes.contains_key(name)));
    }
    found.retain(|_, backfill| !backfill.attributes.is_empty());
    if found.is_empty() {
        return Ok(Default::default());
    }
    find_starts::<B>(tx, &mut found).await?;
    for backfill in found.values_mut() {
        backfill.apply();
    }
    let writes: Vec<VersionWrite<'_>> = found.values().flat_map(|backfill| backfill.writes(now)).collect();
    B::write_versions(tx, &writes).await?;
    let changes: Vec<ChangedPast<'_>> = found.values().map(Backfill::changed_past).collect();
    let outdated_predictions = mark_predictions::<B>(tx, &changes, now).await?;
    let ids: Vec<&str> = found.into_keys().collect();
    let backfilled = Upserted { erased: 0, backfilled: ids.len(), outdated_predictions };
    Ok((ids, backfilled))
}

impl Backfill<'_> {
    /// Adds the attributes to the versions, and a version before them when the first does not begin at `start`.
    fn apply(&mut self) {
        for version in &mut self.versions {
            version.attributes.0.extend(self.attributes.clone());
        }
        let first = self.versions.first();
        if first.is_none_or(|first| first.effective_time.0 > self.start || first.record_time.0 > self.start) {
            let earliest = StoredVersionRow {
                customer_id: self.customer_id.to_owned(),
                version: first.map_or(1, |first| first.version - 1),
                effective_time: Stamp(self.start),
                record_time: Stamp(self.start),
                create_time: first.map_or(Stamp(self.create_time), |first| first.create_time),
                attributes: Json(self.attributes.clone()),
            };
            self.versions.insert(0, earliest);
        }
    }

    /// The record shows the attributes to whoever asks for `start` or later.
    const fn changed_past(&self) -> ChangedPast<'_> {
        ChangedPast { customer_id: self.customer_id, occur_time: self.start, from: self.start, until: None }
    }

    fn writes(&self, now: Time) -> impl Iterator<Item = VersionWrite<'_>> {
        self.versions.iter().map(move |version| VersionWrite {
            customer_id: &version.customer_id,
            number: version.version,
            effective_time: version.effective_time.0,
            // A customer may begin in the future, but nothing is known before it is said.
            record_time: version.record_time.0.min(now),
            create_time: version.create_time.0,
            attributes: &version.attributes.0,
        })
    }
}

/// Reads all versions of the customers.
async fn read_versions<B: Backend>(
    tx: &mut Transaction<B>,
    found: &mut BTreeMap<&str, Backfill<'_>>,
) -> Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    let mut select = Statement::new(
        "SELECT customer_id, version, effective_time, record_time, create_time, attributes \
         FROM customer_versions WHERE customer_id IN (",
    );
    select.push_list(found.keys().map(|id| (*id).into())).push(") ORDER BY customer_id, version");
    for row in B::run::<StoredVersionRow>(tx, select).await? {
        if let Some(backfill) = found.get_mut(row.customer_id.as_str()) {
            backfill.versions.push(row);
        }
    }
    Ok(())
}

/// Moves the starts back to the first interactions where those are earlier.
async fn find_starts<B: Backend>(
    tx: &mut Transaction<B>,
    found: &mut BTreeMap<&str, Backfill<'_>>,
) -> Result<()> {
    let mut select =
        Statement::new("SELECT customer_id, min(occur_time) FROM interactions WHERE customer_id IN (");
    select.push_list(found.keys().map(|id| (*id).into())).push(") GROUP BY customer_id");
    for (id, first) in B::run::<(String, Stamp)>(tx, select).await? {
        if let Some(backfill) = found.get_mut(id.as_str()) {
            backfill.start = backfill.start.min(first.0);
        }
    }
    Ok(())
}
