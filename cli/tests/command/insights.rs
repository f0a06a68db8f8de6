//! `tally insights` against a small server.

use std::process::{Command, Stdio};

use prost_types::Timestamp;
use tally_proto::v1::{
    GetCampaignsRequest, GetCohortsRequest, GetCustomerInsightRequest, GetForecastRequest, GetKpisRequest,
    GetSalesReportRequest, GetValueModelRequest, InsightServiceListAttributesRequest, ListAffinitiesRequest,
    ListJobsRequest, ListSegmentMembersRequest, ListSegmentsRequest, Period, RefreshInsightsRequest,
    RefreshInsightsResponse,
};

use crate::fake::{FakeServer, InsightReplies, InsightRequest, Knowledge, serve, tally};

/// 9 September 2011.
const DAY: Timestamp = Timestamp { seconds: 1_315_526_400, nanos: 0 };
/// 10 September 2011.
const NEXT: Timestamp = Timestamp { seconds: 1_315_612_800, nanos: 0 };

async fn serve_insights(insights: InsightReplies) -> (FakeServer, String) {
    let (fake, url) = serve().await;
    fake.0.lock().unwrap().knows = Some(Knowledge { insights, ..Default::default() });
    (fake, url)
}

/// Runs `tally insights` as a program: whether it succeeds, its output and its errors.
async fn program(url: &str, arguments: &[&str]) -> (bool, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_tally"));
    program.env_clear().args(["--server", url, "insights"]).args(arguments).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || program.output().unwrap()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

#[tokio::test]
async fn arguments_become_requests() {
    let (fake, url) = serve_insights(InsightReplies::default()).await;
    let range =
        "--from 2011-09-09T02:00:00+02:00 --to 2011-09-10T00:00:00Z --period week --time-zone europe/berlin";
    let (from_time, to_time, period) = (Some(DAY), Some(NEXT), Period::Week.into());
    let time_zone = "Europe/Berlin".to_owned();
    let name = |text: &str| text.to_owned();
    for (line, request) in [
        (
            "customer C1 --as-of 2011-09-09".to_owned(),
            InsightRequest::Customer(GetCustomerInsightRequest {
                customer_id: name("C1"),
                as_of_time: Some(DAY),
            }),
        ),
        (
            "attributes --segmentation abc --segment A --as-of 2011-09-09".to_owned(),
            InsightRequest::Attributes(InsightServiceListAttributesRequest {
                as_of_time: Some(DAY),
                segmentation: name("abc"),
                segment: name("A"),
            }),
        ),
        (
            "segments rfm --as-of 2011-09-10 --compare-to 2011-09-09".to_owned(),
            InsightRequest::Segments(ListSegmentsRequest {
                segmentation: name("rfm"),
                as_of_time: Some(NEXT),
                compare_to_time: Some(DAY),
            }),
        ),
        (
            "members attribute:region --missing-value --as-of 2011-09-09 --order-by clv".to_owned(),
            InsightRequest::Members(ListSegmentMembersRequest {
                segmentation: name("attribute:region"),
                as_of_time: Some(DAY),
                page_size: 20,
                missing_value: true,
                order_by: name("clv desc"),
                ..Default::default()
            }),
        ),
        (
            format!("kpis revenue retention_rate {range} --market-size 5000"),
            InsightRequest::Kpis(GetKpisRequest {
                metrics: vec![name("revenue"), name("retention_rate")],
                from_time,
                to_time,
                period,
                time_zone: time_zone.clone(),
                market_size: 5_000,
            }),
        ),
        (
            format!("sales --by property:category {range} --max-values 5"),
            InsightRequest::Sales(GetSalesReportRequest {
                from_time,
                to_time,
                period,
                time_zone: time_zone.clone(),
                dimension: name("property:category"),
                max_values: 5,
            }),
        ),
        (
            format!("cohorts {range}"),
            InsightRequest::Cohorts(GetCohortsRequest {
                from_time,
                to_time,
                period,
                time_zone: time_zone.clone(),
            }),
        ),
        (
            "campaigns --from 2011-09-09 --to 2011-09-10 --window-days 7".to_owned(),
            InsightRequest::Campaigns(GetCampaignsRequest { from_time, to_time, window_days: 7 }),
        ),
        (
            "value --as-of 2011-09-09".to_owned(),
            InsightRequest::Value(GetValueModelRequest { as_of_time: Some(DAY) }),
        ),
        (
            "affinities product --as-of 2011-09-09 --limit 1".to_owned(),
            InsightRequest::Affinities(ListAffinitiesRequest {
                property: name("product"),
                as_of_time: Some(DAY),
                page_size: 1,
                page_token: String::new(),
            }),
        ),
        (
            "forecast --as-of 2011-09-09 --steps 12".to_owned(),
            InsightRequest::Forecast(GetForecastRequest { as_of_time: Some(DAY), steps: 12 }),
        ),
    ] {
        let arguments: Vec<&str> = ["insights"].into_iter().chain(line.split(' ')).collect();
        tally(&url, &arguments).await.unwrap();
        assert_eq!(fake.0.lock().unwrap().insights.pop(), Some(request), "{line}");
    }
}

#[tokio::test]
async fn without_arguments_everything_is_asked_for_by_month() {
    let (fake, url) = serve_insights(InsightReplies::default()).await;
    for command in ["kpis", "sales", "cohorts", "campaigns"] {
        tally(&url, &["insights", command]).await.unwrap();
    }
    let period = Period::Month.into();
    assert_eq!(
        fake.0.lock().unwrap().insights,
        [
            InsightRequest::Kpis(GetKpisRequest { period, ..Default::default() }),
            InsightRequest::Sales(GetSalesReportRequest { period, max_values: 100, ..Default::default() }),
            InsightRequest::Cohorts(GetCohortsRequest { period, ..Default::default() }),
            InsightRequest::Campaigns(GetCampaignsRequest { window_days: 30, ..Default::default() }),
        ]
    );
}

#[tokio::test]
async fn empty_replies_are_sentences_or_one_object() {
    let (_fake, url) = serve_insights(InsightReplies::default()).await;
    for (command, sentence) in [
        (vec!["attributes"], "no customers"),
        (vec!["segments", "abc"], "no customers"),
        (vec!["kpis"], "no purchases in this time"),
        (vec!["sales", "--by", "channel"], "no purchases in this time"),
        (vec!["cohorts"], "no customer first bought in this time"),
        (vec!["campaigns"], "no campaigns"),
        (vec!["value"], "there are no lifetime values"),
        (vec!["customer", "C1"], "no purchase yet"),
    ] {
        let (success, output, error) = program(&url, &command).await;
        assert!(success && error.is_empty() && output.contains(sentence), "{command:?}: {output}{error}");
        let (success, output, error) = program(&url, &[&command[..], &["--json"]].concat()).await;
        let objects: Vec<serde_json::Value> =
            output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(
            success && error.is_empty() && objects.len() == 1 && objects[0].is_object(),
            "{output}{error}"
        );
    }
}

#[tokio::test]
async fn a_refresh_ends_with_how_many_customers_it_has() {
    let message = |done, warning: &str| RefreshInsightsResponse {
        done,
        total: 3_000,
        as_of_time: Some(DAY),
        known_time: Some(NEXT),
        warning: warning.to_owned(),
    };
    let refresh = vec![message(0, ""), message(1_500, ""), message(3_000, "nothing happened for 9 days")];
    let (fake, url) = serve_insights(InsightReplies { refresh, ..Default::default() }).await;
    let (success, output, error) = program(&url, &["refresh", "--as-of", "2011-09-09"]).await;
    assert!(success);
    assert_eq!(output, "insights as of 2011-09-09T00:00:00Z: 3,000 customers visited\n");
    assert_eq!(error, "warning: nothing happened for 9 days\n");
    let request = InsightRequest::Refresh(RefreshInsightsRequest { as_of_time: Some(DAY) });
    assert_eq!(fake.0.lock().unwrap().insights, [request]);
    let (_, output, _) = program(&url, &["refresh", "--json"]).await;
    let last: serde_json::Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&last["done"], &last["warning"]), (&3_000.into(), &"nothing happened for 9 days".into()));
}

