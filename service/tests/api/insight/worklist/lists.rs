//! Pages of lists, and lists that are ranked by expected gain.

use tally_model::{insight::InsightSpec, time::Time};
use tally_proto::v1::{self, WorkKind};
use tally_service::platform::clock::system_clock;

use super::{days_ago, ids};
use crate::{
    insight::paid,
    support::{Database, Tally, interaction, on_both_stores, timestamp},
};

on_both_stores!(pages_have_the_whole_list, a_list_may_be_of_some_kinds);

async fn pages_have_the_whole_list(tally: Tally) {
    let as_of = days_ago(system_clock(), 1);
    let customers = [ids(30, false), ids(4, true)].concat();
    tally.lost(&customers, as_of).await;
    let all = tally.all_work(as_of).await;
    assert_eq!((all.len(), all.iter().filter(|item| item.held_out).count()), (34, 4));
    for page_size in [1, 7, 30] {
        let request =
            v1::ListWorklistRequest { as_of_time: Some(timestamp(as_of)), page_size, ..Default::default() };
        let items = tally.work_of_all_pages(request).await;
        let treated: Vec<_> = all.iter().filter(|item| !item.held_out).cloned().collect();
        assert_eq!(items, treated);
    }
}

/// A customer with several kinds has an item of each, also where a page ends between them.
async fn a_list_may_be_of_some_kinds(tally: Tally) {
    let as_of = days_ago(system_clock(), 1);
    let customers = ids(12, false);
    // Lost, and it is the anniversary of the first purchase.
    let first = as_of.plus_days(-730 - 365).to_string();
    tally
        .backfill(customers.iter().map(|id| paid(id, "p", "purchase", &first, 500)).collect())
        .await
        .unwrap();
    let list = async |kinds: &[WorkKind], page_size| {
        let request = v1::ListWorklistRequest {
            kinds: kinds.iter().map(|kind| (*kind).into()).collect(),
            as_of_time: Some(timestamp(as_of)),
            page_size,
            ..Default::default()
        };
        let items = tally.work_of_all_pages(request).await.into_iter();
        items.map(|item| (item.customer_id.clone(), item.kind())).collect::<Vec<_>>()
    };
    let both = list(&[], 100).await;
    assert_eq!(both.len(), 24);
    for page_size in [1, 2, 3, 5] {
        assert_eq!(list(&[], page_size).await, both, "{page_size}");
    }
    let of_kind = |kind| both.iter().filter(|item| item.1 == kind).cloned().collect::<Vec<_>>();
    for kind in [WorkKind::WinBack, WorkKind::CareDate] {
        assert_eq!(list(&[kind], 5).await, of_kind(kind));
    }
    assert_eq!(list(&[WorkKind::AtRisk], 5).await, []);
    let request = v1::PublishWorklistRequest {
        kinds: vec![WorkKind::CareDate.into()],
        as_of_time: Some(timestamp(as_of)),
        ..Default::default()
    };
    let published = tally.insights().publish_worklist(request).await.unwrap().into_inner();
    assert_eq!((published.published, published.still_open), (12, 0));
    assert_eq!(tally.publish(as_of).await.unwrap(), [12, 0, 12], "the other kind");
}

async fn start(database: Database, settings: &str) -> Tally {
    Tally::start_with_spec(database, InsightSpec::parse(settings).unwrap()).await
}

