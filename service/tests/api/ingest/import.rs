//! Imports by the `tally` program that run at the same time.

use futures_util::future::join_all;
use tally_proto::v1;

use super::items::{assert_stored, item, scrambled};
use crate::support::{Tally, on_both_stores, program, text};

on_both_stores!(imports_of_overlapping_files_at_the_same_time_store_each_row_once);

const HEADER: [&str; 8] =
    ["interaction_id", "customer_id", "kind", "occur_time", "amount", "channel", "p0", "p1"];

/// A file of these interactions.
fn csv(numbers: impl Iterator<Item = usize>) -> String {
    let mut rows = csv::Writer::from_writer(Vec::new());
    rows.write_record(HEADER).unwrap();
    for item in numbers.map(item) {
        rows.write_record(row(item)).unwrap();
    }
    String::from_utf8(rows.into_inner().unwrap()).unwrap()
}

fn row(item: v1::Interaction) -> [String; HEADER.len()] {
    let amount = item.amount_minor.map(|minor| {
        let sign = if minor < 0 { "-" } else { "" };
        format!("{sign}{}.{:02}", minor.abs() / 100, minor.abs() % 100)
    });
    let property = |name: &str| item.properties.get(name).cloned().unwrap_or_default();
    let [p0, p1] = [property("p0"), property("p1")];
    let occurred = item.occur_time.unwrap().to_string();
    let v1::Interaction { customer_id, interaction_id, kind, channel, .. } = item;
    [interaction_id, customer_id, kind, occurred, amount.unwrap_or_default(), channel, p0, p1]
}

/// Imports a file. Returns the summary that the program prints.
async fn import(tally: &Tally, path: &std::path::Path) -> serde_json::Value {
    let mut command = program("tally", "");
    command.args(["--json", "--server", &tally.url, "import", "--backfill", "--interactions", text(path)]);
    let importing = tokio::task::spawn_blocking(move || {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    });
    importing.await.unwrap()
}

async fn imports_of_overlapping_files_at_the_same_time_store_each_row_once(tally: Tally) {
    const END: usize = 17_000;
    let folder = tempfile::tempdir().unwrap();
    let order = scrambled(END);
    // Each file has several batches, and 7,000 rows are in both.
    let halves = [csv(order[..12_000].iter().copied()), csv(order[5_000..].iter().rev().copied())];
    let paths = [folder.path().join("one.csv"), folder.path().join("two.csv")];
    for (path, half) in paths.iter().zip(&halves) {
        std::fs::write(path, half).unwrap();
    }
    let summaries = join_all(paths.iter().map(|path| import(&tally, path))).await;
    let sum = |field: &str| summaries.iter().map(|summary| summary[field].as_i64().unwrap()).sum::<i64>();
    assert_eq!((sum("recorded"), sum("duplicates")), (17_000, 7_000));
    assert_stored(&tally, END).await;
    // Imported again, a file has nothing new.
    let again = import(&tally, &paths[0]).await;
    assert_eq!((again["recorded"].as_i64(), again["duplicates"].as_i64()), (Some(0), Some(12_000)));
}
