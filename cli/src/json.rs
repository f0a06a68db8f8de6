//! Messages of the contract as JSON: its field names, times in RFC 3339, enums without their prefix.

use prost_types::{Timestamp, value::Kind};
use serde_json::{Value, json};
use tally_proto::v1::{
    BgNbd, Candidate, ComparePredictionsResponse, DriftBin, DriftRange, EffectCurve, EffectPoint,
    FeatureChange, FeatureDrift, GetDriftResponse, GradeChange, LogOddsChange, Metrics, Model,
    ModelComparison, PreviewPromotionResponse, PromoteModelResponse, Promotion, RealisedMonth, Reason,
    Recipe, ReplayPredictionResponse, Score, ScorePopulationResponse, Study, Target, drift_bin::Bin,
};
use tonic_types::{RpcStatusExt, Status};

use super::{registry, time};

pub(super) fn score(score: &Score) -> Value {
    json!({
        "customer_id": score.customer_id,
        "target": target(score.target()),
        "probability": score.probability,
        "lower": score.lower,
        "upper": score.upper,
        "grade": enum_name(score.grade().as_str_name()),
        "basis": enum_name(score.basis().as_str_name()),
        "base_log_odds": score.base_log_odds,
        "reasons": score.reasons.iter().map(reason).collect::<Vec<_>>(),
        "model": score.model,
        "as_of_time": moment(score.as_of_time.as_ref()),
        "known_time": moment(score.known_time.as_ref()),
        "horizon_days": score.horizon_days,
        "missing_features": score.missing_features,
        "prediction_id": score.prediction_id,
        "score_time": moment(score.score_time.as_ref()),
    })
}

fn reason(reason: &Reason) -> Value {
    json!({
        "feature": reason.feature,
        "value": reason.value.as_ref().map(natural),
        "baseline": reason.baseline.as_ref().map(natural),
        "contribution": reason.contribution,
        "text": reason.text,
    })
}

/// What stands in place of the score of a customer that has none.
pub(super) fn unscored(customer_id: &str, status: &Status) -> Value {
    let details = status.get_error_details();
    let mut shown = Vec::new();
    if let Some(info) = details.error_info() {
        shown.push(json!({
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": info.reason, "domain": info.domain, "metadata": info.metadata,
        }));
    }
    if let Some(bad) = details.bad_request() {
        let violation =
            |v: &tonic_types::FieldViolation| json!({"field": v.field, "description": v.description});
        shown.push(json!({
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "field_violations": bad.field_violations.iter().map(violation).collect::<Vec<_>>(),
        }));
    }
    let status = json!({"code": status.code, "message": status.message, "details": shown});
    json!({"customer_id": customer_id, "status": status})
}

pub(super) fn population(response: &ScorePopulationResponse) -> Value {
    json!({
        "done": response.done,
        "total": response.total,
        "model": response.model,
        "stored": response.stored,
        "as_of_time": moment(response.as_of_time.as_ref()),
    })
}

pub(super) fn replay(replay: &ReplayPredictionResponse) -> Value {
    json!({
        "score": replay.score.as_ref().map(score),
        "stored": replay.stored.as_ref().map(score),
        "identical": replay.identical,
        "differences": replay.differences,
    })
}

pub(super) fn comparison(comparison: &ComparePredictionsResponse) -> Value {
    json!({
        "from_score": comparison.from_score.as_ref().map(score),
        "to_score": comparison.to_score.as_ref().map(score),
        "from_log_odds": comparison.from_log_odds,
        "to_log_odds": comparison.to_log_odds,
        "change": comparison.change,
        "late_data": comparison.late_data.as_ref().map(change),
        "behaviour": comparison.behaviour.as_ref().map(change),
        "retraining": comparison.retraining.as_ref().map(change),
    })
}

