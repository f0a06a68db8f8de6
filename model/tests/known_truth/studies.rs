//! From a simulated business to a model: two trained models that all tests share.

use std::sync::LazyLock;

use tally_model::{
    artifact::SplitKind,
    features::{
        Plan,
        fold::Row,
        profile::{DataProfile, LeadAges},
    },
    history::History,
    label::{Basis, LabelDefinition},
    scoring::{Score, Scorer},
    simulate::Business,
    spec::{Spec, Target},
    time::Time,
    training::{
        snapshot::{Sampling, Snapshots},
        train::{TrainError, Trained, TrainingInput, TrainingOptions, train},
    },
};

/// A business whose end is the moment of all training.
pub fn business(customers: usize) -> Business {
    Business { customers, ..Business::new(7, "2026-01-01".parse().unwrap()) }
}

pub fn histories(business: Business) -> Vec<(String, History)> {
    business.iter().map(|customer| (customer.customer_id.clone(), customer.history())).collect()
}

pub fn snapshots(histories: &[(String, History)], target: Target, now: Time) -> (Plan, Snapshots) {
    let spec = Spec::default();
    let (mut profile, mut rows) = (DataProfile::default(), Snapshots::default());
    histories.iter().for_each(|(_, history)| profile.add(history, now));
    let mut plan = profile.plan(&spec.features);
    let sampling = Sampling::new(target, &spec, &profile, now);
    sampling.outcome.add_features(&profile, &mut plan);
    histories.iter().for_each(|(id, history)| rows.add(id, history, &plan, &sampling));
    (plan, rows)
}

pub fn fit(
    plan: Plan,
    rows: &mut Snapshots,
    target: Target,
    now: Time,
    split: SplitKind,
) -> Result<Trained, TrainError> {
    let (spec, options) = (Spec::default(), TrainingOptions { split, seed: 1 });
    let outcome = LabelDefinition::new(target, &spec, &DataProfile::default());
    let input = TrainingInput {
        spec: &spec,
        outcome: &outcome,
        as_of: now,
        lead_ages: &LeadAges::default(),
        options,
    };
    train(rows, plan, &input, &|_| {})
}

/// A model and everything that it was made from.
pub struct Study {
    pub business: Business,
    pub target: Target,
    pub histories: Vec<(String, History)>,
    pub rows: Snapshots,
    pub trained: Trained,
    pub scorer: Scorer,
}

impl Study {
    pub fn new(business: Business, target: Target) -> Self {
        let histories = histories(business);
        let (plan, mut rows) = snapshots(&histories, target, business.end);
        let trained = fit(plan, &mut rows, target, business.end, SplitKind::Temporal).unwrap();
        let scorer = Scorer::new(trained.artifact.clone()).unwrap();
        Self { business, target, histories, rows, trained, scorer }
    }

    pub fn history_of_row(&self, row: usize) -> &History {
        let id = &self.rows.customers[self.rows.customer[row] as usize];
        &self.histories.iter().find(|(known, _)| known == id).unwrap().1
    }

    /// The outcomes of the holdout, their probabilities by the model, and the true ones.
    pub fn predictions(&self, draws: u32) -> (Vec<bool>, Vec<f64>, Vec<f64>) {
        let horizon = self.trained.artifact.outcome.horizon_days;
        let of_row = |(row, predicted): &(usize, f64)| {
            let id = &self.rows.customers[self.rows.customer[*row] as usize];
            let (n, as_of) = (id[1..].parse().unwrap(), self.rows.as_of[*row]);
            let truth = match self.target {
                Target::Lead => self.business.true_lead_probability(n, as_of, horizon, draws),
                Target::Churn => self.business.true_churn_probability(n, as_of, horizon, draws),
            };
            (self.rows.label[*row], (*predicted, truth.unwrap()))
        };
        let (outcomes, (predicted, truth)) = self.trained.holdout.iter().map(of_row).unzip();
        (outcomes, predicted, truth)
    }

    /// The scores at the `as_of` of the training of all customers that anything was known of.
    pub fn scores_at_the_training(&self) -> impl Iterator<Item = Score> {
        let end = self.business.end;
        let scores = self.histories.iter().map(move |(_, h)| self.scorer.score(h, end, end, 0, Score::of));
        scores.flatten().filter(|score| score.basis == Basis::Model)
    }

    /// The scores of all eligible customers, half a year ago and at the end.
    pub fn scores(&self, max_reasons: usize) -> Vec<Score> {
        let moments = [self.business.end.plus_days(-182), self.business.end];
        let pairs = moments.into_iter().flat_map(|as_of| self.histories.iter().map(move |(_, h)| (as_of, h)));
        let scores = pairs.filter_map(|(as_of, history)| {
            self.scorer.score(history, as_of, as_of, max_reasons, Score::of).ok()
        });
        scores.collect()
    }

    /// The raw rows of all eligible customers about whom something is known, at the end.
    pub fn rows(&self) -> Vec<Row> {
        let end = self.business.end;
        let row = |(_, history): &(String, History)| {
            let mut row = Row::default();
            self.scorer.row(history, end, end, &mut row).ok()?;
            (!row.raw.is_empty()).then_some(row)
        };
        self.histories.iter().filter_map(row).collect()
    }
}

pub static LEAD: LazyLock<Study> = LazyLock::new(|| Study::new(business(2_500), Target::Lead));
pub static CHURN: LazyLock<Study> = LazyLock::new(|| Study::new(business(1_500), Target::Churn));

pub fn studies() -> [&'static Study; 2] {
    [&LEAD, &CHURN]
}
