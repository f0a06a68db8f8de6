//! The flags of the two programs that work on the database. Every flag is also an environment variable
//! `TALLY_…`; besides, only NO_COLOR is read from the environment.

mod inherited;
mod interval;
mod listen;
mod security;
mod serve;
mod train;

pub use inherited::InheritedListeners;
pub use interval::JobInterval;
pub use listen::ListenAddress;
pub use security::SecurityArgs;
pub use serve::{DEFAULT_HTTP_PORT, HttpAddress, ServeArgs, ServeCommand};
pub use train::{SplitName, TargetName, TrainArgs};

use std::time::Duration;

use clap::Args;
use tally_store::{DRIVER_LOG, OpenOptions, STATEMENT_LOG};
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::platform::telemetry::{self, Log, LogFormat, log_filter};

/// The default database of both programs.
const DATABASE: &str = "sqlite://tally.db";

/// How a program connects to the database.
#[derive(Args, Clone, Copy, Debug)]
pub struct PoolArgs {
    /// Connections to the database at most [default: 16 to PostgreSQL, 5 to SQLite]
    #[arg(long, env = "TALLY_DATABASE_CONNECTIONS", value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1_000))]
    pub database_connections: Option<u32>,
    /// Seconds to wait at the start for a PostgreSQL that does not answer yet
    #[arg(long, env = "TALLY_DATABASE_WAIT_SECONDS", value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(..=3_600))]
    pub database_wait_seconds: u32,
}

impl PoolArgs {
    /// How to open the database; with `create`, a file of SQLite is made where there is none.
    #[must_use]
    pub const fn open_options(&self, create: bool) -> OpenOptions {
        let wait = Duration::from_secs(self.database_wait_seconds as u64);
        OpenOptions { create, connections: self.database_connections, wait }
    }
}

/// What the exit codes of both programs mean.
const EXIT_CODES: &str = "\
Exit codes: 0 done; 1 failed, and may succeed later; 2 refused, for the arguments or what is stored; 129, 130 or 143
interrupted by SIGHUP, Ctrl-C or SIGTERM before it was done. Standard error has the reason.";

/// The log of the HTTP/2 layer.
const HTTP2_LOG: &str = "h2";

/// How to log.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// What to log: error, warn, info, debug, trace, or per module, such as warn,tally_service=debug
    #[arg(long = "log", env = "TALLY_LOG", default_value = "info", value_parser = log_filter)]
    pub filter: Targets,
    /// The form of a log line
    #[arg(long = "log-format", env = "TALLY_LOG_FORMAT", value_enum, default_value_t)]
    pub format: LogFormat,
}

impl LogArgs {
    /// Starts to log. Colours appear only on a terminal, and not if NO_COLOR is set (<https://no-color.org>).
    pub fn start(&self) -> Log {
        Self::start_with(without_warnings_of_http2(self.filter.clone()), self.format)
    }

    /// Starts to log for a program that is no server: its statements take as long as there is data, so that none of them
    /// is logged for being slow, unless the filter names the driver of the database.
    pub fn start_without_slow_statements(&self) -> Log {
        Self::start_with(without_slow_statements(self.filter.clone()), self.format)
    }

    fn start_with(filter: Targets, format: LogFormat) -> Log {
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        telemetry::start(filter, format, colours)
    }
}

/// Hides the warnings of the HTTP/2 layer about invalid frames, with which any client could fill the log, unless the filter
/// names that layer.
fn without_warnings_of_http2(filter: Targets) -> Targets {
    let names_it = filter.iter().any(|(target, _)| target.starts_with(HTTP2_LOG));
    let level = filter.default_level().unwrap_or(LevelFilter::OFF).min(LevelFilter::ERROR);
    if names_it { filter } else { filter.with_target(HTTP2_LOG, level) }
}

fn without_slow_statements(filter: Targets) -> Targets {
    let names_driver = filter.iter().any(|(target, _)| target.starts_with(DRIVER_LOG));
    if names_driver { filter } else { filter.with_target(STATEMENT_LOG, LevelFilter::OFF) }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};
    use tracing::Level;

    use super::*;

    #[test]
    fn programs_that_are_no_servers_do_not_log_slow_statements() {
        let logs = |filter: &str, level| {
            without_slow_statements(log_filter(filter).unwrap()).would_enable(STATEMENT_LOG, &level)
        };
        assert!(!logs("info", Level::WARN) && !logs("debug,tally_service=trace", Level::WARN));
        assert!(logs(&format!("info,{DRIVER_LOG}=warn"), Level::WARN));
        assert!(logs(&format!("{STATEMENT_LOG}=debug"), Level::DEBUG));
    }

    #[test]
    fn clients_cannot_fill_the_log_with_frames_that_are_against_the_rules() {
        let logs = |filter: &str, level| {
            without_warnings_of_http2(log_filter(filter).unwrap())
                .would_enable("h2::proto::ping_pong", &level)
        };
        assert!(!logs("info", Level::WARN) && !logs("trace,tally_service=debug", Level::WARN));
        assert!(logs("info", Level::ERROR) && !logs("off", Level::ERROR));
        assert!(logs("info,h2=warn", Level::WARN) && logs("h2::proto=debug", Level::WARN));
    }

    #[test]
    fn a_misspelt_level_is_refused() {
        let read = |filter| ServeArgs::try_parse_from(["tally-serve", "--log", filter]);
        for filter in ["info", "WARN", "off", "warn,tally_service=debug", "sqlx=off"] {
            assert!(read(filter).is_ok(), "{filter}");
        }
        for filter in ["", "inof", "=", "info,", "tally_service=loud", "warn,tally_service"] {
            let error = read(filter).unwrap_err().to_string();
            assert!(error.contains("--log") && error.contains("allowed are"), "{filter}: {error}");
        }
    }

    #[test]
    fn every_flag_is_an_environment_variable_of_its_name() {
        for command in [ServeArgs::command(), TrainArgs::command()] {
            command.clone().debug_assert();
            for flag in command.get_arguments().filter(|argument| argument.get_long().is_some()) {
                let long = flag.get_long().unwrap();
                if ["help", "version"].contains(&long) {
                    continue;
                }
                let wanted = format!("TALLY_{}", long.to_uppercase().replace('-', "_"));
                assert_eq!(flag.get_env().and_then(|env| env.to_str()), Some(wanted.as_str()), "--{long}");
            }
        }
    }
}
