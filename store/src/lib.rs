//! Everything that Tally stores, on SQLite or PostgreSQL.
//!
//! What is stored is grouped into aggregates: customers, interactions, histories, models, predictions, populations,
//! insights, affinities, the worklist, alerts, reports, jobs, the audit log, exports, changes and settings. Each has a
//! module with its types and one small trait; [`Store`] unites the traits, and [`open`] returns one for the database of a
//! URL. Both databases give the same results to the bit. No other crate names sqlx, and this one knows nothing of
//! requests or of how errors reach a caller.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use tally_model::{history::Attributes, time::Time};
//! use tally_store::{Interaction, NewCustomer, RecordOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("tally.db");
//! let store = tally_store::open(&format!("sqlite://{}", path.display())).await?;
//!
//! let now = Time(1_700_000_000_000_000);
//! let customer = NewCustomer {
//!     customer_id: "ada".into(),
//!     name: Some("Ada".into()),
//!     create_time: None,
//!     attributes: Attributes::default(),
//! };
//! store.upsert_customers(vec![customer], &[], now).await?;
//!
//! let purchase = Interaction {
//!     customer_id: "ada".into(),
//!     interaction_id: "order-1".into(),
//!     kind: "purchase".into(),
//!     occur_time: now,
//!     record_time: now,
//!     amount_minor: Some(1_250),
//!     channel: "web".into(),
//!     properties: BTreeMap::new(),
//! };
//! let twice = vec![purchase.clone(), purchase.clone()];
//! let recorded = store.record_interactions(twice, RecordOptions::new(now)).await?;
//! assert_eq!((recorded.recorded, recorded.duplicates), (1, 1));
//!
//! assert_eq!(store.interactions("ada", None, 10, false).await?[0].interaction, purchase);
//! # Ok(())
//! # }
//! ```
//!
//! # Layout
//!
//! | module | contains | may use |
//! |---|---|---|
//! | `customers`, `interactions`, … | the types of an aggregate and its trait, without any SQL | `error` |
//! | `shared/` | per aggregate the SQL that both databases understand, rows, and the implementation of the trait | the above |
//! | `sqlite/`, `postgres/` | the connection, and per aggregate the SQL that differs | the above |
//! | `migrations/` beside this crate | the schema, one folder a database | |
//!
//! # Adding a query
//!
//! A method in the trait of its aggregate (`src/customers.rs`), its implementation in `src/shared/customers.rs`, and a
//! test on both databases. It needs no migration, unless it needs an index. Steps 3 to 5 below show how.
//!
//! # Adding an aggregate
//!
//! As an example, notes that users attach to customers.
//!
//! **1. The schema.** Add a migration with the same number and name to `migrations/sqlite` and `migrations/postgres`;
//! migrations that were released are never edited. When rows belong to a customer, every primary key and unique index
//! contains `customer_id`, so that Citus can distribute the table, and `customer_id` refers to `customers` with
//! `ON DELETE CASCADE`, so that erasing a customer erases the rows.
//!
//! | | SQLite | PostgreSQL |
//! |---|---|---|
//! | text | `TEXT` | `TEXT`; `TEXT COLLATE "C"` when it is ordered by |
//! | moment | `INTEGER`, microseconds since 1970 | `TIMESTAMPTZ` |
//! | document | `TEXT` | `JSON` |
//! | number | `INTEGER`, `REAL` | `BIGINT`, `DOUBLE PRECISION` |
//!
//! **2. The types and the trait**, in `src/notes.rs`; re-export them here and add the trait to [`Store`]. A method is
//! one thing that a use case needs, with everything it must do in one transaction. A lookup returns `None` for what is
//! not stored, a list takes `after` and `limit`, and the caller passes times and ids: the store has no clock.
//!
//! ```ignore
//! /// A note about a customer.
//! pub struct Note {
//!     pub customer_id: String,
//!     pub note_id: String,
//!     pub create_time: Time,
//!     pub text: String,
//! }
//!
//! #[async_trait]
//! pub trait NoteStore: Send + Sync {
//!     /// Stores a note; returns false when its id is taken.
//!     async fn insert_note(&self, note: Note) -> Result<bool>;
//!     /// Returns at most `limit` notes of a customer with an id above `after`, ordered by id.
//!     async fn notes(&self, customer_id: &str, after: &str, limit: usize) -> Result<Vec<Note>>;
//! }
//! ```
//!
//! **3. The shared implementation**, in `src/shared/notes.rs`. A `Statement` is SQL with `$1`, `$2`, … and their
//! values; `store.read` runs it outside of a transaction (`read_one` for at most one row, `count` for a
//! single number), `B::run` inside of one. A row is a `FromRow` struct or a tuple; integers are `i64`. Both databases understand
//! `RETURNING`, `ON CONFLICT`, `FILTER` and window functions. Count changed rows with `RETURNING`: the number of affected rows is
//! not reliable on Citus.
//!
//! ```ignore
//! #[derive(FromRow)]
//! struct NoteRow {
//!     customer_id: String,
//!     note_id: String,
//!     create_time: Stamp, // hides how a database stores a moment
//!     text: String,
//! }
//!
//! #[async_trait]
//! impl<B: Backend> NoteStore for B {
//!     async fn insert_note(&self, note: Note) -> Result<bool> {
//!         let insert = Statement::new(
//!             "INSERT INTO notes (customer_id, note_id, create_time, text) VALUES ($1, $2, $3, $4) \
//!              ON CONFLICT DO NOTHING RETURNING note_id",
//!         )
//!         .bind(note.customer_id.as_str())
//!         .bind(note.note_id.as_str())
//!         .bind(note.create_time)
//!         .bind(note.text.as_str());
//!         let store = self.clone();
//!         detached(self, async move {
//!             let mut tx = store.begin().await?;
//!             let inserted: Vec<(String,)> = B::run(&mut tx, insert).await?;
//!             tx.commit().await?;
//!             Ok(!inserted.is_empty())
//!         })
//!         .await
//!     }
//!
//!     async fn notes(&self, customer_id: &str, after: &str, limit: usize) -> Result<Vec<Note>> {
//!         let select = Statement::new(
//!             "SELECT * FROM notes WHERE customer_id = $1 AND note_id > $2 ORDER BY note_id LIMIT $3",
//!         )
//!         .bind(customer_id)
//!         .bind(after)
//!         .bind(limit as i64);
//!         Ok(self.read::<NoteRow>(select).await?.into_iter().map(Note::from).collect())
//!     }
//! }
//! ```
//!
//! **4. What differs**, only if something does, as the bulk insert of interactions: declare
//! `trait NoteSql: Engine` in `src/shared/notes.rs`, add it to `Backend`, and implement it with sqlx in
//! `src/sqlite/notes.rs` and `src/postgres/notes.rs`.
//!
//! **5. Tests** on both databases through the [`Store`] (`tally_store::open(&tally.database.url)`), in the folder of
//! `service/tests/api` that the aggregate belongs to; customers and interactions are in `ingest/`.
//!
//! Four rules hold for all of it:
//!
//! - A transaction runs in `detached`, or in `repeatable` when a concurrent write may abort it, so that a caller that
//!   goes away does not leave a connection inside a transaction. A transaction that changes what a history is made of
//!   removes the packed history (`forget_packed`) and notes the change (`note_change`, as its last statement). What is
//!   written under a merged id belongs to the history of its survivor, too (`SurvivorsOf`).
//! - Only text columns that are `COLLATE "C"` in PostgreSQL, the ids, may be ordered by or compared with `<`, since
//!   others follow the locale of the database. Sort other text in Rust; SQLite does not know that collation.
//! - NaN and `\0` never reach the store: SQLite would store NaN as NULL, and PostgreSQL has no `\0` in text. Requests
//!   are checked before.
//! - Text that a caller sends never becomes part of the SQL, which `Statement` takes from literals only.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use uuid::Uuid;