#[tokio::test]
async fn a_refresh_that_ends_early_fails() {
    let half = RefreshInsightsResponse { done: 3, total: 6, ..Default::default() };
    let (_fake, url) = serve_insights(InsightReplies { refresh: vec![half], ..Default::default() }).await;
    let (success, output, error) = program(&url, &["refresh"]).await;
    assert!(!success && output.is_empty(), "{output}");
    assert!(error.contains("the server ended the call too early: 3 of 6 customers are done"), "{error}");
}

#[tokio::test]
async fn members_are_gathered_from_their_pages() {
    let (fake, url) = serve_insights(InsightReplies { members: 2_345, ..Default::default() }).await;
    let (success, output, error) =
        program(&url, &["members", "abc", "A", "--as-of", "2011-09-09", "--limit", "1500", "--json"]).await;
    assert!(success);
    assert_eq!(error, "showing 1,500 of 2,345 as of 2011-09-09T00:00:00Z\n");
    let ids: Vec<String> = output
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["customer_id"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(ids, (0..1_500).map(|n| format!("C{n}")).collect::<Vec<_>>());
    let page = |page_token: &str| {
        InsightRequest::Members(ListSegmentMembersRequest {
            segmentation: "abc".to_owned(),
            segment: "A".to_owned(),
            as_of_time: Some(DAY),
            page_size: 1_000,
            page_token: page_token.to_owned(),
            order_by: "net desc".to_owned(),
            ..Default::default()
        })
    };
    assert_eq!(fake.0.lock().unwrap().insights, [page(""), page("1000")]);
    let (_, output, error) = program(&url, &["members", "abc"]).await;
    assert!(output.contains("\nC19 ") && !output.contains("C20") && error.is_empty(), "{output}");
    assert!(output.contains("showing 20 of 2,345"), "{output}");
}

#[tokio::test]
async fn affinities_are_listed_over_all_pages() {
    let (_fake, url) = serve_insights(InsightReplies::default()).await;
    let (_, output, error) = program(&url, &["affinities"]).await;
    let place = |value: &str| output.find(&format!("\n{value} "));
    assert!(place("tea").is_some() && place("tea") < place("cups") && error.is_empty(), "{output}");
    let (_, output, error) = program(&url, &["affinities", "--json"]).await;
    let values: Vec<String> =
        output.lines().map(|line| line.chars().filter(|c| c.is_alphabetic()).collect()).collect();
    assert!(values.len() == 2 && values[0].contains("tea") && values[1].contains("cups"), "{output}");
    assert!(error.starts_with("showing 2 of 2"), "{error}");
}

#[tokio::test]
async fn a_refusal_of_the_server_is_shown() {
    let (_fake, url) = serve_insights(InsightReplies::default()).await;
    let error = tally(&url, &["insights", "customer", "nobody"]).await.unwrap_err().to_string();
    assert!(error.contains("no customer `nobody` is stored"), "{error}");
}

#[tokio::test]
async fn jobs_are_asked_for_with_as_many_runs_as_are_wanted() {
    let (fake, url) = serve_insights(InsightReplies::default()).await;
    for (line, max_runs) in [("jobs list", 5), ("jobs list --runs 50", 50)] {
        tally(&url, &line.split(' ').collect::<Vec<_>>()).await.unwrap();
        let asked = fake.0.lock().unwrap().insights.pop();
        assert_eq!(asked, Some(InsightRequest::Jobs(ListJobsRequest { max_runs })), "{line}");
    }
}
