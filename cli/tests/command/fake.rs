//! A small server that keeps the requests it receives.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex},
};

use clap::Parser;
use futures_util::{Stream, StreamExt};
use prost::Message;
use prost_types::Struct;
use tally_proto::EncodedBatch;
use tally_proto::v1::{
    AuditEvent, BackupDatabaseRequest, BackupDatabaseResponse, BatchPredictChurnRequest, BatchResult,
    BatchScoreLeadsRequest, ComparePredictionsRequest, ComparePredictionsResponse, Customer,
    DeleteCustomerRequest, DeleteCustomerResponse, ExportCustomerRequest, ExportCustomerResponse,
    ExportPredictionsRequest, ExportPredictionsResponse, GetCustomerRequest, GetCustomerResponse,
    GetDeploymentRequest, GetDeploymentResponse, Interaction, ListAttributesRequest, ListAttributesResponse,
    ListAuditEventsRequest, ListAuditEventsResponse, ListCustomersRequest, ListCustomersResponse,
    ListInteractionsRequest, ListInteractionsResponse, ListPredictionsRequest, ListPredictionsResponse,
    MergeCustomersRequest, MergeCustomersResponse, PredictChurnRequest, RecordInteractionsRequest,
    RecordInteractionsResponse, ReplayPredictionRequest, ReplayPredictionResponse,
    RetractInteractionsRequest, RetractInteractionsResponse, Score, ScoreLeadRequest, ScorePopulationRequest,
    ScorePopulationResponse, StoredAttribute, StoredRow, UpsertCustomersRequest, UpsertCustomersResponse,
    batch_result,
    customer_service_server::{CustomerService, CustomerServiceServer, SERVICE_NAME as CUSTOMERS},
    deployment_service_server::{DeploymentService, DeploymentServiceServer, SERVICE_NAME as DEPLOYMENT},
    export_customer_response::Part,
    insight_service_server::{InsightServiceServer, SERVICE_NAME as INSIGHTS},
    interaction_service_server::{
        InteractionService, InteractionServiceServer, SERVICE_NAME as INTERACTIONS,
    },
    prediction_service_server::{PredictionService, PredictionServiceServer, SERVICE_NAME as PREDICTIONS},
    scoring_service_server::{ScoringService, ScoringServiceServer},
};
use tokio::{net::TcpListener, sync::watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status, Streaming, async_trait, body::Body, transport::Server};
use tonic_types::{ErrorDetails, StatusExt};
use tower::Service;

use tally_cli::{Args, ClientError, run};

mod insights;

pub use insights::{InsightReplies, InsightRequest};

#[derive(Clone, Default)]
pub struct FakeServer(pub Arc<Mutex<Received>>);

#[derive(Default)]
pub struct Received {
    pub customers: Vec<Customer>,
    /// Those of each batch of customers.
    pub backfill_attributes: Vec<Vec<String>>,
    pub batches: Vec<RecordInteractionsRequest>,
    pub scored: Vec<BatchPredictChurnRequest>,
    /// The ids of each merge, from and into.
    pub merged: Vec<(String, String)>,
    pub deleted: Vec<String>,
    pub listed: Vec<ListInteractionsRequest>,
    pub retracted: Vec<RetractInteractionsRequest>,
    pub predictions: Vec<ListPredictionsRequest>,
    pub insights: Vec<InsightRequest>,
    /// How often the server was asked what it is.
    pub asked: usize,
    /// How many batches are stored, but answered as if the server had just been stopped.
    pub lost_replies: usize,
    /// Holds the replies to streamed batches, and the parts of a backup after the first, back until it is true.
    pub released: Option<watch::Receiver<bool>>,
    /// What the server replies of itself. Without it, it does not know the calls.
    pub knows: Option<Knowledge>,
}

/// What the server replies of itself.
#[derive(Clone, Default)]
pub struct Knowledge {
    pub amount_decimals: Option<i32>,
    pub attributes: Vec<StoredAttribute>,
    pub predictions: Vec<Score>,
    pub insights: InsightReplies,
    /// The parts of a copy of the database.
    pub backup: Vec<BackupDatabaseResponse>,
    /// The audit log, and its end.
    pub audit: Vec<AuditEvent>,
    pub audit_head: (i64, Vec<u8>),
    /// The reply to each batch of interactions.
    pub recorded: RecordInteractionsResponse,
}

