//! Insights: the facts of all customers about a moment, which together are a pass, and the segments that follow from
//! them.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tally_model::{
    insight::{Cause, Facts, Placement, Population, PurchaseDays, Segmentation, WorkKinds},
    scoring::Grade,
    time::Time,
};

use crate::error::Result;

/// A complete pass.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Our number of it.
    pub pass_id: i64,
    /// The moment that the facts are about.
    pub as_of: Time,
    /// Everything known at this time counts.
    pub known_at: Time,
    /// Whether it is kept for longer than a day.
    pub kept: bool,
    /// Grows when a customer is erased or merged.
    pub revision: i64,
    /// What is relative to all customers.
    pub population: Population,
}

/// A pass to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewPass {
    /// The moment that the facts are about.
    pub as_of: Time,
    /// Everything known at this time counts.
    pub known_at: Time,
    /// Whether it is kept for longer than a day.
    pub kept: bool,
}

/// The facts of one customer in a pass.
#[derive(Clone, Debug)]
pub struct StoredFacts {
    /// The customer.
    pub customer_id: String,
    /// Its facts.
    pub facts: Facts,
    /// Where it stands among all.
    pub placement: Placement,
    /// The name of its RFM segment.
    pub rfm_segment: String,
    /// Whole days since the last purchase.
    pub recency_days: Option<i64>,
    /// Its attributes as they stood, as texts: a JSON object.
    pub attributes: String,
    /// How likely it is to buy, of a lead, when there was a champion.
    pub lead: Option<StoredScore>,
    /// How likely it is to leave, when there was a champion.
    pub churn: Option<StoredScore>,
    /// Why it may leave, where that is known.
    pub churn_cause: Option<Cause>,
    /// The probability that it will ever buy again, of a buyer, by the value model.
    pub p_alive: Option<f64>,
    /// The purchase days to be expected within the horizon, of a buyer, by the value model.
    pub expected_purchases: Option<f64>,
    /// The lifetime value, in minor units.
    pub clv: Option<i64>,
    /// What the worklist needs.
    pub work: StoredWork,
}

/// A score in a pass.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoredScore {
    /// Its probability.
    pub probability: f64,
    /// Its grade.
    pub grade: Grade,
}

/// What the worklist needs of a customer.
#[derive(Clone, Debug)]
pub struct StoredWork {
    /// The kinds of work that it needs.
    pub kinds: WorkKinds,
    /// The action that the playbook has for it.
    pub action: String,
    /// What is at stake, in minor units.
    pub value_at_risk: Option<i64>,
    /// Its next care date.
    pub next_care: Option<Time>,
    /// Whether it is held out.
    pub held_out: bool,
}

impl StoredWork {
    /// What the list is ordered by: the value at risk; customers without one come last.
    pub(crate) fn order(&self) -> i64 {
        self.value_at_risk.unwrap_or(-1)
    }
}

/// The customers of a segment together. Money and orders are of the window.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SegmentSums {
    /// The segment.
    pub segment: String,
    /// How many they are.
    pub customers: i64,
    /// Their revenue.
    pub revenue: i64,
    /// Their returns.
    pub returns: i64,
    /// Their purchases.
    pub orders: i64,
    /// Their net revenue in the window before.
    pub previous_net: i64,
    /// Their surveys.
    pub surveys: i64,
    /// The sum of score / expected score over these.
    pub satisfaction_sum: f64,
    /// The sum of their lifetime values; None when none has one.
    pub clv: Option<i64>,
}

/// Customers who were in one segment and are in another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentMove {
    /// The segment before; None for customers who did not exist.
    pub from: Option<String>,
    /// The segment after.
    pub to: String,
    /// How many they are.
    pub customers: i64,
}

/// A customer of a segment. Money and orders are of the window.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// The customer.
    pub customer_id: String,
    /// The segment.
    pub segment: String,
    /// Revenue.
    pub revenue: i64,
    /// Returns.
    pub returns: i64,
    /// Purchases.
    pub orders: i64,
    /// Net revenue.
    pub net: i64,
    /// Net revenue in the window before.
    pub previous_net: i64,
    /// Whole days since the last purchase.
    pub recency_days: Option<i64>,
    /// The RFM scores, or `none`.
    pub rfm_cell: String,
    /// The ABC class.
    pub abc_class: String,
    /// The stage of the relation.
    pub life_cycle: String,
    /// 0 to 100.
    pub loyalty_points: i64,
    /// The days after which it can be expected to buy again.
    pub expected_interval_days: Option<f64>,
    /// The days since the last purchase day by that.
    pub overdue_ratio: Option<f64>,
    /// The probability that it leaves.
    pub churn_probability: Option<f64>,
    /// The purchase days of the whole relation; None for a lead.
    pub purchases: Option<PurchaseDays>,
    /// What it paid on purchase days after the first.
    pub repeat_revenue: i64,
    /// The purchase days to be expected within the horizon.
    pub expected_purchases: Option<f64>,
    /// The lifetime value.
    pub clv: Option<i64>,
}

