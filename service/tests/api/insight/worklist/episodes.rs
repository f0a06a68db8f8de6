//! Episodes: from a list that is handed out to what came of its actions.

use tally_model::time::{DAY, Time};
use tally_proto::v1::{self, Outcome, WorkKind};
use tally_service::platform::clock::system_clock;
use tonic::Code;

use super::{days_ago, ids};
use crate::support::{Tally, assert_refused, interaction, on_both_stores, timestamp};

on_both_stores!(
    an_episode_is_open_until_its_window_is_over,
    a_merged_customer_has_the_episodes_of_both_ids,
    the_holdout_of_the_survivor_decides,
);

async fn an_episode_is_open_until_its_window_is_over(tally: Tally) {
    let now = system_clock();
    let (over, open) = (days_ago(now, 91), days_ago(now, 1));
    let (treated, held_out) = (ids(20, false), ids(5, true));
    tally.lost(&[treated.clone(), held_out.clone()].concat(), over).await;
    assert_eq!(tally.publish(over).await.unwrap(), [25, 5, 0]);
    let id = treated[0].as_str();
    let none = tally.report(id, WorkKind::WinBack, Outcome::Done).await;
    assert_refused(none, Code::NotFound, "NO_OPEN_EPISODE", &[]);
    // What was done in time can be reported later.
    let done_at = |when: Time| v1::RecordActionOutcomeRequest {
        customer_id: id.to_owned(),
        kind: WorkKind::WinBack.into(),
        outcome: Outcome::Done.into(),
        occur_time: Some(timestamp(when)),
        ..Default::default()
    };
    for (when, has_episode) in [(-1, false), (0, true), (90 * DAY, true), (90 * DAY + 1, false)] {
        let reported = tally.insights().record_action_outcome(done_at(Time(over.0 + when))).await;
        match reported {
            Ok(reported) => assert!(has_episode && reported.get_ref().as_of_time == Some(timestamp(over))),
            Err(_) if !has_episode => assert_refused(reported, Code::NotFound, "NO_OPEN_EPISODE", &[]),
            Err(status) => panic!("{when}: {status}"),
        }
    }
    assert_eq!(tally.effect(WorkKind::WinBack).await[0].acted, 1);

    // Its time is over, so that another one begins; reading a list changes nothing.
    let before = tally.all_work(open).await;
    assert_eq!(tally.publish(open).await.unwrap(), [25, 5, 0]);
    assert_eq!(tally.publish(open).await.unwrap(), [0, 0, 25]);
    assert_eq!(tally.publish(days_ago(now, 0)).await.unwrap(), [0, 0, 25], "of another list");
    assert_eq!(tally.publish(days_ago(now, 50)).await.unwrap(), [0, 0, 25], "both are open then");
    let mut after = tally.all_work(open).await;
    after.iter_mut().for_each(|item| item.open_episode = None);
    assert_eq!(after, before);

    let recorded = tally.report(id, WorkKind::WinBack, Outcome::NotReached).await.unwrap();
    assert_eq!((recorded.customer_id.as_str(), recorded.action.as_str()), (id, "personal mail"));
    assert_eq!(recorded.as_of_time, Some(timestamp(open)));
    assert_eq!(recorded.until_time, Some(timestamp(open.plus_days(90))));
    let stored = async |what: &str| {
        let sql = format!("SELECT count(*) FROM worklist_episodes WHERE {what}");
        tally.database.sql(&sql).await.unwrap()
    };
    assert_eq!(stored("outcome = 'NOT_REACHED' AND outcome_action = 'personal mail'").await, 1);
    // The last report counts.
    let request = v1::RecordActionOutcomeRequest {
        customer_id: id.to_owned(),
        kind: WorkKind::WinBack.into(),
        action: "visit".to_owned(),
        outcome: Outcome::Done.into(),
        note: "Rang twice.".to_owned(),
        occur_time: Some(timestamp(Time(open.0 + 5))),
    };
    tally.insights().record_action_outcome(request.clone()).await.unwrap();
    assert_eq!(stored("outcome IS NOT NULL").await, 2, "with that of the first list");
    assert_eq!(
        stored("outcome = 'DONE' AND outcome_action = 'visit' AND outcome_note = 'Rang twice.'").await,
        1
    );

    let held = tally.report(&held_out[0], WorkKind::WinBack, Outcome::Done).await;
    assert_refused(held, Code::FailedPrecondition, "HELD_OUT", &[]);
    let other = tally.report(id, WorkKind::AtRisk, Outcome::Done).await;
    assert_refused(other, Code::NotFound, "NO_OPEN_EPISODE", &[]);
    let early =
        v1::RecordActionOutcomeRequest { occur_time: Some(timestamp(Time(over.0 - 1))), ..request.clone() };
    let early = tally.insights().record_action_outcome(early).await;
    assert_refused(early, Code::InvalidArgument, "INVALID_REQUEST", &["occur_time"]);
    let at_the_beginning = v1::RecordActionOutcomeRequest { occur_time: Some(timestamp(open)), ..request };
    tally.insights().record_action_outcome(at_the_beginning).await.unwrap();
}

