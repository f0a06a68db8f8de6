//! What is handed out, on the items of a list and by itself.

use std::collections::HashSet;

use tally_model::time::Time;
use tally_proto::v1::{self, Outcome, WorkKind};
use tally_service::platform::clock::system_clock;
use tonic::Code;

use super::{days_ago, ids, is_held_out};
use crate::{
    insight::paid,
    support::{Tally, assert_refused, customer, interaction, on_both_stores, timestamp},
};

on_both_stores!(items_have_their_open_episode, episodes_are_listed_with_what_came_of_them);

async fn items_have_their_open_episode(tally: Tally) {
    let now = system_clock();
    let (as_of, today) = (days_ago(now, 3), days_ago(now, 0));
    let customers = ids(3, false);
    tally.lost(&[customers.clone(), ids(1, true)].concat(), as_of).await;
    let before = tally.all_work(as_of).await;
    assert!(before.iter().all(|item| item.open_episode.is_none()));
    tally.publish(as_of).await.unwrap();
    let expected = |held_out| v1::OpenEpisode {
        as_of_time: Some(timestamp(as_of)),
        until_time: Some(timestamp(as_of.plus_days(90))),
        action: "personal mail".to_owned(),
        held_out,
        ..Default::default()
    };
    for list in [as_of, today] {
        for item in tally.all_work(list).await {
            assert_eq!(item.open_episode, Some(expected(item.held_out)), "{}", item.customer_id);
        }
    }
    // It has what was reported last, also under the survivor of a merge.
    tally.report(&customers[0], WorkKind::WinBack, Outcome::NotReached).await.unwrap();
    tally.backfill(vec![interaction("person", "1", "visit", "2001-01-01")]).await.unwrap();
    assert!(!is_held_out("person"));
    tally.merge(&customers[0], "person").await.unwrap();
    tally.refresh_insights(&today.to_string()).await.unwrap();
    let items = tally.all_work(today).await;
    let of = |id: &str| items.iter().find(|item| item.customer_id == id).unwrap().open_episode.clone();
    let reported = v1::OpenEpisode {
        outcome: Outcome::NotReached.into(),
        outcome_action: Some("personal mail".to_owned()),
        ..expected(false)
    };
    assert_eq!(of("person"), Some(reported));
    assert_eq!(of(&customers[1]), Some(expected(false)));
    // One that is over is not open.
    let over = days_ago(now, 92);
    let late = ids(5, false).split_off(4);
    tally.lost(&late, over).await;
    assert_eq!(tally.publish_kinds(over, &[WorkKind::WinBack]).await, 1, "the others have an open one");
    let items = tally.all_work(days_ago(now, 1)).await;
    assert_eq!(items.iter().find(|item| item.customer_id == late[0]).unwrap().open_episode, None);
}

/// The customers of two lists, of which the first is over.
struct Lists {
    moments: [Time; 2],
    treated: Vec<String>,
}

async fn two_lists(tally: &Tally) -> Lists {
    let now = system_clock();
    let moments = [days_ago(now, 93), days_ago(now, 2)];
    let treated = ids(6, false);
    let named =
        treated.iter().map(|id| v1::Customer { name: format!("N {id}"), ..customer(id, "2001-01-01", &[]) });
    tally.upsert(named.collect()).await.unwrap();
    tally.lost(&[treated.clone(), ids(2, true)].concat(), moments[0]).await;
    for as_of in moments {
        assert_eq!(tally.publish(as_of).await.unwrap(), [8, 2, 0]);
    }
    Lists { moments, treated }
}

/// What identifies an episode, in the order of the list.
fn places(episodes: &[v1::Episode]) -> Vec<(i64, String, i32)> {
    episodes
        .iter()
        .map(|episode| (-episode.as_of_time.unwrap().seconds, episode.customer_id.clone(), episode.kind))
        .collect()
}

