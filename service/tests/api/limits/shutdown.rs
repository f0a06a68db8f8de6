//! The end of a server: it says so, ends what is idle, lets calls end, and refuses nobody who comes next.

use std::{
    net::TcpListener,
    os::fd::OwnedFd,
    process::{Command, Stdio},
    time::Duration,
};

use tally_proto::v1::{
    self, customer_service_client::CustomerServiceClient,
    interaction_service_client::InteractionServiceClient,
};
use tokio::{net::TcpStream, sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{
    Database, ServeProcess, eventually, get, interaction, program,
    raw_http2::{GOAWAY, RawConnection},
    text,
};

/// Half of what calls in flight may take.
const SOON: Duration = Duration::from_secs(8);

async fn connect(process: &ServeProcess) -> Channel {
    Channel::from_shared(process.url()).unwrap().connect().await.unwrap()
}

/// Waits for the end of a process, which must come soon.
pub(super) async fn ends_soon(mut process: ServeProcess) {
    let ended = tokio::task::spawn_blocking(move || process.wait());
    assert!(timeout(SOON, ended).await.expect("the server ends soon").unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_idle_delays_the_end() {
    let database = Database::sqlite();
    let process = ServeProcess::start(&database.url, &[]);
    let address = process.url().strip_prefix("http://").unwrap().to_owned();
    let _silent = TcpStream::connect(address).await.unwrap();
    // Its client answers no ping, so that hyper would wait for it for ever.
    let mut mute = RawConnection::open(&process.url()).await;
    let channel = connect(&process).await;
    let mut health = HealthClient::new(channel.clone());
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let serving = |status: ServingStatus| Some(i32::from(status));
    let status = watch.message().await.unwrap().map(|message| message.status);
    assert_eq!(status, serving(ServingStatus::Serving));
    let (_batches, stream) = mpsc::channel::<v1::RecordInteractionsRequest>(1);
    let mut client = InteractionServiceClient::new(channel.clone());
    let mut replies = client.stream_interactions(ReceiverStream::new(stream)).await.unwrap().into_inner();

    process.signal_term();
    let status = watch.message().await.unwrap().map(|message| message.status);
    assert_eq!(status, serving(ServingStatus::NotServing));
    assert_eq!(watch.message().await.unwrap(), None);
    assert!(mute.read_until(|frame| frame.kind == GOAWAY).await.is_some());
    assert_eq!(replies.message().await.unwrap_err().code(), Code::Unavailable);
    ends_soon(process).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_never_idle_ends_soon_and_loses_nothing() {
    let database = Database::sqlite();
    let process = ServeProcess::start(&database.url, &[]);
    let (batches, stream) = mpsc::channel(1);
    let mut client = InteractionServiceClient::new(connect(&process).await);
    let batch = |n: u64| v1::RecordInteractionsRequest {
        interactions: vec![interaction("c", &n.to_string(), "visit", "2024-01-01")],
        backfill: true,
        ..Default::default()
    };
    batches.send(batch(0)).await.unwrap();
    let mut replies = client.stream_interactions(ReceiverStream::new(stream)).await.unwrap().into_inner();
    let mut acknowledged = 0;
    let end = loop {
        match replies.message().await {
            Ok(reply) => assert_eq!(reply.expect("no end without an error").recorded, 1),
            Err(status) => break status,
        }
        acknowledged += 1;
        if acknowledged == 10 {
            process.signal_term();
        }
        // When the stream has ended, nobody takes it.
        let _ = batches.send(batch(acknowledged)).await;
    };
    assert_eq!(end.code(), Code::Unavailable, "{end}");
    assert!(end.message().contains("the server is stopping"), "{end}");
    ends_soon(process).await;
    let stored = database.sql("SELECT count(*) FROM interactions").await.unwrap();
    assert_eq!(stored, acknowledged as i64, "what was acknowledged, and nothing else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_is_not_ready() {
    let database = Database::sqlite();
    let process = ServeProcess::start(&database.url, &[]);
    let http = process.http();
    let (head, _) = get(http, "/readyz").await;
    assert!(head.starts_with("HTTP/1.0 200"), "{head}");
    // A stream that is in use keeps the server up.
    let (batches, stream) = mpsc::channel(1);
    let mut client = InteractionServiceClient::new(connect(&process).await);
    let mut replies = client.stream_interactions(ReceiverStream::new(stream)).await.unwrap().into_inner();
    process.signal_term();
    let mut number = 0;
    eventually(async || {
        number += 1;
        let interactions = vec![interaction("c", &number.to_string(), "visit", "2024-01-01")];
        batches.send(v1::RecordInteractionsRequest { interactions, ..Default::default() }).await.unwrap();
        assert_eq!(replies.message().await.unwrap().unwrap().recorded, 1);
        let (head, body) = get(http, "/readyz").await;
        head.starts_with("HTTP/1.0 503") && body == "the server is stopping\n"
    })
    .await;
    drop(batches);
    assert_eq!(replies.message().await.unwrap(), None);
    ends_soon(process).await;
}

/// A server with the sockets of systemd: they are given as standard input and moved to where systemd has them.
fn serve_on(listener: &TcpListener, database: &str) -> ServeProcess {
    let serve = program("tally-serve", database);
    let mut command = Command::new("sh");
    let script = "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1; exec \"$0\" --listen 127.0.0.1:1";
    command.args(["-c", script, text(serve.get_program().as_ref())]);
    command.env_clear().envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.stdin(Stdio::from(OwnedFd::from(listener.try_clone().unwrap())));
    ServeProcess::spawn(command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_on_a_socket_of_systemd_refuses_no_connection() {
    let database = Database::sqlite();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let call = async |url: String| {
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        let request = v1::GetCustomerRequest { customer_id: "nobody".to_owned() };
        let answer = CustomerServiceClient::new(channel).get_customer(request).await;
        answer.unwrap_err().code()
    };
    let first = serve_on(&listener, &database.url);
    assert_eq!(first.url(), url);
    assert_eq!(call(url.clone()).await, Code::NotFound);
    first.signal_term();
    ends_soon(first).await;
    // Nobody listens now, but the connection waits.
    let waiting = tokio::spawn(call(url));
    let second = serve_on(&listener, &database.url);
    assert_eq!(waiting.await.unwrap(), Code::NotFound);
    second.signal_term();
    ends_soon(second).await;
}
