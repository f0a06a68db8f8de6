//! Segments, their members, and the attributes of customers.

use prost_types::value::Kind;
use tally_proto::v1;
use tonic::Code;

use super::{AS_OF, paid};
use crate::support::{Tally, assert_refused, customer, interaction, on_both_stores, time, timestamp};

on_both_stores!(
    segments_add_up_to_all_customers,
    members_are_listed_by_net_revenue_page_by_page,
    who_moved_is_told_by_another_moment,
    attributes_divide_customers_as_they_stood,
    names_of_attributes_have_no_meaning_of_their_own,
    attributes_are_counted_in_all_and_in_a_segment,
    nothing_is_known_of_nobody,
    pages_follow_one_pass,
    names_are_checked_as_everywhere,
    sums_of_segments_do_not_overflow,
    twenty_thousand_segments_are_the_most,
    attributes_are_no_larger_than_a_message,
    invalid_requests_are_refused,
);

fn text(value: &str) -> Kind {
    Kind::StringValue(value.to_owned())
}

/// Three buyers of the window, one of before, and a lead.
async fn five_customers(tally: &Tally) {
    tally.upsert(vec![customer("lead", "2024-01-01", &[])]).await.unwrap();
    tally
        .backfill(vec![
            paid("big", "0", "purchase", "2023-05-01", 1_000),
            paid("big", "1", "purchase", "2024-04-01", 9_000),
            paid("big", "2", "return", "2024-04-02", 1_000),
            paid("mid", "1", "purchase", "2024-03-01", 1_500),
            paid("small", "1", "purchase", "2024-02-01", 500),
            paid("gone", "1", "purchase", "2022-02-01", 700),
        ])
        .await
        .unwrap();
}

async fn segments_add_up_to_all_customers(tally: Tally) {
    five_customers(&tally).await;
    tally.refresh_insights(AS_OF).await.unwrap();

    let abc = tally.segments("abc", None).await;
    let rows: Vec<_> = abc
        .segments
        .iter()
        .map(|row| (row.segment.as_str(), row.customers, row.revenue_minor, row.returns_minor, row.orders))
        .collect();
    let expected =
        [("A", 1, 9_000, 1_000, 1), ("B", 1, 1_500, 0, 1), ("C", 1, 500, 0, 1), ("none", 2, 0, 0, 0)];
    assert_eq!(rows, expected);
    assert_eq!(abc.segments[0].share_of_customers, Some(0.2));
    assert_eq!(abc.segments[0].share_of_revenue, Some(9_000.0 / 11_000.0));
    assert_eq!((abc.segments[0].growth, abc.segments[1].growth), (Some(7.0), None));
    assert_eq!(abc.as_of_time, Some(timestamp(time(AS_OF))));
    for segmentation in ["rfm", "rfm_cell", "life_cycle", "value_loyalty", "attribute:region"] {
        let segments = tally.segments(segmentation, None).await.segments;
        assert_eq!(segments.iter().map(|row| row.customers).sum::<i64>(), 5, "{segmentation}");
        assert_eq!(segments.iter().map(|row| row.revenue_minor).sum::<i64>(), 11_000, "{segmentation}");
        assert_eq!(segments.iter().map(|row| row.returns_minor).sum::<i64>(), 1_000, "{segmentation}");
    }
    // `big` has an interval of 336 days of its own, which is the typical one.
    assert_eq!(tally.segments("life_cycle", None).await.typical_interval_days, 336.0);
    let stages = tally.sizes("life_cycle", None).await;
    let stage = |name: &str, customers| (name.to_owned(), customers);
    assert_eq!(stages, [stage("lead", 1), stage("new", 2), stage("growing", 1), stage("declining", 1)]);

    // Erasing a customer takes it out.
    tally.delete("big").await.unwrap();
    assert_eq!(tally.sizes("abc", None).await.iter().map(|(_, customers)| customers).sum::<i64>(), 4);
}