fn change(change: &LogOddsChange) -> Value {
    let feature = |feature: &FeatureChange| {
        json!({
            "feature": feature.feature,
            "log_odds": feature.log_odds,
            "from_reason": feature.from_reason.as_ref().map(reason),
            "to_reason": feature.to_reason.as_ref().map(reason),
        })
    };
    json!({
        "log_odds": change.log_odds,
        "base_log_odds": change.base_log_odds,
        "features": change.features.iter().map(feature).collect::<Vec<_>>(),
    })
}

pub(super) fn model(model: &Model) -> Value {
    let baseline =
        |b: &tally_proto::v1::Baseline| json!({"name": b.name, "metrics": b.metrics.as_ref().map(metrics)});
    let bin = |b: &tally_proto::v1::ReliabilityBin| json!({"rows": b.rows, "predicted": b.predicted, "observed": b.observed});
    let coefficient = |c: &tally_proto::v1::Coefficient| {
        json!({
            "feature": c.feature, "column": c.column,
            "coefficient": c.coefficient, "standard_error": c.standard_error,
        })
    };
    json!({
        "name": model.name,
        "target": target(model.target()),
        "version": model.version,
        "champion": model.champion,
        "create_time": moment(model.create_time.as_ref()),
        "created_by": model.created_by,
        "as_of_time": moment(model.as_of_time.as_ref()),
        "horizon_days": model.horizon_days,
        "rows": model.rows,
        "positives": model.positives,
        "split": model.split,
        "holdout": model.holdout.as_ref().map(metrics),
        "baselines": model.baselines.iter().map(baseline).collect::<Vec<_>>(),
        "reliability": model.reliability.iter().map(bin).collect::<Vec<_>>(),
        "coefficients": model.coefficients.iter().map(coefficient).collect::<Vec<_>>(),
        "intercept": model.intercept,
        "penalty": model.penalty,
        "spec": model.spec,
        "schema_hash": model.schema_hash,
        "artifact_hash": model.artifact_hash,
        "artifact_bytes": model.artifact_bytes,
        "problem": model.problem,
        "uncalibrated_holdout": model.uncalibrated_holdout.as_ref().map(metrics),
        "uncalibrated_reliability": model.uncalibrated_reliability.iter().map(bin).collect::<Vec<_>>(),
        "chosen": model.chosen.as_ref().map(study),
        "evaluated": model.evaluated.as_ref().map(study),
        "rows_within_reach": model.rows_within_reach,
        "effects": model.effects.iter().map(effect).collect::<Vec<_>>(),
        "bg_nbd": model.bg_nbd.as_ref().map(bg_nbd),
    })
}

fn study(study: &Study) -> Value {
    json!({
        "recipe": study.recipe.as_ref().map(recipe),
        "calibration": study.calibration,
        "validation": study.validation,
        "candidates": study.candidates.iter().map(candidate).collect::<Vec<_>>(),
    })
}

fn recipe(recipe: &Recipe) -> Value {
    json!({
        "form": recipe.form,
        "penalty": recipe.penalty,
        "pairs": recipe.pairs,
        "feature_fraction": recipe.feature_fraction,
        "lookback_days": recipe.lookback_days,
    })
}

fn candidate(candidate: &Candidate) -> Value {
    json!({
        "recipe": candidate.recipe.as_ref().map(recipe),
        "log_loss": candidate.log_loss,
        "excess": candidate.excess,
        "standard_error": candidate.standard_error,
    })
}

fn effect(curve: &EffectCurve) -> Value {
    let point =
        |point: &EffectPoint| json!({"value": point.value.as_ref().map(natural), "log_odds": point.log_odds});
    json!({"feature": curve.feature, "points": curve.points.iter().map(point).collect::<Vec<_>>()})
}

fn bg_nbd(fitted: &BgNbd) -> Value {
    json!({
        "r": fitted.r,
        "alpha": fitted.alpha,
        "a": fitted.a,
        "b": fitted.b,
        "log_likelihood": fitted.log_likelihood,
        "customers": fitted.customers,
        "converged": fitted.converged,
        "problem": fitted.problem,
    })
}

