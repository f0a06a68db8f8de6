//! PredictionService.

use std::sync::Arc;

use crate::platform::error::Error;
use tally_proto::v1::{
    ComparePredictionsRequest, ComparePredictionsResponse, Grade, ListPredictionsRequest,
    ListPredictionsResponse, ReplayPredictionRequest, ReplayPredictionResponse, ScorePopulationRequest,
    ScorePopulationResponse, prediction_service_server::PredictionService,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use super::{page, parse::Validator, reply};
use crate::{
    app::App,
    histories::scan::Partition,
    platform::error::Result,
    scoring::population::Population,
    scoring::replay::{compare, replay},
    scoring::score::ScoreRequest,
};
use tally_proto::limits;
use tally_store::{Prediction, PredictionCursor, PredictionFilter, PredictionOrder};

/// The service.
pub struct Predictions(pub Arc<App>);

/// Reasons that are stored with a prediction of the population.
const STORED_REASONS: usize = 3;

#[async_trait]
impl PredictionService for Predictions {
    type ScorePopulationStream = ReceiverStream<Result<ScorePopulationResponse, Status>>;

    async fn score_population(
        &self,
        request: Request<ScorePopulationRequest>,
    ) -> Result<Response<Self::ScorePopulationStream>, Status> {
        let request = request.into_inner();
        let now = self.0.now();
        let mut check = Validator::new(now);
        let target = check.target(request.target);
        let as_of = check.as_of(request.as_of_time.as_ref());
        let model = check.model(target, &request.model);
        let part = part(&mut check, request.partition, request.partitions);
        let model = match check.finish(model)? {
            Some(name) => self.0.models.version(name).await?,
            None => self.0.models.champion(target).await?,
        };
        let question = ScoreRequest::new(model, as_of, now, STORED_REASONS);
        let app = Arc::clone(&self.0);
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            if let Err(error) = run(&app, question, part, &sender).await {
                // Nobody listens any more: nobody is to be told.
                let _ = sender.send(Err(error.into())).await;
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn list_predictions(
        &self,
        request: Request<ListPredictionsRequest>,
    ) -> Result<Response<ListPredictionsResponse>, Status> {
        let request = request.into_inner();
        let mut check = Validator::new(self.0.now());
        let size = check.page_size(request.page_size);
        let filter = filter(&mut check, &request);
        let (size, filter) = check.finish((size, filter))?;
        let scope = ("ListPredictions", &filter);
        let after: Option<PredictionCursor> = self.0.tokens.open(&scope, &request.page_token)?;
        let total_size = self.0.store.count_predictions(&filter).await.map_err(Error::from)? as i64;
        let found = self.0.store.predictions(&filter, after, size + 1).await.map_err(Error::from)?;
        let cursor = |row: &Prediction| PredictionCursor {
            probability: row.probability,
            score_time: row.score_time,
            prediction_id: row.prediction_id.clone(),
        };
        let (predictions, last) = page::cut(found, size, cursor, reply::score);
        let next_page_token = self.0.tokens.next(&scope, last)?;
        Ok(Response::new(ListPredictionsResponse { predictions, next_page_token, total_size }))
    }

    async fn replay_prediction(
        &self,
        request: Request<ReplayPredictionRequest>,
    ) -> Result<Response<ReplayPredictionResponse>, Status> {
        let id = request.into_inner().prediction_id;
        let mut check = Validator::new(self.0.now());
        check.id("prediction_id", &id);
        check.finish(())?;
        Ok(Response::new(reply::replay(replay(&self.0, &id).await?)))
    }

    async fn compare_predictions(
        &self,
        request: Request<ComparePredictionsRequest>,
    ) -> Result<Response<ComparePredictionsResponse>, Status> {
        let ComparePredictionsRequest { from_prediction_id, to_prediction_id } = request.into_inner();
        let mut check = Validator::new(self.0.now());
        check.id("from_prediction_id", &from_prediction_id);
        check.id("to_prediction_id", &to_prediction_id);
        check.finish(())?;
        Ok(Response::new(reply::comparison(compare(&self.0, &from_prediction_id, &to_prediction_id).await?)))
    }
}

/// Scores everybody and tells of each page. A caller who has gone ends the run.
async fn run(
    app: &Arc<App>,
    question: ScoreRequest,
    part: Partition,
    sender: &mpsc::Sender<Result<ScorePopulationResponse, Status>>,
) -> Result<()> {
    let (model, as_of) = (question.model.name.to_string(), question.as_of);
    let mut population = Population::new(app, question, part).await?;
    while let Some(progress) = population.next().await? {
        let message = ScorePopulationResponse {
            done: progress.done as i64,
            total: progress.total as i64,
            stored: progress.stored as i64,
            model: model.clone(),
            as_of_time: Some(reply::timestamp(as_of)),
        };
        if sender.send(Ok(message)).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// The part of the customers that is asked for; none is everybody.
fn part(check: &mut Validator, number: i32, of: i32) -> Partition {
    if !(0..=limits::PARTITIONS).contains(&of) {
        check.refuse("partitions", format!("is {of}; allowed are 0 to {}", limits::PARTITIONS));
    }
    let of = of.max(1);
    if !(0..of).contains(&number) {
        check.refuse("partition", format!("is {number}; allowed are 0 to {}", of - 1));
    }
    Partition { number: number.unsigned_abs(), of: of.unsigned_abs() }
}

fn filter(check: &mut Validator, request: &ListPredictionsRequest) -> PredictionFilter {
    let target = check.target(request.target);
    let bounds = [("min_probability", request.min_probability), ("max_probability", request.max_probability)];
    for (field, bound) in bounds {
        if bound.is_some_and(|bound| !(0.0..=1.0).contains(&bound)) {
            check.refuse(field, "is not a probability; allowed are 0 to 1");
        }
    }
    let mut grades = Vec::new();
    for (n, grade) in request.grades.iter().enumerate() {
        match Grade::try_from(*grade) {
            Ok(Grade::Unspecified) | Err(_) => {
                check.refuse(
                    format_args!("grades[{n}]"),
                    format!("is {grade}; allowed are GRADE_A to GRADE_D"),
                );
            }
            Ok(grade) => grades.push(grade.as_str_name().trim_start_matches("GRADE_").to_owned()),
        }
    }
    if !request.customer_id.is_empty() {
        check.id("customer_id", &request.customer_id);
    }
    let order = match request.order_by.as_str() {
        "" | "probability desc" => PredictionOrder::Probability,
        "score_time desc" => PredictionOrder::ScoreTime,
        _ => {
            check.refuse("order_by", "allowed are \"probability desc\" and \"score_time desc\"");
            PredictionOrder::Probability
        }
    };
    PredictionFilter {
        target,
        min_probability: request.min_probability,
        max_probability: request.max_probability,
        grades,
        customer_id: Some(request.customer_id.clone()).filter(|id| !id.is_empty()),
        model_version: check.model(target, &request.model).map(|name| name.version),
        latest_only: request.latest_only.unwrap_or(true),
        order,
    }
}
