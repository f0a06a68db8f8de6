//! What commands print with: text or JSON on standard output, remarks on standard error.

use std::io::{self, Write};

use prost::{Message, Name};

mod format;
mod json;
mod table;

pub(crate) use format::{count, datetime, enum_name, number, percent, printable, share, target_name};
pub(crate) use json::unscored;
pub(crate) use table::table;

/// Prints a message: as JSON, or as `text` puts it.
pub(crate) fn show<M: Message + Name>(
    message: &M,
    json: bool,
    text: impl FnOnce(&M) -> String,
) -> io::Result<()> {
    if json { print_json(message) } else { print(&text(message)) }
}

/// Prints messages: as JSON, one a line, or all together as `text` puts them.
pub(crate) fn show_all<M: Message + Name>(
    messages: &[M],
    json: bool,
    text: impl FnOnce(&[M]) -> String,
) -> io::Result<()> {
    if json { messages.iter().try_for_each(print_json) } else { print(&text(messages)) }
}

/// Prints a message as a line of JSON.
pub(crate) fn print_json<M: Message + Name>(message: &M) -> io::Result<()> {
    print(&json::message(message)?.to_string())
}

/// Prints one or several lines.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut output = io::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.write_all(b"\n")?;
    output.flush()
}

/// Writes a line to standard error: a remark that is not part of the output.
pub(crate) fn remark(text: &str) {
    // A closed standard error is no reason to fail.
    drop(writeln!(io::stderr(), "{text}"));
}
