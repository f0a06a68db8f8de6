//! Trainings: which models they promote, what they write, what data they need.

use std::{collections::BTreeSet, path::Path, process::Stdio};

use csv::StringRecord;
use tally_model::time::Time;
use tally_proto::v1;
use tally_service::histories::scan::Partition;
use tonic::Code;

use super::{NOW, POOR, promote};
use crate::support::{
    Database, Tally, assert_refused, business, interaction, on_both_stores, program, text, time, timestamp,
};

on_both_stores!(
    a_training_promotes_a_better_model_and_not_a_worse_one,
    trainings_at_the_same_time_store_two_complete_versions,
    too_little_data_ends_with_have_and_need_and_stores_nothing,
    too_little_data_for_one_target_does_not_fail_the_other,
    a_training_on_history_that_was_recorded_late_says_so_and_a_second_import_mends_it,
);

async fn a_training_promotes_a_better_model_and_not_a_worse_one(tally: Tally) {
    tally.simulate(&business(1_000, 11, time(NOW))).await;
    let shown = tally.train_with_spec("churn", POOR, &["--as-of", "2024-03-01"]);
    assert!(shown.contains("churn/1 now serves: there was no champion"), "{shown}");
    // On later data, models are compared on what the champion has not seen; on the same data, on the common
    // holdout.
    let shown = tally.train(&["churn", "--as-of", NOW]);
    assert!(shown.contains("churn/2 now serves: better than churn/1"), "{shown}");
    let shown = tally.train_with_spec("churn", POOR, &["--as-of", NOW]);
    assert!(shown.contains("churn/3 stored, does not serve: worse than churn/2"), "{shown}");
    let shown = tally.train(&["churn", "--as-of", NOW, "--horizon-days", "60"]);
    assert!(shown.contains("churn/4 stored, does not serve: not comparable with churn/2"), "{shown}");
    let shown = tally.train_with_spec("churn", POOR, &["--as-of", NOW, "--promote", "always"]);
    assert!(shown.contains("churn/5 now serves: promotion was asked for"), "{shown}");
    let shown = tally.train(&["churn", "--as-of", NOW]);
    assert!(shown.contains("churn/6 now serves: better than churn/5 on the same"), "{shown}");
}

async fn trainings_at_the_same_time_store_two_complete_versions(tally: Tally) {
    tally.simulate(&business(600, 5, time(NOW))).await;
    let start = |_| {
        let mut train = program("tally-train", &tally.database.url);
        train.args(["--all", "--as-of", NOW]).stdout(Stdio::null()).spawn().unwrap()
    };
    let trainings: Vec<_> = (0..2).map(start).collect();
    for mut training in trainings {
        assert!(training.wait().unwrap().success());
    }
    let models = tally.all_models().await;
    let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
    assert_eq!(names, ["churn/2", "churn/1", "lead/2", "lead/1"]);
    assert!(models.iter().all(|model| model.problem.is_empty()));
    for pair in models.chunks(2) {
        assert_eq!(pair[0].artifact_hash, pair[1].artifact_hash, "the same data, the same model");
        assert_eq!(pair.iter().filter(|model| model.champion).count(), 1);
        let candidate = pair.iter().find(|model| !model.champion).unwrap();
        let refused = promote(&tally, &candidate.name, false).await;
        assert_refused(refused, Code::FailedPrecondition, "NO_BETTER_THAN_CHAMPION", &[]);
        let promoted = promote(&tally, &candidate.name, true).await.unwrap();
        let gate_result = promoted.promotion.unwrap().gate_result;
        assert!(gate_result.starts_with("the same model as "), "{gate_result}");
        assert_eq!(promoted.comparison, None, "there is nothing to compare");
    }
}

async fn too_little_data_ends_with_have_and_need_and_stores_nothing(tally: Tally) {
    let few = (0..100).map(|n| interaction(&format!("c{n}"), "i", "purchase", "2024-01-01")).collect();
    tally.backfill(few).await.unwrap();
    for target in ["churn", "lead"] {
        let output = tally.try_train(&[target, "--as-of", NOW]);
        assert_eq!(output.status.code(), Some(2));
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains("have "), "{message}");
        assert!(message.contains("need 200 snapshots, 50 of each"), "{message}");
    }
    assert_eq!(tally.all_models().await, []);
}

/// Customers who buy when they come, so that nobody is ever a lead. Two of three buy again and again.
fn purchases_without_leads() -> Vec<v1::Interaction> {
    let start = time("2022-06-01");
    let purchases = (0..300_i64).flat_map(|n| {
        let times = if n % 3 == 0 { 1 } else { 12 };
        (0..times).map(move |again| {
            let mut bought = interaction(&format!("c{n}"), &again.to_string(), "purchase", "2022-06-01");
            bought.occur_time = Some(timestamp(start.plus_days(n % 200 + again * (20 + n % 17))));
            bought
        })
    });
    purchases.collect()
}

