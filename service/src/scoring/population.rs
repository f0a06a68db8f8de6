//! The population run: scores every eligible customer and stores the predictions, page by page, in
//! constant memory. While pages are stored, the next one is scored and the one after that is read.
//!
//! Customers who are not eligible any more leave the latest predictions. The caller may stop between pages; what is
//! stored until then stays, until a run about the same takes its place. A run that reaches its end also stores how the population is distributed, for the drift of
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
    insight::{Cause, CauseSums, FeatureCauses},
    label::LabelDefinition,
    scoring::PreparedScore,
    time::Time,
};
use tally_store::{Prediction, ScoredPopulation, ScoringRun, StoredScore};
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

/// Reasons that are stored with a prediction of the population.
pub(crate) const STORED_REASONS: usize = 3;

/// Pages that are stored at the same time: storing one takes the database longer than scoring it.
pub(crate) const STORED_AT_ONCE: usize = 2;

/// A run through the customers of a partition.
pub struct Population {
    run: ModelRun,
    scored: PopulationScored,
    progress: PopulationProgress,
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
        let span = tracing::info_span!("population", model = %request.model.name, as_of = %request.as_of);
        let scoring = &scoring.patient();
        let run = ModelRun::new(scoring, request, partition);
        run.begin().await?;
        scoring.barrier.wait_for_in_flight().await;
        let total = scoring.store.count_customers().await?;
        Ok(Self {
            run,
            scored: scored.clone(),
            progress: PopulationProgress { total, ..PopulationProgress::default() },
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
        if self.over { self.run.warning() } else { String::new() }
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
        self.run.finish(&self.scored).await?;
        self.over = true;
        Ok(Some(self.progress))
    }

    /// Scores a page and begins to store it.
    async fn begin_page(&mut self) -> Result<()> {
        let Some(page) = self.scan.next().await? else {
            self.more = false;
            return Ok(());
        };
        let (request, now) = (self.run.request.clone(), self.run.scoring.clock.now());
        let customers = page.customers;
        let scored = run_blocking(move || {
            let score = |customers: &[(String, Packed)]| {
                let mut chunk = ScoredChunk::new(&request);
                for (id, history) in customers {
                    history.with(|history| chunk.add(&request, id, history, now))?;
                }
                Ok(chunk)
            };
            par_chunks(&page.histories, score).into_iter().collect::<Result<Vec<_>>>()
        });
        let store = self.run.store(scored.await??);
        let store = async move { Ok(StoredPage { customers, predictions: store.await? }) };
        self.storing.push_back(tokio::spawn(store.in_current_span()));
        Ok(())
    }
}

/// What one model makes of all customers, page by page.
pub(crate) struct ModelRun {
    scoring: Scoring,
    backfills: Arc<BackfillWatch>,
    pub(crate) request: ScoreRequest,
    partition: Partition,
    /// When it began.
    score_time: Time,
    counts: Counts,
    /// When the interactions that were known happened.
    activity: Activity,
}

impl ModelRun {
    /// A run to be made after the writes that are in flight now.
    pub(crate) fn new(scoring: &Scoring, request: ScoreRequest, partition: Partition) -> Self {
        Self {
            scoring: scoring.clone(),
            backfills: Arc::new(scoring.barrier.backfills().watch()),
            counts: Counts::new(&request.model.scorer.artifact().reference),
            activity: Activity::default(),
            partition,
            score_time: scoring.clock.now(),
            request,
        }
    }

    /// Notes the run, before anything of it is stored, so that it can be repeated if it is interrupted.
    pub(crate) async fn begin(&self) -> Result<()> {
        Ok(self.scoring.store.begin_scoring(self.noted()).await?)
    }

    fn noted(&self) -> ScoringRun {
        let name = self.request.model.name;
        ScoringRun {
            target: name.target,
            model_version: name.version,
            as_of: self.request.as_of,
            score_time: self.score_time,
            partition: (self.partition.number, self.partition.of),
        }
    }

    /// Notes what was known of customers whose scores are not stored.
    pub(crate) fn observe(&mut self, scored: &[ScoredChunk]) {
        scored.iter().for_each(|chunk| self.activity.merge(&chunk.activity));
    }

    /// Counts the scores of a page, and stores them when the future runs, which returns their number.
    pub(crate) fn store(
        &mut self,
        chunks: Vec<ScoredChunk>,
    ) -> impl Future<Output = Result<u64>> + Send + use<> {
        let (mut results, mut ineligible, mut unlisted) = (Vec::new(), Vec::new(), HashSet::new());
        for chunk in chunks {
            self.counts.merge(&chunk.counts);
            self.activity.merge(&chunk.activity);
            results.extend(chunk.predictions.into_iter().map(Ok));
            ineligible.extend(chunk.ineligible);
            unlisted.extend(chunk.unlisted);
        }
        let (scoring, backfills) = (self.scoring.clone(), Arc::clone(&self.backfills));
        let (request, score_time) = (self.request.clone(), self.score_time);
        async move {
            let target = request.model.name.target;
            let gone: Vec<String> = unlisted.iter().cloned().collect();
            let stored = scoring.store_scores(results, (&request, unlisted, score_time), &backfills).await?;
            // Who is not eligible now leaves the list also when it holds a prediction about a later moment.
            for (until, ids) in [(request.as_of, ineligible), (Time::MAX, gone)] {
                if !ids.is_empty() {
                    scoring.store.forget_latest(target, until, ids).await?;
                }
            }
            Ok(stored.iter().flatten().count() as u64)
        }
    }

