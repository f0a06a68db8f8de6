//! Drift: how far the customers that are scored have moved from those that were learned from.
//!
//! At training a [`Reference`] keeps, for each feature and for the score, at most ten bins and how
//! many rows fell into each, with one more bin for missing values. [`Counts`] sorts a scored
//! population into the same bins. What the two say of each other are sizes of an effect, not
//! p-values: with many customers any difference is significant, and few matter.
//!
//! Everything that is added up is a whole number, so that no order of the rows changes a bit.

use serde::{Deserialize, Serialize};

use crate::{
    features::explain::FeatureValue,
    features::{Measure, Scale},
};

/// Numbers are cut into at most so many bins, of about equal size in training.
const BINS: usize = 10;
/// From this PSI on a shift is moderate …
pub const MODERATE: f64 = 0.1;
/// … and from this on large. Both are the convention of credit scoring (Siddiqi 2006, Credit Risk
/// Scorecards, ch. 9).
pub const LARGE: f64 = 0.25;
/// Standardised values are cut to ± this, and counted in millionths.
const MOST_DEVIATIONS: f64 = 1_000.0;
const MILLION: f64 = 1e6;

/// The bins of one quantity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "bins", rename_all = "snake_case")]
enum Bins {
    /// Bin n holds what is above edge n − 1 and not above edge n; the last what is above all.
    Number {
        /// Strictly rising; all below the greatest value of training, so that no bin was empty.
        edges: Vec<f64>,
        /// Mean in training.
        mean: f64,
        /// Standard deviation in training; 0 when there is none worth dividing by.
        sd: f64,
    },
    /// Bin n holds raw value n.
    Level {
        /// How many levels there are.
        levels: usize,
    },
}

impl Bins {
    /// Quantile bins of values in rising order.
    fn of_numbers(sorted: &[f64]) -> Self {
        let (Some(low), Some(high)) = (sorted.first(), sorted.last()) else {
            return Self::Number { edges: Vec::new(), mean: 0.0, sd: 0.0 };
        };
        // What is below the greatest value: edges come from there.
        let below = &sorted[..sorted.partition_point(|value| value < high)];
        let quantile = |n: usize| (n * sorted.len()).div_ceil(BINS).saturating_sub(1);
        let mut edges: Vec<f64> =
            (1..BINS).filter_map(|n| below.get(quantile(n)).or(below.last()).copied()).collect();
        edges.dedup();
        let n = sorted.len() as f64;
        let (mean, sd) = if low == high {
            (*low, 0.0)
        } else {
            let mean = sorted.iter().map(|value| value / n).sum::<f64>();
            let sd = sorted.iter().map(|value| (value - mean).powi(2) / n).sum::<f64>().sqrt();
            // Of values that are too great to be squared nothing is said.
            (mean, if sd.is_finite() { sd } else { 0.0 })
        };
        Self::Number { edges, mean, sd }
    }

    /// Without the one for missing values.
    const fn count(&self) -> usize {
        match self {
            Self::Number { edges, .. } => edges.len() + 1,
            Self::Level { levels } => *levels,
        }
    }

    /// Where a value belongs; missing ones behind all others.
    fn place(&self, value: f64) -> usize {
        match self {
            _ if value.is_nan() => self.count(),
            Self::Number { edges, .. } => edges.partition_point(|edge| *edge < value),
            Self::Level { levels } => (value as usize).min(levels - 1),
        }
    }

    /// How far a value is from the mean of training, in millionths of its standard deviation.
    fn deviation(&self, value: f64) -> i64 {
        match self {
            Self::Number { mean, sd, .. } if *sd > 0.0 && !value.is_nan() => {
                let deviations = ((value - mean) / sd).clamp(-MOST_DEVIATIONS, MOST_DEVIATIONS);
                (deviations * MILLION).round() as i64
            }
            _ => 0,
        }
    }

