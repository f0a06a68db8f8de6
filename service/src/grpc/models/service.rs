//! The RPCs of ModelService.

use std::sync::Arc;

use prost::Message;
use tally_model::spec::Target;
use tally_proto::{
    limits,
    v1::{
        GetDriftRequest, GetDriftResponse, GetModelRequest, GetModelResponse, GetRealisedPerformanceRequest,
        GetRealisedPerformanceResponse, ListModelsRequest, ListModelsResponse, ListPromotionsRequest,
        ListPromotionsResponse, Model, PreviewPromotionRequest, PreviewPromotionResponse,
        PromoteModelRequest, PromoteModelResponse, RollbackModelRequest, RollbackModelResponse,
        model_service_server::ModelService,
    },
};
use tonic::{Request, Response, Status, async_trait};

use super::{
    card::{Detail, card},
    monitoring, promotions,
};
use crate::{
    catalog::{ModelCatalog, ModelName},
    grpc::{
        convert::{page, response, validator::Validator},
        page_token::PageTokens,
        status::about,
    },
    lifecycle::Promotions,
    monitoring::Monitoring,
    platform::{
        blocking::run_blocking,
        clock::Clock,
        error::{Error, Result},
    },
};

/// Stored models that a list holds in memory at a time; their artifacts are large.
const ARTIFACTS: usize = 8;

/// The service.
pub(crate) struct ModelRpc {
    pub(crate) catalog: ModelCatalog,
    pub(crate) promotions: Promotions,
    pub(crate) monitoring: Monitoring,
    pub(crate) page_tokens: PageTokens,
    pub(crate) clock: Arc<Clock>,
}

#[async_trait]
impl ModelService for ModelRpc {
    async fn list_models(
        &self,
        request: Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        let request = request.into_inner();
        let mut validator = self.validator();
        let target = validator.optional_target(request.target);
        let size = validator.page_size(request.page_size);
        let size = validator.finish(size)?;
        let scope = ("ListModels", target);
        let after: Option<(Target, i64)> = self.page_tokens.open(&scope, &request.page_token)?;
        let cards = self.cards(target, after, size + 1).await?;
        let (models, last) = page::cut(cards, size, |(place, _)| *place, |(_, card)| card);
        let next_page_token = self.page_tokens.next(&scope, last)?;
        Ok(Response::new(ListModelsResponse { models, next_page_token }))
    }

    async fn get_model(
        &self,
        request: Request<GetModelRequest>,
    ) -> Result<Response<GetModelResponse>, Status> {
        let name = self.named(&request.into_inner().model).await?;
        let stored = self.catalog.stored(name).await.map_err(about(&[("model", &name)]))?;
        let model = run_blocking(move || card(&stored, Detail::Full)).await?;
        Ok(Response::new(GetModelResponse { model: Some(model) }))
    }

    async fn promote_model(
        &self,
        request: Request<PromoteModelRequest>,
    ) -> Result<Response<PromoteModelResponse>, Status> {
        let (actor, promotion) = promotions::promotion_request(self.validator(), &request)?;
        let name = promotion.model;
        let moved = self.promotions.promote(&actor, promotion).await;
        let (moved, gate) = moved.map_err(about(&[("model", &name)]))?;
        Ok(Response::new(PromoteModelResponse {
            promotion: Some(promotions::promotion(moved)),
            comparison: gate.comparison().map(promotions::comparison),
        }))
    }

    async fn rollback_model(
        &self,
        request: Request<RollbackModelRequest>,
    ) -> Result<Response<RollbackModelResponse>, Status> {
        let (actor, target, reason) = promotions::rollback_request(self.validator(), &request)?;
        let moved = self.promotions.roll_back(&actor, target, reason).await;
        let moved = moved.map_err(about(&[("target", &target)]))?;
        Ok(Response::new(RollbackModelResponse { promotion: Some(promotions::promotion(moved)) }))
    }

