//! Scores are explained to the last log-odds, and prepared scores give the same bits.

use std::collections::BTreeSet;

use rand::{RngCore, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use tally_model::{
    features::{explain::FeatureValue, fold::Row},
    label::Basis,
    scoring::Score,
    time::{DAY, Time},
};

use crate::studies::{LEAD, Study, studies};

fn log_odds(probability: f64) -> f64 {
    (probability / (1.0 - probability)).ln()
}

/// Asserts what holds for every score with all its reasons.
pub fn assert_valid(score: &Score, study: &Study) {
    let Score { probability, lower, upper, base_log_odds, reasons, .. } = score;
    assert!(*probability > 0.0 && *probability < 1.0, "{score:?}");
    assert!(*lower > 0.0 && lower <= probability && probability <= upper && *upper < 1.0, "{score:?}");
    let explained = base_log_odds + reasons.iter().map(|reason| reason.contribution).sum::<f64>();
    assert!((explained - log_odds(*probability)).abs() < 1e-9, "{explained} explains {score:?}");
    assert!(reasons.is_sorted_by(|a, b| a.contribution.abs() >= b.contribution.abs()));
    assert!(reasons.iter().all(|reason| !reason.text.is_empty() && !reason.text.contains("NaN")));
    let artifact = &study.trained.artifact;
    assert_eq!(*base_log_odds, artifact.intercept);
    if score.basis == Basis::Model {
        let features = artifact.encoder.features.iter().map(|feature| feature.measure.to_string());
        let mut named: Vec<&str> = reasons.iter().map(|reason| reason.feature.as_str()).collect();
        let mut known: Vec<String> = features.collect();
        named.sort_unstable();
        known.sort_unstable();
        assert_eq!(named, known, "every feature is a reason, once");
    }
}

#[test]
fn reasons_add_up_to_the_log_odds_of_the_score() {
    for study in studies() {
        let scores = study.scores(usize::MAX);
        assert!(scores.len() > 1_000);
        scores.iter().for_each(|score| assert_valid(score, study));
        let distinct = scores.iter().map(|score| score.probability.to_bits());
        assert!(distinct.collect::<BTreeSet<_>>().len() > scores.len() / 2);
    }
}

/// The tables against the design row multiplied out.
#[test]
fn log_odds_and_errors_of_the_tables_are_those_of_the_design_row() {
    for study in studies() {
        let artifact = study.scorer.artifact();
        let mut row = vec![0.0; artifact.encoder.width()];
        for Row { raw, .. } in study.rows() {
            artifact.encoder.encode(&raw, &mut row);
            let log_odds =
                artifact.intercept + row.iter().zip(&artifact.weights).map(|(x, w)| x * w).sum::<f64>();
            let with_intercept: Vec<f64> = std::iter::once(1.0).chain(row.iter().copied()).collect();
            let mut projection = vec![0.0; with_intercept.len()];
            let mut rest = &artifact.covariance_factor[..];
            for (n, x) in with_intercept.iter().enumerate() {
                let (own, below) = rest.split_at(n + 1);
                rest = below;
                projection.iter_mut().zip(own).for_each(|(sum, c)| *sum += x * f64::from(*c));
            }
            let standard_error = projection.iter().map(|sum| sum * sum).sum::<f64>().sqrt();
            let (found, error) = study.scorer.assess(&raw);
            let expected = artifact.calibration.as_ref().map_or(log_odds, |curve| curve.apply(log_odds));
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
            assert!((error / standard_error - 1.0).abs() < 1e-4, "{error} {standard_error}");
        }
    }
}

#[test]
fn fewer_reasons_are_the_first_ones_and_change_nothing_else() {
    for study in studies() {
        let all = study.scores(usize::MAX);
        for most in [0, 1, 3] {
            for (few, all) in study.scores(most).into_iter().zip(&all) {
                assert_eq!(few.reasons[..], all.reasons[..most.min(all.reasons.len())]);
                assert_eq!(Score { reasons: all.reasons.clone(), ..few }, *all);
            }
        }
    }
}

/// A prepared score gives the bits of a new score: at its moment, just before its end, and in between.
#[test]
fn a_prepared_score_gives_the_same_bits_as_a_new_one() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
    for Study { scorer, histories, business, .. } in studies() {
        let mut row = Row::default();
        let (mut compared, mut moved) = (0, 0);
        for (n, (_, history)) in histories.iter().enumerate() {
            let as_of = business.end.plus_days(-(n as i64 % 400));
            if scorer.row(history, as_of, as_of, &mut row).is_err() {
                continue;
            }
            let prepared = scorer.prepared(history, as_of, as_of, 4).unwrap();
            assert!(!prepared.is_valid_at(Time(as_of.0 - 1), as_of, 4), "it is not valid before its moment");
            assert!(!prepared.is_valid_at(as_of, as_of, 5), "it was prepared for fewer reasons");
            let first = scorer.with_view(&prepared, as_of, 4, Score::of);
            assert_eq!(scorer.probability_of(&row.raw).to_bits(), first.probability.to_bits());
            assert_eq!(scorer.grade_of(&row.raw), first.grade);
            assert_eq!(Ok(&first), scorer.score(history, as_of, as_of, 4, Score::of).as_ref());
            // The end of the row, or where a value comes into its next cell.
            let (mut valid, mut invalid) = (as_of.0, as_of.0 + 400 * DAY);
            while invalid - valid > 1 {
                let between = Time(valid.midpoint(invalid));
                let still = prepared.is_valid_at(between, between, 4);
                *(if still { &mut valid } else { &mut invalid }) = between.0;
            }
            let length = (valid - as_of.0) as u64 + 1;
            let some = (0..4).map(|_| as_of.0 + (random.next_u64() % length) as i64);
            for later in some.chain([valid]).map(Time).filter(|later| prepared.is_valid_at(*later, *later, 4))
            {
                for most in [4, 1] {
                    let score = scorer.with_view(&prepared, later, most, Score::of);
                    assert_eq!(Ok(&score), scorer.score(history, later, later, most, Score::of).as_ref());
                    moved += usize::from(score.probability.to_bits() != first.probability.to_bits());
                    compared += 1;
                }
            }
        }
        assert!(compared > 2_000 && moved > compared / 3, "{compared} {moved}");
    }
}

#[test]
fn missing_features_are_those_without_a_value() {
    let mut some = 0;
    for score in LEAD.scores(usize::MAX) {
        let without = score.reasons.iter().filter(|reason| reason.value == FeatureValue::Missing);
        let mut without: Vec<String> = without.map(|reason| reason.feature.clone()).collect();
        let mut missing = score.missing_features;
        without.sort();
        missing.sort();
        assert_eq!(missing, without);
        some += usize::from(!missing.is_empty());
    }
    assert!(some > 0);
}
