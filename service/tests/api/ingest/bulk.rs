//! Large batches and streams: duplicates are counted, and a batch that fails stores nothing.

use futures_util::future::join_all;
use tally_proto::v1;
use tokio::time::{Duration, timeout};
use tokio_stream::StreamExt;
use tonic::Code;

use super::items::{CUSTOMERS, assert_stored, item, scrambled};
use crate::support::{Tally, assert_refused, on_both_stores};

on_both_stores!(
    streams_that_cross_do_not_deadlock_and_lose_nothing,
    duplicates_are_counted_within_large_batches_and_across_them,
    a_large_batch_with_different_content_in_its_middle_stores_nothing,
    a_batch_that_fails_in_the_database_stores_nothing_and_harms_no_later_one,
);

/// Everything below `end` in an order of this sender's own, in batches of a size.
fn batches_of_sender(sender: usize, end: usize, size: usize) -> Vec<v1::RecordInteractionsRequest> {
    let mut order = scrambled(end);
    order.rotate_left(sender * 500);
    if sender % 2 == 1 {
        order.reverse();
    }
    let batch = |part: &[usize]| v1::RecordInteractionsRequest {
        interactions: part.iter().map(|n| item(*n)).collect(),
        backfill: true,
        ..Default::default()
    };
    order.chunks(size).map(batch).collect()
}

async fn streams_that_cross_do_not_deadlock_and_lose_nothing(tally: Tally) {
    const END: usize = 2_000;
    let streams = [400, 130, 60, 400].into_iter().enumerate().map(|(sender, size)| {
        let batches = batches_of_sender(sender, END, size);
        let mut client = tally.interactions();
        async move {
            let replies = client.stream_interactions(tokio_stream::iter(batches)).await.unwrap();
            let replies: Vec<_> = replies.into_inner().map(Result::unwrap).collect().await;
            replies.iter().fold((0, 0), |sum, reply| (sum.0 + reply.recorded, sum.1 + reply.duplicates))
        }
    });
    let sums = timeout(Duration::from_secs(60), join_all(streams)).await.unwrap();
    let sum = sums.into_iter().fold((0, 0), |sum, own| (sum.0 + own.0, sum.1 + own.1));
    assert_eq!(sum, (END as i64, 3 * END as i64));
    assert_stored(&tally, END).await;
}

async fn duplicates_are_counted_within_large_batches_and_across_them(tally: Tally) {
    let batch = |numbers: Vec<usize>| numbers.into_iter().map(item).collect();
    let mut with_repetitions: Vec<usize> = scrambled(1_000);
    with_repetitions.extend(0..100);
    assert_eq!(tally.backfill(batch(with_repetitions)).await.unwrap(), (1_000, 100));
    // Some interactions of every customer are known, then all of a few customers, then all of everybody.
    assert_eq!(tally.backfill(batch((500..1_500).collect())).await.unwrap(), (500, 500));
    let late: Vec<usize> = (0..2_000).filter(|n| *n >= 1_500 || n * 31 % CUSTOMERS == 96).collect();
    let known = late.iter().filter(|n| **n < 1_500).count() as i64;
    assert_eq!(tally.backfill(batch(late)).await.unwrap(), (500, known));
    assert_eq!(tally.backfill(batch(scrambled(2_000))).await.unwrap(), (0, 2_000));
    assert_stored(&tally, 2_000).await;
}

async fn a_large_batch_with_different_content_in_its_middle_stores_nothing(tally: Tally) {
    assert_eq!(tally.backfill(vec![item(0)]).await.unwrap(), (1, 0));
    let mut batch: Vec<_> = (1..1_000).map(item).collect();
    batch.insert(700, v1::Interaction { channel: "elsewhere".to_owned(), ..item(0) });
    let refused = tally.backfill(batch.clone()).await;
    let message = refused.as_ref().unwrap_err().message();
    assert!(message.contains("interactions[700]: `I0` of customer `C0`"), "{message}");
    assert_refused(refused, Code::AlreadyExists, "OTHER_CONTENT_STORED", &[]);
    assert_stored(&tally, 1).await;
    batch.remove(700);
    assert_eq!(tally.backfill(batch).await.unwrap(), (999, 0));
    assert_stored(&tally, 1_000).await;
}

async fn a_batch_that_fails_in_the_database_stores_nothing_and_harms_no_later_one(tally: Tally) {
    let (begin, end) = if tally.database.is_sqlite() {
        let begin = "CREATE TRIGGER fail BEFORE INSERT ON interactions WHEN new.interaction_id = 'I700' \
                     BEGIN SELECT RAISE(ABORT, 'on purpose'); END";
        (begin, "DROP TRIGGER fail")
    } else {
        let begin = "ALTER TABLE interactions ADD CONSTRAINT fail CHECK (interaction_id <> 'I700')";
        (begin, "ALTER TABLE interactions DROP CONSTRAINT fail")
    };
    tally.database.sql(begin).await;
    for _ in 0..20 {
        let failed = tally.backfill((0..1_000).map(item).collect()).await;
        assert_refused(failed, Code::Internal, "INTERNAL", &[]);
    }
    assert_stored(&tally, 0).await;
    tally.database.sql(end).await;
    assert_eq!(tally.backfill((0..1_000).map(item).collect()).await.unwrap(), (1_000, 0));
    assert_stored(&tally, 1_000).await;
}
