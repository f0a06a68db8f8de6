//! The store: domain rows in, domain rows out. Two implementations, SQLite and PostgreSQL, answer
//! alike to the bit; nothing outside this folder names sqlx.
//!
//! What both databases can say alike stands once, in `sql.rs`, the rows that they exchange in
//! `rows.rs`; what differs stands in `sqlite.rs` and `postgres.rs` (whose binary format is `binary.rs`). A new
//! query that both understand is a method of [`Store`] and its body in the macro of `sql.rs`.
//!
//! Every transaction runs in a task of its own: a caller that goes away in the middle of `BEGIN`
//! would otherwise leave a connection in the pool inside a transaction that nobody ends.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tally_model::{
    evaluation::drift::Counts,
    history::{Attributes, Packed},
    scoring::{Grade, Reason},
    spec::Target,
    time::Time,
    training::compare::Pair,
    training::snapshot::Basis,
};
use uuid::Uuid;

mod binary;
mod error;
mod postgres;
mod rows;
mod sql;
mod sqlite;

pub use error::{Result, StoreError};

/// A customer to be stored.
#[derive(Clone, Debug)]
pub struct NewCustomer {
    /// The caller's id.
    pub customer_id: String,
    /// None leaves a stored name as it is.
    pub name: Option<String>,
    /// None leaves a stored time as it is, and is now for a new customer.
    pub create_time: Option<Time>,
    /// The whole set of attributes.
    pub attributes: Attributes,
}

/// A stored customer.
#[derive(Clone, Debug, PartialEq)]
pub struct Customer {
    /// The caller's id.
    pub customer_id: String,
    /// May be empty.
    pub name: String,
    /// When the relation began.
    pub create_time: Time,
    /// The latest set of attributes.
    pub attributes: Attributes,
}

/// An interaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interaction {
    /// Whose.
    pub customer_id: String,
    /// The caller's id of it.
    pub interaction_id: String,
    /// What it was.
    pub kind: String,
    /// When it happened.
    pub occur_time: Time,
    /// When it reached the store.
    pub record_time: Time,
    /// Money in minor units.
    pub amount_minor: Option<i64>,
    /// Where it happened, may be empty.
    pub channel: String,
    /// Further facts.
    pub properties: BTreeMap<String, String>,
}

impl Interaction {
    /// Whether two interactions of the same key say the same; when they reached us does not matter.
    fn same_content(&self, other: &Self) -> bool {
        let Self { kind, occur_time, record_time: _, amount_minor, channel, properties, .. } = self;
        self.key() == other.key()
            && (kind, occur_time, amount_minor) == (&other.kind, &other.occur_time, &other.amount_minor)
            && (channel, properties) == (&other.channel, &other.properties)
    }

    fn key(&self) -> (&str, &str) {
        (&self.customer_id, &self.interaction_id)
    }
}

/// What became of a batch of interactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// New ones.
    pub recorded: usize,
    /// Those that were there already, with the same content.
    pub duplicates: usize,
}

/// A stored model version.
#[derive(Clone, Debug)]
pub struct StoredModel {
    /// What it foretells.
    pub target: Target,
    /// 1, 2, 3, …
    pub version: i64,
    /// When it was stored.
    pub create_time: Time,
    /// By whom.
    pub created_by: String,
    /// See [`tally_model::artifact`].
    pub artifact: Vec<u8>,
    /// Whether it serves.
    pub champion: bool,
}

/// A holdout row, and what was said of it by a fit that had not learned from it.
#[derive(Clone, Debug)]
pub struct HoldoutScore {
    /// Whose.
    pub customer_id: String,
    /// About which moment.
    pub as_of: Time,
    /// Whether the outcome came about.
    pub label: bool,
    /// The probability by the new model.
    pub probability: f64,
    /// The probability by the champion of then, when it had not learned from the row either.
    pub incumbent: Option<f64>,
}

/// How a new model was evaluated.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The artifact of the model as it was evaluated.
    pub evaluated: Vec<u8>,
    /// The version of the champion that is `incumbent` in `scores`.
    pub incumbent: Option<i64>,
    /// The holdout, or a sample of it.
    pub scores: Vec<HoldoutScore>,
}

/// How a champion came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromotionKind {
    /// Somebody promoted it.
    Promote,
    /// Somebody went back to it.
    Rollback,
    /// Its own training promoted it.
    Training,
}

impl PromotionKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Promote, Self::Rollback, Self::Training];

    /// `promote`, `rollback` or `training`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Rollback => "rollback",
            Self::Training => "training",
        }
    }
}

/// One move of a champion, as it is audited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// Of which target.
    pub target: Target,
    /// 1, 2, 3, … within the target.
    pub sequence: i64,
    /// When.
    pub time: Time,
    /// By whom, as far as is known.
    pub who: String,
    /// The champion before; None for the first.
    pub from: Option<i64>,
    /// The champion since.
    pub to: i64,
    /// How it came to be.
    pub kind: PromotionKind,
    /// Whether the gate had refused it.
    pub forced: bool,
    /// Why, in the words of whoever did it.
    pub reason: String,
    /// What the gate found, in words.
    pub gate_result: String,
}

