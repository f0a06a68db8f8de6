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

use super::{BuyerPurchases, CustomerValue, ValueModel, model::ExpectedIfActive};

/// The nodes of a panel, whose functions are analytic in the ellipse around it with this ratio of radii: half its width is
/// ½, which makes π/2 a factor of 6.4 a node.
const NODES: usize = 18;
const PANEL_WIDTH: f64 = 1.0;

/// By x and the panel of ln(α + T): purchases, and discounted purchases.
type Tables = HashMap<(u32, i32), Arc<[Chebyshev; 2]>>;

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
    fn table(&self, frequency: u32, panel: i32) -> [Chebyshev; 2] {
        let model = &self.model.bg_nbd.model;
        let mut purchases: HashMap<i32, Chebyshev> = HashMap::new();
        let mut within = |log_ratio: f64| {
            let (panel, place) = panel_of(log_ratio);
            let table = purchases.entry(panel).or_insert_with(|| {
                Chebyshev::of(|place| model.expected_if_active(frequency, at_place(panel, place).exp()))
            });
            table.at(place)
        };
        let mut discounted = [0.0; NODES];
        let purchases = Chebyshev::of_nodes(std::array::from_fn(|node| {
            let log_rate_weeks = at_place(panel, Chebyshev::node(node));
            let sum = self.model.sum_of_weeks(|weeks| within(weeks.ln() - log_rate_weeks));
            discounted[node] = sum.discounted;
            sum.purchases
        }));
        [purchases, Chebyshev::of_nodes(discounted)]
    }
}

/// The panel that contains `y`, and the place in it, from −1 to 1.
fn panel_of(y: f64) -> (i32, f64) {
    let panel = (y / PANEL_WIDTH).floor();
    (panel as i32, 2.0 * (y / PANEL_WIDTH - panel) - 1.0)
}

/// The number at a place of a panel.
fn at_place(panel: i32, place: f64) -> f64 {
    (f64::from(panel) + (place + 1.0) / 2.0) * PANEL_WIDTH
}

/// A function on [−1, 1] by the coefficients of its Chebyshev polynomials.
#[derive(Debug)]
struct Chebyshev([f64; NODES]);

impl Chebyshev {
    fn of(function: impl Fn(f64) -> f64) -> Self {
        Self::of_nodes(std::array::from_fn(|node| function(Self::node(node))))
    }

    /// By its values at the nodes.
    fn of_nodes(values: [f64; NODES]) -> Self {
        let coefficient = |degree: usize| {
            let sum: f64 = values
                .iter()
                .enumerate()
                .map(|(node, value)| value * (degree as f64 * Self::angle(node)).cos())
                .sum();
            sum * if degree == 0 { 1.0 } else { 2.0 } / NODES as f64
        };
        Self(std::array::from_fn(coefficient))
    }

    fn node(node: usize) -> f64 {
        Self::angle(node).cos()
    }

    fn angle(node: usize) -> f64 {
        std::f64::consts::PI * (node as f64 + 0.5) / NODES as f64
    }

    /// By Clenshaw's recurrence.
    fn at(&self, place: f64) -> f64 {
        let (mut next, mut after) = (0.0, 0.0);
        for coefficient in self.0[1..].iter().rev() {
            (next, after) = (2.0 * place * next - after + coefficient, next);
        }
        place * next - after + self.0[0]
    }
}
