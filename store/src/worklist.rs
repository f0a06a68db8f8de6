//! The worklist: items of a pass in order, and the episodes of those that were handed out.

use std::collections::HashMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tally_model::{
    insight::{Outcome, OutcomeDays, WorkKind, WorkKinds, WorklistSpec},
    time::Time,
};

use crate::{audit::Actor, error::Result};

/// Which items are on a list.
#[derive(Clone, Debug)]
pub struct WorkFilter {
    /// The pass.
    pub pass_id: i64,
    /// The moment of the pass.
    pub as_of: Time,
    /// Only these kinds.
    pub kinds: WorkKinds,
    /// How long an episode lasts.
    pub outcome_days: OutcomeDays,
    /// What ranks the items; None for the value at risk.
    pub ranking: Option<WorkRanking>,
    /// Whether a ranked list has items that do not pay, too.
    pub include_not_paying: bool,
}

/// Ranks items by expected gain, value at risk · effect − cost, as far as it is positive; the others follow by value at
/// risk. What costs more than it brings, or as much, is left out unless it is asked for; those whose value at risk is not
/// known come last.
#[derive(Clone, Debug)]
pub struct WorkRanking {
    /// What actions bring.
    pub rules: Vec<WorkRule>,
    /// The most items that the lists of a UTC day hand out together, besides those of held-out customers, who take no
    /// place. A list then has what the lists of its day have handed out, and the best of the others for whom there is a
    /// place; a customer with an open episode of a list of another day is left out.
    pub capacity: Option<i64>,
}

impl WorkRanking {
    /// The measured effect of the action of an item.
    #[must_use]
    pub fn measured_effect(&self, item: &WorkItem) -> Option<f64> {
        let of_item = |rule: &&WorkRule| rule.kind == item.kind && rule.action == item.action;
        self.rules.iter().find(of_item)?.effect
    }
}

/// What an action brings.
#[derive(Clone, Debug)]
pub struct WorkRule {
    /// The kind.
    pub kind: WorkKind,
    /// The action.
    pub action: String,
    /// What a unit of the value at risk is multiplied with; None, which counts as 1, while nothing is measured.
    pub effect: Option<f64>,
    /// What the action costs, in minor units.
    pub cost_minor: i64,
}

/// An item of a list.
#[derive(Clone, Debug)]
pub struct WorkItem {
    /// The customer.
    pub customer_id: String,
    /// Its name.
    pub name: String,
    /// The kind.
    pub kind: WorkKind,
    /// What is at stake, in minor units.
    pub value_at_risk: Option<i64>,
    /// The expected gain, in minor units, where items are ranked by it.
    pub gain: Option<f64>,
    /// The stage of the relation.
    pub life_cycle: String,
    /// The probability that it buys, of a lead.
    pub lead_probability: Option<f64>,
    /// The probability that it leaves.
    pub churn_probability: Option<f64>,
    /// Its value.
    pub clv_minor: Option<i64>,
    /// The ABC class.
    pub abc_class: String,
    /// Why it may leave.
    pub cause: Option<String>,
    /// The action that the playbook has for it.
    pub action: String,
    /// Its next care date.
    pub next_care: Option<Time>,
    /// Whether it is held out.
    pub held_out: bool,
    /// The revenue of the whole relation.
    pub total_revenue: i64,
    /// The returns of the whole relation.
    pub total_returns: i64,
    /// The purchase days of the whole relation.
    pub purchase_days: i64,
}

/// The place of an item in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkCursor {
    /// The bits of the expected gain, or of 0 where there is none or it is less.
    pub gain: i64,
    /// The value at risk, −1 without one.
    pub value: i64,
    /// The customer.
    pub customer_id: String,
    /// The number of the kind.
    pub kind: i64,
}

/// Customers of a pass with the same kinds of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkCount {
    /// Their kinds.
    pub kinds: WorkKinds,
    /// Whether they are held out.
    pub held_out: bool,
    /// How many they are.
    pub customers: i64,
}

/// How many items a ranked list has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RankedCount {
    /// The items.
    pub items: i64,
    /// Those that would be on it, too, if the day had places for them; 0 without a capacity.
    pub without_place: i64,
    /// Those that were left out because they do not pay.
    pub not_paying: i64,
    /// Episodes of lists of the same UTC day, without those of held-out customers.
    pub handed_out: i64,
}

/// What a publication did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// New episodes.
    pub published: i64,
    /// Those of them whose customer is held out.
    pub held_out: i64,
    /// Items of customers with an open episode of the kind, which got none.
    pub still_open: i64,
    /// Episodes of lists of the same UTC day, these included, without those of held-out customers; None without a
    /// capacity.
    pub handed_out: Option<i64>,
}

/// What came of an action, as it is reported.
#[derive(Clone, Debug)]
pub struct NewOutcome {
    /// The customer.
    pub customer_id: String,
    /// The kind of the episode.
    pub kind: WorkKind,
    /// The action that was taken; None for that of the episode.
    pub action: Option<String>,
    /// What came of it.
    pub outcome: Outcome,
    /// A remark.
    pub note: String,
    /// When it happened.
    pub occur_time: Time,
}

