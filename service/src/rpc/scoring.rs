//! ScoringService. The four RPCs are one: a target, one id or many.

use std::sync::Arc;

use prost_types::Timestamp;
use tally_model::{spec::Target, time::Time};
use tally_proto::v1::{
    BatchPredictChurnRequest, BatchPredictChurnResponse, BatchResult, BatchScoreLeadsRequest,
    BatchScoreLeadsResponse, PredictChurnRequest, Score, ScoreLeadRequest, batch_result,
    scoring_service_server::ScoringService,
};
use tonic::{Request, Response, Status, async_trait};

use super::{parse::Check, reply};
use crate::{
    app::App,
    error::{Error, Result, item_status},
    limits,
    models::ModelName,
    score::{Question, Source, persist, score},
    store::Prediction,
};

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
    ) -> Result<Response<BatchScoreLeadsResponse>, Status> {
        let request = request.into_inner();
        let results = self.batch(request.customer_ids, options!(Lead, request)).await?;
        Ok(Response::new(BatchScoreLeadsResponse { results }))
    }

    async fn batch_predict_churn(
        &self,
        request: Request<BatchPredictChurnRequest>,
    ) -> Result<Response<BatchPredictChurnResponse>, Status> {
        let request = request.into_inner();
        let results = self.batch(request.customer_ids, options!(Churn, request)).await?;
        Ok(Response::new(BatchPredictChurnResponse { results }))
    }
}

impl Scoring {
    async fn one(&self, customer_id: String, options: Options) -> Result<Response<Score>> {
        let now = self.0.now();
        let mut check = Check::new(now);
        check.id("customer_id", &customer_id);
        let score = |result: Result<Prediction>| result.map(reply::score);
        let mut results = self.answer(vec![customer_id], options, check, now, score).await?;
        let result = results.pop().ok_or_else(|| Error::Internal("an id without a result".into()))?;
        Ok(Response::new(result?))
    }

    async fn batch(&self, customer_ids: Vec<String>, options: Options) -> Result<Vec<BatchResult>> {
        let now = self.0.now();
        let mut check = Check::new(now);
        check.batch("customer_ids", customer_ids.len(), limits::BATCH);
        // An id that can be none is one bad item, not a bad request.
        let (mut good, mut refused) = (Vec::with_capacity(customer_ids.len()), Vec::new());
        for (n, id) in customer_ids.into_iter().enumerate() {
            let mut check = Check::new(now);
            check.id("customer_id", &id);
            match check.finish(id) {
                Ok(id) => good.push(id),
                Err(error) => refused.push((n, error)),
            }
        }
        let all = good.len() + refused.len();
        let scores = self.answer(good, options, check, now, item).await?;
        if refused.is_empty() {
            return Ok(scores);
        }
        let (mut scores, mut refused) = (scores.into_iter(), refused.into_iter().peekable());
        let result = |n| match refused.next_if(|(place, _)| *place == n) {
            Some((_, error)) => Some(item(Err(error))),
            None => scores.next(),
        };
        let results: Option<_> = (0..all).map(result).collect();
        results.ok_or_else(|| Error::Internal("an id without a result".to_owned()))
    }

    /// One result an id; the ids have been checked.
    async fn answer<T>(
        &self,
        ids: Vec<String>,
        options: Options,
        mut check: Check,
        now: Time,
        made_into: impl Fn(Result<Prediction>) -> T,
    ) -> Result<Vec<T>> {
        let as_of = check.as_of(options.as_of_time.as_ref());
        let max_reasons = check.max_reasons(options.max_reasons);
        let model = check.model(options.target, &options.model);
        let model = check.finish(model)?;
        let model = self.model(options.target, model).await?;
        let question = Question::new(model, as_of, now, max_reasons);
        if !options.persist {
            // What is not kept does not wait.
            return score(&self.0, ids, &question, Source::Warm, made_into).await;
        }
        // What is kept can be replayed.
        self.0.writers.settled().await;
        let scores = score(&self.0, ids, &question, Source::Database, |result| result).await?;
        Ok(persist(&self.0, scores).await?.into_iter().map(made_into).collect())
    }

    async fn model(&self, target: Target, name: Option<ModelName>) -> Result<Arc<crate::models::Model>> {
        match name {
            Some(name) => self.0.models.version(name).await,
            None => self.0.models.champion(target).await,
        }
    }
}

/// One of many results.
fn item(result: Result<Prediction>) -> BatchResult {
    BatchResult {
        result: Some(match result {
            Ok(prediction) => batch_result::Result::Score(reply::score(prediction)),
            Err(error) => batch_result::Result::Status(item_status(error)),
        }),
    }
}
