//! Customers by stage as a Markov chain.

use super::StageTransition;
use crate::insight::LifeCycle;

/// The number of stages.
pub(super) const STAGES: usize = LifeCycle::ALL.len();
type PerStage<T> = [T; STAGES];

/// How often customers went from each stage to each in a step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TransitionCounts(PerStage<PerStage<u64>>);

/// The number of customers in a stage, and its variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StageCount {
    pub(super) expected: f64,
    pub(super) variance: f64,
}

impl TransitionCounts {
    /// Counts the steps of a customer from stage to stage; those before it exists do not count.
    pub(super) fn add(&mut self, stages: &[Option<LifeCycle>]) {
        for step in stages.windows(2) {
            if let [Some(from), Some(to)] = step {
                self.0[*from as usize][*to as usize] += 1;
            }
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (row, other) in self.0.iter_mut().zip(other.0) {
            row.iter_mut().zip(other).for_each(|(count, other)| *count += other);
        }
    }

    fn total(&self, from: usize) -> u64 {
        self.0[from].iter().sum()
    }

    /// The probabilities; a stage without observations stays as it is.
    fn probabilities(&self) -> PerStage<PerStage<f64>> {
        std::array::from_fn(|from| {
            let total = self.total(from);
            std::array::from_fn(|to| match total {
                0 => f64::from(u8::from(from == to)),
                _ => self.0[from][to] as f64 / total as f64,
            })
        })
    }

    /// All transitions with a probability above 0.
    pub(super) fn transitions(&self) -> Vec<StageTransition> {
        let probabilities = self.probabilities();
        let pairs = LifeCycle::ALL.into_iter().flat_map(|from| LifeCycle::ALL.map(|to| (from, to)));
        let transition = |(from, to): (LifeCycle, LifeCycle)| StageTransition {
            from,
            to,
            customers: self.0[from as usize][to as usize],
            probability: probabilities[from as usize][to as usize],
        };
        pairs.map(transition).filter(|transition| transition.probability > 0.0).collect()
    }

    /// The customers in each stage after each of `steps` steps, by those in each stage now.
    ///
    /// Each customer goes its own way, so that the number in a stage is a sum of binomial variables: its chance. The
    /// probabilities are themselves shares of a multinomial count, one for each row; their variances and covariances
    /// reach the numbers by the derivatives (delta method).
    pub(super) fn forecast(&self, now: PerStage<u64>, steps: usize) -> Vec<PerStage<StageCount>> {
        let probabilities = self.probabilities();
        let now = now.map(|customers| customers as f64);
        // The expected customers after each step, and the probabilities of as many steps.
        let (mut expected, mut powers) = (vec![now], vec![identity()]);
        for step in 0..steps {
            expected.push(row_times(&expected[step], &probabilities));
            powers.push(std::array::from_fn(|from| row_times(&powers[step][from], &probabilities)));
        }
        let count = |step: usize, stage: usize| {
            let chance: f64 = (0..STAGES)
                .map(|from| now[from] * powers[step][from][stage] * (1.0 - powers[step][from][stage]))
                .sum();
            let parameters: f64 = (0..STAGES)
                .map(|from| {
                    // The derivative by each probability of the row.
                    let slope = |to: usize| -> f64 {
                        (0..step).map(|done| expected[done][from] * powers[step - 1 - done][to][stage]).sum()
                    };
                    self.variance(from, &probabilities[from], std::array::from_fn(slope))
                })
                .sum();
            StageCount { expected: expected[step][stage], variance: chance + parameters }
        };
        (1..=steps).map(|step| std::array::from_fn(|stage| count(step, stage))).collect()
    }

    /// The variance of a sum of the probabilities of a row, each times its weight.
    fn variance(&self, from: usize, probabilities: &PerStage<f64>, weights: PerStage<f64>) -> f64 {
        let mean = |of: fn(f64) -> f64| -> f64 {
            weights.iter().zip(probabilities).map(|(weight, probability)| probability * of(*weight)).sum()
        };
        let first = mean(|weight| weight);
        (mean(|weight| weight * weight) - first * first).max(0.0) / self.total(from).max(1) as f64
    }

    /// For each stage the expected number of steps to the loss, 0 of those who are lost; None when a customer may come
    /// to stages from which none leads to it.
    pub(super) fn steps_to_loss(&self) -> PerStage<Option<f64>> {
        let lost = LifeCycle::Lost as usize;
        let probabilities = self.probabilities();
        let leads = |from: usize, to: usize| from != lost && probabilities[from][to] > 0.0;
        // Stages from which the loss can be reached, then those from which nothing else can.
        let mut reaches: PerStage<bool> = std::array::from_fn(|stage| stage == lost);
        for _ in 0..STAGES {
            reaches = std::array::from_fn(|from| {
                reaches[from] || (0..STAGES).any(|to| leads(from, to) && reaches[to])
            });
        }
        let mut surely = reaches;
        for _ in 0..STAGES {
            surely = std::array::from_fn(|from| {
                surely[from] && (0..STAGES).all(|to| !leads(from, to) || surely[to])
            });
        }
        let steps = absorption(&probabilities, |stage| surely[stage] && stage != lost);
        std::array::from_fn(|stage| surely[stage].then_some(steps[stage]))
    }
}

/// The expected number of steps within the stages that are `counted`: s = 1 + P·s there, 0 elsewhere. By elimination
/// without subtractions (Grassmann, Taksar and Heyman 1985), so that no digits are lost when leaving is rare.
fn absorption(probabilities: &PerStage<PerStage<f64>>, counted: impl Fn(usize) -> bool) -> PerStage<f64> {
    let stages: Vec<usize> = (0..STAGES).filter(|stage| counted(*stage)).collect();
    let mut p = *probabilities;
    let mut steps = [0.0; STAGES];
    let mut own = [1.0; STAGES];
    for (n, stage) in stages.iter().enumerate().rev() {
        // What leaves the stage for those that are not eliminated yet, or out of all.
        let out: f64 = (0..STAGES).filter(|to| !stages[n..].contains(to)).map(|to| p[*stage][to]).sum();
        own[*stage] /= out;
        p[*stage].iter_mut().for_each(|probability| *probability /= out);
        for from in &stages[..n] {
            let through = p[*from][*stage];
            own[*from] += through * own[*stage];
            for to in (0..STAGES).filter(|to| !stages[n..].contains(to)) {
                p[*from][to] += through * p[*stage][to];
            }
        }
    }
    for (n, stage) in stages.iter().enumerate() {
        steps[*stage] = own[*stage] + stages[..n].iter().map(|to| p[*stage][*to] * steps[*to]).sum::<f64>();
    }
    steps
}

fn identity() -> PerStage<PerStage<f64>> {
    std::array::from_fn(|from| std::array::from_fn(|to| f64::from(u8::from(from == to))))
}

fn row_times(row: &PerStage<f64>, matrix: &PerStage<PerStage<f64>>) -> PerStage<f64> {
    std::array::from_fn(|to| (0..STAGES).map(|from| row[from] * matrix[from][to]).sum())
}

#[cfg(test)]
mod tests {
    use rand::{RngCore, SeedableRng};
    use rand_xoshiro::Xoshiro256PlusPlus;

