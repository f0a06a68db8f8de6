//! Subscribers whose plan alone decides who cancels: a model that sees the plan is clearly better than one
//! that does not.

use prost_types::value::Kind;
use tally_model::time::{DAY, Time};

use super::NOW;
use crate::support::{Tally, customer, interaction, time};

/// The specs of a model that sees the plan, and of one that does not.
pub const SEEING: &str =
    "[features]\nkinds = []\nwindows_days = []\nattributes = [\"plan\"]\n[churn]\nevent = \"cancel\"\n";
pub const BLIND: &str =
    "[features]\nkinds = []\nwindows_days = []\nattributes = []\n[churn]\nevent = \"cancel\"\n";

/// A subscriber who pays once, at the start.
pub struct Subscriber {
    pub id: String,
    /// When the subscriber paid.
    pub paid: Time,
    pub amount: i64,
    /// Whether the subscriber has not cancelled by [`NOW`].
    pub stays: bool,
}

/// Stores five hundred subscribers. Six in ten of those with the plan `loose` cancel within any 90 days, of
/// the others one in twenty.
pub async fn store_subscribers(tally: &Tally) -> Vec<Subscriber> {
    let (mut customers, mut interactions, mut subscribers) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..500_i64 {
        let (plan, leaving) = if n % 2 == 0 { ("loose", 0.6_f64) } else { ("fixed", 0.05) };
        let paid = time("2022-06-01").plus_days(n * 640 / 500);
        let days = uniform(n).ln() / (1.0 - leaving).ln() * 90.0;
        let left = Time(paid.0 + (days * DAY as f64) as i64);
        let (id, amount) = (format!("s{n:03}"), 1_000 + n);
        customers.push(customer(&id, &paid.to_string(), &[("plan", Kind::StringValue(plan.to_owned()))]));
        let mut purchase = interaction(&id, "paid", "purchase", &paid.to_string());
        purchase.amount_minor = Some(amount);
        interactions.push(purchase);
        if left < time(NOW) {
            interactions.push(interaction(&id, "left", "cancel", &left.to_string()));
        }
        subscribers.push(Subscriber { id, paid, amount, stays: left >= time(NOW) });
    }
    tally.upsert(customers).await.unwrap();
    tally.backfill(interactions).await.unwrap();
    subscribers
}

/// The `n`-th of a series of numbers spread evenly over (0, 1).
fn uniform(n: i64) -> f64 {
    let draw = (n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
    (draw as f64 + 0.5) / (1_u64 << 53) as f64
}
