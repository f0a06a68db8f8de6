//! Progress of long work: a line that moves on a terminal, nothing elsewhere.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::train::{Listener, Step};

/// A listener that shows the steps of a training on standard error.
#[must_use]
pub fn training() -> Listener {
    let bar: Mutex<Option<ProgressBar>> = Mutex::new(None);
    Arc::new(move |step| {
        let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
        match step {
            Step::Begin(what, total) => {
                if let Some(done) = bar.take() {
                    done.finish_and_clear();
                }
                *bar = Some(begin(&what, total));
            }
            Step::Done(done) => {
                if let Some(bar) = bar.as_ref() {
                    bar.set_position(done);
                }
            }
            Step::End => {
                if let Some(done) = bar.take() {
                    done.finish_and_clear();
                }
            }
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
