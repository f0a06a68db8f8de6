//! Chooses what to show of the customers.

use super::{
    affinities::affinities, attributes::attributes, campaigns::campaigns, cohorts::cohorts,
    customer::customer, forecast::forecast, kpis::kpis, members::members, refresh::refresh, sales::sales,
    segments::segments, value::value,
};
use crate::{args::InsightsCommand, connection::Connection, error::ClientError};

/// Runs a command about customers.
pub(crate) async fn run(
    server: &Connection,
    command: &InsightsCommand,
    json: bool,
) -> Result<(), ClientError> {
    match command {
        InsightsCommand::Refresh { as_of } => refresh(server, *as_of, json).await,
        InsightsCommand::Customer { customer_id, as_of } => customer(server, customer_id, *as_of, json).await,
        InsightsCommand::Attributes(args) => attributes(server, args, json).await,
        InsightsCommand::Segments(args) => segments(server, args, json).await,
        InsightsCommand::Members(args) => members(server, args, json).await,
        InsightsCommand::Kpis(args) => kpis(server, args, json).await,
        InsightsCommand::Sales(args) => sales(server, args, json).await,
        InsightsCommand::Cohorts(range) => cohorts(server, range, json).await,
        InsightsCommand::Value { as_of } => value(server, *as_of, json).await,
        InsightsCommand::Forecast { as_of, steps } => forecast(server, *as_of, *steps, json).await,
        InsightsCommand::Campaigns(args) => campaigns(server, args, json).await,
        InsightsCommand::Affinities(args) => affinities(server, args, json).await,
    }
}
