//! The population run: scores every eligible customer and stores the predictions, page by page, in
//! constant memory. Whoever drives it may stop between pages; what is stored until then stays.

use tally_model::{history::History, time::Time};

use crate::{
    app::App,
    error::Result,
    score::{CHUNK, Question, off_the_workers, persist},
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
    after: String,
    over: bool,
}

impl<'a> Population<'a> {
    /// Begins a run.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn new(app: &'a App, question: Question) -> Result<Self> {
        let total = app.store.count_customers().await?;
        let progress = Progress { total, ..Progress::default() };
        Ok(Self { app, question, progress, after: String::new(), over: false })
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
                self.over = true;
            }
        }
        Ok(Some(self.progress))
    }

    async fn page(&self, ids: Vec<String>) -> Result<u64> {
        let histories = self.app.store.histories(&ids).await?;
        let question = self.question.clone();
        let mut results = off_the_workers(move || {
            ids.iter()
                .zip(histories)
                .filter_map(|(id, history)| Some((id, history?)))
                .filter(|(_, history)| existed(history, &question))
                .map(|(id, history)| question.score(id, &history))
                .filter(Result::is_ok)
                .collect::<Vec<_>>()
        })
        .await?;
        persist(self.app, &mut results).await?;
        Ok(results.iter().flatten().count() as u64)
    }
}

/// Whether anything was known of the customer at the moment in question.
pub(crate) fn existed(history: &History, question: &Question) -> bool {
    let known: Option<Time> = history.create_time(question.as_of, question.known_at);
    known.is_some_and(|create_time| create_time <= question.as_of)
}
