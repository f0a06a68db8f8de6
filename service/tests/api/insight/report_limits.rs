//! Reports refuse what they cannot answer, and say what is allowed.

use tally_proto::v1::{self, Period};
use tally_service::insight::{InsightPass, PassPurpose};
use tonic::{Code, Status};

use super::report_requests::{cohorts_of, months, sale, with};
use crate::support::{Tally, assert_refused, interaction, on_both_stores, time, timestamp};

on_both_stores!(
    invalid_requests_of_reports_are_refused,
    a_thousand_periods_are_allowed,
    twenty_thousand_rows_are_allowed,
    cohorts_of_199_periods_are_allowed,
    a_response_is_no_larger_than_a_message,
    a_sum_beyond_64_bits_is_refused,
    key_figures_take_turns_with_other_reports,
    who_waits_for_a_pass_holds_up_no_report,
);

fn assert_invalid<T: std::fmt::Debug>(result: Result<T, Status>, field: &str, allowed: &str) {
    let message = result.as_ref().err().map(|status| status.message().to_owned()).unwrap_or_default();
    assert_refused(result, Code::InvalidArgument, "INVALID_REQUEST", &[field]);
    assert!(message.contains(allowed), "{message}");
}

async fn invalid_requests_of_reports_are_refused(tally: Tally) {
    type Change = fn(&mut v1::GetSalesReportRequest);
    let long = format!("property:{}", "x".repeat(65));
    let dimensions = [
        "Channel",
        "channel:",
        "property",
        "property:",
        "attribute: ",
        "customer:x",
        "property:a\u{7}",
        &long,
    ];
    for dimension in dimensions {
        assert_invalid(
            tally.sales(months("2024-01-01", "2024-02-01", dimension)).await,
            "dimension",
            "allowed",
        );
    }
    let misspelt = tally.try_cli(&["insights", "sales", "--by", "Channel"]);
    let message = String::from_utf8(misspelt.stderr).unwrap();
    let wanted = "--by is `Channel`, no dimension; allowed are `channel`, `property:NAME`, `attribute:NAME`";
    assert!(message.replace(": is", " is").replace("\n  ", " ").contains(wanted), "{message}");
    let longest = format!("attribute:{}", "é".repeat(64));
    assert!(tally.sales(months("2024-01-01", "2024-02-01", &longest)).await.is_ok());
    let changes: [(Change, &str, &str); 6] = [
        (|r| r.max_values = -1, "max_values", "0 for 100"),
        (|r| r.max_values = 1_001, "max_values", "1 to 1000"),
        (|r| r.time_zone = "Mars/Olympus".into(), "time_zone", "Europe/Berlin"),
        (|r| r.period = 7, "period", "PERIOD_DAY"),
        (|r| r.from_time = r.to_time, "from_time", "before to_time"),
        (|r| r.to_time = Some(timestamp(time("2999-01-01"))), "to_time", "one day in the future"),
    ];
    for (change, field, allowed) in changes {
        let mut request = months("2024-01-01", "2024-02-01", "");
        change(&mut request);
        assert_invalid(tally.sales(request).await, field, allowed);
    }
    let most =
        v1::GetSalesReportRequest { max_values: 1_000, ..months("2024-01-01", "2024-02-01", "channel") };
    assert!(tally.sales(most).await.is_ok());
    for (window_days, allowed) in [(-1, "0 for 30"), (3_651, "1 to 3650")] {
        let request = v1::GetCampaignsRequest { window_days, ..Default::default() };
        assert_invalid(tally.campaigns(request).await, "window_days", allowed);
    }
    let (from_time, to_time) = (Some(timestamp(time("2024-01-01"))), Some(timestamp(time("2024-01-01"))));
    let request = v1::GetCampaignsRequest { from_time, to_time, window_days: 0 };
    assert_invalid(tally.campaigns(request).await, "from_time", "before to_time");
    let request = v1::GetCohortsRequest { from_time, to_time, ..Default::default() };
    assert_invalid(tally.cohorts(request).await, "from_time", "before to_time");
}

