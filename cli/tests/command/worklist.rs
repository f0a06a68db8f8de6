//! `tally worklist` against a small server.

use std::process::{Command, Stdio};

use prost_types::Timestamp;
use tally_proto::v1::{
    GetActionEffectRequest, ListEpisodesRequest, ListWorklistRequest, Outcome, PublishWorklistRequest,
    RecordActionOutcomeRequest, WorkKind,
};

use crate::fake::{FakeServer, InsightReplies, InsightRequest, Knowledge, serve, tally};

/// 9 September 2011.
const DAY: Timestamp = Timestamp { seconds: 1_315_526_400, nanos: 0 };
/// 10 September 2011.
const NEXT: Timestamp = Timestamp { seconds: 1_315_612_800, nanos: 0 };

async fn serve_work(work: i64) -> (FakeServer, String) {
    let (fake, url) = serve().await;
    let insights = InsightReplies { work, ..Default::default() };
    fake.0.lock().unwrap().knows = Some(Knowledge { insights, ..Default::default() });
    (fake, url)
}

#[tokio::test]
async fn arguments_become_requests() {
    let (fake, url) = serve_work(0).await;
    let outcome = RecordActionOutcomeRequest {
        customer_id: "C1".to_owned(),
        kind: WorkKind::AtRisk.into(),
        outcome: Outcome::NotReached.into(),
        ..Default::default()
    };
    for (line, request) in [
        ("list", InsightRequest::Worklist(ListWorklistRequest { page_size: 20, ..Default::default() })),
        (
            "list at_risk hot_lead --as-of 2011-09-09 --include-held-out --include-not-paying --limit 5000",
            InsightRequest::Worklist(ListWorklistRequest {
                kinds: vec![WorkKind::AtRisk.into(), WorkKind::HotLead.into()],
                as_of_time: Some(DAY),
                include_held_out: true,
                include_not_paying: true,
                page_size: 1_000,
                ..Default::default()
            }),
        ),
        (
            "publish win_back --as-of 2011-09-09",
            InsightRequest::Publish(PublishWorklistRequest {
                kinds: vec![WorkKind::WinBack.into()],
                as_of_time: Some(DAY),
                ..Default::default()
            }),
        ),
        (
            "publish --include-not-paying",
            InsightRequest::Publish(PublishWorklistRequest {
                include_not_paying: true,
                ..Default::default()
            }),
        ),
        ("outcome C1 at_risk not_reached", InsightRequest::Outcome(outcome.clone())),
        (
            "outcome C1 at_risk not_reached --action visit --note later --at 2011-09-10T00:00:00Z",
            InsightRequest::Outcome(RecordActionOutcomeRequest {
                action: "visit".to_owned(),
                note: "later".to_owned(),
                occur_time: Some(NEXT),
                ..outcome
            }),
        ),
        (
            "episodes --limit 1",
            InsightRequest::Episodes(ListEpisodesRequest {
                open_only: true,
                page_size: 1,
                ..Default::default()
            }),
        ),
        (
            "episodes --without-outcome --limit 1",
            InsightRequest::Episodes(ListEpisodesRequest {
                open_only: true,
                without_outcome: true,
                page_size: 1,
                ..Default::default()
            }),
        ),
        (
            "episodes win_back --customer C1 --all --limit 1",
            InsightRequest::Episodes(ListEpisodesRequest {
                kinds: vec![WorkKind::WinBack.into()],
                customer_id: "C1".to_owned(),
                page_size: 1,
                ..Default::default()
            }),
        ),
        (
            "effect care_date neglected --from 2011-09-09 --to 2011-09-10",
            InsightRequest::Effect(GetActionEffectRequest {
                kinds: vec![WorkKind::CareDate.into(), WorkKind::Neglected.into()],
                from_time: Some(DAY),
                to_time: Some(NEXT),
            }),
        ),
    ] {
        let arguments: Vec<&str> = ["worklist"].into_iter().chain(line.split(' ')).collect();
        tally(&url, &arguments).await.unwrap();
        assert_eq!(fake.0.lock().unwrap().insights.pop(), Some(request), "{line}");
    }
}

#[tokio::test]
async fn items_are_gathered_from_their_pages() {
    let (_fake, url) = serve_work(1_300).await;
    let mut program = Command::new(env!("CARGO_BIN_EXE_tally"));
    let arguments = ["worklist", "list", "--as-of", "2011-09-09", "--limit", "1200", "--json"];
    program.env_clear().args(["--server", &url]).args(arguments).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || program.output().unwrap()).await.unwrap();
    let [lines, error] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert!(output.status.success(), "{error}");
    assert_eq!(error, "showing 1,200 of 1,300 as of 2011-09-09T00:00:00Z\n");
    let ids: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|item| item["customer_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, (0..1_200).map(|n| format!("C{n}")).collect::<Vec<_>>());
}
