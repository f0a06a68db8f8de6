//! Logging to standard error; standard output is for results. Logging never waits for its reader.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    fmt::Write,
    io::{IsTerminal, stderr},
    panic::{self, PanicHookInfo},
};

use prometheus_client::metrics::counter::Counter;
use tally_terminal::{EscapedWriter, lines_printable};
use tracing_subscriber::{
    field::MakeExt,
    filter::{LevelFilter, Targets},
    fmt,
    prelude::*,
};

use super::log_lines::{self, LogOutput};

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

/// The log of a program, for as long as that runs. When it is dropped, it waits a moment for the last lines to be
/// written; `process::exit` does not drop it.
#[must_use]
pub struct Log(());

impl Drop for Log {
    fn drop(&mut self) {
        log_lines::flush();
    }
}

/// Writes lines for the person who runs the program, whatever the filter says, after those that were logged before.
pub fn remark(text: &str) {
    log_lines::add(format!("{}\n", lines_printable(text)).as_bytes());
}

/// How many lines of the log were dropped since nobody read them.
#[must_use]
pub fn dropped_lines() -> Counter {
    log_lines::dropped()
}

/// Starts to log what passes `filter`, with `colours` if standard error is a terminal.
///
/// The filter knows levels and modules but no fields of spans: looking at those takes some 2,500 instructions
/// a call. Text writes the fields plainly: every call has a span with two
/// fields, and the subscriber's own formatter takes 3,400 instructions for them.
pub fn start(filter: Targets, format: LogFormat, colours: bool) -> Log {
    log_lines::start();
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(|| LogOutput).with_ansi(colours && stderr().is_terminal());
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
    // The standard library would wait for the reader of standard error.
    panic::set_hook(Box::new(log_panic));
    Log(())
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let backtrace = Backtrace::capture();
    let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    let place = panic.location().map(ToString::to_string);
    tracing::error!(place, backtrace, "panicked: {}", panic.payload_as_str().unwrap_or_default());
}