    /// Stores how the population is distributed, after the last page, and removes what an interrupted run about the same
    /// has left.
    pub(crate) async fn finish(&self, scored: &PopulationScored) -> Result<()> {
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
        self.scoring.store.end_scoring(self.noted()).await?;
        self.scoring.store.insert_population(population).await?;
        scored.0.notify_one();
        Ok(())
    }

    /// What makes the scores questionable, after the last page, with its remedy; empty otherwise.
    pub(crate) fn warning(&self) -> String {
        let listed = if self.is_listed() { "" } else { "; the predictions are stored, but not listed" };
        self.silence().map(|silence| self.silence_with(&silence, listed)).unwrap_or_default()
    }

    /// That the data stop long before the moment, after the last page, with the remedy.
    pub(crate) fn silence_text(&self) -> Option<String> {
        Some(self.silence_with(&self.silence()?, ""))
    }

    fn silence_with(&self, silence: &Silence, listed: &str) -> String {
        format!("{}{listed}; {}", silence.message(self.request.as_of), silence.remedy())
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
}

/// The scores of some customers by one model, and what was known of them.
pub(crate) struct ScoredChunk {
    predictions: Vec<Prediction>,
    /// Customers without a score.
    ineligible: Vec<String>,
    /// Customers who are not eligible now.
    unlisted: Vec<String>,
    counts: Counts,
    activity: Activity,
    row: Row,
    prepared: PreparedScore,
    causes: Option<Arc<FeatureCauses>>,
}

/// What a model says of a customer.
#[derive(Clone, Copy)]
pub(crate) struct Scored {
    pub(crate) score: StoredScore,
    /// Why the customer may leave, where it was asked for.
    pub(crate) cause: Option<Cause>,
}

impl ScoredChunk {
    pub(crate) fn new(request: &ScoreRequest) -> Self {
        Self {
            predictions: Vec::new(),
            ineligible: Vec::new(),
            unlisted: Vec::new(),
            counts: Counts::new(&request.model.scorer.artifact().reference),
            activity: Activity::default(),
            row: Row::default(),
            prepared: PreparedScore::default(),
            causes: None,
        }
    }

    /// The same, which also finds the cause of each score by those of the features.
    pub(crate) fn with_causes(request: &ScoreRequest, causes: Option<&Arc<FeatureCauses>>) -> Self {
        Self { causes: causes.cloned(), ..Self::new(request) }
    }

    /// Scores a customer if it is eligible and was known at the moment of the request, and notes whether it is
    /// eligible `now`. Returns its probability and grade.
    pub(crate) fn add(
        &mut self,
        request: &ScoreRequest,
        id: &str,
        history: &History,
        now: Time,
    ) -> Option<Scored> {
        let scorer = &request.model.scorer;
        self.activity.add(history, request.as_of, request.known_at);
        if !request.may_be_listed(history, now) {
            self.unlisted.push(id.to_owned());
        }
        let is_scored = was_known(history, request)
            && scorer.row(history, request.as_of, request.known_at, &mut self.row).is_ok();
        if !is_scored {
            self.ineligible.push(id.to_owned());
            return None;
        }
        let mut sums = self.causes.as_deref().map(|causes| CauseSums::new(causes, &self.row.raw));
        match &mut sums {
            None => scorer.prepare(&self.row, request.max_reasons, &mut self.prepared),
            Some(sums) => {
                let add = |feature, log_odds| sums.add(feature, log_odds);
                scorer.prepare_with(&self.row, request.max_reasons, &mut self.prepared, add);
            }
        }
        let cause = sums.map(|sums| sums.cause());
        scorer.with_view(&self.prepared, request.as_of, request.max_reasons, |view| {
            self.counts.add(&scorer.artifact().reference, &self.row.raw, view.probability);
            let customer_id = id.to_owned();
            self.predictions.push(into_prediction(ScoredCustomer { customer_id, request, view }));
            let score = StoredScore { probability: view.probability, grade: view.grade };
            Some(Scored { score, cause })
        })
    }
}

/// Whether anything was known of the customer at the moment of the request.
pub(crate) fn was_known(history: &History, request: &ScoreRequest) -> bool {
    let known: Option<Time> = history.create_time(request.as_of, request.known_at);
    known.is_some_and(|create_time| create_time <= request.as_of)
}
