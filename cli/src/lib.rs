//! The `tally` command: a gRPC client that prints tables for people or JSON for programs.
//!
//! It knows the contract ([`tally_proto`]) and nothing else of Tally, like any other client. `args` holds
//! the arguments; `import`, `customers`, `interactions`, `scoring`, `predictions`, `models`, `insights`, `worklist`,
//! `alerts`, `jobs` and `admin` hold the commands; `output` holds what they print with.

use std::io::ErrorKind;

mod admin;
mod alerts;
pub mod args;
mod connection;
mod customers;
mod environment;
mod error;
mod import;
mod insights;
mod interactions;
mod jobs;
mod models;
mod output;
mod predictions;
mod scoring;
mod time;
mod worklist;

pub use args::Args;
pub use error::{ClientError, CsvError, Refusal};
pub use time::InvalidTime;

use args::Command;
use connection::Connection;

/// Connects to the server and runs the command.
///
/// # Errors
/// Why the command failed, as a text for the terminal. A reader that closes standard output early is no
/// error.
pub async fn run(args: Args) -> Result<(), ClientError> {
    let server = Connection::open(&args.server).await?;
    let result = match &args.command {
        Command::Import(import) => import::run(&server, import, args.json).await,
        Command::Customers(customers) => customers::run(&server, customers, args.json).await,
        Command::Interactions(interactions) => interactions::run(&server, interactions, args.json).await,
        Command::Score(score) => scoring::score(&server, score, args.json).await,
        Command::ScoreAll(score_all) => scoring::score_all(&server, score_all, args.json).await,
        Command::Predictions(predictions) => predictions::run(&server, predictions, args.json).await,
        Command::Models(models) => models::run(&server, models, args.json).await,
        Command::Admin(admin) => admin::run(&server, admin, args.json).await,
        Command::Alerts(alerts) => alerts::run(&server, alerts, args.json).await,
        Command::Insights(insights) => insights::run(&server, insights, args.json).await,
        Command::Jobs(jobs) => jobs::run(&server, jobs, args.json).await,
        Command::Worklist(worklist) => worklist::run(&server, worklist, args.json).await,
    };
    match result {
        // As in `tally predictions churn | head`.
        Err(ClientError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}