    use super::*;
    use crate::insight::LifeCycle::{Growing, Lead, Lost, Mature, New};

    /// Counts of single steps, and the customers of each stage now.
    fn counted(steps: &[(LifeCycle, LifeCycle, usize)]) -> TransitionCounts {
        let mut counts = TransitionCounts::default();
        for (from, to, times) in steps {
            for _ in 0..*times {
                counts.add(&[None, Some(*from), Some(*to)]);
            }
        }
        counts
    }

    fn now(customers: &[(LifeCycle, u64)]) -> PerStage<u64> {
        let mut stages = [0; STAGES];
        customers.iter().for_each(|(stage, count)| stages[*stage as usize] = *count);
        stages
    }

    #[test]
    fn customers_go_the_way_of_those_before_them() {
        let counts = counted(&[
            (New, Growing, 3),
            (New, Lost, 1),
            (Growing, Growing, 1),
            (Growing, Lost, 1),
            (Lead, Mature, 2),
        ]);
        let forecast = counts.forecast(now(&[(New, 10), (Growing, 20), (Lost, 5)]), 2);
        let expected = |step: usize| forecast[step].map(|count| count.expected);
        // Growing: 10 · ¾ + 20 · ½; lost: 5 + 10 · ¼ + 20 · ½, which stay.
        assert_eq!(expected(0), [0.0, 0.0, 17.5, 0.0, 0.0, 0.0, 17.5]);
        assert_eq!(expected(1), [0.0, 0.0, 8.75, 0.0, 0.0, 0.0, 26.25]);
        // Chance: 10 · ¾ · ¼ + 20 · ½ · ½. Parameters: 10² · ¾ · ¼ / 4 + 20² · ½ · ½ / 2.
        let variance = 1.875 + 5.0 + 4.687_5 + 50.0;
        assert!((forecast[0][Growing as usize].variance - variance).abs() < 1e-12);
        assert_eq!(forecast[0][Mature as usize], StageCount { expected: 0.0, variance: 0.0 });

        // Of those who grow, half are lost in each step; a lead becomes mature and stays so.
        let steps = counts.steps_to_loss();
        let found = [New, Growing, Lost, Lead, Mature].map(|stage| steps[stage as usize]);
        assert_eq!(found, [Some(1.0 + 0.75 * 2.0), Some(2.0), Some(0.0), None, None]);
        let stays = counts.transitions().into_iter().find(|transition| transition.from == Mature).unwrap();
        assert_eq!((stays.to, stays.customers, stays.probability), (Mature, 0, 1.0));
    }

