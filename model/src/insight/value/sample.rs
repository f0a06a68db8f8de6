//! What the value model is fitted to, collected from the facts of customers.

use super::{BuyerPurchases, MarginRate};
use crate::{insight::Facts, time::Time};

/// The purchases of buyers, and sums of their money. Those of parts of the customers are merged.
#[derive(Clone, Debug, Default)]
pub struct ValueSample {
    pub(super) buyers: Vec<BuyerPurchases>,
    /// Revenue ever, and the purchase days that brought it.
    revenue_ever: i128,
    purchase_days: i128,
    /// Revenue and profit of the window.
    revenue: i128,
    profit: i128,
}

impl ValueSample {
    /// Adds a customer by its facts at `as_of`; a lead adds nothing.
    pub fn add(&mut self, facts: &Facts, as_of: Time) {
        let (Some(buyer), Some(purchases)) = (BuyerPurchases::of(facts, as_of), facts.purchases) else {
            return;
        };
        self.buyers.push(buyer);
        self.revenue_ever += i128::from(facts.ever.revenue);
        self.purchase_days += i128::from(purchases.count);
        let window = [facts.window.revenue, facts.window.returns, facts.window.cost].map(i128::from);
        self.revenue += window[0];
        self.profit += window[0] - window[1] - window[2];
    }

    /// Adds other customers.
    pub fn merge(&mut self, other: Self) {
        self.buyers.extend(other.buyers);
        self.revenue_ever += other.revenue_ever;
        self.purchase_days += other.purchase_days;
        self.revenue += other.revenue;
        self.profit += other.profit;
    }

    /// The mean money of a purchase day, at least 0; 0 when there is none.
    pub(super) fn mean_money(&self) -> f64 {
        self.revenue_ever.max(0) as f64 / self.purchase_days.max(1) as f64
    }

    /// The share of revenue that is profit.
    pub(super) fn margin_rate(&self, rate: MarginRate) -> f64 {
        match rate {
            MarginRate::Rate(rate) => rate,
            MarginRate::Auto if self.revenue <= 0 => 1.0,
            MarginRate::Auto => self.profit.max(0) as f64 / self.revenue as f64,
        }
    }
}