/// A score that is or is to be stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Ours, unique.
    pub prediction_id: String,
    /// Of whom.
    pub customer_id: String,
    /// Of what.
    pub target: Target,
    /// By which model.
    pub model_version: i64,
    /// About which moment.
    pub as_of: Time,
    /// What was known by then counts.
    pub known_at: Time,
    /// When it was stored.
    pub score_time: Time,
    /// Days after `as_of` that decide.
    pub horizon_days: u32,
    /// The probability and its 95 % interval.
    pub probability: f64,
    /// See `probability`.
    pub lower: f64,
    /// See `probability`.
    pub upper: f64,
    /// Best to worst.
    pub grade: Grade,
    /// What it rests on.
    pub basis: Basis,
    /// Log-odds of an average customer.
    pub base_log_odds: f64,
    /// The strongest reasons.
    pub reasons: Vec<Reason>,
    /// Features without a value.
    pub missing_features: Vec<String>,
}

/// The order of a list of predictions; equal values by `prediction_id`, falling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PredictionOrder {
    /// Likeliest first.
    #[default]
    Probability,
    /// Last stored first.
    ScoreTime,
}

/// Which predictions are wanted.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PredictionFilter {
    /// Of this target.
    pub target: Target,
    /// At least this probability.
    pub min_probability: Option<f64>,
    /// At most this probability.
    pub max_probability: Option<f64>,
    /// Only these grades, as stored; empty for all.
    pub grades: Vec<String>,
    /// Only this customer.
    pub customer_id: Option<String>,
    /// Only this model version.
    pub model_version: Option<i64>,
    /// Only the latest of each customer.
    pub latest_only: bool,
    /// In which order.
    pub order: PredictionOrder,
}

/// Where a page of predictions begins: behind this row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PredictionCursor {
    /// The last row's probability.
    pub probability: f64,
    /// The last row's `score_time`.
    pub score_time: Time,
    /// The last row's id.
    pub prediction_id: String,
}

/// What realised performance needs of a stored prediction.
#[derive(Clone, Debug)]
pub struct PastPrediction {
    /// Of whom.
    pub customer_id: String,
    /// By which model.
    pub model_version: i64,
    /// About which moment.
    pub as_of: Time,
    /// What was foretold.
    pub probability: f64,
}

/// A population that was scored to its end, as counts.
#[derive(Clone, Debug)]
pub struct ScoredPopulation {
    /// Of what.
    pub target: Target,
    /// By which model.
    pub model_version: i64,
    /// About which moment.
    pub as_of: Time,
    /// When the run ended.
    pub score_time: Time,
    /// How the customers are distributed.
    pub counts: Counts,
}

/// A write of customers or interactions.
#[derive(Clone, Debug)]
pub struct Change {
    /// 1, 2, 3, …, given before the write is committed.
    pub change_id: i64,
    /// Whose; empty when this very store wrote.
    pub customer_ids: Vec<String>,
}

/// A database that holds all that Tally stores.
#[async_trait]
pub trait Store: Send + Sync {
    /// Answers when the database does.
    async fn ping(&self) -> Result<()>;

    /// Stores customers, all or none; ids are distinct.
    async fn upsert_customers(&self, customers: Vec<NewCustomer>, now: Time) -> Result<()>;
    /// One customer.
    async fn customer(&self, customer_id: &str) -> Result<Option<Customer>>;
    /// Customers with an id above `after`, by id.
    async fn customers(&self, after: &str, limit: usize) -> Result<Vec<Customer>>;
    /// How many customers there are.
    async fn count_customers(&self) -> Result<u64>;
    /// Erases a customer and all that is stored of it; false when there was none.
    async fn delete_customer(&self, customer_id: &str) -> Result<bool>;

    /// Stores interactions, all or none.
    async fn record_interactions(&self, interactions: Vec<Interaction>) -> Result<Recorded>;
    /// A customer's interactions behind `after` (time and id), newest first.
    async fn interactions(
        &self,
        customer_id: &str,
        after: Option<(Time, String)>,
        limit: usize,
    ) -> Result<Vec<Interaction>>;

    /// Ids above `after`, in byte order.
    async fn customer_ids(&self, after: &str, limit: usize) -> Result<Vec<String>>;
    /// The histories of these customers in the order asked; None for an unknown one.
    async fn histories(&self, customer_ids: &[String]) -> Result<Vec<Option<Packed>>>;
    /// Ids above `after` of customers whose histories are not stored packed, in byte order.
    async fn unpacked(&self, after: &str, limit: usize) -> Result<Vec<String>>;
    /// Stores the histories of these customers packed, and tells how many it were: who is being written of just
    /// now is left out.
    async fn pack(&self, customer_ids: Vec<String>) -> Result<usize>;

