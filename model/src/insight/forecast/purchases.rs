//! Purchase days and revenue of the buyers in the steps to come.

use std::collections::HashMap;

use super::FORECAST_STEP_DAYS;
use crate::{
    features::bg_nbd::{BgNbd, Dropouts},
    insight::{BuyerPurchases, Chebyshev, ValueModel, at_place, panel_of},
    parallel::par_map,
};

/// The nodes of a panel: by each the error is 6.4 times less.
const NODES: usize = 12;
/// By how much the logarithm of a parameter is changed to find the slope of a sum.
const SMALL_CHANGE: f64 = 1e-4;

/// How the time to come is divided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    /// The number of steps.
    pub(super) count: usize,
    /// The days of each.
    pub(super) days: i64,
}

impl Steps {
    /// So many steps of a forecast.
    pub(super) fn new(count: u32) -> Self {
        Self { count: count as usize, days: FORECAST_STEP_DAYS }
    }

    /// All of them as one step.
    pub(super) fn as_one(self) -> Self {
        Self { count: 1, days: self.days * self.count as i64 }
    }

    /// The weeks from now to the end of a step.
    fn weeks(self, step: usize) -> f64 {
        (step as i64 * self.days) as f64 / 7.0
    }
}

/// What the buyers do in a step: the sums of their expectations, and the variances of those sums.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct StepSums {
    pub(super) purchases: Sum,
    pub(super) revenue: Sum,
}

/// An expected sum and its variance, which is infinite when it has no end.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Sum {
    pub(super) expected: f64,
    pub(super) variance: f64,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.expected += other.expected;
        self.variance += other.variance;
    }
}

/// Sorts buyers, so that sums over them are the same in any order of the customers.
pub(super) fn sort(buyers: &mut [BuyerPurchases]) {
    buyers.sort_unstable_by(|one, other| {
        let key = |buyer: &BuyerPurchases| (buyer.purchases.frequency, buyer.repeat_revenue);
        let times = |buyer: &BuyerPurchases| (buyer.purchases.age_weeks, buyer.purchases.recency_weeks);
        let (one_times, other_times) = (times(one), times(other));
        (key(one).cmp(&key(other)))
            .then(one_times.0.total_cmp(&other_times.0))
            .then(one_times.1.total_cmp(&other_times.1))
    });
}

/// The sums of each step over buyers that are [sorted](sort); None when there is no usable BG/NBD model. The variances are
/// those of chance and, by the slopes of the sums (delta method), those of the parameters.
pub(super) fn sums(model: &ValueModel, buyers: &[BuyerPurchases], steps: Steps) -> Option<Vec<StepSums>> {
    model.usable_bg_nbd()?;
    let mut sums = by_chance(model, buyers, steps);
    let changed = |change: &dyn Fn(&mut ValueModel)| -> Vec<[f64; 2]> {
        let mut other = model.clone();
        change(&mut other);
        let other = by_chance(&other, buyers, steps);
        let slope = |(one, other): (&StepSums, StepSums)| {
            [other.purchases.expected - one.purchases.expected, other.revenue.expected - one.revenue.expected]
                .map(|difference| difference / SMALL_CHANGE)
        };
        sums.iter().zip(other).map(slope).collect()
    };
    let factor = SMALL_CHANGE.exp();
    let of_purchases = [
        changed(&|model| model.bg_nbd.model.r *= factor),
        changed(&|model| model.bg_nbd.model.alpha *= factor),
        changed(&|model| model.bg_nbd.model.a *= factor),
        changed(&|model| model.bg_nbd.model.b *= factor),
    ];
    let of_money = [
        changed(&|model| model.gamma_gamma.model.p *= factor),
        changed(&|model| model.gamma_gamma.model.q *= factor),
        changed(&|model| model.gamma_gamma.model.v *= factor),
    ];
    for (step, sums) in sums.iter_mut().enumerate() {
        let [purchases, revenue] = [0, 1].map(|n| {
            model.bg_nbd_covariance.map_or(f64::INFINITY, |covariance| {
                quadratic(covariance, std::array::from_fn(|parameter| of_purchases[parameter][step][n]))
            })
        });
        let money = match model.gamma_gamma_covariance {
            Some(covariance) => {
                quadratic(covariance, std::array::from_fn(|parameter| of_money[parameter][step][1]))
            }
            None if model.gamma_gamma.problem.is_none() => 0.0,
            None => sums.purchases.expected.powi(2) * model.mean_money_variance,
        };
        sums.purchases.variance += purchases;
        sums.revenue.variance += revenue + money;
    }
    Some(sums)
}

