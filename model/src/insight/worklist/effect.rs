//! The effect of actions: customers who were on a list against those who were held out from it.

use crate::{evaluation::intervals::Interval, special::Z95};

/// The 80 % quantile, for the chance to see an effect that is there.
const Z_POWER: f64 = 0.841_621_233_572_914_4;

/// Customers who were treated alike, and how many of them bought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arm {
    /// The customers.
    pub customers: i64,
    /// Those of them who bought.
    pub successes: i64,
}

impl Arm {
    /// The share who bought; None for nobody.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        (self.customers > 0).then(|| self.successes as f64 / self.customers as f64)
    }

    /// The 95 % interval of the rate of somebody.
    fn interval(&self) -> Interval {
        Interval::of_share(self.successes, self.customers)
    }
}

/// A difference between two rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effect {
    /// The rate of the treated less that of the held out.
    pub difference: f64,
    /// Lower end of its 95 % interval.
    pub lower: f64,
    /// Upper end of its 95 % interval.
    pub upper: f64,
}

impl Effect {
    /// Whether it is more than chance: the interval does not hold 0.
    #[must_use]
    pub fn shows(&self) -> bool {
        self.lower > 0.0 || self.upper < 0.0
    }
}

/// The effect of an action, with the hybrid score interval of Newcombe (1998), method 10; None when nobody was treated,
/// or nobody held out.
///
/// ```
/// use tally_model::insight::{Arm, effect};
///
/// let treated = Arm { customers: 70, successes: 56 };
/// let held_out = Arm { customers: 80, successes: 48 };
/// let effect = effect(treated, held_out).unwrap();
/// assert_eq!(format!("{:.4} to {:.4}", effect.lower, effect.upper), "0.0524 to 0.3339");
/// ```
#[must_use]
pub fn effect(treated: Arm, held_out: Arm) -> Option<Effect> {
    let (p, q) = (treated.rate()?, held_out.rate()?);
    let (of_p, of_q) = (treated.interval(), held_out.interval());
    let difference = p - q;
    Some(Effect {
        difference,
        lower: difference - ((p - of_p.lower).powi(2) + (of_q.upper - q).powi(2)).sqrt(),
        upper: difference + ((of_p.upper - p).powi(2) + (q - of_q.lower).powi(2)).sqrt(),
    })
}

/// How many more customers it takes, treated and held out together in the present proportion, until an effect of the
/// present size shows in four of five cases (power 80 %, two-sided level 5 %; Fleiss, Levin and Paik 2003, chapter 4,
/// without correction for continuity). None when there is no effect, when it shows already, or when a group is empty.
#[must_use]
pub fn more_needed(treated: Arm, held_out: Arm) -> Option<i64> {
    let found = effect(treated, held_out)?;
    if found.shows() || found.difference == 0.0 {
        return None;
    }
    let (p, q) = (treated.rate()?, held_out.rate()?);
    let present = treated.customers + held_out.customers;
    let share = held_out.customers as f64 / present as f64;
    let needed = required(p, q, share).ceil();
    // More than that will never be.
    let needed = if needed < 1e15 { needed as i64 } else { return None };
    Some((needed - present).max(1))
}

/// The customers that it takes to see the difference between two rates, the second in this share of them.
fn required(p: f64, q: f64, share: f64) -> f64 {
    let weights = [1.0 / (1.0 - share), 1.0 / share];
    let mean = (1.0 - share) * p + share * q;
    let alike = (mean * (1.0 - mean) * (weights[0] + weights[1])).sqrt();
    let apart = (p * (1.0 - p) * weights[0] + q * (1.0 - q) * weights[1]).sqrt();
    ((Z95 * alike + Z_POWER * apart) / (p - q)).powi(2)
}

