//! Runs over the population, in partitions.

use std::collections::HashMap;

use tally_proto::v1;
use tonic::{Code, Status};

use super::{NOW, is_same, trained};
use crate::support::{Tally, assert_refused, on_both_stores, time, timestamp};

on_both_stores!(
    partitions_score_everybody_once,
    a_repeated_run_takes_the_place_of_an_interrupted_one,
    invalid_partitions_are_refused,
);

/// Scores one partition. Returns the number of stored predictions.
async fn score_partition(tally: &Tally, partition: i32, partitions: i32) -> Result<i64, Status> {
    let request = v1::ScorePopulationRequest {
        target: v1::Target::Churn.into(),
        as_of_time: Some(timestamp(time(NOW))),
        partitions,
        partition,
        ..Default::default()
    };
    let mut stream = tally.predictions().score_population(request).await?.into_inner();
    let mut stored = 0;
    while let Some(message) = stream.message().await? {
        assert!(message.stored <= message.done && message.done <= message.total);
        stored = message.stored;
    }
    Ok(stored)
}

async fn partitions_score_everybody_once(tally: Tally) {
    trained(&tally).await;
    let mut sizes = Vec::new();
    for number in 0..3 {
        sizes.push(score_partition(&tally, number, 3).await.unwrap());
        // What a run has reported is stored, and nobody is scored twice.
        let stored = tally.every_prediction(v1::Target::Churn).await.len() as i64;
        assert_eq!(stored, sizes.iter().sum::<i64>());
    }
    let in_partitions = tally.latest_predictions(v1::Target::Churn).await;
    let whole = tally.score_population(v1::Target::Churn, time(NOW)).await.unwrap();
    assert_eq!(sizes.iter().sum::<i64>(), whole.stored);
    assert!(sizes.iter().all(|size| 4 * size > whole.stored), "{sizes:?}");
    let at_once = tally.latest_predictions(v1::Target::Churn).await;
    let at_once: HashMap<String, v1::Score> =
        at_once.into_iter().map(|score| (score.customer_id.clone(), score)).collect();
    assert_eq!(at_once.len(), in_partitions.len());
    assert!(in_partitions.iter().all(|score| is_same(score, &at_once[&score.customer_id])));
}

/// A run that was killed before its last act leaves its note and its predictions.
async fn a_repeated_run_takes_the_place_of_an_interrupted_one(tally: Tally) {
    trained(&tally).await;
    let [first, second] =
        [score_partition(&tally, 0, 2).await.unwrap(), score_partition(&tally, 1, 2).await.unwrap()];
    let all = async || tally.every_prediction(v1::Target::Churn).await;
    let customer_id = all().await[0].customer_id.clone();
    let persisted = tally
        .predict_churn(v1::PredictChurnRequest {
            customer_id,
            as_of_time: Some(timestamp(time(NOW))),
            persist: true,
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!(tally.database.sql("SELECT count(*) FROM scoring_runs").await, Some(0));
    let interrupted = "INSERT INTO scoring_runs SELECT target, model_version, as_of_time, min(score_time), 1, 2 \
                       FROM predictions WHERE score_time = (SELECT max(score_time) FROM predictions WHERE \
                       prediction_id <> 'ID') GROUP BY target, model_version, as_of_time";
    tally.database.sql(&interrupted.replace("ID", &persisted.prediction_id)).await;

    // Not the other half.
    score_partition(&tally, 0, 2).await.unwrap();
    assert_eq!(all().await.len() as i64, 2 * first + second + 1);
    score_partition(&tally, 1, 2).await.unwrap();
    let stored = all().await;
    assert_eq!(stored.len() as i64, 2 * first + second + 1, "a run that has ended stays");
    assert!(stored.iter().any(|score| score.prediction_id == persisted.prediction_id));
    assert_eq!(tally.latest_predictions(v1::Target::Churn).await.len() as i64, first + second);
    assert_eq!(tally.database.sql("SELECT count(*) FROM scoring_runs").await, Some(0));
}

async fn invalid_partitions_are_refused(tally: Tally) {
    for (partition, partitions, field) in [
        (3, 3, "partition"),
        (-1, 2, "partition"),
        (1, 0, "partition"),
        (0, -1, "partitions"),
        (0, 10_001, "partitions"),
    ] {
        let refused = score_partition(&tally, partition, partitions).await;
        assert_refused(refused, Code::InvalidArgument, "INVALID_REQUEST", &[field]);
    }
}
