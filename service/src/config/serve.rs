//! The flags of `tally-serve`.

use std::net::SocketAddr;

use clap::Parser;

use super::{DATABASE, LogArgs};
use crate::deployment::Currency;

/// Serves customer scores over gRPC.
#[derive(Parser, Debug)]
#[command(name = "tally-serve", version)]
pub struct ServeArgs {
    /// sqlite://PATH (created when absent) or postgres://USER:PASSWORD@HOST/NAME [default: sqlite://tally.db; with --demo a temporary file]
    #[arg(long, env = "TALLY_DATABASE", hide_env_values = true)]
    pub database: Option<String>,
    /// Address and port of the gRPC server; port 0 takes a free one
    #[arg(long, env = "TALLY_LISTEN", default_value = "127.0.0.1:50051")]
    pub listen: SocketAddr,
    /// Address and port of /metrics, /healthz and /readyz; an empty value serves none [default: 127.0.0.1:8080, unless that is taken]
    #[arg(long, env = "TALLY_HTTP", value_name = "ADDRESS", value_parser = http)]
    pub http: Option<HttpAddress>,
    /// The currency of all amounts, an ISO 4217 code such as EUR; kept in the database, so that one start suffices
    #[arg(long, env = "TALLY_CURRENCY", value_name = "CODE")]
    pub currency: Option<Currency>,
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
    /// Fill the database with a simulated business, train both models, score all customers, and serve
    #[arg(long, env = "TALLY_DEMO")]
    pub demo: bool,
    /// How many customers the simulated business has
    #[arg(long, env = "TALLY_DEMO_CUSTOMERS", default_value_t = 3_000, requires = "demo",
          value_parser = clap::value_parser!(u32).range(500..=1_000_000))]
    pub demo_customers: u32,
    /// How to log
    #[command(flatten)]
    pub log: LogArgs,
}

/// Where metrics are served, as given by `--http`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpAddress {
    /// Nowhere.
    Off,
    /// At this address.
    At(SocketAddr),
}

/// Reads `--http`.
fn http(text: &str) -> Result<HttpAddress, std::net::AddrParseError> {
    if text.is_empty() { Ok(HttpAddress::Off) } else { text.parse().map(HttpAddress::At) }
}

/// Where metrics are served by default. Servers on one machine share the default; a server that finds it
/// taken serves no metrics.
pub const DEFAULT_HTTP: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

impl ServeArgs {
    /// The database to serve, unless the demo makes its own.
    #[must_use]
    pub fn database(&self) -> &str {
        self.database.as_deref().unwrap_or(DATABASE)
    }

    /// The memory for warm histories, in bytes.
    #[must_use]
    pub fn cache_bytes(&self) -> u64 {
        u64::from(self.cache_mb) << 20
    }
}
