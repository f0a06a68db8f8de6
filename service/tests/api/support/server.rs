//! A real server within the test program.

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Weak},
};

use tally_model::{
    insight::{InsightSpec, alert::AlertRules},
    time::Time,
};
use tally_proto::v1::{
    customer_service_client::CustomerServiceClient, deployment_service_client::DeploymentServiceClient,
    insight_service_client::InsightServiceClient, interaction_service_client::InteractionServiceClient,
    model_service_client::ModelServiceClient, prediction_service_client::PredictionServiceClient,
    scoring_service_client::ScoringServiceClient,
};
use tally_service::{
    app::{App, Jobs, Transport},
    grpc::server::Capacity,
    insight::{AlertSettings, Webhook},
    jobs::JobPlan,
    platform::clock::system_clock,
    security::Security,
};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};
use tonic::transport::Channel;

use super::{Database, http, programs};

/// Scores with all their reasons are larger than what a client accepts by itself.
const SCORE_BYTES: usize = 64 << 20;

/// A running server and clients to it.
pub struct Tally {
    pub database: Database,
    pub channel: Channel,
    pub url: String,
    /// Where it serves its metrics.
    http: SocketAddr,
    /// Keeps nothing open when the server has ended.
    app: Weak<App>,
    stop: Option<oneshot::Sender<()>>,
    server: Option<JoinHandle<()>>,
}

/// The service on a database, with a clock, and nothing that calls it.
pub async fn open_app(database: &Database, clock: fn() -> Time) -> App {
    let store = tally_store::open(&database.url).await.unwrap();
    App::new(store, 16 << 20, InsightSpec::default(), clock).await.unwrap()
}

impl Tally {
    pub async fn start(database: Database) -> Self {
        Self::start_with(database, system_clock, JobPlan::default()).await
    }

    /// Starts a server with other settings of insight.
    pub async fn start_with_spec(database: Database, spec: InsightSpec) -> Self {
        let store = tally_store::open(&database.url).await.unwrap();
        let app = App::new(store, 16 << 20, spec, system_clock).await.unwrap();
        Self::serve(database, app, JobPlan::default()).await
    }

    /// Starts a server that takes on so many calls.
    pub async fn start_with_capacity(database: Database, capacity: Capacity) -> Self {
        let app = open_app(&database, system_clock).await;
        Self::serve_with(database, app, (JobPlan::default(), capacity)).await
    }

    /// Starts a server with a clock of its own, which runs the jobs of a plan by itself.
    pub async fn start_with(database: Database, clock: fn() -> Time, plan: JobPlan) -> Self {
        let app = open_app(&database, clock).await;
        Self::serve(database, app, plan).await
    }

    /// A server with rules of alerts; the files that they name are in `folder`.
    pub async fn with_alerts(database: Database, rules: &str, folder: &Path) -> Self {
        Self::with_alerts_and_clock(database, (rules, folder), system_clock).await
    }

    /// The same with a clock of its own.
    pub async fn with_alerts_and_clock(
        database: Database,
        (rules, folder): (&str, &Path),
        clock: fn() -> Time,
    ) -> Self {
        let rules = AlertRules::parse(rules).unwrap();
        let webhook = rules.webhook.as_ref().map(|spec| Arc::new(Webhook::open(spec, folder).unwrap()));
        let settings = AlertSettings { rules: Arc::new(rules), webhook };
        let app = open_app(&database, clock).await.with_alerts(settings);
        Self::serve(database, app, JobPlan::default()).await
    }

    async fn serve(database: Database, app: App, plan: JobPlan) -> Self {
        let capacity = Capacity { memory_in_flight: 128 << 20, calls_per_second: None };
        Self::serve_with(database, app, (plan, capacity)).await
    }

    async fn serve_with(database: Database, app: App, (plan, capacity): (JobPlan, Capacity)) -> Self {
        let app = Arc::new(app);
        let rooms = Arc::downgrade(&app);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let http_listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let http = http_listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or(()) };
            let transport = Transport {
                grpc: listener,
                http: Some(http_listener),
                max_connection_age: None,
                max_connections: 1_000,
                capacity,
                security: Security::default(),
            };
            app.serve(transport, Jobs { plan, ..Jobs::default() }, stopped).await.unwrap();
        });
        let url = format!("http://{address}");
        let channel = Channel::from_shared(url.clone()).unwrap().connect().await.unwrap();
        Self { database, channel, url, http, app: rooms, stop: Some(stop), server: Some(server) }
    }

    /// Ends the server as a signal would, and waits for its end.
    pub async fn stop(&mut self) {
        drop(self.stop.take());
        self.server.take().unwrap().await.unwrap();
    }

    /// The rooms of the running server, for what no call brings about.
    pub fn app(&self) -> Arc<App> {
        self.app.upgrade().unwrap()
    }

    pub fn customers(&self) -> CustomerServiceClient<Channel> {
        CustomerServiceClient::new(self.channel.clone())
    }

    pub fn interactions(&self) -> InteractionServiceClient<Channel> {
        InteractionServiceClient::new(self.channel.clone())
    }

    pub fn scoring(&self) -> ScoringServiceClient<Channel> {
        ScoringServiceClient::new(self.channel.clone()).max_decoding_message_size(SCORE_BYTES)
    }

    pub fn predictions(&self) -> PredictionServiceClient<Channel> {
        PredictionServiceClient::new(self.channel.clone()).max_decoding_message_size(SCORE_BYTES)
    }

    pub fn insights(&self) -> InsightServiceClient<Channel> {
        InsightServiceClient::new(self.channel.clone())
    }

    pub fn deployment(&self) -> DeploymentServiceClient<Channel> {
        DeploymentServiceClient::new(self.channel.clone())
    }

    pub fn models(&self) -> ModelServiceClient<Channel> {
        ModelServiceClient::new(self.channel.clone())
    }

    /// Sends a GET request by plain HTTP. Returns the status line with the headers, and the body.
    pub async fn get(&self, path: &str) -> (String, String) {
        http::get(self.http, path).await
    }

    /// Runs `tally` against this server. Returns what it prints.
    pub fn cli(&self, arguments: &[&str]) -> String {
        programs::cli(&self.url, arguments)
    }

    /// Runs `tally` against this server, which may fail.
    pub fn try_cli(&self, arguments: &[&str]) -> std::process::Output {
        programs::program("tally", "").args(["--server", &self.url]).args(arguments).output().unwrap()
    }
}
