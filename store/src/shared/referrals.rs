//! References to erased customers: a referral has the id of the customer that was referred among its properties, and is
//! an interaction of another one. Without that property it says that somebody was referred, and no longer who.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use sqlx::{FromRow, types::Json};
use tally_model::history::kind;

use super::{
    Backend, SqlValue, Stamp, Statement, Transaction,
    batch::SortedBatch,
    erasures::{KEY, erased_among},
    merges::SurvivorsOf,
};
use crate::{error::Result, interactions::Interaction};

/// Who is referred in a referral.
fn referred(item: &Interaction) -> Option<&str> {
    let properties = (item.kind == kind::REFERRAL).then_some(&item.properties)?;
    properties.get(kind::REFERRED_CUSTOMER_ID).map(String::as_str)
}

/// The batch without references to erased customers. It is the first that a transaction does: until it ends, no customer
/// to whom it refers can be erased.
pub(super) async fn without_references<'a, B: Backend>(
    store: &B,
    tx: &mut Transaction<B>,
    batch: &'a SortedBatch,
) -> Result<Cow<'a, SortedBatch>> {
    let ids: BTreeSet<&str> = batch.items.iter().filter_map(referred).collect();
    if ids.is_empty() {
        return Ok(Cow::Borrowed(batch));
    }
    lock_references::<B>(tx, " FOR SHARE").await?;
    let ids: Vec<&str> = ids.into_iter().collect();
    let erased = erased_among(store, tx, &ids).await?;
    if erased.is_empty() {
        return Ok(Cow::Borrowed(batch));
    }
    let mut batch = batch.clone();
    for item in &mut batch.items {
        if referred(item).is_some_and(|id| erased.contains(id)) {
            item.properties.remove(kind::REFERRED_CUSTOMER_ID);
        }
    }
    Ok(Cow::Owned(batch))
}

/// Keeps apart transactions that store references, which share the lock, from those that erase customers: an erasure would
/// not see a reference that is not committed.
async fn lock_references<B: Backend>(tx: &mut Transaction<B>, how: &'static str) -> Result<()> {
    if B::WRITES_ALONE {
        return Ok(());
    }
    let mut lock = Statement::new("SELECT 1 FROM settings WHERE name = ");
    lock.push_bind(KEY).push(how);
    B::run::<()>(tx, lock).await.map(drop)
}

/// Waits for transactions that store references, and keeps out others. It is the first that an erasure does.
pub(super) async fn keep_out_references<B: Backend>(tx: &mut Transaction<B>) -> Result<()> {
    lock_references::<B>(tx, " FOR UPDATE").await
}

/// A referral; one that is retracted has a time of that.
#[derive(FromRow)]
struct ReferralRow {
    customer_id: String,
    interaction_id: String,
    properties: Json<BTreeMap<String, String>>,
    retract_time: Option<Stamp>,
}

impl ReferralRow {
    /// Writes its other properties.
    fn update(mut self) -> Result<Statement> {
        self.properties.0.remove(kind::REFERRED_CUSTOMER_ID);
        let properties = SqlValue::json(&self.properties.0)?;
        let update = match self.retract_time {
            None => {
                "UPDATE interactions SET properties = $1 WHERE customer_id = $2 AND interaction_id = $3 RETURNING 1"
            }
            Some(_) => {
                "UPDATE retracted_interactions SET properties = $1 WHERE customer_id = $2 AND interaction_id = $3 \
                 AND retract_time = $4 RETURNING 1"
            }
        };
        let update = Statement::new(update)
            .bind(properties)
            .bind(self.customer_id.as_str())
            .bind(self.interaction_id.as_str());
        Ok(match self.retract_time {
            None => update,
            Some(time) => update.bind(time.0),
        })
    }
}

/// Takes references to these customers, whose rows are deleted, out of the referrals of others. Returns the customers
/// whose histories have changed.
pub(super) async fn forget_references<B: Backend>(
    tx: &mut Transaction<B>,
    ids: &[&str],
) -> Result<Vec<String>> {
    let mut rows = Vec::new();
    for select in [
        "SELECT customer_id, interaction_id, properties, CAST(NULL AS TIMESTAMPTZ) AS retract_time \
         FROM interactions WHERE kind = 'referral' \
         AND length(properties ->> 'referred_customer_id') <= 256 AND properties ->> 'referred_customer_id' IN (",
        "SELECT customer_id, interaction_id, properties, retract_time \
         FROM retracted_interactions WHERE kind = 'referral' \
         AND length(properties ->> 'referred_customer_id') <= 256 AND properties ->> 'referred_customer_id' IN (",
    ] {
        let mut select = Statement::new(select);
        select.push_list(ids.iter().map(|id| (*id).into())).push(")");
        rows.extend(B::run::<ReferralRow>(tx, select).await?);
    }
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let referrers: BTreeSet<String> = rows.iter().map(|row| row.customer_id.clone()).collect();
    for referrer in &referrers {
        // Against those who pack the histories meanwhile. Citus locks rows of one customer at a time.
        B::lock_for_backfill(tx, &[referrer.as_str()]).await?;
    }
    let mut changed = BTreeSet::new();
    for row in rows {
        let referrer = row.customer_id.clone();
        // Unless it was erased meanwhile as well.
        if !B::run::<()>(tx, row.update()?).await?.is_empty() {
            changed.insert(referrer);
        }
    }
    let referrers: Vec<&str> = changed.iter().map(String::as_str).collect();
    let survivors = SurvivorsOf::read::<B>(tx, &referrers).await?;
    let touched = survivors.with(&referrers);
    B::forget_packed(tx, &touched).await?;
    Ok(touched.into_iter().map(str::to_owned).collect())
}
