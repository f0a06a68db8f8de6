//! PredictionService.

use std::{collections::BTreeSet, sync::Arc};

use tally_model::insight::{AbcClass, LifeCycle};
use tally_proto::{
    limits,
    v1::{
        ComparePredictionsRequest, ComparePredictionsResponse, ExportPredictionsRequest,
        ExportPredictionsResponse, Grade, ListPredictionsRequest, ListPredictionsResponse,
        ReplayPredictionRequest, ReplayPredictionResponse, ScorePopulationRequest, ScorePopulationResponse,
        prediction_service_server::PredictionService,
    },
};
use tally_store::{InsightFilter, PredictionCursor, PredictionFilter, PredictionOrder};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};
use tracing::Instrument;

use super::{
    convert::{page, response, validator::Validator},
    page_token::PageTokens,
    status::about,
};
use crate::{
    catalog::ModelCatalog,
    histories::scan::Partition,
    platform::{
        clock::Clock,
        error::{Result, Shortened},
    },
    scoring::{
        Population, PopulationScored, PredictionExport, Predictions, STORED_REASONS, ScoreRequest, Scoring,
    },
};

/// The service.
pub(crate) struct PredictionRpc {
    pub(crate) scoring: Scoring,
    pub(crate) scored: PopulationScored,
    pub(crate) predictions: Predictions,
    pub(crate) catalog: ModelCatalog,
    pub(crate) page_tokens: PageTokens,
    pub(crate) clock: Arc<Clock>,
}

pub(super) type Messages<T> = mpsc::Sender<Result<T, Status>>;

#[async_trait]
impl PredictionService for PredictionRpc {
    type ScorePopulationStream = ReceiverStream<Result<ScorePopulationResponse, Status>>;
    type ExportPredictionsStream = ReceiverStream<Result<ExportPredictionsResponse, Status>>;

    async fn score_population(
        &self,
        request: Request<ScorePopulationRequest>,
    ) -> Result<Response<Self::ScorePopulationStream>, Status> {
        let request = request.into_inner();
        let now = self.clock.now();
        let mut validator = Validator::new(now);
        let target = validator.target(request.target);
        let as_of = validator.as_of(request.as_of_time.as_ref());
        let name = validator.model(target, &request.model);
        let partition = partition(&mut validator, request.partition, request.partitions);
        let name = validator.finish(name)?;
        let model = self.catalog.version_or_champion(target, name).await;
        let model = model.map_err(about(&[("target", &target), ("model", &request.model)]))?;
        let request = ScoreRequest::new(model, as_of, now, STORED_REASONS);
        let (scoring, scored) = (self.scoring.clone(), self.scored.clone());
        Ok(Response::new(stream(move |messages| async move {
            let population = Population::start(&scoring, &scored, request.clone(), partition).await?;
            report_progress(population, &request, &messages).await
        })))
    }

    async fn list_predictions(
        &self,
        request: Request<ListPredictionsRequest>,
    ) -> Result<Response<ListPredictionsResponse>, Status> {
        let request = request.into_inner();
        let mut validator = Validator::new(self.clock.now());
        let size = validator.page_size(request.page_size);
        let filter = filter(&mut validator, &request);
        let (size, filter) = validator.finish((size, filter))?;
        let scope = ("ListPredictions", &filter);
        let after: Option<PredictionCursor> = self.page_tokens.open(&scope, &request.page_token)?;
        let checked = self.predictions.checked(&filter, after.as_ref()).await?;
        let total_size = self.predictions.count(&checked).await? as i64;
        let found = self.predictions.list(&checked, after, size + 1).await?;
        let (predictions, last) =
            page::cut(found, size, |(_, place)| place.clone(), |(prediction, _)| response::score(prediction));
        let next_page_token = self.page_tokens.next(&scope, last)?;
        Ok(Response::new(ListPredictionsResponse { predictions, next_page_token, total_size }))
    }

    async fn export_predictions(
        &self,
        request: Request<ExportPredictionsRequest>,
    ) -> Result<Response<Self::ExportPredictionsStream>, Status> {
        let mut validator = Validator::new(self.clock.now());
        let filter = filter(&mut validator, &as_list(request.into_inner()));
        let filter = validator.finish(filter)?;
        let checked = self.predictions.checked(&filter, None).await?;
        let export = self.predictions.export(&checked);
        Ok(Response::new(stream(move |messages| async move { send_export(export, &messages).await })))
    }

