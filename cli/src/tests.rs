//! The client against a small server that remembers what it was sent.

use std::{
    collections::HashMap,
    fs,
    path::Path,
    pin::Pin,
    sync::{Arc, Mutex},
};

use clap::Parser;
use futures_util::{Stream, StreamExt};
use indicatif::HumanCount;
use prost::Message;
use tally_proto::EncodedBatch;
use tally_proto::v1::{
    BatchPredictChurnRequest, BatchResult, BatchScoreLeadsRequest, Customer, DeleteCustomerRequest,
    DeleteCustomerResponse, GetCustomerRequest, GetCustomerResponse, Interaction, ListCustomersRequest,
    ListCustomersResponse, ListInteractionsRequest, ListInteractionsResponse, PredictChurnRequest,
    RecordInteractionsRequest, RecordInteractionsResponse, Score, ScoreLeadRequest, UpsertCustomersRequest,
    UpsertCustomersResponse,
    batch_result::Result as Outcome,
    customer_service_server::{CustomerService, CustomerServiceServer, SERVICE_NAME as CUSTOMERS},
    interaction_service_server::{
        InteractionService, InteractionServiceServer, SERVICE_NAME as INTERACTIONS,
    },
    scoring_service_server::{ScoringService, ScoringServiceServer},
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, Request, Response, Status, Streaming, async_trait, body::Body, transport::Server};
use tonic_types::{ErrorDetails, StatusExt};
use tower::Service;

use super::{Args, ClientError, run};

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    customers: Vec<Customer>,
    batches: Vec<RecordInteractionsRequest>,
    asked: Vec<BatchPredictChurnRequest>,
}

#[async_trait]
impl CustomerService for Fake {
    async fn upsert_customers(
        &self,
        request: Request<UpsertCustomersRequest>,
    ) -> Result<Response<UpsertCustomersResponse>, Status> {
        let customers = request.into_inner().customers;
        let upserted = customers.len() as i64;
        self.0.lock().unwrap().customers.extend(customers);
        Ok(Response::new(UpsertCustomersResponse { upserted }))
    }
    async fn get_customer(
        &self,
        _: Request<GetCustomerRequest>,
    ) -> Result<Response<GetCustomerResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn list_customers(
        &self,
        _: Request<ListCustomersRequest>,
    ) -> Result<Response<ListCustomersResponse>, Status> {
        Err(Status::unimplemented(""))
    }
    async fn delete_customer(
        &self,
        _: Request<DeleteCustomerRequest>,
    ) -> Result<Response<DeleteCustomerResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

#[async_trait]
impl InteractionService for Fake {
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
        Ok(Response::new(Box::pin(request.into_inner().map(move |batch| fake.accept(batch?)))))
    }

    async fn list_interactions(
        &self,
        _: Request<ListInteractionsRequest>,
    ) -> Result<Response<ListInteractionsResponse>, Status> {
        Err(Status::unimplemented(""))
    }
}

impl Fake {
    fn accept(&self, batch: RecordInteractionsRequest) -> Result<RecordInteractionsResponse, Status> {
        if let Some(n) = batch.interactions.iter().position(|item| item.kind == "refuse") {
            let details =
                ErrorDetails::with_bad_request_violation(format!("interactions[{n}].kind"), "is no good");
            return Err(Status::with_error_details(Code::InvalidArgument, "no good", details));
        }
        let recorded = batch.interactions.len() as i64;
        self.0.lock().unwrap().batches.push(batch);
        Ok(RecordInteractionsResponse { recorded, duplicates: 0 })
    }
}

#[async_trait]
impl ScoringService for Fake {
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
                Outcome::Status(Message::decode(status.details()).unwrap())
            } else {
                Outcome::Score(Score {
                    customer_id: id.clone(),
                    model: "churn/7".to_owned(),
                    ..Score::default()
                })
            })
        };
        let result = |id| BatchResult { result: result(id) }.encode_to_vec();
        let results = request.customer_ids.iter().map(result).collect();
        self.0.lock().unwrap().asked.push(request);
        Ok(Response::new(EncodedBatch { results }))
    }
}

async fn serve() -> (Fake, String) {
    let fake = Fake::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // By hand: the router of tonic would bring axum into this crate.
    let customers = CustomerServiceServer::new(fake.clone());
    let interactions = InteractionServiceServer::new(fake.clone());
    let scoring = ScoringServiceServer::new(fake.clone());
    let service =
        tower::service_fn(move |request: http::Request<Body>| match request.uri().path().split('/').nth(1) {
            Some(CUSTOMERS) => customers.clone().call(request),
            Some(INTERACTIONS) => interactions.clone().call(request),
            _ => scoring.clone().call(request),
        });
    tokio::spawn(Server::builder().serve_with_incoming(service, TcpListenerStream::new(listener)));
    (fake, url)
}