async fn a_merged_customer_has_the_episodes_of_both_ids(tally: Tally) {
    let now = system_clock();
    let as_of = days_ago(now, 2);
    let customers = ids(3, false);
    let held_out = ids(1, true);
    tally.lost(&[customers.clone(), held_out.clone()].concat(), as_of).await;
    assert_eq!(tally.publish(as_of).await.unwrap(), [4, 1, 0]);

    // The survivor has had no episode of its own, and gets none while that of the other id is open.
    tally.backfill(vec![interaction("person", "1", "visit", "2001-01-01")]).await.unwrap();
    tally.merge(&customers[0], "person").await.unwrap();
    for id in ["person", customers[0].as_str()] {
        let recorded = tally.report(id, WorkKind::WinBack, Outcome::Done).await.unwrap();
        assert_eq!(recorded.customer_id, "person");
    }
    let today = days_ago(now, 1);
    let listed = tally.all_work(today).await;
    assert_eq!(listed.len(), 4, "the merged id is not listed");
    assert!(listed.iter().any(|item| item.customer_id == "person"));
    assert_eq!(tally.publish(today).await.unwrap(), [0, 0, 4]);
    // A list of before the merge has the merged id no more.
    assert!(tally.all_work(as_of).await.iter().all(|item| item.customer_id != customers[0]));

    // One of its ids was not held out, and has been turned to.
    tally.merge(&held_out[0], &customers[1]).await.unwrap();
    tally.report(&customers[1], WorkKind::WinBack, Outcome::Done).await.unwrap();
    tally.merge(&customers[2], &customers[1]).await.unwrap();
    tally.delete(&customers[1]).await.unwrap();
    assert_eq!(
        tally.database.sql("SELECT count(*) FROM worklist_episodes").await,
        Some(1),
        "of the merged id"
    );
    let gone = tally.report(&customers[1], WorkKind::WinBack, Outcome::Done).await;
    assert_refused(gone, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
}

/// Whatever a merge brings together, a customer gets an action when it is not held out itself.
async fn the_holdout_of_the_survivor_decides(tally: Tally) {
    let as_of = days_ago(system_clock(), 2);
    let (treated, held_out) = (ids(4, false), ids(5, true));
    // Two of each are not on the list.
    let (listed, others) =
        ([&treated[..2], &held_out[..3]].concat(), [&treated[2..], &held_out[3..]].concat());
    tally.lost(&listed, as_of).await;
    tally
        .backfill(others.iter().map(|id| interaction(id, "1", "visit", "2001-01-01")).collect())
        .await
        .unwrap();
    assert_eq!(tally.publish(as_of).await.unwrap(), [5, 3, 0]);
    let groups = async || {
        let request =
            v1::GetActionEffectRequest { kinds: vec![WorkKind::WinBack.into()], ..Default::default() };
        let rows = tally.insights().get_action_effect(request).await.unwrap().into_inner().rows;
        rows.into_iter()
            .map(|row| (row.action, row.treated, row.acted, row.held_out, row.open))
            .collect::<Vec<_>>()
    };
    let before = groups().await;

    // A held-out survivor gets nothing, though a list had one of its ids.
    tally.merge(&treated[0], &held_out[3]).await.unwrap();
    tally.merge(&treated[1], &held_out[0]).await.unwrap();
    for id in [&held_out[3], &held_out[0]] {
        let refused = tally.report(id, WorkKind::WinBack, Outcome::Done).await;
        assert_refused(refused, Code::FailedPrecondition, "HELD_OUT", &[]);
    }
    // A survivor that is not held out gets an action, though one of its ids was.
    tally.merge(&held_out[1], &treated[2]).await.unwrap();
    let recorded = tally.report(&held_out[1], WorkKind::WinBack, Outcome::Done).await.unwrap();
    assert_eq!(recorded.customer_id, treated[2]);
    // Two that are held out stay so.
    tally.merge(&held_out[2], &held_out[4]).await.unwrap();
    let refused = tally.report(&held_out[4], WorkKind::WinBack, Outcome::Done).await;
    assert_refused(refused, Code::FailedPrecondition, "HELD_OUT", &[]);

    assert_eq!(groups().await, before, "they are compared as published");
    let open = tally.episodes(v1::ListEpisodesRequest { open_only: true, ..Default::default() }).await;
    let shown = |id: &String| {
        let own = open.iter().filter(|episode| episode.customer_id == *id);
        own.map(|episode| (episode.held_out, episode.outcome())).collect::<Vec<_>>()
    };
    assert_eq!(shown(&treated[2]), [(true, Outcome::Done)]);
    assert_eq!(shown(&held_out[3]), [(false, Outcome::Unspecified)]);
    assert_eq!(shown(&held_out[0]).len(), 2, "of both ids, on one list");
}
