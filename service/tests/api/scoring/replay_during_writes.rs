//! A stored score counts every write that had its record time before, also when that write was still in
//! progress; so its replay is the same bits.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicI64, Ordering},
};

use prost_types::value::Kind;
use tally_model::time::Time;
use tally_proto::v1;

use super::today::{assert_identical, event, leads, today, trained_today};
use crate::support::{Database, DirectConnection, Tally, customer, on_both_stores, open_app, score_of};

on_both_stores!(
    a_stored_score_waits_for_writes_in_progress,
    scores_stored_among_many_writers_are_replayed_bit_for_bit,
);

fn request(id: &str, persist: bool) -> v1::ScoreLeadRequest {
    v1::ScoreLeadRequest { customer_id: id.to_owned(), persist, ..Default::default() }
}

/// Asks for scores that are not stored, which wait for no write.
async fn score_without_storing(tally: &Tally, id: &str) {
    for _ in 0..30 {
        tally.score_lead(request(id, false)).await.unwrap();
    }
}

/// A write that has taken its record time and not ended yet counts in a score that is stored, whether or not
/// its caller still waits for it.
async fn a_stored_score_waits_for_writes_in_progress(tally: Tally) {
    trained_today(&tally, &["lead"]).await;
    let leads = leads();
    for (id, gives_up) in [(&leads[0], false), (&leads[1], true)] {
        let mut direct = DirectConnection::open(&tally).await;
        direct.lock_customer(id).await;
        let visits = (0..5).map(|n| event(id, &format!("in-progress-{n}"), "visit", today())).collect();
        let write =
            v1::RecordInteractionsRequest { interactions: visits, backfill: false, ..Default::default() };
        let mut client = tally.interactions();
        let write = tokio::spawn(async move { client.record_interactions(write).await });
        direct.wait_for_write().await;
        score_without_storing(&tally, id).await;
        if gives_up {
            write.abort();
            score_without_storing(&tally, id).await;
        }
        let (mut client, request) = (tally.scoring(), request(id, true));
        let stored = tokio::spawn(async move { client.score_lead(request).await });
        score_without_storing(&tally, id).await;
        assert!(!stored.is_finished());
        direct.unlock().await;
        let stored = stored.await.unwrap().unwrap().into_inner();
        assert_identical(&tally, &stored).await;
        if !gives_up {
            assert_eq!(write.await.unwrap().unwrap().into_inner().recorded, 5);
        }
    }
}

/// Stores scores of these leads, again and again.
async fn store_scores(tally: &Tally, leads: &[String]) -> Vec<v1::Score> {
    let mut stored = Vec::new();
    for _ in 0..25 {
        let request =
            v1::BatchScoreLeadsRequest { customer_ids: leads.to_vec(), persist: true, ..Default::default() };
        let results = tally.scoring().batch_score_leads(request).await.unwrap().into_inner().results;
        stored.extend(results.into_iter().map(score_of));
    }
    stored
}

/// Writes interactions and attributes of these leads, again and again.
async fn write(tally: &Tally, leads: &[String], writer: usize) {
    for round in 0..25 {
        let visits = leads.iter().flat_map(|id| {
            (0..20).map(move |n| event(id, &format!("{writer}-{round}-{n}"), "visit", today()))
        });
        tally.record(visits.collect()).await;
        let attributes = [("round", Kind::NumberValue((round * 3 + writer) as f64))];
        tally.upsert(vec![customer(&leads[round % 15], "2024-01-01", &attributes)]).await.unwrap();
    }
}

async fn scores_stored_among_many_writers_are_replayed_bit_for_bit(tally: Tally) {
    trained_today(&tally, &["lead"]).await;
    let leads: Vec<String> = leads().into_iter().take(15).collect();
    let writers = futures_util::future::join_all((0..3).map(|writer| write(&tally, &leads, writer)));
    let (stored, _) = tokio::join!(store_scores(&tally, &leads), writers);
    for stored in &stored {
        assert_identical(&tally, stored).await;
    }
}

/// What is recorded after a score has a later time than the score, even when the system's clock is set back.
#[tokio::test]
async fn time_neither_stands_still_nor_goes_back() {
    static READINGS: AtomicI64 = AtomicI64::new(0);
    let set_back = || Time(1_000_000_000 - READINGS.fetch_add(1, Ordering::Relaxed) / 3);
    let app = open_app(&Database::sqlite(), set_back).await;
    let (first, second) = std::thread::scope(|scope| {
        let read = || (0..1_000).map(|_| app.clock.now()).collect::<Vec<_>>();
        let threads = [scope.spawn(read), scope.spawn(read)];
        threads.map(|thread| thread.join().unwrap()).into()
    });
    assert!(first.is_sorted_by(|a, b| a < b) && second.is_sorted_by(|a, b| a < b));
    assert_eq!(first.iter().chain(&second).collect::<HashSet<_>>().len(), 2_000, "each time is given once");
}
