//! Messages of promotions and their previews.

use tally_model::{spec::Target, training::compare::Comparison};
use tally_proto::{
    limits,
    v1::{
        self, GradeChange, ModelComparison, PreviewPromotionResponse, PromoteModelRequest,
        RollbackModelRequest,
    },
};
use tally_store::{Promotion, PromotionKind};
use tonic::Request;

use crate::{
    catalog::ModelName,
    grpc::{
        caller,
        convert::{response, validator::Validator},
    },
    lifecycle::{PromotionPreview, PromotionRequest},
    platform::{actor::Actor, error::Result},
};

pub(super) fn promotion_request(
    mut validator: Validator,
    request: &Request<PromoteModelRequest>,
) -> Result<(Actor, PromotionRequest)> {
    let PromoteModelRequest { model, force, reason, requested_by } = request.get_ref();
    let model = validator.version(model);
    let actor = actor(&mut validator, request, requested_by);
    let reason = checked_reason(&mut validator, reason);
    validator.finish((actor, PromotionRequest { model, force: *force, reason }))
}

pub(super) fn rollback_request(
    mut validator: Validator,
    request: &Request<RollbackModelRequest>,
) -> Result<(Actor, Target, String)> {
    let RollbackModelRequest { target, reason, requested_by } = request.get_ref();
    let target = validator.target(*target);
    let actor = actor(&mut validator, request, requested_by);
    let reason = checked_reason(&mut validator, reason);
    validator.finish((actor, target, reason))
}

fn checked_reason(validator: &mut Validator, reason: &str) -> String {
    validator.remark("reason", reason, limits::VALUE_CHARS);
    reason.to_owned()
}

/// Who calls.
fn actor<T>(validator: &mut Validator, request: &Request<T>, requested_by: &str) -> Actor {
    validator.remark("requested_by", requested_by, limits::ID_CHARS);
    caller::actor(request, requested_by)
}

/// A preview, without the model and the moment that were asked for.
pub(super) fn preview(preview: &PromotionPreview) -> PreviewPromotionResponse {
    let PromotionPreview { champion, gate, refusal, changes } = preview;
    let (all, changed) = (changes.all(), changes.changed());
    PreviewPromotionResponse {
        champion: champion.to_string(),
        comparison: gate.comparison().map(comparison),
        refusal: refusal.as_ref().map(ToString::to_string).unwrap_or_default(),
        customers: all.customers as i64,
        amount_minor: all.amount_minor,
        changed_customers: changed.customers as i64,
        changed_amount_minor: changed.amount_minor,
        changes: changes
            .cells()
            .map(|(from, to, cell)| GradeChange {
                from_grade: response::grade(from).into(),
                to_grade: response::grade(to).into(),
                customers: cell.customers as i64,
                amount_minor: cell.amount_minor,
            })
            .collect(),
        ..PreviewPromotionResponse::default()
    }
}

pub(super) fn promotion(promotion: Promotion) -> v1::Promotion {
    let name = |version| ModelName { target: promotion.target, version }.to_string();
    v1::Promotion {
        target: response::target(promotion.target).into(),
        sequence: promotion.sequence,
        promote_time: Some(response::timestamp(promotion.time)),
        who: promotion.who,
        from_model: promotion.from.map(name).unwrap_or_default(),
        to_model: name(promotion.to),
        kind: match promotion.kind {
            PromotionKind::Promote => v1::PromotionKind::Promote,
            PromotionKind::Rollback => v1::PromotionKind::Rollback,
            PromotionKind::Training => v1::PromotionKind::Training,
        }
        .into(),
        forced: promotion.forced,
        reason: promotion.reason,
        gate_result: promotion.gate_result,
    }
}

pub(super) fn comparison((champion, comparison): (ModelName, Comparison)) -> ModelComparison {
    ModelComparison {
        champion: champion.to_string(),
        rows: comparison.rows as i64,
        positives: comparison.positives as i64,
        customers: comparison.customers as i64,
        candidate_log_loss: comparison.candidate_log_loss,
        champion_log_loss: comparison.champion_log_loss,
        difference: comparison.difference,
        lower: comparison.lower,
        upper: comparison.upper,
    }
}
