//! The composition root: opens what a server needs and hands each use case its part.

use std::{io, sync::Arc, time::Duration};

use tally_model::insight::InsightSpec;
use tally_store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::ModelCatalog,
    deployment::Deployment,
    grpc::{
        customers::CustomerRpc,
        deployment::DeploymentRpc,
        insight::InsightRpc,
        interactions::InteractionRpc,
        models::ModelRpc,
        page_token::PageTokens,
        predictions::PredictionRpc,
        scoring::ScoringRpc,
        server::{self, Capacity, Connections, GrpcServices, ServeError},
    },
    histories::{Histories, packing},
    http,
    ingest::{Ingest, write_barrier::WriteBarrier},
    insight::{self, AlertSettings, Alerts, Insights},
    jobs::{JobList, JobMetrics, JobPlan, JobRunner},
    lifecycle::{
        Promotions,
        interaction_retention::{self, KeepInteractions},
        retention,
    },
    listing::Listing,
    monitoring::{Monitoring, MonitoringGauges},
    platform::{
        clock::{Clock, TimeSource},
        error::Result,
        metrics::MetricsRegistry,
        supervisor::Supervisor,
        telemetry,
    },
    scoring::{PopulationScored, Predictions, Scoring},
    security::{AuditLog, ReloadFailures, Security},
};

/// The use cases of a server, and what they share.
pub struct App {
    /// The database.
    pub store: Arc<dyn Store>,
    /// The clock.
    pub clock: Arc<Clock>,
    /// The metrics.
    pub metrics: Arc<MetricsRegistry>,
    /// The warm histories.
    pub histories: Histories,
    /// The loaded models.
    pub catalog: ModelCatalog,
    /// Wakes up when a population has been scored.
    pub scored: PopulationScored,
    /// Page tokens of lists.
    pub page_tokens: PageTokens,
    /// Facts, segments, key figures and reports.
    pub insights: Insights,
    /// What rules find.
    pub alerts: Alerts,
    /// The audit log.
    pub audit: AuditLog,
    /// The settings of the deployment.
    pub deployment: Deployment,
    /// Customers and interactions.
    pub ingest: Ingest,
    /// Scores.
    pub scoring: Scoring,
    /// Stored predictions.
    pub predictions: Predictions,
    /// Promotion and rollback.
    pub promotions: Promotions,
    /// Drift and realised performance.
    pub monitoring: Monitoring,
    /// The gauges of drift and realised performance.
    pub monitoring_gauges: MonitoringGauges,
    /// The metrics of jobs.
    pub job_metrics: JobMetrics,
    /// The state of jobs.
    pub job_list: JobList,
}

/// How clients reach a server.
pub struct Transport {
    /// Where gRPC is served.
    pub grpc: TcpListener,
    /// Where metrics and probes are served, if they are.
    pub http: Option<TcpListener>,
    /// After which time clients are asked to connect again, if ever.
    pub max_connection_age: Option<Duration>,
    /// How many connections clients have at most.
    pub max_connections: usize,
    /// What calls there are at most.
    pub capacity: Capacity,
    /// Encrypts connections and checks callers.
    pub security: Security,
}

/// The optional background jobs of a server.
#[derive(Clone, Debug, Default)]
pub struct Jobs {
    /// How often histories are packed.
    pub pack_every: Option<Duration>,
    /// How many days predictions are kept.
    pub keep_predictions_days: Option<u32>,
    /// How many days interactions are kept, by kind.
    pub keep_interactions: Option<KeepInteractions>,
    /// How many days the facts of all customers about a moment are kept, without which they are kept for ever.
    pub keep_insights_days: Option<u32>,
    /// What only one of several servers on a database does.
    pub plan: JobPlan,
}

