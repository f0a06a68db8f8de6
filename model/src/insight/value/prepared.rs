//! The value of many customers: the sums over the weeks of the horizon from tables.
//!
//! Given that a customer is active, both sums depend on x and on ln(α + T) alone. As functions of the latter they are
//! analytic up to an imaginary distance of π/2 at least, where α + T + t stays away from 0, so that few Chebyshev nodes
//! give all digits. The number of purchases within t, of which they are sums, depends on x and ln(t/(α + T)), and comes
//! from such tables as well.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::{
    BuyerPurchases, CustomerValue, ValueModel,
    chebyshev::{Chebyshev, at_place, panel_of},
    model::ExpectedIfActive,
};

/// The nodes of a panel: the functions are analytic in an ellipse around it that makes each node worth a factor of 6.4.
const NODES: usize = 18;

/// By x and the panel of ln(α + T): purchases, and discounted purchases.
type Tables = HashMap<(u32, i32), Arc<[Chebyshev<NODES>; 2]>>;

/// A value model with tables, which are filled when first needed.
#[derive(Debug)]
pub struct PreparedValue {
    model: ValueModel,
    tables: RwLock<Tables>,
}

impl PreparedValue {
    pub(super) fn new(model: &ValueModel) -> Self {
        Self { model: model.clone(), tables: RwLock::default() }
    }

    /// What a buyer will do and is worth, as [`ValueModel::value`] says.
    #[must_use]
    pub fn value(&self, buyer: &BuyerPurchases) -> Option<CustomerValue> {
        let model = self.model.usable_bg_nbd()?;
        let log_rate_weeks = (model.alpha + buyer.purchases.age_weeks).ln();
        let frequency = buyer.purchases.frequency;
        let (panel, place) = panel_of(log_rate_weeks);
        let key = (frequency, panel);
        let known = self.tables.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let table = known.unwrap_or_else(|| {
            let table = Arc::new(self.table(frequency, panel));
            // Another thread may have computed the same meanwhile.
            self.tables.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(table).clone()
        });
        let [purchases, discounted] = table.each_ref().map(|table| table.at(place));
        self.model.value_by(buyer, ExpectedIfActive { purchases, discounted })
    }

    /// The sums of the customers with this x in a panel of ln(α + T).
    fn table(&self, frequency: u32, panel: i32) -> [Chebyshev<NODES>; 2] {
        let model = &self.model.bg_nbd.model;
        let mut purchases: HashMap<i32, Chebyshev<NODES>> = HashMap::new();
        let mut within = |log_ratio: f64| {
            let (panel, place) = panel_of(log_ratio);
            let table = purchases.entry(panel).or_insert_with(|| {
                Chebyshev::of(|place| model.expected_if_active(frequency, at_place(panel, place).exp()))
            });
            table.at(place)
        };
        let mut discounted = [0.0; NODES];
        let purchases = Chebyshev::of_nodes(std::array::from_fn(|node| {
            let log_rate_weeks = at_place(panel, Chebyshev::<NODES>::node(node));
            let sum = self.model.sum_of_weeks(|weeks| within(weeks.ln() - log_rate_weeks));
            discounted[node] = sum.discounted;
            sum.purchases
        }));
        [purchases, Chebyshev::of_nodes(discounted)]
    }
}
