//! Every number of insight, equal to a second computation in another language that shares no code with this one.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    real_data,
    support::{Database, ServeProcess, program, text},
};

/// The folder of the second computation.
fn check() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bench/check/insights")
}

/// Files with customers and interactions, and what is asked about them.
struct Data {
    customers: PathBuf,
    interactions: PathBuf,
    as_of: &'static str,
    compare_to: &'static str,
    time_zones: [&'static str; 2],
}

/// Compares all numbers about the data on both databases.
async fn compare(data: &Data) {
    let client = program("tally", "").get_program().to_owned();
    for database in Database::both().await {
        let process = ServeProcess::start(&database.url, &[]);
        let files = ["--customers", text(&data.customers), "--interactions", text(&data.interactions)];
        process.cli(&[["import", "--backfill", "--yes"].as_slice(), &files].concat());
        let mut command = Command::new(check().join("check"));
        command.arg("--tally").arg(&client).args(["--server", &process.url()]).args(files);
        command.args(["--as-of", data.as_of, "--compare-to", data.compare_to]);
        command.args(data.time_zones.iter().flat_map(|zone| ["--time-zone", zone]));
        let compared = command.output().unwrap();
        let [said, error] = [compared.stdout, compared.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(compared.status.success(), "{}\n{said}\n{error}", database.url);
        assert!(said.lines().count() > 40, "all tables are compared: {said}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invented_business_has_the_numbers_of_the_second_computation() {
    let folder = tempfile::tempdir().unwrap();
    let written = Command::new(check().join("sample")).arg(folder.path()).status().unwrap();
    assert!(written.success());
    compare(&Data {
        customers: folder.path().join("customers.csv"),
        interactions: folder.path().join("interactions.csv"),
        as_of: "2025-07-01T00:00:00Z",
        compare_to: "2025-04-01T00:00:00Z",
        time_zones: ["UTC", "Europe/Berlin"],
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn online_retail_has_the_numbers_of_the_second_computation() {
    let Some(folder) = real_data::folder("online_retail_2011") else { return };
    compare(&Data {
        customers: folder.join("customers.csv.gz"),
        interactions: folder.join("interactions.csv.gz"),
        as_of: "2011-12-10T00:00:00Z",
        compare_to: "2011-09-01T00:00:00Z",
        time_zones: ["UTC", "America/New_York"],
    })
    .await;
}
