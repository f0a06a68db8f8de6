//! `tally worklist outcome`: what came of an action.

use tally_proto::v1::{RecordActionOutcomeRequest, RecordActionOutcomeResponse};

use super::names::kind;
use crate::{
    args::OutcomeArgs,
    connection::Connection,
    environment::system_clock,
    error::ClientError,
    output::{self, datetime, moment, printable},
    time,
};

/// Reports what came of an action and prints which episode it belongs to.
pub(super) async fn outcome(server: &Connection, args: &OutcomeArgs, json: bool) -> Result<(), ClientError> {
    let request = RecordActionOutcomeRequest {
        customer_id: args.customer_id.clone(),
        kind: args.kind.number(),
        action: args.action.clone(),
        outcome: args.outcome.number(),
        note: args.note.clone(),
        occur_time: args.at.map(|at| time::timestamp(at.end(system_clock()))),
    };
    let reply = server.insights().record_action_outcome(request).await;
    let reply = reply.map_err(|status| server.error(&status))?.into_inner();
    Ok(output::show(&reply, json, recorded)?)
}

fn recorded(reply: &RecordActionOutcomeResponse) -> String {
    format!(
        "recorded for {}, {}, of the list as of {}; purchases until {} count",
        printable(&reply.customer_id),
        kind(reply.kind),
        moment(reply.as_of_time.as_ref()),
        datetime(reply.until_time.as_ref()),
    )
}

#[cfg(test)]
mod tests {
    use tally_proto::v1::WorkKind;

    use super::*;
    use crate::insights::samples::moment;

    #[test]
    fn the_episode_is_named() {
        let reply = RecordActionOutcomeResponse {
            customer_id: "C1".to_owned(),
            kind: WorkKind::AtRisk.into(),
            action: "personal call".to_owned(),
            as_of_time: moment("2026-01-31"),
            until_time: moment("2026-05-01"),
        };
        assert_eq!(
            recorded(&reply),
            "recorded for C1, at_risk, of the list as of 2026-01-31T00:00:00Z; purchases until \
             2026-05-01T00:00:00Z count"
        );
    }
}