async fn members(tally: &Tally, request: &v1::ListSegmentMembersRequest) -> (Vec<v1::SegmentMember>, i64) {
    let (mut all, mut request) = (Vec::new(), request.clone());
    loop {
        let page = tally.insights().list_segment_members(request.clone()).await.unwrap().into_inner();
        all.extend(page.members);
        if page.next_page_token.is_empty() {
            return (all, page.total_size);
        }
        request.page_token = page.next_page_token;
    }
}

fn of_segment(segmentation: &str, segment: &str) -> v1::ListSegmentMembersRequest {
    v1::ListSegmentMembersRequest {
        segmentation: segmentation.to_owned(),
        segment: segment.to_owned(),
        as_of_time: Some(timestamp(time(AS_OF))),
        ..Default::default()
    }
}

async fn members_are_listed_by_net_revenue_page_by_page(tally: Tally) {
    five_customers(&tally).await;
    let named = v1::Customer { customer_id: "big".into(), name: "Big & Co".into(), ..Default::default() };
    tally.upsert(vec![named]).await.unwrap();
    // Two with equal net revenue are ordered by their ids.
    tally.backfill(vec![paid("aaa", "1", "purchase", "2024-03-01", 1_500)]).await.unwrap();
    let ids = |members: &[v1::SegmentMember]| -> Vec<String> {
        members.iter().map(|member| member.customer_id.clone()).collect()
    };
    for page_size in [0, 1, 2, 5, 6] {
        let request = v1::ListSegmentMembersRequest { page_size, ..of_segment("abc", "") };
        let (found, total) = members(&tally, &request).await;
        assert_eq!((ids(&found).join(" "), total), ("big aaa mid small gone lead".to_owned(), 6));
    }
    let (none, total) = members(&tally, &of_segment("abc", "none")).await;
    assert_eq!((ids(&none), total), (vec!["gone".to_owned(), "lead".to_owned()], 2));
    let (big, _) = members(&tally, &of_segment("abc", "A")).await;
    let expected = v1::SegmentMember {
        customer_id: "big".into(),
        name: "Big & Co".into(),
        segment: "A".into(),
        revenue_minor: 9_000,
        returns_minor: 1_000,
        orders: 1,
        previous_net_minor: 1_000,
        growth: Some(7.0),
        recency_days: Some(61),
        rfm_cell: "413".into(),
        abc_class: "A".into(),
        life_cycle: "growing".into(),
        loyalty_points: 80,
        expected_interval_days: Some(336.0),
        overdue_ratio: Some(61.0 / 336.0),
        churn_probability: None,
        // Six customers are too few for a value model.
        clv_minor: None,
        clv_lower_minor: None,
        clv_upper_minor: None,
        expected_purchases: None,
    };
    assert_eq!(big[0], v1::SegmentMember { rfm_cell: big[0].rfm_cell.clone(), ..expected });
    let (cell, _) = members(&tally, &of_segment("rfm_cell", &big[0].rfm_cell)).await;
    assert_eq!(ids(&cell), ["big"]);
    let unknown = tally.insights().list_segment_members(of_segment("abc", "a")).await;
    assert_refused(unknown, Code::InvalidArgument, "INVALID_REQUEST", &["segment"]);
    assert_eq!(members(&tally, &of_segment("rfm_cell", "999")).await.1, 0);
}

