//! What the three programs share towards the person who runs them: text that cannot manipulate a terminal, progress
//! bars, signals, exit codes, and output files that are complete or absent.
//!
//! It knows nothing of customers, models and servers.

mod counted;
mod escape;
pub mod exit;
mod file;
mod interrupt;
mod print;
pub mod progress;
mod wrap;

pub use counted::counted;
pub use escape::{EscapedWriter, json_escaped, lines_printable, printable};
pub use file::NewFile;
pub use interrupt::{Interrupts, StopSignal};
pub use print::{print, print_json, print_wrapped, remark};
pub use wrap::wrapped;

/// The columns of the terminal that standard output is; None when it is none.
#[must_use]
pub fn columns() -> Option<usize> {
    let output = console::Term::stdout();
    // The size of a terminal that does not tell is taken from COLUMNS or is 0.
    output.is_term().then(|| usize::from(output.size().1)).filter(|columns| *columns > 0)
}

/// The columns that a line of text takes.
#[must_use]
pub fn width(text: &str) -> usize {
    console::measure_text_width(text)
}

/// A line that takes at most `columns`; an ellipsis stands for what is cut off.
#[must_use]
pub fn cut(line: &str, columns: usize) -> String {
    console::truncate_str(line, columns, "…").into_owned()
}
