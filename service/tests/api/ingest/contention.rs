//! Writers of the same customers on PostgreSQL: who waits for whom.

use sqlx::{Connection, PgConnection};
use tally_proto::v1;
use tokio::time::{Duration, timeout};

use super::items::{CUSTOMERS, item};
use crate::support::{Database, Tally, interaction, time, timestamp};

/// A write waits for a row of `customers` that another transaction has locked only when it changes that row.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_the_same_customers_do_not_wait_for_each_other() {
    let tally = Tally::start(Database::postgres().await).await;
    tally.backfill((0..CUSTOMERS).map(item).collect()).await.unwrap();
    let mut other = PgConnection::connect(&tally.database.url).await.unwrap();
    let mut locking = other.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM customers FOR NO KEY UPDATE").execute(&mut *locking).await.unwrap();
    let later = (CUSTOMERS..1_000)
        .map(|n| v1::Interaction { occur_time: Some(timestamp(time("2025-01-01"))), ..item(n) });
    let written = timeout(Duration::from_secs(20), tally.backfill(later.collect())).await;
    assert_eq!(written.expect("the write does not wait").unwrap(), (1_000 - CUSTOMERS as i64, 0));
    locking.rollback().await.unwrap();
}

/// The batch has found its customer stored, and creates it again when it is erased before the batch commits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_that_is_erased_during_a_write_is_created_again() {
    for size in [1, 1_000] {
        let tally = Tally::start(Database::postgres().await).await;
        let own = |n: usize| interaction("c", &format!("I{n}"), "visit", "2024-01-01");
        tally.backfill(vec![own(0)]).await.unwrap();
        let mut other = PgConnection::connect(&tally.database.url).await.unwrap();
        let mut erasing = other.begin().await.unwrap();
        sqlx::query("DELETE FROM customers").execute(&mut *erasing).await.unwrap();
        let writing = tally.backfill((1..=size).map(own).collect());
        let erased_while_it_waits = async {
            let waiting = "SELECT count(*) FROM pg_stat_activity \
                           WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while tally.database.sql(waiting).await == Some(0) {}
            erasing.commit().await.unwrap();
        };
        let both = timeout(Duration::from_secs(20), async { tokio::join!(writing, erased_while_it_waits) });
        assert_eq!(both.await.unwrap().0.unwrap(), (size as i64, 0));
        assert_eq!(tally.database.sql("SELECT count(*) FROM interactions").await, Some(size as i64));
    }
}
