//! The population run: scores every eligible customer and stores the predictions, page by page, in
//! constant memory. While pages are stored, the next one is scored and the one after that is read.
//!
//! Customers who are not eligible any more leave the latest predictions. The caller may stop between pages; what is
//! stored until then stays. A run that reaches its end also stores how the population is distributed, for the drift of
//! the model.

use std::{collections::HashSet, sync::Arc};

use futures_util::{StreamExt, stream::FuturesOrdered};
use tally_model::{
    evaluation::drift::Counts,
    features::fold::Row,
    history::{
        History, Packed,
        activity::{Activity, Silence},
    },
    label::LabelDefinition,
    scoring::PreparedScore,
    time::Time,
};
use tally_store::{Prediction, ScoredPopulation};
use tokio::{sync::Notify, task::JoinHandle};
use tracing::{Instrument, Span};

use super::{ScoreRequest, ScoredCustomer, Scoring, into_prediction};
use crate::{
    histories::scan::{CustomerScan, Partition, par_chunks},
    ingest::backfills::BackfillWatch,
    platform::{
        blocking::run_blocking,
        error::{Error, Result},
    },
};

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PopulationProgress {
    /// Customers seen so far.
    pub done: u64,
    /// Customers in all; the same as `done` at the end.
    pub total: u64,
    /// Predictions stored so far.
    pub stored: u64,
}

/// Wakes those who wait for a population run to end. Clones share it.
#[derive(Clone, Default)]
pub struct PopulationScored(Arc<Notify>);

impl PopulationScored {
    /// Waits for the end of the next run.
    pub async fn wait(&self) {
        self.0.notified().await;
    }
}

/// Pages that are stored at the same time: storing one takes the database longer than scoring it.
const STORED_AT_ONCE: usize = 2;

/// A run through the customers of a partition.
pub struct Population {
    scoring: Scoring,
    backfills: Arc<BackfillWatch>,
    scored: PopulationScored,
    request: ScoreRequest,
    progress: PopulationProgress,
    counts: Counts,
    /// When the interactions that were known happened.
    activity: Activity,
    scan: CustomerScan,
    /// Whether the scan has more pages.
    more: bool,
    /// The pages that are being stored.
    storing: FuturesOrdered<JoinHandle<Result<StoredPage>>>,
    over: bool,
    span: Span,
}

struct StoredPage {
    customers: u64,
    predictions: u64,
}

#[derive(Default)]
struct ScoredPage {
    customers: u64,
    results: Vec<Result<Prediction>>,
    /// Customers without a score.
    ineligible: Vec<String>,
    /// Customers who are not eligible now.
    unlisted: HashSet<String>,
    counts: Vec<Counts>,
    activity: Vec<Activity>,
}

/// The scores of some customers, and what was known of them.
struct ScoredChunk {
    predictions: Vec<Prediction>,
    ineligible: Vec<String>,
    unlisted: Vec<String>,
    counts: Counts,
    activity: Activity,
}