impl Received {
    fn lose_reply(&mut self) -> Result<(), Status> {
        match self.lost_replies {
            0 => Ok(()),
            lost => {
                self.lost_replies = lost - 1;
                Err(Status::unavailable("stops"))
            }
        }
    }
}

impl FakeServer {
    fn knowledge(&self) -> Result<Knowledge, Status> {
        let mut received = self.0.lock().unwrap();
        received.asked += 1;
        received.knows.clone().ok_or_else(|| Status::unimplemented("an older server"))
    }

    async fn until_released(&self) {
        let released = self.0.lock().unwrap().released.clone();
        if let Some(mut released) = released {
            released.wait_for(|released| *released).await.unwrap();
        }
    }
}

#[async_trait]
impl DeploymentService for FakeServer {
    type BackupDatabaseStream = Pin<Box<dyn Stream<Item = Result<BackupDatabaseResponse, Status>> + Send>>;

    async fn backup_database(
        &self,
        _: Request<BackupDatabaseRequest>,
    ) -> Result<Response<Self::BackupDatabaseStream>, Status> {
        let parts = self.knowledge()?.backup.into_iter().enumerate();
        let server = self.clone();
        let parts = tokio_stream::iter(parts).then(move |(n, part)| {
            let server = server.clone();
            async move {
                if n > 0 {
                    server.until_released().await;
                }
                Ok(part)
            }
        });
        Ok(Response::new(Box::pin(parts)))
    }

    async fn get_deployment(
        &self,
        _: Request<GetDeploymentRequest>,
    ) -> Result<Response<GetDeploymentResponse>, Status> {
        let amount_decimals = self.knowledge()?.amount_decimals;
        Ok(Response::new(GetDeploymentResponse { amount_decimals, ..Default::default() }))
    }

    async fn list_audit_events(
        &self,
        request: Request<ListAuditEventsRequest>,
    ) -> Result<Response<ListAuditEventsResponse>, Status> {
        let knowledge = self.knowledge()?;
        let mut events = knowledge.audit;
        let head = knowledge.audit_head;
        if !request.get_ref().oldest_first {
            events.reverse();
        }
        Ok(Response::new(ListAuditEventsResponse {
            total_size: events.len() as i64,
            events,
            head_sequence: head.0,
            head_hash: head.1,
            next_page_token: String::new(),
        }))
    }
}

#[async_trait]
impl PredictionService for FakeServer {
    type ScorePopulationStream = Pin<Box<dyn Stream<Item = Result<ScorePopulationResponse, Status>> + Send>>;
    type ExportPredictionsStream =
        Pin<Box<dyn Stream<Item = Result<ExportPredictionsResponse, Status>> + Send>>;

    async fn score_population(
        &self,
        _: Request<ScorePopulationRequest>,
    ) -> Result<Response<Self::ScorePopulationStream>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn list_predictions(
        &self,
        request: Request<ListPredictionsRequest>,
    ) -> Result<Response<ListPredictionsResponse>, Status> {
        self.0.lock().unwrap().predictions.push(request.into_inner());
        let predictions = self.knowledge()?.predictions;
        Ok(Response::new(ListPredictionsResponse { predictions, ..Default::default() }))
    }
    async fn export_predictions(
        &self,
        _: Request<ExportPredictionsRequest>,
    ) -> Result<Response<Self::ExportPredictionsStream>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn replay_prediction(
        &self,
        _: Request<ReplayPredictionRequest>,
    ) -> Result<Response<ReplayPredictionResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn compare_predictions(
        &self,
        _: Request<ComparePredictionsRequest>,
    ) -> Result<Response<ComparePredictionsResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

#[async_trait]
impl CustomerService for FakeServer {
    type ExportCustomerStream = Pin<Box<dyn Stream<Item = Result<ExportCustomerResponse, Status>> + Send>>;

