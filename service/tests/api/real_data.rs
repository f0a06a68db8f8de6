//! The main job on real data, through the real programs: import, train, score everybody, list.
//!
//! Runs when `TALLY_REAL_DATA` names the folder with `online_retail_2011` and `bank_marketing_small` (UCI
//! Machine Learning Repository, CC BY 4.0; see README.md).

use std::{
    collections::{HashMap, HashSet},
    io::{Read, Write},
    path::{Path, PathBuf},
};

use flate2::read::GzDecoder;
use tally_model::{evaluation::metrics::Metrics, time::Time};

use crate::support::{Database, ServeProcess, program, text, time};

/// The folder of a data set, if `TALLY_REAL_DATA` is set.
pub fn folder(set: &str) -> Option<PathBuf> {
    match std::env::var_os("TALLY_REAL_DATA") {
        Some(folder) => Some(Path::new(&folder).join(set)),
        None => {
            // Not by `eprintln`, which the test runner captures.
            let _ = writeln!(std::io::stderr(), "TALLY_REAL_DATA is not set: {set} is not checked");
            None
        }
    }
}

fn import(process: &ServeProcess, folder: &Path) {
    let file = |name: &str| folder.join(name);
    let (customers, interactions) = (file("customers.csv.gz"), file("interactions.csv.gz"));
    let files = ["--customers", text(&customers), "--interactions", text(&interactions)];
    process.cli(&[["import", "--backfill"].as_slice(), &files].concat());
}

/// The customers who bought in (as_of, as_of + 90 days], read from the file itself.
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

const AS_OF: &str = "2011-09-09T00:00:00Z";

/// The customers and probabilities in lines of JSON.
fn probabilities(lines: &str) -> Vec<(String, f64)> {
    let parse = |line: &str| {
        let score: serde_json::Value = serde_json::from_str(line).unwrap();
        (score["customer_id"].as_str().unwrap().to_owned(), score["probability"].as_f64().unwrap())
    };
    lines.lines().map(parse).collect()
}

/// Imports, trains and scores everybody. Returns the predictions by customer.
fn predict_everybody(process: &ServeProcess, database: &Database, folder: &Path) -> Vec<(String, f64)> {
    import(process, folder);
    let train = program("tally-train", &database.url).args(["churn", "--as-of", AS_OF]).status().unwrap();
    assert!(train.success());
    process.cli(&["score-all", "churn", "--as-of", AS_OF]);
    let listed = process.cli(&["--json", "predictions", "churn", "--limit", "100000"]);
    let mut predictions = probabilities(&listed);
    predictions.sort_by(|(a, _), (b, _)| a.cmp(b));
    predictions
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn online_retail_reaches_its_figures_on_both_databases() {
    let Some(folder) = folder("online_retail_2011") else { return };
    let buyers = buyers_after(&folder, time(AS_OF));
    let mut of_both = Vec::new();
    for database in Database::both().await {
        let process = ServeProcess::start(&database.url, &[]);
        let predictions = predict_everybody(&process, &database, &folder);
        let left: Vec<bool> = predictions.iter().map(|(id, _)| !buyers.contains(id)).collect();
        let metrics = Metrics::new(&predictions.iter().map(|(_, p)| *p).collect::<Vec<_>>(), &left);
        println!("online_retail_2011: {metrics:?}");
        assert_eq!((metrics.rows, metrics.positives), (3_362, 1_456), "everybody who had bought before");
        assert!(metrics.auc >= 0.736, "{metrics:?}");
        assert!(metrics.log_loss <= 0.60, "{metrics:?}");
        let bits = |(id, p): &(String, f64)| (id.clone(), p.to_bits());
        // Asked for alone, a customer has the same bits as in the run over everybody.
        let some: Vec<&str> = predictions.iter().step_by(100).map(|(id, _)| id.as_str()).collect();
        let arguments = [["--json", "score", "churn", "--as-of", AS_OF].as_slice(), &some].concat();
        let alone: Vec<_> = probabilities(&process.cli(&arguments)).iter().map(bits).collect();
        assert_eq!(alone, predictions.iter().step_by(100).map(bits).collect::<Vec<_>>());
        of_both.push(predictions.iter().map(bits).collect::<Vec<_>>());
    }
    assert_eq!(of_both[0], of_both[1], "both databases give the same bits");
}

/// Trains lead on a random split with a spec, as of the end of the data. Returns the report.
fn train_with_seed(database: &Database, spec: &str, seed: u32) -> serde_json::Value {
    let folder = tempfile::tempdir().unwrap();
    let [spec_file, report] = ["spec.toml", "report.json"].map(|name| folder.path().join(name));
    std::fs::write(&spec_file, spec).unwrap();
    let seed = seed.to_string();
    let files = ["--spec", text(&spec_file), "--report-out", text(&report)];
    let options =
        ["lead", "--as-of", "2010-12-31", "--split", "random", "--seed", &seed, "--promote", "never"];
    let trained = program("tally-train", &database.url).args(options).args(files).output().unwrap();
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    serde_json::from_slice(&std::fs::read(&report).unwrap()).unwrap()
}

/// Learned from at the moment of the call alone, and at all ages of leads. Those that buy do so a day after the call, so
/// that later ages would flatter: what is compared are leads at their call.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bank_marketing_reaches_its_figure_over_five_seeds() {
    let Some(folder) = folder("bank_marketing_small") else { return };
    let database = Database::sqlite();
    let process = ServeProcess::start(&database.url, &[]);
    import(&process, &folder);
    for spec in ["[lead]\nages_days = [0]\n", ""] {
        let aucs: Vec<f64> = (1..=5)
            .map(|seed| {
                let report = train_with_seed(&database, spec, seed);
                let mut slices = report["slices"].as_array().unwrap().iter();
                let of_new = slices.find(|slice| slice["group"] == "0 to 2 days").unwrap();
                assert!(of_new["rows"].as_u64().unwrap() > 1_000, "{of_new}");
                of_new["auc"].as_f64().unwrap()
            })
            .collect();
        let mean = aucs.iter().sum::<f64>() / aucs.len() as f64;
        println!("bank_marketing_small, {spec:?}: mean AUC {mean:.4} of {aucs:.4?}");
        assert!(mean >= 0.774, "{aucs:?}");
    }
}
