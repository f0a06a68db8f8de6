//! The effect of actions, on data made by hand.

use tally_model::{insight::InsightSpec, time::Time};
use tally_proto::v1::{self, Outcome, WorkKind};
use tally_service::platform::clock::system_clock;

use super::{days_ago, ids};
use crate::{
    insight::paid,
    support::{Database, Tally, interaction, on_both_stores, timestamp},
};

on_both_stores!(only_purchases_in_the_window_count);

/// A purchase of each of these customers.
async fn buy(tally: &Tally, ids: &[String], id: &str, when: Time) {
    let when = when.to_string();
    tally.backfill(ids.iter().map(|of| paid(of, id, "purchase", &when, 100)).collect()).await.unwrap();
}

fn rounded(row: &v1::ActionEffect) -> [String; 3] {
    [row.effect, row.lower, row.upper].map(|number| format!("{:.4}", number.unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_are_exact_and_the_interval_is_newcombes() {
    // What is bought again must not change who is lost.
    let settings = InsightSpec::parse("[life_cycle]\ntypical_interval_days = 90").unwrap();
    for database in Database::both().await {
        assert_newcombe(Tally::start_with_spec(database, settings.clone()).await).await;
    }
}

/// The example of Newcombe (1998): 56 of 70 against 48 of 80.
async fn assert_newcombe(tally: Tally) {
    let as_of = days_ago(system_clock(), 100);
    let (treated, held_out) = (ids(70, false), ids(80, true));
    tally.lost(&[treated.clone(), held_out.clone()].concat(), as_of).await;
    assert_eq!(tally.publish(as_of).await.unwrap(), [150, 80, 0]);
    let [row, _] = &tally.effect(WorkKind::WinBack).await[..] else { panic!("one action, and all together") };
    assert_eq!((row.rate_treated, row.rate_held_out, row.effect), (Some(0.0), Some(0.0), Some(0.0)));
    assert_eq!((row.treated, row.held_out, row.open, row.more_needed), (70, 80, 0, None));

    // A second purchase changes nothing.
    for (id, day) in [("1", 30), ("2", 60)] {
        buy(&tally, &treated[..56], id, as_of.plus_days(day)).await;
        buy(&tally, &held_out[..48], id, as_of.plus_days(day)).await;
    }
    let rows = tally.effect(WorkKind::WinBack).await;
    assert_eq!(rows.iter().map(|row| row.action.as_str()).collect::<Vec<_>>(), ["", "personal mail"]);
    // The windows end on day 90. Without any purchase for more than a week before, some may be missing.
    for (day, may_miss) in [(82, true), (84, false)] {
        buy(&tally, &["other".to_owned()], &day.to_string(), as_of.plus_days(day)).await;
        let reply = tally.insights().get_action_effect(v1::GetActionEffectRequest::default()).await.unwrap();
        let words = "purchases may be missing, which do not count then: the last that is stored is of";
        let [.., warning] = &reply.get_ref().warnings[..] else {
            assert!(!may_miss, "{day}");
            continue;
        };
        assert!(may_miss && warning.starts_with(words), "{day}: {warning}");
        assert!(warning.ends_with("and of the episodes that are over, 150 ended more than 7 days later"));
    }
    for row in &rows {
        assert_eq!((row.treated, row.treated_successes, row.rate_treated), (70, 56, Some(0.8)));
        assert_eq!((row.held_out, row.held_out_successes, row.rate_held_out), (80, 48, Some(0.6)));
        assert_eq!(rounded(row), ["0.2000", "0.0524", "0.3339"]);
        assert_eq!((row.acted, row.open, row.more_needed), (0, 0, None));
    }

    // The same customers on a list that is still open count as open, and what was done does not change the groups.
    let today = system_clock();
    assert_eq!(tally.publish(today).await.unwrap()[2], 0, "their time is over");
    let id = &treated[60];
    tally.report(id, WorkKind::WinBack, Outcome::Done).await.unwrap();
    let row = &tally.effect(WorkKind::WinBack).await[0];
    assert_eq!((row.treated, row.acted, rounded(row)[0].as_str()), (70, 0, "0.2000"));
    assert!(row.open > 0);
    let request =
        v1::GetActionEffectRequest { from_time: Some(timestamp(Time(as_of.0 + 1))), ..Default::default() };
    let later = tally.insights().get_action_effect(request).await.unwrap().into_inner().rows;
    assert!(later.iter().all(|row| row.treated == 0 && row.effect.is_none() && row.more_needed.is_none()));
    let request = v1::GetActionEffectRequest { to_time: Some(timestamp(as_of)), ..Default::default() };
    let earlier = tally.insights().get_action_effect(request).await.unwrap().into_inner().rows;
    assert_eq!(earlier, [], "before the moment of the list");
}

async fn only_purchases_in_the_window_count(tally: Tally) {
    let as_of = days_ago(system_clock(), 100);
    let customers = ids(8, false);
    tally.lost(&customers, as_of).await;
    assert_eq!(tally.publish(as_of).await.unwrap(), [8, 0, 0]);
    let end = as_of.plus_days(90);
    let buy_at = |n: usize, when: Time| {
        let when = when.to_string();
        vec![paid(&customers[n], "late", "purchase", &when, 100)]
    };
    // Recorded after the list was handed out.
    for (n, when) in [(0, as_of), (1, Time(as_of.0 + 1)), (2, end), (3, Time(end.0 + 1))] {
        tally.backfill(buy_at(n, when)).await.unwrap();
    }
    let inside = as_of.plus_days(10);
    tally.backfill(vec![interaction(&customers[4], "v", "visit", &inside.to_string())]).await.unwrap();
    tally.backfill(vec![paid(&customers[5], "r", "return", &inside.to_string(), 5)]).await.unwrap();
    tally.backfill(buy_at(6, inside)).await.unwrap();
    tally.retract(&[(customers[6].as_str(), "late")]).await.unwrap();
    let row = &tally.effect(WorkKind::WinBack).await[0];
    assert_eq!(
        (row.treated, row.treated_successes),
        (8, 2),
        "the ones just after the beginning and at the end"
    );
    assert_eq!((row.held_out, row.rate_held_out, row.effect, row.more_needed), (0, None, None, None));

    // What is bought under an id that is merged counts for the survivor, and the other way round.
    tally.backfill(vec![paid("other", "1", "purchase", &inside.to_string(), 5)]).await.unwrap();
    tally.merge("other", &customers[4]).await.unwrap();
    tally.backfill(vec![paid("person", "1", "purchase", &inside.to_string(), 5)]).await.unwrap();
    tally.merge(&customers[5], "person").await.unwrap();
    let row = &tally.effect(WorkKind::WinBack).await[0];
    assert_eq!((row.treated, row.treated_successes), (8, 4));

    // Nothing of an erased customer stays.
    tally.delete("person").await.unwrap();
    tally.delete(&customers[1]).await.unwrap();
    let row = &tally.effect(WorkKind::WinBack).await[0];
    assert_eq!((row.treated, row.treated_successes), (6, 2));
    let left = tally.database.sql("SELECT count(*) FROM worklist_episodes").await;
    assert_eq!(left, Some(6));
}
