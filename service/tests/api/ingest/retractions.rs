//! RetractInteractions: what is retracted does not count any more and is still known.

use tally_proto::v1;
use tally_service::platform::clock::system_clock;
use tonic::Code;

use crate::support::{Tally, assert_refused, customer, interaction, on_both_stores, timestamp};

on_both_stores!(
    a_retracted_interaction_leaves_the_list_and_is_shown_when_asked_for,
    retractions_are_all_or_none_and_idempotent,
    retracted_content_stays_retracted_and_other_content_is_recorded,
    invalid_retractions_are_refused,
    an_erased_customer_takes_its_retractions_along,
    retractions_and_imports_at_the_same_time_leave_each_key_retracted,
);

fn orders(customer_id: &str, count: usize) -> Vec<v1::Interaction> {
    let one = |n: usize| {
        let day = format!("2024-01-{:02}", n / 4 % 28 + 1);
        let mut order = interaction(customer_id, &format!("o{n:03}"), "purchase", &day);
        order.amount_minor = Some(n as i64);
        order
    };
    (0..count).map(one).collect()
}

/// `(interaction_id, amount_minor, is retracted)` of a customer's interactions, as listed in pages of this size.
async fn listed(tally: &Tally, customer_id: &str, page_size: i32) -> Vec<(String, i64, bool)> {
    let mut request = v1::ListInteractionsRequest {
        customer_id: customer_id.to_owned(),
        page_size,
        show_retracted: true,
        ..Default::default()
    };
    let mut all = Vec::new();
    loop {
        let page = tally.interactions().list_interactions(request.clone()).await.unwrap().into_inner();
        let row = |item: v1::Interaction| {
            (item.interaction_id, item.amount_minor.unwrap(), item.retract_time.is_some())
        };
        all.extend(page.interactions.into_iter().map(row));
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

async fn count(tally: &Tally, customer_id: &str) -> usize {
    let request = v1::ListInteractionsRequest {
        customer_id: customer_id.to_owned(),
        page_size: 1_000,
        ..Default::default()
    };
    let list = tally.interactions().list_interactions(request).await.unwrap().into_inner();
    assert!(list.interactions.iter().all(|item| item.retract_time.is_none()));
    list.interactions.len()
}

async fn a_retracted_interaction_leaves_the_list_and_is_shown_when_asked_for(tally: Tally) {
    tally.backfill(orders("c", 40)).await.unwrap();
    let before = timestamp(system_clock());
    let keys: Vec<(String, String)> = (0..40).step_by(3).map(|n| ("c".into(), format!("o{n:03}"))).collect();
    assert_eq!(tally.retract(&keys).await.unwrap(), (14, 0));
    // A corrected one under the same key, and that retracted as well: two retractions of one key.
    let mut again = orders("c", 40).remove(3);
    again.amount_minor = Some(1_003);
    assert_eq!(tally.backfill(vec![again]).await.unwrap(), (1, 0));
    assert_eq!(tally.retract(&[("c", "o003")]).await.unwrap(), (1, 0));
    assert_eq!(count(&tally, "c").await, 26);

    let all = listed(&tally, "c", 1_000).await;
    let mut expected: Vec<(String, i64, bool)> =
        (0..40).rev().map(|n| (format!("o{n:03}"), n, n % 3 == 0)).collect();
    let place = expected.iter().position(|(_, n, _)| *n == 3).unwrap();
    expected.insert(place, ("o003".to_owned(), 1_003, true));
    assert_eq!(all, expected, "newest first, and of one key the last retracted first");
    for page_size in [1, 4, 7] {
        assert_eq!(listed(&tally, "c", page_size).await, all, "in pages of {page_size}");
    }
    let request =
        v1::ListInteractionsRequest { customer_id: "c".into(), show_retracted: true, ..Default::default() };
    let list = tally.interactions().list_interactions(request).await.unwrap().into_inner().interactions;
    let times = list.iter().filter_map(|item| item.retract_time);
    assert!(times.into_iter().all(|time| time.seconds >= before.seconds));
}

async fn retractions_are_all_or_none_and_idempotent(tally: Tally) {
    tally.backfill(orders("c", 5)).await.unwrap();
    let refused = tally.retract(&[("c", "o001"), ("c", "never"), ("d", "o001")]).await;
    let message = refused.as_ref().unwrap_err().message();
    assert!(message.contains("keys[1]: no interaction `never` of customer `c`"), "{message}");
    assert_refused(refused, Code::NotFound, "INTERACTION_NOT_FOUND", &[]);
    assert_eq!(count(&tally, "c").await, 5, "nothing was retracted");

    let keys = [("c", "o001"), ("c", "o002"), ("c", "o001")];
    assert_eq!(tally.retract(&keys).await.unwrap(), (2, 1));
    let all = listed(&tally, "c", 100).await;
    assert_eq!(tally.retract(&keys).await.unwrap(), (0, 3));
    assert_eq!(tally.retract(&[("c", "o001"), ("c", "o003")]).await.unwrap(), (1, 1));
    assert_eq!(listed(&tally, "c", 100).await.len(), all.len());
    assert_eq!(count(&tally, "c").await, 2);
}

async fn retracted_content_stays_retracted_and_other_content_is_recorded(tally: Tally) {
    tally.backfill(orders("c", 3)).await.unwrap();
    tally.retract(&[("c", "o001")]).await.unwrap();
    assert_eq!(tally.backfill(orders("c", 4)).await.unwrap(), (1, 3), "o001 is a duplicate, o003 is new");
    assert_eq!(count(&tally, "c").await, 3);

    let mut corrected = orders("c", 4).remove(1);
    corrected.amount_minor = Some(70);
    let before = timestamp(system_clock());
    assert_eq!(tally.backfill(vec![corrected.clone()]).await.unwrap(), (1, 0));
    let request = v1::ListInteractionsRequest { customer_id: "c".into(), ..Default::default() };
    let list = tally.interactions().list_interactions(request).await.unwrap().into_inner().interactions;
    let stored = list.iter().find(|item| item.interaction_id == "o001").unwrap();
    assert_eq!(stored.amount_minor, Some(70));
    let recorded = stored.record_time.as_ref().unwrap().seconds;
    assert!(recorded >= before.seconds, "until now the retracted one was known, also with backfill");
    assert_eq!(tally.backfill(vec![corrected]).await.unwrap(), (0, 1));
    let again = tally.backfill(orders("c", 4)).await;
    assert_refused(again, Code::AlreadyExists, "OTHER_CONTENT_STORED", &[]);
}

async fn invalid_retractions_are_refused(tally: Tally) {
    let none: [(&str, &str); 0] = [];
    assert_refused(tally.retract(&none).await, Code::InvalidArgument, "INVALID_REQUEST", &["keys"]);
    let many = vec![("c", "o"); 10_001];
    assert_refused(tally.retract(&many).await, Code::InvalidArgument, "INVALID_REQUEST", &["keys"]);
    let fields = ["keys[0].customer_id", "keys[1].interaction_id"];
    let refused = tally.retract(&[("", "o"), ("c", "a\nb")]).await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &fields);
    let keys = vec![v1::InteractionKey { customer_id: "c".into(), interaction_id: "o".into() }];
    let request = v1::RetractInteractionsRequest { keys, reason: "x".repeat(1_025) };
    let refused = tally.interactions().retract_interactions(request).await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["reason"]);
}

