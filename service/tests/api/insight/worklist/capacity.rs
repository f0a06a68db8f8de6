//! The lists of a day hand out no more than its capacity, however often and in which parts they are published.

use futures_util::future::join_all;
use tally_model::{insight::InsightSpec, time::Time};
use tally_proto::v1::{self, WorkKind};
use tally_service::platform::clock::system_clock;

use super::{days_ago, ids};
use crate::{
    insight::paid,
    support::{Database, Tally, interaction, timestamp},
};

const BOTH: [WorkKind; 2] = [WorkKind::WinBack, WorkKind::CareDate];

/// A moment in the middle of a UTC day, so many days ago.
fn noon(days: i64) -> Time {
    let today = days_ago(system_clock(), days).0;
    Time(today - today.rem_euclid(86_400_000_000) + 43_200_000_000)
}

fn an_hour_after(time: Time) -> Time {
    Time(time.0 + 3_600_000_000)
}

/// A server whose customers are lost, on the anniversary of their first purchase: each has two items. The first are
/// worth most.
async fn start(database: Database, capacity: u32, customers: &[String]) -> Tally {
    let settings = format!("[worklist]\ncapacity = {capacity}");
    let tally = Tally::start_with_spec(database, InsightSpec::parse(&settings).unwrap()).await;
    let first = noon(5).plus_days(-3 * 365).to_string();
    let bought = customers.iter().map(|id| paid(id, "p", "purchase", &first, 500)).collect();
    tally.backfill(bought).await.unwrap();
    tally
}

/// The items of a list that are not held out, and the places that its day has left.
async fn list(tally: &Tally, as_of: Time, kinds: &[WorkKind]) -> (Vec<(String, WorkKind)>, Option<i64>) {
    let request = v1::ListWorklistRequest {
        kinds: kinds.iter().map(|kind| (*kind).into()).collect(),
        as_of_time: Some(timestamp(as_of)),
        page_size: 1_000,
        ..Default::default()
    };
    let reply = tally.worklist(request).await.unwrap();
    assert_eq!(reply.total_size, reply.items.len() as i64);
    let items = reply.items.into_iter().map(|item| (item.customer_id.clone(), item.kind()));
    (items.collect(), reply.places_left)
}