async fn who_moved_is_told_by_another_moment(tally: Tally) {
    five_customers(&tally).await;
    let request = v1::ListSegmentsRequest {
        segmentation: "life_cycle".into(),
        as_of_time: Some(timestamp(time(AS_OF))),
        compare_to_time: Some(timestamp(time("2024-03-15"))),
    };
    let found = tally.insights().list_segments(request).await.unwrap().into_inner();
    let moves: Vec<_> = found
        .transitions
        .iter()
        .map(|row| (row.from_segment.as_str(), row.to_segment.as_str(), row.customers, row.did_not_exist))
        .collect();
    // On 15 March the typical interval is 90 days, since nobody had bought twice.
    assert_eq!(
        moves,
        [
            ("new", "new", 2, false),
            ("lead", "lead", 1, false),
            ("lost", "declining", 1, false),
            ("lost", "growing", 1, false)
        ]
    );
    let request = v1::ListSegmentsRequest {
        segmentation: "abc".into(),
        as_of_time: Some(timestamp(time(AS_OF))),
        compare_to_time: Some(timestamp(time("2022-06-01"))),
    };
    let found = tally.insights().list_segments(request).await.unwrap().into_inner();
    let born = found.transitions.iter().filter(|row| row.did_not_exist).map(|row| row.customers).sum::<i64>();
    assert_eq!((born, found.transitions.len()), (4, 5));
}

async fn attributes_divide_customers_as_they_stood(tally: Tally) {
    let number = Kind::NumberValue;
    tally
        .upsert(vec![
            customer("ada", "2024-01-01", &[("size", number(3.0)), ("vip", Kind::BoolValue(true))]),
            customer("bob", "2024-01-01", &[("size", number(12.50))]),
            customer("eve", "2024-01-01", &[("size", number(1e21))]),
            customer("joe", "2024-01-01", &[("vip", Kind::BoolValue(false))]),
        ])
        .await
        .unwrap();
    tally.backfill(vec![paid("bob", "1", "purchase", "2024-05-01", 100)]).await.unwrap();
    // From now on; the moment that is asked about lies before.
    tally.upsert(vec![customer("ada", "2024-01-01", &[("size", number(99.0))])]).await.unwrap();
    let size = |name: &str| (name.to_owned(), 1);
    let sizes = tally.sizes("attribute:size", Some(AS_OF)).await;
    assert_eq!(sizes, [size("12.5"), size(""), size("1e21"), size("3")], "by revenue, then by name");
    let vips = tally.sizes("attribute:vip", Some(AS_OF)).await;
    assert_eq!(vips, [(String::new(), 2), size("false"), size("true")]);
    let (found, total) = members(&tally, &of_segment("attribute:size", "12.5")).await;
    assert_eq!((found[0].customer_id.as_str(), found[0].segment.as_str(), total), ("bob", "12.5", 1));
    let missing = v1::ListSegmentMembersRequest { missing_value: true, ..of_segment("attribute:size", "") };
    assert_eq!(members(&tally, &missing).await.0[0].customer_id, "joe");
    assert_eq!(members(&tally, &of_segment("attribute:size", "")).await.1, 4);
}

async fn names_of_attributes_have_no_meaning_of_their_own(tally: Tally) {
    let names = ["a.b", "a\"b", "$.a", "0", "[0]", "a'b", "\\", "ä ö", "#-1", "%", "a"];
    let attributes: Vec<(&str, Kind)> = names.iter().map(|name| (*name, text(name))).collect();
    tally.upsert(vec![customer("ada", "2024-01-01", &attributes)]).await.unwrap();
    for name in names {
        let sizes = tally.sizes(&format!("attribute:{name}"), Some(AS_OF)).await;
        assert_eq!(sizes, [(name.to_owned(), 1)]);
    }
    assert_eq!(tally.sizes("attribute:b", Some(AS_OF)).await, [(String::new(), 1)]);
}