impl Population {
    /// Begins a run, after the writes that were in flight when the request was made.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn start(
        scoring: &Scoring,
        scored: &PopulationScored,
        request: ScoreRequest,
        partition: Partition,
    ) -> Result<Self> {
        let backfills = Arc::new(scoring.barrier.backfills().watch());
        scoring.barrier.wait_for_in_flight().await;
        let total = scoring.store.count_customers().await?;
        let span = tracing::info_span!("population", model = %request.model.name, as_of = %request.as_of);
        Ok(Self {
            scoring: scoring.clone(),
            backfills,
            scored: scored.clone(),
            progress: PopulationProgress { total, ..PopulationProgress::default() },
            counts: Counts::new(&request.model.scorer.artifact().reference),
            activity: Activity::default(),
            request,
            scan: CustomerScan::new(Arc::clone(&scoring.store), partition),
            more: true,
            storing: FuturesOrdered::new(),
            over: false,
            span,
        })
    }

    /// Goes on until another page is stored. The last progress has `done = total`; None follows it.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next(&mut self) -> Result<Option<PopulationProgress>> {
        let span = self.span.clone();
        self.store_next().instrument(span).await
    }

    /// What makes the scores of a run that is over questionable, with its remedy; empty otherwise.
    #[must_use]
    pub fn warning(&self) -> String {
        let as_of = self.request.as_of;
        let Some(silence) = self.silence().filter(|_| self.over) else { return String::new() };
        let listed = if self.is_listed() { "" } else { "; the predictions are stored, but not listed" };
        format!("{}{listed}; {}", silence.message(as_of), silence.remedy())
    }

    /// Whether the scores can mean anything: not when what decides the outcome has not happened for as long as they
    /// look ahead, so that everybody looks gone.
    fn is_listed(&self) -> bool {
        let horizon_days = self.outcome().horizon_days;
        self.silence().is_none_or(|silence| silence.days <= i64::from(horizon_days))
    }

    fn silence(&self) -> Option<Silence> {
        self.activity.silence(self.request.as_of, self.outcome().decided_by())
    }

    fn outcome(&self) -> &LabelDefinition {
        &self.request.model.scorer.artifact().outcome
    }

    async fn store_next(&mut self) -> Result<Option<PopulationProgress>> {
        if self.over {
            return Ok(None);
        }
        while self.more && self.storing.len() < STORED_AT_ONCE {
            self.begin_page().await?;
        }
        if let Some(stored) = self.storing.next().await {
            let stored =
                stored.map_err(|error| Error::Internal(format!("storing a page panicked: {error}")))??;
            self.progress.stored += stored.predictions;
            self.progress.done += stored.customers;
            self.progress.total = self.progress.total.max(self.progress.done);
            return Ok(Some(self.progress));
        }
        // Customers may have been erased since they were counted.
        self.progress.total = self.progress.done;
        self.finish().await?;
        self.over = true;
        Ok(Some(self.progress))
    }

    /// Scores a page and begins to store it.
    async fn begin_page(&mut self) -> Result<()> {
        let Some(page) = self.score_page().await? else {
            self.more = false;
            return Ok(());
        };
        let ScoredPage { customers, results, ineligible, unlisted, counts, activity } = page;
        counts.iter().for_each(|counts| self.counts.merge(counts));
        activity.iter().for_each(|activity| self.activity.merge(activity));
        let (scoring, backfills) = (self.scoring.clone(), Arc::clone(&self.backfills));
        let request = self.request.clone();
        let store = async move {
            let target = request.model.name.target;
            let gone: Vec<String> = unlisted.iter().cloned().collect();
            let stored = scoring.store_scores(results, (&request, unlisted), &backfills).await?;
            // Who is not eligible now leaves the list also when it holds a prediction about a later moment.
            for (until, ids) in [(request.as_of, ineligible), (Time::MAX, gone)] {
                if !ids.is_empty() {
                    scoring.store.forget_latest(target, until, ids).await?;
                }
            }
            Ok(StoredPage { customers, predictions: stored.iter().flatten().count() as u64 })
        };
        self.storing.push_back(tokio::spawn(store.in_current_span()));
        Ok(())
    }

    /// Scores the next page, on all cores.
    async fn score_page(&mut self) -> Result<Option<ScoredPage>> {
        let Some(page) = self.scan.next().await? else { return Ok(None) };
        let (request, now) = (self.request.clone(), self.scoring.clock.now());
        let scored = run_blocking(move || {
            let parts = par_chunks(&page.histories, |customers| request.score_all(customers, now));
            let parts = parts.into_iter().collect::<Result<Vec<_>>>()?;
            let mut scored = ScoredPage { customers: page.customers, ..ScoredPage::default() };
            for ScoredChunk { predictions, ineligible, unlisted, counts, activity } in parts {
                scored.results.extend(predictions.into_iter().map(Ok));
                scored.ineligible.extend(ineligible);
                scored.unlisted.extend(unlisted);
                scored.counts.push(counts);
                scored.activity.push(activity);
            }
            Ok(Some(scored))
        });
        scored.await?
    }

    async fn finish(&self) -> Result<()> {
        let name = self.request.model.name;
        let population = ScoredPopulation {
            target: name.target,
            model_version: name.version,
            as_of: self.request.as_of,
            score_time: self.scoring.clock.now(),
            counts: self.counts.clone(),
        };
        if !self.is_listed() {
            self.scoring.store.forget_run(name.target, self.request.as_of).await?;
        }
        self.scoring.store.insert_population(population).await?;
        self.scored.0.notify_one();
        Ok(())
    }
}

impl ScoreRequest {
    /// The scores of the customers that are eligible and were known at `as_of`, and who is eligible `now`.
    fn score_all(&self, customers: &[(String, Packed)], now: Time) -> Result<ScoredChunk> {
        let scorer = &self.model.scorer;
        let reference = &scorer.artifact().reference;
        let mut counts = Counts::new(reference);
        let mut activity = Activity::default();
        let mut predictions = Vec::with_capacity(customers.len());
        let (mut ineligible, mut unlisted) = (Vec::new(), Vec::new());
        let (mut row, mut prepared) = (Row::default(), PreparedScore::default());
        for (id, history) in customers {
            history.with(|history| {
                activity.add(history, self.as_of, self.known_at);
                if !self.may_be_listed(history, now) {
                    unlisted.push(id.clone());
                }
                if was_known(history, self)
                    && scorer.row(history, self.as_of, self.known_at, &mut row).is_ok()
                {
                    scorer.prepare(&row, self.max_reasons, &mut prepared);
                    scorer.with_view(&prepared, self.as_of, self.max_reasons, |view| {
                        counts.add(reference, &row.raw, view.probability);
                        let customer_id = id.clone();
                        predictions.push(into_prediction(ScoredCustomer {
                            customer_id,
                            request: self,
                            view,
                        }));
                    });
                } else {
                    ineligible.push(id.clone());
                }
            })?;
        }
        Ok(ScoredChunk { predictions, ineligible, unlisted, counts, activity })
    }
}

/// Whether anything was known of the customer at the moment of the request.
pub(crate) fn was_known(history: &History, request: &ScoreRequest) -> bool {
    let known: Option<Time> = history.create_time(request.as_of, request.known_at);
    known.is_some_and(|create_time| create_time <= request.as_of)
}
