//! `tally insights members`: the customers of a segment, page by page.

use prost_types::Timestamp;
use tally_proto::v1::{ListSegmentMembersRequest, SegmentMember};

use super::reply;
use crate::{
    args::{MemberOrderArg, MembersArgs},
    connection::Connection,
    error::ClientError,
    output::{
        self, Currency, DASH, count, cut, decimals, growth, insert_names, moment, narrow_table, narrow_text,
        percent, printable,
    },
    paging, time,
};

/// The most columns of an id, which a UUID has, and of the name of a segment.
const ID: usize = 36;
const SEGMENT: usize = 16;

/// Prints the customers: JSON page by page, text in one table.
pub(super) async fn members(server: &Connection, args: &MembersArgs, json: bool) -> Result<(), ClientError> {
    let listed = paging::read(args.limit, json, async |page_size, page_token| {
        let request = ListSegmentMembersRequest { page_size, page_token, ..request(args) };
        let page = server.insights().list_segment_members(request).await;
        Ok(page.map_err(|status| server.error(&status))?.into_inner())
    });
    let listed = listed.await?;
    let warnings = reply::warnings(&listed.first.warnings);
    let showing = showing(listed.shown, listed.first.total_size, listed.first.as_of_time.as_ref());
    if json {
        output::remark(&showing);
        warnings.iter().for_each(|warnings| output::remark(warnings));
        return Ok(());
    }
    let currency = reply::currency(server).await?;
    let page = page(&listed.items, args, &showing, &currency);
    let parts: Vec<String> = [page].into_iter().chain(warnings).collect();
    Ok(output::print(&parts.join("\n\n"))?)
}

fn request(args: &MembersArgs) -> ListSegmentMembersRequest {
    ListSegmentMembersRequest {
        segmentation: args.segmentation.clone(),
        segment: args.segment.clone().unwrap_or_default(),
        as_of_time: args.as_of.map(time::timestamp),
        missing_value: args.missing_value,
        order_by: args.order_by.order_by().to_owned(),
        ..ListSegmentMembersRequest::default()
    }
}

fn showing(shown: usize, total: i64, as_of: Option<&Timestamp>) -> String {
    format!("{} as of {}", paging::showing(shown, total), moment(as_of))
}

fn page(members: &[SegmentMember], args: &MembersArgs, showing: &str, currency: &Currency) -> String {
    if members.is_empty() {
        let of = args.segment.as_ref().map(|segment| format!(" {}", cut(segment, SEGMENT)));
        return format!(
            "no customers in {}{}; {showing}",
            printable(&args.segmentation),
            of.unwrap_or_default()
        );
    }
    // The other segmentations have a column anyway.
    let with_segment =
        args.segment.is_none() && !["abc", "rfm_cell", "life_cycle"].contains(&args.segmentation.as_str());
    let mut header = vec!["customer"];
    header.extend(with_segment.then_some("segment"));
    header.extend(["revenue", "returns", "orders", "growth"]);
    header.extend(if with_segment { [].as_slice() } else { ["ABC", "RFM"].as_slice() });
    header.extend(["stage", "overdue", "churn", "CLV"]);
    let mut rows: Vec<Vec<String>> =
        members.iter().map(|member| row(member, with_segment, currency)).collect();
    let names = insert_names(&mut header, &mut rows, members.iter().map(|member| member.name.as_str()));
    let (money, last) = (1 + names + usize::from(with_segment), header.len());
    let numbers = [money, money + 1, money + 2, money + 3, last - 3, last - 2, last - 1];
    let table = narrow_table(&header, &numbers, rows);
    let first = match args.order_by {
        MemberOrderArg::Net => "net revenue (revenue less returns)",
        MemberOrderArg::Clv => "lifetime value (CLV)",
    };
    let mut notes = vec![
        showing.to_owned(),
        format!("money and orders are of the window; the greatest {first} comes first"),
        "overdue: the time since the last purchase, in expected intervals; CLV: the profit to be expected"
            .to_owned(),
    ];
    notes.extend(currency.note());
    format!("{table}\n\n{}", narrow_text(&notes.join("\n")))
}

/// The cells of a customer. A segment takes the place of ABC class and RFM cell, since there is no room for all.
fn row(member: &SegmentMember, with_segment: bool, currency: &Currency) -> Vec<String> {
    let mut cells = vec![cut(&member.customer_id, ID)];
    cells.extend(with_segment.then(|| match member.segment.as_str() {
        "" => "(missing)".to_owned(),
        segment => cut(segment, SEGMENT),
    }));
    cells.extend([
        currency.amount(member.revenue_minor),
        currency.amount(member.returns_minor),
        count(member.orders),
        growth(member.growth),
    ]);
    if !with_segment {
        cells.extend([printable(&member.abc_class), printable(&member.rfm_cell)]);
    }
    cells.extend([
        printable(&member.life_cycle),
        decimals(member.overdue_ratio, 1),
        member.churn_probability.map_or_else(|| DASH.to_owned(), percent),
        clv(member, currency),
    ]);
    cells
}

