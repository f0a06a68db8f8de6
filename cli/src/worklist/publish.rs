//! `tally worklist publish`: a list is handed out.

use jiff::Timestamp;
use tally_proto::v1::{PublishWorklistRequest, PublishWorklistResponse};

use super::names::{numbers, places};
use crate::{
    args::PublishArgs,
    connection::Connection,
    environment::system_clock,
    error::ClientError,
    insights::warnings,
    output::{self, count, counted, moment},
    time,
};

/// Publishes a list and prints what came of it.
pub(super) async fn publish(server: &Connection, args: &PublishArgs, json: bool) -> Result<(), ClientError> {
    let request = PublishWorklistRequest {
        kinds: numbers(&args.kinds),
        as_of_time: args.as_of.map(time::timestamp),
        include_not_paying: args.include_not_paying,
    };
    let reply = server.insights().publish_worklist(request).await;
    let reply = reply.map_err(|status| server.error(&status))?.into_inner();
    if let Some(note) = time_over(&reply, system_clock()) {
        output::remark(&note);
    }
    Ok(output::show(&reply, json, |reply| {
        let parts = [published(reply)].into_iter().chain(warnings(&reply.warnings));
        parts.collect::<Vec<_>>().join("\n")
    })?)
}

/// That the time of what was handed out began long ago: purchases before the publication count, too.
fn time_over(reply: &PublishWorklistResponse, now: Timestamp) -> Option<String> {
    let as_of = reply.as_of_time.filter(|_| reply.published > 0)?;
    let days = (now.as_second() - as_of.seconds) / 86_400;
    (days > 0).then(|| {
        format!(
            "note: the time of this list began {} ago, at the moment that it is about, and purchases since then count; \
             `tally insights refresh` makes a list about now",
            counted(days, "day", "days")
        )
    })
}

fn published(reply: &PublishWorklistResponse) -> String {
    let still_open = match reply.still_open {
        0 => String::new(),
        1 => "; 1 was handed out before, and its time is not over".to_owned(),
        items => format!("; {} were handed out before, and their time is not over", count(items)),
    };
    let places = places(reply.places_used, reply.places_left);
    format!(
        "published {} as of {}, {} of them held out{still_open}{}",
        counted(reply.published, "item", "items"),
        moment(reply.as_of_time.as_ref()),
        count(reply.held_out),
        places.map(|places| format!("; {places}")).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insights::samples::moment;

    #[test]
    fn an_old_list_is_noted() {
        let note = |published, now: &str| {
            let as_of_time = moment("2026-01-31");
            let reply =
                PublishWorklistResponse { published, as_of_time, ..PublishWorklistResponse::default() };
            time_over(&reply, time::parse(now).unwrap())
        };
        assert_eq!(note(1, "2026-01-31T23:59:59Z"), None);
        assert!(note(1, "2026-02-01").unwrap().contains(" began 1 day ago, at the moment"));
        assert!(note(1, "2026-04-01T13:00:00Z").unwrap().contains(" began 60 days ago, at the moment"));
        assert_eq!(note(0, "2026-04-01"), None, "nothing was handed out");
        assert_eq!(note(1, "2026-01-01"), None, "the clocks differ");
    }

    #[test]
    fn what_was_published_is_counted() {
        let reply = PublishWorklistResponse {
            published: 1_200,
            held_out: 120,
            as_of_time: moment("2026-01-31"),
            ..PublishWorklistResponse::default()
        };
        let text = |still_open| published(&PublishWorklistResponse { still_open, ..reply.clone() });
        assert_eq!(text(0), "published 1,200 items as of 2026-01-31T00:00:00Z, 120 of them held out");
        assert!(text(7).ends_with("; 7 were handed out before, and their time is not over"));
        assert!(text(1).ends_with("; 1 was handed out before, and its time is not over"));
        let none = PublishWorklistResponse {
            published: 0,
            held_out: 0,
            places_used: Some(20),
            places_left: Some(0),
            ..reply.clone()
        };
        assert_eq!(
            published(&none),
            "published 0 items as of 2026-01-31T00:00:00Z, 0 of them held out; all 20 places of the day are used"
        );
        let some = PublishWorklistResponse {
            published: 1,
            places_used: Some(1),
            places_left: Some(19),
            ..reply.clone()
        };
        assert!(published(&some).starts_with("published 1 item as of"));
        assert!(published(&some).ends_with("; 19 of 20 places of the day are left"));
    }
}
