//! What makes numbers questionable is said beside them: in the replies and by the command.

use prost_types::value::Kind;
use tally_model::{insight::InsightSpec, time::Time};
use tally_proto::v1::{self, Period};

use super::{AS_OF, paid, with_properties};
use crate::support::{Tally, customer, on_both_stores, time, timestamp};

on_both_stores!(
    a_model_in_which_nobody_leaves_is_a_warning,
    data_too_short_for_a_backtest_name_the_horizon,
    intervals_that_failed_are_a_warning,
    a_stage_that_the_backtest_missed_is_a_warning,
    growth_since_before_the_data_begin_is_a_warning,
    who_returned_most_is_remarked,
    names_that_nothing_has_are_a_warning,
    profit_without_costs_is_a_warning,
);

/// Forty customers who buy every 20 to 59 days, from and until so many days before [`AS_OF`].
async fn forty_customers(tally: &Tally, days: [i64; 2]) {
    forty_more_customers(tally, "c", days).await;
}

/// Forty such customers with ids that begin so.
async fn forty_more_customers(tally: &Tally, id: &str, [from, until]: [i64; 2]) {
    let mut bought = Vec::new();
    for n in 0..40_usize {
        let id = format!("{id}{n}");
        let days = (until..=from).rev().step_by(20 + n);
        bought.extend(days.map(|day| {
            let moment = time(AS_OF).plus_days(-day).to_string();
            paid(&id, &moment, "purchase", &moment, 1_000 + 10 * (day % 7) + 100 * n as i64)
        }));
    }
    tally.backfill(bought).await.unwrap();
}

async fn warnings(tally: &Tally) -> [Vec<String>; 2] {
    let as_of_time = Some(timestamp(time(AS_OF)));
    let value = tally.insights().get_value_model(v1::GetValueModelRequest { as_of_time }).await;
    let forecast = tally.insights().get_forecast(v1::GetForecastRequest { as_of_time, steps: 6 }).await;
    [value.unwrap().into_inner().warnings, forecast.unwrap().into_inner().warnings]
}

async fn a_model_in_which_nobody_leaves_is_a_warning(tally: Tally) {
    forty_customers(&tally, [400, 0]).await;
    let [value, forecast] = warnings(&tally).await;
    for warnings in [&value, &forecast] {
        assert!(warnings[0].contains(" of the buyers leave within 365 days "), "{warnings:?}");
    }
    // 35 days lie before the 365 that the lifetime values are tested on, and 220 before the six steps of the forecast.
    assert!(value[1].contains("purchases are known of 35 days, fewer than it holds out"), "{value:?}");
    assert!(forecast.iter().all(|warning| !warning.contains("rests on little")), "{forecast:?}");
    assert!(
        value[1].ends_with(
            "; `horizon_days` of at most 200 in `[value]` of the settings leaves as many days before \
                                as it holds out"
        ),
        "{value:?}"
    );
    // Wherever lifetime values are.
    let expected = &value[..1];
    assert_eq!(tally.segments("abc", Some(AS_OF)).await.warnings[1..], *expected, "after that of growth");
    let as_of_time = Some(timestamp(time(AS_OF)));
    let members = v1::ListSegmentMembersRequest {
        segmentation: "rfm".into(),
        as_of_time,
        order_by: "clv desc".into(),
        ..Default::default()
    };
    let members = tally.insights().list_segment_members(members).await.unwrap().into_inner();
    assert_eq!(members.warnings[1..], *expected);
    assert_eq!(tally.insight("c0", AS_OF).await.unwrap().warnings, expected);
    let list = v1::ListWorklistRequest {
        as_of_time,
        kinds: vec![v1::WorkKind::WinBack.into()],
        ..Default::default()
    };
    assert_eq!(tally.insights().list_worklist(list).await.unwrap().into_inner().warnings, expected);
    for command in [
        &["insights", "value"][..],
        &["insights", "forecast"],
        &["insights", "segments", "abc"],
        &["insights", "members", "abc"],
        &["insights", "customer", "c0"],
        &["worklist", "list"],
    ] {
        let page = tally.cli(&[command, &["--as-of", AS_OF]].concat());
        assert!(page.contains("\nwarning: by the fitted model "), "{page}");
    }
}

