//! What the programs print for people: the report of a training, a model card, and the tables of `tally`.
//!
//! The business is simulated from a fixed seed and every moment is given, so the text is the same in each
//! run. What is not the same is left out: when and by whom a model was stored, and its hashes.

use tally_proto::v1;

use crate::support::{Database, Tally, business, time};

/// Few features make short tables.
const SPEC: &str = "[features]\nkinds = [\"purchase\", \"visit\"]\nwindows_days = [30]\n";
const TRAINED: &str = "2024-01-01";
const SCORED: [&str; 2] = ["2024-01-15", "2024-02-15"];

/// A server with a model of each target and churn predictions whose horizon is over. Returns the report of
/// the churn training, too.
async fn start() -> (Tally, String) {
    let tally = Tally::start(Database::sqlite()).await;
    tally.simulate(&business(600, 7, time("2024-06-01"))).await;
    tally.train_with_spec("lead", SPEC, &["--as-of", TRAINED]);
    let report = tally.train_with_spec("churn", SPEC, &["--as-of", TRAINED]);
    for as_of in SCORED {
        tally.score_population(v1::Target::Churn, time(as_of)).await.unwrap();
    }
    (tally, report)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_report_the_card_and_the_tables_match_their_snapshots() {
    let (tally, report) = start().await;
    super::assert_snapshot("tally-train-report", &report);
    let mut ids: Vec<String> = tally
        .latest_predictions(v1::Target::Churn)
        .await
        .into_iter()
        .map(|score| score.customer_id)
        .collect();
    ids.sort();
    let score = ["score", "churn", "--as-of", SCORED[1], &ids[0], &ids[1], &ids[2]];
    super::assert_snapshot("tally-score", &tally.cli(&score));
    let predictions = tally.cli(&["predictions", "churn", "--limit", "5"]);
    super::assert_snapshot("tally-predictions", &predictions);
    super::assert_snapshot(
        "tally-models-list",
        &without_columns_from(&tally.cli(&["models", "list"]), "stored"),
    );
    super::assert_snapshot("tally-models-show", &without_origin(&tally.cli(&["models", "show", "churn"])));
    super::assert_snapshot("tally-models-realised", &tally.cli(&["models", "realised", "churn"]));
    super::assert_snapshot("tally-models-drift", &tally.cli(&["models", "drift", "churn"]));
}

/// A table without the column of this name and those after it.
fn without_columns_from(table: &str, name: &str) -> String {
    let header = table.lines().next().unwrap();
    let width = header[..header.find(name).unwrap()].chars().count();
    let cut = |line: &str| line.chars().take(width).collect::<String>();
    table.lines().map(cut).collect::<Vec<_>>().join("\n")
}

/// A card without when and by whom the model was stored, and without its hashes.
fn without_origin(card: &str) -> String {
    let varies =
        |line: &&str| ["  stored ", "  features ", "  artifact "].iter().any(|l| line.starts_with(l));
    card.lines().filter(|line| !varies(line)).collect::<Vec<_>>().join("\n")
}
