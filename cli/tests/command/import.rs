//! `tally import` against a small server.

use std::{fs, path::Path};

use indicatif::HumanCount;
use tally_proto::v1::Interaction;

use crate::fake::{serve, tally};

/// Writes both files into `folder`: 2 customers, and 12,001 visits, of which the one numbered `odd.0` is of the
/// kind `odd.1`.
fn write_files(folder: &Path, odd: (usize, &str)) -> [String; 2] {
    let (customers, interactions) = (folder.join("c.csv"), folder.join("i.csv"));
    fs::write(&customers, "created_at,customer_id,size\n2011-01-01,C1,5\n2011-01-02,C2,\n").unwrap();
    let mut text = "interaction_id,customer_id,kind,occurred_at,amount\n".to_owned();
    for n in 0..12_001 {
        let kind = if n == odd.0 { odd.1 } else { "visit" };
        text.push_str(&format!("I{n},C1,{kind},2011-02-01T00:00:00Z,12.5\n"));
    }
    fs::write(&interactions, text).unwrap();
    [customers, interactions].map(|path| path.to_str().unwrap().to_owned())
}

#[tokio::test]
async fn both_files_arrive_complete_and_in_batches() {
    let (fake, url) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let [customers, interactions] = write_files(folder.path(), (0, "visit"));
    let files = ["import", "--customers", &customers, "--interactions", &interactions, "--backfill"];
    tally(&url, &files).await.unwrap();
    let received = fake.0.lock().unwrap();
    let ids: Vec<&str> = received.customers.iter().map(|customer| customer.customer_id.as_str()).collect();
    assert_eq!(ids, ["C1", "C2"]);
    assert!(received.batches.iter().all(|batch| batch.backfill));
    // Several streams send at a time: batches arrive in any order, the items of each in theirs.
    let number = |item: &Interaction| item.interaction_id[1..].parse::<usize>().unwrap();
    let mut batches: Vec<_> = received.batches.iter().map(|batch| &batch.interactions).collect();
    batches.sort_by_key(|batch| number(&batch[0]));
    assert_eq!(batches.iter().map(|batch| batch.len()).collect::<Vec<_>>(), [5_000, 5_000, 2_001]);
    for (n, item) in batches.into_iter().flatten().enumerate() {
        assert_eq!((number(item), item.amount_minor), (n, Some(1_250)));
    }
}

#[tokio::test]
async fn batches_without_a_reply_are_sent_again() {
    let (fake, url) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let [customers, interactions] = write_files(folder.path(), (0, "visit"));
    for file in [["--customers", &customers], ["--interactions", &interactions]] {
        fake.0.lock().unwrap().lost_replies = 2;
        tally(&url, &[&["import"], &file[..]].concat()).await.unwrap();
    }
    let received = fake.0.lock().unwrap();
    assert_eq!(received.customers.len(), 6, "twice in vain");
    let ids = received.batches.iter().flat_map(|batch| &batch.interactions);
    let ids: std::collections::HashSet<_> = ids.map(|item| &item.interaction_id).collect();
    assert_eq!((ids.len(), received.batches.len()), (12_001, 3 + 2));
}

#[tokio::test]
async fn a_refused_item_is_reported_with_its_line() {
    let (fake, url) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let [_, interactions] = write_files(folder.path(), (7_000, "refuse"));
    let error = tally(&url, &["import", "--interactions", &interactions]).await.unwrap_err().to_string();
    assert!(error.contains(&format!("{interactions} line 7002, kind: is no good")), "{error}");
    // The other batches that were sent are stored, and counted exactly.
    let stored: usize = fake.0.lock().unwrap().batches.iter().map(|batch| batch.interactions.len()).sum();
    let stored =
        format!("in the batch of lines 5002 to 10001; {} of its rows are stored", HumanCount(stored as u64));
    assert!(error.contains(&stored), "{error}");
}

#[tokio::test]
async fn nothing_is_sent_when_a_file_is_bad() {
    let (fake, url) = serve().await;
    let folder = tempfile::tempdir().unwrap();
    let [customers, interactions] = write_files(folder.path(), (12_000, ""));
    let files = ["import", "--customers", &customers, "--interactions", &interactions];
    let error = tally(&url, &files).await.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let line = format!("1 bad row; nothing is stored:\n  {interactions} line 12002, column kind: is empty");
    assert!(error.to_string().starts_with(&line), "{error}");
    let received = fake.0.lock().unwrap();
    assert!(received.customers.is_empty() && received.batches.is_empty());
}
