//! The `tally` command: a gRPC client that prints tables for people or JSON for programs.
//!
//! It knows the contract ([`tally_proto`]) and nothing else of Tally, like any other client. `args` holds
//! the arguments; `import`, `customers`, `interactions`, `scoring`, `predictions`, `models`, `insights`, `worklist`,
//! `alerts`, `jobs`, `admin`, `audit` and `token` hold the commands; `paging` reads lists, and `output` holds
//! what they print with.

use std::io::ErrorKind;

mod admin;
mod alerts;
pub mod args;
mod audit;
mod connection;
mod customers;
mod environment;
mod error;
pub mod import;
mod insights;
mod interactions;
mod jobs;
mod models;
mod output;
mod paging;
mod predictions;
mod scoring;
mod time;
mod tls;
mod token;
mod worklist;

pub use args::Args;
pub use error::{ClientError, CsvError, Refusal};
pub use time::InvalidTime;

use args::Command;
use connection::Connection;

/// Runs the command, for which it connects to the server, unless it needs none.
///
/// # Errors
/// Why the command failed, as a text for the terminal. A reader that closes standard output early is no
/// error.
pub async fn run(args: Args) -> Result<(), ClientError> {
    environment::check_clock(environment::system_clock())?;
    let server = Connection::open(&args.server);
    let result = match &args.command {
        Command::Token(token) => token::run(token, args.json),
        Command::Import(import) => import::run(&server.await?, import, args.json).await,
        Command::Customers(customers) => customers::run(&server.await?, customers, args.json).await,
        Command::Interactions(interactions) => {
            interactions::run(&server.await?, interactions, args.json).await
        }
        Command::Score(score) => scoring::score(&server.await?, score, args.json).await,
        Command::ScoreAll(score_all) => scoring::score_all(&server.await?, score_all, args.json).await,
        Command::Predictions(predictions) => predictions::run(&server.await?, predictions, args.json).await,
        Command::Models(models) => models::run(&server.await?, models, args.json).await,
        Command::Admin(admin) => admin::run(&server.await?, admin, args.json).await,
        Command::Audit(audit) => audit::run(&server.await?, audit, args.json).await,
        Command::Alerts(alerts) => alerts::run(&server.await?, alerts, args.json).await,
        Command::Insights(insights) => insights::run(&server.await?, insights, args.json).await,
        Command::Jobs(jobs) => jobs::run(&server.await?, jobs, args.json).await,
        Command::Worklist(worklist) => worklist::run(&server.await?, worklist, args.json).await,
    };
    match result {
        // As in `tally predictions churn | head`.
        Err(ClientError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