async fn a_thousand_periods_are_allowed(tally: Tally) {
    tally.backfill(vec![sale("a", "1", "purchase", "2022-09-26", 5)]).await.unwrap();
    let days = async |to: &str, dimension: &str| {
        let request = months("2020-01-01", to, dimension);
        tally.sales(v1::GetSalesReportRequest { period: Period::Day.into(), ..request }).await
    };
    for dimension in ["", "channel"] {
        let report = days("2022-09-27", dimension).await.unwrap();
        assert_eq!(report.period_totals.len(), 1_000);
        assert_eq!(report.period_totals[999].revenue_minor, 5);
        assert_invalid(days("2022-09-28", dimension).await, "from_time", "allowed are 1000");
    }
}

async fn twenty_thousand_rows_are_allowed(tally: Tally) {
    let first = time("2024-01-01");
    let all: Vec<_> = (0..20_000)
        .map(|n| {
            let day = first.plus_days(n % 100).to_string();
            let customer = format!("c{}", n % 1_000);
            with(sale(&customer, &n.to_string(), "purchase", &day, 1), "p", &(n / 100).to_string())
        })
        .collect();
    for batch in all.chunks(10_000) {
        tally.backfill(batch.to_vec()).await.unwrap();
    }
    let request = v1::GetSalesReportRequest {
        period: Period::Day.into(),
        max_values: 200,
        ..months("2024-01-01", "2024-05-01", "property:p")
    };
    let report = tally.sales(request.clone()).await.unwrap();
    assert_eq!((report.rows.len(), report.total.unwrap().revenue_minor), (20_000, 20_000));
    tally.backfill(vec![sale("b", "1", "purchase", "2024-04-29", 1)]).await.unwrap();
    assert_invalid(tally.sales(request.clone()).await, "max_values", "allowed are 20000");
    let fewer = v1::GetSalesReportRequest { max_values: 10, ..request };
    assert_eq!(tally.sales(fewer).await.unwrap().rows.len(), 10 * 100 + 101);

    let reached =
        |n: i64| with(interaction("b", &format!("r{n}"), "email", "2024-01-01"), "campaign", &n.to_string());
    for start in [0, 10_000] {
        tally.backfill((start..start + 10_000).map(reached).collect()).await.unwrap();
    }
    assert_eq!(tally.campaigns(v1::GetCampaignsRequest::default()).await.unwrap().len(), 20_000);
    tally.backfill(vec![reached(20_000)]).await.unwrap();
    assert_invalid(
        tally.campaigns(v1::GetCampaignsRequest::default()).await,
        "from_time",
        "allowed are 20000",
    );
}

async fn cohorts_of_199_periods_are_allowed(tally: Tally) {
    let first = time("2024-01-01");
    let buyers = (0..200).map(|n| sale(&n.to_string(), "1", "purchase", &first.plus_days(n).to_string(), 1));
    tally.backfill(buyers.collect()).await.unwrap();
    let days = async |count| {
        let to = first.plus_days(count).to_string();
        let request = cohorts_of("2024-01-01", &to);
        tally.cohorts(v1::GetCohortsRequest { period: Period::Day.into(), ..request }).await
    };
    assert_eq!(days(199).await.unwrap().len(), 199 * 200 / 2);
    assert_invalid(days(200).await, "from_time", "allowed are 20000");
}

async fn a_response_is_no_larger_than_a_message(tally: Tally) {
    let value = |n: i64| format!("{n:04}{}", "😀".repeat(1_020));
    for day in ["2024-01-05", "2024-02-05"] {
        for start in [0, 300] {
            let sold = (start..start + 300)
                .map(|n| with(sale("a", &format!("{day} {n}"), "purchase", day, 1), "p", &value(n)));
            tally.backfill(sold.collect()).await.unwrap();
        }
    }
    let request =
        v1::GetSalesReportRequest { max_values: 600, ..months("2024-01-01", "2024-03-01", "property:p") };
    assert_invalid(tally.sales(request.clone()).await, "max_values", "allowed are 4194304");
    let fewer = v1::GetSalesReportRequest { max_values: 100, ..request };
    assert_eq!(tally.sales(fewer).await.unwrap().rows.len(), 202);
}