async fn data_too_short_for_a_backtest_name_the_horizon(tally: Tally) {
    forty_customers(&tally, [300, 0]).await;
    let backtest = async |tally: &Tally| {
        let request = v1::GetValueModelRequest { as_of_time: Some(timestamp(time(AS_OF))) };
        let model = tally.insights().get_value_model(request).await.unwrap().into_inner();
        let warning = model.warnings.into_iter().find(|warning| warning.contains("backtest"));
        (model.backtest.is_some(), warning)
    };
    let expected = "there is no backtest: it holds out 365 days, purchases are known of 300 days, and what had \
                    happened before is too little for a model; `horizon_days` of at most 150 in `[value]` of the settings \
                    leaves as many days before as it holds out";
    assert_eq!(backtest(&tally).await, (false, Some(expected.to_owned())));
    let page = tally.cli(&["insights", "value", "--as-of", AS_OF]);
    assert!(page.contains("\nwarning: there is no backtest: it holds out 365 days, "), "{page}");
    let spec = InsightSpec::parse("[value]\nhorizon_days = 150").unwrap();
    let shorter = Tally::start_with_spec(tally.database.again(), spec).await;
    assert_eq!(backtest(&shorter).await, (true, None));
}

async fn intervals_that_failed_are_a_warning(tally: Tally) {
    // Everybody stopped when the time began that is tested on.
    forty_customers(&tally, [800, 366]).await;
    let [value, _] = warnings(&tally).await;
    assert!(value.iter().any(|warning| warning.contains("0 of 40 buyers, 0.0 %, were inside")), "{value:?}");
    assert!(value.iter().all(|warning| !warning.contains("rests on little")), "{value:?}");
    let missed = "the backtest missed the total: the buyers brought 100.0 % less than was expected of them";
    assert!(value.iter().any(|warning| warning.starts_with(missed)), "{value:?}");
    assert!(value.iter().all(|warning| !warning.contains("stage")), "all did, and none is ranked wrongly");
    let request = v1::GetForecastRequest { as_of_time: Some(timestamp(time(AS_OF))), steps: 12 };
    let forecast = tally.insights().get_forecast(request).await.unwrap().into_inner().warnings;
    let failed = |warning: &String| {
        warning.contains("the intervals failed") && warning.contains("numbers of purchase days and revenue")
    };
    assert!(forecast.iter().any(failed), "{forecast:?}");
    let missed = "the backtest missed the total purchase days and revenue: what came was 100.0 % below and 100.0 % below \
                  what was expected, outside of the 95 % interval; ";
    assert!(forecast.iter().any(|warning| warning.starts_with(missed)), "{forecast:?}");
    let page = tally.cli(&["insights", "forecast", "--as-of", AS_OF, "--steps", "12"]);
    assert!(page.contains("\nwarning: the backtest missed the total purchase days and revenue: "), "{page}");
}

async fn a_stage_that_the_backtest_missed_is_a_warning(tally: Tally) {
    // Forty loyal customers stopped when the time began that is tested on, and forty lost ones came back.
    forty_customers(&tally, [800, 366]).await;
    forty_more_customers(&tally, "back", [800, 600]).await;
    forty_more_customers(&tally, "back", [364, 0]).await;
    let request = v1::GetValueModelRequest { as_of_time: Some(timestamp(time(AS_OF))) };
    let model = tally.insights().get_value_model(request).await.unwrap().into_inner();
    let backtest = model.backtest.unwrap();
    let [mature, lost] = &backtest.stages[..] else { panic!("{backtest:?}") };
    assert_eq!((mature.life_cycle.as_str(), mature.customers, mature.actual_minor), ("mature", 40, 0));
    assert_eq!((lost.life_cycle.as_str(), lost.customers), ("lost", 40));
    assert_eq!(lost.actual_minor, backtest.actual_minor);
    assert_eq!(mature.expected_minor + lost.expected_minor, backtest.expected_minor);
    let missed: Vec<&String> =
        model.warnings.iter().filter(|warning| warning.contains("missed the stage")).collect();
    let [of_mature, of_lost] = missed[..] else { panic!("{:?}", model.warnings) };
    let words = "the backtest missed the stage `mature`: its customers brought 100.0 % less than was expected of them, more \
                 than chance explains; lists by lifetime value rank such customers too high";
    assert_eq!(of_mature, words);
    assert!(of_lost.contains("`lost`") && of_lost.ends_with(" too low"), "{of_lost}");
    let page = tally.cli(&["insights", "value", "--as-of", AS_OF]);
    assert!(page.contains("\nwarning: the backtest missed the stage `mature`: "), "{page}");
}

