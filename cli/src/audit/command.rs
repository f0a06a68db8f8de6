//! Chooses what to do with the audit log.

use super::{list::list, verify::verify};
use crate::{args::AuditCommand, connection::Connection, error::ClientError};

/// Runs a command about the audit log.
pub(crate) async fn run(server: &Connection, command: &AuditCommand, json: bool) -> Result<(), ClientError> {
    match command {
        AuditCommand::List(args) => list(server, args, json).await,
        AuditCommand::Verify { head } => verify(server, head.as_ref(), json).await,
    }
}
