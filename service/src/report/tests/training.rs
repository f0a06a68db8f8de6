//! A small training to report on: two models of a simulated business, the second against the first.

use std::sync::OnceLock;

use tally_model::{
    artifact::{Artifact, Recipe, SplitKind, Stack, StackMember},
    encode::Form,
    evaluation::drift::Counts,
    features::profile::DataProfile,
    history::History,
    scoring::Scorer,
    simulate::Business,
    spec::{Spec, Target},
    time::Time,
    training::{
        assessment::Assessment,
        checks::FailedCheck,
        compare::Comparison,
        slices::SlicedHoldout,
        snapshot::{Sampling, Snapshots},
        train::{Trained, TrainingInput, TrainingOptions, train},
    },
};

use crate::{
    catalog::ModelName,
    lifecycle::training::{ChampionDrift, PromotionDecision, TrainingResult},
};

/// The result of the second training.
pub fn result() -> TrainingResult {
    static TRAININGS: OnceLock<[(Trained, Snapshots); 2]> = OnceLock::new();
    let [(champion, _), (trained, rows)] =
        TRAININGS.get_or_init(|| ["2024-04-01", "2024-06-01"].map(trained));
    TrainingResult {
        name: name(2),
        artifact: stacked(trained.artifact.clone()),
        assessment: assessment(trained, rows),
        verdict: verdict(),
        holdout: trained.holdout.iter().map(|(row, probability)| (*probability, rows.label[*row])).collect(),
        drift: Some(drift(&Scorer::new(champion.artifact.clone()).unwrap(), rows)),
    }
}

/// The same model with a card that tells of two stacks, one kept and one not.
fn stacked(mut artifact: Artifact) -> Artifact {
    artifact.card.chosen.stack = Some(stack(true, -0.0042));
    artifact.card.evaluated.stack = Some(stack(false, -0.0012));
    artifact
}

fn stack(kept: bool, excess: f64) -> Stack {
    let spline = Recipe::first(Form::Spline, 10.0);
    let steps = Recipe { pairs: 10, pair_ratio: 3.0, ..Recipe::first(Form::Steps, 30.0) };
    Stack {
        members: [(spline, 0.3125), (steps, 0.625)]
            .map(|(recipe, weight)| StackMember { recipe, weight })
            .to_vec(),
        intercept: -0.0125,
        log_loss: 0.5712,
        excess,
        standard_error: 0.0015,
        kept,
    }
}

const fn name(version: i64) -> ModelName {
    ModelName { target: Target::Churn, version }
}

fn trained(as_of: &str) -> (Trained, Snapshots) {
    let as_of: Time = as_of.parse().unwrap();
    // Few features, quick to choose from.
    let spec = Spec::parse("[features]\nkinds = [\"purchase\", \"visit\"]\nwindows_days = [30]").unwrap();
    let business = Business { customers: 600, ..Business::new(5, "2024-06-01".parse().unwrap()) };
    let histories: Vec<(String, History)> =
        business.iter().map(|customer| (customer.customer_id.clone(), customer.history())).collect();
    let mut profile = DataProfile::default();
    histories.iter().for_each(|(_, history)| profile.add(history, as_of));
    let sampling = Sampling::new(Target::Churn, &spec, &profile, as_of);
    let mut plan = profile.plan(&spec.features);
    sampling.outcome.add_features(&profile, &mut plan);
    let mut rows = Snapshots::default();
    histories.iter().for_each(|(id, history)| rows.add(id, history, &plan, &sampling));
    let options = TrainingOptions { split: SplitKind::Temporal, seed: 1 };
    let input = TrainingInput {
        spec: &spec,
        outcome: &sampling.outcome,
        as_of,
        lead_ages: profile.lead_ages(),
        options,
    };
    (train(&mut rows, plan, &input, &|_| {}).unwrap(), rows)
}

/// One failed check of each kind, and the slices of the holdout.
fn assessment(trained: &Trained, rows: &Snapshots) -> Assessment {
    let check = |code: &str, blocking| FailedCheck {
        code: code.to_owned(),
        blocking,
        message: "something was found".to_owned(),
        remedy: "do something about it".to_owned(),
    };
    let artifact = &trained.artifact;
    let measures = artifact.plan.measures();
    let sliced =
        SlicedHoldout { measures: &measures, rows, holdout: &trained.holdout, outcome: &artifact.outcome };
    Assessment {
        failed_checks: vec![check("SILENCE", true), check("FEW_FEATURES", false)],
        slices: sliced.slices(&[]),
    }
}

fn verdict() -> PromotionDecision {
    PromotionDecision {
        promoted: true,
        reason: "better than churn/1 on the same 300 rows".to_owned(),
        stopped_by_checks: false,
        champion: Some(name(1).to_string()),
        comparison: Some(Comparison {
            rows: 300,
            positives: 100,
            customers: 200,
            candidate_log_loss: 0.5,
            champion_log_loss: 0.51,
            difference: -0.01,
            lower: -0.02,
            upper: 0.0,
        }),
    }
}

fn drift(champion: &Scorer, rows: &Snapshots) -> ChampionDrift {
    let artifact = champion.artifact();
    let mut counts = Counts::new(&artifact.reference);
    for raw in rows.population.rows(&artifact.plan).chunks(artifact.plan.width()) {
        counts.add(&artifact.reference, raw, champion.probability_of(raw));
    }
    ChampionDrift {
        champion: name(1),
        reference: artifact.reference.rows(),
        compared: counts.customers,
        report: artifact.drift(&counts),
    }
}
