//! Lists interactions, page by page.

use tally_proto::{
    limits,
    v1::{Interaction, ListInteractionsRequest, ListInteractionsResponse},
};

use crate::{
    args::ListInteractionsArgs,
    connection::Connection,
    error::ClientError,
    output::{self, datetime, printable, table},
};

/// Prints the interactions of a customer: JSON page by page, text in one table.
pub(super) async fn list(
    server: &Connection,
    args: &ListInteractionsArgs,
    json: bool,
) -> Result<(), ClientError> {
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let mut request = ListInteractionsRequest {
        customer_id: args.customer_id.clone(),
        page_size: limit.min(limits::LONGEST_PAGE) as i32,
        page_token: String::new(),
        show_retracted: args.retracted,
    };
    let mut client = server.interactions();
    let (mut shown, mut rows) = (0, Vec::new());
    loop {
        let page = client.list_interactions(request.clone()).await;
        let page = page.map_err(|status| server.error(&status))?.into_inner();
        let ListInteractionsResponse { mut interactions, next_page_token } = page;
        interactions.truncate(limit - shown);
        shown += interactions.len();
        if json {
            interactions.iter().try_for_each(output::print_json)?;
        } else {
            rows.append(&mut interactions);
        }
        request.page_token = next_page_token;
        if shown == limit || request.page_token.is_empty() {
            break;
        }
    }
    if !request.page_token.is_empty() {
        output::remark("there are more; --limit lists them");
    }
    if json { Ok(()) } else { Ok(output::print(&interactions_table(&rows))?) }
}

fn interactions_table(interactions: &[Interaction]) -> String {
    if interactions.is_empty() {
        return "no interactions".to_owned();
    }
    let rows = interactions.iter().map(|interaction| {
        let mut properties: Vec<String> =
            interaction.properties.iter().map(|(name, value)| format!("{name}={value}")).collect();
        // A map has no order.
        properties.sort_unstable();
        let state = match interaction.retract_time.as_ref() {
            None => String::new(),
            time => format!("retracted {}", datetime(time)),
        };
        vec![
            printable(&interaction.customer_id),
            printable(&interaction.interaction_id),
            printable(&interaction.kind),
            datetime(interaction.occur_time.as_ref()),
            datetime(interaction.record_time.as_ref()),
            interaction.amount_minor.map(|amount| amount.to_string()).unwrap_or_default(),
            printable(&interaction.channel),
            printable(&properties.join(" ")),
            state,
        ]
    });
    let header = [
        "customer",
        "interaction",
        "kind",
        "occurred",
        "recorded",
        "amount (minor)",
        "channel",
        "properties",
        "",
    ];
    table(&header, &[5], rows)
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    #[test]
    fn interactions_are_a_table() {
        let time = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let retracted = Interaction {
            customer_id: "C1".to_owned(),
            interaction_id: "I1".to_owned(),
            kind: "purchase".to_owned(),
            occur_time: time(1_315_526_400),
            amount_minor: Some(1_250),
            channel: "shop".to_owned(),
            properties: [("units".to_owned(), "2".to_owned()), ("sku".to_owned(), "a".to_owned())].into(),
            record_time: time(1_315_526_401),
            retract_time: time(1_315_612_800),
        };
        let visit =
            Interaction { customer_id: "C2".to_owned(), kind: "visit".to_owned(), ..Default::default() };
        insta::assert_snapshot!(interactions_table(&[retracted, visit]), @r"
        customer  interaction  kind      occurred              recorded              amount (minor)  channel  properties
        ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        C1        I1           purchase  2011-09-09T00:00:00Z  2011-09-09T00:00:01Z            1250  shop     sku=a units=2  retracted 2011-09-10T00:00:00Z
        C2                     visit
        ");
        assert_eq!(interactions_table(&[]), "no interactions");
    }
}
