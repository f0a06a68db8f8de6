//! Monitoring: drift and realised performance against what the tests themselves know, and the metrics.

mod drift;
mod metrics;
mod performance;

use tally_proto::v1;
use tonic::Status;

use crate::support::Tally;

const NOW: &str = "2024-06-01";

async fn drift_of(tally: &Tally, model: &str) -> Result<v1::GetDriftResponse, Status> {
    let request = v1::GetDriftRequest { model: model.to_owned() };
    Ok(tally.models().get_drift(request).await?.into_inner())
}
