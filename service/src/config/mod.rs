//! The flags of the two programs that work on the database. Every flag is also an environment variable
//! `TALLY_…`; nothing else reads the environment.

mod serve;
mod train;

pub use serve::{DEFAULT_HTTP, HttpAddress, ServeArgs};
pub use train::{SplitName, TargetName, TrainArgs};

use clap::Args;

use crate::platform::telemetry::LogFormat;

/// The default database of both programs.
const DATABASE: &str = "sqlite://tally.db";

/// How to log.
#[derive(Args, Clone, Debug)]
pub struct LogArgs {
    /// What to log: error, warn, info, debug, trace, or per module, such as warn,tally_service=debug
    #[arg(long = "log", env = "TALLY_LOG", default_value = "info")]
    pub filter: String,
    /// The form of a log line
    #[arg(long = "log-format", env = "TALLY_LOG_FORMAT", value_enum, default_value_t)]
    pub format: LogFormat,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

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
