//! Snapshots: the training rows. A customer at an `as_of`, its label, and where such rows stand.
//!
//! A label looks at (as_of, as_of + horizon]. A snapshot whose horizon is not over at the training's
//! own `as_of` is never used.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    features::bg_nbd::Purchases,
    features::fold::Fold,
    features::{Forecast, Plan},
    history::{History, kind},
    spec::{ChurnEvent, Spec, Target},
    time::Time,
};

/// How many churn cutoffs are used at most, the latest ones.
const CUTOFFS: u32 = 24;

/// What a score of a customer can rest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The model.
    Model,
    /// Neither interactions nor attributes are known: the average.
    Cold,
}

/// Why a customer has no score for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ineligible {
    /// A lead score was asked for, but there is a purchase already.
    NotALead,
    /// A churn score was asked for, but there is no purchase yet.
    NotABuyer,
    /// A churn score was asked for, but the customer has cancelled.
    AlreadyCancelled,
}

/// Which customers a target is about, and what its outcome is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelDefinition {
    /// What is foretold.
    pub target: Target,
    /// What counts as leaving, when the target is churn.
    pub event: ChurnEvent,
    /// Days after `as_of` that decide.
    pub horizon_days: u32,
}

impl LabelDefinition {
    /// The outcome that `spec` defines for `target`.
    #[must_use]
    pub const fn new(target: Target, spec: &Spec) -> Self {
        Self { target, event: spec.churn.event, horizon_days: spec.horizon_days(target) }
    }

    /// Whether a customer can be scored at `as_of`, as known at `known_at`, and on which basis.
    ///
    /// # Errors
    /// [`Ineligible`] says why not.
    pub fn eligible(self, history: &History, as_of: Time, known_at: Time) -> Result<Basis, Ineligible> {
        let has = |kind: &str| history.has(kind, None, as_of, known_at);
        match (self.target, self.event) {
            (Target::Lead, _) if has(kind::PURCHASE) => return Err(Ineligible::NotALead),
            (Target::Churn, ChurnEvent::Inactivity) if !has(kind::PURCHASE) => {
                return Err(Ineligible::NotABuyer);
            }
            (Target::Churn, ChurnEvent::Cancel) if has(kind::CANCEL) => {
                return Err(Ineligible::AlreadyCancelled);
            }
            _ => {}
        }
        let silent = history.visible(as_of, known_at).next().is_none();
        let blank = history.version_at(as_of, known_at).is_none_or(|version| version.attributes.is_empty());
        Ok(if silent && blank { Basis::Cold } else { Basis::Model })
    }

    /// Whether the outcome came about in (as_of, as_of + horizon], as known at `known_at`.
    #[must_use]
    pub fn label(self, history: &History, as_of: Time, known_at: Time) -> bool {
        let wanted = match (self.target, self.event) {
            (Target::Churn, ChurnEvent::Cancel) => kind::CANCEL,
            _ => kind::PURCHASE,
        };
        let happened = history.has(wanted, Some(as_of), self.horizon_end(as_of), known_at);
        match (self.target, self.event) {
            (Target::Churn, ChurnEvent::Inactivity) => !happened,
            _ => happened,
        }
    }

    /// The BG/NBD features that foretell this outcome, not fitted yet: of churn by inactivity.
    #[must_use]
    pub fn forecast(self) -> Option<Forecast> {
        (self.target == Target::Churn && self.event == ChurnEvent::Inactivity)
            .then_some(Forecast { days: self.horizon_days, model: None })
    }

    /// The last moment that decides about a snapshot at `as_of`.
    #[must_use]
    pub const fn horizon_end(self, as_of: Time) -> Time {
        as_of.plus_days(self.horizon_days as i64)
    }
}

/// The training rows, flat: row `i` has its features at `features[i * width..]`. Rows are ordered
/// by customer as added, and by `as_of` within one.
#[derive(Clone, Debug, Default)]
pub struct Snapshots {
    /// The customers that have rows.
    pub customers: Vec<String>,
    /// Per row: index into `customers`.
    pub customer: Vec<u32>,
    /// Per row: the moment.
    pub as_of: Vec<Time>,
    /// Per row: whether the outcome came about.
    pub label: Vec<bool>,
    /// Raw feature values, row by row.
    pub features: Vec<f64>,
    /// Per row what the BG/NBD model looks at, when the plan has a forecast.
    pub purchases: Vec<Purchases>,
    /// The same of every buyer at the training's own `as_of`.
    pub buyers: Vec<Purchases>,
}