async fn growth_since_before_the_data_begin_is_a_warning(tally: Tally) {
    // The window of the pass begins on 2023-06-02, and the one before on 2022-06-02.
    let bought = ["2023-03-15T12:00:00Z", "2023-12-01", "2024-03-10", "2024-04-10"];
    let events = bought.map(|day| paid("ada", day, "purchase", day, 1_000));
    tally.backfill(events.to_vec()).await.unwrap();
    let members = |as_of: &str| v1::ListSegmentMembersRequest {
        segmentation: "abc".into(),
        as_of_time: Some(timestamp(time(as_of))),
        ..Default::default()
    };
    let reply = tally.insights().list_segment_members(members(AS_OF)).await.unwrap().into_inner();
    let expected = "the first purchase that is known is of 2023-03-15, and the window before begins on 2022-06-02: growth \
                    compares 365 days with the last 79 of the 365 before, so that it is too great";
    assert_eq!((reply.warnings, reply.members[0].growth), (vec![expected.to_owned()], Some(2.0)));
    assert_eq!(tally.segments("abc", Some(AS_OF)).await.warnings, [expected]);
    for command in ["members", "segments"] {
        let page = tally.cli(&["insights", command, "abc", "--as-of", AS_OF]);
        assert!(page.contains("\nwarning: the first purchase that is known is of 2023-03-15, "), "{page}");
    }
    // Two years later the windows are covered, and a year after the first purchase there is no growth at all.
    for as_of in ["2025-04-01", "2024-03-01"] {
        let reply = tally.insights().list_segment_members(members(as_of)).await.unwrap().into_inner();
        assert_eq!(reply.warnings, Vec::<String>::new(), "{as_of}");
    }

    let times = |from: &str, to: &str| [from, to].map(|moment| Some(timestamp(time(moment))));
    let kpis = async |from: &str, to: &str| {
        let [from_time, to_time] = times(from, to);
        let metrics = vec!["revenue".to_owned()];
        let period = Period::Month.into();
        let request = v1::GetKpisRequest { metrics, from_time, to_time, period, ..Default::default() };
        tally.insights().get_kpis(request).await.unwrap().into_inner()
    };
    let reply = kpis("2024-02-01", "2024-05-01").await;
    assert_eq!(reply.rows[0].year_before_value, Some(0.0), "February 2023");
    let expected = "the first purchase that is known is of 2023-03-15: of 3 periods, 0 are compared with a period before and \
                    2 with a year before that begins earlier; their previous and year-before values are 0 or too small";
    assert_eq!(reply.warnings, [expected]);
    assert_eq!(kpis("2024-04-01", "2024-06-01").await.warnings, Vec::<String>::new());
    let page = tally.cli(&["insights", "kpis", "revenue", "--from", "2024-03-01", "--to", "2024-04-01"]);
    assert!(page.contains("\nwarning: the first purchase that is known is of 2023-03-15: "), "{page}");

    let [from_time, to_time] = times("2024-02-01", "2024-05-01");
    let request =
        v1::GetSalesReportRequest { from_time, to_time, period: Period::Month.into(), ..Default::default() };
    let reply = tally.insights().get_sales_report(request).await.unwrap().into_inner();
    // There is no growth since February 2023, and one since the half of March.
    assert_eq!(
        reply.rows.iter().map(|row| row.growth_year_before).collect::<Vec<_>>(),
        [None, Some(0.0), None]
    );
    assert!(
        reply.warnings[0].contains(" 0 are compared with a period before and 1 with a year before "),
        "{reply:?}"
    );
    let page = tally.cli(&["insights", "sales", "--from", "2024-02-01", "--to", "2024-05-01"]);
    assert!(page.contains("\nwarning: the first purchase that is known is of 2023-03-15: "), "{page}");
}

async fn who_returned_most_is_remarked(tally: Tally) {
    let long_ago = time(AS_OF).plus_days(-500);
    let moment = |days: i64| Time(long_ago.0).plus_days(days).to_string();
    let mut events = Vec::new();
    for (id, returned) in [("all", 1_000), ("most", 925), ("half", 500)] {
        events.push(paid(id, "1", "purchase", &moment(0), 1_000));
        events.push(paid(id, "2", "return", &moment(1), returned));
    }
    tally.backfill(events).await.unwrap();
    let request = v1::ListWorklistRequest {
        as_of_time: Some(timestamp(time(AS_OF))),
        include_held_out: true,
        ..Default::default()
    };
    let items = tally.insights().list_worklist(request).await.unwrap().into_inner().items;
    let texts: Vec<(&str, Vec<&str>)> = items
        .iter()
        .map(|item| (item.customer_id.as_str(), item.reasons.iter().map(|one| one.text.as_str()).collect()))
        .collect();
    let expected = [
        ("all", vec!["returned 100 % of revenue"]),
        ("half", vec![]),
        ("most", vec!["returned 92 % of revenue"]),
    ];
    assert_eq!(texts, expected);
    let page = tally.cli(&["insights", "customer", "most", "--as-of", AS_OF]);
    assert!(page.contains(": 92.5 % of the revenue, which the lifetime value does not count"), "{page}");
    let list = tally.cli(&["worklist", "list", "--as-of", AS_OF, "--include-held-out"]);
    assert!(list.contains("most returned 92 % of revenue"), "{list}");
}

