//! The flags of `tally-serve`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::{Parser, Subcommand};

use tally_model::insight::{InsightSpec, alert::AlertRules};

use super::{DATABASE, EXIT_CODES, JobInterval, ListenAddress, LogArgs, PoolArgs, SecurityArgs};
use crate::{
    deployment::Currency,
    grpc::server::Capacity,
    insight::{AlertSettings, Webhook},
    jobs::JobPlan,
    lifecycle::interaction_retention::KeepInteractions,
    platform::error::{Error, Result},
};

/// Serves customer scores over gRPC.
#[derive(Parser, Debug)]
#[command(name = "tally-serve", version, after_help = EXIT_CODES)]
pub struct ServeArgs {
    /// sqlite://PATH (created when absent) or postgres://USER:PASSWORD@HOST/NAME [default: sqlite://tally.db; with --demo a temporary file]
    #[arg(long, env = "TALLY_DATABASE", hide_env_values = true, global = true)]
    pub database: Option<String>,
    /// How to connect
    #[command(flatten)]
    pub pool: PoolArgs,
    /// Host and port of the gRPC server; :PORT is all addresses of the machine, and port 0 takes a free one
    #[arg(long, env = "TALLY_LISTEN", value_name = "HOST:PORT", default_value_t = ListenAddress::local(50_051))]
    pub listen: ListenAddress,
    /// Host and port of /metrics, /healthz and /readyz; an empty value serves none [default: 127.0.0.1:8080, unless that is taken]
    #[arg(long, env = "TALLY_HTTP", value_name = "HOST:PORT", value_parser = http)]
    pub http: Option<HttpAddress>,
    /// How connections are encrypted and callers checked
    #[command(flatten)]
    pub security: SecurityArgs,
    /// The currency of all amounts, an ISO 4217 code such as EUR; kept in the database, so that one start suffices. It converts nothing: another one is refused once customers are stored
    #[arg(long, env = "TALLY_CURRENCY", value_name = "CODE")]
    pub currency: Option<Currency>,
    /// Ask clients to connect again after this many seconds; their open calls end first [default: never]
    #[arg(long, env = "TALLY_MAX_CONNECTION_AGE", value_name = "SECONDS",
          value_parser = clap::value_parser!(u32).range(1..=31_536_000))]
    pub max_connection_age: Option<u32>,
    /// Connections of clients at most; with as many, a new one is closed at once unless another has not spoken yet
    #[arg(long, env = "TALLY_MAX_CONNECTIONS", value_name = "N", default_value_t = 1_000,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,
    /// Memory for what calls in flight are sent and answered, in megabytes; calls for which there is none are refused
    #[arg(long, env = "TALLY_MEMORY_IN_FLIGHT_MB", value_name = "MB", default_value_t = 128,
          value_parser = clap::value_parser!(u32).range(32..=1_000_000))]
    pub memory_in_flight_mb: u32,
    /// Calls a second of each caller; as many at once, then evenly [default: any number]
    #[arg(long, env = "TALLY_QUOTA_PER_SECOND", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub quota_per_second: Option<u32>,
    /// Memory for the histories of customers whose scores are asked for often, in megabytes; 0 keeps none
    #[arg(long, env = "TALLY_CACHE_MB", default_value_t = 256)]
    pub cache_mb: u32,
    /// How often the histories of customers that were written to are packed, so that they are read faster
    #[arg(long, env = "TALLY_PACK_EVERY_SECONDS", value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub pack_every_seconds: u32,
    /// Remove predictions after this many days, except the latest of each customer and target [default: keep all]
    #[arg(long, env = "TALLY_KEEP_PREDICTIONS_DAYS", value_name = "DAYS",
          value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub keep_predictions_days: Option<u32>,
    /// Remove interactions this many days after they happened, by kind, such as visit=365,email=90; * is all kinds that are not named [default: keep all]
    #[arg(long, env = "TALLY_KEEP_INTERACTIONS", value_name = "KIND=DAYS,…")]
    pub keep_interactions: Option<KeepInteractions>,
    /// The definitions of segments and key figures, a TOML file with the keys of docs/metrics.md [default: those printed there]
    #[arg(long, env = "TALLY_INSIGHT", value_name = "FILE")]
    pub insight: Option<PathBuf>,
    /// Remove the facts of all customers about a moment after this many days, except those of the last one of each month
    #[arg(long, env = "TALLY_KEEP_INSIGHTS_DAYS", value_name = "DAYS", default_value_t = 35,
          value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub keep_insights_days: u32,
    /// Score all customers and store their facts this often, as `tally insights refresh` does: 10m to 366d, such as 6h, and at the start if the latest pass has other settings of insight; of several servers, one does. Every pass stores predictions, see --keep-predictions-days [default: never]
    #[arg(long, env = "TALLY_SCORE_EVERY", value_name = "INTERVAL")]
    pub score_every: Option<JobInterval>,
    /// Train both models this often, as `tally-train --all` does: 10m to 366d, such as 7d; of several servers, one does [default: never]
    #[arg(long, env = "TALLY_TRAIN_EVERY", value_name = "INTERVAL")]
    pub train_every: Option<JobInterval>,
    /// The rules of early warning, and where their alerts are sent: a TOML file as in docs/alerts.md [default: no rules]
    #[arg(long, env = "TALLY_ALERTS", value_name = "FILE")]
    pub alerts: Option<PathBuf>,
    /// Fill the database with a simulated business, train both models, score all customers, and serve
    #[arg(long, env = "TALLY_DEMO")]
    pub demo: bool,
    /// How many customers the simulated business has
    #[arg(long, env = "TALLY_DEMO_CUSTOMERS", default_value_t = 3_000, requires = "demo",
          value_parser = clap::value_parser!(u32).range(500..=1_000_000))]
    pub demo_customers: u32,
    /// Instead of serving, check the files that a start reads, the structure of the database, every model and the history
    /// of every customer, and say what is wrong
    #[arg(long, env = "TALLY_CHECK", conflicts_with = "demo")]
    pub check: bool,
    /// How to log
    #[command(flatten)]
    pub log: LogArgs,
    /// What to do instead of serving
    #[command(subcommand)]
    pub command: Option<ServeCommand>,
}

