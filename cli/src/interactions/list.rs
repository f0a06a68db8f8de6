//! Lists interactions, page by page.

use tally_proto::v1::{Interaction, ListInteractionsRequest};

use crate::{
    args::ListInteractionsArgs,
    connection::Connection,
    error::ClientError,
    insights::currency,
    output::{self, Currency, datetime, printable, table},
    paging,
};

/// Prints the interactions of a customer: JSON page by page, text in one table.
pub(super) async fn list(
    server: &Connection,
    args: &ListInteractionsArgs,
    json: bool,
) -> Result<(), ClientError> {
    let listed = paging::read(args.limit, json, async |page_size, page_token| {
        let request = ListInteractionsRequest {
            customer_id: args.customer_id.clone(),
            page_size,
            page_token,
            show_retracted: args.retracted,
        };
        let page = server.interactions().list_interactions(request).await;
        Ok(page.map_err(|status| server.error(&status))?.into_inner())
    });
    let listed = listed.await?;
    if listed.has_more {
        output::remark("there are more; --limit lists them");
    }
    if json {
        return Ok(());
    }
    let currency = currency(server).await?;
    Ok(output::print(&interactions_table(&listed.items, &currency))?)
}

fn interactions_table(interactions: &[Interaction], currency: &Currency) -> String {
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
            interaction.amount_minor.map(|amount| currency.amount(amount)).unwrap_or_default(),
            printable(&interaction.channel),
            printable(&properties.join(" ")),
            state,
        ]
    });
    let header =
        ["customer", "interaction", "kind", "occurred", "recorded", "amount", "channel", "properties", ""];
    let table = table(&header, &[5], rows);
    match currency.note().filter(|_| interactions.iter().any(|one| one.amount_minor.is_some())) {
        None => table,
        Some(note) => format!("{table}\n\n{note}"),
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;
    use crate::insights::samples::euro;

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
        insta::assert_snapshot!(interactions_table(&[retracted, visit], &euro()), @r"
        customer  interaction  kind      occurred              recorded              amount  channel  properties
        ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
        C1        I1           purchase  2011-09-09T00:00:00Z  2011-09-09T00:00:01Z   12.50  shop     sku=a units=2  retracted 2011-09-10T00:00:00Z
        C2                     visit

        amounts in EUR
        ");
        assert_eq!(interactions_table(&[], &euro()), "no interactions");
    }
}