async fn a_sum_beyond_64_bits_is_refused(tally: Tally) {
    // 9,223 times 10¹⁵ is the largest multiple that 64 bits hold.
    let largest = |n: i64| sale("a", &n.to_string(), "purchase", "2024-01-05", 1_000_000_000_000_000);
    tally.backfill((0..9_223).map(largest).collect()).await.unwrap();
    let report = tally.sales(months("2024-01-01", "2024-02-01", "channel")).await.unwrap();
    assert_eq!(report.total.unwrap().revenue_minor, 9_223_000_000_000_000_000);
    assert_eq!(tally.cohorts(cohorts_of("2024-01-01", "2024-02-01")).await.unwrap().len(), 1);
    // With the month before, which it is compared with, 64 bits would not hold it.
    tally.backfill(vec![sale("a", "next", "purchase", "2024-02-05", 1_000_000_000_000_000)]).await.unwrap();
    for dimension in ["", "channel"] {
        let report = tally.sales(months("2024-02-01", "2024-03-01", dimension)).await.unwrap();
        assert_eq!(report.total.unwrap().revenue_minor, 1_000_000_000_000_000);
    }
    tally.backfill(vec![largest(9_223)]).await.unwrap();
    for dimension in ["", "channel"] {
        let refused = tally.sales(months("2024-01-01", "2024-02-01", dimension)).await;
        assert_refused(refused, Code::FailedPrecondition, "SUM_TOO_LARGE", &[]);
    }
    let refused = tally.cohorts(cohorts_of("2024-01-01", "2024-02-01")).await;
    assert_refused(refused, Code::FailedPrecondition, "SUM_TOO_LARGE", &[]);
}

async fn key_figures_take_turns_with_other_reports(tally: Tally) {
    let insights = tally.app().insights.clone();
    let (begun, mut beginnings) = tokio::sync::mpsc::channel(2);
    let (ends, _) = tokio::sync::broadcast::channel::<()>(1);
    // Two reports at a time.
    let mut running = Vec::new();
    for _ in 0..2 {
        let (insights, begun, mut end) = (insights.clone(), begun.clone(), ends.subscribe());
        running.push(tokio::spawn(async move {
            let work = async move {
                begun.send(()).await.unwrap();
                Ok(end.recv().await.is_err())
            };
            insights.report(work).await
        }));
        beginnings.recv().await.unwrap();
    }
    let (mut client, request) = (tally.insights(), v1::GetKpisRequest::default());
    let others = async {
        for _ in 0..100 {
            let request = v1::GetDeploymentRequest::default();
            tally.deployment().get_deployment(request).await.unwrap();
        }
    };
    let mut figures = Box::pin(client.get_kpis(request));
    tokio::select! {
        biased;
        early = &mut figures => panic!("{early:?} while two reports are computed"),
        () = others => {}
    }
    drop(ends);
    assert!(figures.await.is_ok());
    for report in running {
        assert!(report.await.unwrap().unwrap(), "its end was waited for");
    }
}

async fn who_waits_for_a_pass_holds_up_no_report(tally: Tally) {
    tally.backfill(vec![sale("a", "1", "purchase", "2024-01-03", 5)]).await.unwrap();
    // One pass is made at a time.
    let insights = tally.app().insights.clone();
    let others = InsightPass::start(&insights, time("2024-05-10"), PassPurpose::OnDemand).await.unwrap();
    let as_of_time = Some(timestamp(time("2024-05-20")));
    let (mut client, mut other) = (tally.insights(), tally.insights());
    let value_model = client.get_value_model(v1::GetValueModelRequest { as_of_time });
    let forecast = other.get_forecast(v1::GetForecastRequest { as_of_time, steps: 1 });
    let mut waiting = Box::pin(async { tokio::join!(value_model, forecast) });
    let figures = async {
        // By then, the server has begun with both.
        for _ in 0..100 {
            let request = v1::GetDeploymentRequest::default();
            tally.deployment().get_deployment(request).await.unwrap();
        }
        tally.insights().get_kpis(v1::GetKpisRequest::default()).await
    };
    let figures = tokio::time::timeout(std::time::Duration::from_secs(30), figures);
    tokio::select! {
        biased;
        early = &mut waiting => panic!("{early:?} without a pass"),
        figures = figures => assert!(figures.expect("key figures within half a minute").is_ok()),
    }
    drop(others);
    let (value_model, forecast) = waiting.await;
    assert_eq!(value_model.unwrap().into_inner().as_of_time, as_of_time);
    assert_eq!(forecast.unwrap().into_inner().as_of_time, as_of_time);
}
