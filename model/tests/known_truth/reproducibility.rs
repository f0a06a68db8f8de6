//! The same customers give the same bytes, in any order and on any number of threads, and serving sees what
//! training saw.

use rayon::ThreadPoolBuilder;
use tally_model::{
    artifact::SplitKind,
    scoring::{Score, probability},
    spec::Target,
};

use crate::studies::{business, fit, histories, snapshots, studies};

#[test]
fn the_same_customers_in_any_order_give_the_same_bytes() {
    for target in Target::ALL {
        for split in [SplitKind::Temporal, SplitKind::Random] {
            let business = business(500);
            let mut histories = histories(business);
            let mut in_another_order = || {
                let middle = histories.len() / 3;
                histories.rotate_left(middle);
                histories.reverse();
                let (plan, mut rows) = snapshots(&histories, target, business.end);
                fit(plan, &mut rows, target, business.end, split).unwrap().artifact.to_bytes().unwrap()
            };
            assert!(in_another_order() == in_another_order(), "{target}, {split:?}");
        }
    }
}

#[test]
fn serving_sees_what_training_saw() {
    for study in studies() {
        let artifact = &study.trained.artifact;
        let (raw_width, mut design) = (artifact.plan.width(), vec![0.0; artifact.weights.len()]);
        for row in (0..study.rows.len()).step_by(7) {
            artifact
                .encoder
                .encode(&study.rows.features[row * raw_width..(row + 1) * raw_width], &mut design);
            let dot: f64 = design.iter().zip(&artifact.weights).map(|(x, w)| x * w).sum();
            let as_of = study.rows.as_of[row];
            let score = study.scorer.score(study.history_of_row(row), as_of, as_of, 0, Score::of).unwrap();
            let log_odds = artifact.intercept + dot;
            let log_odds = artifact.calibration.as_ref().map_or(log_odds, |curve| curve.apply(log_odds));
            assert!((score.probability - probability(log_odds)).abs() < 1e-12);
        }
    }
}

/// Enough customers that the rows are in more than one block of the parallel work.
#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let business = business(7_000);
    let (plan, rows) = snapshots(&histories(business), Target::Lead, business.end);
    assert!(rows.len() > 16_384, "{} rows", rows.len());
    let trained_on = |threads: usize| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (plan, mut rows) = (plan.clone(), rows.clone());
        let trained =
            pool.install(|| fit(plan, &mut rows, Target::Lead, business.end, SplitKind::Temporal)).unwrap();
        (trained.artifact.to_bytes().unwrap(), trained.holdout)
    };
    assert!(trained_on(1) == trained_on(3));
}

#[test]
fn the_same_weights_on_another_scale_are_another_model() {
    for study in studies() {
        let artifact = study.scorer.artifact();
        assert!(artifact.is_same_model(&artifact.clone()));
        let mut in_another_unit = artifact.clone();
        let line =
            in_another_unit.encoder.features.iter_mut().find_map(|feature| feature.line.as_mut()).unwrap();
        line.sd *= 100.0;
        assert!(!artifact.is_same_model(&in_another_unit));
    }
}