mod affinities;
mod alerts;
mod audit;
mod backup;
mod changes;
mod customers;
mod error;
mod exports;
mod histories;
mod insights;
mod integrity;
mod interactions;
mod jobs;
mod merges;
mod models;
mod options;
mod populations;
mod postgres;
mod predictions;
mod reports;
mod retention;
mod settings;
mod shared;
mod sqlite;
mod url;
mod worklist;

pub use affinities::{AffinityList, AffinityStore, BasketQuery, Baskets, NewAffinityList};
pub use alerts::{
    Acknowledgement, Alert, AlertDeliveryStore, AlertFilter, AlertSourceStore, AlertStore, ComplaintNews,
    ComplaintQuery, Delivery, DeliveryResult, DeliveryState, Lease, NewAlert, OpenComplaint,
    PromotionRefusal, UnwatchedPass,
};
pub use audit::{Actor, AuditEvent, AuditFilter, AuditHead, AuditStore, NewAuditEvent};
pub use backup::{BackupError, BackupStore};
pub use changes::{Change, ChangeStore};
pub use customers::{Customer, CustomerStore, NewCustomer, StoredAttribute, Upserted};
pub use error::{RefusedItem, Result, StoreError};
pub use exports::{ExportStore, ExportTable};
pub use histories::HistoryStore;
pub use insights::{
    AttributeValues, Contact, InsightStore, Member, MemberCursor, MemberFilter, MemberOrder, NewPass, Pass,
    PassExpiry, SegmentMove, SegmentSums, StoredFacts, StoredScore, StoredWork,
};
pub use integrity::{IntegrityStore, StructureReport};
pub use interactions::{
    Interaction, InteractionCursor, InteractionKey, InteractionStore, ListedInteraction, OnConflict,
    RecordOptions, Recorded, Retracted,
};
pub use jobs::{EndedRun, JobRun, JobRunState, JobStore, StoredJob};
pub use merges::{MergeResult, MergeStore};
pub use models::{HoldoutScore, ModelStore, Promotion, PromotionKind, StoredEvaluation, StoredModel};
pub use options::OpenOptions;
pub use populations::{PopulationStore, ScoredPopulation, ScoringRun};
pub use predictions::{
    InsightFilter, ListedPrediction, NewPredictions, PastPrediction, PastPredictionFilter, Prediction,
    PredictionCursor, PredictionFilter, PredictionOrder, PredictionStore,
};
pub use reports::{
    CampaignQuery, CampaignSums, Cohort, CohortSums, Dimension, ReportStore, Sales, SalesQuery, SalesSums,
    ValueSums,
};
pub use retention::{InteractionExpiry, RemovedInteractions, RetentionStore};
pub use settings::SettingStore;
use url::DatabaseUrl;
pub use url::without_password;
pub use worklist::{
    EffectFilter, Episode, EpisodeCount, EpisodeCursor, EpisodeFilter, ListedEpisode, NewOutcome,
    OutcomeReport, OutcomeResult, Published, RankedCount, WorkCount, WorkCursor, WorkFilter, WorkItem,
    WorkRanking, WorkRule, WorklistStore,
};