pub(super) fn promoted(response: &PromoteModelResponse) -> Value {
    json!({
        "promotion": response.promotion.as_ref().map(promotion),
        "comparison": response.comparison.as_ref().map(model_comparison),
    })
}

pub(super) fn promotion(promotion: &Promotion) -> Value {
    json!({
        "target": target(promotion.target()),
        "sequence": promotion.sequence,
        "promote_time": moment(promotion.promote_time.as_ref()),
        "who": promotion.who,
        "from_model": promotion.from_model,
        "to_model": promotion.to_model,
        "kind": registry::kind(promotion),
        "forced": promotion.forced,
        "reason": promotion.reason,
        "gate_result": promotion.gate_result,
    })
}

fn model_comparison(comparison: &ModelComparison) -> Value {
    json!({
        "champion": comparison.champion,
        "rows": comparison.rows,
        "positives": comparison.positives,
        "customers": comparison.customers,
        "candidate_log_loss": comparison.candidate_log_loss,
        "champion_log_loss": comparison.champion_log_loss,
        "difference": comparison.difference,
        "lower": comparison.lower,
        "upper": comparison.upper,
    })
}

pub(super) fn preview(preview: &PreviewPromotionResponse) -> Value {
    let change = |change: &GradeChange| {
        json!({
            "from_grade": enum_name(change.from_grade().as_str_name()),
            "to_grade": enum_name(change.to_grade().as_str_name()),
            "customers": change.customers,
            "amount_minor": change.amount_minor,
        })
    };
    json!({
        "model": preview.model,
        "champion": preview.champion,
        "as_of_time": moment(preview.as_of_time.as_ref()),
        "customers": preview.customers,
        "amount_minor": preview.amount_minor,
        "changed_customers": preview.changed_customers,
        "changed_amount_minor": preview.changed_amount_minor,
        "changes": preview.changes.iter().map(change).collect::<Vec<_>>(),
        "comparison": preview.comparison.as_ref().map(model_comparison),
        "refusal": preview.refusal,
    })
}

fn metrics(metrics: &Metrics) -> Value {
    json!({
        "rows": metrics.rows,
        "positives": metrics.positives,
        "auc": metrics.auc,
        "pr_auc": metrics.pr_auc,
        "log_loss": metrics.log_loss,
        "brier": metrics.brier,
        "ece": metrics.ece,
        "lift_at_10_percent": metrics.lift_at_10_percent,
    })
}

pub(super) fn drift(drift: &GetDriftResponse) -> Value {
    json!({
        "model": drift.model,
        "as_of_time": moment(drift.as_of_time.as_ref()),
        "score_time": moment(drift.score_time.as_ref()),
        "customers": drift.customers,
        "cold_customers": drift.cold_customers,
        "training_rows": drift.training_rows,
        "score": drift.score.as_ref().map(feature_drift),
        "features": drift.features.iter().map(feature_drift).collect::<Vec<_>>(),
    })
}

fn feature_drift(drift: &FeatureDrift) -> Value {
    json!({
        "feature": drift.feature,
        "psi": drift.psi,
        "psi_by_chance": drift.psi_by_chance,
        "verdict": enum_name(drift.verdict().as_str_name()),
        "mean_difference": drift.mean_difference,
        "missing_difference": drift.missing_difference,
        "bins": drift.bins.iter().map(drift_bin).collect::<Vec<_>>(),
    })
}

/// A bin has one of `range`, `level` and `missing`, as in the contract.
fn drift_bin(bin: &DriftBin) -> Value {
    let (kind, value) = match &bin.bin {
        Some(Bin::Range(DriftRange { above, up_to })) => ("range", json!({"above": above, "up_to": up_to})),
        Some(Bin::Level(level)) => ("level", json!(level)),
        Some(Bin::Missing(_)) | None => ("missing", json!(true)),
    };
    let mut shown = json!({"training_share": bin.training_share, "population_share": bin.population_share});
    shown[kind] = value;
    shown
}

