//! Chooses what to do with stored predictions.

use tally_proto::v1::{ComparePredictionsRequest, ReplayPredictionRequest};

use super::{comparison::comparison, list::list, replay::replay};
use crate::{
    args::{PredictionsCommand, TargetArg},
    connection::Connection,
    error::ClientError,
    output,
};

/// Runs a command on stored predictions.
pub(crate) async fn run(
    server: &Connection,
    command: &PredictionsCommand,
    json: bool,
) -> Result<(), ClientError> {
    let failed = |status| server.error(&status);
    match command {
        PredictionsCommand::Lead(filter) => list(server, TargetArg::Lead, filter, json).await,
        PredictionsCommand::Churn(filter) => list(server, TargetArg::Churn, filter, json).await,
        PredictionsCommand::Replay { prediction_id } => {
            let request = ReplayPredictionRequest { prediction_id: prediction_id.clone() };
            let reply = server.predictions().replay_prediction(request).await.map_err(failed)?;
            Ok(output::show(reply.get_ref(), json, replay)?)
        }
        PredictionsCommand::Compare { from, to } => {
            let request =
                ComparePredictionsRequest { from_prediction_id: from.clone(), to_prediction_id: to.clone() };
            let reply = server.predictions().compare_predictions(request).await.map_err(failed)?;
            Ok(output::show(reply.get_ref(), json, comparison)?)
        }
    }
}
