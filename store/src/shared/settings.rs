//! Settings.

use async_trait::async_trait;

use super::{Backend, Statement, audit, transaction::detached};
use crate::{
    audit::NewAuditEvent,
    error::{Result, StoreError},
    settings::SettingStore,
};

#[async_trait]
impl<B: Backend> SettingStore for B {
    async fn setting(&self, name: &str, initial: &[u8], event: Option<NewAuditEvent>) -> Result<Vec<u8>> {
        let insert = Statement::new(
            "INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING RETURNING 1",
        )
        .bind(name)
        .bind(initial);
        let select = Statement::new("SELECT value FROM settings WHERE name = $1").bind(name);
        let store = self.clone();
        detached(self, async move {
            let mut tx = store.begin().await?;
            let is_first = !B::run::<()>(&mut tx, insert).await?.is_empty();
            let value = B::run::<(Vec<u8>,)>(&mut tx, select).await?.pop();
            audit::append(&store, &mut tx, event.filter(|_| is_first).into_iter().collect()).await?;
            tx.commit().await?;
            value
                .map(|(value,)| value)
                .ok_or_else(|| StoreError::Internal("a setting disappeared".to_owned()))
        })
        .await
    }

    async fn stored_setting(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let select = Statement::new("SELECT value FROM settings WHERE name = $1").bind(name);
        Ok(self.read_one::<(Vec<u8>,)>(select).await?.map(|(value,)| value))
    }

    async fn replace_setting(&self, name: &str, value: &[u8], event: NewAuditEvent) -> Result<()> {
        let replace = Statement::new(
            "INSERT INTO settings (name, value) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(name)
        .bind(value);
        let store = self.clone();
        detached(self, async move {
            let mut tx = store.begin().await?;
            B::run::<()>(&mut tx, replace).await?;
            audit::append(&store, &mut tx, vec![event]).await?;
            Ok(tx.commit().await?)
        })
        .await
    }
}
