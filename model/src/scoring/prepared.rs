//! The prepared score: everything about a score that does not depend on the passing of time.

use crate::{
    features::fold::{ElapsedTime, Row},
    label::Basis,
    scoring::tables::Lanes,
    time::Time,
};

/// A score except for its time-dependent features: valid until something else in the row changes.
#[derive(Clone, Debug)]
pub struct PreparedScore {
    pub(super) basis: Basis,
    /// The moment of the row.
    pub(super) as_of: Time,
    pub(super) known_at: Time,
    /// Neither moment may be as late as this. Only [`Scorer::prepared`](super::Scorer::prepared) computes it.
    pub(super) until: Time,
    /// When the relation began.
    pub(super) create_time: Option<Time>,
    pub(super) max_reasons: usize,
    /// What the features add that are not time-dependent.
    pub(super) sum: f64,
    /// The variance of the uncalibrated log-odds, without the dynamic lines.
    pub(super) variance: f64,
    /// The time-dependent features that have a value.
    pub(super) time_dependent: Vec<TimeDependent>,
    /// For the variance of their lines: see [`Tables::projection`](super::tables::Tables::projection).
    pub(super) projection: Vec<Lanes>,
    /// The strongest contributions of the others, strongest first.
    pub(super) strongest: Vec<Contribution>,
    /// The features without a value.
    pub(super) missing: Vec<u32>,
}

impl Default for PreparedScore {
    /// A score that is never valid.
    fn default() -> Self {
        let Row { as_of, known_at, create_time, .. } = Row::default();
        Self {
            basis: Basis::Cold,
            as_of,
            known_at,
            until: as_of,
            create_time,
            max_reasons: 0,
            sum: 0.0,
            variance: 0.0,
            time_dependent: Vec::new(),
            projection: Vec::new(),
            strongest: Vec::new(),
            missing: Vec::new(),
        }
    }
}

impl PreparedScore {
    /// The number of allocations that it owns.
    pub const PARTS: usize = 4;

    /// Empties the lists, keeping their allocations.
    pub(super) fn clear(&mut self) {
        self.time_dependent.clear();
        self.projection.clear();
        self.strongest.clear();
        self.missing.clear();
    }

    /// Whether it gives the score at `as_of`, as known at `known_at`, with up to `max_reasons` reasons.
    #[must_use]
    pub fn is_valid_at(&self, as_of: Time, known_at: Time, max_reasons: usize) -> bool {
        let has_begun = self.as_of <= as_of && self.known_at <= known_at;
        has_begun && as_of.max(known_at) < self.until && max_reasons <= self.max_reasons
    }

    /// The bytes of its allocations.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let Self { time_dependent, projection, strongest, missing, .. } = self;
        size_of_val(&**time_dependent)
            + size_of_val(&**projection)
            + size_of_val(&**strongest)
            + size_of_val(&**missing)
    }
}

/// A time-dependent feature.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeDependent {
    /// The index in the encoder.
    pub(super) feature: u32,
    /// Its value.
    pub(super) elapsed: ElapsedTime,
    /// What its cells add.
    pub(super) effect: f64,
}

/// What a feature adds to the uncalibrated log-odds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contribution {
    /// The index in the encoder.
    pub(super) feature: u32,
    pub(super) value: f64,
    pub(super) log_odds: f64,
}

impl Contribution {
    /// Inserts it into the at most `most` strongest contributions, unless it is weaker. Equally strong ones are in
    /// the order of the features.
    #[inline]
    pub(super) fn insert_into(self, strongest: &mut Vec<Self>, most: usize) {
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
                    Contribution { feature, value: 0.0, log_odds }.insert_into(&mut strongest, most);
                };
                if backwards { all.clone().rev().for_each(&mut put) } else { all.clone().for_each(&mut put) }
                let got: Vec<_> = strongest.iter().map(|one| (one.feature, one.log_odds)).collect();
                prop_assert_eq!(&got, &wanted);
            }
        }
    }
}
