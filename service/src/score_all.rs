//! The population run: scores every eligible customer and stores the predictions, page by page, in
//! constant memory. Whoever drives it may stop between pages; what is stored until then stays. A run that
//! comes to its end also stores how the population was distributed, for [`crate::watch`].

use tally_model::{drift::Counts, history::History, time::Time};

use crate::{
    app::App,
    error::Result,
    score::{CHUNK, Question, off_the_workers, persist},
    store::ScoredPopulation,
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

/// A run through all customers.
pub struct Population<'a> {
    app: &'a App,
    question: Question,
    progress: Progress,
    counts: Counts,
    after: String,
    over: bool,
}

impl<'a> Population<'a> {
    /// Begins a run, once the writes that began before the question was asked have ended.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn new(app: &'a App, question: Question) -> Result<Self> {
        app.writers.settled().await;
        let total = app.store.count_customers().await?;
        let progress = Progress { total, ..Progress::default() };
        let counts = Counts::new(&question.model.scorer.artifact().reference);
        Ok(Self { app, question, progress, counts, after: String::new(), over: false })
    }

    /// Scores and stores the next page. The last progress has `done = total`; after it comes None.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn next(&mut self) -> Result<Option<Progress>> {
        if self.over {
            return Ok(None);
        }
        let ids = self.app.store.customer_ids(&self.after, CHUNK).await?;
        match ids.last() {
            Some(last) => {
                self.after.clone_from(last);
                self.progress.done += ids.len() as u64;
                self.progress.total = self.progress.total.max(self.progress.done);
                self.progress.stored += self.page(ids).await?;
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

    async fn page(&mut self, ids: Vec<String>) -> Result<u64> {
        let histories = self.app.store.histories(&ids).await?;
        let (question, mut counts) = (self.question.clone(), self.counts.clone());
        let (mut results, counts) = off_the_workers(move || {
            let scorer = &question.model.scorer;
            let mut results = Vec::with_capacity(ids.len());
            for (id, history) in ids.iter().zip(histories) {
                if let Some(history) = history.filter(|history| existed(history, &question))
                    && let Ok(score) =
                        scorer.score(&history, question.as_of, question.known_at, question.max_reasons)
                {
                    counts.add(&scorer.artifact().reference, &score.raw, score.probability);
                    results.push(Ok(question.prediction(id, score)));
                }
            }
            (results, counts)
        })
        .await?;
        self.counts = counts;
        persist(self.app, &mut results).await?;
        Ok(results.iter().flatten().count() as u64)
    }
}

/// Whether anything was known of the customer at the moment in question.
pub(crate) fn existed(history: &History, question: &Question) -> bool {
    let known: Option<Time> = history.create_time(question.as_of, question.known_at);
    known.is_some_and(|create_time| create_time <= question.as_of)
}
