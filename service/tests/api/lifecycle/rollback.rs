//! Rollbacks go back through the former champions and skip none.

use tally_proto::v1::PromotionKind;
use tonic::Code;

use super::{NOW, POOR, assert_unbroken_line, promote, roll_back};
use crate::support::{Tally, assert_refused, business, on_both_stores, time};

on_both_stores!(rollbacks_go_back_through_the_former_champions_and_skip_none);

async fn rollbacks_go_back_through_the_former_champions_and_skip_none(tally: Tally) {
    tally.simulate(&business(300, 11, time(NOW))).await;
    for _ in 0..4 {
        tally.train_with_spec("churn", POOR, &["--as-of", NOW, "--promote", "always"]);
    }
    let back = roll_back(&tally).await.unwrap();
    assert_eq!((back.from_model.as_str(), back.to_model.as_str()), ("churn/4", "churn/3"));
    assert_eq!((back.kind(), back.sequence), (PromotionKind::Rollback, 5));
    assert_eq!(back.who, "127.0.0.1");
    assert_eq!(roll_back(&tally).await.unwrap().to_model, "churn/2");
    // What was rolled back is out of the line, which is now 1, 2, 4.
    promote(&tally, "churn/4", true).await.unwrap();
    assert_eq!(roll_back(&tally).await.unwrap().to_model, "churn/2");
    assert_damaged_champion_is_not_skipped(&tally).await;
    assert_eq!(roll_back(&tally).await.unwrap().to_model, "churn/1");
    assert_refused(roll_back(&tally).await, Code::FailedPrecondition, "NO_FORMER_CHAMPION", &[]);
    promote(&tally, "churn/3", true).await.unwrap();
    assert_eq!(roll_back(&tally).await.unwrap().to_model, "churn/1");
    assert_unbroken_line(tally.models()).await;
}

/// Damages churn/1, and repairs it with the artifact of churn/2.
async fn assert_damaged_champion_is_not_skipped(tally: &Tally) {
    let write = async |artifact: &str| {
        let write = format!("UPDATE models SET artifact = {artifact} WHERE target = 'churn' AND version = 1");
        tally.database.sql(&write).await;
    };
    write("substr(artifact, 1, 100)").await;
    let refused = roll_back(tally).await;
    assert!(refused.as_ref().unwrap_err().message().contains("churn/1"), "{refused:?}");
    assert_refused(refused, Code::FailedPrecondition, "UNREADABLE_MODEL", &[]);
    write("(SELECT artifact FROM models WHERE target = 'churn' AND version = 2)").await;
}