/// What `tally-serve` does instead of serving.
#[derive(Subcommand, Debug)]
pub enum ServeCommand {
    /// Copy a SQLite database into a new file, while programs may go on to use it
    Backup {
        /// The copy; it must not exist yet
        file: PathBuf,
    },
}

/// Where metrics are served, as given by `--http`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HttpAddress {
    /// Nowhere.
    Off,
    /// At this address.
    At(ListenAddress),
}

/// Reads `--http`.
fn http(text: &str) -> std::result::Result<HttpAddress, &'static str> {
    if text.is_empty() { Ok(HttpAddress::Off) } else { text.parse().map(HttpAddress::At) }
}

/// The port of the machine itself at which metrics are served by default. Servers on one machine share the default; a server that finds it
/// taken serves no metrics.
pub const DEFAULT_HTTP_PORT: u16 = 8080;

impl ServeArgs {
    /// The database to serve, unless the demo makes its own.
    #[must_use]
    pub fn database(&self) -> &str {
        self.database.as_deref().unwrap_or(DATABASE)
    }

    /// How long a connection lasts, None for as long as its client wants.
    #[must_use]
    pub fn connection_age(&self) -> Option<Duration> {
        self.max_connection_age.map(|seconds| Duration::from_secs(seconds.into()))
    }

    /// What calls there are at most.
    #[must_use]
    pub const fn capacity(&self) -> Capacity {
        Capacity {
            memory_in_flight: (self.memory_in_flight_mb as usize) << 20,
            calls_per_second: self.quota_per_second,
        }
    }

    /// The definitions of segments and key figures.
    ///
    /// # Errors
    /// When the file cannot be read, or is not such a file.
    pub fn insight_spec(&self) -> Result<InsightSpec> {
        let Some(path) = &self.insight else { return Ok(InsightSpec::default()) };
        std::fs::read_to_string(path)
            .map_err(|error| error.to_string())
            .and_then(|text| InsightSpec::parse(&text).map_err(|error| error.to_string()))
            .map_err(|error| Error::invalid(format!("the definitions {}", path.display()), error))
    }

    /// What the server does by itself.
    #[must_use]
    pub fn plan(&self) -> JobPlan {
        let duration = |interval: Option<JobInterval>| interval.map(|interval| interval.0);
        JobPlan { score_every: duration(self.score_every), train_every: duration(self.train_every) }
    }

    /// The rules of early warning, and where their alerts are sent.
    ///
    /// # Errors
    /// When the file or one that it names cannot be read, or is not such a file.
    pub fn alert_settings(&self) -> Result<AlertSettings> {
        let Some(path) = &self.alerts else { return Ok(AlertSettings::default()) };
        let refused = |error: String| Error::invalid(format!("the rules {}", path.display()), error);
        let rules = std::fs::read_to_string(path)
            .map_err(|error| error.to_string())
            .and_then(|text| AlertRules::parse(&text).map_err(|error| error.to_string()))
            .map_err(refused)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let open = |webhook| {
            Webhook::open(webhook, folder).map_err(|error| match error {
                Error::Invalid(_) => refused(error.to_string()),
                other => other,
            })
        };
        let webhook = rules.webhook.as_ref().map(open).transpose()?;
        Ok(AlertSettings { rules: Arc::new(rules), webhook: webhook.map(Arc::new) })
    }

    /// The memory for warm histories, in bytes.
    #[must_use]
    pub fn cache_bytes(&self) -> u64 {
        u64::from(self.cache_mb) << 20
    }
}
