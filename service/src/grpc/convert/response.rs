//! Domain values to responses.

use prost_types::{Struct, Timestamp, Value, value::Kind};
use tally_model::{
    evaluation::metrics::Metrics,
    features::explain::FeatureValue,
    history::{AttributeValue, Attributes},
    label::Basis,
    scoring::{Grade, Reason},
    spec::Target,
    time::Time,
};
use tally_proto::v1;

use crate::{
    catalog::ModelName,
    scoring::{ExplainedChange, FeatureChange, LogOddsChange, Replay},
};
use tally_store::{Customer, ListedInteraction, Prediction, StoredAttribute};

pub const fn timestamp(time: Time) -> Timestamp {
    Timestamp { seconds: time.0.div_euclid(1_000_000), nanos: (time.0.rem_euclid(1_000_000) * 1_000) as i32 }
}

pub const fn target(target: Target) -> v1::Target {
    match target {
        Target::Lead => v1::Target::Lead,
        Target::Churn => v1::Target::Churn,
    }
}

pub fn customer(customer: Customer) -> v1::Customer {
    v1::Customer {
        customer_id: customer.customer_id,
        create_time: Some(timestamp(customer.create_time)),
        // Unset rather than empty, so that a client can send back what it has read.
        attributes: (!customer.attributes.is_empty()).then(|| attributes(customer.attributes)),
        name: customer.name,
        merged_customer_ids: customer.merged_customer_ids,
    }
}

pub fn stored_attribute(attribute: StoredAttribute) -> v1::StoredAttribute {
    let StoredAttribute { name, numbers, booleans, texts } = attribute;
    v1::StoredAttribute { name, numbers, booleans, texts }
}

fn attributes(attributes: Attributes) -> Struct {
    let value = |value| match value {
        AttributeValue::Boolean(truth) => Kind::BoolValue(truth),
        AttributeValue::Number(number) => Kind::NumberValue(number),
        AttributeValue::Text(text) => Kind::StringValue(text),
    };
    Struct {
        fields: attributes.into_iter().map(|(name, v)| (name, Value { kind: Some(value(v)) })).collect(),
    }
}

pub fn interaction(listed: ListedInteraction) -> v1::Interaction {
    let ListedInteraction { interaction, retract_time } = listed;
    v1::Interaction {
        retract_time: retract_time.map(timestamp),
        customer_id: interaction.customer_id,
        interaction_id: interaction.interaction_id,
        kind: interaction.kind,
        occur_time: Some(timestamp(interaction.occur_time)),
        amount_minor: interaction.amount_minor,
        channel: interaction.channel,
        properties: interaction.properties.into_iter().collect(),
        record_time: Some(timestamp(interaction.record_time)),
    }
}

/// A score; one without an id is not stored. [`batch`](super::batch) writes the same bytes.
pub fn score(prediction: Prediction) -> v1::Score {
    let stored = !prediction.prediction_id.is_empty();
    let model = ModelName { target: prediction.target, version: prediction.model_version };
    v1::Score {
        backfill_time: prediction.backfill_time.map(timestamp),
        customer_id: prediction.customer_id,
        target: target(prediction.target).into(),
        probability: prediction.probability,
        lower: prediction.lower,
        upper: prediction.upper,
        grade: grade(prediction.grade).into(),
        basis: basis(prediction.basis).into(),
        base_log_odds: prediction.base_log_odds,
        reasons: prediction.reasons.into_iter().map(reason).collect(),
        model: model.to_string(),
        as_of_time: Some(timestamp(prediction.as_of)),
        known_time: Some(timestamp(prediction.known_at)),
        horizon_days: prediction.horizon_days as i32,
        missing_features: prediction.missing_features,
        notes: prediction.notes,
        prediction_id: prediction.prediction_id,
        score_time: stored.then(|| timestamp(prediction.score_time)),
    }
}

pub fn replay(replay: Replay) -> v1::ReplayPredictionResponse {
    v1::ReplayPredictionResponse {
        identical: replay.differences.is_empty(),
        score: replay.score.map(score),
        stored: Some(score(replay.stored)),
        differences: replay.differences,
    }
}

pub fn comparison(comparison: ExplainedChange) -> v1::ComparePredictionsResponse {
    v1::ComparePredictionsResponse {
        from_score: Some(score(comparison.from)),
        to_score: Some(score(comparison.to)),
        from_log_odds: comparison.from_log_odds,
        to_log_odds: comparison.to_log_odds,
        change: comparison.to_log_odds - comparison.from_log_odds,
        late_data: Some(change(comparison.late_data)),
        behaviour: Some(change(comparison.behaviour)),
        retraining: Some(change(comparison.retraining)),
    }
}

fn change(change: LogOddsChange) -> v1::LogOddsChange {
    let feature = |feature: FeatureChange| v1::FeatureChange {
        feature: feature.feature,
        log_odds: feature.log_odds,
        from_reason: feature.from.map(reason),
        to_reason: feature.to.map(reason),
    };
    v1::LogOddsChange {
        log_odds: change.log_odds,
        base_log_odds: change.base_log_odds,
        features: change.features.into_iter().map(feature).collect(),
    }
}

pub const fn grade(grade: Grade) -> v1::Grade {
    match grade {
        Grade::A => v1::Grade::A,
        Grade::B => v1::Grade::B,
        Grade::C => v1::Grade::C,
        Grade::D => v1::Grade::D,
    }
}

pub const fn basis(basis: Basis) -> v1::Basis {
    match basis {
        Basis::Model => v1::Basis::Model,
        Basis::Cold => v1::Basis::Cold,
    }
}

/// A reason of a score.
pub fn reason(reason: Reason) -> v1::Reason {
    v1::Reason {
        feature: reason.feature,
        value: Some(feature_value(reason.value)),
        baseline: Some(feature_value(reason.baseline)),
        contribution: reason.contribution,
        text: reason.text,
    }
}

pub fn feature_value(value: FeatureValue) -> Value {
    let kind = match value {
        FeatureValue::Missing => Kind::NullValue(0),
        FeatureValue::Number(number) => Kind::NumberValue(number),
        FeatureValue::Boolean(truth) => Kind::BoolValue(truth),
        FeatureValue::Text(text) => Kind::StringValue(text),
    };
    Value { kind: Some(kind) }
}

pub const fn metrics(metrics: &Metrics) -> v1::Metrics {
    v1::Metrics {
        rows: metrics.rows as i64,
        positives: metrics.positives as i64,
        auc: metrics.auc,
        pr_auc: metrics.pr_auc,
        log_loss: metrics.log_loss,
        brier: metrics.brier,
        ece: metrics.ece,
        lift_at_10_percent: metrics.lift_at_10_percent,
    }
}
