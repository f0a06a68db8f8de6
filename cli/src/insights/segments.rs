//! `tally insights segments`: the segments of the customers, and who moved between them.

use std::cmp::Reverse;

use tally_proto::v1::{ListSegmentsRequest, ListSegmentsResponse, Segment, SegmentTransition};

use super::reply;
use crate::{
    args::SegmentsArgs,
    connection::Connection,
    error::ClientError,
    output::{
        Currency, count, cut, datetime, decimals, growth, insert_bars, moment, narrow_table, narrow_text,
        ratio,
    },
    time,
};

/// The most columns of the name of a segment.
const NAME: usize = 24;
/// The most moves that are listed.
const MOVES: usize = 30;

/// Prints the segments.
pub(super) async fn segments(
    server: &Connection,
    args: &SegmentsArgs,
    json: bool,
) -> Result<(), ClientError> {
    let request = ListSegmentsRequest {
        segmentation: args.segmentation.clone(),
        as_of_time: args.as_of.map(time::timestamp),
        compare_to_time: args.compare_to.map(time::timestamp),
    };
    let reply = server.insights().list_segments(request).await.map_err(|status| server.error(&status))?;
    reply::show(server, reply.get_ref(), json, |reply, currency| page(&args.segmentation, reply, currency))
        .await
}

fn page(segmentation: &str, reply: &ListSegmentsResponse, currency: &Currency) -> String {
    let as_of = moment(reply.as_of_time.as_ref());
    let mut parts = vec![format!("{} as of {as_of}", cut(segmentation, 60))];
    if reply.segments.is_empty() {
        parts.push("no customers".to_owned());
    } else {
        parts.push(customers_table(&reply.segments));
        parts.push(money_table(&reply.segments, currency));
    }
    if reply.compare_to_time.is_some() {
        let since = datetime(reply.compare_to_time.as_ref());
        parts.push(format!("Since {since}\n{}", moves(&reply.transitions)));
    }
    let mut notes = vec![cut(&reply.definition, 2_000)];
    notes.push(
        "growth: of the net revenue, since the window before; satisfaction: of surveys, 1 is what was expected; \
         CLV: the profit to be expected of the members"
            .to_owned(),
    );
    // The definition of the life cycle says it.
    if segmentation != "life_cycle" {
        notes.push(format!("typical interval between purchases: {:.1} days", reply.typical_interval_days));
    }
    notes.extend(currency.note());
    parts.push(narrow_text(&notes.join("\n")));
    parts.extend(reply::warnings(&reply.warnings));
    parts.join("\n\n")
}

/// Who the customers are.
fn customers_table(segments: &[Segment]) -> String {
    let mut header = vec!["segment", "customers", "share", "growth", "satisfaction"];
    let row = |segment: &Segment| {
        vec![
            name(&segment.segment),
            count(segment.customers),
            ratio(segment.share_of_customers),
            growth(segment.growth),
            decimals(segment.satisfaction, 2),
        ]
    };
    let mut rows: Vec<Vec<String>> = segments.iter().map(row).collect();
    insert_bars(&mut header, &mut rows, 3, segments.iter().map(|segment| segment.share_of_customers));
    narrow_table(&header, &[1, 2, 4, 5], rows)
}

/// What they bought in the window.
fn money_table(segments: &[Segment], currency: &Currency) -> String {
    let mut header = vec!["segment", "revenue", "share", "returns", "orders", "CLV"];
    let row = |segment: &Segment| {
        vec![
            name(&segment.segment),
            currency.amount(segment.revenue_minor),
            ratio(segment.share_of_revenue),
            currency.amount(segment.returns_minor),
            count(segment.orders),
            currency.optional(segment.clv_minor),
        ]
    };
    let mut rows: Vec<Vec<String>> = segments.iter().map(row).collect();
    insert_bars(&mut header, &mut rows, 3, segments.iter().map(|segment| segment.share_of_revenue));
    narrow_table(&header, &[1, 2, 4, 5, 6], rows)
}

fn name(segment: &str) -> String {
    if segment.is_empty() { "(missing)".to_owned() } else { cut(segment, NAME) }
}