async fn attributes_are_counted_in_all_and_in_a_segment(tally: Tally) {
    let with = |id: &str, attributes: &[(&str, Kind)]| customer(id, "2024-01-01", attributes);
    tally
        .upsert(vec![
            with("ada", &[("region", text("north")), ("mixed", text("x"))]),
            with("bob", &[("region", text("south")), ("mixed", Kind::NumberValue(2.0))]),
            with("eve", &[("region", text("south"))]),
            with("joe", &[("size", Kind::NumberValue(7.0))]),
        ])
        .await
        .unwrap();
    tally.backfill(vec![interaction("eve", "1", "purchase", "2024-05-01")]).await.unwrap();
    let list = async |segmentation: &str, segment: &str| {
        let request = v1::InsightServiceListAttributesRequest {
            as_of_time: Some(timestamp(time(AS_OF))),
            segmentation: segmentation.into(),
            segment: segment.into(),
        };
        tally.insights().list_attributes(request).await.unwrap().into_inner()
    };
    let all = list("", "").await;
    let rows: Vec<_> = all
        .attributes
        .iter()
        .map(|row| (row.name.as_str(), row.r#type.as_str(), row.customers, row.coverage, row.distinct_values))
        .collect();
    let expected =
        [("region", "text", 3, 0.75, 2), ("mixed", "mixed", 2, 0.5, 2), ("size", "number", 1, 0.25, 1)];
    assert_eq!((rows, all.customers), (expected.to_vec(), 4));
    let top: Vec<_> =
        all.attributes[0].top_values.iter().map(|count| (count.value.as_str(), count.customers)).collect();
    assert_eq!(top, [("south", 2), ("north", 1)]);
    let buyers = list("life_cycle", "new").await;
    assert_eq!((buyers.customers, buyers.attributes.len()), (1, 1));
    assert_eq!((buyers.attributes[0].name.as_str(), buyers.attributes[0].coverage), ("region", 1.0));
    assert_eq!(list("abc", "A").await.attributes, []);
}

async fn nothing_is_known_of_nobody(tally: Tally) {
    for segmentation in ["abc", "rfm", "rfm_cell", "life_cycle", "value_loyalty", "attribute:x"] {
        assert_eq!(tally.sizes(segmentation, None).await, []);
        assert_eq!(members(&tally, &of_segment(segmentation, "")).await.1, 0);
    }
    let attributes =
        tally.insights().list_attributes(v1::InsightServiceListAttributesRequest::default()).await;
    assert_eq!(attributes.unwrap().into_inner().attributes, []);
    let compared = v1::ListSegmentsRequest {
        segmentation: "abc".into(),
        as_of_time: None,
        compare_to_time: Some(timestamp(time(AS_OF))),
    };
    assert_eq!(tally.insights().list_segments(compared).await.unwrap().into_inner().transitions, []);
    let last = tally.refresh_insights(AS_OF).await.unwrap();
    assert_eq!((last.done, last.total, last.warning.as_str()), (0, 0, ""));
    // Those who come are seen at once: nothing of before is kept.
    five_customers(&tally).await;
    assert_eq!(tally.sizes("abc", None).await.len(), 0, "the latest pass is that of RefreshInsights");
    assert_eq!(tally.sizes("abc", Some("2024-06-02")).await.len(), 4);
}

async fn pages_follow_one_pass(tally: Tally) {
    five_customers(&tally).await;
    tally.refresh_insights(AS_OF).await.unwrap();
    let mut request = v1::ListSegmentMembersRequest { page_size: 2, ..of_segment("abc", "") };
    request.as_of_time = None;
    let first = tally.insights().list_segment_members(request.clone()).await.unwrap().into_inner();
    // The last one becomes the first.
    tally.backfill(vec![paid("lead", "1", "purchase", "2024-05-01", 1_000_000)]).await.unwrap();
    tally.refresh_insights(AS_OF).await.unwrap();
    request.page_token = first.next_page_token;
    let (rest, total) = members(&tally, &request).await;
    let ids = |members: &[v1::SegmentMember]| -> Vec<String> {
        members.iter().map(|member| member.customer_id.clone()).collect()
    };
    let all = [ids(&first.members), ids(&rest)].concat();
    assert_eq!((all.join(" "), total), ("big mid small gone lead".to_owned(), 5));
    // Once its facts are removed, the list has to begin again.
    let store = tally_store::open(&tally.database.url).await.unwrap();
    let none = tally_store::PassExpiry {
        kept: tally_model::time::Time::MIN,
        on_demand: tally_model::time::Time::MIN,
    };
    assert_eq!(store.remove_passes(none).await.unwrap(), 1);
    let gone = tally.insights().list_segment_members(request).await;
    assert_refused(gone, Code::Aborted, "LOST_RACE", &[]);
}

async fn names_are_checked_as_everywhere(tally: Tally) {
    five_customers(&tally).await;
    tally.upsert(vec![customer("new", "2024-01-01", &[("plan", text("pro"))])]).await.unwrap();
    let plans = [(String::new(), 5), ("pro".to_owned(), 1)];
    assert_eq!(tally.sizes("attribute:plan ", Some("2025-01-01")).await, plans, "blanks do not count");
    for name in ["a\0b", "a\nb", &"x".repeat(65)] {
        let request =
            v1::ListSegmentsRequest { segmentation: format!("attribute:{name}"), ..Default::default() };
        let refused = tally.insights().list_segments(request).await;
        assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["segmentation"]);
    }
    for segmentation in ["abc", "rfm_cell", "attribute:plan"] {
        let refused = tally.insights().list_segment_members(of_segment(segmentation, "a\0")).await;
        assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["segment"]);
    }
}

