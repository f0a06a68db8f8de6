//! Progress bars on standard error; nothing is drawn when that is not a terminal.

use std::{fmt, time::Duration};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::escape::printable;

/// A bar for `total` items, or a spinner when the total is 0, not known.
#[must_use]
pub fn begin(what: &str, total: u64) -> ProgressBar {
    let (bar, template) = if total == 0 {
        (ProgressBar::new_spinner(), "{spinner} {msg} {elapsed}")
    } else {
        (ProgressBar::new(total), "{msg} {wide_bar} {human_pos}/{human_len} {rate} {eta} left")
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
            // The bar is drawn again anyway.
            let _ = write!(out, "{:.0}/s", state.per_sec());
        };
        bar.set_style(style.with_key("rate", rate));
    }
    bar.set_message(printable(what));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
