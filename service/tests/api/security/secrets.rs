//! A token is found nowhere but with its owner.

use std::{fs::File, process::Stdio};

use super::{Folder, client::Client, programs::get_with, token_entry};
use crate::support::{Database, ServeProcess, program};

/// Tokens of the file, of nobody, and of a form that is none.
const CANARIES: [&str; 4] =
    ["tally_canary_known", "tally_canary_unknown", "canary.canary.canary", "canary canary"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_log_metric_message_or_help_has_a_token() {
    let (folder, database) = (Folder::new(), Database::sqlite());
    let entry = token_entry("crm", CANARIES[0], "read", "");
    let tokens = folder.write("tokens.toml", &entry);
    let mut serve = program("tally-serve", &database.url);
    serve.args(["--listen", "127.0.0.1:0", "--tokens", &tokens]).env("TALLY_LOG", "trace");
    let log = folder.path("log");
    serve.stderr(Stdio::from(File::create(&log).unwrap()));
    let server = ServeProcess::spawn(serve);
    let (_, http) = server.banner.split_once("://").unwrap();
    let http = http.split_once('/').unwrap().0.parse().unwrap();
    let client = Client::connect(&server.address, None).await.unwrap();
    let mut seen = String::new();
    for token in CANARIES {
        for path in ["/tally.v1.ModelService/ListModels", "/tally.v1.CustomerService/DeleteCustomer"] {
            if let Err(status) = client.call(path, &[&format!("Bearer {token}")]).await {
                seen += &format!("{status:?}");
            }
        }
        let (head, body) = get_with(http, "/metrics", Some(token)).await;
        seen += &format!("{head}{body}");
        let mut tally = program("tally", "");
        let tried =
            tally.args(["--server", &server.url(), "models", "list"]).env("TALLY_TOKEN", token).output();
        let mut help = program("tally", "");
        for output in [tried, help.arg("--help").env("TALLY_TOKEN", token).output()] {
            let output = output.unwrap();
            seen += &String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        }
    }
    // A token in place of its hash is not repeated either.
    folder.write("tokens.toml", entry.replace("sha256 = \"", "sha256 = \"tally_canary_"));
    crate::support::eventually(async || {
        std::fs::read_to_string(&log).unwrap().contains("could not be read again")
    })
    .await;
    drop(server);
    seen += &std::fs::read_to_string(&log).unwrap();
    assert!(seen.contains("MISSING_SCOPE") && seen.contains("tally_rpc_calls"), "{seen}");
    let found = seen.find("canary").map(|at| &seen[at.saturating_sub(200)..at + 50]);
    assert_eq!(found, None);
}