/// With a capacity a list has the best items of a day, and the held-out customers who are as good.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_has_its_capacity() {
    for database in Database::both().await {
        let tally = start(database, "[worklist]\ncapacity = 3").await;
        let now = system_clock();
        let (treated, held_out) = (ids(8, false), ids(1, true));
        tally.lost(&[treated.clone(), held_out].concat(), days_ago(now, 9)).await;
        let list = async |days| {
            let items = tally.all_work(days_ago(now, days)).await;
            items
                .iter()
                .filter(|item| !item.held_out)
                .map(|item| item.customer_id.clone())
                .collect::<Vec<_>>()
        };
        let first = list(9).await;
        assert_eq!(first.len(), 3);
        let all = tally.all_work(days_ago(now, 9)).await;
        let last = all.iter().rfind(|item| !item.held_out).unwrap();
        let as_good = |item: &&v1::WorkItem| item.value_at_risk_minor >= last.value_at_risk_minor;
        assert!(all.iter().all(|item| as_good(&item)));
        assert_eq!(tally.publish(days_ago(now, 9)).await.unwrap()[0], all.len() as i64);
        assert_eq!(list(9).await, first, "handed out, it is the same");
        assert_eq!(tally.publish(days_ago(now, 9)).await.unwrap(), [0, 0, all.len() as i64]);
        // The next days have the others.
        let second = list(8).await;
        assert!(second.len() == 3 && second.iter().all(|id| !first.contains(id)), "{first:?} {second:?}");
        tally.publish(days_ago(now, 8)).await.unwrap();
        assert_eq!(list(7).await.len(), 2);
    }
}

/// What the customer of a number did: it bought some times up to a month or two before `as_of`, and then cancelled.
fn cancelled(id: &str, n: usize, as_of: Time) -> Vec<v1::Interaction> {
    let (n, amount) = (n as i64, 10_i64.pow(2 + n as u32 % 4));
    let on = |days: i64| as_of.plus_days(-days).to_string();
    let bought = (0..2 + n % 3).map(|place| {
        let days = 30 + n % 20 + place * (40 + n % 11 * 5);
        paid(id, &days.to_string(), "purchase", &on(days), amount + 7 * place)
    });
    bought.chain([interaction(id, "end", "cancel", &on(10))]).collect()
}

/// An action that costs nothing stays on the list, whatever it was measured to bring; what brings more comes first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_costs_nothing_stays() {
    for database in Database::both().await {
        let settings = "[worklist]\ncapacity = 1000\n[[playbook]]\nabc = \"A\"\naction = \"call\"\n\
                        [[playbook]]\naction = \"letter\"";
        let tally = start(database.again(), settings).await;
        let as_of = days_ago(system_clock(), 100);
        let customers = [ids(40, false), ids(40, true)].concat();
        let all = customers.iter().enumerate().flat_map(|(n, id)| cancelled(id, n, as_of));
        tally.backfill(all.collect()).await.unwrap();
        let first = tally.all_work(as_of).await;
        let called: Vec<&str> = first
            .iter()
            .filter(|item| item.action == "call" && !item.held_out)
            .map(|item| item.customer_id.as_str())
            .collect();
        assert!(called.len() > 5 && called.len() < 35, "{called:?}");
        assert_eq!(tally.publish(as_of).await.unwrap()[0], 80);
        // Nobody has bought since.
        let useless = gains(&tally, as_of.plus_days(98)).await;
        assert!(useless.iter().all(|(gain, ..)| *gain == 0), "{useless:?}");
        // With a cost, calls are still tried, where they matter as much as letters.
        let costly = settings.replace("action = \"call\"", "action = \"call\"\ncost_minor = 5");
        let costly = start(database.again(), &costly).await;
        let all = list_all(&costly, as_of.plus_days(98)).await;
        assert!(all.iter().any(|item| item.expected_gain_minor == Some(-5)));
        assert!(all.is_sorted_by(|a, b| a.value_at_risk_minor >= b.value_at_risk_minor));
        drop(costly);
        // Who was called has, and cancelled again.
        let [bought, ended] = [1, 2].map(|days| as_of.plus_days(days).to_string());
        let again = called.iter().flat_map(|id| {
            [
                paid(id, "again", "purchase", &bought, 100_000_000),
                interaction(id, "end again", "cancel", &ended),
            ]
        });
        tally.backfill(again.collect()).await.unwrap();
        let useful = gains(&tally, as_of.plus_days(99)).await;
        let gaining = useful.iter().filter(|(gain, ..)| *gain > 0).count();
        assert!(gaining > 0 && gaining < 40, "{useful:?}");
    }
}

