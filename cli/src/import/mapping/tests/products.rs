//! Each shipped mapping on an export of its product, compared with rows written by hand.

use clap::CommandFactory;
use indicatif::ProgressBar;
use jiff::tz::TimeZone;

use super::*;
use crate::args::Args;

fn exports() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exports")
}

fn open(mapping: &Mapping, name: &str) -> Box<dyn Rows> {
    let json_lines = mapping.source_options().json_lines;
    let path = exports().join(format!("{name}.{}", if json_lines { "jsonl" } else { "csv" }));
    let options = FileOptions { json_lines, ..FileOptions::default() };
    InputFile::open(&path, &options).unwrap().rows(&ProgressBar::hidden()).unwrap()
}

/// Compares what the mapping makes of the export with the expected file; returns what it leaves out.
fn compare(name: &str, table: Table) -> Vec<(String, u64)> {
    let mapping = Mapping::load(name).unwrap();
    let left_out = Arc::new(LeftOut::default());
    let rows =
        mapping.apply(table, Path::new("export"), open(&mapping, name), Arc::clone(&left_out)).unwrap();
    let which = if table == Table::Customers { "customers" } else { "interactions" };
    let expected = fs::read(exports().join(format!("expected/{name}.{which}.csv"))).unwrap();
    let expected = Csv::new(&expected);
    assert_eq!(rows.header(), expected.header(), "{name}");
    let fields = |rows: Box<dyn Rows>| -> Vec<Vec<String>> {
        let records = all(rows).into_iter().map(|row| row.unwrap().1);
        records.map(|record| record.iter().map(str::to_owned).collect()).collect()
    };
    let (found, expected) = (fields(rows), fields(Box::new(expected)));
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected, "{name}");
    }
    assert_eq!(found.len(), expected.len(), "{name}");
    left_out.reasons()
}

fn reasons<const N: usize>(reasons: [(&str, u64); N]) -> Vec<(String, u64)> {
    reasons.map(|(reason, count)| (reason.to_owned(), count)).into()
}

#[test]
fn shopify_orders() {
    assert_eq!(compare("shopify-orders", Table::Customers), reasons([("`customer_id` is empty", 1)]));
    let unpaid = "`Financial Status` is not paid or partially_paid or partially_refunded or refunded";
    let left_out = compare("shopify-orders", Table::Interactions);
    assert_eq!(left_out, reasons([(unpaid, 2), ("`customer_id` is empty", 1)]));
}

#[test]
fn stripe_charges() {
    assert_eq!(compare("stripe-charges", Table::Customers), reasons([("`customer_id` is empty", 1)]));
    let unpaid =
        "`Status` is not Paid or Succeeded or Refunded or Partially Refunded or Partial Refund or Disputed";
    let left_out = compare("stripe-charges", Table::Interactions);
    assert_eq!(left_out, reasons([(unpaid, 1), ("`customer_id` is empty", 1)]));
}

#[test]
fn hubspot_contacts_and_deals() {
    assert_eq!(compare("hubspot-contacts", Table::Customers), []);
    let left_out = compare("hubspot-deals", Table::Interactions);
    assert_eq!(left_out, reasons([("`customer_id` is empty", 1)]));
}

#[test]
fn salesforce_leads_and_opportunities() {
    let deleted = "`IsDeleted` is true or 1";
    assert_eq!(compare("salesforce-leads", Table::Customers), reasons([(deleted, 1)]));
    let left_out = compare("salesforce-opportunities", Table::Interactions);
    assert_eq!(left_out, reasons([(deleted, 1), ("`customer_id` is empty", 1)]));
}

#[test]
fn zoho_crm_contacts_and_deals() {
    assert_eq!(compare("zoho-crm-contacts", Table::Customers), []);
    let left_out = compare("zoho-crm-deals", Table::Interactions);
    assert_eq!(left_out, reasons([("`customer_id` is empty", 1)]));
}

#[test]
fn fxiaoke_customers_and_orders() {
    assert_eq!(compare("fxiaoke-customers", Table::Customers), []);
    let left_out = compare("fxiaoke-orders", Table::Interactions);
    let unapproved = "`生命状态` is not 正常 or 变更中";
    assert_eq!(left_out, reasons([("`customer_id` is empty", 1), (unapproved, 3)]));
}

#[test]
fn segment_messages() {
    let others = "`type` is not identify";
    assert_eq!(compare("segment", Table::Customers), reasons([(others, 8)]));
    let left_out = compare("segment", Table::Interactions);
    assert_eq!(left_out, reasons([("`customer_id` is empty", 1), ("`type` is not track", 4)]));
}

#[test]
fn every_shipped_mapping_is_in_the_help_and_loads_by_its_name() {
    let mut command = Args::command();
    let help = command.find_subcommand_mut("import").unwrap().render_long_help().to_string();
    for (name, _) in SHIPPED {
        let mapping = Mapping::load(name).unwrap();
        assert!(!mapping.tables().is_empty(), "{name}");
        assert!(help.contains(name), "{name}");
    }
    let sources = Mapping::load("stripe-charges").unwrap().source_options();
    assert_eq!((sources.json_lines, sources.time_zone), (false, Some(TimeZone::UTC)));
}
