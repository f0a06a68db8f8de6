//! Affinities: which values of a property customers buy together, in the window of a pass.

use std::collections::HashMap;

use async_trait::async_trait;
use tally_model::{
    insight::{Affinity, AffinityCounter, AffinityIndex},
    time::Time,
};

use crate::error::Result;

/// A stored list: the affinities of a property in a pass, without the affinities themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AffinityList {
    /// Our number of it.
    pub list_id: i64,
    /// What it is of.
    pub content: NewAffinityList,
    /// How many affinities it has.
    pub affinities: i64,
}

/// What a list is of, and what it leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAffinityList {
    /// The pass.
    pub pass_id: i64,
    /// The property.
    pub property: String,
    /// The revision of the pass: when it has grown since, a customer was erased or merged.
    pub revision: i64,
    /// Everything known at this time counts.
    pub known_at: Time,
    /// The customers with a purchase in the window that has the property.
    pub customers: i64,
    /// The values that enough customers bought, but that are not among the commonest.
    pub values_left_out: i64,
    /// Affinities that are not among the strongest.
    pub affinities_left_out: i64,
}

/// Which purchases count.
#[derive(Clone, Copy, Debug)]
pub struct BasketQuery<'a> {
    /// The property whose values are counted.
    pub property: &'a str,
    /// Those after this moment,
    pub after: Time,
    /// and up to this one.
    pub until: Time,
    /// How many values are counted, the commonest ones.
    pub values: usize,
}

/// Who bought which values together.
#[derive(Clone, Debug)]
pub struct Baskets {
    /// The values, of which enough customers bought each; the commonest first, then by value.
    pub values: Vec<String>,
    /// The values that enough customers bought, but that are not among the commonest.
    pub values_left_out: i64,
    /// The customers who bought them, by the places of the values.
    pub counter: AffinityCounter,
}

/// Stores and reads affinities.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does.
#[async_trait]
pub trait AffinityStore: Send + Sync {
    /// Counts which values customers bought together, from the interactions as they stand.
    async fn baskets(&self, query: BasketQuery<'_>) -> Result<Baskets>;
    /// Stores a list in the place of an older one of the same property and pass, with its affinities in their order.
    /// Returns the stored one, which is another one when another server was faster.
    ///
    /// # Errors
    /// [`StoreError::Aborted`](crate::StoreError::Aborted) when the pass is gone.
    async fn insert_affinities(
        &self,
        list: NewAffinityList,
        affinities: Vec<Affinity>,
    ) -> Result<AffinityList>;
    /// Returns the list of a property in a pass.
    async fn affinity_list(&self, pass_id: i64, property: &str) -> Result<Option<AffinityList>>;
    /// Returns a list by its number.
    async fn affinity_list_of_id(&self, list_id: i64) -> Result<Option<AffinityList>>;
    /// Returns at most `limit` affinities of a list after a place, with their places, which are counted from 0.
    async fn affinities(
        &self,
        list_id: i64,
        after: Option<i64>,
        limit: usize,
    ) -> Result<Vec<(i64, Affinity)>>;
    /// Returns the affinities of a list for looking up what they lead to; empty when the list is gone.
    async fn affinity_index(&self, list_id: i64) -> Result<AffinityIndex>;
    /// Returns which values of a list each of these customers, and the ids merged into it, bought up to `until`: their
    /// numbers in the list, with the time of the last purchase. Customers without any are left out.
    async fn values_bought(
        &self,
        list: &AffinityList,
        customer_ids: &[String],
        until: Time,
    ) -> Result<HashMap<String, Vec<(usize, Time)>>>;
}