async fn episodes_are_listed_with_what_came_of_them(tally: Tally) {
    let Lists { moments: [over, open], treated } = two_lists(&tally).await;
    let all = v1::ListEpisodesRequest::default;
    let open_only = || v1::ListEpisodesRequest { open_only: true, ..all() };
    let episodes = tally.episodes(all()).await;
    assert_eq!(episodes.len(), 16);
    let order = places(&episodes);
    assert!(order.is_sorted() && order.iter().collect::<HashSet<_>>().len() == 16, "{order:?}");
    assert_eq!(tally.episodes(open_only()).await, episodes[..8]);
    for page_size in [1, 3, 8] {
        assert_eq!(tally.episodes(v1::ListEpisodesRequest { page_size, ..all() }).await, episodes);
    }
    let of_kind = |kind: WorkKind| v1::ListEpisodesRequest { kinds: vec![kind.into()], ..all() };
    assert_eq!(tally.episodes(of_kind(WorkKind::WinBack)).await, episodes);
    assert_eq!(tally.episodes(of_kind(WorkKind::AtRisk)).await, []);
    for episode in &episodes {
        assert_eq!(episode.held_out, is_held_out(&episode.customer_id));
        assert_eq!(
            episode.name,
            if episode.held_out { String::new() } else { format!("N {}", episode.customer_id) }
        );
        assert_eq!((episode.bought, episode.outcome()), (Some(false), Outcome::Unspecified));
        assert!(episode.publish_time.unwrap().seconds >= open.0 / 1_000_000);
    }

    // Purchases in the window count, and no others: of the two lists, of the first alone, of none.
    let end = over.plus_days(90);
    let bought = [(0, open.plus_days(1)), (1, end), (2, over), (3, Time(end.0 + 1))];
    let purchase = |(n, when): (usize, Time)| paid(&treated[n], "late", "purchase", &when.to_string(), 100);
    tally.backfill(bought.map(purchase).to_vec()).await.unwrap();
    let of = async |id: &str| {
        let request = v1::ListEpisodesRequest { customer_id: id.to_owned(), ..all() };
        tally.episodes(request).await
    };
    let expected = [[true, false], [false, true], [false, false], [false, false], [false, false]];
    for (id, bought) in treated.iter().zip(expected) {
        let own = of(id).await;
        let found: Vec<bool> = own.iter().map(|episode| episode.bought.unwrap()).collect();
        assert_eq!(found, bought, "{id}");
        assert!(own.iter().all(|episode| episode.customer_id == *id));
    }
    // Who has bought is on the list no more, but was on it.
    let today = days_ago(system_clock(), 0);
    assert!(tally.all_work(today).await.iter().all(|item| item.customer_id != treated[0]));

    let request = v1::RecordActionOutcomeRequest {
        customer_id: treated[4].clone(),
        kind: WorkKind::WinBack.into(),
        action: "visit".to_owned(),
        outcome: Outcome::Declined.into(),
        note: "Moved away.".to_owned(),
        occur_time: Some(timestamp(open.plus_days(1))),
    };
    tally.insights().record_action_outcome(request).await.unwrap();
    let [reported, earlier] = &of(&treated[4]).await[..] else { panic!("two lists") };
    assert_eq!(reported.outcome(), Outcome::Declined);
    assert_eq!(reported.outcome_action.as_deref(), Some("visit"));
    assert_eq!((reported.action.as_str(), reported.outcome_note.as_str()), ("personal mail", "Moved away."));
    assert_eq!(reported.outcome_time, Some(timestamp(open.plus_days(1))));
    assert_eq!(reported.until_time, Some(timestamp(open.plus_days(90))));
    assert_eq!((earlier.outcome(), earlier.outcome_action.as_deref()), (Outcome::Unspecified, None));

    let to_do = v1::ListEpisodesRequest { without_outcome: true, page_size: 2, ..open_only() };
    let to_do = tally.episodes(to_do).await;
    let expected = tally.episodes(open_only()).await.into_iter();
    let expected: Vec<v1::Episode> =
        expected.filter(|episode| !episode.held_out && episode.customer_id != treated[4]).collect();
    assert_eq!((to_do.len(), to_do), (5, expected), "nobody who is held out, and nobody who was reported");
    assert_eq!(tally.episodes(v1::ListEpisodesRequest { without_outcome: true, ..all() }).await.len(), 11);
    let shown = tally.cli(&["worklist", "episodes", "--without-outcome"]);
    assert!(shown.contains("showing 5 of 5 open episodes without an outcome"), "{shown}");

    assert_merged_and_erased(&tally, &treated).await;
}

/// How many rows of the view pass a condition.
async fn viewed(tally: &Tally, condition: &str) -> i64 {
    tally.database.sql(&format!("SELECT count(*) FROM v_episodes WHERE {condition}")).await.unwrap()
}

/// A survivor has the episodes and the purchases of all its ids, and an erased customer none.
async fn assert_merged_and_erased(tally: &Tally, treated: &[String]) {
    let declined = "outcome = 'DECLINED' AND outcome_action = 'visit' AND outcome_note = 'Moved away.'";
    assert_eq!(viewed(tally, &format!("customer_id = '{}' AND {declined}", treated[4])).await, 1);
    let counts = [viewed(tally, "held_out").await, viewed(tally, "outcome IS NULL").await];
    assert_eq!(counts, [4, 15]);
    let times = "as_of_time < until_time AND as_of_time < publish_time AND action = 'personal mail'";
    assert_eq!(viewed(tally, times).await, 16);
    tally.merge(&treated[0], &treated[5]).await.unwrap();
    assert_eq!(viewed(tally, &format!("customer_id = '{}'", treated[5])).await, 4);
    assert_eq!(viewed(tally, &format!("published_id = '{}'", treated[0])).await, 2);
    for id in [&treated[0], &treated[5]] {
        let request = v1::ListEpisodesRequest { customer_id: id.clone(), page_size: 1, ..Default::default() };
        let own = tally.episodes(request).await;
        assert_eq!(own.len(), 4);
        assert!(own.iter().all(|episode| episode.customer_id == treated[5]));
        let bought: Vec<bool> = own.iter().map(|episode| episode.bought.unwrap()).collect();
        assert_eq!(bought, [true, true, false, false], "of both ids");
    }
    let all = tally.episodes(v1::ListEpisodesRequest { page_size: 3, ..Default::default() }).await;
    assert!(all.len() == 16 && places(&all).is_sorted());
    tally.delete(&treated[5]).await.unwrap();
    assert_eq!(tally.episodes(v1::ListEpisodesRequest::default()).await.len(), 12);
    assert_eq!(viewed(tally, "true").await, 12);
    let request = v1::ListEpisodesRequest { customer_id: treated[5].clone(), ..Default::default() };
    let gone = tally.insights().list_episodes(request).await;
    assert_refused(gone, Code::NotFound, "CUSTOMER_NOT_FOUND", &[]);
}
