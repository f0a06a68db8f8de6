//! ScoringService. Its four RPCs are one: a target, and one id or many.

use std::sync::Arc;

use prost_types::Timestamp;
use tally_model::{spec::Target, time::Time};
use tally_proto::{
    EncodedBatch, limits,
    v1::{
        BatchPredictChurnRequest, BatchScoreLeadsRequest, PredictChurnRequest, Score, ScoreLeadRequest,
        scoring_service_server::ScoringService,
    },
};
use tonic::{Request, Response, Status, async_trait};

use super::convert::{
    batch::{self, BatchEncoder},
    response,
    validator::Validator,
};
use crate::{
    catalog::ModelCatalog,
    platform::{
        clock::Clock,
        error::{Error, Result},
    },
    scoring::{ScoreRequest, ScoredCustomer, Scoring, into_prediction},
};

/// The service.
pub(crate) struct ScoringRpc {
    pub(crate) scoring: Scoring,
    pub(crate) catalog: ModelCatalog,
    pub(crate) clock: Arc<Clock>,
}

/// The options of a request.
struct ScoreOptions {
    target: Target,
    as_of_time: Option<Timestamp>,
    model: String,
    max_reasons: i32,
    persist: bool,
}

/// The options of a request; all four requests have the same fields.
macro_rules! options {
    ($target:ident, $request:expr) => {
        ScoreOptions {
            target: Target::$target,
            as_of_time: $request.as_of_time,
            model: $request.model,
            max_reasons: $request.max_reasons,
            persist: $request.persist,
        }
    };
}

#[async_trait]
impl ScoringService for ScoringRpc {
    async fn score_lead(&self, request: Request<ScoreLeadRequest>) -> Result<Response<Score>, Status> {
        let request = request.into_inner();
        Ok(self.one(request.customer_id, options!(Lead, request)).await?)
    }

    async fn predict_churn(&self, request: Request<PredictChurnRequest>) -> Result<Response<Score>, Status> {
        let request = request.into_inner();
        Ok(self.one(request.customer_id, options!(Churn, request)).await?)
    }

    async fn batch_score_leads(
        &self,
        request: Request<BatchScoreLeadsRequest>,
    ) -> Result<Response<EncodedBatch>, Status> {
        let request = request.into_inner();
        Ok(self.batch(request.customer_ids, options!(Lead, request)).await?)
    }

    async fn batch_predict_churn(
        &self,
        request: Request<BatchPredictChurnRequest>,
    ) -> Result<Response<EncodedBatch>, Status> {
        let request = request.into_inner();
        Ok(self.batch(request.customer_ids, options!(Churn, request)).await?)
    }
}

impl ScoringRpc {
    async fn one(&self, customer_id: String, options: ScoreOptions) -> Result<Response<Score>> {
        let now = self.clock.now();
        let mut validator = Validator::new(now);
        let ids = vec![validator.id("customer_id", customer_id)];
        let request = self.request(&options, validator, now).await?;
        let mut results = if options.persist {
            let stored = self.scoring.score_and_store(ids, &request).await?;
            stored.into_iter().map(|result| result.map(response::score)).collect()
        } else {
            let message = |scored: Result<ScoredCustomer<'_>>| {
                scored.map(|scored| response::score(into_prediction(scored)))
            };
            self.scoring.score(ids, &request, message).await?
        };
        let result = results.pop().ok_or_else(|| Error::Internal("an id without a result".into()))?;
        Ok(Response::new(result?))
    }

    async fn batch(
        &self,
        customer_ids: Vec<String>,
        options: ScoreOptions,
    ) -> Result<Response<EncodedBatch>> {
        let now = self.clock.now();
        let mut validator = Validator::new(now);
        validator.batch("customer_ids", customer_ids.len(), limits::BATCH);
        let (valid, refused) = split_invalid(customer_ids, now);
        let request = self.request(&options, validator, now).await?;
        let results = if options.persist {
            let stored = self.scoring.score_and_store(valid, &request).await?;
            stored.into_iter().map(batch::stored).collect()
        } else {
            let mut encoder = BatchEncoder::new(&request);
            let encode = |scored: Result<ScoredCustomer<'_>>| match scored {
                Ok(scored) => encoder.score(&scored),
                Err(error) => batch::status(error),
            };
            self.scoring.score(valid, &request, encode).await?
        };
        Ok(Response::new(EncodedBatch { results: merge(results, refused)? }))
    }

    /// The request behind the options; the ids have been validated.
    async fn request(
        &self,
        options: &ScoreOptions,
        mut validator: Validator,
        now: Time,
    ) -> Result<ScoreRequest> {
        let as_of = validator.as_of(options.as_of_time.as_ref());
        let max_reasons = validator.max_reasons(options.max_reasons);
        let name = validator.model(options.target, &options.model);
        let name = validator.finish(name)?;
        let model = self.catalog.version_or_champion(options.target, name).await?;
        Ok(ScoreRequest::new(model, as_of, now, max_reasons))
    }
}

/// Separates the ids that no customer can have: each is one bad item, not a bad request.
fn split_invalid(customer_ids: Vec<String>, now: Time) -> (Vec<String>, Vec<(usize, Error)>) {
    let (mut valid, mut refused) = (Vec::with_capacity(customer_ids.len()), Vec::new());
    for (n, id) in customer_ids.into_iter().enumerate() {
        let mut validator = Validator::new(now);
        let id = validator.id("customer_id", id);
        match validator.finish(id) {
            Ok(id) => valid.push(id),
            Err(error) => refused.push((n, error)),
        }
    }
    (valid, refused)
}

/// Puts the refused items back in their places.
fn merge(results: Vec<Vec<u8>>, refused: Vec<(usize, Error)>) -> Result<Vec<Vec<u8>>> {
    if refused.is_empty() {
        return Ok(results);
    }
    let all = results.len() + refused.len();
    let (mut results, mut refused) = (results.into_iter(), refused.into_iter().peekable());
    let result = |n| match refused.next_if(|(place, _)| *place == n) {
        Some((_, error)) => Some(batch::status(error)),
        None => results.next(),
    };
    let merged: Option<_> = (0..all).map(result).collect();
    merged.ok_or_else(|| Error::Internal("an id without a result".to_owned()))
}
