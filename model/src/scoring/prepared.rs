//! What a model makes of a customer as long as the row stands.

use crate::{
    features::fold::{ElapsedTime, Row},
    scoring::tables::Lanes,
    time::Time,
    training::snapshot::Basis,
};

/// What a model makes of a customer as long as the row stands: everything but what runs.
#[derive(Clone, Debug)]
pub struct PreparedScore {
    pub(super) basis: Basis,
    /// Of the row.
    pub(super) as_of: Time,
    pub(super) known_at: Time,
    /// Neither moment may be as late as this. It is looked for when this is to be kept.
    pub(super) until: Time,
    pub(super) max_reasons: usize,
    /// What the features add that do not run.
    pub(super) sum: f64,
    /// Of the uncalibrated log-odds, without the lines that run.
    pub(super) variance: f64,
    /// The features that run and have a value.
    pub(super) running: Vec<Running>,
    /// What it takes to add the variance of their lines.
    pub(super) projection: Vec<Lanes>,
    /// The strongest of the others, strongest first.
    pub(super) strongest: Vec<Contribution>,
    /// The features without a value.
    pub(super) missing: Vec<u32>,
}

impl Default for PreparedScore {
    /// What stands for no time at all.
    fn default() -> Self {
        let Row { as_of, known_at, .. } = Row::default();
        Self {
            basis: Basis::Cold,
            as_of,
            known_at,
            until: as_of,
            max_reasons: 0,
            sum: 0.0,
            variance: 0.0,
            running: Vec::new(),
            projection: Vec::new(),
            strongest: Vec::new(),
            missing: Vec::new(),
        }
    }
}

impl PreparedScore {
    /// The allocations that it consists of beside itself.
    pub const PARTS: usize = 4;

    /// Whether a score at `as_of`, as known at `known_at`, with so many reasons can be told by it.
    #[must_use]
    pub fn is_valid_at(&self, as_of: Time, known_at: Time, max_reasons: usize) -> bool {
        let begun = self.as_of <= as_of && self.known_at <= known_at;
        begun && as_of.max(known_at) < self.until && max_reasons <= self.max_reasons
    }

    /// The bytes that it takes beside itself.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let Self { running, projection, strongest, missing, .. } = self;
        size_of_val(&**running)
            + size_of_val(&**projection)
            + size_of_val(&**strongest)
            + size_of_val(&**missing)
    }
}

/// A feature that runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    /// Of the encoder.
    pub(super) feature: u32,
    /// Its value.
    pub(super) clock: ElapsedTime,
    /// What its cells add.
    pub(super) effect: f64,
}

/// What a feature adds to the uncalibrated log-odds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contribution {
    /// Of the encoder.
    pub(super) feature: u32,
    pub(super) value: f64,
    pub(super) log_odds: f64,
}

impl Contribution {
    /// Puts it among the strongest, of which there are at most so many. Equally strong ones go in the order of
    /// the features.
    #[inline]
    pub(super) fn put_among(self, strongest: &mut Vec<Self>, most: usize) {
        let comes_after = |other: &Self| {
            let order = other.log_odds.abs().total_cmp(&self.log_odds.abs()).reverse();
            order.then(other.feature.cmp(&self.feature)).is_lt()
        };
        if strongest.len() == most {
            match strongest.last() {
                Some(weakest) if !comes_after(weakest) => strongest.pop(),
                _ => return,
            };
        }
        let place = strongest.partition_point(comes_after);
        strongest.insert(place, self);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_strongest_are_the_first_ones_of_all_in_order(
            log_odds in prop::collection::vec((-3_i32..=3).prop_map(f64::from), 0..20),
            most in 0_usize..25,
        ) {
            let all = log_odds.iter().enumerate().map(|(n, log_odds)| (n as u32, *log_odds));
            let mut wanted: Vec<(u32, f64)> = all.clone().collect();
            // Stable: equally strong ones stay in the order of the features.
            wanted.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
            wanted.truncate(most);
            for backwards in [false, true] {
                let mut strongest = Vec::new();
                let mut put = |(feature, log_odds)| {
                    Contribution { feature, value: 0.0, log_odds }.put_among(&mut strongest, most);
                };
                if backwards { all.clone().rev().for_each(&mut put) } else { all.clone().for_each(&mut put) }
                let got: Vec<_> = strongest.iter().map(|one| (one.feature, one.log_odds)).collect();
                prop_assert_eq!(&got, &wanted);
            }
        }
    }
}