/// Gain, value at risk and id of all items, whose order is checked, on pages of any size.
async fn gains(tally: &Tally, as_of: Time) -> Vec<(i64, i64, String)> {
    let request = win_backs(as_of);
    let reply = tally.worklist(request.clone()).await.unwrap();
    assert_eq!((reply.items.len(), reply.total_size, reply.not_paying), (40, 40, 0));
    for page_size in [1, 7] {
        let paged = v1::ListWorklistRequest { page_size, ..request.clone() };
        assert_eq!(tally.work_of_all_pages(paged).await, reply.items);
    }
    let of = |item: v1::WorkItem| {
        (item.expected_gain_minor.unwrap(), item.value_at_risk_minor.unwrap(), item.customer_id)
    };
    let items: Vec<_> = reply.items.into_iter().map(of).collect();
    let mut sorted = items.clone();
    sorted.sort_by(|a, b| (b.0, b.1, &a.2).cmp(&(a.0, a.1, &b.2)));
    assert_eq!(items, sorted);
    items
}

/// An action with a cost has to pay, by what it was measured to bring.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_pay_is_left_out() {
    for database in Database::both().await {
        let now = system_clock();
        let as_of = days_ago(now, 100);
        let mut tally = Tally::start(database.again()).await;
        let customers = [ids(40, false), ids(40, true)].concat();
        let all = customers.iter().enumerate();
        let all = all.flat_map(|(n, id)| cancelled(id, n, as_of));
        tally.backfill(all.collect()).await.unwrap();
        let values: Vec<i64> =
            tally.all_work(as_of).await.iter().map(|item| item.value_at_risk_minor.unwrap()).collect();
        assert!(values.len() == 80 && values.is_sorted_by(|a, b| a >= b), "{values:?}");
        tally.stop().await;
        let cost = values[40];
        assert!(values[0] > cost && cost > values[79], "{values:?}");
        let playbook = format!("[[playbook]]\naction = \"letter\"\ncost_minor = {cost}");
        // With a capacity, what does not pay is not counted among what has no place.
        let limited = start(database.again(), &format!("[worklist]\ncapacity = 3\n{playbook}")).await;
        let list = limited.worklist(win_backs(as_of)).await.unwrap();
        assert_eq!((list.total_size, list.without_place + list.not_paying), (3, 37));
        assert!(list.not_paying > 5 && list.without_place > 2, "{}", list.not_paying);
        let all = v1::ListWorklistRequest { include_not_paying: true, ..win_backs(as_of) };
        let all = limited.worklist(all).await.unwrap();
        assert_eq!((all.total_size, all.without_place, all.not_paying), (3, 37, 0));
        assert_eq!(all.items, list.items, "what pays has the places");
        // What is handed out is left out of the next day for that, and not because it does not pay.
        let wide = start(database.again(), &format!("[worklist]\ncapacity = 1000\n{playbook}")).await;
        let request = v1::PublishWorklistRequest {
            as_of_time: Some(timestamp(as_of)),
            include_not_paying: true,
            ..Default::default()
        };
        let published = wide.insights().publish_worklist(request).await.unwrap().into_inner();
        assert_eq!(published.published, 80);
        let next = wide.worklist(win_backs(as_of.plus_days(1))).await.unwrap();
        assert_eq!((next.total_size, next.not_paying, next.without_place), (0, 0, 0));
        database.sql("DELETE FROM worklist_episodes").await;
        let tally = start(database, &playbook).await;
        assert_costs(&tally, as_of, cost).await;
    }
}

fn win_backs(as_of: Time) -> v1::ListWorklistRequest {
    v1::ListWorklistRequest {
        kinds: vec![WorkKind::WinBack.into()],
        as_of_time: Some(timestamp(as_of)),
        page_size: 1_000,
        ..Default::default()
    }
}

