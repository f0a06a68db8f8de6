//! What `tally import` finds in files before it stores anything.

use std::fs;

use prost_types::value::Kind;
use tally_cli::ClientError;
use tally_proto::v1::{Customer, Interaction, OnConflict, Score, StoredAttribute};

use crate::fake::{FakeServer, Knowledge, serve, tally};

/// A server and two files.
struct Trial {
    fake: FakeServer,
    url: String,
    folder: tempfile::TempDir,
}

impl Trial {
    async fn new(knows: Option<Knowledge>) -> Self {
        let (fake, url) = serve().await;
        fake.0.lock().unwrap().knows = knows;
        Self { fake, url, folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Imports texts as files, those that are not empty.
    async fn import(&self, customers: &str, interactions: &str, options: &[&str]) -> Result<(), ClientError> {
        let mut args = vec!["import".to_owned()];
        for (name, text) in [("customers", customers), ("interactions", interactions)] {
            if !text.is_empty() {
                let path = self.path(&format!("{name}.csv"));
                fs::write(&path, text).unwrap();
                args.extend([format!("--{name}"), path]);
            }
        }
        args.extend(options.iter().map(|option| (*option).to_owned()));
        tally(&self.url, &args.iter().map(String::as_str).collect::<Vec<_>>()).await
    }

    fn customers(&self) -> Vec<Customer> {
        self.fake.0.lock().unwrap().customers.clone()
    }

    fn interactions(&self) -> Vec<Interaction> {
        self.fake.0.lock().unwrap().batches.iter().flat_map(|batch| batch.interactions.clone()).collect()
    }
}

fn interactions(rows: &str) -> String {
    format!("interaction_id,customer_id,kind,occur_time,amount\n{rows}")
}

/// Imports interactions, and returns why that stopped with exit code 2.
async fn doubts(customers: &str, rows: &str) -> String {
    let trial = Trial::new(None).await;
    let interactions = if rows.is_empty() { String::new() } else { interactions(rows) };
    let error = trial.import(customers, &interactions, &["--backfill"]).await.unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    assert!(trial.customers().is_empty() && trial.interactions().is_empty());
    error.to_string()
}

#[tokio::test]
async fn all_bad_rows_are_told_up_to_twenty() {
    let trial = Trial::new(None).await;
    let rows =
        "1,K1,purchase,2025-03-01,\"1,250.00\"\n2,,visit,2025-03-02,\n3,K2,call,0000-00-00,\n4,K2,visit\n";
    let error = trial.import("", &interactions(rows), &[]).await.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let text = error.to_string();
    for part in [
        "line 2, column amount",
        "line 3, column customer_id",
        "line 4, column occur_time",
        "line 5: has 3 fields",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let many: String = (0..30).map(|n| format!("{n},K1,visit,soon,\n")).collect();
    let text = trial.import("", &interactions(&many), &[]).await.unwrap_err().to_string();
    assert!(text.contains("line 21,") && !text.contains("line 22,"), "{text}");
    assert!(text.contains("30 bad rows") && text.contains("and 10 more bad rows"), "{text}");
}

#[tokio::test]
async fn bad_rows_can_be_left_out_mended_and_imported() {
    let trial = Trial::new(None).await;
    let bad = trial.path("bad.csv");
    let rows = "1,K1,visit,2025-03-01,\n2,K1,visit,soon,\n3,K1,visit\n4,NULL,visit,2025-03-01,\n5,K1,visit,2025-03-01,5\n";
    let options = ["--skip-bad", &bad, "--yes"];
    trial.import("", &interactions(rows), &options).await.unwrap();
    let ids = || trial.interactions().into_iter().map(|item| item.interaction_id).collect::<Vec<_>>();
    assert_eq!(ids(), ["1", "5"]);
    let written = fs::read_to_string(&bad).unwrap();
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(lines.len(), 4, "{written}");
    assert_eq!(lines[0], "bad_line,bad_column,bad_reason,interaction_id,customer_id,kind,occur_time,amount");
    assert!(lines[1].starts_with("3,occur_time,") && lines[1].ends_with(",2,K1,visit,soon,"), "{written}");
    let mended = written.replace("soon", "2025-03-02").lines().take(2).collect::<Vec<_>>().join("\n");
    trial.import("", &mended, &[]).await.unwrap();
    assert_eq!(ids(), ["1", "5", "2"]);
    assert!(trial.interactions()[2].properties.is_empty());
}

#[tokio::test]
async fn columns_can_be_left_out() {
    let trial = Trial::new(None).await;
    let long = "long ".repeat(300);
    let text = format!("interaction_id,customer_id,kind,occur_time,notes,\n1,K1,visit,2025-03-01,{long},x\n");
    trial.import("", &text, &["--ignore", "notes", "--ignore", ""]).await.unwrap();
    assert!(trial.interactions()[0].properties.is_empty());
    let error = trial.import("", &text, &["--ignore", "", "--ignore", "note"]).await.unwrap_err().to_string();
    assert!(error.contains("has no column `note`"), "{error}");
    let error = trial.import("", &text, &["--ignore", "", "--ignore", "kind"]).await.unwrap_err().to_string();
    assert!(error.contains("lacks kind"), "{error}");
}

#[tokio::test]
async fn ids_that_stand_for_nothing_stop_the_import() {
    let text = doubts("", "1,nan,visit,2025-03-01,\n2,K1,visit,2025-03-01,\n").await;
    assert!(
        text.contains("an id that stands for no value") && text.contains("line 2, column customer_id"),
        "{text}"
    );
    let text = doubts("customer_id,create_time\n#N/A,\n", "").await;
    assert!(text.contains("stands for no value"), "{text}");
}

#[tokio::test]
async fn ids_that_are_nearly_the_same_stop_the_import() {
    let customers = "customer_id,create_time\n17850,2025-01-01\nann@example.org,2025-01-01\n";
    let text = doubts(customers, "1,17850.0,visit,2025-03-01,\n2,ANN@example.org,visit,2025-03-01,\n").await;
    assert!(text.contains("`17850.0` in") && text.contains("interactions.csv line 2"), "{text}");
    assert!(text.contains("2 customer ids differ") && text.contains("customers.csv line 3"), "{text}");
    let text = doubts("", "1,K 1,visit,2025-03-01,\n2,K1,visit,2025-03-01,\n").await;
    assert!(text.contains("`K1`"), "{text}");
    // Blanks at the ends do not count, so these are one customer.
    let trial = Trial::new(None).await;
    let rows = "1,K1 ,visit,2025-03-01,\n2,\u{a0}K1,visit,2025-03-01,\n3,\u{feff}K1,visit,2025-03-01,\n";
    trial.import("", &interactions(rows), &[]).await.unwrap();
    assert!(trial.interactions().iter().all(|item| item.customer_id == "K1"));
}

#[tokio::test]
async fn refunds_as_negative_purchases_stop_the_import() {
    let rows = "1,K1,purchase,2025-03-01,30.00\n2,K1,purchase,2025-03-02,-30.00\n";
    let text = doubts("", rows).await;
    assert!(text.contains("negative") && text.contains("`return`") && text.contains("line 3"), "{text}");
    // With --yes they are bad rows, which can be left out.
    let trial = Trial::new(None).await;
    assert_eq!(trial.import("", &interactions(rows), &["--yes"]).await.unwrap_err().exit_code(), 2);
    let bad = trial.path("bad.csv");
    assert_eq!(
        trial.import("", &interactions(rows), &["--skip-bad", &bad]).await.unwrap_err().exit_code(),
        2
    );
    trial.import("", &interactions(rows), &["--yes", "--skip-bad", &bad]).await.unwrap();
    assert_eq!(trial.interactions().len(), 1);
}

#[tokio::test]
async fn kinds_that_are_nearly_purchase_stop_the_import() {
    for kind in ["Purchase", "purchases", "PURCHASE", "purchace"] {
        let text = doubts("", &format!("1,K1,{kind},2025-03-01,5\n")).await;
        assert!(text.contains(&format!("of the kind `{kind}`; is `purchase` meant?")), "{text}");
    }
    let trial = Trial::new(None).await;
    trial.import("", &interactions("1,K1,Purchase,2025-03-01,5\n"), &["--yes"]).await.unwrap();
    trial
        .import("", &interactions("1,K1, purchase ,2025-03-01,5\n2,K1,Visit,2025-03-01,\n"), &[])
        .await
        .unwrap();
    assert_eq!(trial.interactions().len(), 3);
}

#[tokio::test]
async fn an_attribute_that_changes_its_type_stops_the_import() {
    let attribute = |name: &str, numbers, booleans, texts| StoredAttribute {
        name: name.to_owned(),
        numbers,
        booleans,
        texts,
    };
    let attributes =
        vec![attribute("seats", 5_000, 0, 1), attribute("vip", 0, 10, 0), attribute("zip", 0, 0, 10)];
    let trial = Trial::new(Some(Knowledge { attributes, ..Default::default() })).await;
    let header = "customer_id,create_time,seats,vip,zip\n";
    let error = trial.import(&format!("{header}K1,2025-01-01,12 seats,1,7\n"), "", &[]).await.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let text = error.to_string();
    assert!(
        text.contains("`seats` is a number for 5,001 customers, and this file makes it a text (`12 seats`)"),
        "{text}"
    );
    assert!(text.contains("`vip` is a boolean for 10 customers, and this file makes it a number"), "{text}");
    // Codes stay texts although all of this file look like numbers.
    trial.import(&format!("{header}K1,2025-01-01,12,true,10115\nK2,,n/a,,\n"), "", &[]).await.unwrap();
    let kinds: Vec<_> = trial.customers()[0]
        .attributes
        .clone()
        .unwrap()
        .fields
        .into_values()
        .map(|value| value.kind)
        .collect();
    assert_eq!(
        kinds,
        [
            Some(Kind::NumberValue(12.0)),
            Some(Kind::BoolValue(true)),
            Some(Kind::StringValue("10115".to_owned()))
        ]
    );
}

#[tokio::test]
async fn what_is_doubtful_can_be_accepted_and_what_is_not_is_imported() {
    let trial = Trial::new(None).await;
    let customers = "customer_id,create_time,size\nK1,2025-02-01,5\nK1,2025-02-02,6\n";
    let rows = "1,K1,visit,2025-01-01,\n1,K1,visit,2025-01-01,\n2,K9,visit,2025-03-01,-5\n";
    trial.import(customers, &interactions(rows), &[]).await.unwrap();
    assert_eq!((trial.customers().len(), trial.interactions().len()), (2, 3));
    let near = interactions("3,k1,visit,2025-01-01,\n4,K1,visit,2025-01-01,\n");
    trial.import("", &near, &["--yes"]).await.unwrap();
    assert_eq!(trial.interactions().len(), 5);
}

#[tokio::test]
async fn check_stores_nothing() {
    let trial = Trial::new(None).await;
    let good = interactions("1,K1,visit,2025-01-01,\n");
    trial.import("", &good, &["--check"]).await.unwrap();
    let doubtful = interactions("1,K1,Purchase,2025-01-01,\n");
    assert_eq!(trial.import("", &doubtful, &["--check"]).await.unwrap_err().exit_code(), 2);
    assert_eq!(
        trial.import("", &interactions("1,K1,visit,soon,\n"), &["--check"]).await.unwrap_err().exit_code(),
        2
    );
    assert!(trial.interactions().is_empty());
}

#[tokio::test]
async fn new_attributes_count_in_the_past_unless_that_changes_predictions() {
    let size = StoredAttribute { name: "size".to_owned(), numbers: 1, booleans: 0, texts: 0 };
    let knows = Knowledge { attributes: vec![size], ..Default::default() };
    let customers = "customer_id,create_time,size,seats\nK1,2025-01-01,5,7\n";
    for (knows, options, names) in [
        (Some(knows.clone()), &[][..], &["seats"][..]),
        (Some(knows.clone()), &["--backfill"], &["size", "seats"]),
        (Some(Knowledge { predictions: vec![Score::default()], ..knows }), &[], &[]),
        (None, &[], &[]),
        (None, &["--backfill"], &["size", "seats"]),
    ] {
        let trial = Trial::new(knows).await;
        trial.import(customers, "", options).await.unwrap();
        assert_eq!(trial.fake.0.lock().unwrap().backfill_attributes, [names]);
    }
}

#[tokio::test]
async fn of_rows_with_one_key_the_one_counts_that_on_conflict_says() {
    let rows =
        "1,K1,visit,2025-01-01,1\n2,K1,visit,2025-01-01,\n1,K1,visit,2025-01-01,2\n1,K2,visit,2025-01-01,3\n";
    for (action, sent, amounts) in [
        ("correct", OnConflict::Correct, [None, Some(2), Some(3)]),
        ("skip", OnConflict::Skip, [Some(1), None, Some(3)]),
    ] {
        let trial = Trial::new(Some(Knowledge::default())).await;
        trial.import("", &interactions(rows), &["--on-conflict", action]).await.unwrap();
        let arrived: Vec<_> = trial.interactions().iter().map(|item| item.amount_minor).collect();
        assert_eq!(arrived, amounts, "{action}");
        let batches = trial.fake.0.lock().unwrap().batches.clone();
        assert!(batches.iter().all(|batch| batch.on_conflict() == sent));
    }
    let trial = Trial::new(None).await;
    let error = trial.import("", &interactions(rows), &[]).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("line 4: 1 row has the customer_id and interaction_id of an earlier row"),
        "{text}"
    );
    assert_eq!((error.exit_code(), trial.interactions().len()), (2, 0));
}

#[tokio::test]
async fn a_quote_that_is_left_open_stops_the_import() {
    let text = "interaction_id,customer_id,kind,occur_time,note\n1,a,visit,2025-01-02,\"broken\n\
                2,b,visit,2025-01-03,ok\n3,c,visit,2025-01-04,\"fine\"\n4,d,visit,2025-01-05,\n";
    let trial = Trial::new(None).await;
    let error = trial.import("", text, &["--backfill"]).await.unwrap_err();
    assert_eq!((error.exit_code(), trial.interactions().len()), (2, 0));
    assert!(error.to_string().contains("text follows a closing quote, first in line 4"), "{error}");
}

#[tokio::test]
async fn a_guessed_encoding_of_ids_stops_the_import() {
    let trial = Trial::new(None).await;
    let path = trial.path("x.csv");
    let text = "interaction_id,customer_id,kind,occur_time\n1,J\u{fc}rgen,visit,2025-01-02\n";
    fs::write(&path, encoding_rs::WINDOWS_1252.encode(text).0).unwrap();
    let import = async |options: &[&str]| {
        tally(&trial.url, &[&["import", "--interactions", &path, "--backfill"][..], options].concat()).await
    };
    let error = import(&[]).await.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("the encoding windows-1252 is only guessed"), "{error}");
    import(&["--encoding", "windows-1252"]).await.unwrap();
    assert_eq!(trial.interactions()[0].customer_id, "J\u{fc}rgen");
}

#[tokio::test]
async fn bad_rows_are_never_written_over_what_is_imported_and_only_if_there_are_some() {
    let trial = Trial::new(None).await;
    let rows = interactions("1,K1,visit,2025-01-01,\n2,K1,visit,soon,\n");
    let same = trial.path("interactions.csv");
    let error = trial.import("", &rows, &["--check", "--skip-bad", &same]).await.unwrap_err();
    assert!(error.to_string().contains("is imported itself"), "{error}");
    assert_eq!(fs::read_to_string(&same).unwrap(), rows);
    let other = trial.path("other.csv");
    fs::write(&other, "mine").unwrap();
    trial.import("", &interactions("1,K1,visit,2025-01-01,\n"), &["--skip-bad", &other]).await.unwrap();
    assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
}
