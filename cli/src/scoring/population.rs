//! `tally score-all`: scores all customers, with a progress bar.

use tally_proto::v1::{ScorePopulationRequest, ScorePopulationResponse};
use tally_terminal::progress;

use crate::{
    args::ScoreAllArgs,
    connection::Connection,
    error::{ClientError, in_flags},
    output::{self, counted, moment, printable},
    time,
};

/// Scores all eligible customers and prints how many predictions are stored.
pub(crate) async fn score_all(
    server: &Connection,
    args: &ScoreAllArgs,
    json: bool,
) -> Result<(), ClientError> {
    let request = ScorePopulationRequest {
        target: args.target.number(),
        as_of_time: args.as_of.map(time::timestamp),
        model: args.model.clone().unwrap_or_default(),
        partitions: args.partitions,
        partition: args.partition,
    };
    let last = run(server, request).await?;
    if !last.warning.is_empty() {
        output::remark(&format!("warning: {}", printable(&in_flags(&last.warning))));
    }
    Ok(output::show(&last, json, summary)?)
}

/// Follows the call to its end and returns the last message.
async fn run(
    server: &Connection,
    request: ScorePopulationRequest,
) -> Result<ScorePopulationResponse, ClientError> {
    let failed = |status| server.error(&status);
    let mut replies = server.predictions().score_population(request).await.map_err(failed)?.into_inner();
    let mut last = ScorePopulationResponse::default();
    let mut complete = false;
    let mut bar = None;
    while let Some(reply) = replies.message().await.map_err(failed)? {
        let total = reply.total.unsigned_abs();
        bar.get_or_insert_with(|| progress::begin("scoring", total)).set_position(reply.done.unsigned_abs());
        complete = reply.done == reply.total;
        last = reply;
    }
    if complete { Ok(last) } else { Err(ClientError::CutShort(summary(&last))) }
}

fn summary(last: &ScorePopulationResponse) -> String {
    format!(
        "stored {} of {}, by {} as of {}",
        counted(last.stored, "prediction", "predictions"),
        counted(last.total, "customer", "customers"),
        printable(&last.model),
        moment(last.as_of_time.as_ref())
    )
}