async fn sums_of_segments_do_not_overflow(tally: Tally) {
    let most = 1_000_000_000_000_000;
    for id in ["ada", "bob", "eve"] {
        let all = (0..4_000).map(|n| paid(id, &n.to_string(), "purchase", "2024-05-01", most));
        tally.backfill(all.collect()).await.unwrap();
        let id_text = text(id);
        tally.upsert(vec![customer(id, "2024-01-01", &[("name", id_text)])]).await.unwrap();
    }
    // From the creation on, since the records came later.
    let segments = tally.segments("attribute:name", Some(AS_OF)).await.segments;
    assert_eq!(segments.iter().map(|row| row.customers).sum::<i64>(), 3);
    assert!(segments.iter().all(|row| row.share_of_revenue.is_some_and(|share| share <= 1.0)));
    let request = v1::ListSegmentsRequest {
        segmentation: "abc".into(),
        as_of_time: Some(timestamp(time(AS_OF))),
        compare_to_time: None,
    };
    let refused = tally.insights().list_segments(request).await;
    assert_refused(refused, Code::FailedPrecondition, "SUM_TOO_LARGE", &[]);
}

async fn twenty_thousand_segments_are_the_most(tally: Tally) {
    let numbered = |n: i32| customer(&format!("c{n}"), "2024-01-01", &[("n", Kind::NumberValue(n.into()))]);
    for first in (0..20_000).step_by(1_000) {
        tally.upsert((first..first + 1_000).map(numbered).collect()).await.unwrap();
    }
    let list = async || {
        let request = v1::ListSegmentsRequest {
            segmentation: "attribute:n".into(),
            as_of_time: Some(timestamp(time(AS_OF))),
            compare_to_time: None,
        };
        tally.insights().list_segments(request).await.map(tonic::Response::into_inner)
    };
    assert_eq!(list().await.unwrap().segments.len(), 20_000);
    tally.upsert(vec![numbered(20_000)]).await.unwrap();
    tally.refresh_insights(AS_OF).await.unwrap();
    assert_refused(list().await, Code::InvalidArgument, "INVALID_REQUEST", &["segmentation"]);
    assert_eq!(members(&tally, &of_segment("attribute:n", "17")).await.1, 1);
}

