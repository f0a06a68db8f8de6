//! Logging to standard error; standard output is for results.

use std::io::{IsTerminal, stderr};

use tracing_subscriber::{
    field::MakeExt,
    filter::{ParseError, Targets},
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

/// Starts to log what passes `filter`: a level such as `info`, with others per module such as
/// `warn,tally_service=debug`.
///
/// The filter knows levels and modules but no fields of spans: looking at those takes some 2,500 instructions
/// a call. Colours appear only on a terminal. Text writes the fields plainly: every call has a span with two
/// fields, and the subscriber's own formatter takes 3,400 instructions for them.
///
/// # Errors
/// When the filter is not valid.
pub fn start(filter: &str, format: LogFormat) -> Result<(), ParseError> {
    let registry = tracing_subscriber::registry().with(filter.parse::<Targets>()?);
    let lines = fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal());
    match format {
        LogFormat::Text => {
            let fields = fmt::format::debug_fn(|writer, field, value| match field.name() {
                "message" => write!(writer, "{value:?}"),
                name => write!(writer, "{name}={value:?}"),
            });
            registry.with(lines.fmt_fields(fields.delimited(" "))).init();
        }
        LogFormat::Json => registry.with(lines.json()).init(),
    }
    Ok(())
}