/// Who moved, most customers first.
fn moves(transitions: &[SegmentTransition]) -> String {
    let (stayed, mut moved): (Vec<_>, Vec<_>) =
        transitions.iter().partition(|one| one.from_segment == one.to_segment && !one.did_not_exist);
    moved.sort_by_key(|transition| Reverse(transition.customers));
    let line = |transition: &&SegmentTransition| {
        let from = match transition.did_not_exist {
            true => "(did not exist)".to_owned(),
            false => name(&transition.from_segment),
        };
        format!("  {from} became {}: {}", name(&transition.to_segment), count(transition.customers))
    };
    let mut lines: Vec<String> = moved.iter().take(MOVES).map(line).collect();
    if moved.len() > MOVES {
        lines.push(format!("  and {} smaller moves; --json has all", moved.len() - MOVES));
    }
    if lines.is_empty() {
        lines.push("  nobody moved".to_owned());
    }
    let stayed: i64 = stayed.iter().map(|transition| transition.customers).sum();
    if stayed > 0 {
        lines.push(format!("  stayed where they were: {}", count(stayed)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insights::samples::{assert_fits, euro, long_name, moment};

    fn segment(name: &str, customers: i64, revenue_minor: i64) -> Segment {
        Segment {
            segment: name.to_owned(),
            customers,
            revenue_minor,
            returns_minor: revenue_minor / 50,
            orders: customers * 3,
            share_of_customers: Some(customers as f64 / 3_000.0),
            share_of_revenue: Some(revenue_minor as f64 / 890_000_000.0),
            clv_minor: Some(revenue_minor / 3),
            ..Segment::default()
        }
    }

    fn transition(from: &str, to: &str, customers: i64) -> SegmentTransition {
        SegmentTransition {
            from_segment: from.to_owned(),
            to_segment: to.to_owned(),
            customers,
            did_not_exist: false,
        }
    }

    fn reply(segments: Vec<Segment>) -> ListSegmentsResponse {
        ListSegmentsResponse {
            segments,
            as_of_time: moment("2011-12-09T12:00:00Z"),
            definition:
                "A: customers who together bring 80 % of the net revenue of 365 days; B: those up to 95 %; \
                         C: the others with a purchase; none: the rest"
                    .to_owned(),
            typical_interval_days: 34.25,
            ..ListSegmentsResponse::default()
        }
    }

    #[test]
    fn segments_are_two_tables_and_moves_are_lines() {
        let a =
            Segment { growth: Some(0.1234), satisfaction: Some(0.9333), ..segment("A", 812, 712_000_000) };
        let b = Segment { growth: Some(-0.05), ..segment("B", 921, 133_500_000) };
        let none = Segment { share_of_revenue: Some(0.0), ..segment("none", 1_267, 0) };
        let transitions = vec![
            SegmentTransition { did_not_exist: true, ..transition("", "none", 12) },
            transition("A", "A", 700),
            transition("B", "A", 31),
            transition("none", "B", 1_031),
            transition("B", "B", 500),
        ];
        let compare_to_time = moment("2011-09-09");
        let text = page(
            "abc",
            &ListSegmentsResponse { transitions, compare_to_time, ..reply(vec![a, b, none]) },
            &euro(),
        );
        insta::assert_snapshot!(text, @r"
        abc as of 2011-12-09T12:00:00Z

        segment  customers   share              growth  satisfaction
        ─────────────────────────────────────────────────────────────
        A              812  27.1 %  █████▍     +12.3 %          0.93
        B              921  30.7 %  ██████▏     -5.0 %             –
        none         1,267  42.2 %  ████████▌        –             –

        segment       revenue   share                       returns  orders           CLV
        ──────────────────────────────────────────────────────────────────────────────────
        A        7,120,000.00  80.0 %  ████████████████  142,400.00   2,436  2,373,333.33
        B        1,335,000.00  15.0 %  ███                26,700.00   2,763    445,000.00
        none             0.00   0.0 %                          0.00   3,801          0.00

        Since 2011-09-09T00:00:00Z
          none became B: 1,031
          B became A: 31
          (did not exist) became none: 12
          stayed where they were: 1,200

        A: customers who together bring 80 % of the net revenue of 365 days; B: those up to 95 %; C: the
          others with a purchase; none: the rest
        growth: of the net revenue, since the window before; satisfaction: of surveys, 1 is what was
          expected; CLV: the profit to be expected of the members
        typical interval between purchases: 34.2 days
        amounts in EUR
        ");
    }

    #[test]
    fn long_names_and_large_numbers_fit() {
        let wide = Segment {
            growth: Some(1e12),
            orders: i64::MAX,
            returns_minor: i64::MIN,
            share_of_customers: Some(1.0),
            ..segment(&long_name(), i64::MAX / 3, i64::MAX)
        };
        let transitions =
            vec![transition(&long_name(), &long_name(), i64::MAX), transition(&long_name(), "", i64::MAX)];
        let definition = long_name();
        let compare_to_time = moment("2011-09-09");
        let reply = ListSegmentsResponse { transitions, definition, compare_to_time, ..reply(vec![wide]) };
        assert_fits(&page(&format!("attribute:{}", long_name()), &reply, &euro()));
    }

    #[test]
    fn who_has_no_segment_and_who_did_not_move_is_said() {
        let reply = ListSegmentsResponse { compare_to_time: moment("2011-09-09"), ..reply(vec![]) };
        let text = page("attribute:region", &reply, &euro());
        assert!(text.contains("\n\nno customers\n\n") && text.contains("nobody moved"), "{text}");
        assert_eq!(name(""), "(missing)");
        let many: Vec<_> = (0..35).map(|n| transition("north", &format!("town {n}"), n)).collect();
        let text = moves(&many);
        assert!(text.starts_with("  north became town 34: 34\n") && text.lines().count() == 31, "{text}");
        assert!(text.ends_with("\n  and 5 smaller moves; --json has all"), "{text}");
        let created = SegmentTransition { did_not_exist: true, ..transition("", "", 5) };
        assert_eq!(
            moves(&[transition("north", "", 2), transition("", "north", 3), transition("", "", 4), created]),
            "  (did not exist) became (missing): 5\n  (missing) became north: 3\n  north became (missing): 2\n  \
             stayed where they were: 4"
        );
    }
}
