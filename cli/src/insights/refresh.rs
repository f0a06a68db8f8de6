//! `tally insights refresh`: makes a pass over all customers, with a progress bar.

use jiff::Timestamp;
use tally_proto::v1::{RefreshInsightsRequest, RefreshInsightsResponse};
use tally_terminal::progress;

use crate::{
    connection::Connection,
    error::{ClientError, in_flags},
    output::{self, count, counted, moment, printable},
    time,
};

/// Makes a pass and prints how many customers it visited.
pub(super) async fn refresh(
    server: &Connection,
    as_of: Option<Timestamp>,
    json: bool,
) -> Result<(), ClientError> {
    let last = run(server, RefreshInsightsRequest { as_of_time: as_of.map(time::timestamp) }).await?;
    if !last.warning.is_empty() {
        output::remark(&format!("warning: {}", printable(&in_flags(&last.warning))));
    }
    Ok(output::show(&last, json, summary)?)
}

/// Follows the call to its end and returns the last message.
async fn run(
    server: &Connection,
    request: RefreshInsightsRequest,
) -> Result<RefreshInsightsResponse, ClientError> {
    let failed = |status| server.error(&status);
    let mut replies = server.insights().refresh_insights(request).await.map_err(failed)?.into_inner();
    let mut last = RefreshInsightsResponse::default();
    let mut complete = false;
    let mut bar = None;
    while let Some(reply) = replies.message().await.map_err(failed)? {
        let total = reply.total.unsigned_abs();
        bar.get_or_insert_with(|| progress::begin("insights", total)).set_position(reply.done.unsigned_abs());
        complete = reply.done == reply.total;
        last = reply;
    }
    if complete { Ok(last) } else { Err(ClientError::CutShort(unfinished(&last))) }
}

fn summary(last: &RefreshInsightsResponse) -> String {
    let customers = counted(last.total, "customer", "customers");
    format!("insights as of {}: {customers} visited", moment(last.as_of_time.as_ref()))
}

fn unfinished(last: &RefreshInsightsResponse) -> String {
    let customers = counted(last.total, "customer is", "customers are");
    format!("{} of {customers} done, and there are no new insights", count(last.done))
}
