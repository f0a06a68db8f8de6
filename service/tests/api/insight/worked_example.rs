//! docs/metrics.md: its worked example, run as it stands there, and what it says of settings, key figures and views.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use tally_model::insight::{InsightSpec, KPI_METRICS};

use crate::support::{Database, ServeProcess, Tally, on_both_stores, text};

on_both_stores!(views_have_the_columns_of_the_page);

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    fs::read_to_string(path).unwrap()
}

/// The contents of the code blocks of a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    page.split(fence.as_str()).skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

/// The section that follows a heading.
fn section<'a>(page: &'a str, heading: &str) -> &'a str {
    let (_, rest) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    rest.split("\n## ").next().unwrap()
}

/// The words in backticks in the first column of the rows of tables.
fn first_column(text: &str) -> Vec<&str> {
    let cells = text.lines().filter_map(|line| line.strip_prefix("| `"));
    cells
        .flat_map(|row| row.split(" |").next().unwrap().split(['`', ',', ' ']))
        .filter(|word| !word.is_empty())
        .collect()
}

/// The commands of the page, each with what it prints.
fn transcript(page: &str) -> Vec<(&str, &str)> {
    let printed = blocks(page, "console").into_iter().flat_map(|block| block.split("$ tally ").skip(1));
    printed.map(|part| part.split_once('\n').unwrap()).collect()
}

/// Without blanks at the ends of lines, and without empty lines around it.
fn trimmed(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    lines.join("\n").trim_matches('\n').to_owned()
}

/// The two files of the example, in a folder.
fn example_files(page: &str, folder: &Path) -> [PathBuf; 2] {
    let files = blocks(page, "csv");
    assert_eq!(files.len(), 2);
    let paths = ["customers.csv", "interactions.csv"].map(|name| folder.join(name));
    for (path, content) in paths.iter().zip(files) {
        fs::write(path, content).unwrap();
    }
    paths
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_example_prints_what_stands_beside_it() {
    let page = page();
    let folder = tempfile::tempdir().unwrap();
    let [customers, interactions] = example_files(&page, folder.path());
    let commands = transcript(&page);
    assert!(commands.len() >= 10, "{commands:?}");
    for database in Database::both().await {
        let server = ServeProcess::start(&database.url, &["--currency", "EUR"]);
        let files = ["--customers", text(&customers), "--interactions", text(&interactions)];
        server.cli(&[["import", "--backfill"].as_slice(), &files].concat());
        for (command, expected) in &commands {
            let arguments: Vec<&str> = command.split(' ').collect();
            let printed = server.cli(&arguments);
            assert_eq!(trimmed(&printed), trimmed(expected), "{command} on {}", database.url);
        }
    }
}

#[test]
fn the_settings_of_the_page_are_the_defaults() {
    let page = page();
    let printed = blocks(&page, "toml");
    assert_eq!(printed.len(), 1);
    assert_eq!(InsightSpec::parse(printed[0]).unwrap(), InsightSpec::default());
}

#[test]
fn the_page_has_all_key_figures() {
    let page = page();
    let names: Vec<&str> = KPI_METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(first_column(section(&page, "Key figures")), names);
}

/// The columns that the page lists of a view.
fn documented_columns<'a>(page: &'a str, view: &str) -> Vec<&'a str> {
    let (_, rest) = section(page, "Views").split_once(&format!("\n`{view}` has ")).unwrap();
    first_column(rest.split("\n`v_").next().unwrap())
}

async fn views_have_the_columns_of_the_page(tally: Tally) {
    let page = page();
    for view in ["v_customer_insights", "v_segments", "v_worklist", "v_episodes", "v_sales_by_month"] {
        let columns = documented_columns(&page, view);
        let distinct: BTreeSet<&str> = columns.iter().copied().collect();
        assert_eq!(distinct.len(), columns.len(), "{columns:?}");
        // A view without rows, of these columns alone, and of as many as it has.
        let list = columns.join(", ");
        let same = format!(
            "SELECT count(*) FROM (SELECT {list} FROM {view} UNION SELECT * FROM {view}) AS both_ways"
        );
        assert_eq!(tally.database.sql(&same).await, Some(0), "{view}");
    }
}
