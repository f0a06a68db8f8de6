//! Chooses what to do with interactions.

use tally_proto::{
    limits,
    v1::{InteractionKey, RetractInteractionsRequest, RetractInteractionsResponse},
};

use super::list::list;
use crate::{
    args::{InteractionsCommand, RetractArgs},
    connection::Connection,
    error::ClientError,
    output::{self, count},
};

/// Runs a command on interactions.
pub(crate) async fn run(
    server: &Connection,
    command: &InteractionsCommand,
    json: bool,
) -> Result<(), ClientError> {
    match command {
        InteractionsCommand::List(args) => list(server, args, json).await,
        InteractionsCommand::Retract(args) => retract(server, args, json).await,
    }
}

async fn retract(server: &Connection, args: &RetractArgs, json: bool) -> Result<(), ClientError> {
    let mut all = RetractInteractionsResponse::default();
    for ids in args.interaction_ids.chunks(limits::INTERACTIONS) {
        let key = |id: &String| InteractionKey {
            customer_id: args.customer_id.clone(),
            interaction_id: id.clone(),
        };
        let keys = ids.iter().map(key).collect();
        let request = RetractInteractionsRequest { keys, reason: args.reason.clone() };
        let reply = server.interactions().retract_interactions(request).await;
        let reply = reply.map_err(|status| server.error(&status))?.into_inner();
        all.retracted += reply.retracted;
        all.already_retracted += reply.already_retracted;
    }
    Ok(output::show(&all, json, retracted)?)
}

fn retracted(reply: &RetractInteractionsResponse) -> String {
    let before = match reply.already_retracted {
        0 => String::new(),
        before => format!("; {} had been retracted before", count(before)),
    };
    format!("{} retracted{before}", count(reply.retracted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_retracted_is_counted() {
        let text = |retracted, already_retracted| {
            super::retracted(&RetractInteractionsResponse { retracted, already_retracted })
        };
        assert_eq!(text(2, 0), "2 retracted");
        assert_eq!(text(1_000, 1), "1,000 retracted; 1 had been retracted before");
    }
}
