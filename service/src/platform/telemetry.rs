//! Logging to standard error; standard output is for results.

use std::{
    fmt::Write,
    io::{IsTerminal, stderr},
};

use tally_terminal::EscapedWriter;
use tracing_subscriber::{
    field::MakeExt,
    filter::{LevelFilter, Targets},
    fmt,
    prelude::*,
};

/// The form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

/// Reads what to log: a level such as `info`, with others per module such as `warn,tally_service=debug`.
///
/// # Errors
/// A sentence when a part is neither a level nor a module with a level. A word alone would name a module,
/// and a misspelt level would turn all logging off.
pub fn log_filter(text: &str) -> Result<Targets, String> {
    for part in text.split(',') {
        let (module, level) = part.split_once('=').unwrap_or(("all", part));
        if module.is_empty() || level.is_empty() || level.parse::<LevelFilter>().is_err() {
            return Err(format!(
                "`{part}`: allowed are off, error, warn, info, debug, trace, and MODULE=LEVEL, separated by commas"
            ));
        }
    }
    text.parse().map_err(|error| format!("{error}"))
}

/// Starts to log what passes `filter`, with `colours` if standard error is a terminal.
///
/// The filter knows levels and modules but no fields of spans: looking at those takes some 2,500 instructions
/// a call. Text writes the fields plainly: every call has a span with two
/// fields, and the subscriber's own formatter takes 3,400 instructions for them.
pub fn start(filter: Targets, format: LogFormat, colours: bool) {
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(stderr).with_ansi(colours && stderr().is_terminal());
    match format {
        LogFormat::Text => {
            let fields = fmt::format::debug_fn(|writer, field, value| {
                let mut writer = EscapedWriter(writer);
                match field.name() {
                    "message" => write!(writer, "{value:?}"),
                    name => write!(writer, "{name}={value:?}"),
                }
            });
            registry.with(lines.fmt_fields(fields.delimited(" "))).init();
        }
        LogFormat::Json => registry.with(lines.json()).init(),
    }
}
