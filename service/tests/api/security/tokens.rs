//! Tokens of the token file: what counts as one, until when, and how the file is replaced while it serves.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tally_model::time::Time;
use tally_proto::v1;
use tally_service::platform::clock::system_clock;
use tonic::Code;
use tonic_types::StatusExt;

use super::{
    Secured,
    client::{Client, GET},
    programs::get_with,
    token_entry,
};
use crate::support::{assert_refused, eventually, interaction};

fn expires(time: Time) -> String {
    format!("expires = {time}")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_counts_in_one_header_and_until_it_expires() {
    let now = system_clock();
    let tokens = [
        token_entry("crm", "tally_good", "read", &expires(now.plus_days(1))),
        token_entry("crm", "tally_old", "read", &expires(now)),
    ];
    let server = Secured::with_tokens(&tokens.concat(), &[]);
    let client = server.client().await;
    for good in ["Bearer tally_good", "bearer tally_good", "BEARER tally_good"] {
        assert!(client.call(GET, &[good]).await.is_ok(), "{good}");
    }
    for (values, reason) in [
        (&[][..], "NO_CREDENTIALS"),
        (&["tally_good"], "INVALID_CREDENTIALS"),
        (&["Bearer"], "INVALID_CREDENTIALS"),
        (&["Basic tally_good"], "INVALID_CREDENTIALS"),
        (&["Bearer tally_good x"], "INVALID_CREDENTIALS"),
        (&["Bearer tally_goo"], "INVALID_CREDENTIALS"),
        (&["Bearer tally_good", "Bearer tally_good"], "INVALID_CREDENTIALS"),
        (&["Bearer tally_old"], "EXPIRED_CREDENTIALS"),
    ] {
        let called = client.call(GET, values).await;
        assert_refused(called.map(drop), Code::Unauthenticated, reason, &[]);
    }
}

/// Calls with a token until it is told to stop; counts the calls, and keeps the first that failed.
struct Load {
    calls: Arc<AtomicU32>,
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<Option<tonic::Status>>,
}

impl Load {
    fn start(client: Client, token: &'static str) -> Self {
        let (calls, stop) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stopped) = (Arc::clone(&calls), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                if let Err(status) = client.get(token).await {
                    return Some(status);
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
            None
        });
        Self { calls, stop, task }
    }

    async fn stop(self) -> (u32, Option<tonic::Status>) {
        self.stop.store(true, Ordering::Relaxed);
        let failed = self.task.await.unwrap();
        (self.calls.load(Ordering::Relaxed), failed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_replaced_under_load_without_a_failed_call() {
    let (old, new) =
        (token_entry("crm", "tally_old", "read", ""), token_entry("crm", "tally_new", "read", ""));
    let server = Secured::with_tokens(&old, &[]);
    let client = server.client().await;
    let load = Load::start(client.clone(), "tally_old");
    assert!(client.get("tally_new").await.is_err());
    server.folder.write("tokens.toml", format!("{old}{new}"));
    eventually(async || client.get("tally_new").await.is_ok()).await;
    // A bad file changes nothing, is counted once, and a good one counts again.
    server.folder.write("tokens.toml", "[[token]]\nname = 1\n");
    let failures = async || {
        let (_, text) = get_with(server.http(), "/metrics", Some("tally_new")).await;
        let line =
            text.lines().find(|line| line.starts_with("tally_security_reload_failures_total ")).unwrap();
        line.rsplit_once(' ').unwrap().1.to_owned()
    };
    eventually(async || failures().await == "1").await;
    assert!(client.get("tally_new").await.is_ok());
    std::fs::remove_file(server.folder.path("tokens.toml")).unwrap();
    eventually(async || failures().await == "2").await;
    let (calls, failed) = load.stop().await;
    assert!(failed.is_none() && calls > 0, "{failed:?}");
    server.folder.write("tokens.toml", &new);
    eventually(async || client.get("tally_old").await.is_err()).await;
    assert!(client.get("tally_new").await.is_ok());
    assert_eq!(failures().await, "2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_ends_when_its_token_expires_and_keeps_what_was_acknowledged() {
    let soon = Time(system_clock().0 + 3_000_000);
    let tokens = [
        token_entry("source", "tally_short", "read,write", &expires(soon)),
        token_entry("reader", "tally_long", "read", ""),
    ];
    let server = Secured::with_tokens(&tokens.concat(), &[]);
    let client = server.client().await;
    // One that waits for its server, and one that waits for its client.
    let watch = client.call("/tally.v1.InsightService/WatchAlerts", &["Bearer tally_short"]).await;
    let (batches, stream) = tokio::sync::mpsc::channel(1);
    let batch = v1::RecordInteractionsRequest {
        interactions: vec![interaction("c", "i", "visit", "2024-01-01")],
        backfill: true,
        ..Default::default()
    };
    batches.send(batch).await.unwrap();
    let mut request = tonic::Request::new(tokio_stream::wrappers::ReceiverStream::new(stream));
    request.metadata_mut().insert("authorization", "Bearer tally_short".parse().unwrap());
    let mut sender = v1::interaction_service_client::InteractionServiceClient::new(client.0.clone());
    let mut replies = sender.stream_interactions(request).await.unwrap().into_inner();
    assert_eq!(replies.message().await.unwrap().unwrap().recorded, 1);
    assert_refused(replies.message().await, Code::Unauthenticated, "EXPIRED_CREDENTIALS", &[]);
    assert_refused(watch.unwrap().message().await, Code::Unauthenticated, "EXPIRED_CREDENTIALS", &[]);
    assert!(system_clock() >= soon);
    let mut request =
        tonic::Request::new(v1::ListInteractionsRequest { customer_id: "c".into(), ..Default::default() });
    request.metadata_mut().insert("authorization", "Bearer tally_long".parse().unwrap());
    let listed = sender.list_interactions(request).await.unwrap().into_inner();
    assert_eq!(listed.interactions.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_guesses_tokens_is_refused_unseen_and_clients_that_were_let_in_are_not() {
    let server = Secured::with_tokens(&token_entry("crm", "tally_good", "read", ""), &[]);
    let (known, guesser) = (server.client().await, server.client().await);
    known.get("tally_good").await.unwrap();
    for n in 0..1_000 {
        let guessed = guesser.get(&format!("tally_{n}")).await;
        assert_refused(guessed, Code::Unauthenticated, "INVALID_CREDENTIALS", &[]);
    }
    for token in ["tally_1000", "tally_good"] {
        let refused = guesser.get(token).await;
        let wait = refused.as_ref().unwrap_err().get_details_retry_info().unwrap().retry_delay.unwrap();
        assert!(wait <= Duration::from_secs(60), "{wait:?}");
        assert_refused(refused, Code::ResourceExhausted, "TOO_MANY_FAILURES", &[]);
    }
    let (head, _) = get_with(server.http(), "/metrics", Some("tally_good")).await;
    assert!(head.starts_with("HTTP/1.0 429") && head.contains("retry-after: "), "{head}");
    assert!(get_with(server.http(), "/readyz", None).await.0.starts_with("HTTP/1.0 200"));
    known.get("tally_good").await.unwrap();
}
