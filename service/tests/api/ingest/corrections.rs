//! What becomes of different content under a stored key, of late interactions, and of a second import of history.

use tally_proto::v1;
use tally_service::platform::clock::system_clock;
use tokio_stream::StreamExt;
use tonic::Code;

use crate::support::{Tally, assert_refused, interaction, on_both_stores, time, timestamp};

on_both_stores!(
    a_conflict_is_refused_skipped_or_corrected,
    content_that_was_retracted_counts_again_when_it_corrects,
    of_one_key_in_a_batch_the_first_is_kept_and_the_last_corrects,
    concurrent_corrections_leave_one_content,
    late_interactions_are_counted,
    a_second_import_with_backfill_moves_the_record_times,
    a_correction_keeps_its_record_time,
    customers_begin_with_what_counts_of_their_interactions,
);

fn order(id: &str, amount_minor: i64) -> v1::Interaction {
    let mut order = interaction("c", id, "purchase", "2024-03-01");
    order.amount_minor = Some(amount_minor);
    order
}

async fn send(
    tally: &Tally,
    interactions: Vec<v1::Interaction>,
    backfill: bool,
    on_conflict: v1::OnConflict,
) -> v1::RecordInteractionsResponse {
    let on_conflict = on_conflict.into();
    let request = v1::RecordInteractionsRequest { interactions, backfill, on_conflict, ..Default::default() };
    tally.interactions().record_interactions(request).await.unwrap().into_inner()
}

/// `(interaction_id, amount_minor, record_time - occur_time in days)`, oldest id first.
async fn stored(tally: &Tally) -> Vec<(String, i64, i64)> {
    let request = v1::ListInteractionsRequest { customer_id: "c".into(), ..Default::default() };
    let list = tally.interactions().list_interactions(request).await.unwrap().into_inner().interactions;
    let seconds = |time: Option<prost_types::Timestamp>| time.unwrap().seconds;
    let row = |item: v1::Interaction| {
        let days = (seconds(item.record_time) - seconds(item.occur_time)) / 86_400;
        (item.interaction_id, item.amount_minor.unwrap(), days)
    };
    let mut rows: Vec<_> = list.into_iter().map(row).collect();
    rows.sort();
    rows
}

fn amounts(rows: &[(String, i64, i64)]) -> Vec<(&str, i64)> {
    rows.iter().map(|(id, amount, _)| (id.as_str(), *amount)).collect()
}

async fn a_conflict_is_refused_skipped_or_corrected(tally: Tally) {
    tally.backfill(vec![order("1001", 5_000), order("1002", 2_000)]).await.unwrap();
    let tuesday = || vec![order("1001", 3_500), order("1002", 2_000), order("1003", 7_000)];
    let refused = tally.backfill(tuesday()).await;
    assert_refused(refused, Code::AlreadyExists, "OTHER_CONTENT_STORED", &[]);
    assert_eq!(stored(&tally).await.len(), 2);

    let skipped = send(&tally, tuesday(), true, v1::OnConflict::Skip).await;
    let expected =
        v1::RecordInteractionsResponse { recorded: 1, duplicates: 1, skipped: 1, ..Default::default() };
    assert_eq!(skipped, expected);
    assert_eq!(amounts(&stored(&tally).await), [("1001", 5_000), ("1002", 2_000), ("1003", 7_000)]);

    let corrected = send(&tally, tuesday(), true, v1::OnConflict::Correct).await;
    let expected =
        v1::RecordInteractionsResponse { recorded: 1, duplicates: 2, corrected: 1, ..Default::default() };
    assert_eq!(corrected, expected);
    let rows = stored(&tally).await;
    assert_eq!(amounts(&rows), [("1001", 3_500), ("1002", 2_000), ("1003", 7_000)]);
    assert!(rows[0].2 > 365, "a correction becomes known now, also with backfill");
    assert_eq!((rows[1].2, rows[2].2), (0, 0));
    let again = send(&tally, tuesday(), true, v1::OnConflict::Correct).await;
    assert_eq!(again, v1::RecordInteractionsResponse { duplicates: 3, ..Default::default() });

    let batch = |on_conflict: v1::OnConflict, amount: i64| v1::RecordInteractionsRequest {
        interactions: vec![order("1001", amount)],
        on_conflict: on_conflict.into(),
        ..Default::default()
    };
    let batches = vec![batch(v1::OnConflict::Skip, 1), batch(v1::OnConflict::Correct, 2)];
    let stream = tally.interactions().stream_interactions(tokio_stream::iter(batches)).await.unwrap();
    let replies: Vec<_> = stream.into_inner().map(Result::unwrap).collect().await;
    assert_eq!((replies[0].skipped, replies[1].corrected), (1, 1), "a stream does the same");
    let unknown = v1::RecordInteractionsRequest { on_conflict: 9, ..batch(v1::OnConflict::Skip, 1) };
    let refused = tally.interactions().record_interactions(unknown).await;
    assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &["on_conflict"]);
}

