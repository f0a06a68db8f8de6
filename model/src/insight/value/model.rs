//! The value model: both fits with the settings, and the value of a customer by them.

use serde::{Deserialize, Serialize};

use super::{BuyerPurchases, GammaGamma, GammaGammaFit, PreparedValue, ValueSample, ValueSpec, spec::WEEK};
use crate::features::bg_nbd::{BgNbd, BgNbdFit, Purchases};

/// How often customers buy and what a purchase brings, fitted to all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueModel {
    /// The settings.
    pub spec: ValueSpec,
    /// How often customers buy.
    pub bg_nbd: BgNbdFit,
    /// The covariance of the logarithms of r, α, a and b, 0 for one at a bound; None when it is not known.
    pub bg_nbd_covariance: Option<[[f64; 4]; 4]>,
    /// What a purchase brings.
    pub gamma_gamma: GammaGammaFit,
    /// The covariance of the logarithms of p, q and v; None when the fit has a problem.
    pub gamma_gamma_covariance: Option<[[f64; 3]; 3]>,
    /// The mean money of a purchase day, in minor units: what a purchase of everybody brings when `gamma_gamma` has a
    /// problem.
    pub mean_money: f64,
    /// The variance of the money of a purchase day, which its spread follows then. Models that were stored without it
    /// have 0.
    #[serde(default)]
    pub money_variance: f64,
    /// The variance of `mean_money` as an estimate; 0 as well.
    #[serde(default)]
    pub mean_money_variance: f64,
    /// The share of revenue that is profit.
    pub margin_rate: f64,
    /// What makes the money questionable: one customer has most of it. None when nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
}

/// What a customer will do in the horizon, and what it is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CustomerValue {
    /// The probability that it has not left.
    pub p_alive: f64,
    /// The expected number of purchase days in the horizon.
    pub expected_purchases: f64,
    /// The expected profit of the horizon, discounted, in minor units.
    pub clv: f64,
}

/// The expected purchases of a customer in the horizon if it is active.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ExpectedIfActive {
    pub(super) purchases: f64,
    /// Each discounted from the end of its week.
    pub(super) discounted: f64,
}

impl ValueModel {
    /// Fits both models to the buyers. Their order does not matter.
    #[must_use]
    pub fn fit(sample: &ValueSample, spec: &ValueSpec) -> Self {
        let purchases: Vec<Purchases> = sample.buyers.iter().map(|buyer| buyer.purchases).collect();
        let (bg_nbd, bg_nbd_covariance) = BgNbd::fit_with_covariance(&purchases);
        let (gamma_gamma, gamma_gamma_covariance) = GammaGamma::fit(&sample.buyers);
        Self {
            spec: spec.clone(),
            bg_nbd,
            bg_nbd_covariance,
            warning: sample.warning(gamma_gamma.problem.is_none()),
            gamma_gamma,
            gamma_gamma_covariance,
            mean_money: sample.mean_money(),
            money_variance: sample.money_variance(),
            mean_money_variance: sample.mean_money_variance(),
            margin_rate: sample.margin_rate(spec.margin_rate),
        }
    }

    /// What a buyer will do and is worth; None when there is no usable BG/NBD model.
    #[must_use]
    pub fn value(&self, buyer: &BuyerPurchases) -> Option<CustomerValue> {
        self.value_by(buyer, self.expected_if_active(&buyer.purchases)?)
    }

    /// The same for many buyers: what they have in common is computed once.
    #[must_use]
    pub fn prepared(&self) -> PreparedValue {
        PreparedValue::new(self)
    }

    /// The expected money of a purchase day, in minor units: not discounted, without the margin.
    #[must_use]
    pub fn expected_money(&self, buyer: &BuyerPurchases) -> f64 {
        let [x, sum] = buyer.repeat_money();
        match self.gamma_gamma.problem {
            None => self.gamma_gamma.model.expected_money(x, sum),
            Some(_) => self.mean_money,
        }
    }

    /// The value of a customer who buys for the first time now, in minor units: this purchase, and those of the horizon.
    /// None when there is no usable BG/NBD model.
    #[must_use]
    pub fn new_customer_clv(&self) -> Option<f64> {
        let purchases = Purchases { frequency: 0, recency_weeks: 0.0, age_weeks: 0.0 };
        let buyer = BuyerPurchases { purchases, repeat_revenue: 0 };
        Some(self.value(&buyer)?.clv + self.margin_rate * self.expected_money(&buyer))
    }

    /// The value of a lead with this probability to buy, in minor units; None without one, or without a usable BG/NBD
    /// model.
    #[must_use]
    pub fn lead_clv(&self, probability: Option<f64>) -> Option<f64> {
        Some(probability? * self.new_customer_clv()?)
    }

    pub(super) fn value_by(
        &self,
        buyer: &BuyerPurchases,
        expected: ExpectedIfActive,
    ) -> Option<CustomerValue> {
        let p_alive = self.usable_bg_nbd()?.probability_alive(&buyer.purchases);
        Some(CustomerValue {
            p_alive,
            expected_purchases: p_alive * expected.purchases,
            clv: self.margin_rate * self.expected_money(buyer) * p_alive * expected.discounted,
        })
    }

    pub(in crate::insight) fn usable_bg_nbd(&self) -> Option<&BgNbd> {
        self.bg_nbd.is_usable().then_some(&self.bg_nbd.model)
    }

    /// The sums over the weeks of the horizon, one by one.
    pub(super) fn expected_if_active(&self, purchases: &Purchases) -> Option<ExpectedIfActive> {
        let model = self.usable_bg_nbd()?;
        let rate_weeks = model.alpha + purchases.age_weeks;
        Some(self.sum_of_weeks(|weeks| model.expected_if_active(purchases.frequency, weeks / rate_weeks)))
    }

    /// Both sums over the weeks of the horizon by the expected purchases within so many weeks.
    pub(super) fn sum_of_weeks(&self, mut within: impl FnMut(f64) -> f64) -> ExpectedIfActive {
        let mut sum = ExpectedIfActive { purchases: 0.0, discounted: 0.0 };
        for end in self.spec.week_ends() {
            let purchases = within(end / WEEK);
            sum.discounted += self.spec.discount(end) * (purchases - sum.purchases);
            sum.purchases = purchases;
        }
        sum
    }
}
