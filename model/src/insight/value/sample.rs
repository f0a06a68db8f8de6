//! What the value model is fitted to, collected from the facts of customers.

use super::{BuyerPurchases, MarginRate, gamma_gamma::FEWEST_CUSTOMERS};
use crate::{insight::Facts, time::Time};

/// The share of all money from which on one customer has so much of it that everybody's lifetime value follows from it.
const DOMINANT_SHARE: f64 = 0.5;

/// The purchases of buyers, and sums of their money. Those of parts of the customers are merged.
#[derive(Clone, Debug, Default)]
pub struct ValueSample {
    pub(super) buyers: Vec<BuyerPurchases>,
    /// Revenue ever, the purchase days that brought it, and the sum of the squares of what each brought.
    revenue_ever: i128,
    purchase_days: i128,
    /// The greatest revenue ever of one of them.
    greatest_revenue: i128,
    day_revenue_squares: i128,
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
        self.greatest_revenue = self.greatest_revenue.max(facts.ever.revenue.into());
        self.purchase_days += i128::from(purchases.count);
        self.day_revenue_squares = self.day_revenue_squares.saturating_add(facts.day_revenue_squares);
        let window = [facts.window.revenue, facts.window.returns, facts.window.cost].map(i128::from);
        self.revenue += window[0];
        self.profit += window[0] - window[1] - window[2];
    }

    /// Adds other customers.
    pub fn merge(&mut self, other: Self) {
        self.buyers.extend(other.buyers);
        self.revenue_ever += other.revenue_ever;
        self.purchase_days += other.purchase_days;
        self.greatest_revenue = self.greatest_revenue.max(other.greatest_revenue);
        self.day_revenue_squares = self.day_revenue_squares.saturating_add(other.day_revenue_squares);
        self.revenue += other.revenue;
        self.profit += other.profit;
    }

    /// The mean money of a purchase day, at least 0; 0 when there is none.
    pub(super) fn mean_money(&self) -> f64 {
        self.revenue_ever.max(0) as f64 / self.purchase_days.max(1) as f64
    }

    /// The warning that one customer has more than half of the money that the expected money follows from: that of the
    /// purchase days after the first when it is `fitted`, all money otherwise. Few customers get none: one of two has
    /// half of the money or more in any case.
    pub(super) fn warning(&self, fitted: bool) -> Option<String> {
        let (greatest, all, customers, what) = if fitted {
            let repeat = || self.buyers.iter().filter(|buyer| buyer.has_repeat_money());
            let money = || repeat().map(|buyer| i128::from(buyer.repeat_revenue));
            let greatest = money().max().unwrap_or_default();
            (greatest, money().sum::<i128>(), repeat().count(), "the purchase days after the first")
        } else {
            (self.greatest_revenue, self.revenue_ever, self.buyers.len(), "all purchases")
        };
        let share = greatest as f64 / all as f64;
        (customers >= FEWEST_CUSTOMERS && all > 0 && share > DOMINANT_SHARE).then(|| {
            format!(
                "one customer has {} % of the money of {what}, so that the lifetime values of all follow from it: are its \
                 amounts right?",
                // Rounded down: 100 % would be all of it.
                (1_000.0 * share.min(1.0)).floor() / 10.0
            )
        })
    }

    /// The variance of the money of a purchase day; 0 when there is none.
    pub(super) fn money_variance(&self) -> f64 {
        let days = self.purchase_days.max(1) as f64;
        let mean = self.revenue_ever as f64 / days;
        (self.day_revenue_squares as f64 / days - mean * mean).max(0.0)
    }

    /// How far the mean money may be from the mean of the distribution that it comes from, as a variance.
    pub(super) fn mean_money_variance(&self) -> f64 {
        self.money_variance() / self.purchase_days.max(1) as f64
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::bg_nbd::Purchases;

    fn sample(repeat: &[i64], ever: &[i64]) -> ValueSample {
        let buyer = |repeat_revenue: &i64| BuyerPurchases {
            purchases: Purchases { frequency: 1, recency_weeks: 1.0, age_weeks: 2.0 },
            repeat_revenue: *repeat_revenue,
        };
        let mut sample = ValueSample::default();
        for (repeat, ever) in repeat.iter().zip(ever) {
            sample.merge(ValueSample {
                buyers: vec![buyer(repeat)],
                revenue_ever: (*ever).into(),
                greatest_revenue: (*ever).into(),
                ..ValueSample::default()
            });
        }
        sample
    }

    #[test]
    fn more_than_half_of_the_money_of_one_customer_is_a_warning() {
        let with = |greatest: i64| [&[100; 10][..], &[greatest]].concat();
        let even = [200; 11];
        assert_eq!(sample(&with(1_000), &even).warning(true), None, "half of it");
        let more = sample(&with(1_001), &even).warning(true).unwrap();
        assert!(
            more.starts_with("one customer has 50 % of the money of the purchase days after the first,"),
            "{more}"
        );
        let absurd = sample(&with(1_000_000_000_000_000), &even);
        let text = absurd.warning(true).unwrap();
        assert!(text.starts_with("one customer has 99.9 % of the money of the purchase days"), "{text}");
        // Without a fit, all purchases count alike.
        assert_eq!(absurd.warning(false), None);
        let text = sample(&even, &with(3_000)).warning(false).unwrap();
        assert!(text.starts_with("one customer has 75 % of the money of all purchases"), "{text}");
    }

    #[test]
    fn few_customers_and_no_money_are_no_warning() {
        let nine = [&[1; 8][..], &[1_000]].concat();
        assert_eq!(sample(&nine, &nine).warning(true), None);
        assert_eq!(sample(&[0; 20], &[0; 20]).warning(true), None);
        assert_eq!(sample(&[-5; 20], &[-5; 20]).warning(false), None);
    }
}
