//! The population run: scores every eligible customer and stores the predictions, page by page, in
//! constant memory. While a page is stored, the next one is scored and the one after that is read.
//! Whoever drives it may stop between pages; what is stored until then stays. A run that comes to its end
//! also stores how the population was distributed, for [`crate::watch`].

use std::sync::Arc;

use tally_model::{
    drift::Counts,
    history::{History, Packed},
    time::Time,
};

use crate::{
    app::App,
    error::Result,
    score::{Question, off_the_workers, persist},
    store::{Prediction, ScoredPopulation},
    sweep::{Part, Sweep, on_all_cores},
};

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

/// A run through the customers of a part.
pub struct Population<'a> {
    app: &'a App,
    question: Question,
    progress: Progress,
    counts: Counts,
    sweep: Sweep,
    /// The page that is scored and not stored yet: how many were looked at, and their scores.
    scored: (u64, Vec<Result<Prediction>>),
    over: bool,
}

impl<'a> Population<'a> {
    /// Begins a run, once the writes that began before the question was asked have ended.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn new(app: &'a App, question: Question, part: Part) -> Result<Self> {
        app.writers.settled().await;
        let total = app.store.count_customers().await?;
        let progress = Progress { total, ..Progress::default() };
        let counts = Counts::new(&question.model.scorer.artifact().reference);
        let sweep = Sweep::new(Arc::clone(&app.store), part);
        Ok(Self { app, question, progress, counts, sweep, scored: (0, Vec::new()), over: false })
    }

    /// Stores a page while the next one is scored. The last progress has `done = total`; after it
    /// comes None.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next(&mut self) -> Result<Option<Progress>> {
        if self.over {
            return Ok(None);
        }
        let (looked_at, ready) = std::mem::take(&mut self.scored);
        let store = persist(self.app, ready);
        let (stored, page) = tokio::join!(store, Self::page(&mut self.sweep, &self.question));
        self.progress.stored += stored?.iter().flatten().count() as u64;
        self.progress.done += looked_at;
        match page? {
            Some(Scored { looked_at, results, counts }) => {
                self.progress.total = self.progress.total.max(self.progress.done + looked_at);
                self.scored = (looked_at, results);
                counts.iter().for_each(|counts| self.counts.merge(counts));
            }
            None => {
                // Customers may have gone since they were counted.
                self.progress.total = self.progress.done;
                self.end().await?;
                self.over = true;
            }
        }
        Ok(Some(self.progress))
    }

    async fn end(&self) -> Result<()> {
        let name = self.question.model.name;
        let population = ScoredPopulation {
            target: name.target,
            model_version: name.version,
            as_of: self.question.as_of,
            score_time: self.app.now(),
            counts: self.counts.clone(),
        };
        self.app.store.insert_population(population).await?;
        self.app.scored.notify_one();
        Ok(())
    }

    /// Scores the next page, on all cores.
    async fn page(sweep: &mut Sweep, question: &Question) -> Result<Option<Scored>> {
        let Some(page) = sweep.next().await? else { return Ok(None) };
        let question = question.clone();
        let scored = off_the_workers(move || {
            let parts = on_all_cores(&page.histories, |customers| question.score_all(customers));
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

impl Question {
    /// The scores of those who are eligible and existed at the moment in question.
    fn score_all(&self, customers: &[(String, Packed)]) -> Result<(Vec<Prediction>, Counts)> {
        let scorer = &self.model.scorer;
        let reference = &scorer.artifact().reference;
        let mut counts = Counts::new(reference);
        let mut results = Vec::with_capacity(customers.len());
        for (id, history) in customers {
            history.with(|history| {
                if existed(history, self)
                    && let Ok(score) = scorer.score(history, self.as_of, self.known_at, self.max_reasons)
                {
                    counts.add(reference, &score.raw, score.probability);
                    results.push(self.prediction(id, score));
                }
            })?;
        }
        Ok((results, counts))
    }
}

/// Whether anything was known of the customer at the moment in question.
pub(crate) fn existed(history: &History, question: &Question) -> bool {
    let known: Option<Time> = history.create_time(question.as_of, question.known_at);
    known.is_some_and(|create_time| create_time <= question.as_of)
}