/// What is handed out, without held-out customers, by kind.
async fn handed_out(tally: &Tally) -> [i64; 2] {
    let count = async |kind: &str| {
        let sql = format!("SELECT count(*) FROM worklist_episodes WHERE NOT held_out AND kind = '{kind}'");
        tally.database.sql(&sql).await.unwrap()
    };
    [count("WIN_BACK").await, count("CARE_DATE").await]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn to_publish_again_hands_out_nothing_more() {
    for database in Database::both().await {
        let tally = start(database, 10, &[ids(8, false), ids(2, true)].concat()).await;
        let as_of = noon(5);
        let (shown, places) = list(&tally, as_of, &BOTH).await;
        assert_eq!((shown.len(), places), (10, Some(10)));
        // The kinds one after the other, and each again.
        let (win_back, places) = list(&tally, as_of, &BOTH[..1]).await;
        assert_eq!((win_back.len(), places), (8, Some(10)));
        assert_eq!(tally.publish_kinds(as_of, &BOTH[..1]).await, 10, "with two who are held out");
        let (care, places) = list(&tally, as_of, &BOTH[1..]).await;
        assert_eq!((care.len(), places), (2, Some(2)), "what is left of the day");
        assert!(tally.publish_kinds(as_of, &BOTH[1..]).await >= 2);
        assert_eq!(handed_out(&tally).await, [8, 2]);
        for kinds in [&BOTH[..1], &BOTH[1..], &BOTH] {
            assert_eq!(tally.publish_kinds(as_of, kinds).await, 0, "{kinds:?}");
        }
        // The list shows what was handed out, as does another one of the day; the next day has the rest.
        let mut expected = [win_back, care].concat();
        expected.sort_by_key(|(id, kind)| (id.clone(), *kind as i32));
        let (mut shown, places) = list(&tally, as_of, &BOTH).await;
        shown.sort_by_key(|(id, kind)| (id.clone(), *kind as i32));
        assert_eq!((shown, places), (expected.clone(), Some(0)));
        let later = an_hour_after(as_of);
        for kinds in [&BOTH[..1], &BOTH[1..], &BOTH] {
            let (mut shown, places) = list(&tally, later, kinds).await;
            shown.sort_by_key(|(id, kind)| (id.clone(), *kind as i32));
            let of_kinds = expected.iter().filter(|(_, kind)| kinds.contains(kind)).cloned();
            assert_eq!((shown, places), (of_kinds.collect(), Some(0)), "{kinds:?}");
        }
        assert_eq!(tally.publish_kinds(later, &BOTH).await, 0);
        let (rest, places) = list(&tally, noon(4), &BOTH).await;
        assert_eq!((rest.len(), places), (6, Some(10)));
        assert!(rest.iter().all(|item| !expected.contains(item)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_without_places_left_says_so() {
    for database in Database::both().await {
        let tally = start(database, 3, &[ids(5, false), ids(2, true)].concat()).await;
        let publish = async |as_of: Time| {
            let as_of_time = Some(timestamp(as_of));
            let kinds = vec![WorkKind::WinBack.into()];
            let request = v1::PublishWorklistRequest { as_of_time, kinds, ..Default::default() };
            tally.insights().publish_worklist(request).await.unwrap().into_inner()
        };
        let (as_of, later) = (noon(5), an_hour_after(noon(5)));
        let first = publish(as_of).await;
        assert_eq!(
            (first.published - first.held_out, first.places_used, first.places_left),
            (3, Some(3), Some(0))
        );
        // A new list of the same day has nothing more to hand out, and says why. It shows what the first has.
        let second = publish(later).await;
        assert_eq!((second.published, second.places_used, second.places_left), (0, Some(3), Some(0)));
        assert_eq!(second.still_open, first.published);
        let list = v1::ListWorklistRequest { as_of_time: Some(timestamp(later)), ..Default::default() };
        let list = tally.worklist(list).await.unwrap();
        assert_eq!((list.total_size, list.places_used, list.places_left), (3, Some(3), Some(0)));
        let lists = list.items.iter().map(|item| item.open_episode.as_ref().unwrap().as_of_time);
        assert_eq!(lists.collect::<Vec<_>>(), [Some(timestamp(as_of)); 3]);
        let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let shown = words(tally.cli(&["worklist", "list", "--as-of", &later.to_string()]));
        assert!(shown.contains("all 3 places of the day are used"), "{shown}");
        let shown = words(tally.cli(&["worklist", "publish", "--as-of", &later.to_string()]));
        assert!(
            shown.starts_with("published 0 items") && shown.contains("all 3 places of the day are used"),
            "{shown}"
        );
        // The next day has places again; without a capacity there are none to count.
        let next = publish(noon(4)).await;
        assert_eq!((next.places_used, next.places_left), (Some(2), Some(1)));
        let unlimited = Tally::start(tally.database.again()).await;
        let list = v1::ListWorklistRequest { as_of_time: Some(timestamp(noon(3))), ..Default::default() };
        let list = unlimited.worklist(list).await.unwrap();
        assert_eq!((list.places_used, list.places_left), (None, None));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_place_is_counted() {
    for database in Database::both().await {
        let tally = start(database, 10, &[ids(8, false), ids(2, true)].concat()).await;
        let count = async |as_of: Time, kinds: &[WorkKind], include_held_out: bool| {
            let request = v1::ListWorklistRequest {
                kinds: kinds.iter().map(|kind| (*kind).into()).collect(),
                as_of_time: Some(timestamp(as_of)),
                include_held_out,
                page_size: 1,
                ..Default::default()
            };
            let reply = tally.worklist(request).await.unwrap();
            [reply.total_size, reply.without_place]
        };
        let as_of = noon(5);
        assert_eq!(count(as_of, &BOTH[..1], false).await, [8, 0]);
        assert_eq!(count(as_of, &BOTH, false).await, [10, 6]);
        let [listed, without] = count(as_of, &BOTH, true).await;
        assert!(listed >= 10 && without >= 6, "{listed} and {without}");
        assert_eq!(listed + without, 20, "with the four items of those who are held out");
        let shown = tally.cli(&["worklist", "list", "--as-of", &as_of.to_string()]);
        let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = "10 of 10 places of the day are left; 6 more items have no place that day";
        assert!(shown.contains(words), "{shown}");
        // What was handed out has its place; of what is left, two have one.
        tally.publish_kinds(as_of, &BOTH[..1]).await;
        assert_eq!(count(as_of, &BOTH[..1], false).await, [8, 0]);
        assert_eq!(count(as_of, &BOTH[1..], false).await, [2, 6]);
        tally.publish_kinds(as_of, &BOTH[1..]).await;
        for as_of in [as_of, an_hour_after(as_of)] {
            assert_eq!(count(as_of, &BOTH, false).await, [10, 6]);
            assert_eq!(count(as_of, &BOTH[1..], false).await, [2, 6]);
        }
        // Those on a list of the day before want no place of the next.
        assert_eq!(count(noon(4), &BOTH, false).await, [6, 0]);
        let unlimited = Tally::start(tally.database.again()).await;
        let list = v1::ListWorklistRequest { as_of_time: Some(timestamp(noon(3))), ..Default::default() };
        assert_eq!(unlimited.worklist(list).await.unwrap().without_place, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_without_customers_counts_the_places_of_its_day() {
    for database in Database::both().await {
        let settings = InsightSpec::parse("[worklist]\ncapacity = 5").unwrap();
        let tally = Tally::start_with_spec(database, settings).await;
        let publish = async |as_of: Time| {
            let request =
                v1::PublishWorklistRequest { as_of_time: Some(timestamp(as_of)), ..Default::default() };
            let reply = tally.insights().publish_worklist(request).await.unwrap().into_inner();
            (reply.published, reply.places_used, reply.places_left)
        };
        assert_eq!(publish(noon(5)).await, (0, Some(0), Some(5)), "nobody is stored");
        // Three who matter come an hour before noon, and whom nobody turns to.
        let came = Time(noon(5).0 - 3_600_000_000).to_string();
        let mut events: Vec<_> =
            ids(3, false).iter().map(|id| paid(id, "p", "purchase", &came, 500)).collect();
        events.push(interaction("others", "c", "call", &came));
        tally.backfill(events).await.unwrap();
        assert_eq!(publish(noon(5)).await, (3, Some(3), Some(2)));
        let before = Time(noon(5).0 - 7_200_000_000);
        assert_eq!(publish(before).await, (0, Some(3), Some(2)), "nobody had come");
        assert_eq!(list(&tally, before, &BOTH).await, (vec![], Some(2)));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publications_at_the_same_time_share_the_places_of_the_day() {
    for database in Database::both().await {
        let tally = start(database.again(), 7, &ids(12, false)).await;
        let settings = InsightSpec::parse("[worklist]\ncapacity = 7").unwrap();
        let other = Tally::start_with_spec(database, settings).await;
        // The passes are there before, so that only the publications meet.
        let moments = [noon(5), an_hour_after(noon(5))];
        for as_of in moments {
            assert_eq!(list(&tally, as_of, &BOTH).await.1, Some(7));
        }
        let calls = (0..12).map(|n| {
            let server = if n % 2 == 0 { &tally } else { &other };
            let kinds = [&BOTH[..], &BOTH[..1], &BOTH[1..]][n % 3];
            server.publish_kinds(moments[n / 3 % 2], kinds)
        });
        let published: i64 = join_all(calls).await.into_iter().sum();
        assert_eq!(published, 7);
        assert_eq!(handed_out(&tally).await.iter().sum::<i64>(), 7);
        let request = v1::ListEpisodesRequest::default();
        assert_eq!(tally.episodes(request).await.len(), 7);
    }
}
