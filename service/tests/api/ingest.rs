//! Ingest in bulk: large batches, many writers at a time, on both databases.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use sqlx::{Connection, PgConnection};
use tally_proto::v1;
use tokio::time::{Duration, timeout};
use tokio_stream::StreamExt;
use tonic::Code;

use crate::support::{
    Database, Tally, assert_refused, interaction, on_both_stores, program, text, time, timestamp,
};

on_both_stores!(
    imports_side_by_side_of_overlapping_files_store_each_row_once,
    streams_that_cross_neither_lock_each_other_out_nor_lose_anything,
    duplicates_are_counted_within_large_batches_and_across_them,
    a_large_batch_with_other_content_in_its_middle_leaves_nothing,
    a_batch_that_fails_in_the_database_leaves_nothing_and_harms_no_later_one,
);

const CUSTOMERS: usize = 97;

/// Interaction `n`: of a customer that others have, too, at a time that does not follow `n`.
fn item(n: usize) -> v1::Interaction {
    let day = time("2024-01-01").plus_days((n * 7 % 365) as i64);
    v1::Interaction {
        occur_time: Some(timestamp(day)),
        amount_minor: (!n.is_multiple_of(3)).then_some(n as i64 * 10 - 500),
        channel: ["web", "shop", ""][n % 3].to_owned(),
        properties: (0..n % 3).map(|key| (format!("p{key}"), format!("„{n}“, \\"))).collect(),
        ..interaction(&format!("C{}", n * 31 % CUSTOMERS), &format!("I{n}"), "visit", "2024-01-01")
    }
}

/// The numbers below `end`, each once, in no order.
fn scrambled(end: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..end).collect();
    numbers.sort_by_key(|n| (*n as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20);
    numbers
}

/// Asserts that the interactions below `end` are stored, and nothing else; and that every customer
/// began with its first.
async fn assert_stored(tally: &Tally, end: usize) {
    let mut wanted: BTreeMap<String, Vec<v1::Interaction>> = BTreeMap::new();
    for n in 0..end {
        let item = v1::Interaction { record_time: item(n).occur_time, ..item(n) };
        wanted.entry(item.customer_id.clone()).or_default().push(item);
    }
    assert_eq!(tally.database.sql("SELECT count(*) FROM interactions").await, Some(end as i64));
    assert_eq!(tally.database.sql("SELECT count(*) FROM customers").await, Some(wanted.len() as i64));
    for (customer_id, mut own) in wanted {
        let request = v1::GetCustomerRequest { customer_id: customer_id.clone() };
        let customer = tally.customers().get_customer(request).await.unwrap().into_inner().customer.unwrap();
        let seconds = |item: &v1::Interaction| item.occur_time.unwrap().seconds;
        assert_eq!(customer.create_time.map(|time| time.seconds), own.iter().map(seconds).min());
        let request = v1::ListInteractionsRequest { customer_id, page_size: 1_000, ..Default::default() };
        let mut stored = tally.interactions().list_interactions(request).await.unwrap().into_inner();
        own.sort_by(|a, b| a.interaction_id.cmp(&b.interaction_id));
        stored.interactions.sort_by(|a, b| a.interaction_id.cmp(&b.interaction_id));
        assert_eq!(stored.interactions, own);
    }
}

/// A file of these interactions.
fn csv(numbers: impl Iterator<Item = usize>) -> String {
    let mut rows = csv::Writer::from_writer(Vec::new());
    let header = ["interaction_id", "customer_id", "kind", "occur_time", "amount", "channel", "p0", "p1"];
    rows.write_record(header).unwrap();
    for item in numbers.map(item) {
        let occurred = item.occur_time.unwrap().to_string();
        let amount = item.amount_minor.map(|minor| {
            let sign = if minor < 0 { "-" } else { "" };
            format!("{sign}{}.{:02}", minor.abs() / 100, minor.abs() % 100)
        });
        let property = |name: &str| item.properties.get(name).cloned().unwrap_or_default();
        let v1::Interaction { customer_id, interaction_id, kind, channel, .. } = item.clone();
        let [p0, p1] = [property("p0"), property("p1")];
        rows.write_record([
            interaction_id,
            customer_id,
            kind,
            occurred,
            amount.unwrap_or_default(),
            channel,
            p0,
            p1,
        ])
        .unwrap();
    }
    String::from_utf8(rows.into_inner().unwrap()).unwrap()
}

async fn imports_side_by_side_of_overlapping_files_store_each_row_once(tally: Tally) {
    const END: usize = 17_000;
    let folder = tempfile::tempdir().unwrap();
    let order = scrambled(END);
    // Each has several batches, and 7,000 rows are in both.
    let halves = [csv(order[..12_000].iter().copied()), csv(order[5_000..].iter().rev().copied())];
    let import = |path: &std::path::Path| {
        let mut command = program("tally", "");
        command.args([
            "--json",
            "--server",
            &tally.url,
            "import",
            "--backfill",
            "--interactions",
            text(path),
        ]);
        tokio::task::spawn_blocking(move || {
            let output = command.output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
        })
    };
    let paths = [folder.path().join("one.csv"), folder.path().join("two.csv")];
    for (path, half) in paths.iter().zip(&halves) {
        std::fs::write(path, half).unwrap();
    }
    let sums: Vec<_> = join_all(paths.iter().map(|path| import(path))).await;
    let sum =
        |field: &str| sums.iter().map(|sum| sum.as_ref().unwrap()[field].as_i64().unwrap()).sum::<i64>();
    assert_eq!((sum("recorded"), sum("duplicates")), (17_000, 7_000));
    assert_stored(&tally, END).await;
    // One after the other there is nothing left to do.
    let again = import(&paths[0]).await.unwrap();
    assert_eq!((again["recorded"].as_i64(), again["duplicates"].as_i64()), (Some(0), Some(12_000)));
}

