//! A log that nobody reads, as behind a service manager that hangs.

use std::{
    io::{BufRead, BufReader, pipe},
    net::SocketAddr,
};

use tally_proto::v1::{self, interaction_service_client::InteractionServiceClient};
use tonic::transport::Channel;

use super::shutdown::ends_soon;
use crate::support::{Database, ServeProcess, get, interaction, program};

/// Records an interaction; the number of lines that were dropped so far.
async fn record_and_count(client: &mut InteractionServiceClient<Channel>, http: SocketAddr) -> u64 {
    let interactions = vec![interaction("c", "1", "visit", "2024-01-01")];
    let request = v1::RecordInteractionsRequest { interactions, ..Default::default() };
    client.record_interactions(request).await.unwrap();
    let (_, metrics) = get(http, "/metrics").await;
    let value = metrics.lines().find_map(|line| line.strip_prefix("tally_log_lines_dropped_total "));
    value.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_nobody_reads_stops_neither_calls_nor_the_end() {
    let database = Database::sqlite();
    let (reader, writer) = pipe().unwrap();
    let mut serve = program("tally-serve", &database.url);
    serve.args(["--listen", "127.0.0.1:0"]).env("TALLY_LOG", "trace").stderr(writer);
    let process = ServeProcess::spawn(serve);
    let http = process.http();
    let channel = Channel::from_shared(process.url()).unwrap().connect().await.unwrap();
    let mut client = InteractionServiceClient::new(channel);
    while record_and_count(&mut client, http).await == 0 {}

    let mut lines = BufReader::new(reader).lines().map(Result::unwrap);
    let (reading, mut said) = tokio::sync::oneshot::channel();
    let read = tokio::task::spawn_blocking(move || {
        let found = lines.find(|line| line.contains("log lines were dropped, since nobody read them"));
        reading.send(()).unwrap();
        (found, lines)
    });
    while said.try_recv().is_err() {
        record_and_count(&mut client, http).await;
    }
    let (found, _unread) = read.await.unwrap();
    let told: u64 = found.unwrap().rsplit_once("lines=").unwrap().1.parse().unwrap();
    let dropped = record_and_count(&mut client, http).await;
    assert!((1..=dropped).contains(&told), "{told} of {dropped}");

    while record_and_count(&mut client, http).await == dropped {}
    process.signal_term();
    ends_soon(process).await;
}
