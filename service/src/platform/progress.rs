//! Progress of long work, drawn on a terminal.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use indicatif::ProgressBar;

/// What long work reports while it runs.
pub enum ProgressStep {
    /// A step begins, of this many things; 0 when their number is unknown.
    Begin(String, u64),
    /// This many of them are done.
    Done(u64),
    /// From here on what was made is stored: an interruption waits for it.
    Store,
    /// Everything is done.
    End,
}

/// Receives the steps of long work.
pub type ProgressListener = Arc<dyn Fn(ProgressStep) + Send + Sync>;

/// A listener that draws the steps on standard error, where that is a terminal, and logs how long each
/// took.
#[must_use]
pub fn on_terminal() -> ProgressListener {
    let current: Mutex<Option<(ProgressBar, Instant)>> = Mutex::new(None);
    let end = |(bar, begin): (ProgressBar, Instant)| {
        bar.finish_and_clear();
        tracing::debug!(step = bar.message(), seconds = begin.elapsed().as_secs_f64(), "done");
    };
    Arc::new(move |step| {
        let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
        match step {
            ProgressStep::Begin(what, total) => {
                current.take().map(end);
                *current = Some((tally_terminal::progress::begin(&what, total), Instant::now()));
            }
            ProgressStep::Done(done) => {
                if let Some((bar, _)) = current.as_ref() {
                    bar.set_position(done);
                }
            }
            ProgressStep::Store => {}
            ProgressStep::End => drop(current.take().map(end)),
        }
    })
}
