//! `tally score`: some customers by their ids.

use prost::Message;
use tally_proto::v1::{
    BatchPredictChurnRequest, BatchResult, BatchScoreLeadsRequest, Score, batch_result::Result as Outcome,
};
use tonic::{Code, Status};

use super::{
    Connection, args,
    error::{ClientError, Refusal, Result},
    json, print, remark, render,
};
use crate::{args::TargetName, time};
use tally_proto::limits;

/// Scores the customers and prints what came out; fails after that when some have no score.
pub(super) async fn run(server: &Connection, asked: &args::Score, json: bool) -> Result<()> {
    let mut options = Options {
        target: asked.target,
        as_of_time: asked.as_of.map(time::timestamp),
        model: asked.model.clone().unwrap_or_default(),
        max_reasons: asked.max_reasons,
        persist: asked.persist,
    };
    let (mut scores, mut unscored, mut failed) = (Vec::new(), Vec::new(), 0_u64);
    for ids in asked.customer_ids.chunks(limits::BATCH) {
        let results = batch(server, ids, &options).await.map_err(|status| server.error(&status))?;
        let mut results = results.into_iter();
        for id in ids {
            match results.next().and_then(|result| result.result) {
                Some(Outcome::Score(score)) => {
                    options.hold(&score);
                    if json {
                        print(&json::message(&score)?.to_string())?;
                    } else {
                        scores.push(score);
                    }
                }
                other => {
                    failed += 1;
                    let status = why(other);
                    if json {
                        print(&json::unscored(id, &status).to_string())?;
                    } else {
                        unscored.push(sentence(id, &status));
                    }
                }
            }
        }
    }
    if let Some(score) = scores.first() {
        print(&format!("{}\n\n{}", render::about(score), render::scores(&scores)))?;
    }
    for line in unscored {
        remark(&line);
    }
    let asked = asked.customer_ids.len() as u64;
    if failed > 0 { Err(ClientError::NotScored { failed, asked }) } else { Ok(()) }
}

/// What is the same for all customers.
struct Options {
    target: TargetName,
    as_of_time: Option<prost_types::Timestamp>,
    model: String,
    max_reasons: i32,
    persist: bool,
}

impl Options {
    /// Later batches are scored by the same model at the same moment as the first score.
    fn hold(&mut self, score: &Score) {
        if self.model.is_empty() {
            self.model.clone_from(&score.model);
        }
        self.as_of_time = self.as_of_time.or(score.as_of_time);
    }
}

async fn batch(server: &Connection, ids: &[String], options: &Options) -> Result<Vec<BatchResult>, Status> {
    let mut client = server.scoring();
    let (customer_ids, as_of_time, model) = (ids.to_vec(), options.as_of_time, options.model.clone());
    let (max_reasons, persist) = (options.max_reasons, options.persist);
    Ok(match options.target {
        TargetName::Lead => {
            let request = BatchScoreLeadsRequest { customer_ids, as_of_time, model, max_reasons, persist };
            client.batch_score_leads(request).await?.into_inner().results
        }
        TargetName::Churn => {
            let request = BatchPredictChurnRequest { customer_ids, as_of_time, model, max_reasons, persist };
            client.batch_predict_churn(request).await?.into_inner().results
        }
    })
}

fn why(outcome: Option<Outcome>) -> tonic_types::Status {
    match outcome {
        Some(Outcome::Status(status)) => status,
        _ => tonic_types::Status {
            code: Code::Internal as i32,
            message: "the server gave neither a score nor a reason".to_owned(),
            details: Vec::new(),
        },
    }
}

/// Why the customer has no score, as a line.
fn sentence(id: &str, status: &tonic_types::Status) -> String {
    let details = status.encode_to_vec().into();
    let status = Status::with_details(Code::from_i32(status.code), status.message.clone(), details);
    format!("{}: {}", render::plain(id), Refusal::of(&status))
}
