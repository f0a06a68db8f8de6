//! How good the models are.

use std::collections::BTreeMap;

use tally_model::{
    artifact::SplitKind,
    evaluation::metrics::{Metrics, auc},
    scoring::{Grade, Score},
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
fn a_quarter_of_the_training_rows_is_in_each_grade() {
    for study in studies() {
        let mut grades = BTreeMap::<Grade, Vec<f64>>::new();
        for row in 0..study.rows.len() {
            let as_of = study.rows.as_of[row];
            let score = study.scorer.score(study.history_of_row(row), as_of, as_of, 0, Score::of).unwrap();
            grades.entry(score.grade).or_default().push(score.probability);
        }
        let mut edges = Vec::new();
        for (grade, probabilities) in &grades {
            let share = probabilities.len() as f64 / study.rows.len() as f64;
            assert!((share - 0.25).abs() < 0.01, "{share} of all are {grade:?}");
            edges.push(probabilities.iter().copied().fold(f64::NAN, f64::max));
        }
        let best_first = study.target == Target::Lead;
        assert!(edges.is_sorted_by(|a, b| if best_first { a > b } else { a < b }), "{edges:?}");
    }
}
