//! `tally worklist publish`: a list is handed out.

use tally_proto::v1::{PublishWorklistRequest, PublishWorklistResponse};

use super::names::numbers;
use crate::{
    args::PublishArgs,
    connection::Connection,
    error::ClientError,
    output::{self, count, datetime},
    time,
};

/// Publishes a list and prints what came of it.
pub(super) async fn publish(server: &Connection, args: &PublishArgs, json: bool) -> Result<(), ClientError> {
    let request =
        PublishWorklistRequest { kinds: numbers(&args.kinds), as_of_time: args.as_of.map(time::timestamp) };
    let reply = server.insights().publish_worklist(request).await;
    let reply = reply.map_err(|status| server.error(&status))?.into_inner();
    Ok(output::show(&reply, json, published)?)
}

fn published(reply: &PublishWorklistResponse) -> String {
    let still_open = match reply.still_open {
        0 => String::new(),
        items => format!("; {} were handed out before, and their time is not over", count(items)),
    };
    format!(
        "published {} items as of {}, {} of them held out{still_open}",
        count(reply.published),
        datetime(reply.as_of_time.as_ref()),
        count(reply.held_out),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insights::samples::moment;

    #[test]
    fn what_was_published_is_counted() {
        let text = |still_open| {
            published(&PublishWorklistResponse {
                published: 1_200,
                held_out: 120,
                still_open,
                as_of_time: moment("2026-01-31"),
            })
        };
        assert_eq!(text(0), "published 1,200 items as of 2026-01-31T00:00:00Z, 120 of them held out");
        assert!(text(7).ends_with("; 7 were handed out before, and their time is not over"));
    }
}
