//! Chooses what to do with the worklist.

use super::{effect::effect, episodes::episodes, list::list, outcome::outcome, publish::publish};
use crate::{args::WorklistCommand, connection::Connection, error::ClientError};

/// Runs a command on the worklist.
pub(crate) async fn run(
    server: &Connection,
    command: &WorklistCommand,
    json: bool,
) -> Result<(), ClientError> {
    match command {
        WorklistCommand::List(args) => list(server, args, json).await,
        WorklistCommand::Publish(args) => publish(server, args, json).await,
        WorklistCommand::Outcome(args) => outcome(server, args, json).await,
        WorklistCommand::Episodes(args) => episodes(server, args, json).await,
        WorklistCommand::Effect(args) => effect(server, args, json).await,
    }
}
