//! The currency of the deployment: set at the start or by the first import, and never another one.

use tally_proto::v1::{self, deployment_service_client::DeploymentServiceClient};
use tonic::{Code, Status, transport::Channel};

use super::{assert_empty, assert_invalid};
use crate::support::{
    Database, ServeProcess, Tally, assert_refused, business, interaction, on_both_stores, program, text, time,
};

on_both_stores!(
    the_first_decimals_hold_for_good,
    decimals_out_of_range_are_refused,
    sentences_have_the_decimals_of_the_currency,
);

async fn settings(tally: &Tally) -> (String, Option<i32>) {
    let reply = tally.deployment().get_deployment(v1::GetDeploymentRequest {}).await.unwrap().into_inner();
    assert_eq!(reply.version, env!("CARGO_PKG_VERSION"));
    (reply.currency, reply.amount_decimals)
}

async fn record(tally: &Tally, id: &str, amount_decimals: Option<i32>) -> Result<i64, Status> {
    let purchase =
        v1::Interaction { amount_minor: Some(500), ..interaction("c", id, "purchase", "2024-01-01") };
    let request =
        v1::RecordInteractionsRequest { interactions: vec![purchase], amount_decimals, ..Default::default() };
    Ok(tally.interactions().record_interactions(request).await?.into_inner().recorded)
}

async fn the_first_decimals_hold_for_good(tally: Tally) {
    assert_eq!(settings(&tally).await, (String::new(), None));
    assert_eq!(record(&tally, "silent", None).await.unwrap(), 1);
    assert_eq!(record(&tally, "whole", Some(0)).await.unwrap(), 1, "whole euros, or yen");
    assert_eq!(settings(&tally).await, (String::new(), None));
    assert_eq!(record(&tally, "dinars", Some(3)).await.unwrap(), 1);
    assert_eq!(settings(&tally).await, (String::new(), Some(3)));
    for other in [0, 2] {
        let refused = record(&tally, "other", Some(other)).await;
        let message = refused.as_ref().unwrap_err().message().to_owned();
        assert!(
            message.contains(&format!("with {other} decimals")) && message.contains("have 3"),
            "{message}"
        );
        assert_refused(refused, Code::FailedPrecondition, "OTHER_DECIMALS", &[]);
    }
    assert_eq!(record(&tally, "again", Some(3)).await.unwrap(), 1);
    assert_eq!(record(&tally, "other", None).await.unwrap(), 1, "a refused interaction was not stored");
    let second = ServeProcess::start(&tally.database.url, &[]);
    assert_eq!(currency(&second).await, (String::new(), Some(3)), "another server on the same database");
}

async fn decimals_out_of_range_are_refused(tally: Tally) {
    for wrong in [-1, 5, 256, i32::MAX] {
        assert_invalid(record(&tally, "c", Some(wrong)).await, &["amount_decimals"]);
    }
    assert_empty(&tally).await;
    assert_eq!(settings(&tally).await, (String::new(), None));
}

async fn sentences_have_the_decimals_of_the_currency(tally: Tally) {
    let mut process = ServeProcess::start(&tally.database.url, &["--currency", "jpy"]);
    assert!(process.terminate().success());
    assert_eq!(settings(&tally).await, ("JPY".to_owned(), Some(0)));
    tally.simulate(&business(700, 11, time("2024-06-01"))).await;
    tally.train(&["churn", "--as-of", "2024-06-01"]);
    assert_eq!(tally.card("churn").await.amount_decimals, 0);
    let score = tally.score_population(v1::Target::Churn, time("2024-06-01")).await.unwrap();
    assert!(score.stored > 0);
    let predictions = tally.latest_predictions(v1::Target::Churn).await;
    let about_money: Vec<_> = predictions
        .iter()
        .flat_map(|score| &score.reasons)
        .filter(|reason| reason.feature.starts_with("purchase.") && reason.feature.contains("amount_minor"))
        .collect();
    assert!(!about_money.is_empty());
    assert!(about_money.iter().all(|reason| !reason.text.contains('.')), "{about_money:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_currency_is_kept_and_another_of_other_decimals_is_refused() {
    for database in Database::both().await {
        let start = |currency: &str| {
            program("tally-serve", &database.url)
                .args(["--listen", "127.0.0.1:0", "--currency", currency])
                .output()
                .unwrap()
        };
        drop(ServeProcess::start(&database.url, &["--currency", "CHF"]));
        assert_eq!(currency(&ServeProcess::start(&database.url, &[])).await, ("CHF".to_owned(), Some(2)));
        let refused = start("JPY");
        let message = String::from_utf8(refused.stderr).unwrap();
        assert!(!refused.status.success(), "{message}");
        assert!(
            message.contains("amounts of JPY have 0 decimals") && message.contains("have 2"),
            "{message}"
        );
        let renamed = ServeProcess::start(&database.url, &["--currency", "EUR"]);
        assert_eq!(currency(&renamed).await, ("EUR".to_owned(), Some(2)), "nothing is stored yet");
        let tally = Tally::start(database.again()).await;
        record(&tally, "c", None).await.unwrap();
        let refused = start("USD");
        let message = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{message}");
        let wanted = "the amounts in this database are in EUR, and --currency USD would only rename them";
        assert!(message.contains(wanted), "{message}");
        let same = ServeProcess::start(&database.url, &["--currency", "EUR"]);
        assert_eq!(currency(&same).await, ("EUR".to_owned(), Some(2)));
        let message = String::from_utf8(start("euro").stderr).unwrap();
        assert!(message.contains("--currency") && message.contains("ISO 4217"), "{message}");
    }
}

#[test]
fn a_server_says_what_it_runs_with() {
    let folder = tempfile::tempdir().unwrap();
    let [database, insight, alerts] =
        ["tally.db", "insight.toml", "alerts.toml"].map(|name| folder.path().join(name));
    std::fs::write(&insight, "[worklist]\ncapacity = 17").unwrap();
    std::fs::write(&alerts, "[[rule]]\nname = \"slow\"\nkind = \"complaint_open\"\nhours = 48").unwrap();
    let flags = ["--insight", text(&insight), "--alerts", text(&alerts)];
    let server = ServeProcess::start(&format!("sqlite://{}", database.display()), &flags);
    let shown = server.cli(&["admin", "settings"]);
    for line in ["capacity = 17", "window_days = 365", "[[rule]]", "name = \"slow\"", "hours = 48"] {
        assert!(shown.lines().any(|shown| shown.trim() == line), "{line}: {shown}");
    }
}

async fn currency(server: &ServeProcess) -> (String, Option<i32>) {
    let channel = Channel::from_shared(server.url()).unwrap().connect().await.unwrap();
    let mut client = DeploymentServiceClient::new(channel);
    let reply = client.get_deployment(v1::GetDeploymentRequest {}).await.unwrap().into_inner();
    (reply.currency, reply.amount_decimals)
}
