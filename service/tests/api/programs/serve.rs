//! `tally-serve`: start, shutdown, plain HTTP, and errors at the start.

use tally_proto::v1::{self, interaction_service_client::InteractionServiceClient};
use tonic::transport::Channel;

use crate::support::{Database, ServeProcess, get, interaction, program};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_ends_the_server_successfully() {
    for database in Database::both().await {
        let mut process = ServeProcess::start(&database.url, &[]);
        assert!(process.terminate().success());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_in_progress_end_before_the_server_does() {
    let database = Database::sqlite();
    let mut process = ServeProcess::start(&database.url, &[]);
    let endpoint = Channel::from_shared(process.url()).unwrap();
    let mut client = InteractionServiceClient::new(endpoint.connect().await.unwrap());
    let (batches, stream) = tokio::sync::mpsc::channel(1);
    let batch = |id: &str| v1::RecordInteractionsRequest {
        interactions: vec![interaction("c", id, "visit", "2024-01-01")],
        backfill: true,
        ..Default::default()
    };
    batches.send(batch("before")).await.unwrap();
    let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
    let mut replies = client.stream_interactions(stream).await.unwrap().into_inner();
    assert_eq!(replies.message().await.unwrap().unwrap().recorded, 1);
    process.signal_term();
    while endpoint.connect().await.is_ok() {}
    // The server takes no new connections any more, but serves this one to its end.
    batches.send(batch("after")).await.unwrap();
    assert_eq!(replies.message().await.unwrap().unwrap().recorded, 1);
    drop(batches);
    assert!(replies.message().await.unwrap().is_none());
    assert!(process.wait().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_http_has_probes_and_metrics_and_an_empty_address_turns_it_off() {
    for database in Database::both().await {
        let process = ServeProcess::start(&database.url, &[]);
        let address = process.http();
        for (path, status) in
            [("/healthz", "200"), ("/readyz", "200"), ("/metrics", "200"), ("/elsewhere", "404")]
        {
            let (head, _) = get(address, path).await;
            assert!(head.starts_with(&format!("HTTP/1.0 {status}")), "{path}: {head}");
        }
        assert_eq!(ServeProcess::start(&database.url, &["--http", ""]).banner, "");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_that_start_at_the_same_time_migrate_once() {
    for database in Database::both().await {
        let starts = (0..4).map(|_| {
            let url = database.url.clone();
            tokio::task::spawn_blocking(move || ServeProcess::start(&url, &[]))
        });
        let servers = futures_util::future::join_all(starts).await;
        assert_eq!(servers.into_iter().filter(Result::is_ok).count(), 4);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_and_a_wrong_database_are_reported_in_the_error() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (arguments, name) in [
        (["--listen", "127.0.0.1:0", "--http", address.as_str()], "cannot listen on"),
        (["--listen", "127.0.0.1:0", "--http", "8080"], "--http"),
        (["--database", "sqlite:///proc/no/such/tally.db", "--listen", "127.0.0.1:0"], "database"),
        (["--database", "mysql://x", "--listen", "127.0.0.1:0"], "sqlite://PATH"),
        (["--database", "sqlite://:memory:", "--listen", address.as_str()], "cannot listen on"),
        (["--database", "sqlite://x", "--listen", "nowhere"], "--listen"),
        (["--database", "sqlite://x", "--port", "1"], "--port"),
        (["--database", "sqlite://x", "--score-every", "9m"], "allowed are 10m to 366d"),
        (["--database", "sqlite://x", "--train-every", "weekly"], "--train-every"),
    ] {
        let output = program("tally-serve", "sqlite://x").args(arguments).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && message.contains(name), "{arguments:?}: {message}");
    }
}
