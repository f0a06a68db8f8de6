//! Progress of long work: a line that moves on a terminal, nothing elsewhere.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::lifecycle::training::{Listener, Step};

/// A listener that shows the steps of a training on standard error, and logs how long each took.
#[must_use]
pub fn training() -> Listener {
    let current: Mutex<Option<(ProgressBar, Instant)>> = Mutex::new(None);
    let end = |(bar, begin): (ProgressBar, Instant)| {
        bar.finish_and_clear();
        tracing::debug!(step = bar.message(), seconds = begin.elapsed().as_secs_f64(), "done");
    };
    Arc::new(move |step| {
        let mut current = current.lock().unwrap_or_else(PoisonError::into_inner);
        match step {
            Step::Begin(what, total) => {
                current.take().map(end);
                *current = Some((begin(&what, total), Instant::now()));
            }
            Step::Done(done) => {
                if let Some((bar, _)) = current.as_ref() {
                    bar.set_position(done);
                }
            }
            Step::End => drop(current.take().map(end)),
        }
    })
}

/// A bar for `total` things, or a spinner when their number is not known (0).
#[must_use]
pub fn begin(what: &str, total: u64) -> ProgressBar {
    let (bar, template) = if total == 0 {
        (ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}")
    } else {
        (ProgressBar::new(total), "{msg} {wide_bar} {human_pos}/{human_len} {rate} {eta} left")
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
            // A writer of the terminal's line that fails has nobody to tell.
            let _ = write!(out, "{:.0}/s", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate));
    }
    bar.set_message(what.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