async fn assert_costs(tally: &Tally, as_of: Time, cost: i64) {
    let list = async |as_of: Time| {
        let request = win_backs(as_of);
        let reply = tally.worklist(request.clone()).await.unwrap();
        let paged = v1::ListWorklistRequest { page_size: 7, ..request };
        assert_eq!(tally.work_of_all_pages(paged).await, reply.items);
        reply
    };
    let before = list(as_of).await;
    assert_eq!((before.items.len() as i64 + before.not_paying, before.without_place), (40, 0));
    assert!(before.not_paying > 5 && before.items.len() > 5, "{} {}", before.items.len(), before.not_paying);
    for item in &before.items {
        // Nothing is measured.
        assert_eq!(item.measured_effect, None);
        assert_eq!(item.expected_gain_minor, item.value_at_risk_minor.map(|value| value - cost));
        assert!(item.expected_gain_minor > Some(0));
    }
    assert!(before.items.is_sorted_by(|a, b| a.expected_gain_minor >= b.expected_gain_minor));
    // What does not pay follows when it is asked for.
    let all = list_all(tally, as_of).await;
    assert_eq!(all[..before.items.len()], before.items);
    assert!(all[before.items.len()..].iter().all(|item| item.expected_gain_minor <= Some(0)));
    tally.publish(as_of).await.unwrap();
    let handed_out = &tally.effect(WorkKind::WinBack).await[0];
    assert!(handed_out.treated > 5 && handed_out.held_out > 5, "{handed_out:?}");

    // Nobody has bought since: the lower end is below 0, and nothing pays any more.
    let useless = list(as_of.plus_days(98)).await;
    assert_eq!((useless.items.len(), useless.not_paying), (0, 40));
    for item in list_all(tally, as_of.plus_days(98)).await {
        assert_eq!((item.measured_effect, item.expected_gain_minor), (Some(0.0), Some(-cost)));
    }
    // It is handed out only when that is asked for.
    let publish = async |include_not_paying| {
        let as_of_time = Some(timestamp(as_of.plus_days(98)));
        let kinds = vec![WorkKind::WinBack.into()];
        let request = v1::PublishWorklistRequest { kinds, as_of_time, include_not_paying };
        tally.insights().publish_worklist(request).await.unwrap().into_inner()
    };
    assert_eq!(publish(false).await.published, 0);
    let measured = publish(true).await;
    assert_eq!((measured.published - measured.held_out, measured.still_open), (40, 0));
    for days in [97, 98] {
        let list = list(as_of.plus_days(days)).await;
        assert_eq!((list.items.len(), list.not_paying), (0, 40), "handed out or not, it does not pay");
    }

    // All of the treated have, and none of the others; then they cancel again.
    let [bought, ended] = [1, 2].map(|days| as_of.plus_days(days).to_string());
    let again = before.items.iter().flat_map(|item| {
        let id = &item.customer_id;
        [paid(id, "again", "purchase", &bought, 100_000_000), interaction(id, "end again", "cancel", &ended)]
    });
    tally.backfill(again.collect()).await.unwrap();
    let row = &tally.effect(WorkKind::WinBack).await[0];
    let lower = row.lower.unwrap();
    assert!(row.effect == Some(1.0) && lower > 0.2, "{row:?}");
    let useful = list(as_of.plus_days(99)).await;
    assert!(!useful.items.is_empty());
    for item in &useful.items {
        let gain = lower * item.value_at_risk_minor.unwrap() as f64 - cost as f64;
        assert_eq!(
            (item.expected_gain_minor, item.measured_effect),
            (Some(gain.round() as i64), Some(lower))
        );
    }
}

/// All items of the kind, page by page, also those that do not pay.
async fn list_all(tally: &Tally, as_of: Time) -> Vec<v1::WorkItem> {
    let request = v1::ListWorklistRequest { include_not_paying: true, ..win_backs(as_of) };
    let reply = tally.worklist(request.clone()).await.unwrap();
    assert_eq!((reply.items.len(), reply.total_size, reply.not_paying), (40, 40, 0));
    let paged = v1::ListWorklistRequest { page_size: 7, ..request };
    assert_eq!(tally.work_of_all_pages(paged).await, reply.items);
    // What is not known to gain anything follows by value at risk.
    let order = |item: &v1::WorkItem| (item.expected_gain_minor.max(Some(0)), item.value_at_risk_minor);
    assert!(reply.items.is_sorted_by(|a, b| order(a) >= order(b)));
    reply.items
}