    async fn export_customer(
        &self,
        request: Request<ExportCustomerRequest>,
    ) -> Result<Response<Self::ExportCustomerStream>, Status> {
        let customer = Customer { customer_id: request.into_inner().customer_id, ..Customer::default() };
        let parts = [
            Part::Customer(customer),
            Part::Row(StoredRow { table: "customers".to_owned(), values: Some(Struct::default()) }),
        ];
        let parts = parts.map(|part| Ok(ExportCustomerResponse { part: Some(part) }));
        Ok(Response::new(Box::pin(futures_util::stream::iter(parts))))
    }

    async fn merge_customers(
        &self,
        request: Request<MergeCustomersRequest>,
    ) -> Result<Response<MergeCustomersResponse>, Status> {
        let MergeCustomersRequest { from_customer_id, into_customer_id } = request.into_inner();
        self.0.lock().unwrap().merged.push((from_customer_id, into_customer_id.clone()));
        let customer = Some(Customer { customer_id: into_customer_id, ..Default::default() });
        Ok(Response::new(MergeCustomersResponse { customer }))
    }

    async fn list_attributes(
        &self,
        _: Request<ListAttributesRequest>,
    ) -> Result<Response<ListAttributesResponse>, Status> {
        Ok(Response::new(ListAttributesResponse { attributes: self.knowledge()?.attributes }))
    }

    async fn upsert_customers(
        &self,
        request: Request<UpsertCustomersRequest>,
    ) -> Result<Response<UpsertCustomersResponse>, Status> {
        let UpsertCustomersRequest { customers, backfill_attributes, .. } = request.into_inner();
        let upserted = customers.len() as i64;
        let mut received = self.0.lock().unwrap();
        received.customers.extend(customers);
        received.backfill_attributes.push(backfill_attributes);
        received.lose_reply()?;
        Ok(Response::new(UpsertCustomersResponse { upserted, ..Default::default() }))
    }
    async fn get_customer(
        &self,
        request: Request<GetCustomerRequest>,
    ) -> Result<Response<GetCustomerResponse>, Status> {
        let customer_id = request.into_inner().customer_id;
        if customer_id == "nobody" {
            return Err(Status::not_found("no customer `nobody` is stored"));
        }
        let customer = Some(Customer { customer_id, ..Default::default() });
        Ok(Response::new(GetCustomerResponse { customer }))
    }
    async fn list_customers(
        &self,
        _: Request<ListCustomersRequest>,
    ) -> Result<Response<ListCustomersResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn delete_customer(
        &self,
        request: Request<DeleteCustomerRequest>,
    ) -> Result<Response<DeleteCustomerResponse>, Status> {
        self.0.lock().unwrap().deleted.push(request.into_inner().customer_id);
        Ok(Response::new(DeleteCustomerResponse {}))
    }
}

#[async_trait]
impl InteractionService for FakeServer {
    async fn retract_interactions(
        &self,
        request: Request<RetractInteractionsRequest>,
    ) -> Result<Response<RetractInteractionsResponse>, Status> {
        let request = request.into_inner();
        let retracted = request.keys.len() as i64;
        self.0.lock().unwrap().retracted.push(request);
        Ok(Response::new(RetractInteractionsResponse { retracted, already_retracted: 0 }))
    }

    async fn record_interactions(
        &self,
        _: Request<RecordInteractionsRequest>,
    ) -> Result<Response<RecordInteractionsResponse>, Status> {
        Err(Status::unimplemented(""))
    }

    type StreamInteractionsStream =
        Pin<Box<dyn Stream<Item = Result<RecordInteractionsResponse, Status>> + Send>>;

    async fn stream_interactions(
        &self,
        request: Request<Streaming<RecordInteractionsRequest>>,
    ) -> Result<Response<Self::StreamInteractionsStream>, Status> {
        let fake = self.clone();
        let replies = request.into_inner().then(move |batch| {
            let fake = fake.clone();
            async move {
                let reply = fake.accept(batch?);
                fake.until_released().await;
                reply
            }
        });
        Ok(Response::new(Box::pin(replies)))
    }

