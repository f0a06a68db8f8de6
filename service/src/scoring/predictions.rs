//! Stored predictions: listed and exported.

use std::{borrow::Cow, sync::Arc};

use tally_model::{insight::Segmentation, spec::Target, time::Time};
use tally_store::{Prediction, PredictionCursor, PredictionFilter, Store};

use crate::{
    catalog::{ModelCatalog, ModelName},
    histories::Histories,
    platform::error::{Error, Result},
};

/// Predictions that an export reads at a time.
const EXPORT_ROWS: usize = 1_000;

/// Moments that are named when there is no prediction about one.
const KNOWN_RUNS: usize = 5;

/// Reads stored predictions, replays them, and explains their changes.
#[derive(Clone)]
pub struct Predictions {
    pub(super) store: Arc<dyn Store>,
    pub(super) catalog: ModelCatalog,
    histories: Histories,
}

impl Predictions {
    /// The predictions in `store`, made by the models of `catalog`; `histories` knows which ids are merged.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, catalog: ModelCatalog, histories: Histories) -> Self {
        Self { store, catalog, histories }
    }

    /// The filter, with the customer that a merged id is in its place.
    fn resolved<'a>(&self, filter: &'a PredictionFilter) -> Cow<'a, PredictionFilter> {
        match filter.customer_id.as_ref().and_then(|id| self.histories.merges().of(id)) {
            None => Cow::Borrowed(filter),
            survivor => Cow::Owned(PredictionFilter { customer_id: survivor, ..filter.clone() }),
        }
    }

    /// Checks that what the filter names exists: without it, a misspelt name would look like one without predictions.
    ///
    /// # Errors
    /// NOT_FOUND when the customer (CUSTOMER_NOT_FOUND) or the model (MODEL_NOT_FOUND) is not stored, or no prediction is
    /// about the moment (RUN_NOT_FOUND); FAILED_PRECONDITION (NO_INSIGHTS) when there is no pass to filter by;
    /// INVALID_ARGUMENT when that has no such RFM segment; when the store fails.
    pub async fn check_names(&self, filter: &PredictionFilter) -> Result<()> {
        if let Some(customer_id) = &filter.customer_id
            && self.store.customer(customer_id).await?.is_none()
        {
            return Err(Error::unknown_customer(customer_id));
        }
        if let Some(version) = filter.model_version {
            self.catalog.stored(ModelName { target: filter.target, version }).await?;
        }
        if filter.needs_insights() {
            self.check_insights(filter).await?;
        }
        match filter.as_of {
            Some(as_of) if !self.store.has_predictions_about(filter.target, as_of).await? => {
                Err(self.unknown_run(filter.target, as_of).await?)
            }
            _ => Ok(()),
        }
    }

    /// Checks that there is a pass that the filter can go by, and that it has the RFM segments.
    async fn check_insights(&self, filter: &PredictionFilter) -> Result<()> {
        let Some(pass) = self.store.latest_pass(Time::MAX).await? else {
            return Err(Error::Precondition {
                reason: "NO_INSIGHTS",
                message:
                    "there are no insights to filter or order by yet; make them with `tally insights refresh`"
                        .to_owned(),
            });
        };
        let known = Segmentation::Rfm.segments(&pass.population).unwrap_or_default();
        match filter.insights.rfm_segments.iter().find(|name| !known.contains(name)) {
            Some(name) => {
                Err(Error::invalid("rfm_segments", format!("has `{name}`; allowed are {}", known.join(", "))))
            }
            None => Ok(()),
        }
    }

    async fn unknown_run(&self, target: Target, as_of: Time) -> Result<Error> {
        let times = self.store.prediction_times(target, KNOWN_RUNS).await?;
        let known = match times.as_slice() {
            [] => "none is stored".to_owned(),
            times => {
                let times: Vec<String> = times.iter().map(Time::to_string).collect();
                format!("the latest ones are about {}", times.join(", "))
            }
        };
        let message = format!("no {target} prediction is about {as_of}; {known}");
        let about = vec![("target", target.to_string()), ("as_of_time", as_of.to_string())];
        Ok(Error::NotFound { reason: "RUN_NOT_FOUND", about, message })
    }

    /// At most `limit` predictions behind `after`, in the filter's order, each with its place in the list.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(
        &self,
        filter: &PredictionFilter,
        after: Option<PredictionCursor>,
        limit: usize,
    ) -> Result<Vec<(Prediction, PredictionCursor)>> {
        Ok(self.store.predictions(&self.resolved(filter), after, limit).await?)
    }

    /// How many predictions pass the filter.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn count(&self, filter: &PredictionFilter) -> Result<u64> {
        Ok(self.store.count_predictions(&self.resolved(filter)).await?)
    }

    /// All predictions that pass the filter, in its order, in constant memory.
    #[must_use]
    pub fn export(&self, filter: &PredictionFilter) -> PredictionExport {
        let filter = self.resolved(filter).into_owned();
        PredictionExport { store: Arc::clone(&self.store), filter, after: None, over: false }
    }
}

/// The predictions of an export, read in pages. No prediction appears twice, but the export is no
/// snapshot: a customer that is scored again while it runs may appear with both scores, or with neither.
pub struct PredictionExport {
    store: Arc<dyn Store>,
    filter: PredictionFilter,
    after: Option<PredictionCursor>,
    over: bool,
}

impl PredictionExport {
    /// The next predictions; empty after the last.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next(&mut self) -> Result<Vec<Prediction>> {
        if self.over {
            return Ok(Vec::new());
        }
        let found = self.store.predictions(&self.filter, self.after.take(), EXPORT_ROWS).await?;
        self.after = found.last().map(|(_, place)| place.clone());
        self.over = found.len() < EXPORT_ROWS;
        Ok(found.into_iter().map(|(prediction, _)| prediction).collect())
    }
}