async fn streams_that_cross_neither_lock_each_other_out_nor_lose_anything(tally: Tally) {
    const END: usize = 2_000;
    // Everybody sends everything, in large and in small batches, in an order of their own.
    let streams = [400, 130, 60, 400].into_iter().enumerate().map(|(who, size)| {
        let mut order = scrambled(END);
        order.rotate_left(who * 500);
        if who % 2 == 1 {
            order.reverse();
        }
        let batch = |part: &[usize]| v1::RecordInteractionsRequest {
            interactions: part.iter().map(|n| item(*n)).collect(),
            backfill: true,
        };
        let batches: Vec<_> = order.chunks(size).map(batch).collect();
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
    let mut twice: Vec<usize> = scrambled(1_000);
    twice.extend(0..100);
    assert_eq!(tally.backfill(batch(twice)).await.unwrap(), (1_000, 100));
    // Of all customers some, of a few nothing, and as a whole.
    assert_eq!(tally.backfill(batch((500..1_500).collect())).await.unwrap(), (500, 500));
    let late: Vec<usize> = (0..2_000).filter(|n| *n >= 1_500 || n * 31 % CUSTOMERS == 96).collect();
    let known = late.iter().filter(|n| **n < 1_500).count() as i64;
    assert_eq!(tally.backfill(batch(late)).await.unwrap(), (500, known));
    assert_eq!(tally.backfill(batch(scrambled(2_000))).await.unwrap(), (0, 2_000));
    assert_stored(&tally, 2_000).await;
}

async fn a_large_batch_with_other_content_in_its_middle_leaves_nothing(tally: Tally) {
    assert_eq!(tally.backfill(vec![item(0)]).await.unwrap(), (1, 0));
    let mut batch: Vec<_> = (1..1_000).map(item).collect();
    batch.insert(700, v1::Interaction { channel: "elsewhere".to_owned(), ..item(0) });
    let refused = tally.backfill(batch.clone()).await;
    assert!(
        refused.as_ref().unwrap_err().message().contains("interactions[700]: `I0` of customer `C0`"),
        "{refused:?}"
    );
    assert_refused(refused, Code::AlreadyExists, "OTHER_CONTENT_STORED", &[]);
    assert_stored(&tally, 1).await;
    batch.remove(700);
    assert_eq!(tally.backfill(batch).await.unwrap(), (999, 0));
    assert_stored(&tally, 1_000).await;
}

async fn a_batch_that_fails_in_the_database_leaves_nothing_and_harms_no_later_one(tally: Tally) {
    let (begin, end) = if tally.database.url.starts_with("sqlite") {
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

/// A row of `customers` that somebody else holds is no reason to wait, unless it changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_the_same_customers_do_not_wait_for_each_other() {
    let tally = Tally::start(Database::postgres().await).await;
    tally.backfill((0..CUSTOMERS).map(item).collect()).await.unwrap();
    let mut other = PgConnection::connect(&tally.database.url).await.unwrap();
    let mut held = other.begin().await.unwrap();
    sqlx::query("SELECT 1 FROM customers FOR NO KEY UPDATE").execute(&mut *held).await.unwrap();
    let later = (CUSTOMERS..1_000)
        .map(|n| v1::Interaction { occur_time: Some(timestamp(time("2025-01-01"))), ..item(n) });
    let done = timeout(Duration::from_secs(20), tally.backfill(later.collect())).await;
    assert_eq!(done.expect("nobody waits").unwrap(), (1_000 - CUSTOMERS as i64, 0));
    held.rollback().await.unwrap();
}

/// The batch has found its customer there; it is created anew when it is erased before the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_that_is_erased_meanwhile_is_created_anew() {
    for size in [1, 1_000] {
        let tally = Tally::start(Database::postgres().await).await;
        let own = |n: usize| interaction("c", &format!("I{n}"), "visit", "2024-01-01");
        tally.backfill(vec![own(0)]).await.unwrap();
        let mut other = PgConnection::connect(&tally.database.url).await.unwrap();
        let mut erased = other.begin().await.unwrap();
        sqlx::query("DELETE FROM customers").execute(&mut *erased).await.unwrap();
        let writing = tally.backfill((1..=size).map(own).collect());
        let waits = async {
            let waiting = "SELECT count(*) FROM pg_stat_activity \
                           WHERE datname = current_database() AND wait_event_type = 'Lock'";
            while tally.database.sql(waiting).await == Some(0) {}
            erased.commit().await.unwrap();
        };
        let both = timeout(Duration::from_secs(20), async { tokio::join!(writing, waits) });
        assert_eq!(both.await.unwrap().0.unwrap(), (size as i64, 0));
        assert_eq!(tally.database.sql("SELECT count(*) FROM interactions").await, Some(size as i64));
    }
}