    fn is_sound(&self) -> bool {
        match self {
            Self::Number { edges, mean, sd } => {
                edges.len() < BINS
                    && edges.iter().chain([mean, sd]).all(|number| number.is_finite())
                    && edges.is_sorted_by(|a, b| a < b)
                    && *sd >= 0.0
            }
            Self::Level { levels } => *levels > 0,
        }
    }
}

/// The bins of one quantity, and how many rows of the training each holds; the last is for missing
/// values.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Distribution {
    #[serde(flatten)]
    bins: Bins,
    rows: Vec<u64>,
}

impl Distribution {
    fn new(bins: Bins, values: impl Iterator<Item = f64>) -> Self {
        let mut rows = vec![0; bins.count() + 1];
        values.for_each(|value| rows[bins.place(value)] += 1);
        Self { bins, rows }
    }

    fn of_numbers(values: &[f64]) -> Self {
        let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
        sorted.sort_by(f64::total_cmp);
        Self::new(Bins::of_numbers(&sorted), values.iter().copied())
    }

    fn is_sound(&self) -> bool {
        self.bins.is_sound() && self.rows.len() == self.bins.count() + 1 && total(&self.rows).is_some()
    }
}

/// The sum, if it is one.
fn total(rows: &[u64]) -> Option<u64> {
    rows.iter().try_fold(0_u64, |sum, rows| sum.checked_add(*rows))
}

/// What the rows of the training looked like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// The features, each with its place in the fold's row.
    features: Vec<(usize, Distribution)>,
    /// The probability.
    score: Distribution,
}

impl Reference {
    /// Looks at the chosen rows of a flat matrix of raw features and at their probabilities.
    ///
    /// `measures` are all features of a raw row, `places` those that are watched; `raw` has
    /// `measures.len()` values a row. The order of the rows does not matter.
    #[must_use]
    pub fn new(
        measures: &[Measure],
        places: impl IntoIterator<Item = usize>,
        raw: &[f64],
        rows: &[usize],
        probabilities: &[f64],
    ) -> Self {
        let features = places.into_iter().map(|place| {
            let column: Vec<f64> = rows.iter().map(|row| raw[row * measures.len() + place]).collect();
            let distribution = match levels(&measures[place]) {
                Some(levels) => Distribution::new(Bins::Level { levels }, column.into_iter()),
                None => Distribution::of_numbers(&column),
            };
            (place, distribution)
        });
        Self { features: features.collect(), score: Distribution::of_numbers(probabilities) }
    }

    /// Whether all is sound and belongs to a model with these features.
    #[must_use]
    pub fn fits(&self, measures: &[Measure]) -> bool {
        let belongs = |place: usize, bins: &Bins| match (measures.get(place).map(levels), bins) {
            (Some(Some(levels)), Bins::Level { levels: own }) => levels == *own,
            (Some(None), Bins::Number { .. }) => true,
            _ => false,
        };
        self.features.iter().all(|(place, values)| values.is_sound() && belongs(*place, &values.bins))
            && self.score.is_sound()
            && matches!(self.score.bins, Bins::Number { .. })
    }

    /// How many rows were learned from.
    #[must_use]
    pub fn rows(&self) -> u64 {
        total(&self.score.rows).unwrap_or(u64::MAX)
    }

    fn distributions(&self) -> impl Iterator<Item = &Distribution> {
        self.features.iter().map(|(_, distribution)| distribution).chain([&self.score])
    }
}

/// How many values a category or a boolean has; None for numbers.
const fn levels(measure: &Measure) -> Option<usize> {
    match measure {
        Measure::Attribute { scale: Scale::Category { levels }, .. } => Some(levels.len() + 1),
        Measure::Attribute { scale: Scale::Boolean, .. } => Some(2),
        _ => None,
    }
}

/// A scored population in the bins of a [`Reference`], in constant memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Customers that were scored.
    pub customers: u64,
    /// Those among them of whom nothing was known. They have no features and are not compared.
    pub cold: u64,
    /// One a feature of the reference, and the last of the score.
    tallies: Vec<Tally>,
}