/// The lifetime value with its interval, where there is one.
fn clv(member: &SegmentMember, currency: &Currency) -> String {
    let value = currency.optional(member.clv_minor);
    match member.clv_lower_minor.zip(member.clv_upper_minor) {
        None => value,
        Some((lower, upper)) => {
            format!("{value}; 95 %: {} to {}", currency.amount(lower), currency.amount(upper))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{
        args::{Args, Command, InsightsCommand},
        insights::samples::{assert_fits, euro, long_name, moment},
    };

    /// The page of `tally insights members` with these arguments.
    fn page_of(arguments: &[&str], members: &[SegmentMember]) -> String {
        let arguments = ["tally", "insights", "members"].iter().chain(arguments);
        let args = Args::try_parse_from(arguments).unwrap();
        let Command::Insights(InsightsCommand::Members(args)) = args.command else { panic!("{args:?}") };
        page(members, &args, &showing(members.len(), 1_234, moment("2011-12-09").as_ref()), &euro())
    }

    fn member(id: &str, segment: &str) -> SegmentMember {
        SegmentMember {
            customer_id: id.to_owned(),
            segment: segment.to_owned(),
            revenue_minor: 123_456_789,
            returns_minor: 12_345,
            orders: 89,
            growth: Some(0.25),
            rfm_cell: "543".to_owned(),
            abc_class: "A".to_owned(),
            life_cycle: "won_back".to_owned(),
            overdue_ratio: Some(1.62),
            churn_probability: Some(0.125),
            clv_minor: Some(9_876_543),
            ..SegmentMember::default()
        }
    }

    #[test]
    fn members_are_a_table() {
        let lead = SegmentMember {
            customer_id: "C2".to_owned(),
            abc_class: "none".to_owned(),
            rfm_cell: "none".to_owned(),
            life_cycle: "lead".to_owned(),
            ..SegmentMember::default()
        };
        let named = SegmentMember {
            name: "Ana Reyes".to_owned(),
            clv_lower_minor: Some(0),
            clv_upper_minor: Some(34_567_890),
            ..member("C1", "champions")
        };
        insta::assert_snapshot!(page_of(&["rfm"], &[named, lead.clone()]), @r"
        customer  name       segment         revenue  returns  orders   growth  stage     overdue   churn
        ──────────────────────────────────────────────────────────────────────────────────────────────────
        C1        Ana Reyes  champions  1,234,567.89   123.45      89  +25.0 %  won_back      1.6  12.5 %
          CLV 98,765.43; 95 %: 0.00 to 345,678.90
        C2        –          (missing)          0.00     0.00       0        –  lead            –       –
          CLV –

        showing 2 of 1,234 as of 2011-12-09T00:00:00Z
        money and orders are of the window; the greatest net revenue (revenue less returns) comes first
        overdue: the time since the last purchase, in expected intervals; CLV: the profit to be expected
        amounts in EUR
        ");
        let members = [member("C1", "champions"), lead];
        insta::assert_snapshot!(page_of(&["rfm"], &members), @r"
        customer  segment         revenue  returns  orders   growth  stage     overdue   churn        CLV
        ──────────────────────────────────────────────────────────────────────────────────────────────────
        C1        champions  1,234,567.89   123.45      89  +25.0 %  won_back      1.6  12.5 %  98,765.43
        C2        (missing)          0.00     0.00       0        –  lead            –       –          –

        showing 2 of 1,234 as of 2011-12-09T00:00:00Z
        money and orders are of the window; the greatest net revenue (revenue less returns) comes first
        overdue: the time since the last purchase, in expected intervals; CLV: the profit to be expected
        amounts in EUR
        ");
        insta::assert_snapshot!(page_of(&["rfm", "champions"], &members), @r"
        customer       revenue  returns  orders   growth  ABC   RFM   stage     overdue   churn        CLV
        ───────────────────────────────────────────────────────────────────────────────────────────────────
        C1        1,234,567.89   123.45      89  +25.0 %  A     543   won_back      1.6  12.5 %  98,765.43
        C2                0.00     0.00       0        –  none  none  lead            –       –          –

        showing 2 of 1,234 as of 2011-12-09T00:00:00Z
        money and orders are of the window; the greatest net revenue (revenue less returns) comes first
        overdue: the time since the last purchase, in expected intervals; CLV: the profit to be expected
        amounts in EUR
        ");
        assert_eq!(page_of(&["abc"], &members), page_of(&["rfm", "champions"], &members));
    }

    #[test]
    fn long_ids_and_large_numbers_fit() {
        let uuid = member("0190c0de-7a11-7000-8000-0123456789ab", "north");
        let text = page_of(&["attribute:region"], std::slice::from_ref(&uuid));
        assert_fits(&text);
        assert!(text.contains(&uuid.customer_id) && text.contains("12.5 %"), "{text}");
        let wide = SegmentMember {
            revenue_minor: i64::MAX,
            returns_minor: i64::MIN,
            orders: i64::MAX,
            growth: Some(1e12),
            name: long_name(),
            ..member(&long_name(), &long_name())
        };
        assert_fits(&page_of(&[&format!("attribute:{}", long_name())], &[wide]));
    }

    #[test]
    fn no_member_is_a_sentence() {
        assert_eq!(
            page_of(&["abc", "A"], &[]),
            "no customers in abc A; showing 0 of 1,234 as of 2011-12-09T00:00:00Z"
        );
    }
}
