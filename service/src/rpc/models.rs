//! ModelService.

use std::sync::Arc;

use prost::Message;
use tally_model::{
    artifact::{Artifact, digest},
    spec::Target,
};
use tally_proto::v1::{
    Baseline, Coefficient, GetModelRequest, GetModelResponse, ListModelsRequest, ListModelsResponse,
    ListPromotionsRequest, ListPromotionsResponse, Model, PreviewPromotionRequest, PreviewPromotionResponse,
    PromoteModelRequest, PromoteModelResponse, ReliabilityBin, RollbackModelRequest, RollbackModelResponse,
    model_service_server::ModelService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{page, parse::Check, reply};
use crate::{
    app::App,
    error::{Error, Result},
    limits,
    models::ModelName,
    score::off_the_workers,
    store::StoredModel,
};

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
        let mut check = Check::new(self.0.now());
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
        let name = request.into_inner().model;
        let name = match Target::ALL.into_iter().find(|target| target.name() == name) {
            Some(target) => self.0.models.champion(target).await?.name,
            None => ModelName::parse(&name).ok_or_else(|| {
                Error::invalid(
                    "model",
                    "is not a model; allowed are such as churn/7, or churn for its champion",
                )
            })?,
        };
        let stored = self.0.store.model(name.target, name.version).await?;
        let stored = stored.ok_or_else(|| Error::unknown_model(&name.to_string()))?;
        let model = off_the_workers(move || card(&stored)).await?;
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
            let read = move || found.iter().map(|row| ((row.target, row.version), card(row))).collect();
            let read: Vec<(_, Model)> = off_the_workers(read).await?;
            bytes += read.iter().map(|(_, card)| card.encoded_len()).sum::<usize>();
            cards.extend(read);
        }
        Ok(cards)
    }
}

/// The model card of a stored model. Of one that cannot be read it says that.
fn card(stored: &StoredModel) -> Model {
    let name = ModelName { target: stored.target, version: stored.version };
    let known = Model {
        name: name.to_string(),
        target: reply::target(stored.target).into(),
        version: stored.version,
        champion: stored.champion,
        create_time: Some(reply::timestamp(stored.create_time)),
        created_by: stored.created_by.clone(),
        ..Model::default()
    };
    let model = match crate::models::Model::load(stored) {
        Ok(model) => model,
        Err(error) => return Model { problem: error.to_string(), ..known },
    };
    let artifact = model.scorer.artifact();
    let card = &artifact.card;
    Model {
        as_of_time: Some(reply::timestamp(artifact.as_of)),
        horizon_days: artifact.outcome.horizon_days as i32,
        rows: card.rows as i64,
        positives: card.positives as i64,
        split: card.split.name().to_owned(),
        holdout: Some(reply::metrics(&card.holdout)),
        baselines: card
            .baselines
            .iter()
            .map(|(name, metrics)| Baseline { name: name.clone(), metrics: Some(reply::metrics(metrics)) })
            .collect(),
        reliability: card
            .reliability
            .iter()
            .map(|bin| ReliabilityBin {
                rows: bin.rows as i64,
                predicted: bin.predicted,
                observed: bin.observed,
            })
            .collect(),
        coefficients: coefficients(artifact),
        intercept: artifact.intercept,
        penalty: artifact.penalty,
        spec: artifact.spec.to_string(),
        schema_hash: artifact.schema_hash(),
        artifact_hash: digest(&stored.artifact),
        artifact_bytes: stored.artifact.len() as i64,
        ..known
    }
}

fn coefficients(artifact: &Artifact) -> Vec<Coefficient> {
    let names = artifact.encoder.features.iter().flat_map(|feature| {
        feature.column_names().into_iter().map(|column| (feature.measure.to_string(), column))
    });
    names
        .zip(artifact.weights.iter().zip(artifact.standard_errors()))
        .map(|((feature, column), (coefficient, standard_error))| Coefficient {
            feature,
            column,
            coefficient: *coefficient,
            standard_error,
        })
        .collect()
}
