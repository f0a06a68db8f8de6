//! `tally score` against a small server, and any command against none.

use tokio::net::TcpListener;

use crate::fake::{serve, tally};

#[tokio::test]
async fn ids_go_in_chunks_and_those_without_a_score_fail_the_command() {
    let (fake, url) = serve().await;
    let mut rest = vec!["--json", "score", "churn", "nobody"];
    let ids: Vec<String> = (0..10_001).map(|n| format!("C{n}")).collect();
    rest.extend(ids.iter().map(String::as_str));
    let error = tally(&url, &rest).await.unwrap_err().to_string();
    assert_eq!(error, "1 of 10,002 customers could not be scored");
    let received = fake.0.lock().unwrap();
    let scored: Vec<_> = received.scored.iter().map(|r| (r.customer_ids.len(), r.model.as_str())).collect();
    assert_eq!(scored, [(10_000, ""), (2, "churn/7")]);
}

#[tokio::test]
async fn without_a_server_the_error_says_what_to_do() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = tally(&url, &["models", "list"]).await.unwrap_err().to_string();
    assert!(error.contains(&url) && error.contains("is tally-serve running?"), "{error}");
}
