//! ModelService.

use std::sync::Arc;

use tally_model::{
    artifact::{Artifact, digest},
    spec::Target,
};
use tally_proto::v1::{
    Baseline, Coefficient, GetDriftRequest, GetDriftResponse, GetModelRequest, GetModelResponse,
    GetRealisedPerformanceRequest, GetRealisedPerformanceResponse, ListModelsRequest, ListModelsResponse,
    Model, ReliabilityBin, model_service_server::ModelService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{page, parse::Check, reply, watch};
use crate::{
    app::App,
    error::{Error, Result},
    models::ModelName,
    store::StoredModel,
};

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
        let found = self.0.store.models(target, after, size + 1).await?;
        let rows = found.iter().map(|row| Ok(((row.target, row.version), card(row)?)));
        let (models, last) =
            page::cut(rows.collect::<Result<_>>()?, size, |(place, _)| *place, |(_, card)| card);
        let next_page_token = self.0.tokens.next(&scope, last)?;
        Ok(Response::new(ListModelsResponse { models, next_page_token }))
    }

    async fn get_model(
        &self,
        request: Request<GetModelRequest>,
    ) -> Result<Response<GetModelResponse>, Status> {
        let name = named(&self.0, &request.into_inner().model).await?;
        let stored = self.0.store.model(name.target, name.version).await?;
        let stored = stored.ok_or_else(|| Error::unknown_model(&name.to_string()))?;
        Ok(Response::new(GetModelResponse { model: Some(card(&stored)?) }))
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

/// The model card of a stored model.
fn card(stored: &StoredModel) -> Result<Model> {
    let artifact = Artifact::from_bytes(&stored.artifact)?;
    let name = ModelName { target: stored.target, version: stored.version };
    let card = &artifact.card;
    Ok(Model {
        name: name.to_string(),
        target: reply::target(stored.target).into(),
        version: stored.version,
        champion: stored.champion,
        create_time: Some(reply::timestamp(stored.create_time)),
        created_by: stored.created_by.clone(),
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
        coefficients: coefficients(&artifact),
        intercept: artifact.intercept,
        penalty: artifact.penalty,
        spec: artifact.spec.to_string(),
        schema_hash: artifact.schema_hash(),
        artifact_hash: digest(&stored.artifact),
        artifact_bytes: stored.artifact.len() as i64,
    })
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
