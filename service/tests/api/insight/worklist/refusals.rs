//! What the worklist refuses.

use tally_model::{insight::InsightSpec, time::Time};
use tally_proto::v1::{self, Outcome, WorkKind};
use tally_service::platform::clock::system_clock;
use tonic::Code;

use super::{days_ago, ids};
use crate::support::{Tally, assert_refused, interaction, on_both_stores, timestamp};

on_both_stores!(
    bad_requests_name_their_fields,
    lists_of_the_future_are_not_handed_out,
    lists_of_other_settings_are_not_handed_out,
    kinds_that_can_have_nobody_say_why,
    an_empty_list_is_no_error
);

async fn bad_requests_name_their_fields(tally: Tally) {
    let invalid = |result, fields: &[&str]| {
        assert_refused::<v1::ListWorklistResponse>(result, Code::InvalidArgument, "INVALID_REQUEST", fields);
    };
    let list = |kinds: Vec<i32>| v1::ListWorklistRequest { kinds, ..Default::default() };
    invalid(tally.worklist(list(vec![0])).await, &["kinds[0]"]);
    invalid(tally.worklist(list(vec![1, 6])).await, &["kinds[1]"]);
    invalid(tally.worklist(list(vec![1; 101])).await, &["kinds"]);
    tally.worklist(list(vec![1; 100])).await.unwrap();
    invalid(tally.worklist(v1::ListWorklistRequest { page_size: -1, ..list(vec![]) }).await, &["page_size"]);
    let forged = v1::ListWorklistRequest { page_token: "abc".to_owned(), ..list(vec![]) };
    invalid(tally.worklist(forged).await, &["page_token"]);

    let publish = v1::PublishWorklistRequest { kinds: vec![9], ..Default::default() };
    let refused = tally.insights().publish_worklist(publish).await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["kinds[0]"]);
    let episodes = v1::ListEpisodesRequest {
        kinds: vec![2, 6],
        customer_id: "a\nb".to_owned(),
        page_size: -1,
        ..Default::default()
    };
    let refused = tally.insights().list_episodes(episodes).await;
    let fields = ["page_size", "kinds[1]", "customer_id"];
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &fields);
    let forged = v1::ListEpisodesRequest { page_token: "abc".to_owned(), ..Default::default() };
    let refused = tally.insights().list_episodes(forged).await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["page_token"]);
    let now = system_clock();
    let effect = v1::GetActionEffectRequest {
        kinds: vec![0],
        from_time: Some(timestamp(now)),
        to_time: Some(timestamp(days_ago(now, 1))),
    };
    let refused = tally.insights().get_action_effect(effect).await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["kinds[0]"]);

    let outcome = v1::RecordActionOutcomeRequest {
        customer_id: String::new(),
        kind: 0,
        action: "a".repeat(65),
        outcome: 0,
        note: "n".repeat(1_025),
        occur_time: Some(timestamp(now.plus_days(2))),
    };
    let refused = tally.insights().record_action_outcome(outcome).await;
    let fields = ["customer_id", "kind", "action", "outcome", "note", "occur_time"];
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &fields);
    let unknown = tally.report("nobody", WorkKind::AtRisk, Outcome::Done).await;
    assert_refused(unknown, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);

    // At the limits it is recorded.
    let id = ids(1, false);
    tally.lost(&id, days_ago(now, 1)).await;
    tally.publish(days_ago(now, 1)).await.unwrap();
    let outcome = v1::RecordActionOutcomeRequest {
        customer_id: id[0].clone(),
        kind: WorkKind::WinBack.into(),
        action: "ä".repeat(64),
        outcome: Outcome::Other.into(),
        note: "ä".repeat(1_024),
        occur_time: None,
    };
    tally.insights().record_action_outcome(outcome).await.unwrap();
}

async fn lists_of_the_future_are_not_handed_out(tally: Tally) {
    let now = system_clock();
    tally.lost(&ids(3, false), now).await;
    let soon = Time(now.0 + 3_600_000_000);
    assert_refused(tally.publish(soon).await, Code::FailedPrecondition, "NOT_YET", &[]);
    let later = tally.publish(now.plus_days(2)).await;
    assert_refused(later, Code::InvalidArgument, "INVALID_REQUEST", &["as_of_time"]);
    // It can be looked at, and is not the latest one.
    assert_eq!(tally.all_work(soon).await.len(), 3);
    let reply = tally.insights().publish_worklist(v1::PublishWorklistRequest::default()).await;
    let reply = reply.unwrap().into_inner();
    assert_eq!(reply.published, 3);
    assert!(reply.as_of_time.unwrap().seconds < soon.0 / 1_000_000);
}