/// The rows of one quantity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tally {
    /// Per bin.
    rows: Vec<u64>,
    /// The sum of [`Bins::deviation`].
    deviation: i64,
}

impl Counts {
    /// Nobody yet.
    #[must_use]
    pub fn new(reference: &Reference) -> Self {
        let empty = |values: &Distribution| Tally { rows: vec![0; values.rows.len()], deviation: 0 };
        Self { customers: 0, cold: 0, tallies: reference.distributions().map(empty).collect() }
    }

    /// Adds a customer: its raw row, empty when nothing is known of it, and its probability.
    pub fn add(&mut self, reference: &Reference, raw: &[f64], probability: f64) {
        self.customers += 1;
        if raw.is_empty() {
            self.cold += 1;
            return;
        }
        let values = reference.features.iter().map(|(place, _)| raw[*place]).chain([probability]);
        for ((tally, values_of), value) in self.tallies.iter_mut().zip(reference.distributions()).zip(values)
        {
            tally.rows[values_of.bins.place(value)] += 1;
            tally.deviation = tally.deviation.saturating_add(values_of.bins.deviation(value));
        }
    }

    /// Adds those that were counted in the same bins.
    pub fn merge(&mut self, others: &Self) {
        self.customers += others.customers;
        self.cold += others.cold;
        for (tally, other) in self.tallies.iter_mut().zip(&others.tallies) {
            tally.rows.iter_mut().zip(&other.rows).for_each(|(rows, more)| *rows += more);
            tally.deviation = tally.deviation.saturating_add(other.deviation);
        }
    }

    /// Whether they were counted in the bins of this reference.
    #[must_use]
    pub fn fit(&self, reference: &Reference) -> bool {
        self.tallies.len() == reference.features.len() + 1
            && self
                .tallies
                .iter()
                .zip(reference.distributions())
                .all(|(tally, values)| tally.rows.len() == values.rows.len() && total(&tally.rows).is_some())
    }
}

/// What a PSI says, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Below [`MODERATE`].
    Stable,
    /// Not below [`MODERATE`], but so few customers were compared that chance alone may do that.
    TooFew,
    /// Below [`LARGE`].
    Moderate,
    /// The model sees customers that it has not learned from.
    Large,
}

/// What a bin holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Bin {
    /// Numbers above the first and not above the second; None has no bound.
    Range(Option<f64>, Option<f64>),
    /// A level of a category, or a boolean.
    Level(FeatureValue),
    /// No value.
    Missing,
}

/// A bin and how much it holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// Which one.
    pub bin: Bin,
    /// Share of the rows of the training.
    pub training: f64,
    /// Share of the population; 0 when that is empty.
    pub population: f64,
}

/// How far one quantity has moved.
#[derive(Clone, Debug, PartialEq)]
pub struct Shift {
    /// The population stability index, Σ (q − p)·ln(q/p) over the bins; at least 0, always finite.
    pub psi: f64,
    /// What it comes to on average by chance alone, when nothing has moved.
    pub chance: f64,
    /// What that says.
    pub verdict: Verdict,
    /// Of numbers: the population's mean less that of the training, in standard deviations of the
    /// training (Glass's Δ; Glass 1976), values cut to ±1,000 of them. None when either side has no
    /// value, or the training none but one.
    pub mean_difference: Option<f64>,
    /// The population's share of missing values less that of the training.
    pub missing_difference: f64,
    /// The bins; that of missing values only where there are any.
    pub bins: Vec<Share>,
}

/// How far a population is from the training.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The probability.
    pub score: Shift,
    /// The features by name, the greatest PSI first.
    pub features: Vec<(String, Shift)>,
}

