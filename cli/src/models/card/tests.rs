use prost_types::{Timestamp, Value, value::Kind};
use tally_proto::v1::{
    Baseline, BgNbd, Candidate, Coefficient, EffectCurve, EffectPoint, Metrics, Model, Recipe,
    ReliabilityBin, Stack, StackMember, Study, Target,
};

use super::{card, recipe::fitted_as, selection::selection};

fn recipe(form: &str, pairs: i32) -> Recipe {
    Recipe {
        form: form.to_owned(),
        pairs,
        pair_ratio: if pairs > 0 { 3.0 } else { 1.0 },
        penalty: 30.0,
        feature_fraction: 1.0,
        lookback_days: Some(730),
        habits: true,
        calendar: false,
    }
}

fn stack(kept: bool, excess: f64) -> Stack {
    let member = |form, pairs, weight| StackMember { recipe: Some(recipe(form, pairs)), weight };
    Stack {
        members: vec![member("spline", 0, 0.3125), member("steps", 10, 0.625)],
        intercept: -0.0125,
        log_loss: 0.5712,
        excess,
        standard_error: 0.0015,
        kept,
    }
}

#[test]
fn the_card_of_a_model() {
    let coefficient = |n: i32| Coefficient {
        feature: format!("feature{n}"),
        column: "value".to_owned(),
        coefficient: f64::from(n) * if n % 2 == 0 { 0.1 } else { -0.1 },
        standard_error: 0.01,
    };
    let metrics = Metrics {
        rows: 3_362,
        positives: 1_456,
        auc: 0.8123,
        pr_auc: 0.7012,
        log_loss: 0.5123,
        brier: 0.1712,
        ece: 0.0123,
        lift_at_10_percent: 2.1,
    };
    let tried = |form, pairs, log_loss, (excess, standard_error)| Candidate {
        recipe: Some(recipe(form, pairs)),
        log_loss,
        profiled_log_loss: Some(log_loss - 0.01),
        excess,
        standard_error,
    };
    let curve = |feature: &str, points: &[(Option<f64>, f64)]| EffectCurve {
        feature: feature.to_owned(),
        points: points
            .iter()
            .map(|(x, log_odds)| EffectPoint {
                value: Some(Value { kind: Some(x.map_or(Kind::NullValue(0), Kind::NumberValue)) }),
                log_odds: *log_odds,
            })
            .collect(),
    };
    let flat = curve("flat", &[(Some(0.25), 0.01), (None, 0.0)]);
    let points: Vec<_> = (0..21).map(|n| (Some(f64::from(n)), f64::from(n) * 0.1)).collect();
    let steep = curve("steep", &[points.as_slice(), &[(None, -0.5)]].concat());
    let text = card(&Model {
        name: "churn/7".to_owned(),
        target: Target::Churn.into(),
        champion: true,
        create_time: Some(Timestamp { seconds: 1_315_569_600, nanos: 0 }),
        created_by: "ann@work".to_owned(),
        as_of_time: Some(Timestamp { seconds: 1_315_526_400, nanos: 0 }),
        eligible: "customers with a purchase".to_owned(),
        horizon_days: 90,
        split: "temporal".to_owned(),
        schema_hash: "0123abcd".to_owned(),
        artifact_hash: "4567cdef".to_owned(),
        artifact_bytes: 43_210,
        rows: 12_345,
        positives: 4_321,
        holdout: Some(metrics),
        baselines: vec![Baseline { name: "recency".to_owned(), metrics: Some(metrics) }],
        reliability: vec![ReliabilityBin { rows: 336, predicted: 0.1, observed: 0.0 }],
        coefficients: (1..=20).map(coefficient).collect(),
        uncalibrated_holdout: Some(Metrics { auc: 0.7987, ..metrics }),
        chosen: Some(Study {
            recipe: Some(recipe("steps", 10)),
            calibration: "platt".to_owned(),
            validation: "temporal".to_owned(),
            candidates: vec![
                tried("log", 0, 0.61, (0.0, 0.0)),
                tried("steps", 10, 0.58, (-0.03, 0.004)),
                tried("spline", 0, 0.59, (0.0, 0.0)),
            ],
            stack: Some(stack(true, -0.0042)),
        }),
        evaluated: Some(Study {
            recipe: Some(Recipe { lookback_days: None, habits: false, ..recipe("log", 0) }),
            validation: "random".to_owned(),
            candidates: vec![Candidate {
                recipe: Some(Recipe { lookback_days: None, habits: false, ..recipe("log", 0) }),
                profiled_log_loss: None,
                ..tried("log", 0, 0.62, (0.0, 0.0))
            }],
            stack: Some(stack(false, -0.0012)),
            ..Study::default()
        }),
        effects: vec![flat, steep],
        bg_nbd: Some(BgNbd {
            r: 0.243,
            customers: 2_357,
            problem: "no end".to_owned(),
            ..Default::default()
        }),
        log_odds_difference: Some(0.1234),
        spec: "[churn]\nhorizon_days = 90\n".to_owned(),
        ..Model::default()
    });
    insta::assert_snapshot!(text);
}

#[test]
fn a_single_recipe_tells_of_its_pairs_and_features() {
    let few = Recipe { feature_fraction: 0.5, lookback_days: None, ..recipe("steps", 10) };
    let study =
        |recipe, kept| Study { recipe: Some(recipe), stack: Some(stack(kept, 0.1)), ..Study::default() };
    assert_eq!(
        fitted_as(Some(&study(few.clone(), false))),
        "steps, penalty 30, 10 pairs crossed at 3 times the penalty, with habits, \
         the most important 50 % of the features, not recalibrated"
    );
    // Of a server that has no ratio.
    let fitted = fitted_as(Some(&study(Recipe { pair_ratio: 0.0, ..few }, false)));
    assert!(fitted.contains(" 10 pairs crossed, with habits"), "{fitted}");
}

#[test]
fn no_candidate_is_marked_if_the_best_single_recipe_was_not_tried() {
    let tried = Candidate { recipe: Some(recipe("log", 0)), ..Candidate::default() };
    let study = Study { recipe: Some(recipe("steps", 0)), candidates: vec![tried], ..Study::default() };
    let shown = |study: &Study| selection(study, "that serves").unwrap();
    assert!(shown(&study).starts_with("Candidates for the model that serves, compared"));
    let stacked = shown(&Study { stack: Some(stack(true, -0.1)), ..study });
    assert!(stacked.starts_with("Candidates for the model that serves (the model is a stack), compared"));
    assert!(!stacked.contains('*'));
}

#[test]
fn the_card_of_a_damaged_model_is_its_problem() {
    let text = card(&Model {
        name: "churn/7".to_owned(),
        created_by: "ann@work".to_owned(),
        problem: "the artifact is damaged".to_owned(),
        ..Model::default()
    });
    assert_eq!(text, "churn/7, stored  by ann@work\nthe artifact is damaged");
}