impl Snapshots {
    /// How many rows there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.label.len()
    }

    /// Whether there is no row.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.label.is_empty()
    }

    /// Whose the row is.
    #[must_use]
    pub fn customer_id(&self, row: usize) -> &str {
        &self.customers[self.customer[row] as usize]
    }

    /// How many rows have the outcome.
    #[must_use]
    pub fn positives(&self) -> usize {
        self.label.iter().filter(|label| **label).count()
    }

    /// Makes room for so many more rows.
    pub fn reserve(&mut self, rows: usize, width: usize) {
        self.customer.reserve(rows);
        self.as_of.reserve(rows);
        self.label.reserve(rows);
        self.features.reserve(rows * width);
    }

    /// Adds the snapshots of other customers behind these.
    pub fn append(&mut self, mut others: Self) {
        let before = self.customers.len() as u32;
        self.customers.append(&mut others.customers);
        self.customer.extend(others.customer.iter().map(|customer| before + customer));
        self.as_of.append(&mut others.as_of);
        self.label.append(&mut others.label);
        self.features.append(&mut others.features);
        self.purchases.append(&mut others.purchases);
        self.buyers.append(&mut others.buyers);
    }

    /// Appends the raw values of a row as another plan has them that [`Plan::is_like`] the one of these rows.
    pub fn row_of(&self, plan: &Plan, row: usize, raw: &mut Vec<f64>) {
        let width = plan.width();
        raw.extend_from_slice(&self.features[row * width..(row + 1) * width]);
        if let Some(forecast) = &plan.forecast {
            raw.truncate(raw.len() - Forecast::WIDTH);
            raw.extend(forecast.values(Some(&self.purchases[row])));
        }
    }

    /// Fills in the forecast's features, which are the last ones of each row.
    pub fn foretell(&mut self, forecast: &Forecast, width: usize) {
        for (row, purchases) in self.features.chunks_mut(width).zip(&self.purchases) {
            row[width - Forecast::WIDTH..].copy_from_slice(&forecast.values(Some(purchases)));
        }
    }

    /// Adds the snapshots of one customer: the moments that `spec` prescribes, at which it was
    /// eligible, and whose horizon is over at `now`.
    pub fn add(&mut self, customer_id: &str, history: &History, plan: &Plan, sampling: &Sampling) {
        let before = self.len();
        let mut fold = Fold::new(plan, history);
        for as_of in sampling.moments(history) {
            let outcome = sampling.outcome;
            // As known then, since serving could not know more; and as known now, since a purchase
            // reported late does not make a lead.
            if outcome.eligible(history, as_of, as_of) != Ok(Basis::Model)
                || outcome.eligible(history, as_of, sampling.now).is_err()
            {
                continue;
            }
            self.customer.push(self.customers.len() as u32);
            self.as_of.push(as_of);
            self.label.push(outcome.label(history, as_of, sampling.now));
            fold.row(as_of, as_of, &mut self.features);
            if plan.forecast.is_some() {
                self.purchases.extend(fold.purchases(as_of));
            }
        }
        if plan.forecast.is_some() {
            self.buyers.extend(Purchases::of(history, sampling.now, sampling.now));
        }
        if self.len() > before {
            self.customers.push(customer_id.to_owned());
        }
    }
}

/// Where snapshots stand.
#[derive(Clone, Debug)]
pub struct Sampling {
    /// What is foretold.
    pub outcome: LabelDefinition,
    /// The training's own `as_of`: nothing later is read.
    pub now: Time,
    cutoff_every_days: u32,
    ages_days: Vec<u32>,
}

impl Sampling {
    /// The sampling that `spec` prescribes for a training as of `now`.
    #[must_use]
    pub fn new(target: Target, spec: &Spec, now: Time) -> Self {
        Self {
            outcome: LabelDefinition::new(target, spec),
            now,
            cutoff_every_days: spec.churn.cutoff_every_days,
            ages_days: spec.lead.ages_days.clone(),
        }
    }

