//! Stored predictions: listed and exported.

use std::{borrow::Cow, sync::Arc};

use tally_model::{insight::Segmentation, spec::Target, time::Time};
use tally_store::{Pass, Prediction, PredictionCursor, PredictionFilter, Store};

use crate::{
    catalog::{ModelCatalog, ModelName},
    histories::Histories,
    platform::{
        clock::Clock,
        error::{Error, Result, Shortened},
    },
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
    clock: Arc<Clock>,
}

impl Predictions {
    /// The predictions in `store`, made by the models of `catalog`; `histories` knows which ids are merged.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        catalog: ModelCatalog,
        histories: Histories,
        clock: Arc<Clock>,
    ) -> Self {
        Self { store, catalog, histories, clock }
    }

    /// The filter, with the customer that a merged id is in its place.
    fn resolved<'a>(&self, filter: &'a PredictionFilter) -> Cow<'a, PredictionFilter> {
        match filter.customer_id.as_ref().and_then(|id| self.histories.merges().of(id)) {
            None => Cow::Borrowed(filter),
            survivor => Cow::Owned(PredictionFilter { customer_id: survivor, ..filter.clone() }),
        }
    }

    /// Checks that what the filter names exists: without it, a misspelt name would look like one without predictions.
    /// Returns the filter with the pass of insights that it follows, if it needs one: that of the pages before `after`,
    /// or the latest one.
    ///
    /// # Errors
    /// NOT_FOUND when the customer (CUSTOMER_NOT_FOUND) or the model (MODEL_NOT_FOUND) is not stored, or no prediction is
    /// about the moment (RUN_NOT_FOUND); FAILED_PRECONDITION (NO_INSIGHTS) when there is no pass to filter by; ABORTED
    /// when that of the pages before is gone; INVALID_ARGUMENT when it has no such RFM segment; when the store fails.
    pub async fn checked(
        &self,
        filter: &PredictionFilter,
        after: Option<&PredictionCursor>,
    ) -> Result<PredictionFilter> {
        if let Some(customer_id) = &filter.customer_id
            && self.store.customer(customer_id).await?.is_none()
        {
            return Err(Error::unknown_customer(customer_id));
        }
        if let Some(version) = filter.model_version {
            self.catalog.stored(ModelName { target: filter.target, version }).await?;
        }
        let mut checked = filter.clone();
        if filter.needs_insights() {
            let pass = self.pass(after.and_then(|after| after.pass_id)).await?;
            check_segments(filter, &pass)?;
            checked.pass_id = Some(pass.pass_id);
        }
        match filter.as_of {
            Some(as_of) if !self.store.has_predictions_about(filter.target, as_of).await? => {
                Err(self.unknown_run(filter.target, as_of).await?)
            }
            _ => Ok(checked),
        }
    }

    /// The pass that the pages before follow, or the latest one.
    async fn pass(&self, of_pages: Option<i64>) -> Result<Pass> {
        match of_pages {
            Some(pass_id) => self.store.pass(pass_id).await?.ok_or_else(Error::pass_is_gone),
            None => self.store.latest_pass(self.clock.now()).await?.ok_or_else(|| Error::Precondition {
                reason: "NO_INSIGHTS",
                message:
                    "there are no insights to filter or order by yet; make them with `tally insights refresh`"
                        .to_owned(),
            }),
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

/// Checks that the pass has the RFM segments of the filter.
fn check_segments(filter: &PredictionFilter, pass: &Pass) -> Result<()> {
    let known = Segmentation::Rfm.segments(&pass.population).unwrap_or_default();
    match filter.insights.rfm_segments.iter().find(|name| !known.contains(name)) {
        Some(name) => Err(Error::invalid(
            "rfm_segments",
            format!("has `{}`; allowed are {}", Shortened(name), known.join(", ")),
        )),
        None => Ok(()),
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
    /// ABORTED when the pass of insights that it follows is gone; when the store fails.
    pub async fn next(&mut self) -> Result<Vec<Prediction>> {
        if self.over {
            return Ok(Vec::new());
        }
        let found = self.store.predictions(&self.filter, self.after.take(), EXPORT_ROWS).await?;
        // Had some of its facts been removed before they were read, their customers would be missing.
        if let Some(pass_id) = self.filter.pass_id
            && self.store.pass(pass_id).await?.is_none()
        {
            return Err(Error::pass_is_gone());
        }
        self.after = found.last().map(|(_, place)| place.clone());
        self.over = found.len() < EXPORT_ROWS;
        Ok(found.into_iter().map(|(prediction, _)| prediction).collect())
    }
}
