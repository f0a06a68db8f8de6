//! The part of ModelService that moves champions.

use tally_model::{time::Time, training::compare::Comparison};
use tally_proto::v1::{
    self, GradeChange, ListPromotionsRequest, ListPromotionsResponse, ModelComparison,
    PreviewPromotionRequest, PreviewPromotionResponse, PromoteModelRequest, PromoteModelResponse,
    RollbackModelRequest, RollbackModelResponse,
};
use tonic::Request;

use super::{models::Models, page, parse::Validator, reply};
use crate::{
    catalog::models::ModelName,
    lifecycle::preview::Preview,
    lifecycle::promotion::{self, Actor},
    platform::error::{Error, Result},
    scoring::score::ScoreRequest,
};
use tally_proto::limits;
use tally_store::{Promotion, PromotionKind};

impl Models {
    pub(super) async fn promote(
        &self,
        request: Request<PromoteModelRequest>,
    ) -> Result<PromoteModelResponse> {
        let mut check = Validator::new(self.0.now());
        let (model, force) = (check.version(&request.get_ref().model), request.get_ref().force);
        let PromoteModelRequest { reason, requested_by, .. } = request.get_ref();
        let actor = actor(&mut check, &request, reason, requested_by, self.0.now());
        let actor = check.finish(actor)?;
        let (moved, gate) = promotion::promote(&self.0, model, force, actor).await?;
        Ok(PromoteModelResponse {
            promotion: Some(promotion(moved)),
            comparison: gate.comparison().map(comparison),
        })
    }

    pub(super) async fn roll_back(
        &self,
        request: Request<RollbackModelRequest>,
    ) -> Result<RollbackModelResponse> {
        let mut check = Validator::new(self.0.now());
        let target = check.target(request.get_ref().target);
        let RollbackModelRequest { reason, requested_by, .. } = request.get_ref();
        let actor = actor(&mut check, &request, reason, requested_by, self.0.now());
        let actor = check.finish(actor)?;
        let moved = promotion::roll_back(&self.0, target, actor).await?;
        Ok(RollbackModelResponse { promotion: Some(promotion(moved)) })
    }

    pub(super) async fn preview(&self, request: PreviewPromotionRequest) -> Result<PreviewPromotionResponse> {
        let now = self.0.now();
        let mut check = Validator::new(now);
        let (name, as_of) = (check.version(&request.model), check.as_of(request.as_of_time.as_ref()));
        check.finish(())?;
        let champion = self.0.models.champion(name.target).await?;
        let candidate = promotion::readable(&*self.0.store, name).await?;
        let outcome = candidate.scorer.artifact().outcome;
        let gate = promotion::gate(&*self.0.store, name, outcome, Some(champion.name.version)).await?;
        let refusal = gate.refusal(name).filter(|_| champion.name != name);
        let question = |model| ScoreRequest::new(model, as_of, now, 0);
        let reply = PreviewPromotionResponse {
            model: name.to_string(),
            champion: champion.name.to_string(),
            as_of_time: Some(reply::timestamp(as_of)),
            comparison: gate.comparison().map(comparison),
            refusal: refusal.map(|refusal| refusal.to_string()).unwrap_or_default(),
            ..PreviewPromotionResponse::default()
        };
        let preview = Preview::new(&self.0, question(champion), question(candidate.into())).await?;
        let (all, changed) = (preview.all(), preview.changed());
        Ok(PreviewPromotionResponse {
            customers: all.customers as i64,
            amount_minor: all.amount_minor,
            changed_customers: changed.customers as i64,
            changed_amount_minor: changed.amount_minor,
            changes: preview
                .cells()
                .map(|(from, to, cell)| GradeChange {
                    from_grade: reply::grade(from).into(),
                    to_grade: reply::grade(to).into(),
                    customers: cell.customers as i64,
                    amount_minor: cell.amount_minor,
                })
                .collect(),
            ..reply
        })
    }

    pub(super) async fn history(&self, request: ListPromotionsRequest) -> Result<ListPromotionsResponse> {
        let mut check = Validator::new(self.0.now());
        let target = check.target(request.target);
        let size = check.page_size(request.page_size);
        let size = check.finish(size)?;
        let scope = ("ListPromotions", target);
        let before: Option<i64> = self.0.tokens.open(&scope, &request.page_token)?;
        let found = self.0.store.promotions(target, before, size + 1).await.map_err(Error::from)?;
        let (promotions, last) = page::cut(found, size, |row| row.sequence, promotion);
        Ok(ListPromotionsResponse { promotions, next_page_token: self.0.tokens.next(&scope, last)? })
    }
}

/// Who calls, and why.
fn actor<T>(
    check: &mut Validator,
    request: &Request<T>,
    reason: &str,
    requested_by: &str,
    time: Time,
) -> Actor {
    check.remark("reason", reason, limits::VALUE_BYTES);
    check.remark("requested_by", requested_by, limits::ID_BYTES);
    let address = request.remote_addr().map(|address| address.ip().to_string());
    let said = Some(requested_by.to_owned()).filter(|said| !said.is_empty());
    let who = match (said, address) {
        (Some(said), Some(address)) => format!("{said} (unchecked) from {address}"),
        (None, Some(address)) => address,
        (said, None) => said.unwrap_or_default(),
    };
    Actor { who, reason: reason.to_owned(), time }
}

fn promotion(promotion: Promotion) -> v1::Promotion {
    let name = |version| ModelName { target: promotion.target, version }.to_string();
    v1::Promotion {
        target: reply::target(promotion.target).into(),
        sequence: promotion.sequence,
        promote_time: Some(reply::timestamp(promotion.time)),
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

fn comparison((champion, comparison): (ModelName, Comparison)) -> ModelComparison {
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
