//! What a customer is likely to buy next, by the affinities of what it bought.

use std::collections::HashSet;

use super::AffinityPair;
use crate::time::Time;

/// A value that a customer has never bought, but is likely to.
#[derive(Clone, Debug, PartialEq)]
pub struct NextToBuy {
    /// The value.
    pub value: String,
    /// The value bought in the window that speaks for it most.
    pub because: String,
    /// Of the affinity between the two.
    pub confidence_lower: f64,
    /// Of the affinity between the two.
    pub lift: f64,
}

/// The affinities of a list, found by the value that they lead from.
#[derive(Clone, Debug)]
pub struct AffinityIndex {
    /// The values by their numbers.
    values: Vec<String>,
    /// The affinities in the order of the list.
    pairs: Vec<AffinityPair>,
    /// The places in `pairs` of the affinities that lead from each value.
    places: Vec<Vec<usize>>,
}

impl AffinityIndex {
    /// An index of the affinities of a list, in its order. `values` has the values by their numbers; affinities of other
    /// numbers are left out.
    #[must_use]
    pub fn new(values: Vec<String>, mut pairs: Vec<AffinityPair>) -> Self {
        pairs.retain(|pair| pair.from.max(pair.to) < values.len());
        let mut places = vec![Vec::new(); values.len()];
        for (place, pair) in pairs.iter().enumerate() {
            places[pair.from].push(place);
        }
        Self { values, pairs, places }
    }

    /// At most `most` values that a customer has not bought, by the affinities of the values that it last bought after
    /// `after`: the greatest `confidence_lower` first, then the greatest lift, then by value. `bought` has the numbers of
    /// all values that it ever bought, each with the time of the last purchase.
    #[must_use]
    pub fn next_to_buy(&self, bought: &[(usize, Time)], after: Time, most: usize) -> Vec<NextToBuy> {
        let mut known: HashSet<usize> = bought.iter().map(|(number, _)| *number).collect();
        let recent = bought.iter().filter(|(_, last_time)| *last_time > after);
        let mut places: Vec<usize> =
            recent.flat_map(|(number, _)| self.places.get(*number).into_iter().flatten()).copied().collect();
        // The first affinity of the list that leads to a value is the strongest.
        places.sort_unstable();
        let mut next: Vec<&AffinityPair> =
            places.iter().map(|place| &self.pairs[*place]).filter(|pair| known.insert(pair.to)).collect();
        next.sort_by(|one, other| {
            one.strength(other).then_with(|| self.values[one.to].cmp(&self.values[other.to]))
        });
        next.truncate(most);
        next.into_iter().map(|pair| self.named(pair)).collect()
    }

    fn named(&self, pair: &AffinityPair) -> NextToBuy {
        NextToBuy {
            value: self.values[pair.to].clone(),
            because: self.values[pair.from].clone(),
            confidence_lower: pair.confidence_lower,
            lift: pair.lift,
        }
    }
}