pub(super) fn realised(month: &RealisedMonth) -> Value {
    json!({
        "month": month.month,
        "model": month.model,
        "rows": month.rows,
        "positives": month.positives,
        "mean_predicted": month.mean_predicted,
        "auc": month.auc,
        "log_loss": month.log_loss,
        "brier": month.brier,
        "ece": month.ece,
        "lift_at_10_percent": month.lift_at_10_percent,
        "rows_before_cutoff": month.rows_before_cutoff,
    })
}

/// LEAD or CHURN.
pub(super) fn target(target: Target) -> &'static str {
    enum_name(target.as_str_name())
}

/// `GRADE_A` -> `A`.
pub(super) fn enum_name(name: &'static str) -> &'static str {
    name.split_once('_').map_or(name, |(_, name)| name)
}

fn moment(timestamp: Option<&Timestamp>) -> Option<String> {
    timestamp.map(time::format)
}

/// What the value says, without its wrapping. Whole numbers have no fraction.
fn natural(value: &prost_types::Value) -> Value {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => Value::Null,
        Some(Kind::BoolValue(truth)) => json!(truth),
        Some(Kind::NumberValue(number)) if number.fract() == 0.0 && number.abs() < 9e15 => {
            json!(*number as i64)
        }
        Some(Kind::NumberValue(number)) => json!(number),
        Some(Kind::StringValue(text)) => json!(text),
        Some(Kind::ListValue(list)) => list.values.iter().map(natural).collect(),
        Some(Kind::StructValue(fields)) => {
            fields.fields.iter().map(|(name, value)| (name.clone(), natural(value))).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use prost_types::FileDescriptorSet;
    use tally_proto::v1::{Baseline, Basis, Coefficient, Grade, ReliabilityBin};

    use super::*;

    /// The field names of a message, sorted.
    fn fields(message: &str) -> Vec<String> {
        let set = FileDescriptorSet::decode(tally_proto::DESCRIPTOR_SET).unwrap();
        let messages =
            set.file.iter().filter(|file| file.package() == "tally.v1").flat_map(|file| &file.message_type);
        let message = messages.into_iter().find(|found| found.name() == message).unwrap();
        let mut names: Vec<String> = message.field.iter().map(|field| field.name().to_owned()).collect();
        names.sort_unstable();
        names
    }

    fn keys(value: &Value) -> Vec<String> {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn every_field_of_the_contract_is_there_under_its_name() {
        let scored = score(&Score { reasons: vec![Reason::default()], ..Score::default() });
        assert_eq!(keys(&scored), fields("Score"));
        assert_eq!(keys(&scored["reasons"][0]), fields("Reason"));
        assert_eq!(keys(&population(&ScorePopulationResponse::default())), fields("ScorePopulationResponse"));
        assert_eq!(keys(&replay(&ReplayPredictionResponse::default())), fields("ReplayPredictionResponse"));
        let part = LogOddsChange { features: vec![FeatureChange::default()], ..LogOddsChange::default() };
        let compared = comparison(&ComparePredictionsResponse {
            late_data: Some(part),
            ..ComparePredictionsResponse::default()
        });
        assert_eq!(keys(&compared), fields("ComparePredictionsResponse"));
        assert_eq!(keys(&compared["late_data"]), fields("LogOddsChange"));
        assert_eq!(keys(&compared["late_data"]["features"][0]), fields("FeatureChange"));
        let card = model(&Model {
            holdout: Some(Metrics::default()),
            baselines: vec![Baseline::default()],
            reliability: vec![ReliabilityBin::default()],
            coefficients: vec![Coefficient::default()],
            chosen: Some(Study {
                recipe: Some(Recipe::default()),
                candidates: vec![Candidate::default()],
                ..Study::default()
            }),
            effects: vec![EffectCurve { points: vec![EffectPoint::default()], ..EffectCurve::default() }],
            bg_nbd: Some(BgNbd::default()),
            ..Model::default()
        });
        assert_eq!(keys(&card), fields("Model"));
        assert_eq!(keys(&card["holdout"]), fields("Metrics"));
        assert_eq!(keys(&card["baselines"][0]), fields("Baseline"));
        assert_eq!(keys(&card["reliability"][0]), fields("ReliabilityBin"));
        assert_eq!(keys(&card["coefficients"][0]), fields("Coefficient"));
        assert_eq!(keys(&card["chosen"]), fields("Study"));
        assert_eq!(keys(&card["chosen"]["recipe"]), fields("Recipe"));
        assert_eq!(keys(&card["chosen"]["candidates"][0]), fields("Candidate"));
        assert_eq!(keys(&card["effects"][0]), fields("EffectCurve"));
        assert_eq!(keys(&card["effects"][0]["points"][0]), fields("EffectPoint"));
        assert_eq!(keys(&card["bg_nbd"]), fields("BgNbd"));
        let feature = FeatureDrift { bins: vec![DriftBin::default()], ..FeatureDrift::default() };
        let drifted = drift(&GetDriftResponse { score: Some(feature), ..GetDriftResponse::default() });
        assert_eq!(keys(&drifted), fields("GetDriftResponse"));
        assert_eq!(keys(&drifted["score"]), fields("FeatureDrift"));
        let range = Bin::Range(DriftRange::default());
        let bins = [Some(range), Some(Bin::Level(String::new())), Some(Bin::Missing(true))];
        let bins = bins.map(|bin| drift_bin(&DriftBin { bin, ..DriftBin::default() }));
        let mut names: Vec<String> = bins.iter().flat_map(keys).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names, fields("DriftBin"));
        assert_eq!(keys(&bins[0]["range"]), fields("DriftRange"));
        assert_eq!(keys(&realised(&RealisedMonth::default())), fields("RealisedMonth"));
        let moved = promoted(&PromoteModelResponse {
            promotion: Some(Promotion::default()),
            comparison: Some(ModelComparison::default()),
        });
        assert_eq!(keys(&moved), fields("PromoteModelResponse"));
        assert_eq!(keys(&moved["promotion"]), fields("Promotion"));
        assert_eq!(keys(&moved["comparison"]), fields("ModelComparison"));
        let change = preview(&PreviewPromotionResponse {
            changes: vec![GradeChange::default()],
            ..PreviewPromotionResponse::default()
        });
        assert_eq!(keys(&change), fields("PreviewPromotionResponse"));
        assert_eq!(keys(&change["changes"][0]), fields("GradeChange"));
    }

    #[test]
    fn values_are_natural() {
        let value = |kind| Some(prost_types::Value { kind: Some(kind) });
        let reasons = vec![
            Reason {
                value: value(Kind::NumberValue(143.0)),
                baseline: value(Kind::NumberValue(0.5)),
                ..Reason::default()
            },
            Reason {
                value: value(Kind::StringValue("x".to_owned())),
                baseline: value(Kind::NullValue(0)),
                ..Reason::default()
            },
        ];
        let line = score(&Score {
            target: Target::Churn.into(),
            grade: Grade::D.into(),
            basis: Basis::Cold.into(),
            as_of_time: Some(Timestamp { seconds: 1_315_569_600, nanos: 1_500 }),
            reasons,
            ..Score::default()
        });
        assert_eq!(line["target"], "CHURN");
        assert_eq!(line["grade"], "D");
        assert_eq!(line["basis"], "COLD");
        assert_eq!(line["as_of_time"], "2011-09-09T12:00:00.000001Z");
        assert_eq!(line["score_time"], Value::Null);
        assert_eq!(line["reasons"][0]["value"].to_string(), "143");
        assert_eq!(line["reasons"][0]["baseline"].to_string(), "0.5");
        assert_eq!(line["reasons"][1]["value"], "x");
        assert_eq!(line["reasons"][1]["baseline"], Value::Null);
    }
}
