//! The population at the `as_of` of a training: the customers that would be scored then, as they would be. Grades and
//! the references for drift come from them, one row a customer. The snapshots are no such population: they repeat
//! customers, and are of earlier moments and other ages.

use sha2::{Digest, Sha256};

use crate::{
    features::{Forecast, Plan, bg_nbd::Purchases, fold::Fold},
    time::Time,
};

/// The most customers that are taken; of more, a sample. A quarter of 50,000 has a standard error of 0.2 % of the
/// customers, and chance alone gives a PSI of 9 / 50,000, where 0.1 is worth attention. All raw rows of a large
/// population would need as much memory as its snapshots.
const MOST_CUSTOMERS: u64 = 50_000;
/// With fewer customers there are no quarters to speak of; grades are then those of snapshots. Drift is measured from
/// the customers however few they are: snapshots are of other moments, so that all of their ages would seem to drift.
const FEWEST_CUSTOMERS: usize = 50;

/// Raw rows of the customers that would be scored at the `as_of` of the training.
#[derive(Clone, Debug, Default)]
pub struct Population {
    /// Raw feature values, row by row; those of the forecast are of a model that is not fitted yet.
    pub features: Vec<f64>,
    /// Per row: the purchases for the BG/NBD model, when the plan has a forecast.
    pub purchases: Vec<Purchases>,
    /// The number of rows.
    pub customers: usize,
}

/// Which customers are taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct PopulationSample {
    one_in: u64,
}

impl PopulationSample {
    /// The sample of so many customers.
    pub(super) fn of(customers: u64) -> Self {
        Self { one_in: customers.div_ceil(MOST_CUSTOMERS).max(1) }
    }

    /// Whether a customer is in the sample; its id alone decides, so that the order of the customers does not matter.
    pub(super) fn has(self, customer_id: &str) -> bool {
        let digest =
            || Sha256::digest(customer_id).iter().take(8).fold(0, |all, byte| all << 8 | u64::from(*byte));
        self.one_in == 1 || digest().is_multiple_of(self.one_in)
    }
}

impl Population {
    /// Adds a customer as it would be scored `now`.
    pub(super) fn add(&mut self, fold: &mut Fold<'_>, plan: &Plan, now: Time) {
        fold.row(now, now, &mut self.features);
        if plan.forecast.is_some() {
            self.purchases.extend(fold.purchases(now));
        }
        self.customers += 1;
    }

    /// Appends other customers.
    pub(super) fn append(&mut self, mut others: Self) {
        self.features.append(&mut others.features);
        self.purchases.append(&mut others.purchases);
        self.customers += others.customers;
    }

    /// Whether there are enough customers to have quarters.
    #[must_use]
    pub const fn has_quarters(&self) -> bool {
        self.customers >= FEWEST_CUSTOMERS
    }

    /// The raw rows with the forecast of this plan, which [is like](Plan::is_like) that of the rows.
    #[must_use]
    pub fn rows(&self, plan: &Plan) -> Vec<f64> {
        let mut rows = self.features.clone();
        if let Some(forecast) = &plan.forecast {
            let width = plan.width();
            for (row, purchases) in rows.chunks_mut(width).zip(&self.purchases) {
                row[width - Forecast::WIDTH..].copy_from_slice(&forecast.values(Some(purchases)));
            }
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_a_share_of_the_customers_by_their_ids() {
        let ids: Vec<String> = (0..20_000).map(|n| format!("C{n}")).collect();
        let taken = |customers: u64| {
            let sample = PopulationSample::of(customers);
            ids.iter().filter(|id| sample.has(id)).count()
        };
        assert_eq!((taken(0), taken(20_000), taken(50_000)), (20_000, 20_000, 20_000));
        // One in two, and one in twenty, each ± 5 standard errors.
        assert!((taken(50_001) as f64 - 10_000.0).abs() < 354.0, "{}", taken(50_001));
        assert!((taken(1_000_000) as f64 - 1_000.0).abs() < 154.0, "{}", taken(1_000_000));
    }
}