async fn content_that_was_retracted_counts_again_when_it_corrects(tally: Tally) {
    tally.backfill(vec![order("1", 100)]).await.unwrap();
    tally.retract(&[("c", "1")]).await.unwrap();
    let skipped = send(&tally, vec![order("1", 100)], true, v1::OnConflict::Skip).await;
    assert_eq!((skipped.recorded, skipped.duplicates), (0, 1));
    let corrected = send(&tally, vec![order("1", 100)], true, v1::OnConflict::Correct).await;
    assert_eq!((corrected.recorded, corrected.corrected), (1, 0), "there was nothing to replace");
    assert_eq!(amounts(&stored(&tally).await), [("1", 100)]);
}

async fn of_one_key_in_a_batch_the_first_is_kept_and_the_last_corrects(tally: Tally) {
    let batch = |id: &str| vec![order(id, 1), order(id, 2), order(id, 2), order(id, 3)];
    let skipped = send(&tally, batch("a"), true, v1::OnConflict::Skip).await;
    assert_eq!((skipped.recorded, skipped.skipped), (1, 3));
    let corrected = send(&tally, batch("b"), true, v1::OnConflict::Correct).await;
    assert_eq!((corrected.recorded, corrected.duplicates, corrected.skipped), (1, 1, 2));
    assert_eq!(amounts(&stored(&tally).await), [("a", 1), ("b", 3)]);
}

async fn concurrent_corrections_leave_one_content(tally: Tally) {
    let batch = |amount: i64| (0..100).map(|n| order(&format!("{n:03}"), amount)).collect::<Vec<_>>();
    tally.backfill(batch(0)).await.unwrap();
    let writers = (1..=4).map(|amount| send(&tally, batch(amount), true, v1::OnConflict::Correct));
    for response in futures_util::future::join_all(writers).await {
        assert_eq!(response.corrected, 100);
    }
    let rows = stored(&tally).await;
    assert_eq!(rows.len(), 100);
    assert!(rows.iter().all(|row| row.1 == rows[0].1 && row.1 > 0), "each batch counts as a whole");
    assert_eq!(tally.database.sql("SELECT count(*) FROM retracted_interactions").await, Some(400));
}

async fn late_interactions_are_counted(tally: Tally) {
    let at = |id: &str, hours: i64| {
        let mut order = order(id, 1);
        let now = system_clock();
        order.occur_time = Some(timestamp(tally_model::time::Time(now.0 - hours * 3_600_000_000)));
        order
    };
    let late = send(&tally, vec![at("old", 25), at("new", 23)], false, v1::OnConflict::Fail).await;
    assert_eq!((late.recorded, late.late), (2, 1));
    let old = order("older", 1);
    let late = send(&tally, vec![order("o", 1), old.clone()], false, v1::OnConflict::Fail).await;
    assert_eq!((late.recorded, late.late), (2, 2));
    let mixed = send(&tally, vec![old, order("another", 1)], false, v1::OnConflict::Fail).await;
    assert_eq!((mixed.recorded, mixed.duplicates, mixed.late), (1, 1, 1), "duplicates are not late");
    let history = send(&tally, vec![order("history", 1)], true, v1::OnConflict::Fail).await;
    assert_eq!((history.recorded, history.late), (1, 0));
    let (_, metrics) = tally.get("/metrics").await;
    assert!(metrics.contains("\ntally_interactions_late_total 4\n"), "{metrics}");
}

