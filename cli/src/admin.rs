//! `tally admin`: for who runs the server.

use std::{
    io::{self, Write},
    path::Path,
};

use tally_proto::v1::BackupDatabaseRequest;
use tally_terminal::{Interrupts, NewFile};

use crate::{args::AdminCommand, connection::Connection, error::ClientError, output};

/// Runs a command for who runs the server.
pub(crate) async fn run(server: &Connection, command: &AdminCommand, json: bool) -> Result<(), ClientError> {
    let AdminCommand::Backup { file } = command;
    let interrupts = Interrupts::listen().map_err(ClientError::Signals)?;
    let bytes = tokio::select! {
        done = back_up(server, file) => done?,
        signal = interrupts.received() => return Err(ClientError::Interrupted(signal)),
    };
    let text = format!("the database is backed up in {}, {bytes} bytes", file.display());
    match json {
        true => output::print_json_line(&format!("{{\"bytes\":{bytes}}}"))?,
        false => output::print(&text)?,
    }
    Ok(())
}

/// Writes a copy of the server's database; returns its size. A copy that is not complete leaves no file.
async fn back_up(server: &Connection, path: &Path) -> Result<i64, ClientError> {
    let failed = |error| ClientError::File(path.to_owned(), error);
    if path.exists() {
        let exists = "exists already, and a backup takes the place of nothing";
        return Err(failed(io::Error::new(io::ErrorKind::AlreadyExists, exists)));
    }
    let mut file = NewFile::create(path).map_err(failed)?;
    let request = BackupDatabaseRequest {};
    let parts = server.deployment().backup_database(request).await;
    let mut parts = parts.map_err(|status| server.error(&status))?.into_inner();
    let (mut written, mut total) = (0, 0);
    while let Some(part) = parts.message().await.map_err(|status| server.error(&status))? {
        file.write_all(&part.content).map_err(failed)?;
        written += part.content.len() as i64;
        total = part.total_bytes;
    }
    if written != total {
        return Err(ClientError::CutShort(format!("{written} of {total} bytes came; there is no backup")));
    }
    file.finish().map_err(failed)?;
    Ok(total)
}
