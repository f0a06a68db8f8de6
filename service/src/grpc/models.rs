//! ModelService.

use std::sync::Arc;

use prost::Message;
use tally_model::spec::Target;
use tally_proto::v1::{
    GetDriftRequest, GetDriftResponse, GetModelRequest, GetModelResponse, GetRealisedPerformanceRequest,
    GetRealisedPerformanceResponse, ListModelsRequest, ListModelsResponse, ListPromotionsRequest,
    ListPromotionsResponse, Model, PreviewPromotionRequest, PreviewPromotionResponse, PromoteModelRequest,
    PromoteModelResponse, RollbackModelRequest, RollbackModelResponse, model_service_server::ModelService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{
    card::{Detail, card},
    page,
    parse::Validator,
    watch,
};
use crate::{
    app::App,
    catalog::models::ModelName,
    platform::error::{Error, Result},
    scoring::score::run_blocking,
};
use tally_proto::limits;

/// Artifacts that a list holds in memory at a time.
const ARTIFACTS: usize = 8;

/// The service.
pub struct Models(pub Arc<App>);

#[async_trait]
impl ModelService for Models {
    async fn list_models(
        &self,
        request: Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        let request = request.into_inner();
        let mut check = Validator::new(self.0.now());
        let target = check.optional_target(request.target);
        let size = check.page_size(request.page_size);
        let size = check.finish(size)?;
        let scope = ("ListModels", target);
        let after: Option<(Target, i64)> = self.0.tokens.open(&scope, &request.page_token)?;
        let cards = self.cards(target, after, size + 1).await?;
        let (models, last) = page::cut(cards, size, |(place, _)| *place, |(_, card)| card);
        let next_page_token = self.0.tokens.next(&scope, last)?;
        Ok(Response::new(ListModelsResponse { models, next_page_token }))
    }

    async fn get_model(
        &self,
        request: Request<GetModelRequest>,
    ) -> Result<Response<GetModelResponse>, Status> {
        let name = named(&self.0, &request.into_inner().model).await?;
        let stored = self.0.store.model(name.target, name.version).await.map_err(Error::from)?;
        let stored = stored.ok_or_else(|| Error::unknown_model(&name.to_string()))?;
        let model = run_blocking(move || card(&stored, Detail::Full)).await?;
        Ok(Response::new(GetModelResponse { model: Some(model) }))
    }

    async fn promote_model(
        &self,
        request: Request<PromoteModelRequest>,
    ) -> Result<Response<PromoteModelResponse>, Status> {
        Ok(Response::new(self.promote(request).await?))
    }

    async fn rollback_model(
        &self,
        request: Request<RollbackModelRequest>,
    ) -> Result<Response<RollbackModelResponse>, Status> {
        Ok(Response::new(self.roll_back(request).await?))
    }

    async fn preview_promotion(
        &self,
        request: Request<PreviewPromotionRequest>,
    ) -> Result<Response<PreviewPromotionResponse>, Status> {
        Ok(Response::new(self.preview(request.into_inner()).await?))
    }

    async fn list_promotions(
        &self,
        request: Request<ListPromotionsRequest>,
    ) -> Result<Response<ListPromotionsResponse>, Status> {
        Ok(Response::new(self.history(request.into_inner()).await?))
    }

    async fn get_drift(
        &self,
        request: Request<GetDriftRequest>,
    ) -> Result<Response<GetDriftResponse>, Status> {
        let name = named(&self.0, &request.into_inner().model).await?;
        Ok(Response::new(watch::drift(&self.0, name).await?))
    }

    async fn get_realised_performance(
        &self,
        request: Request<GetRealisedPerformanceRequest>,
    ) -> Result<Response<GetRealisedPerformanceResponse>, Status> {
        Ok(Response::new(watch::realised(&self.0, &request.into_inner()).await?))
    }
}

/// The model that is meant by `churn/7`, or by `churn` for its champion.
async fn named(app: &App, name: &str) -> Result<ModelName> {
    match Target::ALL.into_iter().find(|target| target.name() == name) {
        Some(target) => Ok(app.models.champion(target).await?.name),
        None => ModelName::parse(name).ok_or_else(|| {
            Error::invalid("model", "is not a model; allowed are such as churn/7, or churn for its champion")
        }),
    }
}

impl Models {
    /// Cards behind `after`, `limit` of them or as many as fill a message. Artifacts are large: few
    /// are in memory at a time.
    async fn cards(
        &self,
        target: Option<Target>,
        mut after: Option<(Target, i64)>,
        limit: usize,
    ) -> Result<Vec<((Target, i64), Model)>> {
        let (mut cards, mut bytes) = (Vec::new(), 0);
        while cards.len() < limit && bytes < limits::MESSAGE_BYTES {
            let found = self.0.store.models(target, after, ARTIFACTS.min(limit - cards.len())).await?;
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
