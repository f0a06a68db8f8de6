//! What both databases have in common: the SQL that both understand, the rows as both return them, and the
//! implementation of every public trait for any [`Backend`]. It may not know which database it talks to: what
//! differs is a method of one of the traits that [`Backend`] unites.

mod affinities;
mod alerts;
pub(crate) mod arrivals;
mod attribute_backfill;
mod audit;
mod backfill;
mod batch;
mod changes;
mod compute;
mod create_times;
pub(crate) mod customer_key;
pub(crate) mod customers;
mod engine;
pub(crate) mod erasures;
mod exports;
pub(crate) mod histories;
mod insight_rows;
pub(crate) mod insights;
pub(crate) mod interactions;
mod jobs;
pub(crate) mod json;
pub(crate) mod merges;
mod models;
pub(crate) mod names;
mod populations;
mod prediction_filter;
pub(crate) mod prediction_rows;
pub(crate) mod predictions;
mod recording;
mod referrals;
pub(crate) mod reports;
mod retention;
mod retractions;
mod settings;
mod statement;
mod transaction;
mod worklist;

use std::sync::Arc;

use async_trait::async_trait;

use crate::{BackupStore, IntegrityStore, Store, error::Result};
use customers::CustomerSql;
use histories::HistorySql;
use insights::InsightSql;
use interactions::InteractionSql;
use merges::MergeSql;
use predictions::PredictionSql;
use reports::ReportSql;

pub(crate) use compute::compute;
pub(crate) use engine::{Engine, Reader, StoredRow, Transaction};
pub(crate) use statement::{SqlValue, Stamp, Stamps, Statement, arguments};
pub(crate) use transaction::detached;

/// A database that can hold everything: it runs statements, and has SQL of its own where the two differ.
pub(crate) trait Backend:
    Engine
    + CustomerSql
    + InteractionSql
    + HistorySql
    + MergeSql
    + PredictionSql
    + InsightSql
    + ReportSql
    + IntegrityStore
    + BackupStore
{
}

impl<
    E: Engine
        + CustomerSql
        + InteractionSql
        + HistorySql
        + MergeSql
        + PredictionSql
        + InsightSql
        + ReportSql
        + IntegrityStore
        + BackupStore,
> Backend for E
{
}

#[async_trait]
impl<B: Backend> Store for B {
    async fn ping(&self) -> Result<()> {
        self.check_in_place()?;
        self.read::<()>(Statement::new("SELECT 1")).await?;
        Ok(())
    }

    async fn close(&self) -> Result<()> {
        Engine::close(self).await
    }

    fn patient(&self) -> Arc<dyn Store> {
        Arc::new(Engine::patient(self))
    }
}