/// What the names of all logs of the driver of the database begin with.
pub const DRIVER_LOG: &str = "sqlx";
/// The log in which the driver writes statements, such as slow ones.
pub const STATEMENT_LOG: &str = "sqlx::query";

/// A database that holds everything that Tally stores.
#[async_trait]
pub trait Store:
    CustomerStore
    + InteractionStore
    + MergeStore
    + HistoryStore
    + ModelStore
    + PredictionStore
    + PopulationStore
    + ReportStore
    + InsightStore
    + AffinityStore
    + JobStore
    + WorklistStore
    + AlertStore
    + AlertDeliveryStore
    + AlertSourceStore
    + AuditStore
    + ExportStore
    + RetentionStore
    + ChangeStore
    + SettingStore
    + IntegrityStore
    + BackupStore
{
    /// Returns when the database answers.
    ///
    /// # Errors
    /// When it does not.
    async fn ping(&self) -> Result<()>;

    /// Waits for the operations in progress and closes all connections; later operations fail. The last program to
    /// close a SQLite database leaves everything in the one file, in which a program that may only read it can read.
    ///
    /// # Errors
    /// When SQLite cannot write what is still in its log; nothing is lost then, the next start reads the log.
    async fn close(&self) -> Result<()>;

    /// The same store for work of minutes that must not fail because of a busy moment: it waits for five seconds, not
    /// for one, when all connections to PostgreSQL are in use.
    fn patient(&self) -> Arc<dyn Store>;
}