async fn a_second_import_with_backfill_moves_the_record_times(tally: Tally) {
    let all = || vec![order("1", 100), order("2", 200), order("3", 300)];
    tally.record(all()[..2].to_vec()).await;
    assert!(stored(&tally).await.iter().all(|row| row.2 > 365));
    let second = send(&tally, all(), true, v1::OnConflict::Fail).await;
    let expected =
        v1::RecordInteractionsResponse { recorded: 1, duplicates: 2, moved: 2, ..Default::default() };
    assert_eq!(second, expected);
    assert!(stored(&tally).await.iter().all(|row| row.2 == 0));
    let third = send(&tally, all(), true, v1::OnConflict::Fail).await;
    assert_eq!(third, v1::RecordInteractionsResponse { duplicates: 3, ..Default::default() });
    // Without backfill, nothing moves forward again.
    tally.record(all()).await;
    assert!(stored(&tally).await.iter().all(|row| row.2 == 0));
    let earliest = time("2024-03-01");
    let request = v1::GetCustomerRequest { customer_id: "c".into() };
    let customer = tally.customers().get_customer(request).await.unwrap().into_inner().customer.unwrap();
    assert_eq!(customer.create_time, Some(timestamp(earliest)));
}

async fn a_correction_keeps_its_record_time(tally: Tally) {
    tally.backfill(vec![order("1", 100)]).await.unwrap();
    send(&tally, vec![order("1", 50)], false, v1::OnConflict::Correct).await;
    let again = send(&tally, vec![order("1", 50)], true, v1::OnConflict::Fail).await;
    assert_eq!((again.duplicates, again.moved), (1, 0), "until then the corrected one was known");
    assert!(stored(&tally).await[0].2 > 365);
}

/// Not with what was skipped, corrected or retracted.
async fn customers_begin_with_what_counts_of_their_interactions(tally: Tally) {
    let begins = async |id: &str| tally.customer(id).await.unwrap().create_time.unwrap();
    let at = |id: &str, own: &str, day: &str| interaction(id, own, "purchase", day);
    tally.backfill(vec![at("a", "1", "2024-03-01"), at("b", "1", "2014-03-01")]).await.unwrap();
    tally.backfill(vec![at("b", "2", "2024-02-01")]).await.unwrap();
    send(&tally, vec![at("a", "1", "2013-03-01")], true, v1::OnConflict::Skip).await;
    assert_eq!(begins("a").await, timestamp(time("2024-03-01")));
    send(&tally, vec![at("b", "1", "2024-03-01")], true, v1::OnConflict::Correct).await;
    assert_eq!(begins("b").await, timestamp(time("2024-02-01")));
    tally.backfill(vec![at("b", "0", "2014-01-01")]).await.unwrap();
    tally.merge("b", "a").await.unwrap();
    assert_eq!(begins("a").await, timestamp(time("2014-01-01")));
    tally.retract(&[("b", "0")]).await.unwrap();
    assert_eq!(begins("a").await, timestamp(time("2024-02-01")));
    tally.backfill(vec![at("b", "3", "2024-01-01")]).await.unwrap();
    assert_eq!(begins("a").await, timestamp(time("2024-01-01")));
    // What is stated counts, whatever is merged into it.
    tally.upsert(vec![crate::support::customer("c", "2024-03-10", &[])]).await.unwrap();
    tally.merge("a", "c").await.unwrap();
    assert_eq!(begins("c").await, timestamp(time("2024-03-10")));
}