    /// The moments of one customer's snapshots, rising.
    ///
    /// Churn stands on a calendar: the latest cutoff is one horizon before now, the others every
    /// `cutoff_every_days` before it. Leads stand at ages after their creation.
    fn moments(&self, history: &History) -> Vec<Time> {
        let latest = self.now.plus_days(-i64::from(self.outcome.horizon_days));
        match self.outcome.target {
            Target::Churn => {
                (0..CUTOFFS).rev().map(|n| latest.plus_days(-i64::from(n * self.cutoff_every_days))).collect()
            }
            Target::Lead => {
                let Some(create_time) = history.create_time(self.now, self.now) else { return Vec::new() };
                self.ages_days
                    .iter()
                    .map(|age| create_time.plus_days(i64::from(*age)))
                    .filter(|as_of| *as_of <= latest)
                    .collect()
            }
        }
    }
}

/// How a holdout was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SplitKind {
    /// The latest snapshots.
    Temporal,
    /// A share of the customers, drawn by a seed.
    Random,
}

impl SplitKind {
    /// `temporal` or `random`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Temporal => "temporal",
            Self::Random => "random",
        }
    }
}

/// What a row is used for in the evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Learned from.
    Train,
    /// Judged on.
    Holdout,
    /// Neither: its label looks beyond the start of the holdout.
    Gap,
}

impl Part {
    /// The name in the training matrix.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Holdout => "holdout",
            Self::Gap => "gap",
        }
    }
}

/// The fewest rows of each class that a part must have.
pub const FEWEST_OF_A_CLASS: usize = 50;

/// Chooses the latest quarter of the snapshots as holdout. What is learned from has its horizon over
/// when the holdout begins, so that no label overlaps. None when either part would have fewer than
/// [`FEWEST_OF_A_CLASS`] rows of a class.
#[must_use]
pub fn temporal_split(rows: &Snapshots, outcome: LabelDefinition) -> Option<Vec<Part>> {
    let mut moments = rows.as_of.clone();
    moments.sort_unstable();
    let start = *moments.get(moments.len() * 3 / 4)?;
    let part = |as_of: &Time| match *as_of {
        as_of if as_of >= start => Part::Holdout,
        as_of if outcome.horizon_end(as_of) <= start => Part::Train,
        _ => Part::Gap,
    };
    let parts: Vec<Part> = rows.as_of.iter().map(part).collect();
    let enough = |wanted: Part| {
        let labels = parts.iter().zip(&rows.label).filter(|(part, _)| **part == wanted);
        let (rows, positives) =
            labels.fold((0, 0), |(rows, positives), (_, label)| (rows + 1, positives + usize::from(*label)));
        positives >= FEWEST_OF_A_CLASS && rows - positives >= FEWEST_OF_A_CLASS
    };
    (enough(Part::Train) && enough(Part::Holdout)).then_some(parts)
}

/// Draws 30 % of the customers as holdout; all rows of a customer fall on the same side.
#[must_use]
pub fn random_split(rows: &Snapshots, seed: u64) -> Vec<Part> {
    let fold = folds(rows, seed, 10);
    fold.into_iter().map(|fold| if fold < 3 { Part::Holdout } else { Part::Train }).collect()
}

/// Per row a number below `folds`, the same for all rows of a customer; the numbers have equally
/// many customers (±1). It depends on the seed and the ids, not on the order of the customers.
#[must_use]
pub fn folds(rows: &Snapshots, seed: u64, folds: usize) -> Vec<usize> {
    let draw = |customer: &usize| {
        let id = rows.customers[*customer].as_bytes();
        Sha256::digest([seed.to_be_bytes().as_slice(), id].concat())
    };
    let mut order: Vec<usize> = (0..rows.customers.len()).collect();
    order.sort_by_cached_key(draw);
    let mut fold = vec![0; order.len()];
    for (place, customer) in order.into_iter().enumerate() {
        fold[customer] = place % folds;
    }
    rows.customer.iter().map(|customer| fold[*customer as usize]).collect()
}