impl App {
    /// Wires the use cases on an open store, with a cache of at most `cache_bytes` bytes and the definitions of
    /// `insight`, and loads the champions.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn new(
        store: Arc<dyn Store>,
        cache_bytes: u64,
        insight: InsightSpec,
        time: TimeSource,
    ) -> Result<Self> {
        let metrics = Arc::new(MetricsRegistry::default());
        let help = "Lines of the log dropped because nobody read them";
        metrics.register_made("tally_log_lines_dropped", help, telemetry::dropped_lines());
        let clock = Arc::new(Clock::new(time));
        let barrier = WriteBarrier::default();
        let page_tokens = PageTokens::new(&*store).await?;
        let catalog = ModelCatalog::new(Arc::clone(&store), &metrics);
        catalog.refresh().await?;
        let histories = Histories::new(Arc::clone(&store), cache_bytes, &metrics);
        histories.load_merges().await?;
        let (of_store, of_clock) = (|| Arc::clone(&store), || Arc::clone(&clock));
        let job_metrics = JobMetrics::new(&metrics);
        let scored = PopulationScored::default();
        let scoring = Scoring::new(of_store(), histories.clone(), barrier.clone(), of_clock());
        Ok(Self {
            insights: Insights::new(
                of_store(),
                (catalog.clone(), histories.clone()),
                (scoring.clone(), scored.clone()),
                of_clock(),
                insight,
            ),
            alerts: Alerts::new(of_store(), of_clock(), &metrics),
            audit: AuditLog::new(of_store(), of_clock()),
            deployment: Deployment::new(of_store()),
            ingest: Ingest::new(
                of_store(),
                (histories.clone(), Listing::new(of_store(), catalog.clone(), of_clock())),
                barrier,
                of_clock(),
                &metrics,
            ),
            scoring,
            predictions: Predictions::new(of_store(), catalog.clone(), histories.clone(), of_clock()),
            promotions: Promotions::new(of_store(), catalog.clone(), of_clock()),
            monitoring: Monitoring::new(of_store(), catalog.clone(), of_clock()),
            monitoring_gauges: MonitoringGauges::new(&metrics),
            job_list: JobList::new(of_store(), of_clock(), job_metrics.clone()),
            job_metrics,
            scored,
            page_tokens,
            histories,
            catalog,
            metrics,
            clock,
            store,
        })
    }

    /// The same use cases with rules of early warning.
    #[must_use]
    pub fn with_alerts(self, settings: AlertSettings) -> Self {
        Self { alerts: self.alerts.with(settings), ..self }
    }

    /// Serves gRPC, and metrics and probes when they have a listener, until `shutdown` completes and calls in flight
    /// have ended.
    ///
    /// # Errors
    /// When the HTTP listener cannot be used, or the reflection service cannot be built.
    pub async fn serve(
        &self,
        transport: Transport,
        jobs: Jobs,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), ServeError> {
        let mut supervisor = Supervisor::new(&self.metrics);
        let stopping = CancellationToken::new();
        if let Some(http) = transport.http {
            self.start_http(http, (&transport.security, stopping.clone()), &mut supervisor)?;
        }
        self.follow_files(&transport.security, &mut supervisor);
        let plan = jobs.plan;
        self.start_jobs(jobs, &mut supervisor);
        let runner = self.start_runner(plan, &mut supervisor);
        let connections = Connections {
            listener: transport.grpc,
            most: transport.max_connections,
            capacity: transport.capacity,
            max_age: transport.max_connection_age,
            security: transport.security,
        };
        let ended = {
            let served = server::run(connections, self.grpc_services(), &mut supervisor, stopping.clone());
            tokio::pin!(served);
            tokio::select! {
                // A transport that fails ends the server without a signal.
                ended = &mut served => ended,
                () = shutdown => {
                    stopping.cancel();
                    // Watches would hold the shutdown as long as calls in flight may.
                    self.alerts.feed().close();
                    // Calls and the run of a job end side by side, and the tasks behind them when both have.
                    let stopped = async {
                        if let Some(runner) = runner {
                            runner.stop().await;
                        }
                    };
                    tokio::join!(served, stopped).0
                }
            }
        };
        supervisor.stop_all().await;
        self.audit.flush().await;
        ended
    }

    /// Starts to follow the files of tokens, keys and certificates.
    fn follow_files(&self, security: &Security, supervisor: &mut Supervisor) {
        let failures = ReloadFailures::new(&self.metrics);
        if security.has_files() {
            let security = security.clone();
            let audit = self.audit.clone();
            supervisor
                .start("security files", move || security.clone().follow(failures.clone(), audit.clone()));
        }
    }

    fn start_http(
        &self,
        listener: TcpListener,
        (security, stopping): (&Security, CancellationToken),
        supervisor: &mut Supervisor,
    ) -> io::Result<()> {
        let listener = Arc::new(listener.into_std()?);
        let state = http::HttpState {
            store: Arc::clone(&self.store),
            histories: self.histories.clone(),
            metrics: Arc::clone(&self.metrics),
            stopping,
            security: security.clone(),
        };
        supervisor.start("http", move || http::run(Arc::clone(&listener), state.clone()));
        Ok(())
    }

    /// Starts to run the jobs of a plan; None when it has none.
    fn start_runner(&self, plan: JobPlan, supervisor: &mut Supervisor) -> Option<Arc<JobRunner>> {
        if plan.is_empty() {
            return None;
        }
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        let runner = JobRunner::new(store, self.insights.clone(), clock, self.job_metrics.clone(), plan);
        let runner = Arc::new(runner);
        let running = Arc::clone(&runner);
        supervisor.start("jobs", move || {
            let runner = Arc::clone(&running);
            async move { runner.run().await }
        });
        Some(runner)
    }

    fn start_jobs(&self, jobs: Jobs, supervisor: &mut Supervisor) {
        let histories = self.histories.clone();
        let audit = self.audit.clone();
        supervisor.start("audit of refused calls", move || audit.clone().run());
        supervisor.start("changes of other servers", move || histories.clone().follow_changes());
        let (gauges, monitoring, scored) =
            (self.monitoring_gauges.clone(), self.monitoring.clone(), self.scored.clone());
        supervisor.start("monitoring", move || gauges.clone().run(monitoring.clone(), scored.clone()));
        let job_list = self.job_list.clone();
        supervisor.start("heartbeats of jobs", move || {
            let job_list = job_list.clone();
            async move { job_list.watch().await }
        });
        self.start_alerts(supervisor);
        if let Some(every) = jobs.pack_every {
            let store = Arc::clone(&self.store);
            supervisor.start("packing", move || packing::run(Arc::clone(&store), every));
        }
        if let Some(days) = jobs.keep_insights_days {
            let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
            supervisor.start("insight retention", move || {
                insight::remove_expired(Arc::clone(&store), Arc::clone(&clock), days)
            });
        }
        if let Some(keep) = jobs.keep_interactions {
            let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
            let histories = self.histories.clone();
            supervisor.start("interaction retention", move || {
                interaction_retention::run(
                    Arc::clone(&store),
                    histories.clone(),
                    Arc::clone(&clock),
                    keep.clone(),
                )
            });
        }
        if let Some(days) = jobs.keep_predictions_days {
            let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
            supervisor
                .start("retention", move || retention::run(Arc::clone(&store), Arc::clone(&clock), days));
        }
    }

    fn start_alerts(&self, supervisor: &mut Supervisor) {
        let alerts = self.alerts.clone();
        supervisor.start("alert feed", move || alerts.clone().follow());
        if !self.alerts.settings().rules.rules.is_empty() {
            let (alerts, insights, health) =
                (self.alerts.clone(), self.insights.clone(), self.monitoring_gauges.health());
            supervisor.start("alerts", move || alerts.clone().evaluate(insights.clone(), health.clone()));
        }
        if self.alerts.settings().webhook.is_some() {
            let alerts = self.alerts.clone();
            supervisor.start("alert deliveries", move || alerts.clone().deliver());
        }
    }

    fn grpc_services(&self) -> GrpcServices {
        let (page_tokens, clock) = (|| self.page_tokens.clone(), || Arc::clone(&self.clock));
        GrpcServices {
            customers: CustomerRpc {
                ingest: self.ingest.clone(),
                catalog: self.catalog.clone(),
                page_tokens: page_tokens(),
                audit: self.audit.clone(),
                clock: clock(),
            },
            interactions: InteractionRpc {
                ingest: self.ingest.clone(),
                deployment: self.deployment.clone(),
                page_tokens: page_tokens(),
                clock: clock(),
            },
            scoring: ScoringRpc {
                scoring: self.scoring.clone(),
                catalog: self.catalog.clone(),
                clock: clock(),
            },
            predictions: PredictionRpc {
                scoring: self.scoring.clone(),
                scored: self.scored.clone(),
                predictions: self.predictions.clone(),
                catalog: self.catalog.clone(),
                page_tokens: page_tokens(),
                clock: clock(),
            },
            models: ModelRpc {
                catalog: self.catalog.clone(),
                promotions: self.promotions.clone(),
                monitoring: self.monitoring.clone(),
                page_tokens: page_tokens(),
                clock: clock(),
            },
            insight: InsightRpc {
                insights: self.insights.clone(),
                jobs: self.job_list.clone(),
                alerts: self.alerts.clone(),
                audit: self.audit.clone(),
                page_tokens: page_tokens(),
                clock: clock(),
            },
            deployment: DeploymentRpc {
                deployment: self.deployment.clone(),
                store: Arc::clone(&self.store),
                audit: self.audit.clone(),
                page_tokens: page_tokens(),
                clock: clock(),
                settings: [self.insights.spec().to_string(), self.alerts.settings().rules.to_string()],
            },
            catalog: self.catalog.clone(),
            audit: self.audit.clone(),
            metrics: Arc::clone(&self.metrics),
        }
    }
}
