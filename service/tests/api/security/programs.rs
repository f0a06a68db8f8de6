//! The command with tokens and certificates, and plain HTTP with the same rules.

use std::{net::SocketAddr, process::Output};

use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};

use super::{Folder, Secured, pki::Authority, token_entry};
use crate::support::{Database, ServeProcess, program, text};

/// Sends a GET request with a token. Returns the status line with the headers, and the body.
pub async fn get_with(address: SocketAddr, path: &str, token: Option<&str>) -> (String, String) {
    get_on(TcpStream::connect(address).await.unwrap(), path, token).await
}

async fn get_on(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    path: &str,
    token: Option<&str>,
) -> (String, String) {
    let authorization = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n{authorization}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).await.unwrap();
    let (head, body) = response.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_take_the_scope_to_read_and_probes_none() {
    let tokens =
        [token_entry("prometheus", "tally_p", "read", ""), token_entry("crm", "tally_c", "score", "")];
    let server = Secured::with_tokens(&tokens.concat(), &[]);
    for (path, token, status) in [
        ("/healthz", None, "200"),
        ("/readyz", None, "200"),
        ("/metrics", Some("tally_p"), "200"),
        ("/metrics", Some("tally_c"), "403"),
        ("/metrics", Some("tally_x"), "401"),
        ("/metrics", None, "401"),
    ] {
        let (head, body) = get_with(server.http(), path, token).await;
        assert!(head.starts_with(&format!("HTTP/1.0 {status}")), "{path} {token:?}: {head}");
        assert_eq!(body.contains("tally_warm_hits_total"), path == "/metrics" && status == "200");
        assert_eq!(head.contains("www-authenticate: Bearer"), status == "401");
    }
}

/// Runs `tally` with a token in its environment.
fn tally(server: &str, token: &str, arguments: &[&str]) -> Output {
    let mut command = program("tally", "");
    command.args(["--server", server]).args(arguments);
    if !token.is_empty() {
        command.env("TALLY_TOKEN", token);
    }
    command.output().unwrap()
}