/// The variance of a sum by the slopes and the covariance of the parameters.
fn quadratic<const N: usize>(covariance: [[f64; N]; N], slopes: [f64; N]) -> f64 {
    let mut sum = 0.0;
    for (row, one) in covariance.iter().zip(slopes) {
        for (covariance, other) in row.iter().zip(slopes) {
            sum += one * covariance * other;
        }
    }
    sum.max(0.0)
}

/// The sums with the variances of chance.
fn by_chance(model: &ValueModel, buyers: &[BuyerPurchases], steps: Steps) -> Vec<StepSums> {
    let groups = buyers.chunk_by(|one, other| one.purchases.frequency == other.purchases.frequency);
    let mut sums = vec![StepSums::default(); steps.count];
    for group in par_map(groups, |group| of_group(model, group, steps)) {
        for (sum, group) in sums.iter_mut().zip(group) {
            sum.purchases.add(group.purchases);
            sum.revenue.add(group.revenue);
        }
    }
    sums
}

/// Those of buyers with the same x.
fn of_group(model: &ValueModel, buyers: &[BuyerPurchases], steps: Steps) -> Vec<StepSums> {
    let mut sums = vec![StepSums::default(); steps.count];
    let mut tables = HashMap::new();
    for buyer in buyers {
        let bg_nbd = &model.bg_nbd.model;
        let alive = bg_nbd.probability_alive(&buyer.purchases);
        let (panel, place) = panel_of((bg_nbd.alpha + buyer.purchases.age_weeks).ln());
        let table = tables
            .entry(panel)
            .or_insert_with(|| step_tables(bg_nbd, buyer.purchases.frequency, panel, steps));
        let money = Money::of(model, buyer);
        for (sum, of_step) in sums.iter_mut().zip(table) {
            let [mean, pairs] = of_step.each_ref().map(|table| alive * table.at(place));
            sum.purchases.add(Sum { expected: mean, variance: pairs + mean - mean * mean });
            sum.revenue.add(money.times(mean, pairs));
        }
    }
    sums
}

/// The moments of the purchases of each step, given that a customer with this x is active, by the place of ln(α + T) in
/// a panel.
fn step_tables(bg_nbd: &BgNbd, frequency: u32, panel: i32, steps: Steps) -> Vec<[Chebyshev<NODES>; 2]> {
    let node = |node: usize| at_place(panel, Chebyshev::<NODES>::node(node)).exp();
    let dropouts: Dropouts =
        bg_nbd.dropouts(frequency, steps.weeks(steps.count) / at_place(panel, -1.0).exp());
    let of_step = |step: usize| {
        let values: [[f64; 2]; NODES] =
            std::array::from_fn(|n| dropouts.moments([step, step + 1].map(|end| steps.weeks(end) / node(n))));
        [0, 1].map(|moment| Chebyshev::of_nodes(values.map(|value| value[moment])))
    };
    (0..steps.count).map(of_step).collect()
}

/// What the purchases of a buyer bring: n of them a mean of `mean`·n, and a mean square of `square`·n² + `own`·n.
struct Money {
    mean: f64,
    square: f64,
    own: f64,
}

impl Money {
    /// The money of n purchases is (v + x·m) times a beta prime variable with pn and px + q, whose square has a mean only
    /// when px + q is above 2.
    fn of(model: &ValueModel, buyer: &BuyerPurchases) -> Self {
        let mean = model.expected_money(buyer);
        if model.gamma_gamma.problem.is_some() {
            return Self { mean, square: mean * mean, own: model.money_variance };
        }
        let money = &model.gamma_gamma.model;
        let [x, sum] = buyer.repeat_money();
        let q = money.p * x + money.q;
        let scale = money.v + sum;
        let spread = if q > 2.0 { scale * scale / ((q - 1.0) * (q - 2.0)) } else { f64::INFINITY };
        Self { mean, square: money.p * money.p * spread, own: money.p * spread }
    }

    /// The money of a number of purchases with these moments.
    fn times(&self, mean: f64, pairs: f64) -> Sum {
        let expected = self.mean * mean;
        let square = self.square * (pairs + mean) + self.own * mean;
        Sum { expected, variance: square - expected * expected }
    }
}