    async fn replay_prediction(
        &self,
        request: Request<ReplayPredictionRequest>,
    ) -> Result<Response<ReplayPredictionResponse>, Status> {
        let id = request.into_inner().prediction_id;
        let mut validator = Validator::new(self.clock.now());
        let id = validator.id("prediction_id", id);
        let id = validator.finish(id)?;
        let replay = self.predictions.replay(&id).await.map_err(about(&[("prediction_id", &id)]))?;
        Ok(Response::new(response::replay(replay)))
    }

    async fn compare_predictions(
        &self,
        request: Request<ComparePredictionsRequest>,
    ) -> Result<Response<ComparePredictionsResponse>, Status> {
        let ComparePredictionsRequest { from_prediction_id, to_prediction_id } = request.into_inner();
        let mut validator = Validator::new(self.clock.now());
        let from = validator.id("from_prediction_id", from_prediction_id);
        let to = validator.id("to_prediction_id", to_prediction_id);
        let (from, to) = validator.finish((from, to))?;
        let change = self.predictions.compare(&from, &to).await;
        let change = change.map_err(about(&[("from_prediction_id", &from), ("to_prediction_id", &to)]))?;
        Ok(Response::new(response::comparison(change)))
    }
}

/// Answers with a stream of what `work` sends, and of its error. The work waits for a slow client, which
/// has one message in flight.
pub(super) fn stream<T, F>(work: impl FnOnce(Messages<T>) -> F) -> ReceiverStream<Result<T, Status>>
where
    T: Send + 'static,
    F: Future<Output = Result<()>> + Send + 'static,
{
    let (messages, receiver) = mpsc::channel(1);
    let work = work(messages.clone());
    let task = async move {
        if let Err(error) = work.await {
            // The client may have gone.
            let _ = messages.send(Err(error.into())).await;
        }
    };
    tokio::spawn(task.in_current_span());
    ReceiverStream::new(receiver)
}

