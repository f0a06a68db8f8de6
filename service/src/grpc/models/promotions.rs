//! Messages of promotions and their previews.

use std::sync::Arc;

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
        connection::ConnectionInfo,
        convert::{response, validator::Validator},
    },
    lifecycle::{PromotionPreview, PromotionRequest},
    platform::{actor::Actor, error::Result},
    security::Caller,
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

/// Who calls: by its credentials, if callers are checked; what it says itself, which nobody checks; and its address.
fn actor<T>(validator: &mut Validator, request: &Request<T>, requested_by: &str) -> Actor {
    validator.remark("requested_by", requested_by, limits::ID_CHARS);
    let caller = request.extensions().get::<Arc<Caller>>().map(|caller| caller.name.clone());
    let said = Some(requested_by).filter(|said| !said.is_empty()).map(|said| format!("{said} (unchecked)"));
    let connection = request.extensions().get::<ConnectionInfo>();
    let address =
        connection.and_then(|connection| connection.address).map(|address| address.ip().to_string());
    let who: Vec<String> = caller.into_iter().chain(said).collect();
    let name = match (who.is_empty(), address) {
        (false, Some(address)) => format!("{} from {address}", who.join(" as ")),
        (true, Some(address)) => address,
        (_, None) => who.join(" as "),
    };
    Actor { name }
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

#[cfg(test)]
mod tests {
    use tally_model::time::Time;

    use super::*;
    use crate::security::{Scope, Scopes};

    #[test]
    fn the_actor_is_the_caller_as_far_as_it_is_known() {
        let scopes = Scopes::from_iter([Scope::Admin]);
        let caller = || Arc::new(Caller { name: "ops".to_owned(), scopes, expires: None });
        let connection = || ConnectionInfo { address: "10.0.0.7:1".parse().ok(), certificate: None };
        for (is_checked, said, is_remote, name) in [
            (true, "ada@laptop", true, "ops as ada@laptop (unchecked) from 10.0.0.7"),
            (true, "", true, "ops from 10.0.0.7"),
            (true, "", false, "ops"),
            (false, "ada@laptop", true, "ada@laptop (unchecked) from 10.0.0.7"),
            (false, "", true, "10.0.0.7"),
            (false, "", false, ""),
        ] {
            let mut request = Request::new(());
            if is_checked {
                request.extensions_mut().insert(caller());
            }
            if is_remote {
                request.extensions_mut().insert(connection());
            }
            assert_eq!(actor(&mut Validator::new(Time(0)), &request, said).name, name);
        }
    }
}