async fn lists_of_other_settings_are_not_handed_out(tally: Tally) {
    tally.lost(&ids(1, false), days_ago(system_clock(), 1)).await;
    tally.refresh_insights(&system_clock().to_string()).await.unwrap();
    let settings = InsightSpec::parse("[worklist]\ncapacity = 12").unwrap();
    let restarted = Tally::start_with_spec(tally.database.again(), settings).await;
    let publish = v1::PublishWorklistRequest::default();
    let refused = restarted.insights().publish_worklist(publish.clone()).await;
    let message = refused.as_ref().unwrap_err().message().to_owned();
    assert_refused(refused, Code::FailedPrecondition, "OTHER_SETTINGS", &[]);
    let win_back = v1::ListWorklistRequest { kinds: vec![WorkKind::WinBack.into()], ..Default::default() };
    let warnings = async |tally: &Tally| tally.worklist(win_back.clone()).await.unwrap().warnings;
    assert_eq!((warnings(&restarted).await, warnings(&tally).await), (vec![message], vec![]));
    let page = restarted.cli(&["worklist", "list", "win_back"]);
    assert!(page.contains("\nwarning: the pass as of "), "{page}");
    restarted.refresh_insights(&system_clock().to_string()).await.unwrap();
    assert_eq!(warnings(&restarted).await, [""; 0]);
    let published = restarted.insights().publish_worklist(publish).await.unwrap();
    assert_eq!(published.into_inner().published, 1);
}

async fn kinds_that_can_have_nobody_say_why(tally: Tally) {
    let now = system_clock();
    let ago = |days: i64| days_ago(now, days).to_string();
    tally.backfill(vec![interaction("ada", "1", "visit", &ago(9))]).await.unwrap();
    let warnings = async |days: i64, kinds: &[WorkKind]| {
        let request = v1::ListWorklistRequest {
            as_of_time: Some(timestamp(days_ago(now, days))),
            kinds: kinds.iter().map(|kind| (*kind).into()).collect(),
            ..Default::default()
        };
        tally.worklist(request).await.unwrap().warnings
    };
    let kinds = async |days: i64| -> Vec<String> {
        let words = |text: String| text.split(": ").next().unwrap().to_owned();
        warnings(days, &[]).await.into_iter().map(words).collect()
    };
    assert_eq!(kinds(10).await, [""; 0], "nobody was there");
    let nobody = |names: &[&str]| -> Vec<String> {
        names.iter().map(|name| format!("nobody can be {name}")).collect()
    };
    assert_eq!(kinds(8).await, nobody(&["AT_RISK", "HOT_LEAD", "NEGLECTED", "CARE_DATE"]));
    let neglected = warnings(8, &[WorkKind::Neglected, WorkKind::WinBack]).await;
    assert!(
        neglected.len() == 1 && neglected[0].contains(" (call, email, meeting, message, letter)"),
        "{neglected:?}"
    );
    let page = tally.cli(&["worklist", "list", "neglected", "--as-of", &ago(8)]);
    assert!(page.contains("\nwarning: nobody can be NEGLECTED: no contact is "), "{page}");
    let events = ["call", "purchase"].map(|kind| interaction("ada", kind, kind, &ago(6)));
    tally.backfill(events.to_vec()).await.unwrap();
    assert_eq!(kinds(5).await, nobody(&["AT_RISK", "HOT_LEAD"]));
}

async fn an_empty_list_is_no_error(tally: Tally) {
    let empty = tally.worklist(v1::ListWorklistRequest::default()).await.unwrap();
    assert_eq!((empty.items.len(), empty.total_size, empty.not_paying), (0, 0, 0));
    assert_eq!(empty.warnings, [""; 0]);
    assert_eq!(tally.publish(system_clock()).await.unwrap(), [0, 0, 0]);
    assert_eq!(tally.effect(WorkKind::AtRisk).await, []);
}
