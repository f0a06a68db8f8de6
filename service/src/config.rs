//! The flags of the two programs that work on the database. Every flag is also an environment
//! variable `TALLY_…`.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, ValueEnum};
use tally_model::{
    spec::{Spec, Target},
    time::Time,
    training::snapshot::SplitKind,
};

use crate::{lifecycle::training::Promote, platform::telemetry::LogFormat};

/// The database of both programs.
const DATABASE: &str = "sqlite://tally.db";

/// Whoever runs this program, as user@host.
#[must_use]
pub fn user_at_host() -> String {
    let user = whoami::username().unwrap_or_else(|_| "unknown".to_owned());
    let host = whoami::hostname().unwrap_or_else(|_| "unknown".to_owned());
    format!("{user}@{host}")
}

/// How to log.
#[derive(Args, Clone, Debug)]
pub struct Log {
    /// What is logged: error, warn, info, debug, trace, or per module such as warn,tally_service=debug
    #[arg(long = "log", env = "TALLY_LOG", default_value = "info")]
    pub filter: String,
    /// The form of a log line
    #[arg(long = "log-format", env = "TALLY_LOG_FORMAT", value_enum, default_value_t)]
    pub format: LogFormat,
}

/// Serves customer scores over gRPC.
#[derive(Parser, Debug)]
#[command(name = "tally-serve", version)]
pub struct Serve {
    /// sqlite://PATH (created when absent) or postgres://USER:PASSWORD@HOST/NAME [default: sqlite://tally.db; with --demo a temporary file]
    #[arg(long, env = "TALLY_DATABASE", hide_env_values = true)]
    pub database: Option<String>,
    /// Address and port of the gRPC server; port 0 takes a free one
    #[arg(long, env = "TALLY_LISTEN", default_value = "127.0.0.1:50051")]
    pub listen: SocketAddr,
    /// Address and port of /metrics, /healthz and /readyz; an empty value serves none [default: 127.0.0.1:8080, unless that is taken]
    #[arg(long, env = "TALLY_HTTP", value_name = "ADDRESS", value_parser = http)]
    pub http: Option<Http>,
    /// Memory for histories of customers that are asked for often, in megabytes; 0 keeps none
    #[arg(long, env = "TALLY_CACHE_MB", default_value_t = 256)]
    pub cache_mb: u32,
    /// How often the histories of customers of whom something was written are packed, to be read faster
    #[arg(long, env = "TALLY_PACK_EVERY_SECONDS", value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub pack_every_seconds: u32,
    /// Remove predictions that were stored so many days ago, but for the latest of each customer and target [default: all are kept]
    #[arg(long, env = "TALLY_KEEP_PREDICTIONS_DAYS", value_name = "DAYS",
          value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub keep_predictions_days: Option<u32>,
    /// Fill the database with a simulated business, train both models, score everybody, and serve
    #[arg(long, env = "TALLY_DEMO")]
    pub demo: bool,
    /// How many customers the simulated business has
    #[arg(long, env = "TALLY_DEMO_CUSTOMERS", default_value_t = 3_000, requires = "demo",
          value_parser = clap::value_parser!(u32).range(500..=1_000_000))]
    pub demo_customers: u32,
    /// How to log
    #[command(flatten)]
    pub log: Log,
}

/// Where metrics are served, when it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Http {
    /// Nowhere.
    Off,
    /// Here.
    At(SocketAddr),
}

/// Reads `--http`.
fn http(text: &str) -> Result<Http, std::net::AddrParseError> {
    if text.is_empty() { Ok(Http::Off) } else { text.parse().map(Http::At) }
}

/// Where metrics are served when nothing is said. Servers that share a machine share this default: one
/// that finds it taken goes without.
pub const HTTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

impl Serve {
    /// The database to serve, when it is not the demo's own.
    #[must_use]
    pub fn database(&self) -> &str {
        self.database.as_deref().unwrap_or(DATABASE)
    }

    /// The memory for warm histories.
    #[must_use]
    pub fn cache_bytes(&self) -> u64 {
        u64::from(self.cache_mb) << 20
    }
}