    async fn list_interactions(
        &self,
        request: Request<ListInteractionsRequest>,
    ) -> Result<Response<ListInteractionsResponse>, Status> {
        let request = request.into_inner();
        // Two pages, however large.
        let next_page_token = if request.page_token.is_empty() { "second" } else { "" }.to_owned();
        let customer_id = request.customer_id.clone();
        let one = |n: i32| Interaction {
            customer_id: customer_id.clone(),
            interaction_id: n.to_string(),
            ..Default::default()
        };
        let interactions = (0..request.page_size).map(one).collect();
        self.0.lock().unwrap().listed.push(request);
        Ok(Response::new(ListInteractionsResponse { interactions, next_page_token }))
    }
}

impl FakeServer {
    fn accept(&self, batch: RecordInteractionsRequest) -> Result<RecordInteractionsResponse, Status> {
        if let Some(n) = batch.interactions.iter().position(|item| item.kind == "refuse") {
            let details =
                ErrorDetails::with_bad_request_violation(format!("interactions[{n}].kind"), "is no good");
            return Err(Status::with_error_details(Code::InvalidArgument, "no good", details));
        }
        let recorded = batch.interactions.len() as i64;
        let mut received = self.0.lock().unwrap();
        received.batches.push(batch);
        received.lose_reply()?;
        let reply = received.knows.as_ref().map(|knows| knows.recorded).unwrap_or_default();
        Ok(RecordInteractionsResponse { recorded, ..reply })
    }
}

#[async_trait]
impl ScoringService for FakeServer {
    async fn score_lead(&self, _: Request<ScoreLeadRequest>) -> Result<Response<Score>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn predict_churn(&self, _: Request<PredictChurnRequest>) -> Result<Response<Score>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn batch_score_leads(
        &self,
        _: Request<BatchScoreLeadsRequest>,
    ) -> Result<Response<EncodedBatch>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn batch_predict_churn(
        &self,
        request: Request<BatchPredictChurnRequest>,
    ) -> Result<Response<EncodedBatch>, Status> {
        let request = request.into_inner();
        let result = |id: &String| {
            Some(if id == "nobody" {
                let details = ErrorDetails::with_error_info("CUSTOMER_NOT_FOUND", "tally.v1", HashMap::new());
                let status =
                    Status::with_error_details(Code::NotFound, "no customer `nobody` is stored", details);
                batch_result::Result::Status(Message::decode(status.details()).unwrap())
            } else {
                batch_result::Result::Score(Score {
                    customer_id: id.clone(),
                    model: "churn/7".to_owned(),
                    ..Score::default()
                })
            })
        };
        let result = |id| BatchResult { result: result(id) }.encode_to_vec();
        let results = request.customer_ids.iter().map(result).collect();
        self.0.lock().unwrap().scored.push(request);
        Ok(Response::new(EncodedBatch { results }))
    }
}

/// Starts the server on a free port; returns it and its URL.
pub async fn serve() -> (FakeServer, String) {
    let fake = FakeServer::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // By hand: the router of tonic would bring axum into this crate.
    let customers = CustomerServiceServer::new(fake.clone());
    let interactions = InteractionServiceServer::new(fake.clone());
    let deployment = DeploymentServiceServer::new(fake.clone());
    let predictions = PredictionServiceServer::new(fake.clone());
    let insights = InsightServiceServer::new(fake.clone());
    let scoring = ScoringServiceServer::new(fake.clone());
    let service =
        tower::service_fn(move |request: http::Request<Body>| match request.uri().path().split('/').nth(1) {
            Some(CUSTOMERS) => customers.clone().call(request),
            Some(INTERACTIONS) => interactions.clone().call(request),
            Some(DEPLOYMENT) => deployment.clone().call(request),
            Some(PREDICTIONS) => predictions.clone().call(request),
            Some(INSIGHTS) => insights.clone().call(request),
            _ => scoring.clone().call(request),
        });
    tokio::spawn(Server::builder().serve_with_incoming(service, TcpListenerStream::new(listener)));
    (fake, url)
}

/// Runs `tally`.
pub async fn tally(url: &str, rest: &[&str]) -> Result<(), ClientError> {
    let args = ["tally", "--server", url].into_iter().chain(rest.iter().copied());
    run(Args::try_parse_from(args).unwrap()).await
}
