//! ScoringService. Its four RPCs are one: a target, and one id or many.

use std::{fmt::Display, sync::Arc};

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

use super::{
    convert::{
        batch::{self, BatchEncoder},
        response,
        validator::Validator,
    },
    middleware::Reservation,
    status::{Overload, about, overloaded},
};
use crate::{
    catalog::ModelCatalog,
    platform::{
        clock::Clock,
        error::{Error, Result},
    },
    scoring::{ScoreRequest, ScoredCustomer, Scoring, into_prediction},
};

/// What a score without reasons, and a reason, take in a response, in bytes.
const SCORE_BYTES: usize = 400;
const REASON_BYTES: usize = 150;

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
        self.one(request.customer_id, options!(Lead, request)).await
    }

    async fn predict_churn(&self, request: Request<PredictChurnRequest>) -> Result<Response<Score>, Status> {
        let request = request.into_inner();
        self.one(request.customer_id, options!(Churn, request)).await
    }

    async fn batch_score_leads(
        &self,
        request: Request<BatchScoreLeadsRequest>,
    ) -> Result<Response<EncodedBatch>, Status> {
        let memory = request.extensions().get().cloned();
        let request = request.into_inner();
        self.batch(request.customer_ids, options!(Lead, request), memory).await
    }

    async fn batch_predict_churn(
        &self,
        request: Request<BatchPredictChurnRequest>,
    ) -> Result<Response<EncodedBatch>, Status> {
        let memory = request.extensions().get().cloned();
        let request = request.into_inner();
        self.batch(request.customer_ids, options!(Churn, request), memory).await
    }
}

impl ScoringRpc {
    async fn one(&self, customer_id: String, options: ScoreOptions) -> Result<Response<Score>, Status> {
        let now = self.clock.now();
        let mut validator = Validator::new(now);
        let id = validator.id("customer_id", customer_id);
        let request = self.request(&options, validator, now).await?;
        let subject = Subject::of(&request);
        let ids = vec![id.clone()];
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
        let mut response = Response::new(result.map_err(|error| subject.status(error, &id, None))?);
        // It fits into a packet as it is, and to compress it would take longer than to compute it.
        response.disable_compression();
        Ok(response)
    }

    async fn batch(
        &self,
        customer_ids: Vec<String>,
        options: ScoreOptions,
        memory: Option<Arc<Reservation>>,
    ) -> Result<Response<EncodedBatch>, Status> {
        let now = self.clock.now();
        let mut validator = Validator::new(now);
        validator.batch("customer_ids", customer_ids.len(), limits::BATCH);
        let request = self.request(&options, validator, now).await?;
        if memory.is_some_and(|memory| !memory.grow(batch_bytes(customer_ids.len(), &request))) {
            return Err(overloaded(&Overload::Memory));
        }
        let subject = Subject::of(&request);
        let BatchIds { valid, places, refused } = BatchIds::new(customer_ids, now);
        // Errors name the ids that were sent, also where these are merged into others.
        let asked = valid.clone();
        let status = |n: usize, error| batch::status(&subject.status(error, &asked[n], Some(places[n])));
        let results = if options.persist {
            let stored = self.scoring.score_and_store(valid, &request).await?.into_iter().enumerate();
            stored.map(|(n, result)| result.map_or_else(|error| status(n, error), batch::stored)).collect()
        } else {
            let mut encoder = BatchEncoder::new(&request);
            let mut items = 0..;
            let encode = |scored: Result<ScoredCustomer<'_>>| match (items.next().unwrap_or_default(), scored)
            {
                (_, Ok(scored)) => encoder.score(&scored),
                (n, Err(error)) => status(n, error),
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
    ) -> Result<ScoreRequest, Status> {
        let as_of = validator.as_of(options.as_of_time.as_ref());
        let max_reasons = validator.max_reasons(options.max_reasons);
        let name = validator.model(options.target, &options.model);
        let name = validator.finish(name)?;
        let model = self.catalog.version_or_champion(options.target, name).await;
        let model = model.map_err(about(&[("target", &options.target), ("model", &options.model)]))?;
        Ok(ScoreRequest::new(model, as_of, now, max_reasons))
    }
}

/// About how much memory the scores of a batch take, in bytes: once as items, and again as a message.
fn batch_bytes(customers: usize, request: &ScoreRequest) -> usize {
    let reasons = request.max_reasons.min(request.model.scorer.artifact().plan.width());
    2 * customers * (SCORE_BYTES + reasons * REASON_BYTES)
}

/// What the errors of a request are about.
struct Subject {
    target: Target,
    model: String,
    as_of: Time,
}

impl Subject {
    fn of(request: &ScoreRequest) -> Self {
        let name = request.model.name;
        Self { target: name.target, model: name.to_string(), as_of: request.as_of }
    }

    /// The status of a customer's error; `index` is its place in a batch.
    fn status(&self, error: Error, customer_id: &str, index: Option<usize>) -> Status {
        let Self { target, model, as_of } = self;
        let things: [(&str, &dyn Display); 4] =
            [("customer_id", &customer_id), ("target", target), ("model", model), ("as_of_time", as_of)];
        let index = index.as_ref().map(|index| ("index", index as &dyn Display));
        let things: Vec<_> = things.into_iter().chain(index).collect();
        about(&things)(error)
    }
}

/// The ids of a batch. One that no customer can have is one bad item, not a bad request.
struct BatchIds {
    valid: Vec<String>,
    /// The place of each valid id in the request.
    places: Vec<usize>,
    /// The items of the others, with their places.
    refused: Vec<(usize, Vec<u8>)>,
}

impl BatchIds {
    fn new(customer_ids: Vec<String>, now: Time) -> Self {
        let count = customer_ids.len();
        let (mut valid, mut places) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut refused = Vec::new();
        for (n, id) in customer_ids.into_iter().enumerate() {
            let mut validator = Validator::new(now);
            let id = validator.id("customer_id", id);
            match validator.finish(id) {
                Ok(id) => {
                    valid.push(id);
                    places.push(n);
                }
                Err(error) => refused.push((n, batch::status(&about(&[("index", &n)])(error)))),
            }
        }
        Self { valid, places, refused }
    }
}

/// Puts the refused items back in their places.
fn merge(results: Vec<Vec<u8>>, refused: Vec<(usize, Vec<u8>)>) -> Result<Vec<Vec<u8>>> {
    if refused.is_empty() {
        return Ok(results);
    }
    let all = results.len() + refused.len();
    let (mut results, mut refused) = (results.into_iter(), refused.into_iter().peekable());
    let result = |n| match refused.next_if(|(place, _)| *place == n) {
        Some((_, item)) => Some(item),
        None => results.next(),
    };
    let merged: Option<_> = (0..all).map(result).collect();
    merged.ok_or_else(|| Error::Internal("an id without a result".to_owned()))
}
