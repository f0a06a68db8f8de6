//! Insight: the facts of customers, their segments, key figures and reports, computed from stored interactions.

mod affinities;
mod alerts;
mod campaigns;
mod cohorts;
mod customer;
mod forecast;
mod kpis;
mod pass;
mod passes;
mod sales;
mod segment_cache;
mod segments;
mod value;
mod worklist;

use std::sync::Arc;

use tally_model::{insight::InsightSpec, time::Time};
use tally_proto::limits::REPORT_ROWS as ROWS;
use tally_store::Store;
use tokio::sync::{Mutex, Semaphore};

use crate::{
    catalog::ModelCatalog,
    histories::Histories,
    platform::{
        clock::Clock,
        error::{Error, Result},
    },
    scoring::{PopulationScored, Scoring},
};

use affinities::IndexCache;
pub use alerts::{AlertSettings, Alerts, Webhook};
pub use campaigns::CampaignLine;
pub use cohorts::CohortLine;
pub use customer::CustomerInsight;
pub use forecast::{ForecastBacktest, ForecastReport};
pub use kpis::{KpiReport, KpiRequest, KpiRow};
pub use pass::{InsightPass, PassProgress, PassPurpose};
pub use passes::remove_expired;
pub use sales::{SalesLine, SalesReport, SalesRequest};
use segment_cache::SegmentCache;
pub use segments::{AttributeCoverage, Segments, ValuedMember, segment_growth};
pub use value::{Backtest, BacktestSums, ValueReport};
use worklist::CountCache;
pub use worklist::{EffectLine, HandedOut, ListedWork, Worklist, WorklistCursor, WorklistRequest};

/// Reports that are computed at a time: more could take all connections from those who score and write.
const REPORTS: usize = 2;

/// Answers what is asked about customers. Clones share everything.
#[derive(Clone)]
pub struct Insights {
    pub(super) store: Arc<dyn Store>,
    pub(super) catalog: ModelCatalog,
    pub(super) histories: Histories,
    pub(super) scoring: Scoring,
    pub(super) clock: Arc<Clock>,
    pub(super) spec: Arc<InsightSpec>,
    scored: PopulationScored,
    /// Held while a pass is made: one at a time.
    making: Arc<Mutex<()>>,
    /// Held while affinities are computed: those of one property at a time.
    affinities: Arc<Mutex<()>>,
    /// The affinities that were looked up last.
    affinity_index: Arc<IndexCache>,
    /// The sums of segments that were asked for.
    sums: Arc<SegmentCache>,
    /// How many customers need which kinds of work.
    work_counts: Arc<CountCache>,
    /// A permit for each report that is computed.
    reports: Arc<Semaphore>,
}

impl Insights {
    /// Answers from `store` and the histories, with the champions of `catalog`, by the definitions of `spec`; `scored`
    /// wakes up when a pass has scored all customers.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        (catalog, histories): (ModelCatalog, Histories),
        (scoring, scored): (Scoring, PopulationScored),
        clock: Arc<Clock>,
        spec: InsightSpec,
    ) -> Self {
        Self {
            store,
            catalog,
            histories,
            scoring,
            clock,
            spec: Arc::new(spec),
            scored,
            making: Arc::default(),
            affinities: Arc::default(),
            affinity_index: Arc::default(),
            sums: Arc::default(),
            work_counts: Arc::default(),
            reports: Arc::new(Semaphore::new(REPORTS)),
        }
    }

    /// The definitions by which this server computes.
    #[must_use]
    pub fn spec(&self) -> &InsightSpec {
        &self.spec
    }

    /// The same for work that lasts, see [`Store::patient`].
    fn patient(&self) -> Self {
        Self { store: self.store.patient(), scoring: self.scoring.patient(), ..self.clone() }
    }

    /// Computes a report, when fewer than the most that may be are being computed.
    ///
    /// # Errors
    /// What the work returns.
    pub async fn report<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let permit = self.reports.acquire().await;
        let _permit = permit.map_err(|error| Error::Internal(format!("a report: {error}")))?;
        work.await
    }

    /// When the first purchase happened; None before there is one.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn first_purchase(&self) -> Result<Option<Time>> {
        Ok(self.store.first_purchase_time().await?)
    }
}

/// A ratio; None when it is not defined.
fn ratio(numerator: i64, denominator: i64) -> Option<f64> {
    (denominator != 0).then(|| numerator as f64 / denominator as f64)
}
