//! How good the models are.

use std::collections::BTreeMap;

use tally_model::{
    artifact::SplitKind,
    evaluation::{
        drift::Counts,
        metrics::{Metrics, auc},
    },
    label::Basis,
    scoring::Grade,
    spec::Target,
    training::split::Part,
};

use crate::studies::{CHURN, LEAD, Study, studies};

/// Asserts that the metrics are those of the holdout and that the model is within `tolerance` of the truth and
/// better than the baselines, by `margin` in AUC and also in log loss.
fn is_close_to_the_truth(study: &Study, tolerance: f64, margin: f64) {
    let (outcomes, predicted, truth) = study.predictions(100);
    let card = &study.trained.artifact.card;
    assert_eq!(card.split, SplitKind::Temporal);
    assert_eq!(card.holdout, Metrics::new(&predicted, &outcomes), "the card has the metrics of this holdout");
    assert!(outcomes.len() > 500);
    let (model, best) = (card.holdout.auc, auc(&truth, &outcomes));
    assert!((model - best).abs() < tolerance, "{model}, but the truth has {best}");
    assert_eq!(card.baselines.len(), 2);
    assert_eq!(card.baselines[0].1.auc, 0.5);
    for (name, baseline) in &card.baselines {
        assert!(model > baseline.auc + margin, "{model}, but {name} has {}", baseline.auc);
        let (loss, of_baseline) = (card.holdout.log_loss, baseline.log_loss);
        assert!(loss < 0.97 * of_baseline, "a loss of {loss}, but {name} has {of_baseline}");
    }
}

#[test]
fn a_lead_model_is_nearly_as_good_as_the_truth() {
    is_close_to_the_truth(&LEAD, 0.04, 0.1);
    assert_eq!(LEAD.trained.artifact.card.baselines[1].0, "tenure_days");
}

#[test]
fn a_churn_model_is_nearly_as_good_as_the_truth() {
    // The truth knows the rates of each customer, which no history shows and on which the meaning of a
    // silence depends. And the time since the last purchase predicts much by itself.
    is_close_to_the_truth(&CHURN, 0.05, 0.02);
    assert_eq!(CHURN.trained.artifact.card.baselines[1].0, "purchase.days_since_last");
}

#[test]
fn no_training_label_looks_into_the_holdout() {
    for study in studies() {
        let rows = || study.trained.parts.iter().zip(&study.rows.as_of);
        let of = |wanted: Part| rows().filter(move |(part, _)| **part == wanted).map(|(_, as_of)| *as_of);
        let start = of(Part::Holdout).min().unwrap();
        let outcome = &study.trained.artifact.outcome;
        assert!(of(Part::Train).all(|as_of| outcome.horizon_end(as_of) <= start));
        assert!(of(Part::Gap).all(|as_of| as_of < start && outcome.horizon_end(as_of) > start));
        assert!(of(Part::Holdout).all(|as_of| outcome.horizon_end(as_of) <= study.business.end));
        let holdout = study.trained.holdout.iter().map(|(row, _)| study.rows.as_of[*row]);
        assert!(holdout.eq(of(Part::Holdout)));
    }
}

#[test]
fn a_quarter_of_the_customers_at_the_training_is_in_each_grade() {
    for study in studies() {
        let mut grades = BTreeMap::<Grade, Vec<f64>>::new();
        for score in study.scores_at_the_training() {
            grades.entry(score.grade).or_default().push(score.probability);
        }
        let customers = grades.values().map(Vec::len).sum::<usize>() as f64;
        let mut edges = Vec::new();
        for (grade, probabilities) in &grades {
            let apart = probabilities.len() as f64 - customers / 4.0;
            assert!(apart.abs() <= 1.0, "{apart} more than a quarter of {customers} are {grade:?}");
            edges.push(probabilities.iter().copied().fold(f64::NAN, f64::max));
        }
        let best_first = study.target == Target::Lead;
        assert!(edges.is_sorted_by(|a, b| if best_first { a > b } else { a < b }), "{edges:?}");
    }
}

#[test]
fn the_customers_at_the_training_have_not_drifted() {
    for study in studies() {
        let artifact = &study.trained.artifact;
        let mut counts = Counts::new(&artifact.reference);
        let (now, mut raw) = (study.business.end, Vec::new());
        for (_, history) in &study.histories {
            if artifact.outcome.eligible(history, now, now) == Ok(Basis::Model) {
                raw.clear();
                artifact.plan.fold(history, now, now, &mut raw);
                counts.add(&artifact.reference, &raw, study.scorer.probability_of(&raw));
            }
        }
        let customers = study.scores_at_the_training().count() as u64;
        assert_eq!((counts.customers, artifact.reference.rows()), (customers, customers));
        let report = artifact.drift(&counts);
        let shifts = || report.features.iter().map(|(_, shift)| shift).chain([&report.score]);
        assert!(shifts().all(|shift| shift.psi == 0.0), "{report:?}");
        let two_samples = 2.0 / customers as f64;
        for shift in shifts() {
            let used = shift.bins.iter().filter(|share| share.training > 0.0).count() as f64;
            assert!((shift.chance - (used - 1.0) * two_samples).abs() < 1e-12, "{shift:?}");
        }
    }
}
