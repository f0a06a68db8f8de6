//! Exports of other products, from their files to scores, with the shipped mappings.

use std::path::{Path, PathBuf};

use crate::support::{Database, ServeProcess, program, text};

/// The files of a product in the order in which they are imported, what their times need, a buyer of it, and what the
/// import remarks among others.
struct Export {
    mappings: &'static [&'static str],
    options: &'static [&'static str],
    buyer: &'static str,
    remark: &'static str,
}

const EXPORTS: [Export; 7] = [
    Export {
        mappings: &["shopify-orders"],
        options: &[],
        buyer: "pat.lane@example.org",
        remark: "2 rows give no interactions, since `Financial Status` is not paid or partially_paid",
    },
    Export {
        mappings: &["stripe-charges"],
        options: &[],
        buyer: "cus_A1",
        remark: "1 row gives no interactions, since `customer_id` is empty",
    },
    Export {
        mappings: &["hubspot-contacts", "hubspot-deals"],
        options: &["--time-zone", "America/New_York"],
        buyer: "8001",
        remark: "1 row gives no interactions, since `customer_id` is empty",
    },
    Export {
        mappings: &["salesforce-leads", "salesforce-opportunities"],
        options: &[],
        buyer: "0015g00000BBB1AAAX",
        remark: "1 row gives no customers, since `IsDeleted` is true or 1",
    },
    Export {
        mappings: &["zoho-crm-contacts", "zoho-crm-deals"],
        options: &["--time-zone", "Europe/Berlin"],
        buyer: "zcrm_5000000000201",
        remark: "1 row gives no interactions, since `customer_id` is empty",
    },
    Export {
        mappings: &["fxiaoke-customers", "fxiaoke-orders"],
        options: &[],
        buyer: "青山示例贸易有限公司",
        remark: "3 rows give no interactions, since `生命状态` is not 正常 or 变更中",
    },
    Export {
        mappings: &["segment"],
        options: &[],
        buyer: "u1",
        remark: "4 rows give no interactions, since `type` is not track",
    },
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Imports a file, and returns what that prints and remarks.
fn import(server: &ServeProcess, file: &Path, mapping: &str, options: &[&str]) -> String {
    let url = server.url();
    let arguments = ["import", "--server", &url, "--map", mapping, text(file), "--backfill"];
    let output = program("tally", "").args(arguments).args(options).output().unwrap();
    let printed = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{mapping}: {printed}");
    printed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_of_other_products_become_scores_without_a_hand_on_them() {
    for database in Database::both().await {
        let server = ServeProcess::start(&database.url, &["--currency", "EUR"]);
        let shop = repository().join("docs/examples/orders_export.csv.gz");
        import(&server, &shop, "shopify-orders", &[]);
        let train = ["churn", "--as-of", "2026-06-30"];
        assert!(program("tally-train", &database.url).args(train).output().unwrap().status.success());
        for Export { mappings, options, buyer, remark } in EXPORTS {
            let mut printed = String::new();
            for mapping in mappings {
                let extension = if *mapping == "segment" { "jsonl" } else { "csv" };
                let file = repository().join(format!("cli/tests/exports/{mapping}.{extension}"));
                printed += &import(&server, &file, mapping, options);
            }
            assert!(printed.contains(remark), "{printed}");
            let score = server.cli(&["score", "churn", buyer, "--as-of", "2025-07-01"]);
            assert!(score.lines().any(|line| line.starts_with(buyer) && line.contains(" % ")), "{score}");
        }
    }
}