async fn tally(url: &str, rest: &[&str]) -> Result<(), ClientError> {
    let args = ["tally", "--server", url].into_iter().chain(rest.iter().copied());
    run(Args::try_parse_from(args).unwrap()).await
}

/// Both files in `folder`: 2 customers, and 12,001 visits of which `odd` is of the given kind.
fn write_files(folder: &Path, odd: (usize, &str)) -> [String; 2] {
    let (customers, interactions) = (folder.join("c.csv"), folder.join("i.csv"));
    fs::write(&customers, "created_at,customer_id,size\n2011-01-01,C1,5\n2011-01-02,C2,\n").unwrap();
    let mut text = "interaction_id,customer_id,kind,occurred_at,amount\n".to_owned();
    for n in 0..12_001 {
        let kind = if n == odd.0 { odd.1 } else { "visit" };
        text.push_str(&format!("I{n},C1,{kind},2011-02-01T00:00:00Z,12.5\n"));
    }
    fs::write(&interactions, text).unwrap();
    [customers, interactions].map(|path| path.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn both_files_arrive_whole_and_in_batches() {
    let (fake, url) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let [customers, interactions] = write_files(folder.path(), (0, "visit"));
    let files = ["import", "--customers", &customers, "--interactions", &interactions, "--backfill"];
    tally(&url, &files).await.unwrap();
    let seen = fake.0.lock().unwrap();
    let ids: Vec<&str> = seen.customers.iter().map(|customer| customer.customer_id.as_str()).collect();
    assert_eq!(ids, ["C1", "C2"]);
    assert!(seen.batches.iter().all(|batch| batch.backfill));
    // Several streams are under way: the batches come in any order, each in its own.
    let number = |item: &Interaction| item.interaction_id[1..].parse::<usize>().unwrap();
    let mut batches: Vec<_> = seen.batches.iter().map(|batch| &batch.interactions).collect();
    batches.sort_by_key(|batch| number(&batch[0]));
    assert_eq!(batches.iter().map(|batch| batch.len()).collect::<Vec<_>>(), [5_000, 5_000, 2_001]);
    for (n, item) in batches.into_iter().flatten().enumerate() {
        assert_eq!((number(item), item.amount_minor), (n, Some(1_250)));
    }
}

#[tokio::test]
async fn a_refused_item_is_named_by_its_line() {
    let (fake, url) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let [_, interactions] = write_files(folder.path(), (7_000, "refuse"));
    let error = tally(&url, &["import", "--interactions", &interactions]).await.unwrap_err().to_string();
    assert!(error.contains(&format!("{interactions} line 7002, kind: is no good")), "{error}");
    // What else was on its way is stored, and counted exactly.
    let stored: usize = fake.0.lock().unwrap().batches.iter().map(|batch| batch.interactions.len()).sum();
    let told =
        format!("in the batch of lines 5002 to 10001; {} of its rows are stored", HumanCount(stored as u64));
    assert!(error.contains(&told), "{error}");
}

#[tokio::test]
async fn nothing_is_sent_when_a_file_is_bad() {
    let (fake, url) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let [customers, interactions] = write_files(folder.path(), (12_000, ""));
    let files = ["import", "--customers", &customers, "--interactions", &interactions];
    let error = tally(&url, &files).await.unwrap_err().to_string();
    assert_eq!(error, format!("{interactions} line 12002, column kind: is empty"));
    let seen = fake.0.lock().unwrap();
    assert!(seen.customers.is_empty() && seen.batches.is_empty());
}

#[tokio::test]
async fn ids_go_in_chunks_and_those_without_a_score_fail_the_command() {
    let (fake, url) = serve().await;
    let mut rest = vec!["--json", "score", "churn", "nobody"];
    let ids: Vec<String> = (0..10_001).map(|n| format!("C{n}")).collect();
    rest.extend(ids.iter().map(String::as_str));
    let error = tally(&url, &rest).await.unwrap_err().to_string();
    assert_eq!(error, "1 of 10,002 customers could not be scored");
    let seen = fake.0.lock().unwrap();
    let asked: Vec<_> = seen.asked.iter().map(|r| (r.customer_ids.len(), r.model.as_str())).collect();
    assert_eq!(asked, [(10_000, ""), (2, "churn/7")]);
}

#[tokio::test]
async fn without_a_server_the_error_says_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = tally(&url, &["models", "list"]).await.unwrap_err().to_string();
    assert!(error.contains(&url) && error.contains("is tally-serve running?"), "{error}");
}
