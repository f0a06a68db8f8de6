//! The main job on real data, through the real programs: import, train, score everybody, list.
//!
//! Runs when `TALLY_REAL_DATA` names the folder with `online_retail_2011` and
//! `bank_marketing_small` (UCI Machine Learning Repository, CC BY 4.0; see README.md).

use std::{
    collections::{HashMap, HashSet},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use tally_model::{evaluation::metrics::Metrics, time::Time};

use crate::support::{Database, Served, program, text, time};

/// The folder of a data set, or one line that says what is missing.
fn data(set: &str) -> Option<PathBuf> {
    match std::env::var_os("TALLY_REAL_DATA") {
        Some(folder) => Some(Path::new(&folder).join(set)),
        None => {
            // Past the capture of the test runner, which would swallow it.
            let _ = writeln!(std::io::stderr(), "TALLY_REAL_DATA names no folder: {set} is not checked");
            None
        }
    }
}

/// Runs `tally` against a server.
fn tally(served: &Served, arguments: &[&str]) -> String {
    let output = program("tally", "").args(["--server", &served.url()]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn import(served: &Served, folder: &Path) {
    let file = |name: &str| folder.join(name);
    let (customers, interactions) = (file("customers.csv.gz"), file("interactions.csv.gz"));
    let files = ["--customers", text(&customers), "--interactions", text(&interactions)];
    tally(served, &[["import", "--backfill"].as_slice(), &files].concat());
}

/// Who bought in (as_of, as_of + 90 days], read from the file itself.
fn buyers_after(folder: &Path, as_of: Time) -> HashSet<String> {
    let mut content = String::new();
    let file = std::fs::File::open(folder.join("interactions.csv.gz")).unwrap();
    GzDecoder::new(file).read_to_string(&mut content).unwrap();
    let mut rows = csv::Reader::from_reader(content.as_bytes());
    let rows = rows.deserialize::<HashMap<String, String>>().map(Result::unwrap);
    rows.filter(|row| {
        let occurred = time(&row["occurred_at"]);
        row["kind"] == "purchase" && as_of < occurred && occurred <= as_of.plus_days(90)
    })
    .map(|row| row["customer_id"].clone())
    .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn online_retail_reaches_its_figures_on_both_databases() {
    let Some(folder) = data("online_retail_2011") else { return };
    const AS_OF: &str = "2011-09-09T00:00:00Z";
    let stayed = buyers_after(&folder, time(AS_OF));
    let mut all_bits = Vec::new();
    for database in [Database::sqlite(), Database::postgres().await] {
        let served = Served::start(&database.url, &[]);
        import(&served, &folder);
        let trained =
            program("tally-train", &database.url).args(["churn", "--as-of", AS_OF]).status().unwrap();
        assert!(trained.success());
        tally(&served, &["score-all", "churn", "--as-of", AS_OF]);
        let listed = tally(&served, &["--json", "predictions", "churn", "--limit", "100000"]);
        let predictions: Vec<serde_json::Value> =
            listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let id = |p: &serde_json::Value| p["customer_id"].as_str().unwrap().to_owned();
        let probability = |p: &serde_json::Value| p["probability"].as_f64().unwrap();
        let left: Vec<bool> = predictions.iter().map(|p| !stayed.contains(&id(p))).collect();
        let metrics = Metrics::new(&predictions.iter().map(probability).collect::<Vec<_>>(), &left);
        println!("online_retail_2011: {metrics:?}");
        assert_eq!((metrics.rows, metrics.positives), (3_362, 1_456), "every buyer of before");
        assert!(metrics.auc >= 0.736, "{metrics:?}");
        assert!(metrics.log_loss <= 0.60, "{metrics:?}");
        let mut bits: Vec<(String, u64)> =
            predictions.iter().map(|p| (id(p), probability(p).to_bits())).collect();
        bits.sort();
        // Asked for alone, a customer has the same bits as in the run over all.
        let some: Vec<&str> = bits.iter().step_by(100).map(|(id, _)| id.as_str()).collect();
        let alone =
            tally(&served, &[["--json", "score", "churn", "--as-of", AS_OF].as_slice(), &some].concat());
        let alone = alone.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let alone: Vec<(String, u64)> = alone.map(|p| (id(&p), probability(&p).to_bits())).collect();
        assert_eq!(alone, bits.iter().step_by(100).cloned().collect::<Vec<_>>());
        all_bits.push(bits);
    }
    assert_eq!(all_bits[0], all_bits[1], "both databases give the same bits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bank_marketing_reaches_its_figure_over_five_seeds() {
    let Some(folder) = data("bank_marketing_small") else { return };
    let database = Database::sqlite();
    let served = Served::start(&database.url, &[]);
    import(&served, &folder);
    let work = tempfile::tempdir().unwrap();
    let (report, spec) = (work.path().join("report.json"), work.path().join("spec.toml"));
    // One row a lead, at its call. The later ages would only flatter: who buys does so a day after.
    std::fs::write(&spec, "[lead]\nages_days = [0]\n").unwrap();
    let mut aucs = Vec::new();
    for seed in 1..=5 {
        let seed = seed.to_string();
        let files = ["--spec", text(&spec), "--report-out", text(&report)];
        let options = ["lead", "--as-of", "2011-06-01", "--split", "random", "--seed", &seed];
        let trained = program("tally-train", &database.url).args(options).args(files).output().unwrap();
        assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
        let report: serde_json::Value = serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap();
        assert_eq!((report["rows"].as_u64(), report["split"].as_str()), (Some(4_119), Some("random")));
        aucs.push(report["holdout"]["auc"].as_f64().unwrap());
    }
    let mean = aucs.iter().sum::<f64>() / aucs.len() as f64;
    println!("bank_marketing_small: mean AUC {mean:.4} of {aucs:.4?}");
    assert!(mean >= 0.765, "{aucs:?}");
}
