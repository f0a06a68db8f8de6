//! Progress of long work, drawn on a terminal.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// What long work reports while it runs.
pub enum ProgressStep {
    /// A step begins, of this many things; 0 when their number is unknown.
    Begin(String, u64),
    /// This many of them are done.
    Done(u64),
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
                *current = Some((draw(&what, total), Instant::now()));
            }
            ProgressStep::Done(done) => {
                if let Some((bar, _)) = current.as_ref() {
                    bar.set_position(done);
                }
            }
            ProgressStep::End => drop(current.take().map(end)),
        }
    })
}

/// A bar for `total` things, or a spinner when their number is unknown (0).
fn draw(what: &str, total: u64) -> ProgressBar {
    let (bar, template) = if total == 0 {
        (ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}")
    } else {
        (ProgressBar::new(total), "{msg} {wide_bar} {human_pos}/{human_len} {rate} {eta} left")
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
            // There is nobody to report a failed write to the terminal's line to.
            let _ = write!(out, "{:.0}/s", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate));
    }
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
