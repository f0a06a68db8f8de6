//! What erasures leave behind in the files of a database: bytes in pages and in the log. Deleting them goes on in the
//! background where it takes long; a setting says that it is to be done, so that no end of a program prevents it.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::{Sqlite, log, scrub::scrub};
use crate::{
    error::Result,
    settings::SettingStore,
    shared::{Engine, Statement, Transaction, detached},
};

/// The setting; each erasure gives it another value.
const DUE: &str = "clean_up_after_erasure";
/// How often it is tried again while readers need the log, or the database fails.
const EVERY: Duration = Duration::from_secs(1);
/// How long an erasure waits for it. Small databases take less.
const WAIT: Duration = Duration::from_secs(1);

/// Notes in the transaction of an erasure that it is due.
pub(super) async fn note(tx: &mut Transaction<Sqlite>) -> Result<()> {
    let value = Uuid::new_v4().into_bytes();
    let note = Statement::new(
        "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
    );
    Sqlite::run(tx, note.bind(DUE).bind(value.as_slice())).await.map(|_: Vec<()>| ())
}

/// Does what is due, and returns when it is done or takes longer.
pub(super) async fn clean_up(store: &Sqlite) {
    let store = store.clone();
    let task = tokio::spawn(async move {
        let _one_at_a_time = store.cleaning_up.lock().await;
        while !store.writer.is_closed() && !matches!(once(&store).await, Ok(true)) {
            sleep(EVERY).await;
        }
    });
    drop(timeout(WAIT, task).await);
}

/// Does what is due. Returns false when readers of an older state need the log.
async fn once(store: &Sqlite) -> Result<bool> {
    let Some(due) = store.stored_setting(DUE).await? else { return Ok(true) };
    scrub(store).await?;
    if !log::empty(&store.file).await {
        return Ok(false);
    }
    // Unless another one is due by now, whose program does it.
    let done = Statement::new("DELETE FROM settings WHERE name = $1 AND value = $2").bind(DUE);
    let (owned, done) = (store.clone(), done.bind(due.as_slice()));
    detached(store, async move {
        let mut tx = owned.begin().await?;
        Sqlite::run::<()>(&mut tx, done).await?;
        Ok(tx.commit().await?)
    })
    .await?;
    Ok(true)
}
