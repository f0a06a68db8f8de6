//! Assertions about the change between two scores.

use std::collections::{BTreeMap, HashMap};

use tally_proto::v1;

/// The log-odds of a score with all its reasons.
pub fn log_odds(score: &v1::Score) -> f64 {
    score.base_log_odds + score.reasons.iter().map(|reason| reason.contribution).sum::<f64>()
}

pub fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

/// Asserts that a part of a change is the difference of two scores that are given with all their reasons.
pub fn assert_between(part: &v1::LogOddsChange, from: &v1::Score, to: &v1::Score) {
    let reasons = |score: &v1::Score| -> BTreeMap<String, v1::Reason> {
        score.reasons.iter().map(|reason| (reason.feature.clone(), reason.clone())).collect()
    };
    let (old, new) = (reasons(from), reasons(to));
    assert!(is_near(part.log_odds, log_odds(to) - log_odds(from)));
    assert!(is_near(part.base_log_odds, to.base_log_odds - from.base_log_odds));
    let changes: HashMap<&str, &v1::FeatureChange> =
        part.features.iter().map(|feature| (feature.feature.as_str(), feature)).collect();
    assert_eq!(changes.len(), part.features.len(), "each feature once");
    for feature in old.keys().chain(new.keys()) {
        let (from, to) = (old.get(feature), new.get(feature));
        let of = |reason: Option<&v1::Reason>| reason.map_or(0.0, |reason| reason.contribution);
        match changes.get(feature.as_str()) {
            Some(change) => {
                assert_eq!((change.from_reason.as_ref(), change.to_reason.as_ref()), (from, to));
                assert!(is_near(change.log_odds, of(to) - of(from)), "{change:?}");
            }
            None => assert_eq!(from, to, "features that did not change are left out"),
        }
    }
    let strengths: Vec<f64> = part.features.iter().map(|feature| feature.log_odds.abs()).collect();
    assert!(strengths.windows(2).all(|pair| pair[0] >= pair[1]), "the strongest first");
}

/// Asserts that the parts add up to the change, and the features of each part to the part.
pub fn assert_adds_up(change: &v1::ComparePredictionsResponse) {
    let parts = [&change.late_data, &change.behaviour, &change.retraining].map(|part| part.as_ref().unwrap());
    assert!(is_near(change.change, change.to_log_odds - change.from_log_odds));
    assert!(is_near(change.change, parts.iter().map(|part| part.log_odds).sum()));
    for part in parts {
        let features: f64 = part.features.iter().map(|feature| feature.log_odds).sum();
        assert!(is_near(part.log_odds, part.base_log_odds + features));
    }
}

/// Asserts that a part of a change is present and empty.
pub fn assert_unchanged(part: &Option<v1::LogOddsChange>) {
    assert_eq!(part.as_ref(), Some(&v1::LogOddsChange::default()));
}

/// Asserts that a change is another one with from and to exchanged.
pub fn assert_reversed(back: &v1::ComparePredictionsResponse, change: &v1::ComparePredictionsResponse) {
    let negated = |part: &Option<v1::LogOddsChange>| {
        let mut part = part.clone().unwrap();
        (part.log_odds, part.base_log_odds) = (-part.log_odds, -part.base_log_odds);
        for feature in &mut part.features {
            feature.log_odds = -feature.log_odds;
            std::mem::swap(&mut feature.from_reason, &mut feature.to_reason);
        }
        by_feature(part)
    };
    let sorted = |part: &Option<v1::LogOddsChange>| by_feature(part.clone().unwrap());
    assert_eq!(sorted(&back.late_data), negated(&change.late_data));
    assert_eq!(sorted(&back.behaviour), negated(&change.behaviour));
    assert_eq!(sorted(&back.retraining), negated(&change.retraining));
    assert_eq!((back.change, &back.from_score), (-change.change, &change.to_score));
}

fn by_feature(mut part: v1::LogOddsChange) -> v1::LogOddsChange {
    part.features.sort_by(|a, b| a.feature.cmp(&b.feature));
    part
}
