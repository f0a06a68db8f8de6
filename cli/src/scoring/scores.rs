//! `tally score`: scores the customers with the given ids.

use prost::Message;
use tally_proto::{
    limits,
    v1::{BatchPredictChurnRequest, BatchResult, BatchScoreLeadsRequest, Score, batch_result},
};
use tonic::{Code, Status};

use super::{grades, heading, scores_table};
use crate::{
    args::{ScoreArgs, TargetArg},
    connection::Connection,
    error::{ClientError, Refusal},
    output::{self, printable},
    time,
};

/// Scores the customers and prints the results; fails afterwards when some have no score.
pub(crate) async fn score(server: &Connection, args: &ScoreArgs, json: bool) -> Result<(), ClientError> {
    let mut options = ScoreOptions::new(args);
    let mut printer = Printer { json, scores: Vec::new(), remarks: Vec::new(), failed: 0 };
    for ids in args.customer_ids.chunks(limits::BATCH) {
        let results = options.call(server, ids).await.map_err(|status| server.error(&status))?;
        let mut results = results.into_iter();
        for id in ids {
            match results.next().and_then(|result| result.result) {
                Some(batch_result::Result::Score(score)) => {
                    options.pin(&score);
                    printer.score(score)?;
                }
                Some(batch_result::Result::Status(status)) => printer.no_score(id, &status)?,
                None => printer.no_score(id, &no_result())?,
            }
        }
    }
    let failed = printer.finish()?;
    let asked = args.customer_ids.len() as u64;
    if failed > 0 { Err(ClientError::NotScored { failed, asked }) } else { Ok(()) }
}

/// What is the same for all customers.
struct ScoreOptions {
    target: TargetArg,
    as_of_time: Option<prost_types::Timestamp>,
    model: String,
    max_reasons: i32,
    persist: bool,
}

impl ScoreOptions {
    fn new(args: &ScoreArgs) -> Self {
        Self {
            target: args.target,
            as_of_time: args.as_of.map(time::timestamp),
            model: args.model.clone().unwrap_or_default(),
            max_reasons: args.max_reasons,
            persist: args.persist,
        }
    }

    /// Makes later batches use the model and the time of the first score.
    fn pin(&mut self, score: &Score) {
        if self.model.is_empty() {
            self.model.clone_from(&score.model);
        }
        self.as_of_time = self.as_of_time.or(score.as_of_time);
    }

    async fn call(&self, server: &Connection, ids: &[String]) -> Result<Vec<BatchResult>, Status> {
        let mut client = server.scoring();
        let (customer_ids, as_of_time, model) = (ids.to_vec(), self.as_of_time, self.model.clone());
        let (max_reasons, persist) = (self.max_reasons, self.persist);
        Ok(match self.target {
            TargetArg::Lead => {
                let request =
                    BatchScoreLeadsRequest { customer_ids, as_of_time, model, max_reasons, persist };
                client.batch_score_leads(request).await?.into_inner().results
            }
            TargetArg::Churn => {
                let request =
                    BatchPredictChurnRequest { customer_ids, as_of_time, model, max_reasons, persist };
                client.batch_predict_churn(request).await?.into_inner().results
            }
        })
    }
}

/// Prints JSON as it comes; collects text for one table.
struct Printer {
    json: bool,
    scores: Vec<Score>,
    remarks: Vec<String>,
    failed: u64,
}

impl Printer {
    fn score(&mut self, score: Score) -> Result<(), ClientError> {
        if self.json {
            output::print_json(&score)?;
        } else {
            self.scores.push(score);
        }
        Ok(())
    }

    fn no_score(&mut self, id: &str, status: &tonic_types::Status) -> Result<(), ClientError> {
        self.failed += 1;
        if self.json {
            output::print_json_line(&output::unscored(id, status).to_string())?;
        } else {
            self.remarks.push(sentence(id, status));
        }
        Ok(())
    }

    /// Prints what was collected, and returns the number of customers without a score.
    fn finish(self) -> Result<u64, ClientError> {
        if let Some(score) = self.scores.first() {
            let (table, grades) = (scores_table(&self.scores), grades(score.target()));
            output::print(&format!("{}\n\n{table}\n\n{grades}", heading(score)))?;
        }
        for line in self.remarks {
            output::remark(&line);
        }
        Ok(self.failed)
    }
}

fn no_result() -> tonic_types::Status {
    tonic_types::Status {
        code: Code::Internal as i32,
        message: "the server returned neither a score nor a reason".to_owned(),
        details: Vec::new(),
    }
}

/// Why the customer has no score, as a line.
fn sentence(id: &str, status: &tonic_types::Status) -> String {
    let details = status.encode_to_vec().into();
    let status = Status::with_details(Code::from_i32(status.code), status.message.clone(), details);
    format!("{}: {}", printable(id), Refusal::of(&status))
}
