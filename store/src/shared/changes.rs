//! The log of changes.

use async_trait::async_trait;
use sqlx::FromRow;

use super::{
    Backend, Engine, Statement, Transaction,
    json::{from_json, to_json},
    transaction::detached,
};
use crate::{
    changes::{Change, ChangeStore},
    error::{Result, StoreError},
};

/// Changes that are read at a time.
const CHANGES: usize = 1_000;

/// Notes whose data a transaction has written. It is the last statement before the commit, so that the change
/// becomes visible soon after its number is assigned. Equal ids in a row are noted once. Of each customer the transaction
/// has written a row, which keeps out its erasure: otherwise the note could outlive the customer.
pub(super) async fn note_change<E: Engine>(
    store: &E,
    tx: &mut Transaction<E>,
    mut ids: Vec<&str>,
) -> Result<()> {
    ids.dedup();
    insert_change(store, tx, &ids, false).await
}

/// Notes as [`note_change`] does that customers were merged.
pub(super) async fn note_merge<E: Engine>(store: &E, tx: &mut Transaction<E>, ids: &[&str]) -> Result<()> {
    insert_change(store, tx, ids, true).await
}

/// Notes as [`note_change`] does that customers were erased, without their ids; `merges` when merged ones are among them.
pub(super) async fn note_erasure<E: Engine>(store: &E, tx: &mut Transaction<E>, merges: bool) -> Result<()> {
    let insert = Statement::new(
        "INSERT INTO changes (writer, customer_ids, merges, erasure) VALUES ($1, '[]', $2, true)",
    )
    .bind(store.writer())
    .bind(merges);
    E::run::<()>(tx, insert).await?;
    Ok(())
}

async fn insert_change<E: Engine>(
    store: &E,
    tx: &mut Transaction<E>,
    ids: &[&str],
    merges: bool,
) -> Result<()> {
    if !ids.is_empty() {
        let insert = Statement::new("INSERT INTO changes (writer, customer_ids, merges) VALUES ($1, $2, $3)")
            .bind(store.writer())
            .bind(to_json(&ids)?.as_str())
            .bind(merges);
        E::run::<()>(tx, insert).await?;
    }
    Ok(())
}

/// A change, with its ids as a JSON array.
#[derive(FromRow)]
struct ChangeRow {
    change_id: i64,
    customer_ids: String,
    merges: bool,
    erasure: bool,
}

impl TryFrom<ChangeRow> for Change {
    type Error = StoreError;

    fn try_from(row: ChangeRow) -> Result<Self> {
        let customer_ids = from_json(&row.customer_ids)?;
        Ok(Self { change_id: row.change_id, customer_ids, merges: row.merges, erasure: row.erasure })
    }
}

#[async_trait]
impl<B: Backend> ChangeStore for B {
    async fn last_change(&self) -> Result<i64> {
        let last = self.read_one(Statement::new("SELECT coalesce(max(change_id), 0) FROM changes")).await?;
        Ok(last.map_or(0, |(change_id,)| change_id))
    }

    async fn changes(&self, after: i64, also: &[i64]) -> Result<Vec<Change>> {
        let mut statement = Statement::new(
            "SELECT change_id, CASE WHEN writer = $1 THEN '[]' ELSE customer_ids END AS customer_ids, \
             merges AND writer <> $2 AS merges, erasure AND writer <> $3 AS erasure \
             FROM changes WHERE change_id > $4",
        )
        .bind(self.writer())
        .bind(self.writer())
        .bind(self.writer())
        .bind(after);
        if !also.is_empty() {
            let numbers = also.iter().take(CHANGES).map(|number| (*number).into());
            statement.push(" OR change_id IN (").push_list(numbers).push(")");
        }
        statement.push(" ORDER BY change_id LIMIT ").push_bind(CHANGES as i64);
        self.read::<ChangeRow>(statement).await?.into_iter().map(Change::try_from).collect()
    }

    async fn prune_changes(&self, up_to: i64) -> Result<()> {
        let delete = Statement::new("DELETE FROM changes WHERE change_id <= $1").bind(up_to);
        let store = self.clone();
        detached(self, async move {
            let mut tx = store.begin().await?;
            B::run::<()>(&mut tx, delete).await?;
            Ok(tx.commit().await?)
        })
        .await
    }
}
