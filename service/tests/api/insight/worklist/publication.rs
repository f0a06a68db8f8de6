//! Lists are handed out by several servers at the same time.

use tally_service::platform::clock::system_clock;

use super::{days_ago, ids, is_held_out};
use crate::support::{Tally, interaction, on_both_stores};

on_both_stores!(nobody_gets_two_episodes_at_the_same_time, the_holdout_is_the_same_for_ever);

async fn nobody_gets_two_episodes_at_the_same_time(tally: Tally) {
    let now = system_clock();
    let customers = ids(60, false);
    tally.lost(&customers, days_ago(now, 10)).await;
    let other = Tally::start(tally.database.again()).await;
    // The passes are there before, so that only the publications meet.
    let moments = [days_ago(now, 1), days_ago(now, 2), days_ago(now, 3)];
    for as_of in moments {
        assert_eq!(tally.all_work(as_of).await.len(), 60);
    }
    let calls = (0..12).map(|n| {
        let (server, as_of) = (if n % 2 == 0 { &tally } else { &other }, moments[n % 3]);
        async move { server.publish(as_of).await.unwrap() }
    });
    let replies = futures_util::future::join_all(calls).await;
    assert_eq!(replies.iter().map(|[published, ..]| published).sum::<i64>(), 60);
    assert!(replies.iter().all(|[published, _, still_open]| published + still_open == 60), "{replies:?}");
    assert_eq!(tally.database.sql("SELECT count(*) FROM worklist_episodes").await, Some(60));
}

async fn the_holdout_is_the_same_for_ever(mut tally: Tally) {
    let now = system_clock();
    let customers: Vec<String> = (0..400).map(|n| format!("c{n}")).collect();
    let expected: Vec<&String> = customers.iter().filter(|id| is_held_out(id)).collect();
    assert!((20..=60).contains(&expected.len()), "a tenth: {}", expected.len());
    tally.lost(&customers, days_ago(now, 2)).await;
    let held_out = async |tally: &Tally, days: i64| {
        let items = tally.all_work(days_ago(now, days)).await;
        let mut found: Vec<String> =
            items.iter().filter(|item| item.held_out).map(|item| item.customer_id.clone()).collect();
        found.sort_by_key(|id| id[1..].parse::<u32>().unwrap());
        found
    };
    assert_eq!(held_out(&tally, 2).await.iter().collect::<Vec<_>>(), expected);
    // Others come, and what is known of them changes.
    tally.lost(&(400..600).map(|n| format!("d{n}")).collect::<Vec<_>>(), days_ago(now, 2)).await;
    let visit = |id: &String| interaction(id, "visit", "visit", &days_ago(now, 300).to_string());
    tally.backfill(customers[..100].iter().map(visit).collect()).await.unwrap();
    tally.stop().await;
    let tally = Tally::start(tally.database.again()).await;
    let after: Vec<String> = held_out(&tally, 1).await.into_iter().filter(|id| id.starts_with('c')).collect();
    assert_eq!(after.iter().collect::<Vec<_>>(), expected);
    let insight = tally.insight(expected[0], &now.to_string()).await.unwrap();
    assert!(insight.held_out);
    let other = customers.iter().find(|id| !is_held_out(id)).unwrap();
    assert!(!tally.insight(other, &now.to_string()).await.unwrap().held_out);
}
