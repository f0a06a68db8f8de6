//! Stored predictions: listed and exported.

use std::sync::Arc;

use tally_store::{Prediction, PredictionCursor, PredictionFilter, Store};

use crate::{catalog::ModelCatalog, platform::error::Result};

/// Predictions that an export reads at a time.
const EXPORT_ROWS: usize = 1_000;

/// Reads stored predictions, replays them, and explains their changes.
#[derive(Clone)]
pub struct Predictions {
    pub(super) store: Arc<dyn Store>,
    pub(super) catalog: ModelCatalog,
}

impl Predictions {
    /// The predictions in `store`, made by the models of `catalog`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, catalog: ModelCatalog) -> Self {
        Self { store, catalog }
    }

    /// At most `limit` predictions behind `after`, in the filter's order.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list(
        &self,
        filter: &PredictionFilter,
        after: Option<PredictionCursor>,
        limit: usize,
    ) -> Result<Vec<Prediction>> {
        Ok(self.store.predictions(filter, after, limit).await?)
    }

    /// How many predictions pass the filter.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn count(&self, filter: &PredictionFilter) -> Result<u64> {
        Ok(self.store.count_predictions(filter).await?)
    }

    /// All predictions that pass the filter, in its order, in constant memory.
    #[must_use]
    pub fn export(&self, filter: PredictionFilter) -> PredictionExport {
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
        self.after = found.last().map(cursor);
        self.over = found.len() < EXPORT_ROWS;
        Ok(found)
    }
}

/// The place of a prediction in a list.
#[must_use]
pub fn cursor(prediction: &Prediction) -> PredictionCursor {
    PredictionCursor {
        probability: prediction.probability,
        score_time: prediction.score_time,
        prediction_id: prediction.prediction_id.clone(),
    }
}
