//! The sampler: a seeded generator for each customer and purpose, and the distributions drawn from it.

use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// The generator of one customer and purpose.
pub(super) struct Sampler(Xoshiro256PlusPlus);

impl Sampler {
    /// The sampler of customer `n` for `purpose`: other customers and other purposes get independent ones.
    pub(super) fn new(seed: u64, n: usize, purpose: &[u64]) -> Self {
        let seed = splitmix(splitmix(seed) ^ n as u64);
        Self(Xoshiro256PlusPlus::seed_from_u64(purpose.iter().fold(seed, |seed, word| splitmix(seed ^ word))))
    }

    /// Uniform in [0, 1), from the upper 53 bits.
    pub(super) fn uniform(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.uniform() < probability
    }

    /// 1 to `most`.
    pub(super) fn up_to(&mut self, most: u32) -> u32 {
        1 + (self.uniform() * f64::from(most)) as u32
    }

    pub(super) fn pick<T: Copy, const N: usize>(&mut self, choices: &[T; N]) -> T {
        choices[(self.uniform() * N as f64) as usize]
    }

    /// An index, drawn in proportion to the weights.
    pub(super) fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut rest = self.uniform() * weights.iter().sum::<f64>();
        let chosen = weights.iter().position(|weight| {
            rest -= weight;
            rest < 0.0
        });
        // Rounding may leave a rest: then it is the last index with a positive weight.
        chosen.or_else(|| weights.iter().rposition(|weight| *weight > 0.0)).unwrap_or(0)
    }

    /// Exponential with mean 1, by inversion.
    pub(super) fn exponential(&mut self) -> f64 {
        -(-self.uniform()).ln_1p()
    }

    /// Gamma with mean and variance `shape`: for an integer shape, a sum of exponential variables.
    pub(super) fn gamma(&mut self, shape: u32) -> f64 {
        (0..shape).map(|_| self.exponential()).sum()
    }

    /// Normal with mean 0 and variance 1 (Box and Muller 1958, one of the pair).
    pub(super) fn normal(&mut self) -> f64 {
        (2.0 * self.exponential()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    pub(super) fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }
}

/// The output function of SplitMix64 (Steele, Lea and Flood 2014): every bit of the result depends on
/// every bit of `x`.
const fn splitmix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