/// Trains a model on the stored interactions and stores it as the next version.
#[derive(Parser, Debug)]
#[command(name = "tally-train", version)]
pub struct Train {
    /// What the model foretells
    #[arg(value_enum, required_unless_present = "all", conflicts_with = "all")]
    pub target: Option<TargetName>,
    /// Train both models, one after the other; each stands and falls by itself
    #[arg(long, env = "TALLY_ALL", conflicts_with_all = ["horizon_days", "matrix_out", "report_out"])]
    pub all: bool,
    /// sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME
    #[arg(long, env = "TALLY_DATABASE", hide_env_values = true, default_value = DATABASE)]
    pub database: String,
    /// Pretend that it is this moment: nothing later is read [default: now]
    #[arg(long, env = "TALLY_AS_OF", value_name = "TIME")]
    pub as_of: Option<Time>,
    /// Days ahead that decide, in place of those of the spec
    #[arg(long, env = "TALLY_HORIZON_DAYS", value_name = "DAYS")]
    pub horizon_days: Option<u32>,
    /// The spec, a TOML file
    #[arg(long, env = "TALLY_SPEC", value_name = "FILE")]
    pub spec: Option<PathBuf>,
    /// The holdout: the latest snapshots, or a random share of the customers
    #[arg(long, env = "TALLY_SPLIT", value_enum, default_value_t = SplitName::Temporal)]
    pub split: SplitName,
    /// Seed of all random choices
    #[arg(long, env = "TALLY_SEED", default_value_t = 1)]
    pub seed: u64,
    /// Learn from one customer in so many, by a hash of their ids: for more data than memory holds
    #[arg(long, env = "TALLY_ONE_IN", value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub one_in: u32,
    /// When the model becomes the champion
    #[arg(long, env = "TALLY_PROMOTE", value_enum, default_value_t = Promote::Auto)]
    pub promote: Promote,
    /// Write the raw training snapshots to this CSV file
    #[arg(long, env = "TALLY_MATRIX_OUT", value_name = "FILE.csv")]
    pub matrix_out: Option<PathBuf>,
    /// Write the report to this file: a page with plots when its name ends in .html, otherwise JSON
    #[arg(long, env = "TALLY_REPORT_OUT", value_name = "FILE.html|FILE.json")]
    pub report_out: Option<PathBuf>,
    /// How to log
    #[command(flatten)]
    pub log: Log,
}

impl Train {
    /// What to train, in this order.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        self.target.map_or_else(|| Target::ALL.to_vec(), |target| vec![target.into()])
    }

    /// The spec to train with.
    ///
    /// # Errors
    /// A sentence that names the file and what is wrong with it.
    pub fn read_spec(&self) -> Result<Spec, String> {
        let mut spec = match &self.spec {
            None => Spec::default(),
            Some(path) => std::fs::read_to_string(path)
                .map_err(|error| error.to_string())
                .and_then(|text| Spec::parse(&text).map_err(|error| error.to_string()))
                .map_err(|error| format!("the spec {}: {error}", path.display()))?,
        };
        if let (Some(days), Some(target)) = (self.horizon_days, self.target) {
            spec.set_horizon_days(target.into(), days);
            spec.validate().map_err(|error| format!("--horizon-days: {error}"))?;
        }
        Ok(spec)
    }
}

/// A target on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TargetName {
    /// Leads that buy
    Lead,
    /// Customers that leave
    Churn,
}

impl From<TargetName> for Target {
    fn from(name: TargetName) -> Self {
        match name {
            TargetName::Lead => Self::Lead,
            TargetName::Churn => Self::Churn,
        }
    }
}

/// A kind of holdout on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SplitName {
    /// The latest snapshots; a random share when the data are too short for that
    Temporal,
    /// 30 % of the customers
    Random,
}

impl From<SplitName> for SplitKind {
    fn from(name: SplitName) -> Self {
        match name {
            SplitName::Temporal => Self::Temporal,
            SplitName::Random => Self::Random,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn a_training_is_of_one_target_or_of_all() {
        let read = |line: &str| Train::try_parse_from(line.split(' '));
        assert_eq!(read("tally-train churn").unwrap().targets(), [Target::Churn]);
        assert_eq!(read("tally-train --all").unwrap().targets(), Target::ALL);
        for line in ["tally-train", "tally-train churn --all", "tally-train --all --report-out r.json"] {
            assert!(read(line).is_err(), "{line}");
        }
    }

    #[test]
    fn every_flag_is_an_environment_variable_of_its_name() {
        for command in [Serve::command(), Train::command()] {
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