async fn names_that_nothing_has_are_a_warning(tally: Tally) {
    let region = ("region", Kind::StringValue("north".into()));
    tally.upsert(vec![customer("ada", "2023-01-01", &[region])]).await.unwrap();
    let bought = with_properties("ada", "1", "purchase", "2024-04-10", &[("category", "tea")]);
    tally.backfill(vec![bought, paid("ada", "2", "purchase", "2024-05-10", 1_000)]).await.unwrap();

    let segments = async |name: &str| tally.segments(name, Some(AS_OF)).await.warnings;
    let nobody =
        "no customer has the attribute `regoin`; `tally insights attributes` lists those that customers have";
    assert_eq!(segments("attribute:regoin").await, [nobody]);
    assert_eq!(segments("attribute:region").await, Vec::<String>::new());
    let request = v1::ListSegmentMembersRequest {
        segmentation: "attribute:regoin".into(),
        as_of_time: Some(timestamp(time(AS_OF))),
        ..Default::default()
    };
    let members = tally.insights().list_segment_members(request).await.unwrap().into_inner();
    assert_eq!((members.warnings, members.total_size), (vec![nobody.to_owned()], 1));
    for command in ["segments", "members"] {
        let page = tally.cli(&["insights", command, "attribute:regoin", "--as-of", AS_OF]);
        assert!(page.contains("\nwarning: no customer has the attribute `regoin`"), "{page}");
    }

    let sales = async |dimension: &str, from: &str| {
        let request = v1::GetSalesReportRequest {
            from_time: Some(timestamp(time(from))),
            to_time: Some(timestamp(time(AS_OF))),
            period: Period::All.into(),
            dimension: dimension.into(),
            ..Default::default()
        };
        tally.insights().get_sales_report(request).await.unwrap().into_inner().warnings
    };
    for (dimension, from, warning) in [
        ("property:category", "2024-04-01", None),
        ("property:category", "2024-05-01", Some("has the property `category`")),
        ("property:categroy", "2024-04-01", Some("has the property `categroy`")),
        ("property:categroy", "2024-05-20", None),
        ("attribute:region", "2024-04-01", None),
        ("attribute:regoin", "2024-04-01", Some("had the attribute `regoin` at a purchase")),
        ("channel", "2024-04-01", None),
    ] {
        let found = sales(dimension, from).await;
        assert_eq!(found.len(), usize::from(warning.is_some()), "{dimension} from {from}: {found:?}");
        assert!(found.iter().all(|text| warning.is_some_and(|words| text.contains(words))), "{found:?}");
    }
    let page = tally.cli(&["insights", "sales", "--by", "property:categroy", "--from", "2024-04-01"]);
    assert!(page.contains("\nwarning: no purchase or return of these periods has the property"), "{page}");
}

async fn profit_without_costs_is_a_warning(tally: Tally) {
    forty_customers(&tally, [800, 0]).await;
    let words = "no interaction states a cost";
    let of_value = async || {
        let [value, forecast] = warnings(&tally).await;
        assert!(forecast.iter().all(|warning| !warning.contains(words)), "{forecast:?}");
        value.into_iter().find(|warning| warning.contains(words))
    };
    let found = of_value().await.unwrap();
    assert!(found.contains("counts as profit, 100.0 % of the revenue"), "{found}");
    let on_and_on = warnings(&tally).await.concat();
    assert!(on_and_on.iter().all(|warning| !warning.contains("missed")), "they go on: {on_and_on:?}");
    let of_segments = tally.segments("abc", Some(AS_OF)).await.warnings;
    assert!(of_segments.iter().all(|warning| !warning.contains(words)), "they go by net revenue");

    let spec = |text: &str| InsightSpec::parse(text).unwrap();
    let by_profit = Tally::start_with_spec(
        tally.database.again(),
        spec("[abc]\nby = \"profit\"\n[value]\nmargin_rate = 0.4"),
    )
    .await;
    for segmentation in ["abc", "value_loyalty"] {
        let mut found = by_profit.segments(segmentation, Some(AS_OF)).await.warnings;
        found.retain(|warning| warning.contains(words));
        assert!(
            found.len() == 1 && found[0].contains("the classes by profit are those by net revenue"),
            "{found:?}"
        );
    }
    let [value, _] = warnings(&by_profit).await;
    assert!(value.iter().all(|warning| !warning.contains(words)), "the margin is given: {value:?}");

    assert!(!tally.insight("c0", AS_OF).await.unwrap().cost_stated);
    let call = with_properties("c0", "a call", "call", "2023-05-01", &[("cost_minor", "0")]);
    tally.backfill(vec![call]).await.unwrap();
    tally.refresh_insights(AS_OF).await.unwrap();
    assert_eq!(of_value().await, None, "a cost is known");
    let insight = tally.insight("c0", AS_OF).await.unwrap();
    assert_eq!((insight.cost_stated, insight.cost_minor), (true, 0));
}
