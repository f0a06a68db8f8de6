//! A server whose settings are not those of the latest pass makes one at its start.

use tally_proto::v1::JobRunState;

use super::{next_due, states};
use crate::support::{ServeProcess, Tally, on_both_stores, text};

on_both_stores!(a_start_with_other_settings_makes_a_pass_once);

async fn a_start_with_other_settings_makes_a_pass_once(tally: Tally) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("insight.toml");
    std::fs::write(&file, "[worklist]\ncapacity = 12").unwrap();
    let start = |flags: &[&str]| {
        ServeProcess::start(&tally.database.url, &[&["--score-every", "6h"], flags].concat())
    };
    let passes = async |count| {
        tally.wait_for_job("insights", |job| states(job) == vec![JobRunState::Succeeded; count]).await
    };
    tally.add_three().await;
    let mut first = start(&[]);
    let due = next_due(&passes(1).await);
    first.terminate();
    // Lists that other settings made cannot be handed out; those of this pass can, and the schedule stays.
    let changed = start(&["--insight", text(&file)]);
    assert_eq!(next_due(&passes(2).await), due);
    assert!(changed.cli(&["worklist", "publish"]).starts_with("published"));
    // Beside a server that has other settings, one makes a pass at its start, and then they wait for the next one.
    let mut back = start(&[]);
    assert_eq!(next_due(&passes(3).await), due);
    assert!(back.cli(&["worklist", "publish"]).starts_with("published"));
    back.terminate();
    // Where they are the same, nothing is due. What a server has to look at, it has looked at before its first training.
    let _same = start(&["--train-every", "7d"]);
    tally.wait_for_job("train-churn", |job| states(job) == [JobRunState::NotEnoughData]).await;
    tally.wait_for_job("train-lead", |job| states(job) == [JobRunState::NotEnoughData]).await;
    assert_eq!(next_due(&passes(3).await), due);
}
