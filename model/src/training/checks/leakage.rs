//! Leakage: features that are too good to be true.

use super::{CheckInput, FailedCheck, single_feature::SingleFeatures};
use crate::{
    artifact::Artifact,
    features::{Measure, Scale},
    spec::{ChurnEvent, Target},
};

/// A feature that alone predicts the outcome.
pub(super) const PREDICTS_ALONE: &str = "FEATURE_PREDICTS_ALONE";

/// No honest feature predicts as well as this by itself.
const TOO_GOOD: f64 = 0.97;
/// No honest model ranks as well as this.
const TOO_ACCURATE: f64 = 0.98;
/// An attribute changes with the outcome when it changes for at least this share of those who have it, …
const CHANGED: f64 = 0.5;
/// … and at least so many times as often as for the others.
const TIMES_AS_OFTEN: f64 = 10.0;
/// Fewer snapshots show nothing.
const FEWEST: usize = 20;

/// The features that alone predict the outcome.
pub(super) fn predicting_alone(input: &CheckInput<'_>, single: &SingleFeatures) -> Vec<FailedCheck> {
    let artifact = &input.trained.artifact;
    let is_inactivity =
        artifact.outcome.target == Target::Churn && artifact.outcome.event == ChurnEvent::Inactivity;
    let is_used = |measure: &Measure| artifact.encoder.features.iter().any(|own| own.measure == *measure);
    let is_attribute = |measure: &Measure| matches!(measure, Measure::Attribute { .. });
    // Who has left does nothing any more, so that behaviour may well tell inactivity.
    let suspicious = |measure: &Measure| is_used(measure) && (is_attribute(measure) || !is_inactivity);
    let found: Vec<&(Measure, f64)> =
        single.features.iter().filter(|(measure, auc)| *auc > TOO_GOOD && suspicious(measure)).collect();
    let names: Vec<String> = found.iter().map(|(measure, _)| measure.to_string()).collect();
    found
        .iter()
        .map(|(measure, auc)| {
            let message = format!(
                "{measure} alone predicts the outcome: AUC {auc:.3} (suspicious above {TOO_GOOD}), which is too good \
                 to be true; its value is probably known only when the outcome is{}",
                levels(measure)
            );
            FailedCheck::blocking(PREDICTS_ALONE, message, without(artifact, &names))
        })
        .collect()
}

/// The model as a whole is too good: two features together may tell the outcome, where none does alone.
pub(super) fn too_accurate(input: &CheckInput<'_>) -> Option<FailedCheck> {
    let auc = input.trained.artifact.card.holdout.auc;
    (auc > TOO_ACCURATE).then(|| {
        let message = format!("the AUC on the holdout is {auc:.3}, which is rarely honest (remarked above {TOO_ACCURATE})");
        let remedy = "look at the reasons of some scores: do values among them become known only when the outcome is, \
                      perhaps two together? Leave those out by the lists under [features] in the spec";
        FailedCheck::remark("TOO_ACCURATE", message, remedy.to_owned())
    })
}

/// The most frequent values of a category.
fn levels(measure: &Measure) -> String {
    match measure {
        Measure::Attribute { scale: Scale::Category { levels }, .. } if !levels.is_empty() => {
            let shown: Vec<String> = levels.iter().take(5).map(|level| format!("{level:?}")).collect();
            format!("; its values are {}", shown.join(", "))
        }
        _ => String::new(),
    }
}

/// How to train without some features.
fn without(artifact: &Artifact, names: &[String]) -> String {
    let attributes = artifact.plan.attributes.iter().map(|(name, _)| name);
    let is_attribute = |name: &String| name.starts_with("attribute.");
    let rest: Vec<String> = attributes
        .filter(|name| !names.contains(&format!("attribute.{name}")))
        .map(|name| format!("\"{name}\""))
        .collect();
    let attributes = match rest.len() {
        ..=10 => format!("`attributes = [{}]`", rest.join(", ")),
        _ => "a list of the other `attributes`".to_owned(),
    };
    let lists = match (names.iter().any(is_attribute), names.iter().all(is_attribute)) {
        (_, true) => attributes,
        (true, false) => format!("{attributes} and a list of the other `kinds`"),
        (false, false) => "a list of the other `kinds`".to_owned(),
    };
    format!(
        "leave it out by {lists} under [features] in the spec; or send only values that were known at the time (the \
         first attributes of a customer count from its create_time)"
    )
}

/// The attributes that change when the outcome happens. Inactivity is no event that could change anything.
pub(super) fn changing_with_the_outcome(input: &CheckInput<'_>) -> Vec<FailedCheck> {
    let artifact = &input.trained.artifact;
    if artifact.outcome.target == Target::Churn && artifact.outcome.event == ChurnEvent::Inactivity {
        return Vec::new();
    }
    let positives = input.rows.positives();
    let negatives = input.rows.len() - positives;
    let is_used = |name: &str| artifact.plan.attributes.iter().any(|(own, _)| own == name);
    let counts = input.changes.counts.iter().filter(|(name, _)| is_used(name));
    counts
        .filter_map(|(name, [without, with])| {
            let share = *with as f64 / positives as f64;
            let otherwise = *without as f64 / negatives as f64;
            let is_suspicious = *with >= FEWEST && share >= CHANGED && share >= TIMES_AS_OFTEN * otherwise;
            is_suspicious.then(|| changing(name, share, otherwise))
        })
        .collect()
}

fn changing(name: &str, share: f64, otherwise: f64) -> FailedCheck {
    let message = format!(
        "attribute.{name} changes together with the outcome: within the horizon of {:.1} % of the snapshots with the \
         outcome, and of {:.1} % of those without",
        100.0 * share,
        100.0 * otherwise
    );
    let remedy = format!(
        "make sure that `{name}` was always sent when it changed, also for customers whose record was first sent \
         after the outcome; otherwise leave it out by a list of `attributes` under [features] in the spec"
    );
    FailedCheck::remark("ATTRIBUTE_CHANGES_WITH_OUTCOME", message, remedy)
}