/// Runs a population run to its end and reports each page. A client that has gone ends the run.
async fn report_progress(
    mut population: Population,
    request: &ScoreRequest,
    messages: &Messages<ScorePopulationResponse>,
) -> Result<()> {
    let (model, as_of_time) = (request.model.name.to_string(), response::timestamp(request.as_of));
    while let Some(progress) = population.next().await? {
        let message = ScorePopulationResponse {
            done: progress.done as i64,
            total: progress.total as i64,
            stored: progress.stored as i64,
            model: model.clone(),
            as_of_time: Some(as_of_time),
            warning: population.warning(),
        };
        if messages.send(Ok(message)).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// Sends an export page by page; predictions with many reasons take more than one message. A client that
/// has gone ends the export.
async fn send_export(
    mut export: PredictionExport,
    messages: &Messages<ExportPredictionsResponse>,
) -> Result<()> {
    loop {
        let found = export.next().await?;
        if found.is_empty() {
            return Ok(());
        }
        for predictions in page::split(found.into_iter().map(response::score)) {
            if messages.send(Ok(ExportPredictionsResponse { predictions })).await.is_err() {
                return Ok(());
            }
        }
    }
}

/// The partition of the customers that is asked for; without one, all customers.
fn partition(validator: &mut Validator, number: i32, of: i32) -> Partition {
    if !(0..=limits::PARTITIONS).contains(&of) {
        validator.refuse("partitions", format!("is {of}; allowed are 0 to {}", limits::PARTITIONS));
    }
    let of = of.max(1);
    if !(0..of).contains(&number) {
        validator.refuse("partition", format!("is {number}; allowed are 0 to {}", of - 1));
    }
    Partition { number: number.unsigned_abs(), of: of.unsigned_abs() }
}

/// An export as the list that it is, without pages.
fn as_list(request: ExportPredictionsRequest) -> ListPredictionsRequest {
    ListPredictionsRequest {
        target: request.target,
        min_probability: request.min_probability,
        max_probability: request.max_probability,
        grades: request.grades,
        customer_id: request.customer_id,
        model: request.model,
        latest_only: request.latest_only,
        as_of_time: request.as_of_time,
        order_by: request.order_by,
        life_cycles: request.life_cycles,
        abc_classes: request.abc_classes,
        rfm_segments: request.rfm_segments,
        page_size: 0,
        page_token: String::new(),
    }
}

fn filter(validator: &mut Validator, request: &ListPredictionsRequest) -> PredictionFilter {
    let target = validator.target(request.target);
    probability_range(validator, request.min_probability, request.max_probability);
    let customer_id = Some(request.customer_id.clone()).filter(|id| !id.is_empty());
    let customer_id = customer_id.map(|id| validator.id("customer_id", id));
    PredictionFilter {
        target,
        min_probability: request.min_probability,
        max_probability: request.max_probability,
        grades: grades(validator, &request.grades),
        customer_id,
        model_version: validator.model(target, &request.model).map(|name| name.version),
        as_of: request.as_of_time.as_ref().map(|time| validator.time("as_of_time", time)),
        latest_only: request.latest_only.unwrap_or(true),
        insights: insights(validator, request),
        pass_id: None,
        order: order(validator, &request.order_by),
    }
}

fn probability_range(validator: &mut Validator, min: Option<f64>, max: Option<f64>) {
    for (field, bound) in [("min_probability", min), ("max_probability", max)] {
        if let Some(bound) = bound.filter(|bound| !(0.0..=1.0).contains(bound)) {
            validator.refuse(field, format!("is {bound}, no probability; allowed are 0 to 1"));
        }
    }
    if let (Some(min), Some(max)) = (min, max)
        && min > max
    {
        validator.refuse(
            "min_probability",
            format!("is {min}, above max_probability {max}; allowed is up to max_probability"),
        );
    }
}

/// Grades as they are stored, each once.
fn grades(validator: &mut Validator, grades: &[i32]) -> Vec<String> {
    let known = |grade: &i32| Grade::try_from(*grade).ok().filter(|grade| *grade != Grade::Unspecified);
    let unknown = grades.iter().enumerate().filter(|(_, grade)| known(grade).is_none());
    for (n, grade) in unknown.take(limits::VIOLATIONS) {
        validator.refuse(format_args!("grades[{n}]"), format!("is {grade}; allowed are GRADE_A to GRADE_D"));
    }
    let name = |grade: Grade| grade.as_str_name().trim_start_matches("GRADE_").to_owned();
    grades.iter().filter_map(known).map(name).collect::<BTreeSet<_>>().into_iter().collect()
}

/// What customers are to be in the latest pass. Whether it has the RFM segments is checked where it is known.
fn insights(validator: &mut Validator, request: &ListPredictionsRequest) -> InsightFilter {
    let stages = LifeCycle::ALL.map(LifeCycle::name);
    let classes = AbcClass::ALL.map(AbcClass::name);
    InsightFilter {
        life_cycles: names(validator, "life_cycles", &request.life_cycles, &stages),
        abc_classes: names(validator, "abc_classes", &request.abc_classes, &classes),
        rfm_segments: request.rfm_segments.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
    }
}

/// Names that must be among those allowed, each once.
fn names(validator: &mut Validator, field: &str, names: &[String], allowed: &[&str]) -> Vec<String> {
    let unknown = names.iter().enumerate().filter(|(_, name)| !allowed.contains(&name.as_str()));
    for (n, name) in unknown.take(limits::VIOLATIONS) {
        let description = format!("is `{}`; allowed are {}", Shortened(name), allowed.join(", "));
        validator.refuse(format_args!("{field}[{n}]"), description);
    }
    names.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

fn order(validator: &mut Validator, order_by: &str) -> PredictionOrder {
    match order_by {
        "" | "probability desc" => PredictionOrder::Probability,
        "score_time desc" => PredictionOrder::ScoreTime,
        "net_revenue desc" => PredictionOrder::NetRevenue,
        _ => {
            let allowed = "`probability desc`, `score_time desc` and `net_revenue desc`";
            validator.refuse("order_by", format!("is `{}`; allowed are {allowed}", Shortened(order_by)));
            PredictionOrder::Probability
        }
    }
}