async fn too_little_data_for_one_target_does_not_fail_the_other(tally: Tally) {
    tally.backfill(purchases_without_leads()).await.unwrap();
    let output = tally.try_train(&["--all", "--as-of", "2024-01-01"]);
    let shown = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(shown.contains("churn/1 now serves"), "{shown}\n{error}");
    assert!(error.starts_with("error: lead: too little data: have 0 snapshots"), "{error}");
    assert!(!error.contains("--backfill"), "{error}");
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn churn_by_cancel_without_a_cancel_says_which_kinds_there_are() {
    let tally = Tally::start(Database::sqlite()).await;
    tally.backfill(purchases_without_leads()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("spec.toml");
    std::fs::write(&spec, "[churn]\nevent = \"cancel\"\n").unwrap();
    let output = tally.try_train(&["churn", "--as-of", "2024-01-01", "--spec", text(&spec)]);
    let error = String::from_utf8(output.stderr).unwrap();
    let cause = format!("none is known, only {} purchase", purchases_without_leads().len());
    assert!(error.contains(&cause) && error.contains("event = \"inactivity\""), "{error}");
    assert_eq!(output.status.code(), Some(2));
}

async fn a_training_on_history_that_was_recorded_late_says_so_and_a_second_import_mends_it(tally: Tally) {
    tally.record(purchases_without_leads()).await;
    let count = purchases_without_leads().len();
    let output = tally.try_train(&["churn", "--as-of", "2024-01-01"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("too little data: have 0 snapshots"), "{error}");
    let cause = format!("{count} of {count} interactions were recorded more than a day after they happened");
    assert!(error.contains(&cause) && error.contains("--backfill"), "{error}");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(tally.backfill(purchases_without_leads()).await.unwrap(), (0, count as i64));
    tally.train(&["churn", "--as-of", "2024-01-01"]);
}

/// A spec with few features, quick to choose from.
const FEW_FEATURES: &str = "[features]\nkinds = [\"purchase\", \"visit\"]\nwindows_days = [30]\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_training_follows_a_spec_and_writes_a_matrix_and_a_report() {
    let tally = Tally::start(Database::sqlite()).await;
    tally.simulate(&business(600, 5, time(NOW))).await;
    let folder = tempfile::tempdir().unwrap();
    let (matrix, report) = (folder.path().join("matrix.csv"), folder.path().join("report.json"));
    let files = ["--matrix-out", text(&matrix), "--report-out", text(&report)];
    let arguments = [["--as-of", NOW].as_slice(), &files].concat();
    let shown = tally.train_with_spec("churn", FEW_FEATURES, &arguments);
    assert!(shown.contains("churn/1 now serves") && shown.contains("base_rate"), "{shown}");
    let rows = read_matrix(&matrix);
    assert_report_matches(&report, &rows);
    assert_labels_end_before_the_holdout(&rows);

    // One customer in two: the same snapshots of those customers, and no others.
    let one_in_two = ["--as-of", NOW, "--one-in", "2", "--promote", "never"];
    tally.train_with_spec("churn", FEW_FEATURES, &[one_in_two.as_slice(), &files[..2]].concat());
    let fewer = read_matrix(&matrix);
    assert_eq!(snapshots_of_half(&fewer), snapshots_of_half(&rows));
    assert!(fewer.len() == snapshots_of_half(&fewer).len() && fewer.len() < rows.len() * 2 / 3);
}

/// The rows of a training matrix: customer, as_of, split, label, features.
fn read_matrix(path: &Path) -> Vec<StringRecord> {
    let mut rows = csv::Reader::from_path(path).unwrap();
    let header: Vec<String> = rows.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(header[..4], ["customer_id", "as_of", "split", "label"]);
    assert!(header.contains(&"visit.count_30d".to_owned()));
    assert!(!header.contains(&"email.count_30d".to_owned()));
    rows.records().map(Result::unwrap).collect()
}

fn assert_report_matches(path: &Path, rows: &[StringRecord]) {
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let holdout = rows.iter().filter(|row| &row[2] == "holdout").count();
    let in_report = (report["rows"].as_u64(), report["holdout"]["rows"].as_u64());
    assert_eq!(in_report, (Some(rows.len() as u64), Some(holdout as u64)));
    let positives = rows.iter().filter(|row| &row[3] == "1").count();
    assert_eq!(report["positives"].as_u64(), Some(positives as u64));
}

/// Asserts that no label of the training rows looks beyond the start of the holdout.
fn assert_labels_end_before_the_holdout(rows: &[StringRecord]) {
    let moments = |part: &str| -> Vec<Time> {
        rows.iter().filter(|row| &row[2] == part).map(|row| time(&row[1])).collect()
    };
    let (first, last) = (moments("holdout").into_iter().min(), moments("train").into_iter().max());
    assert!(last.unwrap().plus_days(90) <= first.unwrap());
}

/// The snapshots of one customer in two.
fn snapshots_of_half(rows: &[StringRecord]) -> BTreeSet<Vec<String>> {
    let half = Partition { number: 0, of: 2 };
    let key = |row: &StringRecord| row.iter().take(2).map(str::to_owned).collect();
    rows.iter().filter(|row| half.holds(&row[0])).map(key).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistake_in_a_spec_is_named() {
    let database = Database::sqlite();
    let folder = tempfile::tempdir().unwrap();
    let spec = folder.path().join("spec.toml");
    for (mistake, name) in
        [("[churn]\nhorizon = 3", "horizon"), ("[churn]\nhorizon_days = 0", "churn.horizon_days")]
    {
        std::fs::write(&spec, mistake).unwrap();
        let mut train = program("tally-train", &database.url);
        let output = train.args(["churn", "--spec", text(&spec)]).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && message.contains(name), "{message}");
    }
}
