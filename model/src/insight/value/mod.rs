//! What customers are worth: how often each will buy (BG/NBD), what a purchase brings (Gamma-Gamma), and from both the
//! discounted profit of the time to come, with its predictive interval. `docs/metrics.md` defines the numbers.

mod chebyshev;
mod gamma_gamma;
mod interval;
mod model;
mod prepared;
mod sample;
mod spec;
mod warnings;

use crate::{features::bg_nbd::Purchases, insight::Facts, time::Time};

pub(super) use chebyshev::{Chebyshev, at_place, panel_of};
pub use gamma_gamma::{GammaGamma, GammaGammaFit};
pub use model::{CustomerValue, ValueModel};
pub use prepared::PreparedValue;
pub use sample::ValueSample;
pub use spec::{MarginRate, ValueSpec};
pub use warnings::{
    BacktestBasis, failed_intervals, missed_forecast, missed_stage, missed_total, no_backtest,
    shorter_horizon,
};

/// The purchases of a buyer as the value model counts them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BuyerPurchases {
    /// How often, by purchase days.
    pub purchases: Purchases,
    /// The amounts on the purchase days after the first, in minor units. Unless above 0, they count like those of a
    /// customer without a second purchase day.
    pub repeat_revenue: i64,
}

impl BuyerPurchases {
    /// Those of a customer by its facts at `as_of`; None for a lead.
    #[must_use]
    pub fn of(facts: &Facts, as_of: Time) -> Option<Self> {
        let purchases = facts.purchases?;
        let (first, last) = (purchases.first_purchase, purchases.last_purchase);
        Some(Self::new(purchases.count, first, last, as_of, facts.repeat_revenue))
    }

    /// Those of a buyer who bought on `days` days, from `first` to `last`, seen at `as_of`.
    #[must_use]
    pub fn new(days: i64, first: Time, last: Time, as_of: Time, repeat_revenue: i64) -> Self {
        let days = u32::try_from(days.max(0)).unwrap_or(u32::MAX);
        Self { purchases: Purchases::new(days, first, last, as_of), repeat_revenue }
    }

    const fn has_repeat_money(&self) -> bool {
        self.purchases.frequency > 0 && self.repeat_revenue > 0
    }

    /// x and the sum of money, as the Gamma-Gamma model counts them.
    pub(super) fn repeat_money(&self) -> [f64; 2] {
        if self.has_repeat_money() {
            [f64::from(self.purchases.frequency), self.repeat_revenue as f64]
        } else {
            [0.0, 0.0]
        }
    }
}