    async fn preview_promotion(
        &self,
        request: Request<PreviewPromotionRequest>,
    ) -> Result<Response<PreviewPromotionResponse>, Status> {
        let request = request.into_inner();
        let now = self.clock.now();
        let mut validator = Validator::new(now);
        let name = validator.version(&request.model);
        let as_of = validator.as_of(request.as_of_time.as_ref());
        validator.finish(())?;
        let preview = self.promotions.preview(name, as_of, now).await;
        let preview = preview.map_err(about(&[("model", &name), ("as_of_time", &as_of)]))?;
        Ok(Response::new(PreviewPromotionResponse {
            model: name.to_string(),
            as_of_time: Some(response::timestamp(as_of)),
            ..promotions::preview(&preview)
        }))
    }

    async fn list_promotions(
        &self,
        request: Request<ListPromotionsRequest>,
    ) -> Result<Response<ListPromotionsResponse>, Status> {
        let request = request.into_inner();
        let mut validator = self.validator();
        let target = validator.target(request.target);
        let size = validator.page_size(request.page_size);
        let size = validator.finish(size)?;
        let scope = ("ListPromotions", target);
        let before: Option<i64> = self.page_tokens.open(&scope, &request.page_token)?;
        let found = self.promotions.history(target, before, size + 1).await?;
        let (promotions, last) = page::cut(found, size, |row| row.sequence, promotions::promotion);
        let next_page_token = self.page_tokens.next(&scope, last)?;
        Ok(Response::new(ListPromotionsResponse { promotions, next_page_token }))
    }

    async fn get_drift(
        &self,
        request: Request<GetDriftRequest>,
    ) -> Result<Response<GetDriftResponse>, Status> {
        let name = self.named(&request.into_inner().model).await?;
        let drift = self.monitoring.drift(name).await.map_err(about(&[("model", &name)]))?;
        Ok(Response::new(monitoring::drift(drift)))
    }

    async fn get_realised_performance(
        &self,
        request: Request<GetRealisedPerformanceRequest>,
    ) -> Result<Response<GetRealisedPerformanceResponse>, Status> {
        let query = monitoring::performance_query(self.validator(), &request.into_inner())?;
        let months = self.monitoring.performance(query).await?;
        let months = months.iter().map(monitoring::month).collect();
        Ok(Response::new(GetRealisedPerformanceResponse { months }))
    }
}

impl ModelRpc {
    fn validator(&self) -> Validator {
        Validator::new(self.clock.now())
    }

    /// The model that is meant by `churn/7`, or by `churn` for its champion.
    async fn named(&self, name: &str) -> Result<ModelName, Status> {
        match Target::ALL.into_iter().find(|target| target.name() == name) {
            Some(target) => {
                let champion = self.catalog.champion(target).await;
                Ok(champion.map_err(about(&[("target", &target)]))?.name)
            }
            None => ModelName::parse(name).ok_or_else(|| {
                let allowed = "allowed are such as churn/7, or churn for its champion";
                Error::invalid("model", format!("is not a model; {allowed}")).into()
            }),
        }
    }

    /// The cards behind `after`: `limit` of them, or as many as fill a message.
    async fn cards(
        &self,
        target: Option<Target>,
        mut after: Option<(Target, i64)>,
        limit: usize,
    ) -> Result<Vec<((Target, i64), Model)>> {
        let (mut cards, mut bytes) = (Vec::new(), 0);
        while cards.len() < limit && bytes < limits::MESSAGE_BYTES {
            let found = self.catalog.list(target, after, ARTIFACTS.min(limit - cards.len())).await?;
            let Some(last) = found.last() else { break };
            after = Some((last.target, last.version));
            let read = move || {
                found.iter().map(|row| ((row.target, row.version), card(row, Detail::Brief))).collect()
            };
            let read: Vec<(_, Model)> = run_blocking(read).await?;
            bytes += read.iter().map(|(_, card)| card.encoded_len()).sum::<usize>();
            cards.extend(read);
        }
        Ok(cards)
    }
}
