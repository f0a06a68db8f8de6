//! Names and values that would control a terminal or a spreadsheet.

use prost_types::value::Kind;
use tally_proto::v1;

use crate::support::{Database, Tally, customer, interaction, text, time};

const TITLE: &str = "\u{1b}]0;owned\u{7}\u{1b}[31mplain";
const FORMULA: &str = "=HYPERLINK(\"http://x\")";
const TRAIN: [&str; 3] = ["lead", "--as-of", "2024-06-01"];

/// Stores leads of which those with the plan of the hostile name buy within days, and the others seldom.
async fn store_leads(tally: &Tally) {
    let (mut customers, mut interactions) = (Vec::new(), Vec::new());
    for n in 0..400_i64 {
        let created = time("2023-01-01").plus_days(n % 400);
        let id = if n % 2 == 0 { format!("=cmd{n}") } else { format!("+49 170 {n}") };
        let plan = if n % 2 == 0 { TITLE } else { FORMULA };
        let kind = Kind::StringValue(plan.to_owned());
        customers.push(v1::Customer {
            name: TITLE.replace(char::is_control, "?"),
            ..customer(&id, &created.to_string(), &[("pl\u{202e}an", kind)])
        });
        // One lead in ten behaves like those of the other plan.
        if (n % 2 == 0) != (n / 2 % 10 == 0) {
            interactions.push(interaction(&id, "p", "purchase", &created.plus_days(5).to_string()));
        }
    }
    tally.upsert(customers).await.unwrap();
    tally.backfill(interactions).await.unwrap();
}

fn assert_harmless(what: &str, bytes: &[u8]) {
    let output = std::str::from_utf8(bytes).unwrap();
    let hostile = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!output.contains(hostile), "{what}: {output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_value_reaches_a_terminal_or_a_spreadsheet_as_a_command() {
    let tally = Tally::start(Database::sqlite()).await;
    store_leads(&tally).await;
    let folder = tempfile::tempdir().unwrap();
    let (spec, matrix) = (folder.path().join("spec.toml"), folder.path().join("rows.csv"));
    std::fs::write(&spec, "[lead]\nages_days = [0]\n").unwrap();
    let arguments =
        [TRAIN.as_slice(), &["--spec", text(&spec), "--matrix-out", text(&matrix), "--promote", "always"]]
            .concat();
    let trained = tally.try_train(&arguments);
    assert!(trained.status.success(), "{}", String::from_utf8_lossy(&trained.stderr));
    let report = String::from_utf8(trained.stdout.clone()).unwrap();
    assert!(report.contains("]0;owned"), "the value is in the report: {report}");
    assert_harmless("tally-train", &trained.stdout);
    assert_harmless("tally-train", &trained.stderr);
    let score = ["score", "lead", "=cmd0", "--as-of", "2023-01-02"];
    for command in [
        ["models", "show", "lead"].as_slice(),
        &["customers", "get", "=cmd0"],
        &["--json", "models", "show", "lead"],
        &score,
        &["customers", "get", "\u{1b}[2J"],
    ] {
        let output = tally.try_cli(command);
        assert_harmless("tally", &output.stdout);
        assert_harmless("tally", &output.stderr);
    }
    let card: serde_json::Value =
        serde_json::from_str(&tally.cli(&["--json", "models", "show", "lead"])).unwrap();
    let columns: Vec<&str> =
        card["coefficients"].as_array().unwrap().iter().map(|c| c["column"].as_str().unwrap()).collect();
    assert!(columns.iter().any(|column| column.contains(TITLE)), "JSON is exact: {columns:?}");
    assert_matrix(&matrix);
}

/// Asserts that cells are no formulas, that those that were have an apostrophe more, and that no other has.
fn assert_matrix(matrix: &std::path::Path) {
    let rows: Vec<csv::StringRecord> =
        csv::Reader::from_path(matrix).unwrap().records().map(Result::unwrap).collect();
    let cells: Vec<&str> = rows.iter().flat_map(csv::StringRecord::iter).collect();
    assert!(!cells.iter().any(|cell| cell.starts_with(['=', '@'])));
    for cell in ["'=HYPERLINK(\"http://x\")", TITLE, "'=cmd0", "+49 170 1"] {
        assert!(cells.contains(&cell), "{cell:?}");
    }
}