#[cfg(test)]
mod tests {
    use rand::{RngCore, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;

    const fn arm(successes: i64, customers: i64) -> Arm {
        Arm { customers, successes }
    }

    /// The table of Newcombe (1998), Statistics in Medicine 17, 873–890: method 10.
    #[test]
    fn intervals_are_those_of_the_paper() {
        for (treated, held_out, lower, upper) in [
            (arm(56, 70), arm(48, 80), "0.0524", "0.3339"),
            (arm(9, 10), arm(3, 10), "0.1705", "0.8090"),
            (arm(10, 10), arm(0, 20), "0.6791", "1.0000"),
            (arm(10, 10), arm(0, 10), "0.6075", "1.0000"),
        ] {
            let found = effect(treated, held_out).unwrap();
            assert_eq!([found.lower, found.upper].map(|end| format!("{end:.4}")), [lower, upper]);
            // The other way round it is the same, turned around.
            let turned = effect(held_out, treated).unwrap();
            assert!((turned.lower + found.upper).abs() < 1e-12 && (turned.upper + found.lower).abs() < 1e-12);
        }
        assert_eq!(effect(arm(0, 0), arm(1, 2)), None);
        assert_eq!(effect(arm(1, 2), arm(0, 0)), None);
        assert!(!effect(arm(0, 3), arm(0, 4)).unwrap().shows());
    }

    /// Sizes of Fleiss' formula without correction, as in tables of textbooks: per group, for groups of equal size.
    #[test]
    fn required_sizes_are_those_of_tables() {
        for (p, q, per_group) in [(0.05, 0.10, 435), (0.50, 0.60, 388), (0.10, 0.20, 199), (0.20, 0.30, 294)]
        {
            assert_eq!((required(p, q, 0.5) / 2.0).ceil() as i64, per_group, "{p} against {q}");
        }
        // 1 : 9 takes more in all than 1 : 1.
        assert!(required(0.3, 0.2, 0.1) > 2.5 * required(0.3, 0.2, 0.5));
    }

    #[test]
    fn more_is_needed_until_an_effect_shows() {
        assert_eq!(more_needed(arm(56, 70), arm(48, 80)), None, "it shows");
        assert_eq!(more_needed(arm(10, 20), arm(10, 20)), None, "there is none");
        assert_eq!(more_needed(arm(1, 2), arm(0, 0)), None);
        let more = more_needed(arm(12, 40), arm(8, 40)).unwrap();
        assert_eq!(more, required(0.3, 0.2, 0.5).ceil() as i64 - 80);
        // It could have shown by now.
        let unlucky = more_needed(arm(60, 100), arm(47, 100));
        assert!(unlucky.is_some_and(|more| more >= 1), "{unlucky:?}");
    }

    /// How many of 1,000 simulated experiments have an interval that holds the truth, and in how many the effect shows.
    fn simulate(seed: u64, (treated, p): (i64, f64), (held_out, q): (i64, f64)) -> (f64, f64) {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut draw = |customers: i64, rate: f64| {
            let buys = |_: &i64| ((random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64) < rate;
            Arm { customers, successes: (0..customers).filter(buys).count() as i64 }
        };
        let (mut covers, mut shows) = (0, 0);
        for _ in 0..1_000 {
            let found = effect(draw(treated, p), draw(held_out, q)).unwrap();
            covers += i32::from(found.lower <= p - q && p - q <= found.upper);
            shows += i32::from(found.shows());
        }
        (f64::from(covers) / 1_000.0, f64::from(shows) / 1_000.0)
    }

    #[test]
    fn intervals_hold_the_truth_in_95_of_100_simulations() {
        for (seed, treated, held_out) in [(1, 900, 100), (2, 500, 500), (3, 270, 30), (4, 2_700, 300)] {
            let (covers, _) = simulate(seed, (treated, 0.35), (held_out, 0.25));
            assert!((0.93..=0.97).contains(&covers), "{treated} against {held_out}: {covers}");
        }
    }

    #[test]
    fn a_useless_action_shows_no_effect() {
        for (seed, rate) in [(5, 0.3), (6, 0.1)] {
            let (_, shows) = simulate(seed, (900, rate), (100, rate));
            assert!((0.03..=0.07).contains(&shows), "{rate}: {shows}");
        }
    }

    #[test]
    fn the_size_that_is_named_shows_the_effect_in_four_of_five_cases() {
        let total = required(0.35, 0.25, 0.1).ceil();
        let held_out = (total / 10.0).round() as i64;
        let (_, shows) = simulate(7, (total as i64 - held_out, 0.35), (held_out, 0.25));
        assert!((0.75..=0.85).contains(&shows), "{shows}");
    }
}
