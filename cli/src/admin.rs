//! `tally admin`: for who runs the server.

use std::{
    io::{self, Write},
    path::Path,
};

use tally_proto::v1::{BackupDatabaseRequest, GetDeploymentRequest, GetDeploymentResponse};
use tally_terminal::{Interrupts, NewFile, lines_printable};

use crate::{
    args::AdminCommand,
    connection::Connection,
    error::ClientError,
    output::{self, counted, printable},
};

/// Runs a command for who runs the server.
pub(crate) async fn run(server: &Connection, command: &AdminCommand, json: bool) -> Result<(), ClientError> {
    match command {
        AdminCommand::Backup { file } => backup(server, file, json).await,
        AdminCommand::Settings => {
            let reply = server.deployment().get_deployment(GetDeploymentRequest {}).await;
            let reply = reply.map_err(|status| server.error(&status))?;
            Ok(output::show(reply.get_ref(), json, settings)?)
        }
    }
}

/// The settings of a server, which those of others on the same database should equal.
fn settings(deployment: &GetDeploymentResponse) -> String {
    let currency = match (deployment.currency.as_str(), deployment.amount_decimals) {
        ("", None) => "none set".to_owned(),
        (code, decimals) => {
            let decimals = decimals.map(|decimals| counted(decimals, "decimal", "decimals"));
            let code = if code.is_empty() { "none set".to_owned() } else { printable(code) };
            format!("{code}, amounts with {}", decimals.unwrap_or_default())
        }
    };
    let rules = match lines_printable(deployment.alert_rules.trim_end()) {
        rules if rules.is_empty() => "none; --alerts names the file with the rules".to_owned(),
        rules => format!("as in the file of --alerts, without its webhook\n\n{rules}"),
    };
    format!(
        "tally-serve {}\ncurrency: {currency}\n\nDefinitions of insight, as in the file of --insight\n\n{}\n\nRules of early \
         warning: {rules}",
        printable(&deployment.version),
        lines_printable(deployment.insight_settings.trim_end()),
    )
}

async fn backup(server: &Connection, file: &Path, json: bool) -> Result<(), ClientError> {
    let interrupts = Interrupts::listen().map_err(ClientError::Signals)?;
    let bytes = tokio::select! {
        done = back_up(server, file) => done?,
        signal = interrupts.received() => return Err(ClientError::Interrupted(signal)),
    };
    let text =
        format!("the database is backed up in {}, {}", file.display(), counted(bytes, "byte", "bytes"));
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
        return Err(ClientError::CutShort(format!(
            "{written} of {} came; there is no backup",
            counted(total, "byte", "bytes")
        )));
    }
    file.finish().map_err(failed)?;
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_shown_as_the_files_that_set_them() {
        let deployment = GetDeploymentResponse {
            currency: "EUR".to_owned(),
            amount_decimals: Some(2),
            version: "0.1.0".to_owned(),
            insight_settings: "window_days = 180\n\n[abc]\nby = \"net\"\n".to_owned(),
            alert_rules: "[[rule]]\nkind = \"lead_hot\"\nname = \"hot\"\n".to_owned(),
        };
        insta::assert_snapshot!(settings(&deployment), @r#"
        tally-serve 0.1.0
        currency: EUR, amounts with 2 decimals

        Definitions of insight, as in the file of --insight

        window_days = 180

        [abc]
        by = "net"

        Rules of early warning: as in the file of --alerts, without its webhook

        [[rule]]
        kind = "lead_hot"
        name = "hot"
        "#);
        let bare = settings(&GetDeploymentResponse::default());
        assert!(bare.contains("currency: none set\n") && bare.contains("warning: none; --alerts"), "{bare}");
        let unnamed = settings(&GetDeploymentResponse { amount_decimals: Some(1), ..Default::default() });
        assert!(unnamed.contains("currency: none set, amounts with 1 decimal\n"), "{unnamed}");
    }
}
