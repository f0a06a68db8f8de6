//! Affinities: what customers who bought one value of a property, such as a category, bought as well.
//!
//! A basket is the set of values that customers bought; how often and in which order does not count.

mod next;

use std::cmp::Ordering;

use crate::evaluation::intervals::Interval;

pub use next::{AffinityIndex, NextToBuy};

/// The fewest customers who bought both values of an affinity.
pub const LEAST_CUSTOMERS: i64 = 10;

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
    /// The lower end of the 95 % interval of [`confidence`](Self::confidence), by
    /// [`Interval::of_share`].
    pub confidence_lower: f64,
    /// The confidence by the share of all customers who bought `to_value`: 1 where the two are independent.
    pub lift: f64,
}

impl Affinity {
    /// The share of the customers who bought `from_value` that bought `to_value` as well.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        self.both as f64 / self.from_customers as f64
    }
}

/// An affinity by the numbers of its values.
#[derive(Clone, Copy, Debug)]
pub struct AffinityPair {
    /// The number of the value that they bought.
    pub from: usize,
    /// The number of the value that they bought as well.
    pub to: usize,
    /// See [`Affinity::confidence_lower`].
    pub confidence_lower: f64,
    /// See [`Affinity::lift`].
    pub lift: f64,
}

impl AffinityPair {
    /// An affinity among `customers`; None when it is not listed. Listed are those of [`LEAST_CUSTOMERS`] or more whose
    /// confidence is above the share of all customers who bought the second value, also at the lower end of its interval.
    fn listed(
        [from, to]: [usize; 2],
        [from_customers, to_customers, both]: [i64; 3],
        customers: i64,
    ) -> Option<Self> {
        let confidence_lower = Interval::of_share(both, from_customers).lower;
        let is_listed = both >= LEAST_CUSTOMERS && confidence_lower > to_customers as f64 / customers as f64;
        is_listed.then(|| Self {
            from,
            to,
            confidence_lower,
            lift: both as f64 * customers as f64 / (from_customers as f64 * to_customers as f64),
        })
    }

    /// The greatest `confidence_lower` first, then the greatest lift.
    fn strength(&self, other: &Self) -> Ordering {
        let by_confidence = other.confidence_lower.total_cmp(&self.confidence_lower);
        by_confidence.then_with(|| other.lift.total_cmp(&self.lift))
    }

    /// The order of the list: the strongest first, then by values.
    fn order(&self, other: &Self, values: &[String]) -> Ordering {
        self.strength(other)
            .then_with(|| values[self.from].cmp(&values[other.from]))
            .then_with(|| values[self.to].cmp(&values[other.to]))
    }
}

/// The strongest pairs of many.
struct Strongest<'a> {
    values: &'a [String],
    most: usize,
    pairs: Vec<AffinityPair>,
    left_out: usize,
}

impl Strongest<'_> {
    fn add(&mut self, pair: AffinityPair) {
        self.pairs.push(pair);
        if self.pairs.len() >= 2 * self.most.max(1) {
            self.cut();
        }
    }

    /// Leaves out all but the strongest.
    fn cut(&mut self) {
        if self.pairs.len() > self.most {
            self.pairs.select_nth_unstable_by(self.most, |one, other| one.order(other, self.values));
            self.left_out += self.pairs.len() - self.most;
            self.pairs.truncate(self.most);
        }
    }
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
/// let (found, left_out) = counter.affinities(&values, 1_000);
/// assert_eq!((found.len(), left_out), (2, 0));
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

    /// The strongest of the affinities that are listed, at most `most`, in their order, and how many others there are.
    /// `values` has the values by their numbers. Takes the memory of twice as many pairs, and of the texts of `most`.
    #[must_use]
    pub fn affinities(&self, values: &[String], most: usize) -> (Vec<Affinity>, usize) {
        let mut strongest = Strongest { values, most, pairs: Vec::new(), left_out: 0 };
        for b in 0..values.len() {
            for a in 0..b {
                let both = self.count(a, b);
                for [from, to] in [[a, b], [b, a]] {
                    let counts = [self.count(from, from), self.count(to, to), both];
                    AffinityPair::listed([from, to], counts, self.customers)
                        .into_iter()
                        .for_each(|pair| strongest.add(pair));
                }
            }
        }
        strongest.cut();
        strongest.pairs.sort_by(|one, other| one.order(other, values));
        let affinities = strongest.pairs.iter().map(|pair| self.affinity(pair, values)).collect();
        (affinities, strongest.left_out)
    }

    /// The customers who bought both values.
    fn count(&self, a: usize, b: usize) -> i64 {
        self.counts.get(place(a.min(b), a.max(b))).copied().unwrap_or_default()
    }

    fn affinity(&self, pair: &AffinityPair, values: &[String]) -> Affinity {
        let AffinityPair { from, to, confidence_lower, lift } = *pair;
        Affinity {
            from_value: values[from].clone(),
            to_value: values[to].clone(),
            from_customers: self.count(from, from),
            to_customers: self.count(to, to),
            both: self.count(from, to),
            confidence_lower,
            lift,
        }
    }
}

/// The place of the count of `a` and `b`, `a <= b`; with `a` 0 also the number of counts before it.
const fn place(a: usize, b: usize) -> usize {
    b * (b + 1) / 2 + a
}

#[cfg(test)]
#[path = "affinity/tests.rs"]
mod tests;