async fn an_erased_customer_takes_its_retractions_along(tally: Tally) {
    tally.backfill(orders("c", 3)).await.unwrap();
    tally.retract(&[("c", "o001")]).await.unwrap();
    let stored = "SELECT count(*) FROM retracted_interactions WHERE reason = 'a test order'";
    assert_eq!(tally.database.sql(stored).await, Some(1));
    tally.delete("c").await.unwrap();
    assert_eq!(tally.database.sql(stored).await, Some(0));
    assert_eq!(tally.recreate(vec![customer("c", "2024-01-01", &[])]).await.unwrap(), 1);
    assert_eq!(tally.backfill(orders("c", 3)).await.unwrap(), (3, 0), "the customer is a new one");
}

async fn retractions_and_imports_at_the_same_time_leave_each_key_retracted(tally: Tally) {
    let all: Vec<_> = (0..8).flat_map(|n| orders(&format!("c{n}"), 40)).collect();
    tally.backfill(all.clone()).await.unwrap();
    let keys: Vec<(String, String)> =
        all.iter().map(|item| (item.customer_id.clone(), item.interaction_id.clone())).collect();
    let retractions = keys.chunks(80).map(|keys| tally.retract(keys));
    let overlapping = keys.chunks(50).map(|keys| tally.retract(keys));
    let imports = (0..6).map(|n| {
        let mut batch = all.clone();
        batch.rotate_left(n * 50);
        tally.backfill(batch)
    });
    let retractions = futures_util::future::join_all(retractions.chain(overlapping));
    let (retractions, imports) = tokio::join!(retractions, futures_util::future::join_all(imports));
    let retracted: i64 = retractions.into_iter().map(|counts| counts.unwrap().0).sum();
    assert_eq!(retracted, 320, "each key is retracted once");
    for counts in imports {
        assert_eq!(counts.unwrap(), (0, 320), "what is retracted is not recorded again");
    }
    let live = tally.database.sql("SELECT count(*) FROM interactions").await;
    let retracted = tally.database.sql("SELECT count(*) FROM retracted_interactions").await;
    assert_eq!((live, retracted), (Some(0), Some(320)));
}
