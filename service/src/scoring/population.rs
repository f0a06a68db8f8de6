//! The population run: scores every eligible customer and stores the predictions, page by page, in
//! constant memory. While pages are stored, the next one is scored and the one after that is read.
//! Whoever drives it may stop between pages; what is stored until then stays. A run that comes to its end
//! also stores how the population was distributed, for [`crate::monitoring::watch`].

use std::sync::Arc;

use futures_util::{StreamExt, stream::FuturesOrdered};
use tally_model::{
    evaluation::drift::Counts,
    features::fold::Row,
    history::{History, Packed},
    scoring::PreparedScore,
    time::Time,
};
use tokio::task::JoinHandle;

use crate::{
    app::App,
    histories::scan::{CustomerScan, Partition, par_chunks},
    platform::error::{Error, Result},
    scoring::score::{ScoreRequest, ScoredCustomer, into_prediction, persist, run_blocking},
};
use tally_store::{Prediction, ScoredPopulation};

/// How far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Customers looked at.
    pub done: u64,
    /// Customers there are; at the end the same as `done`.
    pub total: u64,
    /// Predictions stored.
    pub stored: u64,
}

/// Pages that are stored at the same time: storing one takes the database longer than it takes us to score it.
const STORED_AT_ONCE: usize = 2;

/// A run through the customers of a part.
pub struct Population {
    app: Arc<App>,
    request: ScoreRequest,
    progress: Progress,
    counts: Counts,
    scan: CustomerScan,
    /// Whether there are pages that are not scored yet.
    more: bool,
    /// The pages that are being stored.
    storing: FuturesOrdered<JoinHandle<Result<Stored>>>,
    over: bool,
}

/// A page whose scores are stored.
struct Stored {
    looked_at: u64,
    predictions: u64,
}

impl Population {
    /// Begins a run, once the writes that began before the question was asked have ended.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn new(app: &Arc<App>, request: ScoreRequest, part: Partition) -> Result<Self> {
        app.writers.wait_for_in_flight().await;
        let total = app.store.count_customers().await?;
        Ok(Self {
            app: Arc::clone(app),
            progress: Progress { total, ..Progress::default() },
            counts: Counts::new(&request.model.scorer.artifact().reference),
            request,
            scan: CustomerScan::new(Arc::clone(&app.store), part),
            more: true,
            storing: FuturesOrdered::new(),
            over: false,
        })
    }

    /// Goes on until another page is stored. The last progress has `done = total`; after it comes None.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next(&mut self) -> Result<Option<Progress>> {
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
            self.progress.done += stored.looked_at;
            self.progress.total = self.progress.total.max(self.progress.done);
            return Ok(Some(self.progress));
        }
        // Customers may have gone since they were counted.
        self.progress.total = self.progress.done;
        self.end().await?;
        self.over = true;
        Ok(Some(self.progress))
    }

    /// Scores a page and begins to store it.
    async fn begin_page(&mut self) -> Result<()> {
        let Some(Scored { looked_at, results, counts }) = Self::page(&mut self.scan, &self.request).await?
        else {
            self.more = false;
            return Ok(());
        };
        counts.iter().for_each(|counts| self.counts.merge(counts));
        let app = Arc::clone(&self.app);
        self.storing.push_back(tokio::spawn(async move {
            let stored = persist(&app, results).await?;
            Ok(Stored { looked_at, predictions: stored.iter().flatten().count() as u64 })
        }));
        Ok(())
    }

    async fn end(&self) -> Result<()> {
        let name = self.request.model.name;
        let population = ScoredPopulation {
            target: name.target,
            model_version: name.version,
            as_of: self.request.as_of,
            score_time: self.app.now(),
            counts: self.counts.clone(),
        };
        self.app.store.insert_population(population).await?;
        self.app.scored.notify_one();
        Ok(())
    }

    /// Scores the next page, on all cores.
    async fn page(scan: &mut CustomerScan, request: &ScoreRequest) -> Result<Option<Scored>> {
        let Some(page) = scan.next().await? else { return Ok(None) };
        let request = request.clone();
        let scored = run_blocking(move || {
            let parts = par_chunks(&page.histories, |customers| request.score_all(customers));
            let parts = parts.into_iter().collect::<Result<Vec<_>>>()?;
            let (results, counts): (Vec<_>, Vec<_>) = parts.into_iter().unzip();
            let results = results.into_iter().flatten().map(Ok).collect();
            Ok(Some(Scored { looked_at: page.looked_at, results, counts }))
        });
        scored.await?
    }
}

/// A page with its scores.
struct Scored {
    looked_at: u64,
    results: Vec<Result<Prediction>>,
    counts: Vec<Counts>,
}

impl ScoreRequest {
    /// The scores of those who are eligible and existed at the moment in question.
    fn score_all(&self, customers: &[(String, Packed)]) -> Result<(Vec<Prediction>, Counts)> {
        let scorer = &self.model.scorer;
        let reference = &scorer.artifact().reference;
        let mut counts = Counts::new(reference);
        let mut results = Vec::with_capacity(customers.len());
        let (mut row, mut prepared) = (Row::default(), PreparedScore::default());
        for (id, history) in customers {
            history.with(|history| {
                if existed(history, self) && scorer.row(history, self.as_of, self.known_at, &mut row).is_ok()
                {
                    scorer.prepare(&row, self.max_reasons, &mut prepared);
                    scorer.with_view(&prepared, self.as_of, self.max_reasons, |view| {
                        counts.add(reference, &row.raw, view.probability);
                        results.push(into_prediction(ScoredCustomer {
                            customer_id: id.clone(),
                            request: self,
                            view,
                        }));
                    });
                }
            })?;
        }
        Ok((results, counts))
    }
}

/// Whether anything was known of the customer at the moment in question.
pub(crate) fn existed(history: &History, request: &ScoreRequest) -> bool {
    let known: Option<Time> = history.create_time(request.as_of, request.known_at);
    known.is_some_and(|create_time| create_time <= request.as_of)
}