impl Report {
    /// Compares `counts` with the reference of a model whose raw rows have these `measures`; they
    /// [fit](Counts::fit) each other.
    #[must_use]
    pub fn new(measures: &[Measure], reference: &Reference, counts: &Counts) -> Self {
        let mut shifts = reference.distributions().zip(&counts.tallies);
        let features = reference.features.iter().zip(shifts.by_ref()).map(|((place, _), (values, tally))| {
            let measure = &measures[*place];
            (measure.to_string(), Shift::new(values, tally, |raw| FeatureValue::of(measure, raw)))
        });
        let mut features: Vec<(String, Shift)> = features.collect();
        features.sort_by(|(_, a), (_, b)| b.psi.total_cmp(&a.psi));
        let (values, tally) = (&reference.score, &counts.tallies[reference.features.len()]);
        Self { score: Shift::new(values, tally, FeatureValue::Number), features }
    }
}

impl Shift {
    fn new(values: &Distribution, tally: &Tally, name: impl Fn(f64) -> FeatureValue) -> Self {
        let (n, m) = (sum(&values.rows), sum(&tally.rows));
        let share = |rows: u64, all: f64| if all > 0.0 { rows as f64 / all } else { 0.0 };
        let missing = values.bins.count();
        let mut bins: Vec<Share> = values
            .rows
            .iter()
            .zip(&tally.rows)
            .enumerate()
            .map(|(place, (training, population))| Share {
                bin: values.bins.name(place, &name),
                training: share(*training, n),
                population: share(*population, m),
            })
            .collect();
        let missing_difference = bins[missing].population - bins[missing].training;
        bins.retain(|share| share.bin != Bin::Missing || share.training + share.population > 0.0);
        let (psi, chance) = psi(&values.rows, &tally.rows);
        let (before, now) = (sum(&values.rows[..missing]), sum(&tally.rows[..missing]));
        let comparable =
            matches!(values.bins, Bins::Number { sd, .. } if sd > 0.0 && before > 0.0 && now > 0.0);
        Self {
            psi,
            chance,
            verdict: Verdict::of(psi, chance, m),
            mean_difference: comparable.then(|| tally.deviation as f64 / MILLION / now),
            missing_difference,
            bins,
        }
    }
}

impl Bins {
    fn name(&self, place: usize, name: impl Fn(f64) -> FeatureValue) -> Bin {
        match self {
            _ if place == self.count() => Bin::Missing,
            Self::Number { edges, .. } => {
                let above = place.checked_sub(1).and_then(|place| edges.get(place));
                Bin::Range(above.copied(), edges.get(place).copied())
            }
            Self::Level { .. } => Bin::Level(name(place as f64)),
        }
    }
}

impl Verdict {
    /// Of a population of so many. Twice the mean of chance is exceeded by chance in 3 % of cases with
    /// eleven bins, and in 16 % with two (PSI is then distributed as χ²; Yurdakul 2018).
    fn of(psi: f64, chance: f64, population: f64) -> Self {
        match psi {
            _ if population == 0.0 => Self::TooFew,
            psi if psi < MODERATE => Self::Stable,
            psi if psi < 2.0 * chance => Self::TooFew,
            psi if psi < LARGE => Self::Moderate,
            _ => Self::Large,
        }
    }
}

fn sum(rows: &[u64]) -> f64 {
    rows.iter().sum::<u64>() as f64
}

/// The population stability index and its mean by chance alone, 0 when there is nothing to compare.
///
/// Half a row is added to every bin that is in use on either side (the estimate of Krichevsky and
/// Trofimov 1981): an empty bin would make the logarithm infinite. By chance alone the index is about
/// (B − 1)·(1/N + 1/M) for B bins and samples of N and M rows (Yurdakul 2018, Statistical Properties of
/// the Population Stability Index).
fn psi(training: &[u64], population: &[u64]) -> (f64, f64) {
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
    (used().map(term).sum(), (bins - 1.0) * (1.0 / n + 1.0 / m))
}