async fn attributes_are_no_larger_than_a_message(tally: Tally) {
    // The ten values of an attribute take 40 kB.
    for n in 0..10 {
        let value = format!("{n}{}", "😀".repeat(1_000));
        let names: Vec<String> = (0..110).map(|name| format!("a{name}")).collect();
        let attributes: Vec<(&str, Kind)> = names.iter().map(|name| (name.as_str(), text(&value))).collect();
        tally.upsert(vec![customer(&format!("c{n}"), "2024-01-01", &attributes)]).await.unwrap();
    }
    tally.backfill(vec![interaction("c0", "1", "purchase", "2024-05-01")]).await.unwrap();
    let list = async |segmentation: &str, segment: &str| {
        let request = v1::InsightServiceListAttributesRequest {
            as_of_time: Some(timestamp(time(AS_OF))),
            segmentation: segmentation.into(),
            segment: segment.into(),
        };
        tally.insights().list_attributes(request).await.map(tonic::Response::into_inner)
    };
    assert_refused(list("", "").await, Code::InvalidArgument, "INVALID_REQUEST", &["segmentation"]);
    assert_eq!(list("life_cycle", "new").await.unwrap().attributes.len(), 110);
}

async fn invalid_requests_are_refused(tally: Tally) {
    let invalid = |result: Result<_, _>, field: &'static str| {
        assert_refused(result, Code::InvalidArgument, "INVALID_REQUEST", &[field]);
    };
    for segmentation in ["", "ABC", "attribute:", "region"] {
        let request = v1::ListSegmentsRequest { segmentation: segmentation.into(), ..Default::default() };
        invalid(tally.insights().list_segments(request).await.map(drop), "segmentation");
        let request = of_segment(segmentation, "");
        invalid(tally.insights().list_segment_members(request).await.map(drop), "segmentation");
    }
    for (request, wanted) in [
        (of_segment("ABC", ""), "segmentation: is `ABC`, no segmentation; allowed are abc, rfm"),
        (
            v1::ListSegmentMembersRequest { order_by: "clv asc".into(), ..of_segment("abc", "") },
            "order_by: is `clv asc`; allowed are `net desc` and `clv desc`",
        ),
    ] {
        let refused = tally.insights().list_segment_members(request).await.unwrap_err();
        assert!(refused.message().contains(wanted), "{refused:?}");
    }
    let refused = [
        (v1::ListSegmentMembersRequest { page_size: -1, ..of_segment("abc", "") }, "page_size"),
        (v1::ListSegmentMembersRequest { missing_value: true, ..of_segment("abc", "") }, "missing_value"),
        (v1::ListSegmentMembersRequest { missing_value: true, ..of_segment("attribute:a", "b") }, "segment"),
        (v1::ListSegmentMembersRequest { page_token: "x".into(), ..of_segment("abc", "") }, "page_token"),
        (v1::ListSegmentMembersRequest { order_by: "clv asc".into(), ..of_segment("abc", "") }, "order_by"),
    ];
    for (request, field) in refused {
        invalid(tally.insights().list_segment_members(request).await.map(drop), field);
    }
    let request = v1::InsightServiceListAttributesRequest { segment: "A".into(), ..Default::default() };
    invalid(tally.insights().list_attributes(request).await.map(drop), "segmentation");
    // Moves are from the earlier moment to the later one.
    tally.backfill(vec![paid("ada", "1", "purchase", "2024-05-01", 100)]).await.unwrap();
    tally.refresh_insights(AS_OF).await.unwrap();
    for as_of_time in [None, Some(timestamp(time(AS_OF)))] {
        let request = |compare_to: &str| v1::ListSegmentsRequest {
            segmentation: "abc".into(),
            as_of_time,
            compare_to_time: Some(timestamp(time(compare_to))),
        };
        assert!(tally.insights().list_segments(request(AS_OF)).await.is_ok());
        let later = tally.insights().list_segments(request("2024-06-01T00:00:00.000001Z")).await;
        let message = later.as_ref().unwrap_err().message().to_owned();
        assert!(
            message.contains("2024-06-01T00:00:00.000001Z, after as_of_time 2024-06-01T00:00:00Z"),
            "{message}"
        );
        invalid(later.map(drop), "compare_to_time");
    }
    let future = tally.refresh_insights("2999-01-01").await.map(drop);
    invalid(future, "as_of_time");
}