/// Opens the database of `url` (`sqlite://PATH` or `postgres://…`), creates it if it is a SQLite file that does not
/// exist, and brings its schema up to date.
///
/// # Errors
/// When the URL is not valid, the database cannot be reached, or its schema is newer than this program. No error
/// repeats a part of a password.
pub async fn open(url: &str) -> Result<Arc<dyn Store>> {
    open_with(url, OpenOptions::default()).await
}

/// Opens the database of `url` as [`open`] does, with other options.
///
/// # Errors
/// When the URL is not valid, the database cannot be reached or must not be created, or its schema is newer than this
/// program.
pub async fn open_with(url: &str, options: OpenOptions) -> Result<Arc<dyn Store>> {
    // Distinguishes the changes that this store writes from those of others.
    let name = Arc::from(Uuid::new_v4().to_string());
    match url.parse()? {
        DatabaseUrl::Sqlite(file) => Ok(Arc::new(sqlite::Sqlite::open(file, options, name).await?)),
        DatabaseUrl::Postgres { options: server, keeps_statements } => {
            let server = postgres::Server { options: server, keeps_statements };
            Ok(Arc::new(postgres::Postgres::open(server, options, name).await?))
        }
    }
}

/// The files of the database of `url`: that of SQLite and those that SQLite keeps beside it; none for PostgreSQL.
///
/// # Errors
/// When the URL is not valid.
pub fn files(url: &str) -> Result<Vec<PathBuf>> {
    let DatabaseUrl::Sqlite(database) = url.parse()? else { return Ok(Vec::new()) };
    let beside = ["", "-wal", "-shm", "-journal"].into_iter();
    Ok(beside
        .map(|end| {
            let mut name = database.get_filename().as_os_str().to_owned();
            name.push(end);
            name.into()
        })
        .collect())
}

/// Copies the SQLite database of `url` into `file`, which must not exist yet. The copy holds everything that was
/// committed when it began; programs may go on to write to the database meanwhile. `file` has its name only once it
/// is complete and on the disk.
///
/// # Errors
/// When the database is of PostgreSQL, cannot be read, or the file exists or cannot be written.
pub async fn backup(url: &str, file: &Path) -> Result<(), BackupError> {
    match url.parse::<DatabaseUrl>()? {
        DatabaseUrl::Sqlite(database) => sqlite::backup(database, file).await,
        DatabaseUrl::Postgres { .. } => Err(BackupError::Postgres),
    }
}

/// Notes in the audit log of the SQLite database of `url` that it was copied.
///
/// # Errors
/// When the database is of PostgreSQL or another version, or cannot be written.
pub async fn note_backup(url: &str, event: NewAuditEvent) -> Result<(), BackupError> {
    match url.parse::<DatabaseUrl>()? {
        DatabaseUrl::Sqlite(database) => Ok(sqlite::note_backup(database, event).await?),
        DatabaseUrl::Postgres { .. } => Err(BackupError::Postgres),
    }
}
