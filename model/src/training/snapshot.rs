//! Snapshots: the training rows, each a customer at an `as_of` with its label.
//!
//! A label looks at (as_of, as_of + horizon]. A snapshot whose horizon is not over at the `as_of` of the
//! training is never used.

use crate::{
    features::bg_nbd::Purchases,
    features::fold::Fold,
    features::{Forecast, Plan, profile::DataProfile},
    history::History,
    label::{Basis, LabelDefinition},
    spec::{Spec, Target},
    time::Time,
    training::population::{Population, PopulationSample},
};

/// The most churn cutoffs, the latest ones.
const CUTOFFS: u32 = 24;

/// The training rows, flat: row `i` has its features at `features[i * width..]`. Rows are ordered
/// by customer as added, and by `as_of` within one.
#[derive(Clone, Debug, Default)]
pub struct Snapshots {
    /// The customers that have rows.
    pub customers: Vec<String>,
    /// Per customer: whether the outcome has come to it by the `as_of` of the training, in a snapshot or not.
    pub ended: Vec<bool>,
    /// Per row: index into `customers`.
    pub customer: Vec<u32>,
    /// Per row: its `as_of`.
    pub as_of: Vec<Time>,
    /// Per row: whether the outcome came about.
    pub label: Vec<bool>,
    /// Raw feature values, row by row.
    pub features: Vec<f64>,
    /// Per row: the purchases for the BG/NBD model, when the plan has a forecast.
    pub purchases: Vec<Purchases>,
    /// The same for every buyer at the `as_of` of the training.
    pub buyers: Vec<Purchases>,
    /// The greatest age of a lead, in days, of which there is a row.
    pub oldest_lead_days: Option<u32>,
    /// The customers that would be scored at the `as_of` of the training.
    pub population: Population,
}

impl Snapshots {
    /// The number of rows.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.label.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.label.is_empty()
    }

    /// The customer of a row.
    #[must_use]
    pub fn customer_id(&self, row: usize) -> &str {
        &self.customers[self.customer[row] as usize]
    }

    /// The number of rows with the outcome.
    #[must_use]
    pub fn positives(&self) -> usize {
        self.label.iter().filter(|label| **label).count()
    }

    /// Reserves capacity for `rows` more rows.
    pub fn reserve(&mut self, rows: usize, width: usize) {
        self.customer.reserve(rows);
        self.as_of.reserve(rows);
        self.label.reserve(rows);
        self.features.reserve(rows * width);
    }

    /// Appends the snapshots of other customers.
    pub fn append(&mut self, mut others: Self) {
        let before = self.customers.len() as u32;
        self.customers.append(&mut others.customers);
        self.ended.append(&mut others.ended);
        self.customer.extend(others.customer.iter().map(|customer| before + customer));
        self.as_of.append(&mut others.as_of);
        self.label.append(&mut others.label);
        self.features.append(&mut others.features);
        self.purchases.append(&mut others.purchases);
        self.oldest_lead_days = self.oldest_lead_days.max(others.oldest_lead_days);
        self.buyers.append(&mut others.buyers);
        self.population.append(others.population);
    }

    /// Appends the raw values of a row for another plan, one that [is like](Plan::is_like) the plan of these rows.
    pub fn row_of(&self, plan: &Plan, row: usize, raw: &mut Vec<f64>) {
        let width = plan.width();
        raw.extend_from_slice(&self.features[row * width..(row + 1) * width]);
        if let Some(forecast) = &plan.forecast {
            raw.truncate(raw.len() - Forecast::WIDTH);
            raw.extend(forecast.values(Some(&self.purchases[row])));
        }
    }

    /// Fills in the features of the forecast, which are the last ones of each row.
    pub fn fill_forecast(&mut self, forecast: &Forecast, width: usize) {
        for (row, purchases) in self.features.chunks_mut(width).zip(&self.purchases) {
            row[width - Forecast::WIDTH..].copy_from_slice(&forecast.values(Some(purchases)));
        }
    }

    /// Adds the snapshots of one customer: those of the moments of `sampling` at which it was eligible. Also adds it to
    /// the population if it is of that.
    pub fn add(&mut self, customer_id: &str, history: &History, plan: &Plan, sampling: &Sampling) {
        let before = self.len();
        let mut fold = Fold::new(plan, history);
        for (as_of, lead_days) in sampling.moments(history) {
            let outcome = &sampling.outcome;
            // As known then, since serving could not know more; and as known now, since a buyer whose
            // purchase was reported late is no lead.
            if outcome.eligible(history, as_of, as_of) != Ok(Basis::Model)
                || outcome.eligible(history, as_of, sampling.now).is_err()
            {
                continue;
            }
            self.customer.push(self.customers.len() as u32);
            self.as_of.push(as_of);
            self.oldest_lead_days = self.oldest_lead_days.max(lead_days);
            self.label.push(outcome.label(history, as_of, sampling.now));
            fold.row(as_of, as_of, &mut self.features);
            if plan.forecast.is_some() {
                self.purchases.extend(fold.purchases(as_of));
            }
        }
        if plan.forecast.is_some() {
            self.buyers.extend(Purchases::of(history, sampling.now, sampling.now));
        }
        if sampling.is_scored_now(history) && sampling.population.has(customer_id) {
            self.population.add(&mut fold, plan, sampling.now);
        }
        if self.len() > before {
            self.customers.push(customer_id.to_owned());
            self.ended.push(sampling.outcome.has_come_about(history, sampling.now));
        }
    }
}

/// Which moments of a customer become snapshots.
#[derive(Clone, Debug)]
pub struct Sampling {
    /// What is predicted.
    pub outcome: LabelDefinition,
    /// The `as_of` of the training: nothing later is read.
    pub now: Time,
    cutoff_every_days: u32,
    ages_days: Vec<u32>,
    population: PopulationSample,
}

impl Sampling {
    /// The sampling by `spec` for a training as of `now`, of the customers that `profile` has counted.
    #[must_use]
    pub fn new(target: Target, spec: &Spec, profile: &DataProfile, now: Time) -> Self {
        Self {
            outcome: LabelDefinition::new(target, spec, profile),
            now,
            cutoff_every_days: spec.churn.cutoff_every_days,
            ages_days: profile.ages_days(&spec.lead),
            population: PopulationSample::of(profile.customers()),
        }
    }

    /// Whether a customer would get a score of its own now.
    fn is_scored_now(&self, history: &History) -> bool {
        let now = self.now;
        let existed = history.create_time(now, now).is_some_and(|create_time| create_time <= now);
        existed && self.outcome.eligible(history, now, now) == Ok(Basis::Model)
    }

    /// The moments of one customer's snapshots, rising, each with the age in days if it is that of a lead.
    ///
    /// Churn has calendar cutoffs: the latest is one horizon before now, the others every
    /// `cutoff_every_days` before it. Leads have snapshots at ages after their creation.
    fn moments(&self, history: &History) -> Vec<(Time, Option<u32>)> {
        let latest = self.now.plus_days(-i64::from(self.outcome.horizon_days));
        match self.outcome.target {
            Target::Churn => {
                let cutoff = |n| latest.plus_days(-i64::from(n * self.cutoff_every_days));
                (0..CUTOFFS).rev().map(|n| (cutoff(n), None)).collect()
            }
            Target::Lead => {
                let Some(create_time) = history.create_time(self.now, self.now) else { return Vec::new() };
                self.ages_days
                    .iter()
                    .map(|age| (create_time.plus_days(i64::from(*age)), Some(*age)))
                    .filter(|(as_of, _)| *as_of <= latest)
                    .collect()
            }
        }
    }
}
