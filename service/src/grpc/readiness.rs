//! Readiness: the health service reports every service as SERVING while the store answers, and
//! ScoringService only while a model serves, too.

use std::{sync::Mutex, time::Duration};

use tally_proto::v1::{
    customer_service_server::CustomerServiceServer, deployment_service_server::DeploymentServiceServer,
    insight_service_server::InsightServiceServer, interaction_service_server::InteractionServiceServer,
    model_service_server::ModelServiceServer, prediction_service_server::PredictionServiceServer,
    scoring_service_server::ScoringServiceServer,
};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::server::NamedService;
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{
    customers::CustomerRpc, deployment::DeploymentRpc, insight::InsightRpc, interactions::InteractionRpc,
    models::ModelRpc, predictions::PredictionRpc, scoring::ScoringRpc,
};
use crate::{catalog::ModelCatalog, platform::readiness::STORE_ANSWERS_WITHIN};

/// How often the store is asked for new champions: well within the promised 5 seconds.
const REFRESH_EVERY: Duration = Duration::from_secs(1);

const SCORING: &str = ScoringServiceServer::<ScoringRpc>::NAME;
/// The names that health knows: one a service, and "" for the server.
const NAMES: [&str; 8] = [
    "",
    CustomerServiceServer::<CustomerRpc>::NAME,
    InteractionServiceServer::<InteractionRpc>::NAME,
    PredictionServiceServer::<PredictionRpc>::NAME,
    ModelServiceServer::<ModelRpc>::NAME,
    InsightServiceServer::<InsightRpc>::NAME,
    DeploymentServiceServer::<DeploymentRpc>::NAME,
    SCORING,
];

/// Keeps the health service up to date.
pub(super) struct Readiness {
    catalog: ModelCatalog,
    health: HealthReporter,
    /// What was reported last (store, scoring), so that watchers hear of changes only.
    reported: Mutex<Option<(bool, bool)>>,
}

impl Readiness {
    pub(super) const fn new(catalog: ModelCatalog, health: HealthReporter) -> Self {
        Self { catalog, health, reported: Mutex::new(None) }
    }

    /// Refreshes until it is cancelled.
    pub(super) async fn run(&self) {
        let mut ticks = interval(REFRESH_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.refresh().await;
        }
    }

    /// Loads new champions, which also shows whether the store answers, and reports.
    pub(super) async fn refresh(&self) {
        let store = match timeout(STORE_ANSWERS_WITHIN, self.catalog.refresh()).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                tracing::warn!(%error, "the store does not answer");
                false
            }
            Err(_) => {
                tracing::warn!("the store does not answer within {STORE_ANSWERS_WITHIN:?}");
                false
            }
        };
        self.report(store, store && self.catalog.has_champion()).await;
    }

    /// Reports every service as NOT_SERVING.
    pub(super) async fn report_shutdown(&self) {
        self.report(false, false).await;
    }

    async fn report(&self, store: bool, scoring: bool) {
        let report = Some((store, scoring));
        let before = std::mem::replace(
            &mut *self.reported.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
            report,
        );
        if before == report {
            return;
        }
        for name in NAMES {
            let ready = if name == SCORING { scoring } else { store };
            let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
            self.health.set_service_status(name, status).await;
        }
    }
}
