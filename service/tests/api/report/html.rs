//! The report is one page with plots that loads nothing, and names from the data cannot run in it.

use std::path::PathBuf;

use prost_types::{Value, value::Kind};
use tally_model::simulate::SimulatedCustomer;

use crate::support::{Database, Tally, business, simulated_customer, simulated_interactions, text, time};

/// An attribute of this name decides who leaves, so that the report names it.
const SCRIPT: &str = "<script>alert(1)</script>";

/// Stores a business in which those who buy late have another level of an attribute.
async fn simulate_with_script(tally: &Tally) {
    for customer in business(600, 5, time("2024-06-01")).iter() {
        tally.upsert(vec![with_script(&customer)]).await.unwrap();
        let interactions: Vec<_> = simulated_interactions(&customer).collect();
        if !interactions.is_empty() {
            tally.backfill(interactions).await.unwrap();
        }
    }
}

fn with_script(customer: &SimulatedCustomer) -> tally_proto::v1::Customer {
    let since = time("2024-02-01");
    let late = customer.interactions.iter().any(|i| i.kind == "purchase" && i.occur_time > since);
    let mut record = simulated_customer(customer);
    let level = Kind::StringValue(format!("\"'&{SCRIPT}{late}"));
    let fields = &mut record.attributes.get_or_insert_default().fields;
    fields.insert(SCRIPT.to_owned(), Value { kind: Some(level) });
    record
}

/// Trains churn and returns the report.
fn report(tally: &Tally, as_of: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("report.HTML");
    // Few features, quick to choose from.
    let spec = "[features]\nkinds = [\"purchase\", \"visit\"]\nwindows_days = [30]\n";
    tally.train_with_spec("churn", spec, &["--as-of", as_of, "--report-out", text(&path)]);
    std::fs::read_to_string(&path).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_one_page_with_plots_that_loads_nothing_and_escapes_names() {
    let tally = Tally::start(Database::sqlite()).await;
    simulate_with_script(&tally).await;
    let first = report(&tally, "2024-04-01");
    assert!(first.contains("<b>Promoted</b>: there was no champion."), "{first}");
    assert!(!first.contains("Drift since"), "there is no champion to compare with");
    let second = report(&tally, "2024-06-01");
    assert!(second.contains("<h1>churn/2</h1>") && second.contains("Drift since the champion churn/1"));
    assert_complete(&second);
    for page in [&first, &second] {
        assert_well_formed(page);
        for foreign in ["<script", "://", "src=", "href=", "url(", "@import", "NaN", "inf"] {
            assert!(!page.contains(foreign), "{foreign}");
        }
    }
    assert!(second.contains("&#60;script&#62;alert(1)&#60;/script&#62;"), "the attribute is named, escaped");
}

/// Asserts that a report that has a champion to compare with has all plots and tables.
fn assert_complete(page: &str) {
    for plot in [
        "Reliability diagram",
        "ROC curve",
        "Precision-recall curve",
        "Lift",
        "Distribution of the scores by outcome",
        "Drift against the champion",
    ] {
        assert_eq!(page.matches(&format!("role=\"img\" aria-label=\"{plot}\"")).count(), 1, "{plot}");
    }
    assert!(page.matches("aria-label=\"Effect of ").count() >= 8);
    for part in [
        "base_rate",
        "purchase.days_since_last",
        "BG/NBD",
        "chosen",
        "log loss on validation",
        "windows_days",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

/// Asserts that every element is closed, in order.
fn assert_well_formed(page: &str) {
    let mut open = Vec::new();
    for tag in page.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap_or_else(|| panic!("no end of <{tag}"));
        let name = tag.trim_start_matches('/').split_whitespace().next().unwrap();
        match tag {
            _ if tag.starts_with('/') => assert_eq!(open.pop(), Some(name), "</{name}>"),
            _ if tag.ends_with('/') || ["!DOCTYPE", "meta"].contains(&name) => {}
            _ => open.push(name),
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}
