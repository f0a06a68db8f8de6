//! The comparison of a population with the reference.

use super::{
    Counts, Reference,
    bins::{Bins, Distribution, MILLION},
    counts::Tally,
};
use crate::features::{Measure, explain::FeatureValue};

/// From this PSI on a shift is moderate …
pub const MODERATE: f64 = 0.1;
/// … and from this on large. Both are the convention of credit scoring (Siddiqi 2006, Credit Risk
/// Scorecards, ch. 9).
pub const LARGE: f64 = 0.25;

/// How much a PSI matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DriftLevel {
    /// Below [`MODERATE`].
    Stable,
    /// At least [`MODERATE`], but with so few customers that chance alone may cause it; or nobody to compare.
    TooFew,
    /// Below [`LARGE`].
    Moderate,
    /// At least [`LARGE`]: the customers differ from those in training.
    Large,
}

/// The values of a bin.
#[derive(Clone, Debug, PartialEq)]
pub enum Bin {
    /// Numbers above the first and not above the second; None is no bound.
    Range(Option<f64>, Option<f64>),
    /// A level of a category, or a boolean.
    Level(FeatureValue),
    /// No value.
    Missing,
}

/// A bin and its shares.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// The bin.
    pub bin: Bin,
    /// Its share of the training rows.
    pub training: f64,
    /// Its share of the population; 0 when the population is empty.
    pub population: f64,
}

/// How far one quantity has moved.
#[derive(Clone, Debug, PartialEq)]
pub struct Shift {
    /// The population stability index, Σ (q − p)·ln(q/p) over the bins; at least 0, always finite.
    pub psi: f64,
    /// The mean of the index by chance alone, when nothing has moved.
    pub chance: f64,
    /// How much that matters.
    pub level: DriftLevel,
    /// For numbers: the mean of the population minus that in training, in standard deviations in
    /// training (Glass's Δ; Glass 1976), values clamped to ±1,000 of them. None when either side has no
    /// value, or when training has a single one.
    pub mean_difference: Option<f64>,
    /// The share of missing values in the population minus that in training.
    pub missing_difference: f64,
    /// For features that are numbers: the share of the population whose value lies below the least or above the
    /// greatest that the model has learned from. None when that was not counted: the model or the population is of an
    /// older version.
    pub beyond: Option<f64>,
    /// The bins; that for missing values only when there are any.
    pub bins: Vec<Share>,
}

/// How far a population is from the training rows.
#[derive(Clone, Debug, PartialEq)]
pub struct DriftReport {
    /// The probability.
    pub score: Shift,
    /// The features by name, in falling order of PSI.
    pub features: Vec<(String, Shift)>,
}

impl DriftReport {
    /// Compares `counts` with the reference of a model whose raw rows have these `measures` and are of so many
    /// `customers`. The counts must [fit](Counts::fit) the reference.
    #[must_use]
    pub fn new(measures: &[Measure], reference: &Reference, counts: &Counts, customers: u64) -> Self {
        let mut shifts = reference.distributions().zip(&counts.tallies);
        let features = reference.features.iter().zip(shifts.by_ref()).map(|((place, _), (values, tally))| {
            let measure = &measures[*place];
            (measure.to_string(), Shift::new(values, tally, customers, |raw| FeatureValue::of(measure, raw)))
        });
        let mut features: Vec<(String, Shift)> = features.collect();
        features.sort_by(|(_, a), (_, b)| b.psi.total_cmp(&a.psi));
        let (values, tally) = (&reference.score, &counts.tallies[reference.features.len()]);
        Self { score: Shift::new(values, tally, customers, FeatureValue::Number), features }
    }
}

impl Shift {
    /// Whether so few customers are compared that chance alone may move them that far.
    #[must_use]
    pub fn may_be_chance(&self) -> bool {
        may_be_chance(self.psi, self.chance)
    }

    fn new(
        values: &Distribution,
        tally: &Tally,
        customers: u64,
        level: impl Fn(f64) -> FeatureValue,
    ) -> Self {
        let (n, m) = (sum(&values.rows), sum(&tally.rows));
        let share = |rows: u64, all: f64| if all > 0.0 { rows as f64 / all } else { 0.0 };
        let missing = values.bins.count();
        let mut bins: Vec<Share> = values
            .rows
            .iter()
            .zip(&tally.rows)
            .enumerate()
            .map(|(place, (training, population))| Share {
                bin: values.bins.describe(place, &level),
                training: share(*training, n),
                population: share(*population, m),
            })
            .collect();
        let missing_difference = bins[missing].population - bins[missing].training;
        bins.retain(|share| share.bin != Bin::Missing || share.training + share.population > 0.0);
        let (psi, chance) = psi(&values.rows, &tally.rows, customers);
        let (before, now) = (sum(&values.rows[..missing]), sum(&tally.rows[..missing]));
        let comparable =
            matches!(values.bins, Bins::Number { sd, .. } if sd > 0.0 && before > 0.0 && now > 0.0);
        Self {
            psi,
            chance,
            level: DriftLevel::of(psi, chance, n.min(m)),
            mean_difference: comparable.then(|| tally.deviation as f64 / MILLION / now),
            missing_difference,
            beyond: tally.beyond.map(|beyond| share(beyond, m)),
            bins,
        }
    }
}

impl DriftLevel {
    /// The level of a PSI where the smaller side has so many `rows`.
    fn of(psi: f64, chance: f64, rows: f64) -> Self {
        match psi {
            _ if rows == 0.0 => Self::TooFew,
            psi if psi < MODERATE => Self::Stable,
            psi if may_be_chance(psi, chance) => Self::TooFew,
            psi if psi < LARGE => Self::Moderate,
            _ => Self::Large,
        }
    }
}

/// Whether chance alone may move that far. It exceeds twice its mean in 3 % of cases with eleven bins, and in 16 % with two
/// (PSI is then distributed as χ²; Yurdakul 2018).
fn may_be_chance(psi: f64, chance: f64) -> bool {
    psi < 2.0 * chance
}

fn sum(rows: &[u64]) -> f64 {
    rows.iter().sum::<u64>() as f64
}

/// The population stability index and its mean by chance alone; 0 when there is nothing to compare.
///
/// Half a row is added to every bin that is in use on either side (the estimate of Krichevsky and
/// Trofimov 1981): an empty bin would make the logarithm infinite. By chance alone the index is about
/// (B − 1)·(1/N + 1/M) for B bins and samples of N and M rows (Yurdakul 2018, Statistical Properties of
/// the Population Stability Index). That needs independent rows: N is the number of `customers` that the rows
/// in training are of, since the snapshots of one customer are alike.
fn psi(training: &[u64], population: &[u64], customers: u64) -> (f64, f64) {
    let used = || training.iter().zip(population).filter(|(p, q)| **p > 0 || **q > 0);
    let (bins, n, m) = (used().count() as f64, sum(training), sum(population));
    if n == 0.0 || m == 0.0 {
        return (0.0, 0.0);
    }
    let share = |rows: u64, all: f64| (rows as f64 + 0.5) / (all + 0.5 * bins);
    let term = |(p, q): (&u64, &u64)| {
        let (p, q) = (share(*p, n), share(*q, m));
        (q - p) * (q / p).ln()
    };
    (used().map(term).sum(), (bins - 1.0) * (1.0 / customers as f64 + 1.0 / m))
}
