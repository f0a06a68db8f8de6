//! Prints replies that contain money.

use prost::{Message, Name};
use tally_proto::v1::GetDeploymentRequest;

use crate::{
    connection::Connection,
    error::ClientError,
    output::{self, Currency, narrow_text, printable},
};

/// Prints a reply: as JSON, or as `text` puts it in the currency of the deployment.
pub(super) async fn show<M: Message + Name>(
    server: &Connection,
    reply: &M,
    json: bool,
    text: impl FnOnce(&M, &Currency) -> String,
) -> Result<(), ClientError> {
    if json {
        return Ok(output::print_json(reply)?);
    }
    let currency = currency(server).await?;
    Ok(output::print(&text(reply, &currency))?)
}

/// The currency of the deployment.
pub(crate) async fn currency(server: &Connection) -> Result<Currency, ClientError> {
    let deployment = server.deployment().get_deployment(GetDeploymentRequest {}).await;
    Ok(Currency::of(deployment.map_err(|status| server.error(&status))?.get_ref()))
}

/// What makes a reply questionable, each in a line; None when nothing does.
pub(crate) fn warnings(warnings: &[String]) -> Option<String> {
    let lines: Vec<String> =
        warnings.iter().map(|warning| format!("warning: {}", printable(warning))).collect();
    (!lines.is_empty()).then(|| narrow_text(&lines.join("\n")))
}
