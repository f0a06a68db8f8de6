//! The model card: a stored model in the form of the contract.

use tally_model::{
    artifact::{self, Artifact, digest},
    evaluation::metrics,
    features::{Scale, bg_nbd::BgNbdFit, explain::FeatureValue},
    scoring::{Effect, Scorer},
    training::{checks, slices},
};
use tally_proto::v1::{
    AttributeType, Baseline, BgNbd, Candidate, Coefficient, EffectCurve, EffectPoint, FailedCheck,
    HoldoutSlice, LeadCoverage, Model, ModelAttribute, Recipe, ReliabilityBin, Stack, StackMember, Study,
};

use crate::{
    catalog::{self, ModelName},
    grpc::convert::response,
    lifecycle::eligible,
};
use tally_store::StoredModel;

/// How much a card contains.
#[derive(Clone, Copy)]
pub(super) enum Detail {
    /// Without the effect curves.
    Brief,
    /// Everything.
    Full,
}

/// The model card of a stored model. The card of one that cannot be read says so.
pub(super) fn card(stored: &StoredModel, detail: Detail) -> Model {
    let name = ModelName { target: stored.target, version: stored.version };
    let known = Model {
        name: name.to_string(),
        target: response::target(stored.target).into(),
        version: stored.version,
        champion: stored.champion,
        create_time: Some(response::timestamp(stored.create_time)),
        created_by: stored.created_by.clone(),
        ..Model::default()
    };
    let model = match catalog::Model::new(stored) {
        Ok(model) => model,
        Err(error) => return Model { problem: error.to_string(), ..known },
    };
    let artifact = model.scorer.artifact();
    let card = &artifact.card;
    Model {
        as_of_time: Some(response::timestamp(artifact.as_of)),
        eligible: eligible(&artifact.outcome),
        lead_coverage: card.leads.map(|leads| LeadCoverage {
            oldest_days: leads.oldest_days as i32,
            leads: leads.leads as i64,
            older: leads.older as i64,
        }),
        horizon_days: artifact.outcome.horizon_days as i32,
        rows: card.rows as i64,
        positives: card.positives as i64,
        split: card.split.name().to_owned(),
        holdout: Some(response::metrics(&card.holdout)),
        baselines: card
            .baselines
            .iter()
            .map(|(name, metrics)| Baseline { name: name.clone(), metrics: Some(response::metrics(metrics)) })
            .collect(),
        reliability: reliability(&card.reliability),
        uncalibrated_holdout: Some(response::metrics(&card.uncalibrated)),
        uncalibrated_reliability: reliability(&card.uncalibrated_reliability),
        chosen: Some(study(&card.chosen)),
        evaluated: Some(study(&card.evaluated)),
        log_odds_difference: card.log_odds_difference,
        rows_within_reach: card.rows_within_reach as i64,
        effects: match detail {
            Detail::Brief => Vec::new(),
            Detail::Full => effects(&model.scorer),
        },
        bg_nbd: card.bg_nbd.as_ref().map(bg_nbd),
        coefficients: coefficients(artifact),
        intercept: artifact.intercept,
        penalty: artifact.penalty,
        spec: artifact.spec.to_string(),
        schema_hash: artifact.schema_hash(),
        artifact_hash: digest(&stored.artifact),
        artifact_bytes: stored.artifact.len() as i64,
        attributes: model.attributes().map(attribute).collect(),
        amount_decimals: artifact.amount_decimals.into(),
        failed_checks: stored.assessment.failed_checks.iter().map(failed_check).collect(),
        slices: stored.assessment.slices.iter().map(slice).collect(),
        ..known
    }
}

/// A fitted BG/NBD model.
pub(crate) fn bg_nbd(fitted: &BgNbdFit) -> BgNbd {
    BgNbd {
        r: fitted.model.r,
        alpha: fitted.model.alpha,
        a: fitted.model.a,
        b: fitted.model.b,
        log_likelihood: fitted.log_likelihood,
        customers: fitted.customers as i64,
        converged: fitted.converged(),
        problem: fitted.problem.clone().unwrap_or_default(),
    }
}

fn attribute((name, scale): (&str, &Scale)) -> ModelAttribute {
    let used_as = match scale {
        Scale::Number => AttributeType::Number,
        Scale::Boolean => AttributeType::Boolean,
        Scale::Category { .. } => AttributeType::Category,
    };
    ModelAttribute { name: name.to_owned(), r#type: used_as.into() }
}

fn reliability(bins: &[metrics::ReliabilityBin]) -> Vec<ReliabilityBin> {
    let bin = |bin: &metrics::ReliabilityBin| ReliabilityBin {
        rows: bin.rows as i64,
        predicted: bin.predicted,
        observed: bin.observed,
    };
    bins.iter().map(bin).collect()
}

fn failed_check(check: &checks::FailedCheck) -> FailedCheck {
    FailedCheck {
        code: check.code.clone(),
        blocking: check.blocking,
        message: check.message.clone(),
        remedy: check.remedy.clone(),
    }
}

fn slice(slice: &slices::HoldoutSlice) -> HoldoutSlice {
    HoldoutSlice {
        by: slice.by.clone(),
        group: slice.group.clone(),
        rows: slice.rows as i64,
        positives: slice.positives as i64,
        auc: slice.auc,
        mean_probability: slice.mean_probability,
        observed_rate: slice.observed_rate,
    }
}

fn study(study: &artifact::Study) -> Study {
    let recipe = |recipe: artifact::Recipe| Recipe {
        form: recipe.form.name().to_owned(),
        penalty: recipe.penalty,
        pairs: recipe.pairs as i32,
        pair_ratio: recipe.pair_ratio,
        feature_fraction: recipe.feature_fraction,
        lookback_days: recipe.lookback_days,
        habits: recipe.habits,
        calendar: recipe.calendar,
    };
    let candidate = |candidate: &artifact::Candidate| Candidate {
        recipe: Some(recipe(candidate.recipe)),
        log_loss: candidate.log_loss,
        profiled_log_loss: candidate.profiled_log_loss,
        excess: candidate.excess,
        standard_error: candidate.standard_error,
    };
    let member = |member: &artifact::StackMember| StackMember {
        recipe: Some(recipe(member.recipe)),
        weight: member.weight,
    };
    let stack = |stack: &artifact::Stack| Stack {
        members: stack.members.iter().map(member).collect(),
        intercept: stack.intercept,
        log_loss: stack.log_loss,
        excess: stack.excess,
        standard_error: stack.standard_error,
        kept: stack.kept,
    };
    Study {
        recipe: Some(recipe(study.recipe)),
        stack: study.stack.as_ref().map(stack),
        calibration: study.calibration.clone().unwrap_or_default(),
        validation: study.validation.name().to_owned(),
        candidates: study.candidates.iter().map(candidate).collect(),
    }
}

fn effects(scorer: &Scorer) -> Vec<EffectCurve> {
    let point = |(value, log_odds): (FeatureValue, f64)| EffectPoint {
        value: Some(response::feature_value(value)),
        log_odds,
    };
    let curve = |effect: Effect| EffectCurve {
        feature: effect.feature,
        points: effect.curve.into_iter().map(point).collect(),
    };
    scorer.effects().into_iter().map(curve).collect()
}

fn coefficients(artifact: &Artifact) -> Vec<Coefficient> {
    artifact
        .encoder
        .column_names()
        .into_iter()
        .zip(artifact.weights.iter().zip(artifact.standard_errors()))
        .map(|((feature, column), (coefficient, standard_error))| Coefficient {
            feature,
            column,
            coefficient: *coefficient,
            standard_error,
        })
        .collect()
}