    #[test]
    fn a_loss_may_be_far_away() {
        let counts = counted(&[(New, Growing, 1), (Growing, New, 999_999), (Growing, Lost, 1)]);
        let steps = counts.steps_to_loss();
        assert!((steps[New as usize].unwrap() / 2e6 - 1.0).abs() < 1e-12, "{steps:?}");
        assert!((steps[Growing as usize].unwrap() - (2e6 - 1.0)).abs() < 1e-6, "{steps:?}");
    }

    #[test]
    fn intervals_hold_what_comes() {
        let truth = [
            (Lead, vec![(Lead, 0.9), (New, 0.1)]),
            (New, vec![(New, 0.5), (Growing, 0.3), (Lost, 0.2)]),
            (Growing, vec![(Growing, 0.6), (Mature, 0.3), (Lost, 0.1)]),
            (Mature, vec![(Mature, 0.9), (Lost, 0.1)]),
            (Lost, vec![(Lost, 0.95), (Growing, 0.05)]),
        ];
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        let mut next = |from: LifeCycle| {
            let mut left = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
            let (_, row) = truth.iter().find(|(stage, _)| *stage == from).unwrap();
            row.iter()
                .find(|(_, share)| {
                    left -= share;
                    left < 0.0
                })
                .map_or(from, |(to, _)| *to)
        };
        let (mut inside, mut all) = (0, 0);
        for _ in 0..150 {
            let mut counts = TransitionCounts::default();
            let mut stages: Vec<LifeCycle> = [Lead, New, Growing, Mature, Lost].repeat(60);
            for _ in 0..4 {
                for stage in &mut stages {
                    let to = next(*stage);
                    counts.add(&[Some(*stage), Some(to)]);
                    *stage = to;
                }
            }
            let count = |stages: &[LifeCycle], stage: LifeCycle| {
                stages.iter().filter(|one| **one == stage).count() as u64
            };
            let forecast = counts.forecast(LifeCycle::ALL.map(|stage| count(&stages, stage)), 5);
            for step in forecast {
                stages.iter_mut().for_each(|stage| *stage = next(*stage));
                for stage in [Lead, New, Growing, Mature, Lost] {
                    let StageCount { expected, variance } = step[stage as usize];
                    all += 1;
                    let error = count(&stages, stage) as f64 - expected;
                    inside += u32::from(error.abs() <= crate::special::Z95 * variance.sqrt());
                }
            }
        }
        let share = f64::from(inside) / f64::from(all);
        assert!((0.93..0.97).contains(&share), "{inside} of {all}");
    }
}
