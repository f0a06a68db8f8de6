//! What commands print with: text or JSON on standard output, remarks on standard error.

use std::io;

use prost::{Message, Name};

mod bar;
mod fitting;
mod format;
mod json;
mod money;
mod table;

pub(crate) use bar::{bar, insert_bars};
pub(crate) use fitting::{insert_names, insert_texts};
pub(crate) use format::{
    DASH, count, cut, date, datetime, decimals, enum_name, growth, moment, number, percent, points, ratio,
    share, target_name,
};
pub(crate) use json::unscored;
pub(crate) use money::Currency;
pub(crate) use table::{fits, narrow_table, narrow_text, room, table};
pub(crate) use tally_terminal::{
    counted, print_json as print_json_line, print_wrapped as print, printable, remark,
};

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
    print_json_line(&json::message(message)?.to_string())
}
