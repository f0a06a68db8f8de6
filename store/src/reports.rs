//! Reports: sums over interactions by period. What is stored under a merged id counts as that of its survivor.

use async_trait::async_trait;
use tally_model::{insight::ReportPeriod, time::Time};

use crate::error::Result;

/// What sales are divided by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// The channel of the interaction.
    Channel,
    /// A property of the interaction.
    Property(String),
    /// An attribute of the customer as it stood when the interaction happened: a number without a needless `.0`, a
    /// boolean as `true` or `false`.
    Attribute(String),
}

/// Which sales are summed, and how they are divided.
#[derive(Clone, Copy, Debug)]
pub struct SalesQuery<'a> {
    /// The periods, in order.
    pub periods: &'a [ReportPeriod],
    /// None for sums by period alone.
    pub dimension: Option<&'a Dimension>,
    /// How many values have sums of their own: those with the greatest revenue in all periods together, then the first
    /// byte by byte. All others have their sums together.
    pub values: usize,
    /// The most sums by value that are returned; when there are more, some are left out.
    pub limit: usize,
}

/// Sums of purchases and returns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SalesSums {
    /// The amounts of the purchases.
    pub revenue_minor: i64,
    /// The amounts of the returns.
    pub returns_minor: i64,
    /// The number of purchases.
    pub orders: i64,
    /// The number of customers with a purchase.
    pub customers: i64,
    /// The revenue in the previous period; 0 when there is none to compare with.
    pub previous_minor: i64,
    /// The revenue in the period of the year before; 0 when there is none to compare with.
    pub year_before_minor: i64,
}

/// The sums of a value, or of all values without sums of their own, in a period in which it has a purchase or a return.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueSums {
    /// The place of the period among those of the query.
    pub period: usize,
    /// The value, empty where it is missing; None for all values without sums of their own.
    pub value: Option<String>,
    /// The sums.
    pub sums: SalesSums,
}

/// Sales by period and value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sales {
    /// By period and value, in no order; empty without a dimension.
    pub values: Vec<ValueSums>,
    /// By period, in order.
    pub periods: Vec<SalesSums>,
    /// Over all periods.
    pub total: SalesSums,
}

/// What the customers of a cohort did in a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CohortSums {
    /// The number of customers with a purchase.
    pub active: i64,
    /// The amounts of the purchases.
    pub revenue_minor: i64,
    /// The amounts of the returns.
    pub returns_minor: i64,
}

/// The customers who first bought in the same period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cohort {
    /// How many they are.
    pub customers: i64,
    /// What they did in the period of the first purchase and in those after it, in order.
    pub periods: Vec<CohortSums>,
}

/// Whom campaigns reached, and which purchases count for them.
#[derive(Clone, Copy, Debug)]
pub struct CampaignQuery {
    /// Customers that were reached from then on; None for all time.
    pub from: Option<Time>,
    /// Customers that were reached before then.
    pub to: Time,
    /// How long a purchase counts for a campaign, in days.
    pub window_days: i64,
    /// The moment until which windows are over.
    pub now: Time,
    /// The most campaigns that are returned; when there are more, some are left out.
    pub limit: usize,
}

/// What a campaign brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CampaignSums {
    /// Its name.
    pub campaign: String,
    /// The customers whom it reached first within the range.
    pub reached: i64,
    /// Those whose window is over.
    pub judged: i64,
    /// Those of the judged who bought in their window.
    pub converted: i64,
    /// The amounts of the purchases in the windows of the judged.
    pub revenue_minor: i64,
}

/// Computes reports.
///
/// Every method fails with a [`StoreError`](crate::StoreError) when the database does, and with
/// [`StoreError::SumTooLarge`](crate::StoreError::SumTooLarge) when 64 bits do not hold a sum.
#[async_trait]
pub trait ReportStore: Send + Sync {
    /// Returns when the first purchase happened; None before there is one.
    async fn first_purchase_time(&self) -> Result<Option<Time>>;
    /// Returns when the last purchase before this moment happened; None before there is one.
    async fn last_purchase_time(&self, before: Time) -> Result<Option<Time>>;
    /// Sums purchases and returns.
    async fn sales(&self, query: SalesQuery<'_>) -> Result<Sales>;
    /// Returns the cohort of each period, in order. A customer belongs to the period of its first purchase ever, when
    /// that lies before the end of the last period.
    async fn cohorts(&self, periods: &[ReportPeriod]) -> Result<Vec<Cohort>>;
    /// Returns what campaigns brought, in no order.
    async fn campaigns(&self, query: CampaignQuery) -> Result<Vec<CampaignSums>>;
}