/// Selects customers of a pass.
#[derive(Clone, Debug)]
pub struct MemberFilter {
    /// The pass.
    pub pass_id: i64,
    /// What divides the customers.
    pub segmentation: Segmentation,
    /// Only this segment; None for all.
    pub segment: Option<String>,
}

/// What members are listed by, the greatest first; then by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberOrder {
    /// Net revenue of the window.
    Net,
    /// The lifetime value; members without one come last.
    Clv,
}

impl MemberOrder {
    /// What the place of a member is by.
    #[must_use]
    pub fn of(self, member: &Member) -> i64 {
        match self {
            Self::Net => member.net,
            // A lifetime value is 0 or more.
            Self::Clv => member.clv.unwrap_or(-1),
        }
    }
}

/// The place of a customer in the list of a segment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MemberCursor {
    /// The pass that the list is of.
    pub pass_id: i64,
    /// What the list is ordered by.
    pub value: i64,
    /// Its id.
    pub customer_id: String,
}

/// A value of an attribute and how many customers have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeValues {
    /// The attribute.
    pub name: String,
    /// The customers that have a value.
    pub customers: i64,
    /// The number of different values.
    pub distinct: i64,
    /// The commonest values with their customers, the commonest first, then by value.
    pub top: Vec<(String, i64)>,
}

/// An interaction with a customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The caller's id of it.
    pub interaction_id: String,
    /// What it was.
    pub kind: String,
    /// When it happened.
    pub occur_time: Time,
    /// By which way.
    pub channel: String,
}

/// Which passes are removed: those that were made before these times.
#[derive(Clone, Copy, Debug)]
pub struct PassExpiry {
    /// Passes to be kept, but for the last of each UTC month.
    pub kept: Time,
    /// Passes made on demand, and those that were never completed.
    pub on_demand: Time,
}

/// Stores and reads insights.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait InsightStore: Send + Sync {
    /// Begins a pass; until it is complete nobody finds it. Returns its number.
    async fn begin_pass(&self, pass: NewPass) -> Result<i64>;
    /// Adds facts of customers to a pass; those of customers who do not exist any more, or were merged, are left out.
    async fn insert_facts(&self, pass_id: i64, facts: Vec<StoredFacts>) -> Result<()>;
    /// Completes a pass: it takes the place of the one about the same moment. Rules of alerts need not look at one that
    /// was made on demand when they have looked at the one that it replaces.
    async fn complete_pass(&self, pass_id: i64, population: &Population, on_demand: bool) -> Result<()>;
    /// Returns a pass by its number, as long as all of its facts are there, also when another took its place.
    async fn pass(&self, pass_id: i64) -> Result<Option<Pass>>;
    /// Returns the pass about a moment.
    async fn pass_about(&self, as_of: Time) -> Result<Option<Pass>>;
    /// Returns the pass about the latest moment up to `until`, of those that were not about the future when they were
    /// made.
    async fn latest_pass(&self, until: Time) -> Result<Option<Pass>>;
    /// Removes passes that have expired or been replaced, with their facts, in many small transactions; returns the
    /// number removed.
    async fn remove_passes(&self, expiry: PassExpiry) -> Result<u64>;
    /// Returns the segments of a pass that have customers, at most `limit`.
    async fn segments(
        &self,
        pass_id: i64,
        segmentation: &Segmentation,
        limit: usize,
    ) -> Result<Vec<SegmentSums>>;
    /// Returns who moved from which segment in the first pass to which in the second, for those in the latter; at most
    /// `limit` moves.
    async fn segment_moves(
        &self,
        passes: [i64; 2],
        segmentation: &Segmentation,
        limit: usize,
    ) -> Result<Vec<SegmentMove>>;
    /// Returns at most `limit` customers that follow `after` in this order.
    async fn members(
        &self,
        filter: &MemberFilter,
        order: MemberOrder,
        after: Option<MemberCursor>,
        limit: usize,
    ) -> Result<Vec<Member>>;
    /// Returns the number of customers that pass the filter.
    async fn count_members(&self, filter: &MemberFilter) -> Result<u64>;
    /// Returns the attributes that customers have, with at most `top` values of each.
    async fn attribute_values(&self, filter: &MemberFilter, top: usize) -> Result<Vec<AttributeValues>>;
    /// Returns the last interactions of these kinds with a customer and with the ids merged into it, those after
    /// `after` and up to `until`, at most `limit`, the last one first.
    async fn contacts(
        &self,
        customer_id: &str,
        kinds: &[String],
        (after, until): (Option<Time>, Time),
        limit: usize,
    ) -> Result<Vec<Contact>>;
    /// Returns the customers that the referrals of a customer up to `until` name, each once.
    async fn referred_customers(&self, customer_id: &str, until: Time) -> Result<Vec<String>>;
}
