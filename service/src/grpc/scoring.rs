//! ScoringService. The four RPCs are one: a target, one id or many.

use std::sync::Arc;

use prost_types::Timestamp;
use tally_model::{spec::Target, time::Time};
use tally_proto::{
    EncodedBatch,
    v1::{
        BatchPredictChurnRequest, BatchScoreLeadsRequest, PredictChurnRequest, Score, ScoreLeadRequest,
        scoring_service_server::ScoringService,
    },
};
use tonic::{Request, Response, Status, async_trait};

use super::{
    encode::{self, Encoder},
    parse::Validator,
    reply,
};
use crate::{
    app::App,
    catalog::models::ModelName,
    platform::error::{Error, Result},
    scoring::score::{ScoreRequest, ScoredCustomer, Source, into_prediction, persist, score},
};
use tally_proto::limits;
use tally_store::Prediction;

/// The service.
pub struct Scoring(pub Arc<App>);

/// What is asked of the ids.
struct Options {
    target: Target,
    as_of_time: Option<Timestamp>,
    model: String,
    max_reasons: i32,
    persist: bool,
}

/// The options of a request; all four requests name them alike.
macro_rules! options {
    ($target:ident, $request:expr) => {
        Options {
            target: Target::$target,
            as_of_time: $request.as_of_time,
            model: $request.model,
            max_reasons: $request.max_reasons,
            persist: $request.persist,
        }
    };
}

#[async_trait]
impl ScoringService for Scoring {
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

impl Scoring {
    async fn one(&self, customer_id: String, options: Options) -> Result<Response<Score>> {
        let now = self.0.now();
        let mut check = Validator::new(now);
        check.id("customer_id", &customer_id);
        let asked = self.asked(&options, check, now).await?;
        let mut results = match options.persist {
            false => {
                let words = |result: Result<ScoredCustomer<'_>>| {
                    result.map(|answer| reply::score(into_prediction(answer)))
                };
                score(&self.0, vec![customer_id], &asked, Source::Warm, words).await?
            }
            true => {
                let stored = self.stored(vec![customer_id], &asked).await?;
                stored.map(|result| result.map(reply::score)).collect()
            }
        };
        let result = results.pop().ok_or_else(|| Error::Internal("an id without a result".into()))?;
        Ok(Response::new(result?))
    }

    async fn batch(&self, customer_ids: Vec<String>, options: Options) -> Result<Response<EncodedBatch>> {
        let now = self.0.now();
        let mut check = Validator::new(now);
        check.batch("customer_ids", customer_ids.len(), limits::BATCH);
        // An id that can be none is one bad item, not a bad request.
        let (mut good, mut refused) = (Vec::with_capacity(customer_ids.len()), Vec::new());
        for (n, id) in customer_ids.into_iter().enumerate() {
            let mut check = Validator::new(now);
            check.id("customer_id", &id);
            match check.finish(id) {
                Ok(id) => good.push(id),
                Err(error) => refused.push((n, error)),
            }
        }
        let asked = self.asked(&options, check, now).await?;
        let all = good.len() + refused.len();
        let mut results = match options.persist {
            false => {
                let mut encoder = Encoder::new(&asked);
                let encoded = |result: Result<ScoredCustomer<'_>>| match result {
                    Ok(answer) => encoder.score(&answer),
                    Err(error) => encode::status(error),
                };
                score(&self.0, good, &asked, Source::Warm, encoded).await?
            }
            true => self.stored(good, &asked).await?.map(encode::stored).collect(),
        };
        if !refused.is_empty() {
            let (mut scores, mut refused) = (results.into_iter(), refused.into_iter().peekable());
            let result = |n| match refused.next_if(|(place, _)| *place == n) {
                Some((_, error)) => Some(encode::status(error)),
                None => scores.next(),
            };
            let both: Option<_> = (0..all).map(result).collect();
            results = both.ok_or_else(|| Error::Internal("an id without a result".to_owned()))?;
        }
        Ok(Response::new(EncodedBatch { results }))
    }

    /// The question of a request, whose ids have been checked.
    async fn asked(&self, options: &Options, mut check: Validator, now: Time) -> Result<ScoreRequest> {
        let as_of = check.as_of(options.as_of_time.as_ref());
        let max_reasons = check.max_reasons(options.max_reasons);
        let model = check.model(options.target, &options.model);
        let model = check.finish(model)?;
        let model = self.model(options.target, model).await?;
        Ok(ScoreRequest::new(model, as_of, now, max_reasons))
    }

    /// Scores, stored. What is kept can be replayed.
    async fn stored(
        &self,
        ids: Vec<String>,
        asked: &ScoreRequest,
    ) -> Result<impl Iterator<Item = Result<Prediction>> + use<>> {
        self.0.writers.wait_for_in_flight().await;
        let words = |result: Result<ScoredCustomer<'_>>| result.map(into_prediction);
        let scores = score(&self.0, ids, asked, Source::Database, words).await?;
        Ok(persist(&self.0, scores).await?.into_iter())
    }

    async fn model(
        &self,
        target: Target,
        name: Option<ModelName>,
    ) -> Result<Arc<crate::catalog::models::Model>> {
        match name {
            Some(name) => self.0.models.version(name).await,
            None => self.0.models.champion(target).await,
        }
    }
}
