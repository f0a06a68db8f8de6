//! The value model against published figures, simulated buyers, and its own assumptions.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

#[path = "../buyers/mod.rs"]
mod buyers;
mod limits;
mod published;
mod recovery;
mod simulation;

use tally_model::{
    features::bg_nbd::{BgNbd, BgNbdFit, Purchases},
    insight::{BuyerPurchases, GammaGamma, GammaGammaFit, ValueModel, ValueSpec},
};

/// A model with given parameters, as if fitted.
fn value_model(bg_nbd: BgNbd, gamma_gamma: GammaGamma) -> ValueModel {
    let bg_nbd = BgNbdFit {
        model: bg_nbd,
        customers: 1_000,
        log_likelihood: -1.0,
        iterations: 5,
        gradient: 0.0,
        problem: None,
    };
    let gamma_gamma = GammaGammaFit {
        model: gamma_gamma,
        customers: 1_000,
        log_likelihood: -1.0,
        iterations: 5,
        problem: None,
    };
    ValueModel {
        spec: ValueSpec::default(),
        bg_nbd,
        bg_nbd_covariance: None,
        gamma_gamma,
        gamma_gamma_covariance: None,
        mean_money: 1_000.0,
        money_variance: 400_000.0,
        mean_money_variance: 0.0,
        margin_rate: 1.0,
        warning: None,
    }
}

/// A buyer by x, t_x and T in weeks, and the money of its repeat purchases.
fn buyer(frequency: u32, recency_weeks: f64, age_weeks: f64, repeat_revenue: i64) -> BuyerPurchases {
    BuyerPurchases { purchases: Purchases { frequency, recency_weeks, age_weeks }, repeat_revenue }
}

/// The parameters of the CDNOW sample, money in cents.
fn cdnow() -> ValueModel {
    let bg_nbd = BgNbd { r: 0.243, alpha: 4.414, a: 0.793, b: 2.426 };
    value_model(bg_nbd, GammaGamma { p: 6.25, q: 3.74, v: 1_544.0 })
}
