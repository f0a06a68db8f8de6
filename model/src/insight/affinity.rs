//! Affinities: what customers who bought one value of a property, such as a category, bought as well.
//!
//! A basket is the set of values that customers bought; how often and in which order does not count.

use std::cmp::Ordering;

/// The fewest customers who bought both values of an affinity.
pub const LEAST_CUSTOMERS: i64 = 10;

/// The 97.5 % quantile of the normal distribution, for intervals of 95 %.
const Z95: f64 = 1.959_963_984_540_054;

/// Customers who bought one value bought another one more often than customers in general.
#[derive(Clone, Debug, PartialEq)]
pub struct Affinity {
    /// The value that they bought.
    pub from_value: String,
    /// The value that they bought as well.
    pub to_value: String,
    /// The customers who bought `from_value`.
    pub from_customers: i64,
    /// The customers who bought `to_value`.
    pub to_customers: i64,
    /// The customers who bought both.
    pub both: i64,
    /// The lower end of the 95 % interval of [`confidence`](Self::confidence), by [`wilson_lower`].
    pub confidence_lower: f64,
    /// The confidence by the share of all customers who bought `to_value`: 1 where the two are independent.
    pub lift: f64,
}

impl Affinity {
    /// An affinity among `customers`; None when it is not listed. Listed are those of [`LEAST_CUSTOMERS`] or more whose
    /// confidence is above the share of all customers who bought `to_value`, also at the lower end of its interval.
    fn listed(
        [from_value, to_value]: [&str; 2],
        [from_customers, to_customers, both]: [i64; 3],
        customers: i64,
    ) -> Option<Self> {
        let confidence_lower = wilson_lower(both, from_customers);
        let is_listed = both >= LEAST_CUSTOMERS && confidence_lower > to_customers as f64 / customers as f64;
        is_listed.then(|| Self {
            from_value: from_value.to_owned(),
            to_value: to_value.to_owned(),
            from_customers,
            to_customers,
            both,
            confidence_lower,
            lift: both as f64 * customers as f64 / (from_customers as f64 * to_customers as f64),
        })
    }

    /// The share of the customers who bought `from_value` that bought `to_value` as well.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        self.both as f64 / self.from_customers as f64
    }

    /// The order of the list: the greatest `confidence_lower` first, then the greatest lift, then by values.
    fn order(&self, other: &Self) -> Ordering {
        let strength = |of: &Self| (of.confidence_lower, of.lift);
        let ((own_lower, own_lift), (lower, lift)) = (strength(self), strength(other));
        lower
            .total_cmp(&own_lower)
            .then_with(|| lift.total_cmp(&own_lift))
            .then_with(|| self.from_value.cmp(&other.from_value))
            .then_with(|| self.to_value.cmp(&other.to_value))
    }
}

/// The lower end of the 95 % interval of a share (Wilson 1927), `successes` of `trials` above 0. It does not go below 0,
/// and is honest also for few trials.
#[must_use]
pub fn wilson_lower(successes: i64, trials: i64) -> f64 {
    let (n, share) = (trials as f64, successes as f64 / trials as f64);
    let z2 = Z95 * Z95;
    let half = Z95 * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt();
    (share + z2 / (2.0 * n) - half) / (1.0 + z2 / n)
}

/// Counts the customers who bought two values, for all pairs of values, which have numbers from 0.
///
/// ```
/// use tally_model::insight::AffinityCounter;
///
/// let mut counter = AffinityCounter::new(2);
/// counter.add(&[0, 1], 30);
/// counter.add(&[], 70);
/// let values = ["coffee".to_owned(), "cups".to_owned()];
/// let found = counter.affinities(&values);
/// assert_eq!((found[0].from_value.as_str(), found[0].both), ("coffee", 30));
/// ```
#[derive(Clone, Debug)]
pub struct AffinityCounter {
    customers: i64,
    /// The customers who bought the values `a <= b`, at b (b + 1) / 2 + a.
    counts: Vec<i64>,
}

impl AffinityCounter {
    /// Nobody yet, for this many values.
    #[must_use]
    pub fn new(values: usize) -> Self {
        Self { customers: 0, counts: vec![0; place(0, values)] }
    }

    /// Adds customers with the same basket: the numbers of its values, each once and rising. Customers who bought none
    /// of these values, but others of the property, have an empty one.
    pub fn add(&mut self, basket: &[usize], customers: i64) {
        self.customers += customers;
        for (n, b) in basket.iter().enumerate() {
            for a in &basket[..=n] {
                if let Some(count) = self.counts.get_mut(place(*a, *b)) {
                    *count += customers;
                }
            }
        }
    }

    /// The customers that were added.
    #[must_use]
    pub const fn customers(&self) -> i64 {
        self.customers
    }

    /// The affinities that are listed, in their order. `values` has the values by their numbers.
    #[must_use]
    pub fn affinities(&self, values: &[String]) -> Vec<Affinity> {
        let count = |a, b| self.counts.get(place(a, b)).copied().unwrap_or_default();
        let mut listed = Vec::new();
        for b in 0..values.len() {
            for a in 0..b {
                let both = count(a, b);
                for [from, to] in [[a, b], [b, a]] {
                    let counts = [count(from, from), count(to, to), both];
                    listed.extend(Affinity::listed([&values[from], &values[to]], counts, self.customers));
                }
            }
        }
        listed.sort_by(Affinity::order);
        listed
    }
}

/// The place of the count of `a` and `b`, `a <= b`; with `a` 0 also the number of counts before it.
const fn place(a: usize, b: usize) -> usize {
    b * (b + 1) / 2 + a
}

#[cfg(test)]
#[path = "affinity/tests.rs"]
mod tests;