    /// Stores a model as the next version of its target and tells which that is. Holdout rows of
    /// customers that are gone are left out.
    async fn insert_model(&self, model: StoredModel, evaluation: Evaluation) -> Result<i64>;
    /// Models of these targets, newest first, behind `after` (target and version).
    async fn models(
        &self,
        target: Option<Target>,
        after: Option<(Target, i64)>,
        limit: usize,
    ) -> Result<Vec<StoredModel>>;
    /// One model.
    async fn model(&self, target: Target, version: i64) -> Result<Option<StoredModel>>;
    /// The version that serves.
    async fn champion(&self, target: Target) -> Result<Option<i64>>;
    /// The artifact of a version as it was evaluated.
    async fn evaluated(&self, target: Target, version: i64) -> Result<Option<Vec<u8>>>;
    /// The holdout rows that neither version has learned from, by customer and moment.
    async fn pairs(&self, target: Target, candidate: i64, champion: i64) -> Result<Vec<Pair>>;
    /// Moves the champion and notes it, both or neither; false when `promotion.from` is the champion no
    /// more, or a move of this sequence is noted already.
    async fn promote(&self, promotion: Promotion) -> Result<bool>;
    /// The moves of a champion before the one with this sequence, newest first.
    async fn promotions(&self, target: Target, before: Option<i64>, limit: usize) -> Result<Vec<Promotion>>;

    /// Stores predictions, all or none, but for those of customers that are gone; told are the
    /// customers that are there.
    async fn insert_predictions(&self, predictions: Arc<Vec<Prediction>>) -> Result<HashSet<String>>;
    /// One prediction.
    async fn prediction(&self, prediction_id: &str) -> Result<Option<Prediction>>;
    /// A page of predictions.
    async fn predictions(
        &self,
        filter: &PredictionFilter,
        after: Option<PredictionCursor>,
        limit: usize,
    ) -> Result<Vec<Prediction>>;
    /// How many predictions pass the filter.
    async fn count_predictions(&self, filter: &PredictionFilter) -> Result<u64>;

    /// The predictions of a target that rest on a model, about `moments` (from, and up to but without,
    /// the second), of the customers behind the first id up to the second with it; only by `version`
    /// when given. By customer, moment and time of storing.
    async fn past_predictions(
        &self,
        target: Target,
        version: Option<i64>,
        moments: (Time, Time),
        customers: (&str, &str),
    ) -> Result<Vec<PastPrediction>>;
    /// Removes the predictions that were stored before this time, but for the latest of a customer and target;
    /// some at a time, each time in a transaction of its own. Tells how many they were.
    async fn remove_predictions(&self, before: Time) -> Result<u64>;
    /// Stores a scored population as the last one of its model, unless a later one is there.
    async fn insert_population(&self, population: ScoredPopulation) -> Result<()>;
    /// The last scored population of a model.
    async fn population(&self, target: Target, version: i64) -> Result<Option<ScoredPopulation>>;

    /// The number of the last change.
    async fn last_change(&self) -> Result<i64>;
    /// Writes of customers and interactions behind `after`, and those of the numbers `also`, in order; not
    /// necessarily all at once.
    async fn changes(&self, after: i64, also: &[i64]) -> Result<Vec<Change>>;
    /// Removes changes up to this number.
    async fn prune_changes(&self, up_to: i64) -> Result<()>;

    /// The value of a setting; `initial` is stored first when there is none.
    async fn setting(&self, name: &str, initial: &[u8]) -> Result<Vec<u8>>;
}

/// Opens the database of `url` (`sqlite://PATH` or `postgres://…`) and brings its schema up to date.
///
/// # Errors
/// When the URL is not understood, the database cannot be reached, or its schema is newer than this
/// program.
pub async fn open(url: &str) -> Result<Arc<dyn Store>> {
    match url.split_once("://").map(|(scheme, _)| scheme) {
        Some("sqlite") => Ok(Arc::new(sqlite::Sqlite::open(url).await?)),
        Some("postgres" | "postgresql") => Ok(Arc::new(postgres::Postgres::open(url).await?)),
        _ => {
            Err(StoreError::InvalidUrl("allowed are sqlite://PATH and postgres://USER@HOST/NAME".to_owned()))
        }
    }
}

/// The name of a store that has just been opened, unlike that of any other.
fn unique_name() -> Arc<str> {
    Uuid::new_v4().to_string().into()
}

/// Runs a transaction to its end, whatever becomes of the caller.
async fn detached<T: Send + 'static>(work: impl Future<Output = Result<T>> + Send + 'static) -> Result<T> {
    tokio::spawn(work)
        .await
        .map_err(|error| StoreError::Internal(format!("a transaction panicked: {error}")))?
}

/// Runs a transaction as [`detached`], again when another writer came between. Everything it works
/// on is shared, since it may be wanted more than once.
async fn repeatable<C, T, F>(context: C, work: impl Fn(Arc<C>) -> F) -> Result<T>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send + 'static,
{
    const TRIES: usize = 5;
    let context = Arc::new(context);
    for _ in 1..TRIES {
        match detached(work(Arc::clone(&context))).await {
            Err(StoreError::Aborted) => {}
            done => return done,
        }
    }
    detached(work(context)).await
}
