//! Whom a score can be about.

use tally_proto::v1::{self, batch_result::Result as Item};
use tonic::Code;

use super::{NOW, trained};
use crate::support::{Tally, assert_refused, customer, interaction, on_both_stores, time, timestamp};

on_both_stores!(nobody_is_scored_about_a_moment_before_they_existed);

async fn nobody_is_scored_about_a_moment_before_they_existed(tally: Tally) {
    trained(&tally).await;
    tally.upsert(vec![customer("new", "2024-05-20T12:00:00Z", &[])]).await.unwrap();
    tally.backfill(vec![interaction("caller", "1", "call", "2024-05-20T12:00:00Z")]).await.unwrap();
    let request = |id: &str, as_of: &str| v1::ScoreLeadRequest {
        customer_id: id.to_owned(),
        as_of_time: Some(timestamp(time(as_of))),
        ..Default::default()
    };
    let (before, at) = ("2024-05-20T11:59:59.999999Z", "2024-05-20T12:00:00Z");
    for id in ["new", "caller"] {
        for persist in [false, true] {
            let refused = tally.score_lead(v1::ScoreLeadRequest { persist, ..request(id, before) }).await;
            assert_refused(refused, Code::FailedPrecondition, "NOT_YET_CREATED", &[]);
        }
        assert_eq!(tally.score_lead(request(id, at)).await.unwrap().customer_id, id);
    }
    let batch = v1::BatchScoreLeadsRequest {
        customer_ids: ["new", "caller"].map(str::to_owned).to_vec(),
        as_of_time: Some(timestamp(time(before))),
        ..Default::default()
    };
    let results = tally.scoring().batch_score_leads(batch).await.unwrap().into_inner().results;
    for result in &results {
        let Some(Item::Status(status)) = &result.result else { panic!("{result:?}") };
        assert_eq!(status.code, i32::from(Code::FailedPrecondition));
    }
    for (as_of, found) in [(before, 0), (at, 2), (NOW, 2)] {
        tally.score_population(v1::Target::Lead, time(as_of)).await.unwrap();
        let mut stored = tally.every_prediction(v1::Target::Lead).await;
        stored.retain(|score| score.as_of_time == Some(timestamp(time(as_of))));
        let new = stored.iter().filter(|score| ["new", "caller"].contains(&score.customer_id.as_str()));
        assert_eq!(new.count(), found, "{as_of}");
    }
}
