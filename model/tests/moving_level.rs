//! A level that moves does not mislead the selection: a business whose base rate rises sixfold in the last fifth of
//! the time, while the effects of all attributes stay what they were.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod sampler;

use tally_model::{
    artifact::SplitKind,
    evaluation::metrics::auc,
    features::profile::{DataProfile, LeadAges},
    history::{AttributeValue, Attributes, History, Version, kind},
    scoring::{Score, Scorer, probability},
    spec::{Selector, Spec, Target},
    time::{DAY, Time},
    training::{
        checks::{AttributeChanges, CheckInput, FailedCheck, failed_checks},
        snapshot::{Sampling, Snapshots},
        train::{Trained, TrainingInput, TrainingOptions, train},
    },
};

use sampler::Sampler;

/// The effects in log-odds of each attribute per standard deviation.
const SLOPES: [f64; 10] = [0.7, -0.6, 0.5, -0.4, 0.4, -0.3, 0.3, -0.2, 0.2, -0.1];
/// The log-odds of an average lead: 6 % of all leads buy.
const BASE: f64 = -3.5;
/// What is added after the rise: 34 % of all leads buy.
const RISE: f64 = 2.65;
const LEADS: usize = 5_000;
const DAYS: f64 = 1_000.0;
/// The penalties of the path.
const PATH: [f64; 8] = [1_000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3];

fn now() -> Time {
    "2026-01-01".parse().unwrap()
}

struct Lead {
    create_time: Time,
    history: History,
    truth: f64,
    bought: bool,
}

impl Lead {
    /// A lead `days` days before now; `rise` is that of the base rate.
    fn new(sampler: &mut Sampler, days: f64, rise: f64) -> Self {
        let create_time = Time(now().0 - (days * DAY as f64) as i64);
        let (mut attributes, mut log_odds) = (Attributes::new(), BASE);
        for (n, slope) in SLOPES.iter().enumerate() {
            let value = sampler.normal();
            attributes.insert(format!("x{n}"), AttributeValue::Number(value));
            log_odds += slope * value;
        }
        log_odds += if days < DAYS / 5.0 { rise } else { 0.0 };
        let (truth, mut history) = (probability(log_odds), History::default());
        let (effective_time, record_time) = (create_time, create_time);
        history.push_version(Version { effective_time, record_time, create_time, attributes });
        let bought = sampler.uniform() < truth;
        if bought {
            let moment = Time(create_time.0 + DAY);
            history.push(kind::PURCHASE, moment, moment, None, None);
        }
        Self { create_time, history, truth, bought }
    }
}

/// A model, and the checks that it fails.
fn checked(sampler: &mut Sampler, rise: f64) -> (Trained, Vec<FailedCheck>) {
    let leads: Vec<Lead> = (0..LEADS)
        .map(|_| {
            let days = sampler.uniform() * DAYS;
            Lead::new(sampler, days, rise)
        })
        .collect();
    let mut spec = Spec::default();
    spec.lead.ages_days = Selector::List(vec![0]);
    let (mut profile, mut rows) = (DataProfile::default(), Snapshots::default());
    leads.iter().for_each(|lead| profile.add(&lead.history, now()));
    let (plan, sampling) =
        (profile.plan(&spec.features), Sampling::new(Target::Lead, &spec, &profile, now()));
    let each = leads.iter().enumerate();
    each.for_each(|(n, lead)| rows.add(&n.to_string(), &lead.history, &plan, &sampling));
    let input = TrainingInput {
        spec: &spec,
        outcome: &sampling.outcome,
        as_of: now(),
        lead_ages: &LeadAges::default(),
        options: TrainingOptions { split: SplitKind::Temporal, seed: 1 },
    };
    let trained = train(&mut rows, plan, &input, &|_| {}).unwrap();
    let changes = AttributeChanges::default();
    let failed =
        failed_checks(&CheckInput { trained: &trained, rows: &rows, profile: &profile, changes: &changes });
    (trained, failed)
}

fn trained(sampler: &mut Sampler, rise: f64) -> Trained {
    checked(sampler, rise).0
}

/// The AUC of the model, and that of the true probabilities, over new leads.
fn quality(trained: &Trained, sampler: &mut Sampler) -> [f64; 2] {
    let scorer = Scorer::new(trained.artifact.clone()).unwrap();
    let leads: Vec<Lead> = (0..LEADS).map(|_| Lead::new(sampler, 0.0, RISE)).collect();
    let labels: Vec<bool> = leads.iter().map(|lead| lead.bought).collect();
    let of_model = |lead: &Lead| {
        scorer.score(&lead.history, lead.create_time, lead.create_time, 0, Score::of).unwrap().probability
    };
    let model: Vec<f64> = leads.iter().map(of_model).collect();
    let truth: Vec<f64> = leads.iter().map(|lead| lead.truth).collect();
    [auc(&model, &labels), auc(&truth, &labels)]
}

#[test]
fn a_risen_base_rate_changes_neither_the_penalty_nor_the_ranking() {
    for seed in 0..3 {
        let [steady, risen] = [0.0, RISE].map(|rise| {
            let mut sampler = Sampler::new(seed);
            (trained(&mut sampler, rise), sampler)
        });
        let step = |trained: &Trained| {
            let penalty = trained.artifact.penalty;
            PATH.iter().position(|step| *step == penalty).unwrap()
        };
        let ((steady, _), (risen, mut sampler)) = (steady, risen);
        let recipes = [&steady, &risen].map(|trained| trained.artifact.card.chosen.recipe);
        assert!(step(&steady).abs_diff(step(&risen)) <= 1, "seed {seed}: {recipes:?}");
        let [model, truth] = quality(&risen, &mut sampler);
        assert!(truth - model < 0.005, "seed {seed}: {model}, but the truth has {truth}: {recipes:?}");
    }
}

#[test]
fn a_model_that_differs_much_from_the_evaluated_one_is_remarked() {
    let remark = |rise: f64| {
        let (trained, failed) = checked(&mut Sampler::new(0), rise);
        let found = failed.into_iter().find(|check| check.code == "DIFFERS_FROM_EVALUATED");
        (trained.artifact.card.log_odds_difference.unwrap(), found)
    };
    // The evaluated model has seen nothing of a rise in the last fifth of the time; the one that serves has.
    let (little, none) = remark(0.0);
    assert!(little < 0.5 && none.is_none(), "{little}, {none:?}");
    let (much, found) = remark(6.0);
    let found = found.unwrap();
    assert!(much > 1.0 && !found.blocking, "{much}, {found:?}");
    assert!(found.message.contains(&format!("over the holdout {much:.2}, more than 1)")), "{found:?}");
}
