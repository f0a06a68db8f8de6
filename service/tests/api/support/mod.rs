//! What the tests share: a database of their own, a real server on a free port with typed clients, and the
//! programs. The tests know the service by its contract; this module alone knows how to start it.

mod assertions;
mod database;
mod direct_connection;
mod http;
mod messages;
mod pgbouncer;
mod postgres_cluster;
mod programs;
mod proxy;
mod random;
pub mod raw_http2;
mod requests;
mod server;
mod simulation;
mod training;
mod walk;

pub use assertions::{assert_refused, eventually};
pub use database::Database;
pub use direct_connection::DirectConnection;
pub use http::{get, metric_value};
pub use messages::{customer, interaction, score_of, time, timestamp};
pub use pgbouncer::PgBouncer;
pub use programs::{ServeProcess, program, text};
pub use proxy::Proxy;
pub use random::draw;
pub use server::{Tally, open_app};
pub use simulation::{business, has_kind, simulated_customer, simulated_interactions};

/// Runs an async test on both databases: `on_both_stores!(name, …)` with `async fn name(tally: Tally)`.
macro_rules! on_both_stores {
    ($($name:ident),+ $(,)?) => { $(
        mod $name {
            use crate::support::{Database, Tally};

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_sqlite() {
                super::$name(Tally::start(Database::sqlite()).await).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn on_postgres() {
                super::$name(Tally::start(Database::postgres().await).await).await;
            }
        }
    )+ };
}
pub(crate) use on_both_stores;