/// An episode: an item that was handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// The customer that it is of now.
    pub customer_id: String,
    /// The id that it was published for, which may be merged into that customer since.
    pub published_id: String,
    /// The kind.
    pub kind: WorkKind,
    /// The action.
    pub action: String,
    /// The moment of the list.
    pub as_of: Time,
    /// The end of the window.
    pub until: Time,
    /// When the list was handed out.
    pub publish_time: Time,
    /// Whether it was published as held out.
    pub held_out: bool,
    /// What was reported last.
    pub report: Option<OutcomeReport>,
}

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutcomeReport {
    /// What came of it.
    pub outcome: Outcome,
    /// The action that was taken.
    pub action: String,
    /// A remark.
    pub note: String,
    /// When it happened.
    pub occur_time: Time,
}

/// An episode of a list of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEpisode {
    /// The episode.
    pub episode: Episode,
    /// The name of its customer.
    pub name: String,
    /// Whether the customer bought in the window.
    pub bought: bool,
}

/// Which episodes are listed.
#[derive(Clone, Debug)]
pub struct EpisodeFilter {
    /// Only these kinds.
    pub kinds: WorkKinds,
    /// Only of this customer and the ids merged into it; None for all.
    pub customer_id: Option<String>,
    /// Only those that are open at `now`.
    pub open_only: bool,
    /// Only those of which nothing was reported, and whose customer is not held out.
    pub without_outcome: bool,
    /// Purchases before this moment count.
    pub now: Time,
}

/// The place of an episode in a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EpisodeCursor {
    /// The moment of its list.
    pub as_of: Time,
    /// The customer that it is of now.
    pub customer_id: String,
    /// The number of the kind.
    pub kind: i64,
    /// The id that it was published for.
    pub published_id: String,
}

/// What became of an outcome that was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutcomeResult {
    /// It is stored, in place of one that was reported before.
    Recorded(Episode),
    /// No such customer is stored.
    UnknownCustomer,
    /// The customer has no episode of the kind that is open now, or was when it happened.
    NoOpenEpisode,
    /// The customer is held out: by its own episode, or by the settings when it has none.
    HeldOut,
    /// It did not happen within the window of the episode.
    OutsideWindow(Episode),
}

/// Which episodes are counted.
#[derive(Clone, Copy, Debug)]
pub struct EffectFilter {
    /// Of these kinds.
    pub kinds: WorkKinds,
    /// Of lists about moments from then on; None for all time.
    pub from: Option<Time>,
    /// Of lists about moments before then.
    pub to: Time,
    /// Windows that end before this moment are over.
    pub now: Time,
}

/// The episodes of a kind with the same action, treated or held out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpisodeCount {
    /// The kind.
    pub kind: WorkKind,
    /// The action.
    pub action: String,
    /// Whether the customers are held out.
    pub held_out: bool,
    /// Episodes whose window is over.
    pub judged: i64,
    /// Those of them with the outcome `DONE`.
    pub acted: i64,
    /// Those of them with a purchase in the window.
    pub successes: i64,
    /// Episodes whose window is not over.
    pub open: i64,
}

/// Stores and reads the worklist.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait WorklistStore: Send + Sync {
    /// Returns at most `limit` items that follow `after`: by falling expected gain, if they are ranked by it, then by
    /// falling value at risk, id and kind. Those of held-out customers only if asked for.
    async fn work_items(
        &self,
        filter: &WorkFilter,
        include_held_out: bool,
        after: Option<&WorkCursor>,
        limit: usize,
    ) -> Result<Vec<WorkItem>>;
    /// Returns how many customers of a pass have which kinds of work.
    async fn work_counts(&self, pass_id: i64) -> Result<Vec<WorkCount>>;
    /// Returns how many items a ranked list has.
    async fn ranked_count(&self, filter: &WorkFilter, include_held_out: bool) -> Result<RankedCount>;
    /// Stores an episode for each item of the list, held-out customers included, but for customers with an open
    /// episode of the kind: one whose window overlaps.
    async fn publish_worklist(&self, filter: &WorkFilter, now: Time, by: &Actor) -> Result<Published>;
    /// Stores what came of an action in the episode of the customer that was open when it happened. The settings say whether a
    /// customer is held out who has episodes only under ids that are merged into it.
    async fn record_outcome(
        &self,
        outcome: NewOutcome,
        settings: &WorklistSpec,
        now: Time,
    ) -> Result<OutcomeResult>;
    /// Returns the episodes of these customers that are open `now`, one for each kind: of several since a merge, the
    /// latest of those that are not held out.
    async fn open_episodes(
        &self,
        customer_ids: &[String],
        now: Time,
    ) -> Result<HashMap<(String, WorkKind), Episode>>;
    /// Returns at most `limit` episodes that follow `after`: the latest list first, then by customer, kind, and the id
    /// that it was published for.
    async fn episodes(
        &self,
        filter: &EpisodeFilter,
        after: Option<&EpisodeCursor>,
        limit: usize,
    ) -> Result<Vec<ListedEpisode>>;
    /// Returns how many episodes pass the filter.
    async fn count_episodes(&self, filter: &EpisodeFilter) -> Result<u64>;
    /// Counts episodes, and how many of the customers bought in their window, by what is stored now.
    async fn episode_counts(&self, filter: EffectFilter) -> Result<Vec<EpisodeCount>>;
    /// Counts episodes whose window is over and ended after this moment.
    async fn count_ended(&self, filter: EffectFilter, after: Time) -> Result<u64>;
}
