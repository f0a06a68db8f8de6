//! What a server does when PostgreSQL is busy or cut off.

use std::{
    io::{BufRead, BufReader},
    os::unix::fs::symlink,
    process::Stdio,
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tally_proto::v1::{
    self, insight_service_client::InsightServiceClient, interaction_service_client::InteractionServiceClient,
};
use tokio::task::JoinSet;
use tonic::{Code, Request, Status, transport::Channel};

use crate::support::{Database, Proxy, ServeProcess, eventually, interaction, program, text};

/// How many statements of the server wait for a lock.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity \
                       WHERE datname = current_database() AND application_name = 'tally' AND wait_event_type = 'Lock'";

async fn connect(process: &ServeProcess) -> InteractionServiceClient<Channel> {
    InteractionServiceClient::new(Channel::from_shared(process.url()).unwrap().connect().await.unwrap())
}

/// Records an interaction within a time.
async fn record(
    mut client: InteractionServiceClient<Channel>,
    id: &'static str,
    within: Duration,
) -> Result<i64, Status> {
    let interactions = vec![interaction("c", id, "visit", "2024-01-01")];
    let mut request = Request::new(v1::RecordInteractionsRequest { interactions, ..Default::default() });
    request.set_timeout(within);
    Ok(client.record_interactions(request).await?.into_inner().recorded)
}

/// A transaction that keeps others out of a table until its connection is closed.
async fn lock(database: &Database, table: &str) -> PgConnection {
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    let lock = AssertSqlSafe(format!("BEGIN; LOCK TABLE {table}"));
    sqlx::raw_sql(lock).execute(&mut connection).await.unwrap();
    connection
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_all_connections_in_use_is_refused_soon() {
    let database = Database::in_cluster().await;
    let process = ServeProcess::start(&database.url, &["--database-connections", "4"]);
    let client = connect(&process).await;
    let lock = lock(&database, "customers").await;
    let mut calls = JoinSet::new();
    for _ in 0..12 {
        calls.spawn(record(client.clone(), "meanwhile", Duration::from_secs(4)));
    }
    let codes = calls.join_all().await.into_iter().map(|result| result.unwrap_err().code());
    let (refused, late): (Vec<_>, Vec<_>) = codes.partition(|code| *code == Code::Unavailable);
    assert!(refused.len() >= 9, "a quarter of four connections does not write: {refused:?} {late:?}");
    // The client, too, ends a call at its deadline.
    assert!(late.iter().all(|code| [Code::DeadlineExceeded, Code::Cancelled].contains(code)), "{late:?}");
    lock.close().await.unwrap();
    assert_eq!(record(client, "after", Duration::from_secs(20)).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_packets_vanish_from_are_given_up() {
    let database = Database::in_cluster().await;
    let proxy = Proxy::start(&database).await;
    let process = ServeProcess::start(&proxy.url(), &[]);
    let client = connect(&process).await;
    let limit = Duration::from_secs(20);
    assert_eq!(record(client.clone(), "before", limit).await.unwrap(), 1);
    let lock = lock(&database, "customers").await;
    let in_flight = tokio::spawn(record(client.clone(), "in flight", limit));
    eventually(async || database.sql(WAITING).await == Some(1)).await;
    proxy.swallow();
    let begun_later = record(client.clone(), "later", limit).await;
    assert_eq!(begun_later.unwrap_err().code(), Code::Unavailable);
    assert_eq!(in_flight.await.unwrap().unwrap_err().code(), Code::Unavailable);
    lock.close().await.unwrap();
    // Those of that time stay dead.
    proxy.carry_new_connections();
    eventually(async || record(client.clone(), "after", Duration::from_secs(2)).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_ends_soon_after_its_caller_has_left() {
    let database = Database::in_cluster().await;
    let process = ServeProcess::start(&database.url, &["--pack-every-seconds", "86400"]);
    let channel = Channel::from_shared(process.url()).unwrap().connect().await.unwrap();
    let client = InteractionServiceClient::new(channel.clone());
    assert_eq!(record(client, "before", Duration::from_secs(20)).await.unwrap(), 1);
    let lock = lock(&database, "interactions").await;
    let mut reports = InsightServiceClient::new(channel.clone());
    let report = tokio::spawn(async move { reports.get_kpis(v1::GetKpisRequest::default()).await });
    let mut lists = InteractionServiceClient::new(channel);
    let listed = v1::ListInteractionsRequest { customer_id: "c".to_owned(), ..Default::default() };
    let list = tokio::spawn(async move { lists.list_interactions(listed).await });
    eventually(async || database.sql(WAITING).await >= Some(2)).await;
    report.abort();
    list.abort();
    eventually(async || database.sql(WAITING).await == Some(0)).await;
    lock.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_waits_for_a_database_and_gives_up_in_time() {
    let database = Database::in_cluster().await;
    let folder = tempfile::tempdir().unwrap();
    let (rest, socket) = database.url.split_once("?host=").unwrap();
    let url = format!("{rest}?host={}", text(folder.path()));
    let given_up = program("tally-serve", &url)
        .args(["--listen", "127.0.0.1:0", "--database-wait-seconds", "1"])
        .output()
        .unwrap();
    let said = String::from_utf8(given_up.stderr).unwrap();
    assert_eq!(given_up.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot connect to PostgreSQL at the socket in"), "{said}");

    let mut serve = program("tally-serve", &url);
    serve.args(["--listen", "127.0.0.1:0", "--database-wait-seconds", "60"]);
    let (log, writer) = std::io::pipe().unwrap();
    serve.stderr(Stdio::from(writer));
    let there = folder.path().join(".s.PGSQL.5432");
    let socket = format!("{socket}/.s.PGSQL.5432");
    let waiting = std::thread::spawn(move || {
        let waits = BufReader::new(log).lines().any(|line| line.unwrap().contains("does not answer yet"));
        symlink(socket, there).unwrap();
        waits
    });
    let mut process = ServeProcess::spawn(serve);
    assert!(waiting.join().unwrap());
    assert!(process.terminate().success());
}
