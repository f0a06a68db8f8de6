//! `tally insights affinities`: which values of a property customers buy together.

use tally_proto::v1::{Affinity, ListAffinitiesRequest, ListAffinitiesResponse};

use crate::{
    args::AffinitiesArgs,
    connection::Connection,
    error::ClientError,
    output::{
        self, count, counted, cut, decimals, moment, narrow_table, narrow_text, percent, printable, share,
    },
    paging, time,
};

/// The most columns of a value.
const VALUE: usize = 22;

/// Prints the affinities: JSON page by page, text in one table.
pub(super) async fn affinities(
    server: &Connection,
    args: &AffinitiesArgs,
    json: bool,
) -> Result<(), ClientError> {
    let listed = paging::read(args.limit, json, async |page_size, page_token| {
        let request = ListAffinitiesRequest {
            property: args.property.clone().unwrap_or_default(),
            as_of_time: args.as_of.map(time::timestamp),
            page_size,
            page_token,
        };
        let page = server.insights().list_affinities(request).await;
        Ok(page.map_err(|status| server.error(&status))?.into_inner())
    });
    let listed = listed.await?;
    let showing = showing(listed.shown, &listed.first);
    if json {
        output::remark(&showing);
        return Ok(());
    }
    let reply = ListAffinitiesResponse { affinities: listed.items, ..listed.first };
    Ok(output::print(&page(&reply, &showing))?)
}

fn showing(shown: usize, reply: &ListAffinitiesResponse) -> String {
    format!("{} as of {}", paging::showing(shown, reply.total_size), moment(reply.as_of_time.as_ref()))
}

fn page(reply: &ListAffinitiesResponse, showing: &str) -> String {
    let property = printable(&reply.property);
    let of = counted(reply.customers, "customer bought", "customers bought");
    let of = format!("{of} something with the property `{property}` in the window");
    if reply.affinities.is_empty() {
        return narrow_text(&format!("no affinities: {of}\n{showing}"));
    }
    let header = ["bought", "customers", "and also", "both", "confidence", "at least", "of all", "lift"];
    let rows = reply.affinities.iter().map(|affinity| row(affinity, reply.customers));
    let mut notes = vec![
        showing.to_owned(),
        of,
        "confidence: the share that also bought it; at least: the lower end of its 95 % interval; of all: the share \
         of all customers that bought it; lift: confidence by that"
            .to_owned(),
    ];
    for (left_out, one, many) in [
        (reply.values_left_out, "less common value", "less common values"),
        (reply.affinities_left_out, "weaker affinity", "weaker affinities"),
    ] {
        if left_out > 0 {
            notes.push(format!("left out: {}", counted(left_out, one, many)));
        }
    }
    format!("{}\n\n{}", narrow_table(&header, &[1, 3, 4, 5, 6, 7], rows), narrow_text(&notes.join("\n")))
}

fn row(affinity: &Affinity, customers: i64) -> Vec<String> {
    vec![
        cut(&affinity.from_value, VALUE),
        count(affinity.from_customers),
        cut(&affinity.to_value, VALUE),
        count(affinity.both),
        percent(affinity.confidence),
        percent(affinity.confidence_lower),
        share(affinity.to_customers, customers),
        decimals(Some(affinity.lift), 2),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insights::samples::{assert_fits, long_name, moment};

    fn reply(affinities: Vec<Affinity>) -> ListAffinitiesResponse {
        ListAffinitiesResponse {
            total_size: 12,
            affinities,
            as_of_time: moment("2011-12-09"),
            property: "category".to_owned(),
            customers: 1_234,
            ..Default::default()
        }
    }

    fn machines() -> Affinity {
        Affinity {
            from_value: "machines".to_owned(),
            to_value: "service".to_owned(),
            from_customers: 120,
            to_customers: 250,
            both: 90,
            confidence: 0.75,
            confidence_lower: 0.6657,
            lift: 3.702,
        }
    }

    #[test]
    fn affinities_are_a_table() {
        let mut reply = reply(vec![machines()]);
        reply.values_left_out = 17;
        insta::assert_snapshot!(page(&reply, &showing(1, &reply)), @r"
        bought    customers  and also  both  confidence  at least  of all  lift
        ────────────────────────────────────────────────────────────────────────
        machines        120  service     90      75.0 %    66.6 %  20.3 %  3.70

        showing 1 of 12 as of 2011-12-09T00:00:00Z
        1,234 customers bought something with the property `category` in the window
        confidence: the share that also bought it; at least: the lower end of its 95 % interval; of all:
          the share of all customers that bought it; lift: confidence by that
        left out: 17 less common values
        ");
    }

    #[test]
    fn long_values_and_large_numbers_fit() {
        let wide = Affinity {
            from_value: long_name(),
            to_value: long_name(),
            from_customers: i64::MAX,
            both: i64::MAX,
            lift: 123_456.789,
            ..machines()
        };
        let reply = reply(vec![wide]);
        assert_fits(&page(&reply, &showing(1, &reply)));
    }

    #[test]
    fn no_affinity_is_a_sentence() {
        let reply = ListAffinitiesResponse { total_size: 0, customers: 1, ..reply(Vec::new()) };
        insta::assert_snapshot!(page(&reply, &showing(0, &reply)), @r"
        no affinities: 1 customer bought something with the property `category` in the window
        showing 0 of 0 as of 2011-12-09T00:00:00Z
        ");
    }
}
