//! Exports of all that is stored of one customer.

use std::sync::Arc;

use serde_json::{Map, Value};
use tally_model::spec::Target;
use tally_store::{
    Alert, AlertFilter, Customer, ExportTable, InteractionCursor, ListedInteraction, Prediction,
    PredictionCursor, PredictionFilter, PredictionOrder, Store,
};

use super::Ingest;
use crate::platform::error::{Error, Result};

/// Rows that are read at a time.
const ROWS: usize = 500;

/// Some rows of an export, of one kind.
pub enum ExportPart {
    /// The customer.
    Customer(Box<Customer>),
    /// Interactions that count.
    Interactions(Vec<ListedInteraction>),
    /// Predictions.
    Predictions(Vec<Prediction>),
    /// Alerts.
    Alerts(Vec<Alert>),
    /// Rows of a table, columns by name.
    Rows(ExportTable, Vec<Map<String, Value>>),
}

/// What is read next of an id.
#[derive(Clone)]
enum Place {
    Interactions(Option<InteractionCursor>),
    Predictions(Target, Option<PredictionCursor>),
    Alerts(Option<i64>),
    Rows(usize, usize),
}

/// An export, read in parts of a limited size. It is no snapshot: what is written meanwhile may be in it or not.
pub struct CustomerExport {
    store: Arc<dyn Store>,
    customer: Option<Box<Customer>>,
    /// The ids that are still to be read, the next one last.
    ids: Vec<String>,
    place: Place,
}

impl Ingest {
    /// Begins the export of a customer and all ids that are merged into it.
    ///
    /// # Errors
    /// NOT_FOUND when it is not stored; when the store fails.
    pub async fn export_customer(&self, customer_id: &str) -> Result<CustomerExport> {
        let customer = self.customer(customer_id).await?;
        let mut ids = customer.merged_customer_ids.clone();
        ids.reverse();
        ids.push(customer.customer_id.clone());
        let customer = Some(Box::new(customer));
        Ok(CustomerExport { store: Arc::clone(&self.store), customer, ids, place: Place::first() })
    }
}

impl Place {
    const fn first() -> Self {
        Self::Interactions(None)
    }
}

impl CustomerExport {
    /// The next part; None after the last.
    ///
    /// # Errors
    /// NOT_FOUND when the customer was erased meanwhile; when the store fails.
    pub async fn next(&mut self) -> Result<Option<ExportPart>> {
        if let Some(customer) = self.customer.take() {
            return Ok(Some(ExportPart::Customer(customer)));
        }
        while let Some(id) = self.ids.last().cloned() {
            let (part, next) = match self.place.clone() {
                Place::Interactions(after) => self.interactions(&id, after).await?,
                Place::Predictions(target, after) => self.predictions(&id, target, after).await?,
                Place::Alerts(before) => self.alerts(&id, before).await?,
                Place::Rows(table, offset) => self.rows(&id, table, offset).await?,
            };
            match next {
                Some(next) => self.place = next,
                None => {
                    // An export that is cut off must not look complete.
                    if self.store.customer(&id).await?.is_none() {
                        return Err(Error::unknown_customer(&id));
                    }
                    self.ids.pop();
                    self.place = Place::first();
                }
            }
            if part.is_some() {
                return Ok(part);
            }
        }
        Ok(None)
    }

    async fn interactions(&self, id: &str, after: Option<InteractionCursor>) -> Result<Step> {
        let found = self.store.interactions(id, after, ROWS, false).await?;
        let next = match found.last().filter(|_| found.len() == ROWS) {
            Some(last) => Place::Interactions(Some(InteractionCursor::new(last))),
            None => Place::Predictions(Target::ALL[0], None),
        };
        Ok(step(found, ExportPart::Interactions, Some(next)))
    }

    async fn predictions(&self, id: &str, target: Target, after: Option<PredictionCursor>) -> Result<Step> {
        let filter = of_customer(id, target);
        let found = self.store.predictions(&filter, after, ROWS).await?;
        let next = match found.last().filter(|_| found.len() == ROWS) {
            Some((_, place)) => Place::Predictions(target, Some(place.clone())),
            None => match Target::ALL.into_iter().skip_while(|own| *own != target).nth(1) {
                Some(other) => Place::Predictions(other, None),
                None => Place::Alerts(None),
            },
        };
        let found = found.into_iter().map(|(prediction, _)| prediction).collect();
        Ok(step(found, ExportPart::Predictions, Some(next)))
    }

    async fn alerts(&self, id: &str, before: Option<i64>) -> Result<Step> {
        let filter = AlertFilter { customer_id: Some(id.to_owned()), ..AlertFilter::default() };
        let found = self.store.alerts(&filter, before, ROWS).await?;
        let next = match found.last().filter(|_| found.len() == ROWS) {
            Some(last) => Place::Alerts(Some(last.sequence)),
            None => Place::Rows(0, 0),
        };
        Ok(step(found, ExportPart::Alerts, Some(next)))
    }

    async fn rows(&self, id: &str, table: usize, offset: usize) -> Result<Step> {
        let Some(of) = ExportTable::ALL.get(table).copied() else { return Ok((None, None)) };
        let found = self.store.export_rows(of, id, offset, ROWS).await?;
        let next = match found.len() {
            ROWS => Place::Rows(table, offset + ROWS),
            _ => Place::Rows(table + 1, 0),
        };
        Ok(step(found, |rows| ExportPart::Rows(of, rows), Some(next)))
    }
}

/// A part, if there is one, and what is read after it.
type Step = (Option<ExportPart>, Option<Place>);

fn step<T>(found: Vec<T>, part: impl FnOnce(Vec<T>) -> ExportPart, next: Option<Place>) -> Step {
    ((!found.is_empty()).then(|| part(found)), next)
}

/// All predictions of an id.
fn of_customer(id: &str, target: Target) -> PredictionFilter {
    PredictionFilter {
        customer_id: Some(id.to_owned()),
        latest_only: false,
        order: PredictionOrder::ScoreTime,
        ..PredictionFilter::latest(target)
    }
}