fn error(output: Output) -> String {
    assert!(!output.status.success() && output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_tally_makes_is_taken_by_the_server_that_has_its_entry() {
    let made = tally("http://127.0.0.1:1", "", &["token", "new", "--name", "crm", "--scopes", "score,read"]);
    let made = String::from_utf8(made.stdout).unwrap();
    let (token, entry) = made.split_once("\n\n").unwrap();
    assert!(token.starts_with("tally_") && token.len() == 49 && !entry.contains(&token[6..]), "{made}");
    let again = tally(
        "http://127.0.0.1:1",
        "",
        &["token", "new", "--name", "ops", "--scopes", "admin", "--expires", "2099-01-31", "--json"],
    );
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(
        (&again["expires"], &again["scopes"]),
        (&"2099-01-31T00:00:00Z".into(), &serde_json::json!(["admin"]))
    );
    let other = again["token"].as_str().unwrap();
    let entries = format!("{entry}{}", token_entry("ops", other, "admin", "expires = 2099-01-31T00:00:00Z"));
    let server = Secured::with_tokens(&entries, &[]);
    let url = server.url();
    let listed = tally(&url, token, &["models", "list"]);
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let denied = error(tally(&url, other, &["models", "list"]));
    assert_eq!(denied, "error: ops may not do this; it takes the scope `read` (MISSING_SCOPE)\n");
    for (token, says) in [
        ("", "the call has no credentials"),
        ("  ", "the call has no credentials"),
        ("tally_wrong", "the token is not valid here (INVALID_CREDENTIALS)"),
        ("tally\u{7}", "a token is visible ASCII only"),
    ] {
        let message = error(tally(&url, token, &["models", "list"]));
        assert!(message.contains(says) && message.contains("TALLY_TOKEN or --token"), "{token}: {message}");
        assert!(token.trim().is_empty() || !message.contains(token), "{message}");
    }
    let past = error(tally(
        &url,
        "",
        &["token", "new", "--name", "x", "--scopes", "read", "--expires", "2020-01-01"],
    ));
    assert_eq!(past, "error: --expires is not in the future\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_acknowledges_an_alert_is_the_caller() {
    let server = Secured::with_tokens(&token_entry("crm", "tally_t", "write", ""), &[]);
    let alert = "INSERT INTO alerts (customer_id, alert_id, sequence, rule, kind, subject, cause, as_of_time, \
                 create_time, message) VALUES ('', 'one', 1, 'silent', 'kind_silent', 'visit', 'c', 0, 0, 'm')";
    server.database.sql(alert).await;
    let seen = tally(&server.url(), "tally_t", &["alerts", "ack", "one"]);
    let seen = String::from_utf8(seen.stdout).unwrap();
    assert!(seen.starts_with("acknowledged by crm as ") && seen.contains(" (unchecked) at "), "{seen}");
    let stored = "SELECT count(*) FROM alerts WHERE acknowledged_by LIKE 'crm as %@% (unchecked)'";
    assert_eq!(server.database.sql(stored).await, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_trusts_the_authority_that_it_is_given() {
    let server = Secured::with_tls(&token_entry("crm", "tally_t", "read", ""), &[]);
    let url = server.url().replace("127.0.0.1", "localhost");
    let ca = server.folder.path("ca.pem");
    let other = server.folder.write("other.pem", Authority::new("other").pem);
    let listed = tally(&url, "tally_t", &["--ca", text(&ca), "models", "list"]);
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let plain = url.replace("https", "http");
    let empty = server.folder.write("empty.pem", "");
    for (url, arguments, says) in [
        (&url, vec![], "--ca or TALLY_CA names the file with the authority"),
        (&url, vec!["--ca", &other], "--ca or TALLY_CA names the file"),
        (&url.replace("localhost", "127.0.0.1"), vec!["--ca", text(&ca)], "is not one for this address"),
        (&plain, vec![], "with TLS its URL is https://localhost:"),
        (&plain, vec!["--ca", text(&ca)], "its URL would begin with https://"),
        (&url, vec!["--ca", "missing.pem"], "--ca: missing.pem: No such file"),
        (&url, vec!["--ca", &empty], "is not PEM"),
    ] {
        let message = error(tally(url, "tally_t", &[arguments.as_slice(), &["models", "list"]].concat()));
        assert!(message.contains(says) && !message.contains("tally_t"), "{says}: {message}");
    }
    assert!(server.process.banner.contains("metrics on https://"), "{}", server.process.banner);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_shows_its_certificate() {
    let (folder, authority) = (Folder::new(), Authority::new("tests"));
    let entry = "[[certificate]]\nname = \"ops\"\nsan = \"ops.internal\"\nscopes = [\"read\"]\n";
    let (tokens, ca) = (folder.write("tokens.toml", entry), folder.write("ca.pem", &authority.pem));
    let (identity, client) = (authority.server(), authority.sign(&["ops.internal"], 2, 2099));
    let (certificate, key) =
        (folder.write("c.pem", identity.certificate), folder.write("k.pem", identity.key));
    let (own, own_key) = (folder.write("oc.pem", client.certificate), folder.write("ok.pem", client.key));
    let database = Database::sqlite();
    let tls = ["--tls-cert", &certificate, "--tls-key", &key, "--tls-client-ca", &ca, "--tokens", &tokens];
    let process = ServeProcess::start(&database.url, &tls);
    let url = format!("https://localhost:{}", process.address.rsplit_once(':').unwrap().1);
    let listed = tally(&url, "", &["--ca", &ca, "--cert", &own, "--key", &own_key, "models", "list"]);
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let message = error(tally(&url, "", &["--ca", &ca, "models", "list"]));
    assert!(message.contains("--cert and --key"), "{message}");
}
